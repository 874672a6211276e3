"""The rig's faults really happen, as they happen on a Pi."""

import subprocess
import time

import pytest

from tests.rig.fixtures import MakeRig
from tests.rig.machine import Rig
from tests.rig.programs import BEGIN, OPEN, run, told

_WAIT = """
still()
frame()
tell(ready=True)
sys.stdin.readline()
"""
_TRY = """
from concurrent.futures import TimeoutError
def tries(wait=1.0):
    try:
        return bool(frame(wait=wait))
    except TimeoutError:
        camera.cancel_all_and_flush()
        return False
"""
_OPENING = """
try:
    camera = Picamera2(0)
except Exception as error:
    tell(error=str(error), cause=str(error.__cause__))
else:
    camera.close()
    tell(error=None)
"""


def start(rig: Rig, program: str) -> subprocess.Popen[str]:
    """Start a program and wait for its first line."""
    process = subprocess.Popen(
        [rig.python, "-u", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    assert told(process.stdout.readline())
    return process


@pytest.mark.parametrize(("fault", "code"), [("abort", -6), ("segv", -11), ("exit", 42)])
def test_a_process_dies(rigs: MakeRig, fault: str, code: int) -> None:
    rig = rigs()
    process = start(rig, OPEN + _WAIT)
    rig.control(0, f"{fault} once")
    with process:
        assert process.wait(30) == code
    assert rig.faults_left == ""
    assert run(rig, "still()\ntell(frame=frame())\ncamera.close()").told["frame"]


def test_no_more_frames(rigs: MakeRig) -> None:
    """The stream can be stopped and started, but that does not help; another process is well."""
    rig = rigs()
    done = run(
        rig,
        f"""{_TRY}
still()
before = tries(10)
open({str(rig.folder / "control")!r}, "w").write("0 hang once")
time.sleep(0.2)
hung = tries()
camera.stop()
camera.start()
tell(before=before, hung=hung, restarted=tries())
os._exit(0)
""",
    )
    assert done.code == 0, done.error
    assert done.told == {"before": True, "hung": False, "restarted": False}
    assert run(rig, "still()\ntell(frame=frame())\ncamera.close()").told["frame"]


def test_a_stall_that_a_new_start_of_the_stream_heals(rigs: MakeRig) -> None:
    rig = rigs()
    done = run(
        rig,
        f"""{_TRY}
still()
tries(10)
open({str(rig.folder / "control")!r}, "w").write("0 stall")
time.sleep(0.2)
stalled = tries()
camera.stop()
camera.start()
tell(stalled=stalled, restarted=tries(10))
camera.close()
""",
    )
    assert done.code == 0, done.error
    assert done.told == {"stalled": False, "restarted": True}


def test_a_stream_that_does_not_stop(rig: MakeRig) -> None:
    machine = rig()
    process = start(machine, f"{OPEN}{_WAIT}camera.stop()\ntell(stopped=True)\n")
    machine.control(0, "stuck")
    time.sleep(0.3)
    with process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate("\n", timeout=2)
        process.kill()


def test_a_lock_between_processes(rigs: MakeRig) -> None:
    rig = rigs()
    process = start(rig, OPEN + _WAIT)
    done = run(rig, _OPENING, begin=BEGIN)
    assert done.told["error"] == "Camera __init__ sequence did not complete."
    assert done.told["cause"] == "Failed to acquire camera: Device or resource busy"
    assert "Pipeline handler in use by another process" in done.error
    with process:
        process.kill()  # as a worker is: it does not let go itself
        process.wait(10)
    assert run(rig, _OPENING, begin=BEGIN).told["error"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cameras": []}, "No camera number 0 found"),
        ({"open_error": "Something broke"}, "Camera __init__ sequence did not complete."),
        ({"open_error": "busy"}, "Camera __init__ sequence did not complete."),
    ],
)
def test_a_camera_that_cannot_be_opened(rigs: MakeRig, settings: dict[str, object], message: str) -> None:
    rig = rigs(**settings)
    assert message in run(rig, _OPENING, begin=BEGIN).told["error"]
    rig.change(cameras=["imx519"], open_error="")
    assert run(rig, _OPENING, begin=BEGIN).told["error"] is None


def test_too_little_memory_for_the_camera(rigs: MakeRig) -> None:
    """A frame of 16 megapixels takes 24 MB, and the virtual pipeline asks for four."""
    rig = rigs(heap=64)
    program = """
try:
    still((4656, 3496))
except OSError as error:
    tell(error=error.errno)
still((1280, 720))
tell(frame=frame())
camera.close()
"""
    done = run(rig, program)
    assert done.code == 0, done.error
    assert done.told["error"] == 12
    assert done.told["frame"]
    rig.heap(None)
    assert "error" not in run(rig, program.replace("still((1280", "camera.stop()\nstill((1280")).told


@pytest.mark.parametrize(
    ("heap", "message"), [("denied", "Permission denied: '/dev/dma_heap/linux,cma'"), ("none", "Could not open any dmaHeap device")]
)
def test_a_heap_that_may_not_be_opened(rigs: MakeRig, heap: str, message: str) -> None:
    assert message in run(rigs(heap=heap), _OPENING, begin=BEGIN).told["error"]
