"""Programs on this machine: a clean start, bounded buffers, a certain end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
import errno
import json
import os
from pathlib import Path
import sys

import pytest

from custom_components.skylapse.engine.camera_host.local import LocalProcess, LocalTransport
from custom_components.skylapse.engine.camera_host.process import Process, process_state
from custom_components.skylapse.engine.errors import SourceError

from .conftest import ended, until

type Spawn = Callable[..., Awaitable[Process]]


@pytest.fixture
async def spawn() -> AsyncGenerator[Spawn]:
    """Return ``spawn(text)``, which runs that as a Python program."""
    processes: list[Process] = []

    async def start(program: str, *arguments: str) -> Process:
        processes.append(await LocalTransport().spawn([sys.executable, "-c", program, *arguments]))
        return processes[-1]

    yield start
    for process in processes:
        await process.close()


async def output(process: Process) -> bytes:
    data = b""
    while piece := await process.read(65536):
        data += piece
    return data


async def test_it_starts_in_a_clean_place(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "LD_LIBRARY_PATH", "SUPERVISOR_TOKEN"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("TMPDIR", "/tmp")  # noqa: S108  only its name is looked at
    process = await spawn(
        "import os, json; print(json.dumps([dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), os.listdir('/proc/self/fd')]))"
    )
    environment, folder, own_session, files = json.loads(await output(process))
    assert set(environment) <= {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "LC_TIME",
        "LC_ALL",
        "LC_CTYPE",
        "LIBCAMERA_LOG_LEVELS",
        "LIBCAMERA_LOG_NO_COLOR",
    }
    assert {"PATH", "TMPDIR", "LC_TIME", "LIBCAMERA_LOG_LEVELS"} <= set(environment)
    assert (folder, own_session) == ("/", True)
    assert len(files) == 4  # its pipes, and the folder it just reads
    assert await process.wait() == 0
    assert LocalTransport.name == "local"
    await LocalTransport().close()


@pytest.mark.parametrize(
    "python", ["/nowhere/python3", "/", "/etc/passwd", "/etc/passwd/python3", "no-such-python", "py\0thon", "/" + "p" * 5000]
)
async def test_an_interpreter_that_is_none_is_named(python: str) -> None:
    with pytest.raises(SourceError) as caught:
        await LocalTransport().spawn([python, "-c", "pass"])
    assert caught.value.key == "interpreter_missing"
    assert python[:2] in caught.value.placeholders["python"]


async def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "python3"
    empty.write_bytes(b"\x00\x01\x02")
    empty.chmod(0o755)
    with pytest.raises(SourceError, match="interpreter_missing"):
        await LocalTransport().spawn([str(empty)])


async def test_a_machine_without_means_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio.get_running_loop(), "subprocess_exec", exhausted)
    with pytest.raises(SourceError) as caught:
        await LocalTransport().spawn(["python3"])
    assert (caught.value.key, caught.value.placeholders) == ("worker_start_failed", {"error": "Resource temporarily unavailable"})


async def test_words_go_both_ways(spawn: Spawn) -> None:
    process = await spawn("import sys; sys.stderr.write('hm'); sys.stdout.write(sys.stdin.read().upper())")
    assert isinstance(process.pid, int)
    await process.write(b"sky" * 100_000)
    process.close_input()
    assert await output(process) == b"SKY" * 100_000
    assert await process.read_error(10) == b"hm"
    assert await process.read_error(10) == b""
    assert await process.wait() == 0


async def test_reads_are_as_small_as_asked_for(spawn: Spawn) -> None:
    process = await spawn("print('0123456789', end='')")
    assert [await process.read(4) for _ in range(4)] == [b"0123", b"4567", b"89", b""]


async def test_who_does_not_read_makes_the_program_wait(spawn: Spawn, tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = "import os, sys\nfor n in range(400):\n os.write(1, b'x' * 65536); open(sys.argv[1], 'w').write(str(n + 1))"
    process = await spawn(program, str(count))
    await until(lambda: count.exists() and count.read_text())
    await asyncio.sleep(0.3)
    assert int(count.read_text()) * 65536 < 4 << 20
    assert len(await output(process)) == 400 * 65536


async def test_a_write_lasts_until_it_is_taken(spawn: Spawn) -> None:
    process = await spawn(
        "import os, time; os.read(0, 1); print(1, flush=True); time.sleep(0.3); n = 0\nwhile d := os.read(0, 1 << 20): n += len(d)\nprint(n)"
    )
    writing = asyncio.create_task(process.write(b"x" * (4 << 20)))
    assert await process.read(10) == b"1\n"
    assert not writing.done()
    await writing
    process.close_input()
    assert await output(process) == b"%d\n" % ((4 << 20) - 1)


async def test_also_a_small_write_lasts_until_it_is_taken(spawn: Spawn) -> None:
    process = await spawn(
        "import fcntl, os, time; fcntl.fcntl(0, 1031, 4096); print(1, flush=True); time.sleep(0.3); os.read(0, 1 << 20); time.sleep(9)"
    )
    await process.read(10)
    writing = asyncio.create_task(process.write(b"x" * 8000))
    await asyncio.sleep(0.1)
    assert not writing.done()
    await writing


async def test_a_program_that_ends_takes_no_more(spawn: Spawn) -> None:
    process = await spawn("import os; os.read(0, 1)")
    with pytest.raises(ConnectionError):
        await process.write(b"x" * (4 << 20))
    with pytest.raises(ConnectionError):
        await process.write(b"x")
    assert await process.wait() == 0


async def test_signals_reach_it_and_tell_in_its_code(spawn: Spawn) -> None:
    polite, stubborn = (
        await spawn("import time; time.sleep(60)"),
        await spawn("import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"),
    )
    await stubborn.read(10)
    polite.terminate()
    stubborn.terminate()
    assert await polite.wait() == -15
    await asyncio.sleep(0.1)
    stubborn.kill()
    assert await stubborn.wait() == -9
    stubborn.terminate()  # of no use, and no harm


async def test_closing_ends_what_runs_and_what_it_started(spawn: Spawn) -> None:
    process = await spawn(
        "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(c.pid, flush=True); c.wait()"
    )
    grandchild = int(await process.read(20))
    await process.close()
    assert await process.wait() == -9
    await until(lambda: process_state(grandchild) in {None, "Z"})
    await process.close()


async def test_what_cannot_be_ended_is_let_go(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    process = await spawn("import time; time.sleep(60)")
    killpg = os.killpg
    monkeypatch.setattr("os.killpg", lambda *_: None)
    monkeypatch.setattr("custom_components.skylapse.engine.camera_host.local._CLOSE_S", 0.1)
    assert isinstance(process, LocalProcess)
    await process.close()
    monkeypatch.setattr("os.killpg", killpg)
    assert await process.read(1) == b""


async def test_states_of_processes(spawn: Spawn, tmp_path: Path) -> None:
    process = await spawn("import time; time.sleep(60)")
    assert process.pid is not None
    await until(lambda: process_state(process.pid) == "S")
    assert process_state(os.getpid()) in {"R", "S"}
    process.kill()
    await process.wait()
    assert ended(process.pid)
    assert process_state(process.pid) is None


@pytest.mark.parametrize(
    ("first", "others", "state"),
    [("S", ["S", "D"], "S"), ("D", ["D"], "D"), ("Z", ["Z", "D"], "D"), ("Z", ["Z", "S"], "Z"), ("Z", [], "Z")],
)
def test_a_dead_program_with_a_stuck_thread_is_stuck(
    first: str, others: list[str], state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number, letter in enumerate(others):
        (tmp_path / f"7/task/{number}").mkdir(parents=True)
        (tmp_path / f"7/task/{number}/stat").write_text(f"{number} (py (3) x) {letter} 1 2")
    (tmp_path / "7/task/99").mkdir(parents=True)
    (tmp_path / "7/task/99/stat").write_text("")  # ended while it was looked at
    (tmp_path / "7/stat").write_text(f"7 (py) 3) {first} 1 2")
    monkeypatch.setattr("custom_components.skylapse.engine.camera_host.process.Path", lambda path: tmp_path / path.removeprefix("/proc/"))
    assert process_state(7) == state
