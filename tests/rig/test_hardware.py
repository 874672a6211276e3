"""The tests for a real camera, tried on the virtual one as a person would try theirs: over SSH."""

import os
from pathlib import Path
import subprocess
import sys

from tests.rig.fixtures import MakeRig
from tests.rig.machine import ROOT
from tests.rig.sshd import Sshd


def hardware_tests(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run them."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", f"--basetemp={folder / 'pytest'}"]
    return subprocess.run(
        [*command, "--capture=no", "-m", "hardware", "tests/hardware", *arguments],
        cwd=ROOT, env={**base, "SKYLAPSE_HARDWARE_FOLDER": str(folder), **environment},
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def test_all_of_them_pass_over_ssh(rig: MakeRig, sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(sshd.private_key)
    where = f"{sshd.username}@{sshd.host}:{sshd.port}"
    machine = rig(time_scale=0.1)
    machine.control(frame_us=20_000)
    done = hardware_tests(tmp_path, SKYLAPSE_HARDWARE=where, SKYLAPSE_SSH_KEY=str(key), SKYLAPSE_HARDWARE_PYTHON=machine.python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout
    report = (tmp_path / "report.txt").read_text()
    for line in ("the camera is found", "model: imx519", "exposure 2: 4656×3496", "opened again within", "cpu temperature c: 48.312"):
        assert line in report
    assert {path.name for path in tmp_path.glob("*.jpg")} == {"automatic.jpg", "long.jpg", "live.jpg", "focused.jpg"}


def test_what_a_camera_cannot_is_skipped(rig: MakeRig, tmp_path: Path) -> None:
    machine = rig(time_scale=0.1, without=["lens"])
    done = hardware_tests(tmp_path, "-k", "autofocus", SKYLAPSE_HARDWARE="local", SKYLAPSE_HARDWARE_PYTHON=machine.python)
    assert "the camera has no autofocus" in done.stdout


def test_a_machine_without_a_camera_is_told_of(rig: MakeRig, tmp_path: Path) -> None:
    machine = rig(cameras=[])
    done = hardware_tests(tmp_path, "-k", "found", SKYLAPSE_HARDWARE="local", SKYLAPSE_HARDWARE_PYTHON=machine.python)
    assert done.returncode == 1
    assert "no camera can be used there" in done.stdout
