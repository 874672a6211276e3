"""From a form's options to what libcamera is told."""

from typing import Any

import pytest

from custom_components.skylapse.engine.errors import SourceError
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe
from custom_components.skylapse.engine.sources.camera_settings import (
    CameraSettings,
    defaults,
    offered_choices,
    offered_ranges,
    offered_switches,
)

from .cameras import COMMON, probe

FOCUS = ("LensPosition", "AfMode", "AfTrigger")


def settings(camera: CameraProbe | None = None, **options: Any) -> CameraSettings:
    return CameraSettings.from_options(options, camera or probe())


def refused(camera: CameraProbe | None = None, **options: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        settings(camera, **options)
    return caught.value


def test_without_options_everything_is_automatic() -> None:
    usual = settings()
    assert usual.configure_args() == {
        "backend": "picamera2",
        "camera": {"id": probe().id, "index": 0, "model": "imx519"},
        "size": [4656, 3496],
        "preview_size": [640, 480],
        "quality": 93,
        "hflip": False,
        "vflip": False,
        "orientation": 1,
        "controls": {
            "ExposureValue": 0.0,
            "AeMeteringMode": 0,
            "AwbEnable": True,
            "AwbMode": 0,
            "AfMode": 0,
            "LensPosition": 1.0,
            "NoiseReductionMode": 2,
            "HdrMode": 0,
            "Sharpness": 1.0,
            "Contrast": 1.0,
            "Saturation": 1.0,
            "Brightness": 0.0,
        },
        "tuning": None,
        "sensor_hdr": False,
        "raw": False,
        "exif": {"make": "Arducam", "model": "16 MP (imx519)"},
    }
    assert usual.controls() == usual.configure_args()["controls"] | {
        "ExposureTime": 0,
        "AnalogueGain": 0.0,
        "FrameDurationLimits": [111_111, 120_735_000],
    }
    assert usual.exposure(None, None) == (None, None)


def test_defaults_and_ranges_are_those_that_forms_and_documents_tell() -> None:
    assert defaults(probe()) == {
        "resolution": "4656x3496",
        "quality": 93,
        "rotation": "0",
        "hflip": False,
        "vflip": False,
        "exposure_mode": "auto",
        "ev": 0,
        "metering": "centre_weighted",
        "exposure_ms": 10,
        "gain": 1,
        "white_balance": "auto",
        "gain_red": 2.0,
        "gain_blue": 1.8,
        "focus_mode": "hyperfocal",
        "lens_position": 0,
        "noise_reduction": "default",
        "sharpness": 1,
        "contrast": 1,
        "saturation": 1,
        "brightness": 0,
        "hdr": "off",
        "roi_left": 0,
        "roi_top": 0,
        "roi_width": 100,
        "roi_height": 100,
        "tuning_file": "",
        "dng": False,
    }
    assert defaults(probe(without=FOCUS))["focus_mode"] == "fixed"
    assert offered_ranges(probe()) == {
        "quality": (1, 100),
        "ev": (-8, 8),
        "exposure_ms": (0.287, 120_729.139),
        "gain": (1, 16),
        "gain_red": (0.01, 32),
        "gain_blue": (0.01, 32),
        "lens_position": (0, 32),
        "sharpness": (0, 16),
        "contrast": (0, 32),
        "saturation": (0, 32),
        "brightness": (-1, 1),
        "roi_left": (0, 99),
        "roi_top": (0, 99),
        "roi_width": (1, 100),
        "roi_height": (1, 100),
    }


def test_every_option_arrives() -> None:
    given = settings(
        resolution="2328x1748",
        quality=80.0,
        exposure_mode="manual",
        exposure_ms=2500.0,
        gain=4.0,
        ev=1.5,
        metering="matrix",
        white_balance="fixed",
        gain_red=2.5,
        gain_blue=1.5,
        focus_mode="fixed",
        lens_position=0.25,
        noise_reduction="minimal",
        sharpness=2,
        contrast=3,
        saturation=4,
        brightness=0.5,
        hdr="night",
        tuning_file=" imx519_night.json ",
        dng=True,
    )
    args = given.configure_args()
    assert (args["size"], args["quality"], args["raw"], args["tuning"]) == ([2328, 1748], 80, True, "imx519_night.json")
    assert given.controls() == {
        "ExposureTime": 2_500_000,
        "AnalogueGain": 4.0,
        "FrameDurationLimits": [111_111, 120_735_000],
        "ExposureValue": 1.5,
        "AeMeteringMode": 2,
        "AwbEnable": False,
        "ColourGains": [2.5, 1.5],
        "AfMode": 0,
        "LensPosition": 0.25,
        "NoiseReductionMode": 3,
        "HdrMode": 4,
        "Sharpness": 2.0,
        "Contrast": 3.0,
        "Saturation": 4.0,
        "Brightness": 0.5,
    }
    assert given.exposure(None, None) == (2_500_000, 4.0)


@pytest.mark.parametrize(
    ("option", "value", "control", "number"),
    [
        ("metering", "spot", "AeMeteringMode", 1),
        ("white_balance", "incandescent", "AwbMode", 1),
        ("white_balance", "tungsten", "AwbMode", 2),
        ("white_balance", "fluorescent", "AwbMode", 3),
        ("white_balance", "indoor", "AwbMode", 4),
        ("white_balance", "daylight", "AwbMode", 5),
        ("white_balance", "cloudy", "AwbMode", 6),
        ("noise_reduction", "off", "NoiseReductionMode", 0),
        ("noise_reduction", "fast", "NoiseReductionMode", 1),
        ("noise_reduction", "high_quality", "NoiseReductionMode", 2),
        ("hdr", "multi_exposure", "HdrMode", 2),
        ("hdr", "single_exposure", "HdrMode", 3),
    ],
)
def test_choices_have_libcameras_numbers(option: str, value: str, control: str, number: int) -> None:
    controls = settings(**{option: value}).controls()
    assert controls[control] == number
    assert controls["AwbEnable"] is True
    assert "ColourGains" not in controls


@pytest.mark.parametrize(
    ("rotation", "flips", "told"),
    [
        ("0", (False, False), (False, False, 1)),
        ("0", (True, False), (True, False, 1)),
        ("180", (False, False), (True, True, 1)),
        ("180", (True, False), (False, True, 1)),
        ("90", (False, False), (False, False, 6)),
        ("90", (True, False), (False, True, 6)),
        ("270", (False, True), (True, False, 8)),
    ],
)
def test_flips_are_meant_as_the_picture_is_shown(rotation: str, flips: tuple[bool, bool], told: tuple[bool, bool, int]) -> None:
    args = settings(rotation=rotation, hflip=flips[0], vflip=flips[1]).configure_args()
    assert (args["hflip"], args["vflip"], args["orientation"]) == told


def test_only_what_the_camera_has_is_sent() -> None:
    bare = probe(without=tuple(COMMON))
    assert settings(bare).controls() == {}
    assert settings(bare, **defaults(bare)).controls() == {}
    fixed_lens = probe(without=FOCUS)
    assert not settings(fixed_lens).controls().keys() & set(FOCUS)
    assert settings(probe(without=("AfMode",))).controls()["LensPosition"] == 1.0
    assert "FrameDurationLimits" not in settings(probe(without=("FrameDurationLimits",))).controls()


@pytest.mark.parametrize(
    ("without", "option", "value"),
    [
        (("ExposureValue",), "ev", 0.5),
        (("AeMeteringMode",), "metering", "spot"),
        (("ExposureTime",), "exposure_mode", "manual"),
        (("AnalogueGain",), "exposure_mode", "manual"),
        (("AwbMode",), "white_balance", "cloudy"),
        (("ColourGains",), "white_balance", "fixed"),
        (("NoiseReductionMode",), "noise_reduction", "off"),
        (("HdrMode",), "hdr", "night"),
        ((), "hdr", "sensor"),
        (("Sharpness",), "sharpness", 2.0),
        (("Contrast",), "contrast", 2.0),
        (("Saturation",), "saturation", 0.0),
        (("Brightness",), "brightness", 0.1),
        (("ScalerCrop",), "roi_width", 50.0),
        (("LensPosition",), "focus_mode", "hyperfocal"),
        (("LensPosition",), "lens_position", 1.0),
        (("AfTrigger",), "focus_mode", "auto_once"),
    ],
)
def test_what_the_camera_cannot_take_is_refused_by_name(without: tuple[str, ...], option: str, value: object) -> None:
    error = refused(probe(without=without), **{option: value})
    assert error.key == "source_option_invalid"
    assert error.placeholders == {"field": option, "value": str(value)}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("resolution", "4658x3496"),
        ("resolution", "62x64"),
        ("resolution", "0640x480"),
        ("resolution", "640 x 480"),
        ("resolution", None),
        ("quality", 0),
        ("quality", 93.5),
        ("quality", True),
        ("quality", "93"),
        ("rotation", "45"),
        ("rotation", 90),
        ("hflip", 1),
        ("vflip", None),
        ("exposure_mode", "on"),
        ("ev", float("nan")),
        ("ev", 9),
        ("metering", "average"),
        ("exposure_ms", 0),
        ("exposure_ms", "10"),
        ("gain", 0.5),
        ("white_balance", "sunset"),
        ("gain_red", 0),
        ("gain_blue", 33),
        ("focus_mode", "continuous"),
        ("noise_reduction", None),
        ("sharpness", 17),
        ("contrast", -1),
        ("brightness", 1.1),
        ("hdr", "on"),
        ("roi_left", -1),
        ("roi_width", 0),
        ("roi_height", 101),
        ("tuning_file", "a\nb"),
        ("tuning_file", "a" * 256),
        ("tuning_file", None),
        ("dng", "yes"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(option: str, value: object) -> None:
    error = refused(**{option: value})
    assert error.key == "source_option_invalid"
    assert error.placeholders == {"field": option, "value": str(value)}


def test_a_cut_has_to_end_within_the_picture() -> None:
    assert refused(roi_left=60, roi_width=50).placeholders["field"] == "roi_width"
    assert refused(roi_top=1, roi_height=100).placeholders["field"] == "roi_height"


def test_numbers_are_within_what_this_camera_can_take() -> None:
    error = refused(exposure_mode="manual", exposure_ms=200_000)
    assert (error.key, error.placeholders) == (
        "exposure_out_of_range",
        {"value": "200000000", "minimum": "287", "maximum": "120729139"},
    )
    error = refused(exposure_mode="manual", gain=17)
    assert (error.key, error.placeholders) == ("gain_out_of_range", {"value": "17", "minimum": "1", "maximum": "16"})
    assert refused(probe(controls={"ExposureValue": [-2.0, 2.0, 0.0]}), ev=3).key == "ev_out_of_range"
    assert refused(focus_mode="fixed", lens_position=33).key == "lens_position_out_of_range"
    error = refused(probe(controls={"Contrast": [0.0, 15.99, 1.0]}), contrast=16)
    assert (error.key, error.placeholders["field"]) == ("source_option_invalid", "contrast")
    # none of these is in use
    settings(exposure_ms=200_000, gain=17, gain_red=30, lens_position=33)


def test_a_sensor_that_begins_above_gain_1_is_given_its_least() -> None:
    imx708 = probe(model="imx708", controls={"AnalogueGain": [1.122807, 16.0, 1.122807]})
    manual = settings(imx708, exposure_mode="manual")
    assert manual.controls()["AnalogueGain"] == 1.122807
    assert settings(imx708).exposure(1000, 1.0) == (1000, 1.122807)
    with pytest.raises(SourceError) as caught:
        settings(imx708).exposure(1000, 0.5)
    assert caught.value.key == "gain_out_of_range"
    assert offered_ranges(imx708)["gain"] == (1, 16.0)


def test_a_request_goes_before_the_settings() -> None:
    manual = settings(exposure_mode="manual", exposure_ms=20, gain=2)
    assert manual.exposure(5000, None) == (5000, 2.0)
    assert manual.exposure(None, 3.0) == (20_000, 3.0)
    automatic = settings()
    assert automatic.controls(5000, None)["ExposureTime"] == 5000
    assert automatic.controls(5000, None)["AnalogueGain"] == 0.0
    assert automatic.controls(lens_position=0.0)["LensPosition"] == 0.0
    with pytest.raises(SourceError) as caught:
        automatic.exposure(100, None)
    assert caught.value.key == "exposure_out_of_range"
    for without, asked, what in (("ExposureTime", (5000, None), "exposure"), ("AnalogueGain", (None, 2.0), "gain")):
        with pytest.raises(SourceError) as caught:
            settings(probe(without=(without,))).exposure(*asked)
        assert (caught.value.key, caught.value.placeholders) == ("camera_cannot", {"what": what})


def test_frames_may_last_as_long_as_the_exposure() -> None:
    short_frames = probe(controls={"FrameDurationLimits": [33_333, 1_000_000, 33_333]})
    limits = settings(short_frames, exposure_mode="manual", exposure_ms=20_000).controls()["FrameDurationLimits"]
    assert limits == [33_333, 20_100_000]


@pytest.mark.parametrize(
    ("resolution", "roi", "crop", "size", "preview"),
    [
        ("4656x3496", (25, 25, 50, 50), [1164, 874, 2328, 1748], (4656, 3496), (640, 480)),
        ("4656x3496", (0, 0, 100, 50), [0, 0, 4656, 1748], (4656, 1748), (640, 240)),
        ("4656x3496", (50, 0, 50, 100), [2328, 0, 2328, 3496], (2328, 3496), (426, 640)),
        # 16:9 out of 4:3: percents are of what the picture shows, not of what is cut off anyway
        ("1280x720", (0, 0, 50, 50), [0, 438, 2328, 1308], (1280, 720), (640, 360)),
        ("4656x3496", (99, 99, 1, 1), [4592, 3432, 64, 64], (4656, 3496), (640, 480)),
    ],
)
def test_cuts_are_never_squeezed(
    resolution: str,
    roi: tuple[int, int, int, int],
    crop: list[int],
    size: tuple[int, int],
    preview: tuple[int, int],
) -> None:
    left, top, width, height = roi
    cut = settings(resolution=resolution, roi_left=left, roi_top=top, roi_width=width, roi_height=height)
    assert cut.controls()["ScalerCrop"] == crop
    assert cut.size == size
    assert cut.preview_size == preview
    assert "ScalerCrop" not in cut.configure_args()["controls"]


def test_the_cut_is_of_the_part_of_the_sensor_that_the_mode_reads() -> None:
    cut = settings(resolution="1280x720", roi_width=50, roi_height=50)
    middle = cut.with_limits({"ScalerCrop": [[0, 0, 64, 64], [1048, 1042, 2560, 1440], [1048, 1042, 2560, 1440]]})
    assert middle.controls()["ScalerCrop"] == [1048, 1042, 1280, 720]
    # before a camera is configured, libcamera gives a placeholder: then the pixel array counts
    placeholder = [[0, 0, 0, 0], [65535, 65535, 65535, 65535], [0, 0, 0, 0]]
    assert cut.with_limits({"ScalerCrop": placeholder}).controls() == cut.controls()
    assert cut.with_limits({"ScalerCrop": [None, None, [0, 0, 4656, 3496]]}).controls() == cut.controls()
    assert (
        refused(probe(controls={"ScalerCrop": placeholder}, pixel_array=None), roi_left=10, roi_width=50).placeholders["field"]
        == "roi_left"
    )


def test_a_lens_without_a_default_goes_to_infinity() -> None:
    assert settings(probe(controls={"LensPosition": [0.0, 15.0, None]})).controls()["LensPosition"] == 0.0


def test_the_exposure_can_be_corrected_later() -> None:
    assert settings().adjusted(ev=2).controls()["ExposureValue"] == 2
    with pytest.raises(SourceError) as caught:
        settings().adjusted(ev=9)
    assert caught.value.key == "ev_out_of_range"


def test_raw_data_only_where_there_is_any() -> None:
    assert settings(dng=True).dng
    assert refused(probe(raw=False), dng=True).placeholders == {"field": "dng", "value": "True"}
    assert refused(probe(backend="rpicam"), dng=True).key == "source_option_invalid"


def test_a_camera_that_told_no_sizes_cannot_be_used() -> None:
    assert "resolution" not in defaults(probe(modes=[], pixel_array=None))
    assert refused(probe(modes=[], pixel_array=None)).placeholders == {"field": "resolution", "value": "None"}


def test_sensor_hdr_is_for_the_one_sensor_that_has_it() -> None:
    args = settings(probe(model="imx708_wide"), hdr="sensor").configure_args()
    assert args["sensor_hdr"] is True
    assert args["controls"]["HdrMode"] == 0


def test_rpicam_has_no_previews() -> None:
    assert settings(probe(backend="rpicam")).configure_args()["preview_size"] is None


def test_forms_are_offered_what_the_camera_takes() -> None:
    assert offered_choices(probe()) == {
        "resolution": ("4656x3496", "2328x1748", "1280x720"),
        "rotation": ("0", "90", "180", "270"),
        "exposure_mode": ("auto", "manual"),
        "metering": ("centre_weighted", "spot", "matrix"),
        "white_balance": ("auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy", "fixed"),
        "focus_mode": ("hyperfocal", "fixed", "auto_once"),
        "noise_reduction": ("default", "off", "fast", "high_quality", "minimal"),
        "hdr": ("off", "single_exposure", "multi_exposure", "night"),
    }
    assert offered_switches(probe()) == ("hflip", "vflip", "dng")
    bare = probe(without=tuple(COMMON), raw=False)
    assert set(offered_choices(bare)) == {"resolution", "rotation"}
    assert set(offered_ranges(bare)) == {"quality"}
    assert offered_switches(bare) == ("hflip", "vflip")


@pytest.mark.parametrize(
    "camera", [probe(), probe(without=FOCUS), probe(without=tuple(COMMON)), probe(backend="rpicam"), probe(model="imx708")]
)
def test_all_that_is_offered_is_taken(camera: CameraProbe) -> None:
    for field, choices in offered_choices(camera).items():
        for choice in choices:
            settings(camera, **{field: choice})
    ranges = offered_ranges(camera)
    manual = {"exposure_mode": "manual"} if "exposure_ms" in ranges else {}
    for field, ends in ranges.items():
        for end in ends:
            others = {"roi_left": {"roi_width": 1}, "roi_top": {"roi_height": 1}}.get(field, {})
            settings(camera, **{field: end}, **manual, **others)
    for field in offered_switches(camera):
        settings(camera, **{field: True})
