"""What the worker says and hears, on every Python that it may meet; no camera is needed."""

import ast
from functools import cache
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from custom_components.skylapse.engine.camera_host.loader import LOADER

from .peer import PREFIX, WORKER, Ended, Peer, Refused, frame

OLDEST, NEWEST = (3, 9), (3, 14)
VERSION = "import sys; print(*sys.version_info[:2])"


@cache
def pythons() -> dict[str, str]:
    """Return an interpreter for each version that is found here."""
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    names = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    candidates = [sys.executable, "/usr/bin/python3", *sorted(str(path) for path in Path(root).glob("versions/3.*/bin/python3"))]
    candidates += [found for name in names if (found := shutil.which(f"python{name}")) and "shims" not in found]
    found: dict[str, str] = {}
    for candidate in candidates:
        if Path(candidate).exists():
            done = subprocess.run([candidate, "-c", VERSION], capture_output=True, text=True, timeout=20, check=False)
            version = tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else (0, 0)
            if OLDEST <= version <= NEWEST:
                found.setdefault(".".join(map(str, version)), candidate)
    return found


@pytest.fixture
def peer(start: Any) -> Peer:
    """A worker under the tests' own Python."""
    return start(sys.executable)


@pytest.mark.parametrize("minor", range(OLDEST[1], NEWEST[1] + 1))
def test_every_python_can_read_the_source(minor: int) -> None:
    ast.parse(WORKER.read_text(), feature_version=(3, minor))


@pytest.mark.parametrize("version", pythons())
def test_says_hello_works_and_ends(version: str) -> None:
    with Peer(pythons()[version]) as peer:
        hello = peer.hello()
        assert hello["python"].startswith(f"{version}.")
        assert hello == {"protocol": 1, "source": peer.digest[:12], "python": hello["python"], "pid": peer.process.pid}
        assert peer.request("ping") == ({"busy_op": None, "busy_s": 0.0}, b"")
        assert peer.request("metrics")[0]["cpu_count"] == os.cpu_count()
        with pytest.raises(Refused) as refused:
            peer.request("probe", {"backend": "picamera2"})
        assert refused.value.key == "picamera2_missing"
        assert refused.value.fatal
        assert peer.request("bye") == ({}, b"")
        assert peer.exit_code() == 0


@pytest.mark.parametrize(
    "parcel",
    [
        b"12 0000\nprint('hello')",
        b"5 " + b"0" * 64 + b"\n12345",
        b"50 " + b"0" * 64 + b"\n12345",
        b"x" * 200,
    ],
    ids=["no hash", "wrong hash", "cut off", "no line"],
)
def test_runs_no_other_source(parcel: bytes) -> None:
    with Peer(sys.executable, parcel=parcel) as peer:
        peer.close_input()
        assert peer.exit_code() != 0
        with pytest.raises(Ended):
            peer.hello()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 0),
        (b"garbage that is longer than a prefix", 3),
        (frame({"id": 1, "op": "ping"})[:-1], 3),
        (frame({"id": 1, "op": "ping"})[:5], 3),
        (frame({"id": 1, "op": "ping"}).replace(b"ping", b"pong"), 3),
        (PREFIX.pack(b"SKY1", (1 << 20) + 1, 0, 0), 3),
        (PREFIX.pack(b"SKY1", 2, (128 << 20) + 1, 0), 3),
        (frame(b"no JSON"), 3),
        (frame(b"\xff\xfe"), 3),
        (frame(b"[" * 100_000), 3),
        (frame([1, 2]), 3),
    ],
    ids=[
        "end", "garbage", "cut off", "cut off prefix", "wrong sum", "long header", "long blob", "no JSON", "no text", "deep", "no object",
    ],
)  # fmt: skip
def test_ends_when_the_client_does_or_talks_nonsense(peer: Peer, data: bytes, code: int) -> None:
    peer.send(data)
    peer.close_input()
    assert peer.exit_code() == code


def test_takes_a_frame_in_pieces_and_a_blob(peer: Peer) -> None:
    data = frame({"id": 7, "op": "ping"}, b"blob")
    for place in range(0, len(data), 5):
        peer.send(data[place : place + 5])
        time.sleep(0.01)
    assert peer.answer(7)[0]["busy_op"] is None


def test_answers_that_nobody_reads_for_a_while_arrive_whole(peer: Peer) -> None:
    for number in range(1000):
        peer.send(frame({"id": number, "op": "ping"}))
    for number in range(1000):
        peer.answer(number)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"op": "ping"}, "id has to be a number"),
        ({"id": "1", "op": "ping"}, "id has to be a number"),
        ({"id": True, "op": "ping"}, "id has to be a number"),
        ({"id": 1}, "there is no operation None"),
        ({"id": 1, "op": "_load"}, "there is no operation _load"),
        ({"id": 1, "op": "__class__"}, "there is no operation __class__"),
        ({"id": 1, "op": ["ping"]}, "there is no operation"),
        ({"id": 1, "op": "ping", "args": []}, None),
        ({"id": 1, "op": "ping", "args": "text"}, "args has to be an object"),
        ({"id": 1, "op": "ping", "deadline_s": "5"}, "deadline_s has to be a number"),
        ({"id": 1, "op": "ping", "deadline_s": 0}, "deadline_s has to be a number"),
        ({"id": 1, "op": "ping", "deadline_s": 10**400}, "deadline_s has to be a number"),
        ({"id": 1, "op": "process", "args": {}}, "pid has to be a number"),
        ({"id": 1, "op": "probe", "args": {"backend": "usb"}}, "backend has to be one of picamera2, rpicam"),
        ({"id": 1, "op": "capture"}, "the camera is not configured"),
    ],
)
def test_answers_requests_that_make_no_sense(peer: Peer, request_: dict[str, Any], error: str | None) -> None:
    peer.send(frame(request_))
    header, blob = peer.receive()
    assert blob == b""
    if error is None:
        assert header["ok"]
    else:
        assert not header["ok"]
        assert header["error"]["key"] == "worker_bad_request"
        assert error in header["error"]["placeholders"]["error"]
        assert not header["error"]["fatal"]
    assert peer.request("ping")  # it still works


def test_what_others_print_is_kept_from_the_frames(tmp_path: Path) -> None:
    """Whoever prints while Python starts comes before the first frame; afterwards all of it goes to standard error."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, os, threading, time\n"
        "print('printed at the start')\n"
        "out = sys.stdout\n"
        "def chatter():\n"
        "    while True:\n"
        "        out.write('chatter '); out.flush(); time.sleep(0.001)\n"
        "threading.Thread(target=chatter, daemon=True).start()\n"
    )
    (tmp_path / "picamera2.py").write_text(
        "import os, ctypes\nprint('from Python'); os.write(1, b'from the system'); os.system('echo from a child'); raise ImportError\n"
    )
    with Peer(sys.executable, env={"PYTHONPATH": str(tmp_path)}) as peer:
        peer.hello()
        assert peer.noise.startswith(b"printed at the start")
        with pytest.raises(Refused, match="picamera2_missing"):
            peer.request("probe")
        for _ in range(200):
            peer.request("ping")
        for text in (b"chatter", b"from Python", b"from the system", b"from a child"):
            assert text in peer.stderr


def test_a_client_that_is_gone_ends_it(peer: Peer) -> None:
    assert peer.process.stdout is not None
    peer.process.stdout.close()
    peer.send(frame({"id": 1, "op": "ping"}))
    assert peer.exit_code() == 0


def test_sigterm_ends_it_and_sigint_does_not(peer: Peer) -> None:
    peer.process.send_signal(signal.SIGINT)
    assert peer.request("ping")
    peer.process.send_signal(signal.SIGTERM)
    assert peer.exit_code(1.0) == -signal.SIGTERM


def test_dies_with_its_parent_even_where_its_input_stays_open(tmp_path: Path) -> None:
    """Another process may have inherited the pipe, so that its end never comes."""
    source = WORKER.read_bytes()
    with Peer(sys.executable) as template:
        parcel = b"%d %s\n" % (len(source), template.digest.encode()) + source
    script = "import json, subprocess, sys, time; subprocess.Popen(json.loads(sys.argv[1])); time.sleep(60)"
    command = [sys.executable, "-c", script, json.dumps([sys.executable, "-u", "-c", LOADER])]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    try:
        parent.stdin.write(parcel)
        parent.stdin.flush()
        data = b""
        while b"}}" not in data:
            data += os.read(parent.stdout.fileno(), 4096)
        worker = json.loads(data[PREFIX.size :])["hello"]["pid"]
        assert Path(f"/proc/{worker}").exists()
        parent.kill()
        parent.wait(10)
        until = time.monotonic() + 1.0
        while Path(f"/proc/{worker}/fd").exists() and _alive(worker):
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        parent.kill()
        parent.wait(10)
        parent.stdin.close()
        parent.stdout.close()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_tells_the_state_of_another_process(peer: Peer) -> None:
    stopped = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert peer.request("process", {"pid": stopped.pid})[0]["state"] in ("S", "R", "D")
        stopped.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
        assert peer.request("process", {"pid": stopped.pid}) == ({"state": "T"}, b"")
    finally:
        stopped.kill()
        stopped.wait(10)
    assert peer.request("process", {"pid": stopped.pid}) == ({"state": None}, b"")


def test_a_client_that_falls_silent_is_gone() -> None:
    """A cut network tells nobody, and must not keep the camera from the next worker."""
    source = WORKER.read_bytes()
    assert source.count(b"SILENCE_S = 60.0") == 1
    with Peer(sys.executable, source=source.replace(b"SILENCE_S = 60.0", b"SILENCE_S = 0.5")) as peer:
        peer.hello()
        time.sleep(1)  # who has not spoken yet may take his time
        for _ in range(4):
            peer.request("ping")
            time.sleep(0.3)
        assert peer.process.wait(5) == 0
    with Peer(sys.executable, source=source.replace(b"SILENCE_S = 60.0", b"SILENCE_S = 0.5")) as peer:
        peer.hello()
        peer.request("ping")
        peer.send(frame({"id": 9, "op": "ping"})[:20])
        assert peer.process.wait(5) in {0, 3}
