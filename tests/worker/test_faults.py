"""A camera that hangs, or takes the worker down with it."""

from collections.abc import Callable
from pathlib import Path
import signal
import sys
import time
from typing import Any

import pytest

from tests.rig.machine import Rig

from .conftest import configure, configured
from .peer import WORKER, Ended, Peer, Refused


def refusal(peer: Peer, op: str, args: dict[str, Any] | None = None, deadline_s: float = 2.0) -> Refused:
    with pytest.raises(Refused) as refused:
        peer.request(op, args, deadline_s)
    return refused.value


@pytest.mark.parametrize(("fault", "code"), [("abort", -signal.SIGABRT), ("segv", -signal.SIGSEGV), ("exit", 42)])
def test_a_crash_ends_the_worker_and_frees_the_camera(rigs: Callable[..., Rig], start: Any, fault: str, code: int) -> None:
    machine = rigs(time_scale=0.2)
    peer = configured(start(machine.python))
    peer.request("capture")
    machine.control(fault=fault)
    number = peer.ask("capture", {"controls": {"ExposureTime": 900_000, "AnalogueGain": 1.0}})
    with pytest.raises(Ended):
        peer.answer(number)
    assert peer.exit_code() == code
    machine.control()
    after = configured(start(machine.python))
    after.request("capture")


def test_pings_are_answered_while_a_capture_hangs(pi: Rig, camera: Peer) -> None:
    camera.request("capture")
    pi.control(fault="hang")
    time.sleep(0.2)
    began = time.monotonic()
    number = camera.ask("capture", deadline_s=2.0)
    time.sleep(0.1)
    slowest = 0.0
    for _ in range(10):
        asked = time.monotonic()
        assert camera.request("ping")[0]["busy_op"] == "capture"
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.05)
    assert slowest < 0.5
    assert camera.request("metrics")[0]["worker_threads"] >= 4
    with pytest.raises(Refused) as refused:
        camera.answer(number)
    assert refused.value.key == "camera_timeout"
    assert not refused.value.fatal
    assert float(refused.value.placeholders["deadline_s"]) == pytest.approx(2.0, abs=0.2)
    assert time.monotonic() - began < 2.5
    pi.control()
    camera.request("capture")  # the frames go on, and so does the worker


def test_a_stalled_stream_goes_on_after_a_restart(pi: Rig, camera: Peer) -> None:
    camera.request("capture")
    pi.control(fault="stall")
    time.sleep(0.2)
    assert refusal(camera, "capture").key == "camera_timeout"
    assert camera.request("restart_stream") == ({"streaming": True}, b"")
    began = time.monotonic()
    camera.request("capture")
    assert time.monotonic() - began < 1.0


def test_a_stream_that_is_silent_is_given_up_before_a_long_deadline(pi: Rig, camera: Peer) -> None:
    """So that there is time left for a restart."""
    camera.request("capture")
    pi.control(fault="stall")
    time.sleep(0.2)
    began = time.monotonic()
    assert refusal(camera, "capture", deadline_s=60.0).key == "camera_timeout"
    assert time.monotonic() - began < 8.0


QUICK = WORKER.read_bytes().replace(b"STIFF_S = (5.0, 15.0)", b"STIFF_S = (1.0, 3.0)")


@pytest.mark.parametrize("op", ["restart_stream", "rest", "configure"])
def test_a_worker_that_is_frozen_in_libcamera_is_ended_by_the_kernel(pi: Rig, start: Any, op: str) -> None:
    """Real libcamera stops a stream with Python's lock in its hands: no thread of Python can do anything about it."""
    assert WORKER.read_bytes() != QUICK
    camera = configured(start(pi.python, source=QUICK))
    camera.request("capture")
    pi.control(fault="stuck")
    time.sleep(0.2)
    began = time.monotonic()
    number = camera.ask(op, {"backend": "picamera2", "camera": {"index": 0}, "size": [640, 480]}, 1.0)
    with pytest.raises(Ended):
        camera.answer(number)
    assert camera.exit_code() == -signal.SIGALRM
    assert time.monotonic() - began < 2.9
    pi.control()
    configured(start(pi.python)).request("capture")


def test_a_worker_that_only_waits_is_left_alone(pi: Rig, start: Any) -> None:
    camera = configured(start(pi.python, source=QUICK))
    time.sleep(1.5)
    pi.control(fault="hang")
    assert refusal(camera, "capture", deadline_s=4.0).key == "camera_timeout"
    pi.control()
    camera.request("capture", {"controls": {"ExposureTime": 18_000_000, "AnalogueGain": 1.0}}, 20.0)


def test_a_camera_that_never_comes_back_has_its_requests_answered(start: Any, tmp_path: Path) -> None:
    """Where libcamera hangs without Python's lock; here picamera2 does so while it is imported."""
    (tmp_path / "picamera2.py").write_text("import time\ntime.sleep(60)\n")
    peer = start(sys.executable, env={"PYTHONPATH": str(tmp_path)})
    began = time.monotonic()
    number = peer.ask("probe", deadline_s=2.0)
    time.sleep(0.3)
    later = peer.ask("configure", {"backend": "picamera2"}, 0.5)
    with pytest.raises(Refused) as refused:
        peer.answer(later)  # its turn never came
    assert (refused.value.key, refused.value.fatal) == ("camera_timeout", False)
    assert peer.request("ping")[0]["busy_op"] == "probe"
    with pytest.raises(Refused) as refused:
        peer.answer(number)
    assert (refused.value.key, refused.value.fatal) == ("camera_timeout", True)
    assert refused.value.placeholders == {"deadline_s": 2.0}
    assert time.monotonic() - began < 2.5
    assert peer.request("bye") == ({}, b"")  # although the camera cannot be closed
    assert peer.exit_code(1.0) == 0
    assert time.monotonic() - began < 6.0


def test_a_worker_that_is_killed_leaves_the_camera_to_the_next(pi: Rig, camera: Peer, start: Any) -> None:
    camera.request("capture")
    pi.control(fault="hang")
    number = camera.ask("capture")
    time.sleep(0.2)
    camera.process.send_signal(signal.SIGTERM)
    assert camera.exit_code(1.0) == -signal.SIGTERM
    assert number
    pi.control()
    began = time.monotonic()
    configured(start(pi.python)).request("capture")
    assert time.monotonic() - began < 5.0


def test_the_end_of_its_input_ends_a_worker_whose_camera_hangs(pi: Rig, camera: Peer) -> None:
    camera.request("capture")
    pi.control(fault="hang")
    camera.ask("capture")
    time.sleep(0.2)
    camera.close_input()
    assert camera.exit_code(1.0) == 0


def test_a_long_exposure_is_not_taken_for_silence(pi: Rig, start: Any) -> None:
    pi.change(time_scale=1.0)
    camera = configured(start(pi.python))
    result, _ = camera.request("capture", {"controls": {"ExposureTime": 3_000_000, "AnalogueGain": 1.0}}, 20.0)
    assert result["metadata"]["ExposureTime"] == pytest.approx(3_000_000, rel=0.05)


def test_hundreds_of_frames_cost_neither_threads_nor_files(camera: Peer) -> None:
    def resources() -> tuple[int, int]:
        told = camera.request("metrics")[0]
        return told["worker_fds"], told["worker_threads"]

    for _ in range(20):
        camera.request("capture")
    before = resources()
    for number in range(300):
        camera.request("capture", {"controls": {"ExposureTime": 20_000 if number % 50 else 1_000_000, "AnalogueGain": 1.0}})
    after = resources()  # of a frame that is under way, a few may be open
    assert after[0] <= before[0] + 4
    assert after[1] <= before[1] + 1


# ---- the lens


def test_a_focus_sweep_finds_where_it_is_sharp_and_puts_the_lens_back(rig: Callable[..., Rig], start: Any) -> None:
    camera = configured(start(rig(time_scale=0.2, focus_peak=3.0).python))
    fixed = {"ExposureTime": 20_000, "AnalogueGain": 2.0, "AfMode": 0, "LensPosition": 0.5}
    assert camera.request("capture", {"controls": fixed})[0]["metadata"]["LensPosition"] == 0.5
    result, blob = camera.request("focus_sweep", {"positions": [0, 1, 2.5, 3, 4, 8]})
    assert blob == b""
    assert result["best"] == 3
    assert [step["position"] for step in result["steps"]] == [0, 1, 2.5, 3, 4, 8]
    for step in result["steps"]:
        assert step["lens_position"] == pytest.approx(step["position"], abs=0.05)
        assert step["sharpness"] == step["focus_fom"] > 0
    sharpness = [step["sharpness"] for step in result["steps"]]
    assert sharpness.index(max(sharpness)) == 3
    assert sharpness[0] < sharpness[1] < sharpness[3] > sharpness[4] > sharpness[5]
    assert camera.request("capture")[0]["metadata"]["LensPosition"] == 0.5


def test_sharpness_is_measured_where_the_camera_does_not(rig: Callable[..., Rig], start: Any) -> None:
    peer = start(rig(time_scale=0.2, without=["focus_measure"]).python)
    for preview_size in ([320, 240], None):
        configure(peer, preview_size=preview_size)
        steps = peer.request("focus_sweep", {"positions": [0, 2]})[0]["steps"]
        assert [step["focus_fom"] for step in steps] == [None, None]
        assert all(step["sharpness"] >= 0 for step in steps)
    peer.request("capture")


def test_autofocus_finds_the_sharp_place_and_stays_there(rig: Callable[..., Rig], start: Any) -> None:
    camera = configured(start(rig(time_scale=0.2, focus_peak=3.0).python))
    camera.request("capture")
    for _ in range(2):  # the second time it is in focus from the start
        result, _ = camera.request("autofocus")
        assert result["success"] is True
        assert result["lens_position"] == pytest.approx(3.0, abs=0.2)
        assert result["duration_ms"] > 0
    for _ in range(2):
        assert camera.request("capture")[0]["metadata"]["LensPosition"] == result["lens_position"]


def test_autofocus_tells_when_nothing_is_sharp(rig: Callable[..., Rig], start: Any) -> None:
    camera = configured(start(rig(time_scale=0.2, focus_peak=None).python))
    assert camera.request("autofocus")[0]["success"] is False
    camera.request("capture")


def test_a_focus_sweep_between_long_exposures_does_not_wait_for_them(camera: Peer) -> None:
    long = {"ExposureTime": 60_000_000, "AnalogueGain": 1.0, "LensPosition": 4.0}
    camera.request("wake", {"controls": long})
    began = time.monotonic()
    camera.request("focus_sweep", {"positions": [0, 1], "controls": long})
    camera.request("autofocus", {"controls": long})
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("op", ["focus_sweep", "autofocus"])
def test_without_a_lens_motor_there_is_no_focusing(rig: Callable[..., Rig], start: Any, op: str) -> None:
    camera = configured(start(rig(time_scale=0.2, cameras=["imx477"]).python))
    refused = refusal(camera, op, {"positions": [1.0]})
    assert (refused.key, refused.placeholders) == ("camera_cannot", {"what": op})
    camera.request("capture")


@pytest.mark.parametrize(
    ("positions", "key"),
    [
        (None, "worker_bad_request"),
        ([], "worker_bad_request"),
        (["near"], "worker_bad_request"),
        ([True], "worker_bad_request"),
        ([1.0] * 101, "worker_bad_request"),
        ([1.0, 99.0], "camera_setting_refused"),
    ],
)
def test_focus_sweeps_that_make_no_sense_are_refused(camera: Peer, positions: Any, key: str) -> None:
    assert refusal(camera, "focus_sweep", {"positions": positions}).key == key


def test_a_sweep_that_hangs_ends_at_its_deadline(pi: Rig, camera: Peer) -> None:
    camera.request("capture")
    pi.control(fault="hang")
    time.sleep(0.2)
    assert refusal(camera, "focus_sweep", {"positions": [0, 1]}).key == "camera_timeout"
    pi.control()
    camera.request("capture")
