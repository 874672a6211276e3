"""The SSH server is a real one, and the way to it can be bad; a worker's output can be spoilt."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import struct
import subprocess
import time
import zlib

import pytest

from tests.rig.evil_relay import WORDS
from tests.rig.fixtures import MakeRig
from tests.rig.link import Link
from tests.rig.programs import OPEN, told
from tests.rig.sshd import Sshd, runs


def ssh(sshd: Sshd, folder: Path, *command: str, port: int | None = None, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command over SSH, with Debian's own client."""
    key, known = folder / "key", folder / "known"
    key.write_text(sshd.private_key)
    key.chmod(0o600)
    known.write_text(f"{sshd.host} {sshd.host_key}\n")
    options = ("BatchMode=yes", f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=none", f"HostKeyAlias={sshd.host}", "ConnectTimeout=5")
    options += ("ServerAliveInterval=1", "ServerAliveCountMax=3")
    arguments = [part for option in options for part in ("-o", option)]
    return subprocess.run(
        ["ssh", "-F", "none", "-T", *arguments, "-i", str(key), "-p", str(port or sshd.port), f"{sshd.username}@{sshd.host}", *command],
        input=text, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_rig_runs_over_ssh(rig: MakeRig, sshd: Sshd, tmp_path: Path) -> None:
    done = ssh(sshd, tmp_path, rig().python, "-", text=f"{OPEN}\ntell(cameras=1)")
    assert told(done.stdout) == {"cameras": 1}, done.stderr


def test_the_server_stops_starts_and_changes_its_key(sshd: Sshd, tmp_path: Path) -> None:
    first = sshd.host_key
    assert ssh(sshd, tmp_path, "echo", "here").stdout == "here\n"
    sshd.stop()
    assert "refused" in ssh(sshd, tmp_path, "echo", "here").stderr
    sshd.start()
    assert ssh(sshd, tmp_path, "echo", "here").stdout == "here\n"
    sshd.rotate_host_key()
    assert sshd.host_key != first
    assert ssh(sshd, tmp_path, "echo", "here").stdout == "here\n"
    sshd.refuse()
    assert "Permission denied" in ssh(sshd, tmp_path, "echo", "here").stderr


def test_stopping_the_server_ends_what_it_runs(sshd: Sshd, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(ssh, sshd, tmp_path, f"echo $$ > {pid}; exec sleep 600")
        until = time.monotonic() + 20
        while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < until:
            time.sleep(0.02)
        found = int(pid.read_text())
        assert found in sshd.sessions()
        sshd.stop()
        assert running.result(20).returncode == 255
    assert not runs(found)


def test_a_way_that_is_slow_far_frozen_or_cut(sshd: Sshd, tmp_path: Path, slow_link: Link) -> None:
    def works(command: str = "true") -> bool:
        return ssh(sshd, tmp_path, command, port=slow_link.port).returncode == 0

    assert works()
    slow_link.latency_s = 0.1
    assert works()
    slow_link.latency_s, slow_link.bytes_per_s = 0, 200_000
    before = slow_link.passed
    assert works("head -c 400000 /dev/zero")
    assert slow_link.passed - before > 400_000
    slow_link.bytes_per_s = None
    slow_link.freeze()
    assert ssh(sshd, tmp_path, "true", port=slow_link.port).returncode == 255
    slow_link.thaw()
    assert works()
    slow_link.cut()
    assert "refused" in ssh(sshd, tmp_path, "true", port=slow_link.port).stderr
    slow_link.mend()
    assert works()


_PREFIX = struct.Struct(">4sIII")
_TALK = """
import os, struct, sys, zlib
for text in (b'{"hello": {}}', b'{"id": 1}', b'{"id": 2}'):
    os.write(1, struct.pack(">4sIII", b"SKY1", len(text), 0, zlib.crc32(text)) + text)
    os.read(0, 1)
"""


def parse(output: bytes) -> Sequence[bytes | str]:
    """Return the headers of all frames, and a word for what ends them otherwise."""
    found: list[bytes | str] = []
    while output:
        if len(output) < _PREFIX.size or not output.startswith(b"SKY1"):
            return [*found, "garbage"]
        _, header, blob, checksum = _PREFIX.unpack_from(output)
        body = output[_PREFIX.size : _PREFIX.size + header + blob]
        if len(body) < header + blob:
            return [*found, "end"]
        if zlib.crc32(body) != checksum:
            return [*found, "checksum"]
        found.append(body)
        output = output[_PREFIX.size + header + blob :]
    return found


_HELLO, _ONE, _TWO = b'{"hello": {}}', b'{"id": 1}', b'{"id": 2}'
_STRANGER = b'{"id": 987654321, "ok": true, "result": {}}'


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("garbage", [_HELLO, "garbage"]),
        ("half", [_HELLO, "garbage"]),
        ("checksum", [_HELLO, "checksum"]),
        ("magic", [_HELLO, "garbage"]),
        ("length", [_HELLO, "end"]),
        ("twice", [_HELLO, _ONE, _ONE, _TWO]),
        ("stranger", [_HELLO, _STRANGER, _ONE, _TWO]),
        ("mute", [_HELLO]),
        ("noise", [_HELLO, _ONE, _TWO]),
        ("crumbs", [_HELLO, _ONE, _TWO]),
    ],
)
def test_an_interpreter_that_spoils_what_is_said(rig: MakeRig, word: str, expected: list[bytes | str]) -> None:
    machine = rig()
    python = machine.evil(word, after=1)
    done = subprocess.run([python, "-u", "-c", _TALK], input=b"...", capture_output=True, timeout=30, check=False)
    assert parse(done.stdout) == expected
    assert len(done.stderr) > 8_000_000 if word == "noise" else not done.stderr
    again = subprocess.run([python, "-u", "-c", _TALK], input=b"...", capture_output=True, timeout=30, check=False)
    assert parse(again.stdout) == [_HELLO, _ONE, _TWO]


def test_every_way_to_spoil_is_tried() -> None:
    mark = test_an_interpreter_that_spoils_what_is_said.pytestmark[0]
    assert {word for word, _ in mark.args[1]} == set(WORDS)
