"""The worker's source on its way to where it runs."""

import asyncio
import hashlib
import os
from pathlib import Path
import shlex
import shutil
import subprocess
import sys

import pytest

from custom_components.skylapse.engine.camera_host import loader
from custom_components.skylapse.engine.camera_host.client import LOADER, worker_source
from custom_components.skylapse.engine.camera_host.loader import command, parcel

from .conftest import ended, until

PROGRAM = b"import sys; print(__name__, SOURCE_SHA256, sys.stdin.read())"


def run(argv: list[str], data: bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, input=data, capture_output=True, timeout=20, check=False, **options)  # type: ignore[call-overload]


def test_the_source_runs_as_main_and_nothing_behind_it_is_swallowed() -> None:
    done = run(command(sys.executable), parcel(PROGRAM) + b"the rest")
    assert done.stdout.decode().split(" ", 2) == ["__main__", hashlib.sha256(PROGRAM).hexdigest(), "the rest\n"]
    assert (done.stderr, done.returncode) == (b"", 0)


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish", "csh", "tcsh"])
def test_every_login_shell_passes_the_loader_on(shell: str) -> None:
    if (path := shutil.which(shell)) is None:
        pytest.skip("this machine does not have it")
    done = run([path, "-c", f"exec {shlex.join(command(sys.executable))}"], parcel(PROGRAM))
    assert done.stdout.startswith(b"__main__")


def test_the_loader_is_one_plain_line() -> None:
    assert not set(LOADER) & set("\n'!")


@pytest.mark.parametrize(
    "data",
    [b"", b"12", parcel(PROGRAM)[:-1], parcel(PROGRAM).replace(b"sys", b"os ", 1), b"x" * 200, parcel(PROGRAM).replace(b"\n", b" ", 1)],
)
def test_what_did_not_arrive_whole_does_not_run(data: bytes) -> None:
    done = run(command(sys.executable), data)
    assert (done.stdout, done.returncode) == (b"", 3)


@pytest.mark.parametrize("line", [b"a b\n", b"12\n", b"\xff 1\n"])
def test_a_line_that_makes_no_sense_does_not_run(line: bytes) -> None:
    done = run(command(sys.executable), line + PROGRAM)
    assert done.stdout == b""
    assert done.returncode != 0


def test_a_worker_left_over_makes_way() -> None:
    sleeper = b"import os, time\nos.write(1, b'x')\ntime.sleep(60)"
    with subprocess.Popen(command(sys.executable), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as old:
        assert old.stdin is not None
        assert old.stdout is not None
        old.stdin.write(parcel(sleeper))
        old.stdin.flush()
        assert old.stdout.read(1) == b"x"
        done = run(command(sys.executable, [old.pid, 999_999_999]), parcel(PROGRAM))
        assert done.returncode == 0
        assert old.wait(5) == -9


async def test_other_programs_need_not_make_way() -> None:
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    done = await asyncio.to_thread(run, command(sys.executable, [os.getpid(), other.pid, 1]), parcel(PROGRAM))
    assert done.returncode == 0
    assert other.returncode is None
    assert not ended(other.pid)
    other.kill()
    await other.wait()
    await until(lambda: ended(other.pid))


async def test_the_workers_source_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_WORKER", tmp_path / "worker.py")
    (tmp_path / "worker.py").write_bytes(PROGRAM)
    loader._read_worker.cache_clear()
    try:
        assert await worker_source() == PROGRAM
        (tmp_path / "worker.py").unlink()
        assert await worker_source() == PROGRAM
    finally:
        loader._read_worker.cache_clear()


async def test_there_is_a_worker() -> None:
    assert b"SOURCE_SHA256" in await worker_source()
