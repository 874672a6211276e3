"""Delivering to a folder."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path
import time

import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.upload import folder, tree
from custom_components.skylapse.engine.upload.destination import Delivery, ProofMethod
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder
from custom_components.skylapse.engine.upload.paths import temp_name

from .conftest import MakeDelivery, leftovers, sha256sum

DAY = "cam/2026/11/23"


async def refused(destination: FolderDestination, delivery: Delivery) -> DestinationError:
    with pytest.raises(DestinationError) as raised:
        await destination.deliver(delivery)
    return raised.value


async def test_a_file_arrives_and_is_proven(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    delivery = make_delivery()
    proof = await destination.deliver(delivery)
    assert (proof.sha256, proof.size_bytes) == (delivery.sha256, delivery.size_bytes)
    assert proof.method in set(ProofMethod)
    assert proof.proven_at.utcoffset() is not None
    assert (root / DAY / "a.jpg").read_bytes() == delivery.local_path.read_bytes()
    assert sorted(path.name for path in (root / DAY).iterdir()) == ["SHA256SUMS", "a.jpg"]
    assert sha256sum(root / DAY) == "a.jpg: OK\n"
    again = await destination.prove(delivery.remote_path)
    assert again is not None
    assert (again.sha256, again.size_bytes) == (proof.sha256, proof.size_bytes)


@pytest.mark.parametrize("size", [0, 1, folder.CHUNK_BYTES - 1, folder.CHUNK_BYTES, folder.CHUNK_BYTES * 2 + 1])
async def test_sizes(destination: FolderDestination, root: Path, make_delivery: MakeDelivery, size: int) -> None:
    delivery = make_delivery("x.bin", os.urandom(size))
    assert (await destination.deliver(delivery)).sha256 == delivery.sha256
    assert (root / "x.bin").stat().st_size == size
    sha256sum(root)


async def test_again_it_is_proven_and_not_sent(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    delivery = make_delivery()
    await destination.deliver(delivery)
    inode = (root / DAY / "a.jpg").stat().st_ino
    (root / DAY / "SHA256SUMS").unlink()
    delivery.local_path.unlink()  # the reply was lost and the file is deleted meanwhile: asking is enough
    assert (await destination.deliver(delivery)).sha256 == delivery.sha256
    assert (root / DAY / "a.jpg").stat().st_ino == inode
    assert sha256sum(root / DAY) == "a.jpg: OK\n"


async def test_another_file_is_never_overwritten(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    await destination.deliver(make_delivery())
    before = (root / DAY / "a.jpg").read_bytes()
    error = await refused(destination, make_delivery())
    assert (error.key, error.permanent, error.destination_wide) == ("name_taken", True, False)
    assert (root / DAY / "a.jpg").read_bytes() == before
    (root / "foreign").write_bytes(b"somebody's")
    assert (await refused(destination, make_delivery("foreign"))).key == "name_taken"
    assert (root / "foreign").read_bytes() == b"somebody's"
    assert not leftovers(root)


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 300_000], ids=["empty", "short", "as long"])
async def test_a_damaged_copy_is_set_aside_and_replaced(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, damage: bytes
) -> None:
    delivery = make_delivery()
    for number in (1, 2):
        await destination.deliver(delivery)
        (root / DAY / "a.jpg").write_bytes(damage)
        assert (await destination.deliver(delivery)).sha256 == delivery.sha256
        assert (root / DAY / f"a.jpg.damaged-{number}").read_bytes() == damage
        assert sha256sum(root / DAY) == "a.jpg: OK\n"
    assert not leftovers(root)


async def test_a_damaged_copy_stays_until_the_good_one_is_proven(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery
) -> None:
    delivery = make_delivery()
    await destination.deliver(delivery)
    (root / DAY / "a.jpg").write_bytes(b"damaged")
    delivery.local_path.unlink()
    assert (await refused(destination, delivery)).key == "source_missing"
    assert (root / DAY / "a.jpg").read_bytes() == b"damaged"


async def test_prove_what_is_not_there(destination: FolderDestination, root: Path) -> None:
    assert await destination.prove("a.jpg") is None
    assert await destination.prove("no/such/folder/a.jpg") is None
    with pytest.raises(DestinationError, match="name_refused"):
        await destination.prove("../a")


async def test_a_folder_a_pipe_or_a_link_in_the_files_place(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, tmp_path: Path
) -> None:
    (root / "dir").mkdir()
    os.mkfifo(root / "pipe")
    (tmp_path / "outside").write_bytes(b"keep")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "broken").symlink_to(tmp_path / "nowhere")
    (root / "file").touch()
    for name in ("dir", "pipe", "link", "broken", "file/below"):
        error = await refused(destination, make_delivery(name))
        assert (error.key, error.permanent) == ("name_taken", True), name
    assert (tmp_path / "outside").read_bytes() == b"keep"
    assert not (tmp_path / "nowhere").exists()
    assert not leftovers(root)


async def test_links_may_not_lead_out(destination: FolderDestination, root: Path, make_delivery: MakeDelivery, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "inside").mkdir()
    (root / "in").symlink_to("inside")
    for name in ("out/a", "out/deep/a", "up/a"):
        error = await refused(destination, make_delivery(name))
        assert (error.key, error.permanent) == ("name_leads_out", True)
    assert (await refused(destination, make_delivery("loop/a"))).key == "name_taken"
    assert list((tmp_path / "outside").iterdir()) == []
    await destination.deliver(make_delivery("in/a"))
    assert (root / "inside" / "a").exists()


async def test_refused_names_touch_nothing(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    for name in ("../a", "a/../../b", "/a", "~/a", "SHA256SUMS", ".skylapse-destination"):
        assert (await refused(destination, make_delivery(name))).key == "name_refused"
    assert [path.name for path in root.iterdir()] == [".skylapse-destination"]


async def test_a_folder_that_is_not_mounted(root: Path, make_delivery: MakeDelivery) -> None:
    marker_id = prepare_folder(root)
    made = FolderDestination("dest1", "NAS", root, marker_id)
    marker = root / ".skylapse-destination"
    content = marker.read_bytes()
    marker.unlink()
    for act in (made.check(), made.deliver(make_delivery()), made.prove("a")):
        with pytest.raises(DestinationError) as raised:
            await act
        assert (raised.value.key, raised.value.destination_wide) == ("destination_not_mounted", True)
    assert list(root.iterdir()) == []
    root.rmdir()
    assert (await refused(made, make_delivery())).key == "destination_not_mounted"
    root.write_bytes(b"a file")
    assert (await refused(made, make_delivery())).key == "destination_not_mounted"
    root.unlink()
    root.mkdir()
    marker.write_bytes(content.replace(marker_id.encode(), b"other"))
    error = await refused(made, make_delivery())
    assert (error.key, error.destination_wide) == ("destination_other_folder", True)
    marker.write_bytes(b"")
    with pytest.raises(DestinationError) as raised:
        await made.check()
    assert (raised.value.key, raised.value.destination_wide) == ("destination_marker_damaged", True)


async def test_check(destination: FolderDestination, root: Path) -> None:
    await destination.check()
    assert [path.name for path in root.iterdir()] == [".skylapse-destination"]


async def test_sources_that_are_not_what_they_were(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    changed = make_delivery("a")
    data = bytearray(changed.local_path.read_bytes())
    data[1000] ^= 1
    changed.local_path.write_bytes(data)
    longer, shorter, gone, far, unreadable = (make_delivery(name) for name in "bcdef")
    longer.local_path.write_bytes(longer.local_path.read_bytes() + b"x" * 1_000_000)
    shorter.local_path.write_bytes(b"x")
    gone.local_path.unlink()
    far = Delivery(far.local_path.parent / "unmounted" / "x", far.remote_path, far.size_bytes, far.sha256)
    unreadable.local_path.unlink()
    unreadable.local_path.mkdir()
    for delivery, key, permanent in (
        (changed, "source_changed", True),
        (longer, "source_changed", True),
        (shorter, "source_changed", True),
        (gone, "source_missing", True),
        (far, "source_missing", False),
        (unreadable, "source_unreadable", False),
    ):
        error = await refused(destination, delivery)
        assert (error.key, error.permanent, error.destination_wide) == (key, permanent, False)
    assert [path.name for path in root.iterdir()] == [".skylapse-destination"]


async def test_a_source_that_cannot_be_opened(
    destination: FolderDestination, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = make_delivery()
    real = os.open

    def refuse(path: object, flags: int, *args: int, **kwargs: int) -> int:
        if path == delivery.local_path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, flags, *args, **kwargs)  # type: ignore[arg-type]  # whatever the code passes

    monkeypatch.setattr(os, "open", refuse)
    error = await refused(destination, delivery)
    assert (error.key, error.destination_wide) == ("source_unreadable", False)


async def test_many_at_once(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    deliveries = [make_delivery(f"cam/2026/11/{day}/{number}.jpg", os.urandom(20_000)) for day in (22, 23, 24) for number in range(20)]
    proofs = await asyncio.gather(*(destination.deliver(delivery) for delivery in deliveries))
    assert [proof.sha256 for proof in proofs] == [delivery.sha256 for delivery in deliveries]
    for day in (22, 23, 24):
        assert sha256sum(root / f"cam/2026/11/{day}").count(": OK") == 20
    assert not leftovers(root)


async def test_leftovers_are_removed_once_and_only_dead_ones(root: Path, make_delivery: MakeDelivery) -> None:
    made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
    mine = hashlib.sha256(b"dest1").hexdigest()[:8]
    day = root / DAY
    day.mkdir(parents=True)
    dead, others, others_dead, foreign = (
        day / temp_name("a.jpg", mine, "1" * 12),
        day / temp_name("a.jpg", "0" * 8, "2" * 12),
        day / temp_name("a.jpg", "0" * 8, "3" * 12),
        day / ".rsync.part",
    )
    for path in (dead, others, others_dead, foreign):
        path.touch()
    old = time.time() - 100_000
    os.utime(others_dead, (old, old))
    os.utime(foreign, (old, old))
    await made.deliver(make_delivery())
    assert not dead.exists()
    assert not others_dead.exists()
    assert others.exists()
    assert foreign.exists()
    dead.touch()
    await made.deliver(make_delivery(f"{DAY}/b.jpg"))
    assert dead.exists()  # folders are not listed for every file
    (root / dead.name).touch()
    await made.check()
    assert not (root / dead.name).exists()


def test_another_stations_leftover_that_vanishes(root: Path) -> None:
    made = FolderDestination("dest1", "NAS", root, "x")
    (root / "a").touch()
    with os.scandir(root) as entries:
        (entry,) = entries
        (root / "a").unlink()
        assert not made._left(entry, "0" * 8)


async def test_folders_are_made_durable(
    destination: FolderDestination, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every folder that got a new name is synced, and those an earlier run may have made, once."""
    synced: list[str] = []
    real = os.fsync

    def note(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()).partition("/nas")[2])
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    await destination.deliver(make_delivery())
    order = [path for path in synced if ".part" not in path]
    assert order == ["", "/cam", "/cam/2026", "/cam/2026/11", f"/{DAY}", f"/{DAY}", f"/{DAY}/SHA256SUMS"]
    assert synced[4].endswith(".part")
    synced.clear()
    await destination.deliver(make_delivery(f"{DAY}/b.jpg"))
    assert [path for path in synced if ".part" not in path] == [f"/{DAY}", f"/{DAY}/SHA256SUMS"]
    synced.clear()
    await destination.deliver(again := make_delivery(f"{DAY}/again.jpg"))
    synced.clear()
    await destination.deliver(again)  # an earlier run may have been killed just before it made the file durable
    assert synced == [f"/{DAY}/again.jpg", f"/{DAY}", f"/{DAY}/SHA256SUMS"]
    synced.clear()
    fresh = FolderDestination("dest1", "NAS", destination._root, destination._marker_id)
    await fresh.deliver(make_delivery(f"{DAY}/c.jpg"))
    assert [path for path in synced if ".part" not in path][:4] == ["", "/cam", "/cam/2026", "/cam/2026/11"]


def test_opening_a_link_does_not_leak(root: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    (root / "out").symlink_to("/")
    with tree.open_root(root) as fd, pytest.raises(DestinationError), tree.open_folder(fd, ("out",), create=True):
        pytest.fail("must not open")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_file_is_not_its_own_copy(destination: FolderDestination, root: Path, make_delivery: MakeDelivery) -> None:
    """As when the cameras' own folder is mounted at another place, too."""
    delivery = make_delivery()
    (root / DAY).mkdir(parents=True)
    (root / DAY / "a.jpg").hardlink_to(delivery.local_path)
    error = await refused(destination, delivery)
    assert (error.key, error.permanent) == ("destination_is_source", True)
    assert not (root / DAY / "SHA256SUMS").exists()
