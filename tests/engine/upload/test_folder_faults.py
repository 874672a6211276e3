"""Deliveries while the destination fails."""

# ruff: noqa: ASYNC110, ASYNC220, ASYNC221  - a test waits for nobody else in its loop

import asyncio
from collections.abc import Callable, Generator
import contextlib
import errno
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.upload import folder, jobs, readback
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder

from .conftest import MakeDelivery, leftovers, sha256sum

DAY = "cam/2026/11/23"


async def refused(destination: FolderDestination, delivery: object) -> DestinationError:
    with pytest.raises(DestinationError) as raised:
        await destination.deliver(delivery)  # type: ignore[arg-type]  # a Delivery
    return raised.value


@contextlib.contextmanager
def mounted(path: Path, *options: str) -> Generator[None]:
    """Mount a small tmpfs."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    run = subprocess.run(["mount", "-t", "tmpfs", *options, "skylapse-test", str(path)], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"this machine forbids mounting: {run.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Return a function that makes something happen after the first chunk was copied."""

    def set_up(happen: Callable[[], None]) -> None:
        real = os.readv
        done: list[bool] = []

        def readv(fd: int, buffers: list[bytearray]) -> int:
            if done == [True]:
                happen()
            done.append(True)
            return real(fd, buffers)

        monkeypatch.setattr(folder.os, "readv", readv)

    return set_up


async def test_the_folder_vanishes_in_mid_copy(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, during: Callable[[Callable[[], None]], None]
) -> None:
    delivery = make_delivery()
    during(lambda: shutil.rmtree(root))
    error = await refused(destination, delivery)
    assert (error.key, error.destination_wide) == ("destination_not_mounted", True)
    assert not root.exists()


async def test_the_mount_vanishes_in_mid_copy(
    root: Path, make_delivery: MakeDelivery, during: Callable[[Callable[[], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written into the empty folder below it."""
    with mounted(root):
        made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
        delivery = make_delivery()
        during(lambda: subprocess.run(["umount", "-l", str(root)], check=True))
        with contextlib.suppress(DestinationError):
            await made.deliver(delivery)  # the mount lives on for who has it open, and the copy may be finished there
        assert list(root.iterdir()) == []
        assert (await refused(made, delivery)).key == "destination_not_mounted"
        assert list(root.iterdir()) == []
        monkeypatch.undo()
        subprocess.run(["mount", "-t", "tmpfs", "skylapse-test", str(root)], check=True)  # for the context to unmount


async def test_only_the_days_folder_vanishes(
    destination: FolderDestination,
    root: Path,
    make_delivery: MakeDelivery,
    during: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delivery = make_delivery()
    during(lambda: shutil.rmtree(root / "cam"))
    error = await refused(destination, delivery)
    assert (error.key, error.destination_wide, error.permanent) == ("destination_changed", False, False)
    monkeypatch.undo()
    await destination.deliver(delivery)
    assert sha256sum(root / DAY) == "a.jpg: OK\n"


async def test_a_full_disk(root: Path, make_delivery: MakeDelivery) -> None:
    with mounted(root, "-o", "size=300k"):
        made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
        small, big = make_delivery("small", os.urandom(50_000)), make_delivery("big", os.urandom(400_000))
        error = await refused(made, big)
        assert (error.key, error.destination_wide) == ("destination_full", True)
        assert not leftovers(root)
        await made.deliver(small)
        (root / "fill").write_bytes(bytes(150_000))
        with contextlib.suppress(OSError), (root / "fill").open("ab") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        with pytest.raises(DestinationError) as raised:
            await made.check()
        assert (raised.value.key, raised.value.destination_wide) == ("destination_full", True)
        with pytest.raises(DestinationError, match="destination_full"):
            prepare_folder(root)
        assert sha256sum(root) == "small: OK\n"
        assert not leftovers(root)


async def test_read_only(root: Path, make_delivery: MakeDelivery) -> None:
    with mounted(root):
        made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        for act in (made.check(), made.deliver(make_delivery()), made.deliver(make_delivery("top"))):
            with pytest.raises(DestinationError) as raised:
                await act
            assert (raised.value.key, raised.value.destination_wide) == ("destination_read_only", True)
        with pytest.raises(DestinationError, match="destination_read_only"):
            prepare_folder(root)


async def test_no_permission(root: Path, make_delivery: MakeDelivery) -> None:
    if os.geteuid():
        made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
        root.chmod(0o500)
        try:
            assert (await refused(made, make_delivery())).key == "destination_denied"
        finally:
            root.chmod(0o700)
        return
    program = """
import os, sys
sys.path.insert(0, os.getcwd())
from tests import engine_only
engine_only.install()
from custom_components.skylapse.engine.upload.folder import prepare_folder
from custom_components.skylapse.engine.errors import DestinationError
from pathlib import Path
os.setuid(65534)
try:
    prepare_folder(Path(sys.argv[1]))
except DestinationError as err:
    print(err.key)
"""
    for parent in (root, *root.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    run = subprocess.run([sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "destination_denied"


@pytest.mark.parametrize(
    ("code", "key", "wide", "permanent"),
    [
        (errno.ENOSPC, "destination_full", True, False),
        (errno.EDQUOT, "destination_full", True, False),
        (errno.EROFS, "destination_read_only", True, False),
        (errno.EACCES, "destination_denied", True, False),
        (errno.EPERM, "destination_denied", True, False),
        (errno.EIO, "destination_io_error", True, False),
        (errno.ESTALE, "destination_io_error", True, False),
        (errno.ENOTCONN, "destination_io_error", True, False),
        (errno.EHOSTDOWN, "destination_io_error", True, False),
        (errno.ETIMEDOUT, "destination_io_error", True, False),
        (errno.ENAMETOOLONG, "name_refused", False, True),
        (errno.EINVAL, "name_refused", False, True),
        (errno.EILSEQ, "name_refused", False, True),
        (errno.EFBIG, "file_too_big", False, True),
        (errno.ENOENT, "destination_changed", False, False),
    ],
)
async def test_what_the_system_says(
    destination: FolderDestination,
    root: Path,
    make_delivery: MakeDelivery,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    key: str,
    wide: bool,
    permanent: bool,
) -> None:
    real = os.open

    def refuse(path: object, flags: int, *args: int, **kwargs: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), path)
        return real(path, flags, *args, **kwargs)  # type: ignore[arg-type]  # whatever the code passes

    monkeypatch.setattr(os, "open", refuse)
    error = await refused(destination, make_delivery())
    assert (error.key, error.destination_wide, error.permanent) == (key, wide, permanent)


async def test_einval_without_a_name_is_no_refused_name(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, data: bytes) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "write", refuse)
    error = await refused(destination, make_delivery())
    assert (error.key, error.destination_wide) == ("destination_io_error", True)
    assert not leftovers(root)


async def test_the_root_fails_when_something_vanished(
    destination: FolderDestination,
    root: Path,
    make_delivery: MakeDelivery,
    during: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = os.open

    def happen() -> None:
        shutil.rmtree(root / "cam")

        def refuse(path: object, flags: int, *args: int, **kwargs: int) -> int:
            if path == root:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return real(path, flags, *args, **kwargs)  # type: ignore[arg-type]  # whatever the code passes

        monkeypatch.setattr(os, "open", refuse)

    during(happen)
    error = await refused(destination, make_delivery())
    assert (error.key, error.destination_wide) == ("destination_io_error", True)


async def test_a_bit_that_flips_on_its_way(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing wrong ever gets the file's name."""
    real = readback.read_back

    def flip(fd: int, watch: jobs.Watch) -> object:
        byte = os.pread(fd, 1, 5000)
        os.pwrite(fd, bytes([byte[0] ^ 8]), 5000)
        os.fsync(fd)
        return real(fd, watch)

    monkeypatch.setattr(folder, "read_back", flip)
    delivery = make_delivery()
    error = await refused(destination, delivery)
    assert (error.key, error.destination_wide, error.permanent) == ("wrong_hash", False, False)
    assert list((root / DAY).iterdir()) == []
    monkeypatch.undo()
    await destination.deliver(delivery)
    assert sha256sum(root / DAY) == "a.jpg: OK\n"


async def test_a_source_that_breaks_when_it_is_read_again(
    destination: FolderDestination, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = make_delivery()
    data = bytearray(delivery.local_path.read_bytes())
    data[0] ^= 1
    delivery.local_path.write_bytes(data)

    def fail(fd: int, watch: jobs.Watch) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folder, "hash_file", fail)
    assert (await refused(destination, delivery)).key == "source_unreadable"


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_file_systems_without_hard_links(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    delivery = make_delivery()
    await destination.deliver(delivery)
    assert sha256sum(root / DAY) == "a.jpg: OK\n"
    (root / DAY / "a.jpg").write_bytes(b"damaged")
    (root / DAY / "a.jpg.damaged-1").write_bytes(b"earlier")
    await destination.deliver(delivery)
    assert (root / DAY / "a.jpg.damaged-1").read_bytes() == b"earlier"
    assert (root / DAY / "a.jpg.damaged-2").read_bytes() == b"damaged"
    assert sha256sum(root / DAY) == "a.jpg: OK\n"
    assert not leftovers(root)


async def test_a_link_that_fails(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", refuse)
    assert (await refused(destination, make_delivery())).key == "destination_io_error"
    assert list((root / DAY).iterdir()) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF])
async def test_folders_that_cannot_be_synced(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):  # noqa: PTH112  no Path while it is patched
            raise OSError(code, os.strerror(code))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    await destination.deliver(make_delivery())
    assert sha256sum(root / DAY) == "a.jpg: OK\n"


@pytest.mark.parametrize("which", ["file", "folder"])
async def test_a_sync_that_fails_is_no_success(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}") == (which == "folder"):  # noqa: PTH112  no Path while it is patched
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    delivery = make_delivery()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert (await refused(destination, delivery)).key == "destination_io_error"
    assert not leftovers(root)
    await destination.deliver(delivery)
    assert sha256sum(root / DAY) == "a.jpg: OK\n"


async def test_somebody_takes_the_name_while_we_copy(
    destination: FolderDestination,
    root: Path,
    make_delivery: MakeDelivery,
    during: Callable[[Callable[[], None]], None],
) -> None:
    during(lambda: (root / DAY / "a.jpg").write_bytes(b"theirs") and None)
    delivery = make_delivery()
    assert (await refused(destination, delivery)).key == "destination_changed"
    assert (root / DAY / "a.jpg").read_bytes() == b"theirs"
    assert (await refused(destination, delivery)).key == "name_taken"
    assert not leftovers(root)


async def test_a_share_that_hangs(root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is given up, no further thread is spent, and when the share comes back nothing half-done is published."""
    monkeypatch.setattr(jobs, "STEP_S", 0.2)
    made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
    hanging = True
    real = os.fsync

    def fsync(fd: int) -> None:
        while hanging:
            time.sleep(0.005)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    small = make_delivery(content=b"x")
    error = await refused(made, small)
    assert (error.key, error.destination_wide) == ("destination_hangs", True)
    assert (await refused(made, make_delivery())).key == "destination_hangs"
    with pytest.raises(DestinationError, match="destination_hangs"):
        await made.check()
    monkeypatch.setattr(folder, "CLOSE_S", 0.01)
    await made.close()
    hanging = False
    while made._jobs.hanging:
        await asyncio.sleep(0.005)
    assert [path for path in root.rglob("*") if path.name == "a.jpg"] == []
    assert not leftovers(root)
    await made.check()
    await made.deliver(small)
    assert sha256sum(root / DAY) == "a.jpg: OK\n"
    monkeypatch.setattr(folder, "CLOSE_S", 5)
    await made.close()


async def test_cancelled_in_mid_copy(
    destination: FolderDestination,
    root: Path,
    make_delivery: MakeDelivery,
    during: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task: asyncio.Task[object]
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)
        time.sleep(0.1)

    during(cancel)
    delivery = make_delivery(content=os.urandom(2_000_000))
    task = asyncio.create_task(destination.deliver(delivery))
    with pytest.raises(asyncio.CancelledError):
        await task
    await destination.close()
    assert list((root / DAY).iterdir()) == []
    monkeypatch.undo()
    await destination.deliver(delivery)
    assert sha256sum(root / DAY) == "a.jpg: OK\n"


async def test_given_up_just_before_it_is_published(
    destination: FolderDestination, root: Path, make_delivery: MakeDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = readback.read_back

    def give_up(fd: int, watch: jobs.Watch) -> object:
        found = real(fd, watch)
        watch.cancelled = True
        return found

    monkeypatch.setattr(folder, "read_back", give_up)
    with pytest.raises(jobs.Abandoned):
        await destination.deliver(make_delivery())
    assert list((root / DAY).iterdir()) == []


KILLED = """
import asyncio, hashlib, os, sys
sys.path.insert(0, os.getcwd())
from tests import engine_only
engine_only.install()
from pathlib import Path
from custom_components.skylapse.engine.upload.destination import Delivery
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder
root, source = Path(sys.argv[1]), Path(sys.argv[2])
sha = hashlib.sha256(source.read_bytes()).hexdigest()
async def main():
    made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
    number = int(sys.argv[3])
    while True:
        await made.deliver(Delivery(source, f"day/{number}.jpg", source.stat().st_size, sha))
        print(number, flush=True)
        number += 1
asyncio.run(main())
"""


async def test_killed_in_the_middle(root: Path, make_delivery: MakeDelivery) -> None:
    """What was announced is there and listed; the next run removes what was left half-written."""
    delivery = make_delivery(content=os.urandom(1_500_000))
    announced: list[int] = []
    for kill in range(6):
        start = announced[-1] + 1 if announced else 0
        arguments = [sys.executable, "-c", KILLED, str(root), str(delivery.local_path), str(start)]
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        announced.append(int(child.stdout.readline()))
        await asyncio.sleep(0.011 * kill)
        child.kill()
        announced += [int(line) for line in child.stdout.read().split()]
        child.wait(10)
        child.stdout.close()
        done = sha256sum(root / "day")
        assert all(f"{number}.jpg: OK" in done for number in announced)
        assert len(leftovers(root)) <= 1
    made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
    await made.deliver(folder.Delivery(delivery.local_path, "day/last.jpg", delivery.size_bytes, delivery.sha256))
    assert not leftovers(root)
    listed = (root / "day" / "SHA256SUMS").read_text().splitlines()
    assert len(listed) == len(set(listed))
