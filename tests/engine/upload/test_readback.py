"""Hashing what the disk holds."""

import ctypes
import hashlib
import mmap
import os
from pathlib import Path

import pytest

from custom_components.skylapse.engine.upload import readback
from custom_components.skylapse.engine.upload.destination import ProofMethod
from custom_components.skylapse.engine.upload.jobs import Watch
from custom_components.skylapse.engine.upload.readback import hash_file, in_cache, read_back

DATA = os.urandom(1_000_001)
SHA = hashlib.sha256(DATA).hexdigest()


def opened(path: Path, data: bytes = DATA) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, data)
    os.fsync(fd)
    return fd


def test_past_the_page_cache(tmp_path: Path) -> None:
    fd = opened(tmp_path / "a")
    assert in_cache(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    dropped = not in_cache(fd)  # where the tests' folder is in memory, it cannot be
    hash_file(fd, Watch())
    assert in_cache(fd)
    assert read_back(fd, Watch()) == (SHA, len(DATA), ProofMethod.READ_BACK if dropped else ProofMethod.READ_BACK_CACHED)
    assert in_cache(fd)
    os.close(fd)


def test_a_file_system_in_memory_is_not_called_a_disk() -> None:
    shm = Path("/dev/shm")  # noqa: S108  it is the one place known to be in memory
    if not os.access(shm, os.W_OK) or not os.path.ismount(shm):
        pytest.skip("no /dev/shm to write to")
    path = shm / f"skylapse-test-{os.getpid()}"
    fd = opened(path)
    path.unlink()
    assert read_back(fd, Watch()) == (SHA, len(DATA), ProofMethod.READ_BACK_CACHED)
    os.close(fd)


def test_unwritten_bytes_stay_in_the_cache(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    os.write(fd, DATA)
    assert hash_file(fd, Watch()) == (SHA, len(DATA))
    os.close(fd)


def test_a_system_that_will_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = opened(tmp_path / "a")
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    class Failing:
        def mincore(self, start: ctypes.c_void_p, size: ctypes.c_size_t, pages: object) -> int:
            return -1

    with monkeypatch.context() as patch:
        patch.setattr(readback, "_libc", Failing())
        assert in_cache(fd)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no mapping here")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert in_cache(fd)
    os.close(fd)


def test_an_empty_file(tmp_path: Path) -> None:
    fd = opened(tmp_path / "a", b"")
    assert read_back(fd, Watch()) == (hashlib.sha256(b"").hexdigest(), 0, ProofMethod.READ_BACK)
    os.close(fd)
