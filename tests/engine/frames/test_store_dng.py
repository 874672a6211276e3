"""A frame's DNG: beside it, unchanged, before it, and never at its cost."""

from collections.abc import Callable
from datetime import timedelta
import errno
import hashlib
import os
from pathlib import Path

from hypothesis import given, strategies as st
import pytest

from custom_components.skylapse.engine.errors import BadPicture, StorageError
from custom_components.skylapse.engine.frames import dng as dng_module, exif, store as store_module
from custom_components.skylapse.engine.frames.records import StoredFile
from custom_components.skylapse.engine.frames.store import FrameStore
from tests.engine.fakes import dng

from .conftest import NOW, details_at, picture

NAME = "2026/11/23/sky_20261123T120000.000Z.jpg"
RAW = NAME.replace(".jpg", ".dng")
BESIDE = NAME.replace(".000Z", ".001Z")
BIG = dng(1, 1_300_000)


def files(store: FrameStore) -> list[str]:
    return sorted(path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if not path.is_dir())


def test_both_lie_side_by_side(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100_000]))  # as the system may
    stored = store.write_pair(picture(), BIG, details_at(NOW))
    assert (store.folder / RAW).read_bytes() == BIG
    assert (store.folder / NAME).read_bytes() == exif.splice(picture(), details_at(NOW))
    assert stored.file.sha256 == hashlib.sha256((store.folder / NAME).read_bytes()).hexdigest()
    assert stored.dng == StoredFile(RAW, len(BIG), hashlib.sha256(BIG).hexdigest())
    assert stored.dng_error is None
    assert files(store) == [RAW, NAME]


def watched(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is made durable and named, in its order."""
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def noting_fsync(descriptor: int) -> None:
        done.append("fsync " + Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(store.folder).as_posix())
        fsync(descriptor)

    def noting_link(source: Path, target: Path) -> None:
        done.append("name " + target.relative_to(store.folder).as_posix())
        link(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "link", noting_link)
    return done


def test_the_dng_has_its_name_durably_before_the_frame_has(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.folder / NAME).parent.mkdir(parents=True)
    done = watched(store, monkeypatch)
    store.write_pair(picture(), BIG, details_at(NOW))
    day = "fsync 2026/11/23"
    assert done == [f"fsync {NAME}.part", f"fsync {RAW}.part", f"name {RAW}", day, f"name {NAME}", day]


@pytest.mark.parametrize("taken", [NAME, RAW])
def test_a_stem_that_either_has_taken_is_left_to_it(store: FrameStore, taken: str) -> None:
    (store.folder / taken).parent.mkdir(parents=True)
    (store.folder / taken).write_bytes(b"theirs")
    stored = store.write_pair(picture(), dng(), details_at(NOW))
    assert stored.file.relative_path == BESIDE
    assert (store.folder / BESIDE.replace(".jpg", ".dng")).read_bytes() == dng()
    assert (store.folder / taken).read_bytes() == b"theirs"


def test_a_frame_without_dng_does_not_take_the_stem_of_one(store: FrameStore) -> None:
    (store.folder / RAW).parent.mkdir(parents=True)
    (store.folder / RAW).write_bytes(dng())
    assert store.write(picture(), details_at(NOW)).relative_path == BESIDE


def test_stepping_aside_into_the_next_day(store: FrameStore) -> None:
    last = NOW.replace(hour=23, minute=59, second=59, microsecond=999_000)
    store.write(picture(), details_at(last))
    assert store.write_pair(picture(), dng(), details_at(last)).dng is not None
    assert files(store)[1:] == ["2026/11/24/sky_20261124T000000.000Z.dng", "2026/11/24/sky_20261124T000000.000Z.jpg"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_systems_without_links(store: FrameStore, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    stored = store.write_pair(picture(), dng(), details_at(NOW))
    assert stored.dng_error is None
    assert files(store) == [RAW, NAME]
    assert (store.folder / RAW).read_bytes() == dng()


CODES = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "read_only", errno.EIO: "storage_failed"}


def failing_at(monkeypatch: pytest.MonkeyPatch, call: str, suffix: str, code: int, times: int = 1000) -> None:
    """Let a system call fail that is about a path with that ending."""
    real = getattr(os, call)
    left = times

    def fail(*arguments: object) -> object:
        nonlocal left
        about = arguments[-1] if call == "link" else Path(f"/proc/self/fd/{arguments[0]}").readlink()
        if str(about).endswith(suffix) and left:
            left -= 1
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    monkeypatch.setattr(os, call, fail)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("call", "suffix"), [("write", ".dng.part"), ("fsync", ".dng.part"), ("link", ".dng")])
def test_a_dng_that_cannot_be_written_costs_only_itself(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, call: str, suffix: str, code: int
) -> None:
    failing_at(monkeypatch, call, suffix, code)
    stored = store.write_pair(picture(), BIG, details_at(NOW))
    monkeypatch.undo()
    assert stored.dng is None
    assert isinstance(stored.dng_error, StorageError)
    assert (stored.dng_error.key, stored.dng_error.placeholders["path"]) == (CODES[code], RAW)
    assert files(store) == [NAME]
    content = (store.folder / NAME).read_bytes()
    assert hashlib.sha256(content).hexdigest() == stored.file.sha256
    assert content == exif.splice(picture(), details_at(NOW))


def test_the_dng_goes_when_its_name_cannot_be_made_durable(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.folder / NAME).parent.mkdir(parents=True)
    failing_at(monkeypatch, "fsync", "/23", errno.EIO, times=1)
    stored = store.write_pair(picture(), dng(), details_at(NOW))
    assert stored.dng_error is not None
    assert files(store) == [NAME]


def test_the_frames_name_that_does_not_fit_beside_the_dng_gets_its_room(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_at(monkeypatch, "link", ".jpg", errno.ENOSPC, times=1)
    stored = store.write_pair(picture(), dng(), details_at(NOW))
    assert stored.dng_error is not None
    assert files(store) == [NAME]


@pytest.mark.parametrize(("call", "suffix"), [("write", ".jpg.part"), ("fsync", ".jpg.part"), ("link", ".jpg"), ("fsync", "/23")])
@pytest.mark.parametrize("code", CODES)
def test_a_frame_that_cannot_be_written_leaves_nothing_of_either(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, call: str, suffix: str, code: int
) -> None:
    store.write(picture(), details_at(NOW - timedelta(seconds=1)))
    before = files(store)
    with monkeypatch.context() as patch:
        failing_at(patch, call, suffix, code)
        with pytest.raises(StorageError) as caught:
            store.write_pair(picture(), dng(), details_at(NOW))
    assert caught.value.key == CODES[code]
    assert files(store) == before
    assert store.write_pair(picture(), dng(), details_at(NOW + timedelta(seconds=1))).dng is not None


@pytest.mark.parametrize(("full", "left"), [(f"{RAW}.part", [NAME]), (f"{NAME}.part", [])])
def test_a_real_full_disk(store: FrameStore, full: str, left: list[str]) -> None:
    """The kernel's own refusal of more bytes, on the device that is always full."""
    (store.folder / NAME).parent.mkdir(parents=True)
    (store.folder / full).symlink_to("/dev/full")
    if left:
        stored = store.write_pair(picture(), dng(), details_at(NOW))
        assert stored.dng_error is not None
        assert stored.dng_error.key == "disk_full"
    else:
        with pytest.raises(StorageError):
            store.write_pair(picture(), dng(), details_at(NOW))
    assert files(store) == left


@pytest.mark.parametrize("taken", [RAW, NAME])
def test_a_name_taken_in_the_last_moment_is_not_overwritten(store: FrameStore, monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    link = os.link

    def late(source: Path, target: Path) -> None:
        if not (store.folder / taken).exists() and target == store.folder / taken:
            target.write_bytes(b"theirs")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    stored = store.write_pair(picture(), dng(), details_at(NOW))
    assert stored.dng_error is not None
    assert (store.folder / taken).read_bytes() == b"theirs"
    assert files(store) == sorted([taken, BESIDE])


def test_what_is_no_jpeg_is_not_stored_and_takes_its_dng_along(store: FrameStore) -> None:
    with pytest.raises(BadPicture):
        store.write_pair(b"GIF89a", dng(), details_at(NOW))
    assert files(store) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II\x2a\x00",
        b"II\x2a\x00\x08\x00\x00\x00\x00",
        b"II\x2a\x00\x07\x00\x00\x00" + bytes(100),
        b"II\x2a\x00\xff\x00\x00\x00" + bytes(100),
        b"II\x2b\x00\x08\x00\x00\x00" + bytes(100),
        picture(),
    ],
)
def test_what_is_no_dng_is_not_kept_as_one(store: FrameStore, content: bytes) -> None:
    stored = store.write_pair(picture(), content, details_at(NOW))
    assert stored.dng is None
    assert isinstance(stored.dng_error, BadPicture)
    assert stored.dng_error.key == "dng_damaged"
    assert files(store) == [NAME]


def test_a_dng_of_either_byte_order_but_not_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"MM\x00\x2a\x00\x00\x00\x08\x00\x00" + bytes(100)
    dng_module.check_dng(content)
    monkeypatch.setattr(dng_module, "LARGEST_BYTES", len(content) - 1)
    with pytest.raises(BadPicture):
        dng_module.check_dng(content)


@given(st.binary(max_size=64), st.integers(0, 64))
def test_whatever_comes_is_taken_or_refused(data: bytes, cut: int) -> None:
    for content in (data, dng()[:cut] + data):
        try:
            dng_module.check_dng(content)
        except BadPicture:
            continue
        assert content[:4] in {b"II\x2a\x00", b"MM\x00\x2a"}


def test_examining(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store.write_pair(picture(), BIG, details_at(NOW))
    assert store.examine_dng(RAW) == stored.dng
    assert store.examine_dng("2026/11/23/gone.dng") is None
    (store.folder / RAW).write_bytes(b"")
    with pytest.raises(BadPicture):
        store.examine_dng(RAW)
    (store.folder / "2026/11/23/folder.dng").mkdir()
    with pytest.raises(StorageError):
        store.examine_dng("2026/11/23/folder.dng")


def test_a_folder_that_is_gone_is_not_made_anew(store: FrameStore) -> None:
    store.folder.rmdir()  # as when a share is no longer mounted
    with pytest.raises(StorageError):
        store.write_pair(picture(), dng(), details_at(NOW))
    assert not store.folder.exists()


class Killed(BaseException):
    """Ends a write in the middle, as a kill does: nothing is tidied up."""


def killed_at(store: FrameStore, step: int) -> bool:
    """Write a pair and stop at that system call; return whether it ended before."""
    left = step
    with pytest.MonkeyPatch.context() as patch:

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def count(*arguments: object, **more: object) -> object:
                nonlocal left
                if not left:
                    raise Killed
                left -= 1
                return real(*arguments, **more)

            return count

        for call in ("open", "write", "fsync", "link", "unlink", "mkdir"):
            patch.setattr(os, call, counted(getattr(os, call)))
        try:
            store.write_pair(picture(), BIG, details_at(NOW))
        except Killed:
            return False
    return True


def test_however_far_it_came_there_is_no_frame_without_its_dng(tmp_path: Path) -> None:
    seen = set()
    for step in range(100):
        store = FrameStore(tmp_path / f"{step}", "sky")
        store.prepare()
        ended = killed_at(store, step)
        found = files(store)
        if NAME in found:
            assert (store.folder / RAW).read_bytes() == BIG
        elif RAW in found:
            assert f"{NAME}.part" in found, "what tells that a crash left it"
        seen.add(tuple(found))
        if ended:
            break
    assert found == [RAW, NAME]
    assert len(seen) >= 6, "it was not stopped everywhere"


def test_a_name_that_cannot_be_made_durable_is_taken_back(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the frame would be written again under another name, and this one adopted later as a second one."""
    (store.folder / NAME).parent.mkdir(parents=True)
    with monkeypatch.context() as patch:
        failing_at(patch, "fsync", "/23", errno.EIO)
        with pytest.raises(StorageError):
            store.write(picture(), details_at(NOW))
    assert files(store) == []
    (store.folder / NAME).parent.mkdir(parents=True, exist_ok=True)
    sync, synced = store_module.sync_folder, 0

    def second_time(folder: Path) -> None:
        nonlocal synced
        synced += 1
        if synced == 2:
            raise OSError(errno.EIO, "x")
        sync(folder)

    monkeypatch.setattr(store_module, "sync_folder", second_time)
    with pytest.raises(StorageError):
        store.write_pair(picture(), dng(), details_at(NOW))
    assert files(store) == []
