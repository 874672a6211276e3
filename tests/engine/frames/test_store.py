"""The frames' files: names, durability in its order, failures that leave nothing behind."""

import asyncio
from datetime import timedelta
import errno
import hashlib
import os
from pathlib import Path
import threading

import pytest

from custom_components.skylapse.engine.errors import BadPicture, StorageError
from custom_components.skylapse.engine.frames import durable, exif, store as store_module
from custom_components.skylapse.engine.frames.store import FrameStore

from .conftest import NOW, details_at, picture

NAME = "2026/11/23/sky_20261123T120000.000Z.jpg"


def files(store: FrameStore) -> list[str]:
    return sorted(path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if not path.is_dir())


def failing(code: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


async def test_what_is_written_is_what_is_told(store: FrameStore) -> None:
    jpeg = picture()
    stored = store.write(jpeg, details_at(NOW))
    assert stored.relative_path == NAME
    content = (store.folder / NAME).read_bytes()
    assert content == exif.splice(jpeg, details_at(NOW))
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert stored.size_bytes == len(content)
    assert await store.read(NAME) == content
    assert files(store) == [NAME]
    assert (store.folder / NAME).stat().st_mode & 0o777 == 0o644


async def test_a_big_frame_goes_in_pieces(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100_000]))  # as the system may
    jpeg = picture()[:-2] + os.urandom(1_500_000) + b"\xff\xd9"
    stored = await asyncio.to_thread(store.write, jpeg, details_at(NOW))
    content = await store.read(NAME)
    assert content == exif.splice(jpeg, details_at(NOW))
    assert hashlib.sha256(content).hexdigest() == stored.sha256


def test_the_hash_is_waited_for(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much slower it is than the disk."""
    sha256 = hashlib.sha256
    written = threading.Event()

    class Slow:
        def __init__(self, data: bytes) -> None:
            self._hash = sha256(data)
            self.hexdigest = self._hash.hexdigest

        def update(self, data: memoryview) -> None:
            assert written.wait(10)
            self._hash.update(data)

    def sync_folder(_: Path) -> None:
        threading.Timer(0.1, written.set).start()

    monkeypatch.setattr(hashlib, "sha256", Slow)
    monkeypatch.setattr(store_module, "sync_folder", sync_folder)
    stored = store.write(picture(), details_at(NOW))
    monkeypatch.undo()
    assert stored.sha256 == sha256((store.folder / NAME).read_bytes()).hexdigest()


def test_a_name_that_is_taken_is_never_overwritten(store: FrameStore) -> None:
    paths = [store.write(picture((number, 0, 0)), details_at(NOW)).relative_path for number in range(3)]
    assert paths == [NAME, NAME.replace(".000Z", ".001Z"), NAME.replace(".000Z", ".002Z")]
    contents = [(store.folder / path).read_bytes() for path in paths]
    assert contents == [exif.splice(picture((number, 0, 0)), details_at(NOW)) for number in range(3)]


def test_stepping_aside_into_the_next_day(store: FrameStore) -> None:
    last = NOW.replace(hour=23, minute=59, second=59, microsecond=999_000)
    store.write(picture(), details_at(last))
    assert store.write(picture(), details_at(last)).relative_path == "2026/11/24/sky_20261124T000000.000Z.jpg"


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_systems_without_links(store: FrameStore, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    paths = [store.write(picture((number, 0, 0)), details_at(NOW)).relative_path for number in range(2)]
    assert files(store) == paths == [NAME, NAME.replace(".000Z", ".001Z")]


def test_the_order_that_survives_a_power_cut(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes on the disk before the name, the name before the promise; the new day's folders, too."""
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def noting_fsync(descriptor: int) -> None:
        done.append("fsync " + Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(store.folder).as_posix())
        fsync(descriptor)

    def noting_link(source: Path, target: Path) -> None:
        done.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "link", noting_link)
    store.write(picture(), details_at(NOW))
    assert done == ["fsync .", "fsync 2026", "fsync 2026/11", f"fsync {NAME}.part", "link", "fsync 2026/11/23"]
    done.clear()
    store.write(picture(), details_at(NOW + timedelta(seconds=1)))
    assert len(done) == 3
    last = NOW.replace(hour=23, minute=59, second=59, microsecond=999_000)
    store.write(picture(), details_at(last))
    done.clear()
    store.write(picture(), details_at(last))  # steps aside into the next day
    assert done[-3:] == ["link", "fsync 2026/11/24", "fsync 2026/11/23"]


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "read_only"),
        (errno.EIO, "storage_failed"),
    ],
)
@pytest.mark.parametrize("where", ["write", "fsync", "link"])
def test_a_failure_leaves_nothing_behind(store: FrameStore, monkeypatch: pytest.MonkeyPatch, where: str, code: int, key: str) -> None:
    store.write(picture(), details_at(NOW - timedelta(seconds=1)))
    before = files(store)
    with monkeypatch.context() as patch:
        patch.setattr(os, where, failing(code))
        with pytest.raises(StorageError) as caught:
            store.write(picture(), details_at(NOW))
    assert caught.value.key == key
    assert caught.value.placeholders["path"] == NAME
    assert files(store) == before
    store.write(picture(), details_at(NOW))


def test_a_real_full_disk(store: FrameStore) -> None:
    """The kernel's own refusal of more bytes, on the device that is always full."""
    (store.folder / "2026/11/23").mkdir(parents=True)
    (store.folder / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(StorageError) as caught:
        store.write(picture(), details_at(NOW))
    assert caught.value.key == "disk_full"
    assert files(store) == []


def test_a_folder_that_is_gone_is_not_made_anew(store: FrameStore) -> None:
    store.folder.rmdir()  # as when a share is no longer mounted
    with pytest.raises(StorageError) as caught:
        store.write(picture(), details_at(NOW))
    assert caught.value.key == "storage_failed"
    assert not store.folder.exists()


def test_what_is_no_jpeg_is_not_stored(store: FrameStore) -> None:
    with pytest.raises(BadPicture):
        store.write(b"GIF89a", details_at(NOW))
    assert files(store) == []


def test_many_at_once_at_the_same_instant(store: FrameStore) -> None:
    threads = [threading.Thread(target=store.write, args=(picture((number, 0, 0)), details_at(NOW))) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(files(store)) == 12


def test_prepare_makes_the_folder_and_tries_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FrameStore(tmp_path / "media" / "skylapse" / "sky", "sky")
    store.prepare()
    store.prepare()
    assert files(store) == []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EROFS))
        with pytest.raises(StorageError) as caught:
            store.prepare()
    assert caught.value.key == "read_only"
    assert files(store) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        FrameStore(tmp_path / "file" / "sky", "sky").prepare()


async def test_reading_what_is_gone_or_broken(store: FrameStore) -> None:
    assert await store.read(NAME) is None
    (store.folder / NAME).mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        await store.read(NAME)
    assert caught.value.key == "storage_failed"


def test_delete_takes_emptied_folders_along(store: FrameStore) -> None:
    first = store.write(picture(), details_at(NOW)).relative_path
    second = store.write(picture(), details_at(NOW + timedelta(days=1))).relative_path
    third = store.write(picture(), details_at(NOW + timedelta(days=30))).relative_path
    store.delete([first, "2026/11/23/gone.jpg", "2020/01/01/gone.jpg"])
    assert not (store.folder / "2026/11/23").exists()
    assert files(store) == [second, third]
    store.delete([second, third])
    assert list(store.folder.iterdir()) == []
    assert store.folder.is_dir()
    store.delete([])


def test_a_folder_with_anything_else_stays(store: FrameStore) -> None:
    path = store.write(picture(), details_at(NOW)).relative_path
    note = store.folder / "2026/11/23/note.txt"
    note.write_text("mine")
    store.delete([path])
    assert files(store) == ["2026/11/23/note.txt"]


def test_deleting_that_fails_says_so(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.write(picture(), details_at(NOW)).relative_path
    monkeypatch.setattr(os, "unlink", failing(errno.EROFS))
    with pytest.raises(StorageError) as caught:
        store.delete([path])
    assert caught.value.key == "read_only"
    (store.folder / f"{path}.part").write_bytes(b"")
    with pytest.raises(StorageError):
        store.remove_partials("2026/11/23", [Path(path).name + ".part"])


def test_free_space(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, "sky")
    space = os.statvfs(tmp_path)
    assert store.free_bytes() == pytest.approx(space.f_bavail * space.f_frsize, rel=0.2)
    with pytest.raises(StorageError):
        FrameStore(tmp_path / "gone", "sky").free_bytes()


def test_listing_that_fails_says_so(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", failing(errno.EIO))
    with pytest.raises(StorageError):
        store.days()
    with pytest.raises(StorageError):
        store.list_day("2026/11/23")


def test_days_are_those_of_the_calendar_only(store: FrameStore) -> None:
    for folder in ("2026/11/23", "2025/01/02", "films/11/23", "2026/xx/23", "2026/11/latest"):
        (store.folder / folder).mkdir(parents=True)
    (store.folder / "2027").write_bytes(b"")
    (store.folder / "2028").symlink_to(store.folder / "2026")
    assert store.days() == ["2025/01/02", "2026/11/23"]


def test_a_days_listing(store: FrameStore) -> None:
    path = store.write(picture(), details_at(NOW))
    day = store.folder / "2026/11/23"
    for name in ("note.txt", "other_20261123T120000.000Z.jpg", "x.part", "sky_20261123T130000.000Z.jpg.part"):
        (day / name).write_bytes(b"")
    (day / "sky_20261123T140000.000Z.jpg").mkdir()
    listing = store.list_day("2026/11/23")
    assert listing.sizes == {NAME[11:]: path.size_bytes}
    assert listing.partials == ["sky_20261123T130000.000Z.jpg.part"]
    assert store.list_day("2026/11/22").sizes == {}
    assert store.remove_partials("2026/11/23", [*listing.partials, "gone.part"]) == 1


def test_folders_of_file_systems_that_cannot_sync_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    durable.sync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        durable.sync_folder(tmp_path)


def test_a_stale_half_written_file_is_no_obstacle(store: FrameStore) -> None:
    (store.folder / NAME).parent.mkdir(parents=True)
    (store.folder / f"{NAME}.part").write_bytes(b"x" * 5_000_000)
    stored = store.write(picture(), details_at(NOW))
    assert (store.folder / NAME).stat().st_size == stored.size_bytes
    assert store_module.PARTIAL not in "".join(files(store))


def test_a_folder_that_is_gone_is_not_one_without_frames(store: FrameStore) -> None:
    assert store.days() == []
    assert store.list_day("2026/11/23").sizes == {}
    store.folder.rmdir()  # as when a drive is no longer mounted
    for look in (store.days, lambda: store.list_day("2026/11/23")):
        with pytest.raises(StorageError) as caught:
            look()
        assert caught.value.key == "storage_failed"
