"""What a worker says of a camera, believed as far as it makes sense."""

import json
from typing import Any

import pytest

from custom_components.skylapse.engine.errors import WorkerError
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe, ControlRange, SensorMode

from .cameras import HOST, IMX519, probe


def test_it_says_which_camera_it_is_and_what_it_can_do() -> None:
    camera = probe()
    assert camera.identity.kind == "picamera2"
    assert camera.identity.manufacturer == "Arducam"
    assert camera.identity.model == "16 MP (imx519)"
    assert camera.identity.serial == IMX519["id"]
    assert camera.name == "Arducam 16 MP (imx519)"
    assert camera.resolutions == ((4656, 3496), (2328, 1748), (1280, 720))
    can = camera.capabilities
    assert (can.exposure, can.gain, can.reports_exposure) == (True, True, True)
    assert can.exposure_range_us == (287, 120_729_139)
    assert can.gain_range == (1.0, 16.0)
    assert (can.width_px, can.height_px) == (4656, 3496)
    assert can.ev_range == (-8.0, 8.0)
    assert can.lens_range == (0.0, 32.0)
    assert (can.autofocus, can.preview, can.host, can.focus_measure) == (True, True, True, True)
    assert can.sensor_temperature is False
    assert can.dng is False
    assert can.usual_exposure_us is None


@pytest.mark.parametrize(
    ("model", "maker", "name", "warm"),
    [
        ("imx708", "Raspberry Pi", "Raspberry Pi Camera Module 3 (imx708)", True),
        ("imx708_wide_noir", "Raspberry Pi", "Raspberry Pi Camera Module 3 Wide NoIR (imx708_wide_noir)", True),
        ("imx477", "Raspberry Pi", "Raspberry Pi High Quality Camera (imx477)", True),
        ("imx999", None, "Unknown sensor imx999", False),
    ],
)
def test_known_sensors_have_their_products_names_and_unknown_ones_none(model: str, maker: str | None, name: str, warm: bool) -> None:
    camera = probe(model=model)
    assert (camera.maker, camera.name) == (maker, name)
    assert camera.identity.manufacturer == (maker or "Unknown")
    assert f"{maker or ''} {camera.identity.model}".strip() == name
    assert camera.capabilities.sensor_temperature is warm


def test_it_outlives_being_stored() -> None:
    camera = probe(controls={"Odd": [None, [1.5, 2], True]})
    assert camera.controls["Odd"] == ControlRange(None, (1.5, 2), True)
    assert CameraProbe.from_dict(json.loads(json.dumps(camera.to_dict()))) == camera
    bare = CameraProbe.from_reply({"backend": "rpicam"}, {"id": "a", "index": 3, "model": "imx219"})
    assert CameraProbe.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare
    assert bare.resolutions == ()
    assert (bare.capabilities.exposure_range_us, bare.capabilities.width_px) == (None, None)
    assert (bare.capabilities.exposure, bare.capabilities.gain) == (False, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "gphoto2"),
        ("backend", None),
        ("backend", ["picamera2"]),
        ("index", -1),
        ("index", 64),
        ("index", True),
        ("index", 0.0),
        ("id", ""),
        ("id", 7),
        ("id", "a" * 201),
        ("id", "a\nb"),
        ("model", None),
    ],
)
def test_what_does_not_say_which_camera_it_is_is_refused(field: str, value: object) -> None:
    with pytest.raises(WorkerError) as caught:
        CameraProbe.from_dict({**HOST, **IMX519, field: value})
    assert caught.value.key == "camera_probe_invalid"
    assert caught.value.placeholders == {"field": field}


def test_what_is_no_description_at_all_is_refused() -> None:
    with pytest.raises(WorkerError) as caught:
        CameraProbe.from_dict([1])
    assert caught.value.placeholders == {"field": "probe"}


@pytest.mark.parametrize(
    "limits",
    [
        "1..2",
        [0, 1],
        [0, 1, 2, 3],
        ["0", 1, 0],
        [0, float("inf"), 0],
        [0, float("nan"), 0],
        [0, 10**30, 0],
        [0, {}, 0],
        [0, [], 0],
        [[0] * 17, 0, 0],
        [[True], 0, 0],
    ],
)
def test_controls_that_make_no_sense_are_not_offered(limits: object) -> None:
    assert "ExposureTime" not in probe(controls={"ExposureTime": limits}).controls


def test_so_are_names_that_make_no_sense_and_more_than_there_can_be() -> None:
    assert "Two words" not in probe(controls={"Two words": [0, 1, 0]}).controls
    assert "X" * 300 not in probe(controls={"X" * 300: [0, 1, 0]}).controls
    assert len(probe(controls={f"C{number}": [0, 1, 0] for number in range(5000)}).controls) == 256
    odd: Any = {3: [0, 1, 0], "Fine": [0, 1, 0]}
    assert list(CameraProbe.from_dict({**HOST, **IMX519, "controls": odd}).controls) == ["Fine"]
    assert CameraProbe.from_dict({**HOST, **IMX519, "controls": [1]}).controls == {}


def test_a_control_that_leaves_no_choice_is_none() -> None:
    assert probe(controls={"AnalogueGain": [2.0, 2.0, 2.0]}).capabilities.gain_range is None
    assert probe(controls={"AnalogueGain": [2.0, None, 2.0]}).capabilities.gain is False
    assert probe(controls={"AnalogueGain": [[1.0], [2.0], None]}).capabilities.gain is False


def test_modes_that_make_no_sense_are_left_out() -> None:
    modes = [
        {"size": [640, 480], "bit_depth": "10", "fps": "fast", "exposure_us": [5, 10]},
        {"size": [640, 480], "bit_depth": 10, "fps": 7, "exposure_us": [5, "x"]},
        {"size": [0, 480]},
        {"size": [640, 40_000]},
        {"size": [640]},
        {"size": None},
        "640x480",
    ]
    assert probe(modes=modes).modes == (SensorMode((640, 480), None, None, (5, 10)), SensorMode((640, 480), 10, 7.0, None))
    assert probe(modes={"size": [640, 480]}).modes == ()
    assert probe(modes=[], pixel_array=[1000, 500]).resolutions == ((1000, 500),)
    assert probe(modes=[], pixel_array=[1000, 500, 3]).resolutions == ()
    assert len(probe(modes=[{"size": [640, 480]}] * 1000).modes) == 64


def test_texts_are_short_and_without_surprises() -> None:
    camera = CameraProbe.from_reply({**HOST, "machine": "Pi\n5\x1b[31m" + "!" * 500, "os": "  ", "python": 3}, IMX519)
    assert camera.machine is not None
    assert camera.machine.startswith("Pi 5 [31m!!!")
    assert len(camera.machine) == 200
    assert (camera.os, camera.python) == (None, None)


def test_configured_limits_replace_those_of_the_probe() -> None:
    camera = probe().with_limits({"ExposureTime": [100, 5000, 1000], "Contrast": "no"})
    assert camera.capabilities.exposure_range_us == (100, 5000)
    assert camera.span("Contrast") == (0.0, 32.0)
    assert probe().with_limits(None) == probe()


def test_autofocus_needs_all_that_it_takes() -> None:
    assert probe(without=("AfTrigger",)).capabilities.autofocus is False
    assert probe(without=("LensPosition",)).capabilities.autofocus is False
    assert probe(controls={"AfMode": [0, 0, 0]}).capabilities.autofocus is False
    assert probe(controls={"AfMode": [0, 1, 0]}).capabilities.autofocus is True
    simple = probe(backend="rpicam").capabilities
    assert (simple.autofocus, simple.preview, simple.lens_range) == (False, False, (0.0, 32.0))


def test_defaults_are_numbers_or_nothing() -> None:
    camera = probe()
    assert camera.default("LensPosition") == 1.0
    assert camera.default("ScalerCrop") is None
    assert camera.default("ColourGains") is None
    assert camera.default("Nothing") is None
