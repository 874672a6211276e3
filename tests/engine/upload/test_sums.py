"""The list that ``sha256sum -c`` reads."""

from collections.abc import Generator
import errno
import fcntl
import hashlib
import os
from pathlib import Path
import subprocess
import sys
import threading

from hypothesis import given, strategies as st
import pytest

from custom_components.skylapse.engine.upload import sums, tree
from custom_components.skylapse.engine.upload.sums import Sums, line, parse

from .conftest import leftovers, sha256sum

A, B = b"a" * 10, b"b" * 20


@pytest.fixture
def folder(root: Path) -> Generator[int]:
    fd = os.open(root, os.O_RDONLY)
    yield fd
    os.close(fd)


def put(root: Path, name: str, content: bytes) -> str:
    (root / name).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def lines(root: Path) -> list[bytes]:
    return (root / "SHA256SUMS").read_bytes().splitlines()


def test_the_real_sha256sum_accepts_it(root: Path, folder: int) -> None:
    book = Sums("0" * 8)
    for name, content in (("a.jpg", A), ("b c.jpg", B), ("Küche ☀.jpg", A), (" x", B), ("back\\slash", A), ("new\nline", B), ("*star", A)):
        book.record(folder, name, put(root, name, content))
    assert sha256sum(root).count(": OK") == 7
    assert book.listed(folder, "new\nline") == hashlib.sha256(B).hexdigest()
    assert book.listed(folder, "other") is None


def test_it_is_what_the_real_sha256sum_writes(root: Path, folder: int) -> None:
    for name in ("a.jpg", "b c.jpg", "back\\slash", "new\nline"):
        Sums("0" * 8).record(folder, name, put(root, name, A))
    names = ["a.jpg", "b c.jpg", "back\\slash", "new\nline"]
    run = subprocess.run(["sha256sum", *names], cwd=root, capture_output=True, check=True, timeout=60)
    assert (root / "SHA256SUMS").read_bytes() == run.stdout


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1))
def test_names_survive(name: str) -> None:
    digest = hashlib.sha256(name.encode()).digest()
    assert parse(line(name, digest)) == ({name: digest}, [], True)


def test_nothing_is_listed_twice_nor_read_or_written_twice(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Sums("0" * 8)
    sha = put(root, "a", A)
    assert book.listed(folder, "a") is None
    book.record(folder, "a", sha)
    reads: list[int] = []
    real = sums._read
    monkeypatch.setattr(sums, "_read", lambda fd: reads.append(fd) or real(fd))
    inode = (root / "SHA256SUMS").stat().st_ino
    book.record(folder, "a", sha)
    for number in range(50):
        book.record(folder, f"f{number}", put(root, f"f{number}", B))
    assert not reads
    Sums("1" * 8).record(folder, "a", sha)
    assert len(lines(root)) == 51
    assert (root / "SHA256SUMS").stat().st_ino == inode
    sha256sum(root)


def test_what_others_change_is_seen(root: Path, folder: int) -> None:
    one, two = Sums("0" * 8), Sums("1" * 8)
    for number, book in enumerate((one, two, two, one, one, two)):
        book.record(folder, f"f{number}", put(root, f"f{number}", B))
        book.record(folder, f"f{number // 2}", hashlib.sha256(B).hexdigest())
    assert len(lines(root)) == 6
    (root / "SHA256SUMS").unlink()
    one.record(folder, "f0", hashlib.sha256(B).hexdigest())
    assert len(lines(root)) == 1
    sha256sum(root)


@pytest.mark.parametrize("again", [True, False])
def test_another_content_replaces_the_line(root: Path, folder: int, again: bool) -> None:
    book = Sums("0" * 8)
    book.record(folder, "a", put(root, "a", A))
    book.record(folder, "b", put(root, "b", B))
    (book if again else Sums("1" * 8)).record(folder, "a", put(root, "a", B))
    assert len(lines(root)) == 2
    sha256sum(root)
    book.record(folder, "c", put(root, "c", B))
    assert len(lines(root)) == 3
    sha256sum(root)
    assert not leftovers(root)


@pytest.mark.parametrize(
    "tail", [b"e3b0c442", b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  sky_2026", b"\0\0\0\0", b"\0\0\n"]
)
def test_a_line_torn_by_a_crash_is_removed(root: Path, folder: int, tail: bytes) -> None:
    Sums("0" * 8).record(folder, "a", put(root, "a", A))
    with (root / "SHA256SUMS").open("ab") as file:
        file.write(b"# a person's own line\n" + tail)
    Sums("0" * 8).record(folder, "b", put(root, "b", B))
    data = (root / "SHA256SUMS").read_bytes()
    assert b"# a person's own line\n" in data
    assert tail not in data
    assert sorted(parse(data)[0]) == ["a", "b"]
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=root, check=False, capture_output=True, timeout=60).returncode == 0


def test_duplicates_of_others_are_removed(root: Path, folder: int) -> None:
    sha = put(root, "a", A)
    (root / "SHA256SUMS").write_text(f"{'0' * 64}  a\n{sha} *a\n")
    Sums("0" * 8).record(folder, "a", sha)
    assert lines(root) == [f"{sha}  a".encode()]


def test_a_full_disk_leaves_no_half_line(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Sums("0" * 8)
    book.record(folder, "a", put(root, "a", A))
    before = (root / "SHA256SUMS").read_bytes()
    write = os.write
    monkeypatch.setattr(sums.os, "write", lambda fd, data: write(fd, data[:30]))
    with pytest.raises(OSError, match="No space"):
        book.record(folder, "b", put(root, "b", B))
    assert (root / "SHA256SUMS").read_bytes() == before
    with pytest.raises(OSError, match="No space"):  # and neither does one while it is replaced
        book.record(folder, "a", put(root, "a", B))
    assert (root / "SHA256SUMS").read_bytes() == before
    monkeypatch.undo()
    book.record(folder, "a", hashlib.sha256(B).hexdigest())
    book.record(folder, "b", hashlib.sha256(B).hexdigest())
    sha256sum(root)
    assert not leftovers(root)


def test_only_some_folders_are_remembered(tmp_path: Path) -> None:
    book = Sums("0" * 8)
    for number in range(5):
        path = tmp_path / str(number)
        path.mkdir()
        fd = os.open(path, os.O_RDONLY)
        book.record(fd, "a", put(path, "a", A))
        os.close(fd)
    assert len(book._lists) == sums.REMEMBERED


def test_it_waits_for_another_process(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "SHA256SUMS").touch()
    sha = put(root, "a", A)
    fd = os.open(root / "SHA256SUMS", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    monkeypatch.setattr(sums, "LOCK_WAIT_S", 0.01)
    with pytest.raises(TimeoutError):
        Sums("0" * 8).record(folder, "a", sha)
    monkeypatch.setattr(sums, "LOCK_WAIT_S", 30)
    thread = threading.Thread(target=Sums("0" * 8).record, args=(folder, "a", sha))
    thread.start()
    (root / "SHA256SUMS").rename(root / "moved")  # it replaces the list while we wait for the lock of the old one
    os.close(fd)
    thread.join(30)
    assert not thread.is_alive()
    assert len(lines(root)) == 1
    sha256sum(root)


def test_a_list_replaced_between_opening_and_locking(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sums._lock
    replaced: list[bool] = []

    def lock(fd: int) -> bool:
        if not replaced:
            replaced.append(True)
            (root / "SHA256SUMS").rename(root / "old")
        return real(fd)

    monkeypatch.setattr(sums, "_lock", lock)
    Sums("0" * 8).record(folder, "a", put(root, "a", A))
    assert len(lines(root)) == 1
    assert (root / "old").read_bytes() == b""


def test_a_list_removed_between_opening_and_locking(root: Path, folder: int) -> None:
    fd = os.open(root / "SHA256SUMS", os.O_RDWR | os.O_CREAT)
    (root / "SHA256SUMS").unlink()
    assert not sums._is_named(folder, fd)
    os.close(fd)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_systems_without_locks(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(fd: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(sums.fcntl, "flock", refuse)
    Sums("0" * 8).record(folder, "a", put(root, "a", A))
    sha256sum(root)


def test_other_errors_of_locking_are_told(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, how: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(sums.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="broken"):
        Sums("0" * 8).record(folder, "a", put(root, "a", A))


def test_processes_that_share_a_folder(root: Path) -> None:
    """Four processes list 100 files each, and now and then replace what is there."""
    program = """
import hashlib, os, sys
sys.path.insert(0, os.getcwd())
from tests import engine_only
engine_only.install()
from custom_components.skylapse.engine.upload.sums import Sums
folder = os.open(sys.argv[1], os.O_RDONLY)
book = Sums("0000000" + sys.argv[2])
for number in range(100):
    for content in ("old", "new") if number % 10 == 0 else ("new",):
        with open(f"{sys.argv[1]}/{sys.argv[2]}-{number}", "w") as file:
            file.write(content)
        book.record(folder, f"{sys.argv[2]}-{number}", hashlib.sha256(content.encode()).hexdigest())
"""
    children = [subprocess.Popen([sys.executable, "-c", program, str(root), str(number)]) for number in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert len(lines(root)) == 400
    assert sha256sum(root).count(": OK") == 400
    assert not leftovers(root)


def test_the_lists_own_errors_reach_the_caller(root: Path, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "elsewhere").touch()
    (root / "SHA256SUMS").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Sums("0" * 8).record(folder, "a", "0" * 64)
    assert tree.exists(folder, "SHA256SUMS")
