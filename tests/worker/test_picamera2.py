"""What the virtual camera cannot show, against a stand-in for picamera2; and what the worker makes of errors and clocks."""

from collections.abc import Callable
import errno
import importlib.util
import io
import json
import os
from pathlib import Path
import sys
import time
from types import ModuleType
from typing import Any

from PIL import Image
import pytest

from .peer import WORKER, Peer, Refused

MODULES = Path(__file__).parent / "stand_in"


class StandIn:
    """The stand-in's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"STAND_IN": str(folder), "PYTHONPATH": str(MODULES), "PYTHONDONTWRITEBYTECODE": "1"}
        self.do()

    def do(self, **behaviour: Any) -> None:
        part = self.folder / "behaviour.part"
        part.write_text(json.dumps(behaviour))
        part.replace(self.folder / "behaviour.json")

    def calls(self, name: str) -> list[Any]:
        path = self.folder / "calls"
        return [value for call, value in map(json.loads, path.read_text().splitlines() if path.exists() else ()) if call == name]


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


@pytest.fixture
def peer(stand_in: StandIn, start: Callable[..., Peer]) -> Peer:
    return start(sys.executable, env=stand_in.env)


def configure(peer: Peer, **more: Any) -> dict[str, Any]:
    args = {"backend": "picamera2", "camera": {"index": 0}, "size": [4608, 2592], "quality": 93, "controls": {}, **more}
    return peer.request("configure", args)[0]


def refusal(peer: Peer, op: str, args: dict[str, Any] | None = None, deadline_s: float = 20.0) -> Refused:
    with pytest.raises(Refused) as refused:
        peer.request(op, args, deadline_s)
    return refused.value


def test_raw_data_comes_beside_the_picture(peer: Peer, stand_in: StandIn) -> None:
    assert configure(peer, raw=True)["raw"] is True
    assert stand_in.calls("configuration")[-1]["raw"] == {}
    result, blob = peer.request("capture")
    assert result["parts"] == [["jpeg", 1005], ["dng", 7]]
    assert blob[:3] == b"\xff\xd8\xff"
    assert blob[1005:] == b"II*\0raw"
    assert "dng" in result["timings_ms"]
    assert configure(peer)["raw"] is False
    assert stand_in.calls("configuration")[-1]["raw"] is None
    assert peer.request("capture")[0]["parts"] == [["jpeg", 1005]]


def test_raw_data_is_not_packed_where_unpacking_would_be_slow(stand_in: StandIn, start: Callable[..., Peer]) -> None:
    stand_in.do(platform="PISP")
    peer = start(sys.executable, env=stand_in.env)
    configure(peer, raw=True)
    assert stand_in.calls("configuration")[-1]["raw"] == {"format": "SRGGB10"}


@pytest.mark.parametrize(
    ("dng", "error"), [("broken", "ValueError: the raw data is upside down"), ("nothing", "ValueError: picamera2 gave no DNG")]
)
def test_raw_data_that_fails_does_not_cost_the_picture(peer: Peer, stand_in: StandIn, dng: str, error: str) -> None:
    configure(peer, raw=True)
    stand_in.do(dng=dng)
    result, blob = peer.request("capture")
    assert (result["parts"], len(blob), result["dng_error"]) == ([["jpeg", 1005]], 1005, error)


def test_the_configuration_is_one_for_good_stills(peer: Peer, stand_in: StandIn) -> None:
    assert configure(peer, preview_size=[801, 601], hflip=True, size=[4609, 2593])["preview_size"] == [800, 600]
    given = stand_in.calls("configuration")[-1]
    assert given["main"] == {"format": "YUV420", "size": [4608, 2592]}
    assert given["lores"] == {"format": "YUV420", "size": [800, 600]}
    assert (given["buffer_count"], given["transform"]) == (3, "flips (1, 0)")
    configure(peer, preview_size=[800, 600], size=[640, 480], vflip=True)
    given = stand_in.calls("configuration")[-1]
    assert (given["lores"]["size"], given["transform"]) == ([640, 480], "flips (0, 1)")  # never larger than the picture
    configure(peer, size=None)
    given = stand_in.calls("configuration")[-1]
    assert (given["main"]["size"], given["buffer_count"]) == ([4608, 2592], 2)
    assert len(stand_in.calls("open")) == 1  # it stays open


def test_a_small_stream_that_is_impossible_is_left_out(peer: Peer, stand_in: StandIn) -> None:
    stand_in.do(no_lores=True)
    assert configure(peer, preview_size=[640, 480])["preview_size"] is None
    assert refusal(peer, "preview").key == "camera_cannot"
    peer.request("capture")


def test_pictures_carry_whole_exif_directories(peer: Peer, stand_in: StandIn) -> None:
    configure(peer, preview_size=[640, 480], orientation=8, exif={"make": "Raspberry Pi", "model": "Camera Module 3"}, quality=71)
    stand_in.do(metadata={"DigitalGain": 1.5})
    result, _ = peer.request("capture", {"controls": {"ExposureTime": 40_000, "AnalogueGain": 2.0}})
    stream, kind, quality, exif = stand_in.calls("save")[-1]
    assert (stream, kind, quality) == ("main", "jpeg", 71)
    local = time.strftime("%Y:%m:%d %H:%M:%S", time.localtime(result["taken_at"]))
    assert exif == {
        "0th": {"271": "Raspberry Pi", "272": "Camera Module 3", "274": 8, "305": "Skylapse", "306": local},
        "Exif": {"36867": local, "33434": [40_000, 1_000_000], "34855": 300},
    }
    assert result["metadata"]["ScalerCrop"] == [1, 2, 3, 4]
    assert result["metadata"]["Odd"] is None
    peer.request("preview", {"quality": 33})
    assert stand_in.calls("save")[-1][:3] == ["lores", "jpeg", 33]
    peer.request("capture")
    assert stand_in.calls("save")[-1][2] == 71


@pytest.mark.parametrize("ancient", [False, True])
def test_the_pictures_of_a_pi_are_whole_with_any_picamera2(stand_in: StandIn, start: Callable[..., Peer], ancient: bool) -> None:
    stand_in.do(ancient=ancient, format="YUV420")
    peer = start(sys.executable, env=stand_in.env)
    configure(peer, size=[642, 486], preview_size=[322, 246], orientation=6, raw=True)
    result, blob = peer.request("capture")
    small, _ = peer.request("preview")[::-1]
    for jpeg, size in ((blob[: result["parts"][0][1]], (642, 486)), (small, (322, 246))):
        assert jpeg[2:12] == b"\xff\xe1\x00\x08Exif\0\0"
        picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
        assert picture.size == size
        width, height = size
        places = [(x, y) for x in (2, width - 3) for y in (2, height // 2 - 12)]
        assert all(abs(part - 128) < 4 for place in places for part in picture.getpixel(place))  # type: ignore[union-attr]
        red, green, blue = picture.getpixel((width - 3, height - 3))  # type: ignore[misc]
        assert green > 190
        assert max(red, blue) < 60
    assert [tags["0th"]["274"] for tags in stand_in.calls("exif")] == [6, 6]
    assert not stand_in.calls("save")
    if ancient:
        assert result["dng_error"] == "ValueError: this picamera2 is too old for raw data"
        assert not stand_in.calls("file")


def test_nobody_waits_for_a_frame_that_was_given_up(stand_in: StandIn, start: Callable[..., Peer]) -> None:
    """Else it came later, were never given back, and one buffer less went round."""
    stand_in.do(ancient=True, silent=True, format="YUV420")
    peer = start(sys.executable, env=stand_in.env)
    configure(peer)
    for _ in range(2):
        assert refusal(peer, "capture", deadline_s=0.5).key == "camera_timeout"
    assert stand_in.calls("waiting") == [1, 1]
    stand_in.do()
    assert peer.request("restart_stream")[0] == {"streaming": True}


def test_half_a_jpeg_is_no_picture_and_no_frame_is_kept(peer: Peer, stand_in: StandIn) -> None:
    configure(peer, preview_size=[640, 480])
    stand_in.do(jpeg_bytes=500)
    for op in ("capture", "preview"):
        refused = refusal(peer, op)
        assert (refused.key, refused.placeholders) == ("camera_failed", {"error": "picamera2 gave no whole JPEG"})
    stand_in.do()
    peer.request("capture")
    assert stand_in.calls("out")[-1] == 0
    assert max(stand_in.calls("out")) <= 1


def test_the_sensors_own_hdr_is_switched_before_the_camera_is_opened(peer: Peer, stand_in: StandIn) -> None:
    for wanted in (True, True, False):
        configure(peer, sensor_hdr=wanted)
    assert stand_in.calls("hdr of") == [7, 7]
    assert stand_in.calls("hdr") == [True, False]
    stand_in.do(no_hdr=True)
    with pytest.raises(Refused, match="camera_cannot"):
        configure(peer, sensor_hdr=True)
    configure(peer)  # what cannot be switched on is not on


def test_modes_are_told_without_the_sensors_own_hdr(peer: Peer, stand_in: StandIn) -> None:
    """It stays on in the sensor's driver, and has one mode only; a camera that is in use is left alone."""
    peer.request("probe")
    assert stand_in.calls("hdr") == []
    stand_in.do(resolution=[2304, 1296])
    peer.request("probe")
    assert (stand_in.calls("hdr"), len(stand_in.calls("open")), len(stand_in.calls("close"))) == ([False], 3, 3)
    stand_in.do(resolution=[2304, 1296], open_error="Device or resource busy")
    assert peer.request("probe")[0]["cameras"][0]["error"]["key"] == "camera_busy_elsewhere"
    assert stand_in.calls("hdr") == [False]


def test_another_tuning_lets_libcamera_look_again(peer: Peer, stand_in: StandIn, tmp_path: Path) -> None:
    tuning = tmp_path / "own.json"
    tuning.write_text("{}")
    for wanted in (None, str(tuning), str(tuning), None):
        configure(peer, tuning=wanted)
    assert stand_in.calls("reset") == [str(tuning), None]
    assert stand_in.calls("open") == [[0, None], [0, str(tuning)], [0, None]]


def test_modes_are_told_once_each(peer: Peer) -> None:
    camera = peer.request("probe")[0]["cameras"][0]
    assert camera["raw"] is True
    assert camera["pixel_array"] == [4608, 2592]
    assert camera["modes"] == [
        {"size": [2304, 1296], "bit_depth": 12, "fps": 30.0, "exposure_us": None},
        {"size": [4608, 2592], "bit_depth": 10, "fps": 14.35, "exposure_us": None},
    ]


@pytest.mark.parametrize(
    ("error", "key"),
    [
        ("IndexError", "camera_missing"),
        ("PermissionError", "camera_denied"),
        ("Could not open any dmaHeap device", "camera_denied"),
        ("No camera number 0 found", "camera_missing"),
        ("Camera(s) not found (Do not forget to disable legacy camera with raspi-config).", "camera_missing"),
    ],
)
def test_ways_not_to_be_opened(peer: Peer, stand_in: StandIn, error: str, key: str) -> None:
    stand_in.do(open_error=error)
    with pytest.raises(Refused, match=key):
        configure(peer)
    assert peer.request("probe")[0]["cameras"][0]["error"]["key"] == key
    stand_in.do()
    configure(peer)


def test_memory_that_is_short_for_a_moment_only_costs_a_second_try(peer: Peer, stand_in: StandIn) -> None:
    stand_in.do(short="once")
    configure(peer, preview_size=[640, 480])
    assert (len(stand_in.calls("open")), len(stand_in.calls("close"))) == (2, 1)
    peer.request("capture")
    stand_in.do(short="always")
    with pytest.raises(Refused, match="camera_memory"):
        configure(peer)
    assert len(stand_in.calls("open")) == len(stand_in.calls("close")) == 3


def test_a_stream_that_does_not_start_is_told(peer: Peer, stand_in: StandIn) -> None:
    configure(peer)
    stand_in.do(start_error="Failed to start camera: Cannot allocate memory")
    assert refusal(peer, "capture").key == "camera_memory"
    stand_in.do(start_error="Failed to start camera: Broken pipe")
    refused = refusal(peer, "capture")
    assert (refused.key, refused.placeholders) == ("camera_failed", {"error": "RuntimeError: Failed to start camera: Broken pipe"})
    stand_in.do()
    peer.request("capture")


def test_an_event_loop_that_died_needs_another_process(peer: Peer, stand_in: StandIn) -> None:
    configure(peer)
    stand_in.do(silent=True)
    refused = refusal(peer, "capture", deadline_s=0.5)
    assert (refused.key, refused.fatal) == ("camera_timeout", True)
    assert stand_in.calls("cancel") == [None]


@pytest.mark.parametrize(
    ("metadata", "hunting", "frames"),
    [
        ({"AeState": 2}, False, 2),
        ({"AeState": 3}, False, 2),
        ({"AeLocked": True}, False, 2),
        ({}, False, 2),
        ({"AeState": 1}, False, 12),
        ({"AeLocked": False}, False, 12),
        ({"AeState": 2}, True, 12),
    ],
)
def test_the_automatic_is_waited_for_but_not_for_ever(
    peer: Peer, stand_in: StandIn, metadata: dict[str, Any], hunting: bool, frames: int
) -> None:
    stand_in.do(metadata=metadata, hunting=hunting)
    configure(peer)
    assert peer.request("capture")[0]["frames"] == frames
    assert peer.request("capture")[0]["frames"] == 1


@pytest.mark.parametrize(
    ("wanted", "told", "proven"),
    [
        ((250, 2.0), (229, 2.0), True),  # imx477, lines of 28.6 µs
        ((250, 2.0), (200, 2.0), False),
        ((250, 2.0), (265, 2.0), False),
        ((10_000, 1.06), (9_995, 1.0), True),  # ov5647, sixteenths
        ((10_000, 1.2), (9_995, 1.1), False),
        ((10_000, 2.0), (9_400, 2.0), False),
    ],
)
def test_the_steps_of_a_sensor_are_known(
    peer: Peer, stand_in: StandIn, wanted: tuple[int, float], told: tuple[int, float], proven: bool
) -> None:
    configure(peer)
    peer.request("capture")
    stand_in.do(metadata={"ExposureTime": told[0], "AnalogueGain": told[1]})
    args = {"controls": {"ExposureTime": wanted[0], "AnalogueGain": wanted[1]}}
    if not proven:
        assert refusal(peer, "capture", args).key == "exposure_not_reached"
        return
    changed, again = (peer.request("capture", args)[0]["frames"] for _ in range(2))
    # where another number of lines would look as close, frames of before the change are out of the question
    assert changed == 8 if wanted[0] < 800 else changed <= 3
    assert again <= 3  # as many as began before they were asked for


def test_what_is_cut_out_is_cut_out_of_both_streams_from_the_first_frame_on(peer: Peer, stand_in: StandIn) -> None:
    crop = [1152, 648, 2304, 1296]
    configure(peer, preview_size=[640, 480])
    peer.request("capture")
    assert "ScalerCrops" not in stand_in.calls("controls")[-1]
    configure(peer, preview_size=[640, 480])
    peer.request("capture", {"controls": {"ScalerCrop": crop}})
    assert stand_in.calls("controls")[-1] == {"ScalerCrop": crop, "ScalerCrops": [crop, crop]}
    peer.request("rest")
    peer.request("capture", {"controls": {"ScalerCrop": crop}})
    assert stand_in.calls("controls")[-1] == {"ScalerCrop": crop}  # what picamera2 wants is gone
    configure(peer)
    peer.request("capture", {"controls": {"ScalerCrop": crop}})
    assert stand_in.calls("controls")[-1] == {"ScalerCrop": crop}


def test_a_frame_that_is_not_quite_settled_is_better_than_none(peer: Peer, stand_in: StandIn) -> None:
    stand_in.do(metadata={"AeState": 1, "FrameDuration": 8_000_000})
    configure(peer)
    assert peer.request("capture", deadline_s=15.0)[0]["frames"] == 1


def test_a_long_exposure_is_fresh_by_a_clock_that_is_a_little_off(peer: Peer, stand_in: StandIn) -> None:
    configure(peer)
    args = {"controls": {"ExposureTime": 100_000_000, "AnalogueGain": 1.0, "ColourGains": [2.0, 2.0]}}
    for early_s, frames in ((0.5, 1), (30.0, None)):
        stand_in.do(metadata={"SensorTimestamp": time.monotonic_ns() + round((100 - early_s) * 1e9)})
        if frames is None:  # a first frame that was read at once, whatever is told of it
            assert refusal(peer, "capture", args, 0.5).key == "camera_timeout"
        else:
            assert peer.request("capture", args)[0]["frames"] == frames


@pytest.mark.parametrize(("own", "patient"), [(False, False), (True, True)])
def test_a_tuning_that_exposes_for_long_is_given_the_time(peer: Peer, stand_in: StandIn, tmp_path: Path, own: bool, patient: bool) -> None:
    tuning = tmp_path / "night.json"
    tuning.write_text("{}")
    configure(peer, tuning=str(tuning) if own else None)
    stand_in.do(late_s=7.5)
    if patient:
        peer.request("capture")
    else:
        assert refusal(peer, "capture").key == "camera_timeout"


def test_the_automatic_may_go_on_with_long_frames_after_a_rest(peer: Peer, stand_in: StandIn) -> None:
    stand_in.do(metadata={"FrameDuration": 2_000_000})
    configure(peer)
    peer.request("capture")
    peer.request("rest")
    stand_in.do(late_s=7.5)
    peer.request("capture")


def test_controls_that_got_lost_are_sent_again(peer: Peer, stand_in: StandIn) -> None:
    configure(peer)
    peer.request("capture")
    stand_in.do(metadata={"ExposureTime": 2_000, "AnalogueGain": 1.0})
    wanted = {"ExposureTime": 50_000, "AnalogueGain": 2.0}
    assert refusal(peer, "capture", {"controls": wanted}).key == "exposure_not_reached"
    assert stand_in.calls("controls")[1:] == [wanted, wanted]


def test_the_automatic_is_waited_for_again_after_manual(peer: Peer, stand_in: StandIn) -> None:
    configure(peer)
    stand_in.do(metadata={"AeState": 0})
    manual = {"ExposureTime": 3_000, "AnalogueGain": 2.0}
    assert peer.request("capture", {"controls": manual})[0]["frames"] == 1
    stand_in.do(metadata={"AeState": 1})
    assert peer.request("capture")[0]["frames"] == 12
    assert peer.request("capture")[0]["frames"] == 1


def test_long_exposures_have_their_colours_fixed(peer: Peer, stand_in: StandIn) -> None:
    configure(peer)
    long = {"ExposureTime": 1_000_000, "AnalogueGain": 2.0, "AwbEnable": True}
    stand_in.do(metadata={"ColourGains": [2.2, 1.6], "SensorTimestamp": time.monotonic_ns() + 60_000_000_000})
    assert peer.request("capture", {"controls": long})[0]["frames"] == 1
    learnt, taken = stand_in.calls("controls")
    assert learnt == {"ExposureTime": 100_000, "AnalogueGain": 2.0, "AwbEnable": True}
    assert taken == {"ExposureTime": 1_000_000, "AnalogueGain": 2.0, "ColourGains": [2.2, 1.6]}
    peer.request("capture", {"controls": long})
    assert stand_in.calls("controls")[2:] == [taken]  # they are known now
    peer.request("capture", {"controls": {"AwbEnable": True}})
    assert stand_in.calls("controls")[-1] == {"ExposureTime": 0, "AnalogueGain": 0, "AwbEnable": True}


@pytest.mark.parametrize("boottime", [False, True])
def test_a_frames_time_is_right_by_either_clock(peer: Peer, stand_in: StandIn, boottime: bool) -> None:
    stand_in.do(boottime=boottime, metadata={"ExposureTime": 200_000})
    configure(peer)
    before = time.time()
    assert before - 0.3 < peer.request("capture")[0]["taken_at"] + 0.2 < time.time()


def test_a_lens_that_does_not_tell_where_it_is_is_given_time(peer: Peer, stand_in: StandIn) -> None:
    stand_in.do(metadata={"FocusFoM": 5})
    configure(peer, controls={"AfMode": 0, "LensPosition": 4.0})
    steps = peer.request("focus_sweep", {"positions": [1, 2]})[0]["steps"]
    assert [(step["lens_position"], step["sharpness"]) for step in steps] == [(None, 5.0), (None, 5.0)]
    assert stand_in.calls("controls")[-1] == {"AfMode": 0, "LensPosition": 4.0}


def test_a_tuning_without_autofocus_is_told(peer: Peer, stand_in: StandIn) -> None:
    stand_in.do(metadata={"AfState": 0, "LensPosition": 1.0})
    configure(peer)
    refused = refusal(peer, "autofocus")
    assert (refused.key, refused.placeholders) == ("camera_cannot", {"what": "autofocus"})
    assert stand_in.calls("controls")[-1] == {"AfMode": 0, "LensPosition": 1.0}
    for state, success in ((2, True), (3, False)):
        stand_in.do(metadata={"AfState": state, "LensPosition": 2.0})
        assert peer.request("autofocus")[0]["success"] is success


# ---- without a process


@pytest.fixture
def worker() -> ModuleType:
    """The worker's source as a module."""
    spec = importlib.util.spec_from_file_location("worker_under_test", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_clock_that_a_frame_was_stamped_with_is_recognised_after_a_suspend(worker: ModuleType, monkeypatch: Any) -> None:
    now, suspended = time.monotonic_ns(), 3_600_000_000_000
    monkeypatch.setattr(worker.time, "monotonic_ns", lambda: now)
    monkeypatch.setattr(worker.time, "clock_gettime_ns", lambda _: now + suspended)
    for clock in (now, now + suspended):
        for age in (0, 30_000_000, 5_000_000_000):
            assert worker.exposure_began({"SensorTimestamp": clock - age, "ExposureTime": 20_000}) == now - age - 20_000_000
    assert worker.exposure_began({}) == now


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (MemoryError(), "camera_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "camera_memory"),
        (chained(RuntimeError("Camera __init__ sequence did not complete."), RuntimeError("Failed to acquire camera: Device or resource busy")),
         "camera_busy_elsewhere"),
        (chained(RuntimeError("Camera __init__ sequence did not complete."), PermissionError(13, "Permission denied")), "camera_denied"),
        (RuntimeError("Control ExposureTime is not advertised by libcamera"), "camera_setting_refused"),
        (ImportError("libcamera.so.0.7: cannot open shared object file"), "picamera2_missing"),
        (ValueError(), "camera_failed"),
        (ValueError("x" * 500), "camera_failed"),
    ],
)  # fmt: skip
def test_errors_are_recognised(worker: ModuleType, error: Exception, key: str) -> None:
    failure = worker.explain(error)
    assert failure.key == key
    assert all(len(str(value)) <= 200 for value in failure.placeholders.values())
    if key == "camera_setting_refused":
        assert failure.placeholders == {"setting": "ExposureTime"}


def test_the_innermost_cause_is_told(worker: ModuleType) -> None:
    error = chained(RuntimeError("did not complete"), RuntimeError("the cable is loose\nsecond line"))
    assert worker.explain(error).placeholders == {"error": "RuntimeError: the cable is loose"}


def test_a_dead_process_with_a_thread_in_the_kernel_is_unkillable(worker: ModuleType, monkeypatch: Any) -> None:
    states = {"/proc/5/stat": "5 (python3 (x) ) Z 1 2", "/proc/5/task/5/stat": "5 (python3) Z 1", "/proc/5/task/6/stat": "6 (camera) D 1"}
    monkeypatch.setattr(worker, "read", states.get)
    monkeypatch.setattr(worker, "listed", lambda path: ["5", "6"] if path == "/proc/5/task" else [])
    assert worker.process_state(5) == "D"
    states["/proc/5/task/6/stat"] = "6 (camera) S 1"
    assert worker.process_state(5) == "Z"
    assert worker.process_state(6) is None
    assert worker.process_state(os.getpid()) is None


def test_a_holder_that_the_kernel_holds_needs_a_restart_of_the_machine(worker: ModuleType, monkeypatch: Any) -> None:
    busy = worker.Failure("camera_busy_elsewhere", holder="?", pid="?")
    monkeypatch.setattr(worker, "holder_of", lambda: None)
    assert worker.busy(busy) is busy
    monkeypatch.setattr(worker, "holder_of", lambda: (77, "motion"))
    for states, key in ((["S"], "camera_busy_elsewhere"), (["D", "S"], "camera_busy_elsewhere"), (["D", "D"], "camera_needs_reboot")):
        told = iter(states)
        monkeypatch.setattr(worker, "process_state", lambda _, told=told: next(told))
        failure = worker.busy(busy)
        assert failure.key == key
        assert failure.placeholders["pid"] == 77


def test_devices_that_may_not_be_opened_are_told_from_none(worker: ModuleType, monkeypatch: Any) -> None:
    monkeypatch.setattr(worker, "listed", lambda _: ["media0", "null"])
    monkeypatch.setattr(worker.os, "access", lambda *_: False)
    assert worker.no_camera().key == "camera_denied"
    monkeypatch.setattr(worker.os, "access", lambda *_: True)
    assert worker.no_camera().key == "camera_missing"
