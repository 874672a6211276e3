"""The rig is what it claims to be: real picamera2 on real libcamera, whose faults really happen."""

import json
from pathlib import Path
import subprocess
from typing import Any

import pytest

from tests.rig.fixtures import MakeRig
from tests.rig.machine import Rig
from tests.rig.sshd import Sshd

pytestmark = pytest.mark.rig

_OPEN = """
import io, json, sys, time
from picamera2 import Picamera2
def tell(**found): print("TOLD", json.dumps(found), flush=True)
def still(size=(640, 480), **more):
    camera.configure(camera.create_still_configuration({"size": size, "format": "YUV420"}, buffer_count=2, **more))
    camera.start()
def frame(flush=True):
    with camera.captured_request(flush=flush, wait=10) as request:
        return request.get_metadata()
camera = Picamera2(0)
"""


def run(rig: Rig, program: str, *, begin: str = _OPEN, environment: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Run a program on the rig; return its exit code, what it told, and its standard error."""
    done = subprocess.run(
        [rig.python, "-u", "-c", begin + program], capture_output=True, text=True, timeout=60, check=False, env=environment or {}
    )
    told: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith("TOLD "):
            told |= json.loads(line.removeprefix("TOLD "))
    return done.returncode, told, done.stderr


def test_picamera2_and_libcamera_are_the_real_ones(rigs: MakeRig) -> None:
    code, told, error = run(
        rigs(),
        """
import libcamera, picamera2, importlib.metadata
still(lores={"size": (320, 240)})
picture = io.BytesIO()
with camera.captured_request(flush=True, wait=10) as request:
    request.save("main", picture, format="jpeg")
tell(libcamera=libcamera.CameraManager.singleton().version, file=picamera2.__file__, python=sys.version_info[:2],
     version=importlib.metadata.version("picamera2"), jpeg=picture.getvalue()[:3].hex(), extension=libcamera._libcamera.__file__)
camera.close()
""",
    )
    assert code == 0, error
    assert told["version"] == "0.3.38"
    assert told["jpeg"] == "ffd8ff"
    assert "harness" not in told["file"]
    assert Path(told["extension"]).suffix == ".so"
    versions = {(3, 14): "v0.7", (3, 13): "v0.4"}
    assert told["libcamera"].startswith(versions[told["python"][0], told["python"][1]])


def test_it_runs_over_ssh(rig: MakeRig, sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(sshd.private_key)
    key.chmod(0o600)
    known = tmp_path / "known"
    known.write_text(f"[{sshd.host}]:{sshd.port} {sshd.host_key}\n")
    command = ["ssh", "-F", "none", "-T", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none"]
    command += ["-i", str(key), "-p", str(sshd.port), f"{sshd.username}@{sshd.host}", rig().python, "-"]
    done = subprocess.run(command, input=_OPEN + "tell(cameras=1)", capture_output=True, text=True, timeout=60, check=False)
    assert 'TOLD {"cameras": 1}' in done.stdout, done.stderr
