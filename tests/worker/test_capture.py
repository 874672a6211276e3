"""Taking pictures with real picamera2: fresh, of the wanted exposure, and told truthfully."""

import base64
from collections.abc import Callable
import io
from pathlib import Path
import subprocess
import time
from typing import Any

from PIL import Image
import pytest

from tests.rig.machine import Rig

from .conftest import SIZE, configure, configured
from .peer import WORKER, Peer, Refused

SCALE = 0.2
"""Real seconds for a second of the virtual camera's (see the fixture ``pi``)."""
FIXED = {"ExposureTime": 20_000, "AnalogueGain": 2.0}


def take(camera: Peer, controls: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Capture, look at the picture, and return the result."""
    result, blob = camera.request("capture", {"controls": controls or {}, **more})
    assert sum(length for _, length in result["parts"]) == len(blob)
    assert result["parts"] == [["jpeg", len(blob)]]
    picture = Image.open(io.BytesIO(blob))
    picture.load()
    assert list(picture.size) == result["size"]
    return {**result, "picture": picture}


def exposure(result: dict[str, Any]) -> tuple[float, float]:
    return result["metadata"]["ExposureTime"], result["metadata"]["AnalogueGain"]


def test_captures_a_whole_picture(rigs: Callable[..., Rig], start: Any) -> None:
    peer = start(rigs(time_scale=SCALE).python)
    configuration = configure(peer, exif={"make": "Raspberry Pi", "model": "Camera Module"}, orientation=6)
    assert configuration["size"] == SIZE
    assert configuration["preview_size"] == [320, 240]
    assert configuration["format"] in ("NV12", "YUV420")
    assert configuration["raw"] is False
    assert configuration["limits"]["ExposureTime"] == [287, 120729139, 20000]
    assert all(len(limits) == 3 for limits in configuration["limits"].values())
    assert configuration["versions"]["picamera2"]
    assert configuration["versions"]["libcamera"].startswith("v0.")

    before = time.time()
    result = take(peer)
    assert result["size"] == SIZE
    assert before - 0.1 < result["taken_at"] < time.time()
    assert result["frames"] >= 1
    assert set(result["timings_ms"]) == {"wait", "frame", "jpeg", "total"}
    exif = result["picture"].getexif()
    assert (exif[271], exif[272], exif[274]) == ("Raspberry Pi", "Camera Module", 6)
    assert time.strptime(exif[306], "%Y:%m:%d %H:%M:%S")
    detail = exif.get_ifd(0x8769)
    assert float(detail[33434]) == pytest.approx(result["metadata"]["ExposureTime"] / 1e6)
    assert detail[34855] == round(100 * result["metadata"]["AnalogueGain"])
    assert detail[36867] == exif[306]


def test_raw_data_comes_beside_the_picture(rigs: Callable[..., Rig], start: Any) -> None:
    peer = start(rigs(time_scale=SCALE).python)
    for raw in (True, False):
        assert configure(peer, raw=raw)["raw"] is raw
        result, blob = peer.request("capture")
        lengths = dict(result["parts"])
        assert list(lengths) == (["jpeg", "dng"] if raw else ["jpeg"])
        assert sum(lengths.values()) == len(blob)
        jpeg, dng = blob[: lengths["jpeg"]], blob[lengths["jpeg"] :]
        Image.open(io.BytesIO(jpeg)).load()
        assert dng[:4] == (b"II*\0" if raw else b"")


@pytest.mark.parametrize(("exposure_us", "gain"), [(287, 1.0), (5_000, 8.0), (300_000, 1.5), (20_000, 16.0)])
def test_exposure_and_gain_are_proven(camera: Peer, exposure_us: int, gain: float) -> None:
    take(camera)  # something else was before
    result = take(camera, {"ExposureTime": exposure_us, "AnalogueGain": gain}, match={"exposure_us": exposure_us, "gain": gain})
    assert exposure(result) == (pytest.approx(exposure_us, rel=0.05), pytest.approx(gain, rel=0.05))
    again = take(camera, {"ExposureTime": exposure_us, "AnalogueGain": gain}, match={"exposure_us": exposure_us, "gain": gain})
    assert again["frames"] <= 4
    assert exposure(again) == exposure(result)


def test_what_controls_set_is_proven_even_if_nothing_else_asks_for_it(camera: Peer) -> None:
    take(camera)
    assert exposure(take(camera, FIXED)) == (pytest.approx(20_000, rel=0.05), pytest.approx(2.0, rel=0.05))


def test_an_exposure_that_is_never_reached_is_told(camera: Peer) -> None:
    with pytest.raises(Refused) as refused:
        camera.request("capture", {"controls": FIXED, "match": {"exposure_us": 40_000, "gain": None}})
    assert refused.value.key == "exposure_not_reached"
    assert refused.value.placeholders["wanted"] == "40 ms, gain 2"
    assert refused.value.placeholders["got"].startswith("20.0")
    assert not refused.value.fatal
    take(camera, FIXED)


def test_a_frame_is_exposed_after_it_was_asked_for(camera: Peer) -> None:
    """Also where frames take long and one is finished already; by the camera's own clock, which is this machine's."""
    slow = {"ExposureTime": 900_000, "AnalogueGain": 1.0}
    take(camera, slow)
    for _ in range(3):
        time.sleep(0.25)
        before, asked_ns = time.time(), time.monotonic_ns()
        result = take(camera, slow)
        began_ns = result["metadata"]["SensorTimestamp"] - result["metadata"]["ExposureTime"] * 1000
        assert began_ns >= asked_ns
        assert result["taken_at"] - before == pytest.approx((began_ns - asked_ns) / 1e9, abs=0.02)
        assert time.time() - before < 3 * 0.9 * SCALE + 0.5


def test_long_exposures_cost_their_own_time_only(camera: Peer) -> None:
    long = {"ExposureTime": 5_000_000, "AnalogueGain": 4.0}
    take(camera)
    for _ in range(2):
        before = time.time()
        result = take(camera, long, match={"exposure_us": 5_000_000, "gain": 4.0})
        assert time.time() - before < 5 * SCALE + 0.6
        assert result["frames"] == 1
        assert before <= result["taken_at"] <= time.time() - 5 * SCALE + 0.1
        assert exposure(result) == (pytest.approx(5_000_000, rel=0.05), pytest.approx(4.0, rel=0.05))
    # nothing of the long exposure is waited for, and the automatic settles from what it left behind
    before = time.time()
    result = take(camera)
    assert time.time() - before < 3.0
    assert result["metadata"]["ExposureTime"] < 100_000


def test_a_first_frame_that_is_long_does_not_spend_its_time_on_startup_frames(pi: Rig, start: Any) -> None:
    pi.change(startup_frames=7)
    camera = configured(start(pi.python))
    before = time.time()
    result = take(camera, {"ExposureTime": 5_000_000, "AnalogueGain": 4.0, "AwbEnable": True})
    assert time.time() - before < 5 * SCALE + 1.5
    assert result["metadata"]["ColourGains"] == [2.1, 1.7]


def test_the_automatic_settles_after_manual(pi: Rig, camera: Peer) -> None:
    pi.lux(500.0)
    bright = take(camera)
    right = exposure(bright)[0] * exposure(bright)[1]
    take(camera, {"ExposureTime": 300, "AnalogueGain": 1.0})
    settled = take(camera)
    assert exposure(settled)[0] * exposure(settled)[1] == pytest.approx(right, rel=0.1)
    assert settled["frames"] > 1
    assert take(camera)["frames"] <= 4  # and does not have to again


def test_the_automatic_follows_a_correction_at_once(camera: Peer) -> None:
    plain, brighter = take(camera), take(camera, {"ExposureValue": 2.0})
    ratio = (exposure(brighter)[0] * exposure(brighter)[1]) / (exposure(plain)[0] * exposure(plain)[1])
    assert ratio == pytest.approx(4.0, rel=0.15)
    back = take(camera)  # what a frame does not name is no longer wanted
    assert exposure(back)[0] * exposure(back)[1] == pytest.approx(exposure(plain)[0] * exposure(plain)[1], rel=0.15)


def test_fixed_colours_go_back_to_automatic(camera: Peer) -> None:
    assert take(camera, {"ColourGains": [3.0, 1.5]})["metadata"]["ColourGains"] == [3.0, 1.5]
    assert take(camera, {"AwbEnable": True})["metadata"]["ColourGains"] == [2.1, 1.7]
    assert take(camera, {"ColourGains": [3.0, 1.5], "AwbEnable": False})["metadata"]["ColourGains"] == [3.0, 1.5]
    assert take(camera)["metadata"]["ColourGains"] == [2.1, 1.7]


def test_controls_of_the_configuration_hold_unless_a_frame_names_others(pi: Rig, start: Any) -> None:
    camera = configured(start(pi.python), controls=FIXED)
    assert exposure(take(camera)) == (pytest.approx(20_000, rel=0.05), pytest.approx(2.0, rel=0.05))
    assert exposure(take(camera, {"AnalogueGain": 4.0}))[1] == pytest.approx(4.0, rel=0.05)
    assert exposure(take(camera))[1] == pytest.approx(2.0, rel=0.05)


def test_rests_and_wakes(camera: Peer) -> None:
    assert camera.request("wake") == ({"streaming": True}, b"")
    fixed = take(camera, FIXED)
    assert camera.request("rest") == ({"streaming": False}, b"")
    time.sleep(0.5)
    asleep = time.time()
    assert exposure(take(camera, FIXED)) == exposure(fixed)
    assert camera.request("rest")[0] == {"streaming": False}
    assert camera.request("wake")[0] == {"streaming": True}
    result = take(camera, FIXED)
    assert exposure(result) == exposure(fixed)
    assert result["taken_at"] > asleep
    assert camera.request("wake", {"controls": {"ExposureTime": 5_000_000, "AnalogueGain": 1.0}})[0] == {"streaming": False}


def test_the_first_frame_after_a_rest_is_exposed_for_the_light_of_now(pi: Rig, camera: Peer) -> None:
    pi.lux(1000.0)
    day = take(camera)
    camera.request("rest")
    pi.lux(100.0)
    dusk = take(camera)
    assert exposure(dusk)[0] * exposure(dusk)[1] == pytest.approx(10 * exposure(day)[0] * exposure(day)[1], rel=0.15)


@pytest.mark.parametrize(
    ("controls", "setting"),
    [
        ({"Warp": 9}, "Warp"),
        ({"ExposureTime": 10**9}, "ExposureTime = 1000000000"),
        ({"ExposureTime": 5}, "ExposureTime = 5"),
        ({"AnalogueGain": 17.0}, "AnalogueGain = 17.0"),
        ({"AnalogueGain": True}, "AnalogueGain = True"),
        ({"AwbMode": 1.5}, "AwbMode = 1.5"),
        ({"AeEnable": 2}, "AeEnable = 2"),
        ({"ColourGains": [1.0, 99.0]}, "ColourGains = [1.0, 99.0]"),
        ({"ScalerCrop": [0, 0, 5000, 100]}, "ScalerCrop = [0, 0, 5000, 100]"),
        ({"ScalerCrop": 5}, "ScalerCrop = 5"),
    ],
)
def test_settings_that_the_camera_cannot_take_are_refused(camera: Peer, controls: dict[str, Any], setting: str) -> None:
    with pytest.raises(Refused) as refused:
        camera.request("capture", {"controls": controls})
    assert refused.value.key == "camera_setting_refused"
    assert refused.value.placeholders == {"setting": setting}
    assert not refused.value.fatal
    with pytest.raises(Refused, match="camera_setting_refused"):
        configure(camera, controls=controls)


@pytest.mark.parametrize(
    "args",
    [
        {"controls": [1]},
        {"controls": {"ExposureTime": "1"}},
        {"controls": {"ExposureTime": None}},
        {"controls": {"ColourGains": []}},
        {"controls": {"ColourGains": [10**400]}},
        {"controls": {"ColourGains": [float("nan")]}},
        {"match": {"exposure_us": -1}},
        {"match": {"gain": "2"}},
        {"match": 5},
    ],
)
def test_captures_that_make_no_sense_are_refused(camera: Peer, args: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        camera.request("capture", args)
    assert refused.value.key == "worker_bad_request"


def test_quality_counts(camera: Peer) -> None:
    coarse = []
    for quality in (90, 10, 50):
        configure(camera, quality=quality)
        coarse.append(sum(take(camera)["picture"].quantization[0]))
    assert coarse[0] < coarse[2] < coarse[1]


def test_small_pictures_are_of_now_and_do_not_change_large_ones(camera: Peer) -> None:
    large = take(camera, FIXED)
    result, blob = camera.request("preview", {"quality": 60})
    picture = Image.open(io.BytesIO(blob))
    picture.load()
    assert list(picture.size) == result["size"] == [320, 240]
    assert result["metadata"]["ExposureTime"] == large["metadata"]["ExposureTime"]
    again = take(camera, FIXED)
    assert again["frames"] <= 4
    assert again["picture"].quantization == large["picture"].quantization != picture.quantization


def test_small_pictures_between_long_exposures_do_not_wait_for_them(camera: Peer) -> None:
    long = {"ExposureTime": 60_000_000, "AnalogueGain": 1.0}
    camera.request("wake", {"controls": long})
    before = time.time()
    assert camera.request("preview")[0]["metadata"]["ExposureTime"] < 1_000_000
    assert time.time() - before < 3.0


def test_what_is_set_while_looking_shows_at_once(camera: Peer) -> None:
    def look(**controls: Any) -> dict[str, Any]:
        for _ in range(10):  # a preview is of now, and does not wait
            told, _blob = camera.request("preview", {"controls": controls})
            assert told["streaming"] is True
        return told["metadata"]

    assert look(**FIXED)["ExposureTime"] == pytest.approx(20_000, rel=0.05)
    assert look(**FIXED, LensPosition=3.0)["LensPosition"] == 3.0
    assert look(ExposureTime=10_000, AnalogueGain=1.0, LensPosition=3.0)["ExposureTime"] == pytest.approx(10_000, rel=0.05)
    assert look(ExposureTime=60_000_000, AnalogueGain=1.0)["ExposureTime"] < 1_000_000


def test_every_reply_tells_whether_the_stream_runs(camera: Peer) -> None:
    long = {"ExposureTime": 2_000_000, "AnalogueGain": 1.0}
    told = [camera.request(op, args)[0]["streaming"] for op, args in (
        ("capture", None), ("restart_stream", None), ("focus_sweep", {"positions": [1]}), ("autofocus", None), ("rest", None),
        ("preview", None), ("capture", {"controls": long}), ("restart_stream", None), ("wake", None), ("focus_sweep", {"positions": [1]}),
    )]  # fmt: skip
    assert told == [True, True, True, True, False, True, False, False, False, True]


def test_without_a_small_stream_there_is_no_preview(camera: Peer) -> None:
    assert configure(camera, preview_size=None)["preview_size"] is None
    with pytest.raises(Refused) as refused:
        camera.request("preview")
    assert (refused.value.key, refused.value.placeholders) == ("camera_cannot", {"what": "preview"})
    take(camera)


def test_a_preview_waits_for_a_capture_that_was_asked_for_later(camera: Peer) -> None:
    running = camera.ask("capture", {"controls": {"ExposureTime": 3_000_000, "AnalogueGain": 1.0}})
    time.sleep(0.2)
    preview, capture = camera.ask("preview"), camera.ask("capture")
    assert [camera.receive()[0]["id"] for _ in range(3)] == [running, capture, preview]


def test_more_than_two_that_wait_are_refused(camera: Peer) -> None:
    running = camera.ask("capture", {"controls": {"ExposureTime": 5_000_000, "AnalogueGain": 1.0}})
    time.sleep(0.2)
    waiting = [camera.ask("preview"), camera.ask("preview")]
    busy = camera.request("ping")[0]
    assert busy["busy_op"] == "capture"
    assert busy["busy_s"] >= 0.1
    with pytest.raises(Refused, match="worker_queue_full"):
        camera.request("preview")
    for number in (running, *waiting):
        camera.answer(number)
    assert camera.request("ping")[0] == {"busy_op": None, "busy_s": 0.0}


def test_opens_again_without_leaving_files_open(camera: Peer, tmp_path: Path) -> None:
    tunings = [str(tmp_path / name) for name in ("one.json", "two.json")]
    for tuning in tunings:
        Path(tuning).write_text("{}")
        configure(camera, tuning=tuning)
    before = camera.request("metrics")[0]["worker_fds"]
    for tuning in tunings * 3:
        configure(camera, tuning=tuning)
        take(camera)
    camera.request("rest")
    assert camera.request("metrics")[0]["worker_fds"] <= before + 6


def test_configures_again_without_leaving_files_open(camera: Peer) -> None:
    sizes = [[1280, 720], [1920, 1080], [640, 480]]
    for size in sizes:
        assert configure(camera, size=size, preview_size=None)["size"] == size
        take(camera)
    before = camera.request("metrics")[0]["worker_fds"]
    for size in sizes * 2:
        configure(camera, size=size, preview_size=None)
        take(camera)
    assert camera.request("metrics")[0]["worker_fds"] <= before + 2


PLANES = """
import base64, importlib.util, json, sys, numpy
spec = importlib.util.spec_from_file_location("worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
planes = numpy.full((270, 352), 99, "uint8")  # 322 x 180, in rows that are longer
planes[:180, :322] = 200
colours = planes[180:].reshape(180, 176)
colours[:90, :161], colours[90:, :161] = 128, 128
colours[45:90, :161] = 60
tags = {"0th": {274: 6, 272: "Camera"}, "Exif": {33434: (10000, 1000000)}}
print(base64.b64encode(worker.planar_jpeg(planes, (322, 180), 90, tags)).decode())
"""


def test_the_planes_of_a_pi_become_a_picture(rigs: Callable[..., Rig]) -> None:
    """The virtual camera has another format; the modules that make the picture are the real ones."""
    done = subprocess.run([str(rigs().python), "-c", PLANES, str(WORKER)], capture_output=True, timeout=60, check=True)
    picture = Image.open(io.BytesIO(base64.b64decode(done.stdout)))
    assert picture.size == (322, 180)
    exif = picture.getexif()
    assert (exif[274], exif[272], exif.get_ifd(0x8769)[33434]) == (6, "Camera", pytest.approx(0.01))
    colours = picture.convert("RGB")
    assert all(abs(part - 200) < 4 for place in ((2, 2), (319, 70)) for part in colours.getpixel(place))  # type: ignore[union-attr]
    assert colours.getpixel((319, 177))[2] < 110  # type: ignore[index]  # less blue
