"""A folder as destination: a mounted network share, a second disk, a USB stick."""

from collections.abc import Iterator
import contextlib
import errno
from functools import partial
import hashlib
import logging
import os
from pathlib import Path
import secrets
import stat
import threading
import time

from ..errors import DestinationError
from ..ports import Clock, SystemClock
from .destination import Delivery, Proof, ProofMethod
from .jobs import Jobs, Watch
from .marker import check_marker, prepare_folder, probe
from .oserrors import source_told, told
from .paths import printable, remote_parts, shortened, temp_name, temp_owner
from .readback import CHUNK_BYTES, hash_file, read_back
from .sums import Sums
from .tree import fsync_folder, open_folder, open_root, publish, remove

__all__ = ["FolderDestination", "prepare_folder"]

_LOGGER = logging.getLogger(__name__)

LEFTOVER_S = 86400.0
"""Half-written files of others are removed when they are older than this, our own as soon as nobody writes them."""
CLOSE_S = 5.0

type _Folder = tuple[str, ...]


class FolderDestination:
    """Copies files into a folder and proves each by reading back what the folder's disk or server then holds.

    A file appears under its name only after its bytes were made durable, read back and found right. Nothing is written unless the
    root holds the marker that ``prepare_folder`` put there, so the empty folder below a missing mount stays empty.
    """

    def __init__(self, destination_id: str, name: str, root: Path, marker_id: str, *, clock: Clock | None = None) -> None:
        """Deliver below ``root``, which must hold the marker ``marker_id``."""
        self.destination_id = destination_id
        self.name = name
        self._root = root
        self._place = printable(str(root))
        self._marker_id = marker_id
        self._clock = clock or SystemClock()
        self._owner = hashlib.sha256(destination_id.encode()).hexdigest()[:8]
        self._sums = Sums(self._owner)
        self._jobs = Jobs(self._owner, self._place)
        self._lock = threading.Lock()
        self._writing: set[str] = set()
        self._settled: set[_Folder] = set()
        """Folders known to be durable with all above them, and free of what an earlier run left half-written."""

    async def check(self) -> None:
        """Write and remove a small file. Raises ``DestinationError(destination_wide=True)``."""
        try:
            await self._jobs.run(self._check)
        except DestinationError as err:
            err.destination_wide = True
            raise

    async def deliver(self, delivery: Delivery) -> Proof:
        """Bring one file there and prove it; see ``Destination.deliver``.

        A file there that differs is set aside and replaced only if the folder's own ``SHA256SUMS`` tells that it once was the one to
        deliver (so it was damaged since); otherwise ``name_taken``. Raises ``DestinationError``.
        """
        return await self._jobs.run(partial(self._deliver, delivery))

    async def prove(self, remote_path: str) -> Proof | None:
        """Hash what is there; None if nothing is. Raises ``DestinationError``."""
        return await self._jobs.run(partial(self._prove, remote_path))

    async def close(self) -> None:
        """Wait a little for jobs that were given up. Never raises."""
        await self._jobs.drain(CLOSE_S)

    def _check(self, watch: Watch) -> None:
        with self._telling(self.name), self._open_root() as root_fd:
            watch.step()
            probe(root_fd, self._owner)
            self._settle((), root_fd)

    def _deliver(self, delivery: Delivery, watch: Watch) -> Proof:
        *folders, name = remote_parts(delivery.remote_path)
        key = tuple(folders)
        with (
            self._telling(delivery.remote_path),
            self._open_root() as root_fd,
            open_folder(root_fd, key, create=True, settle=key not in self._settled) as folder_fd,
        ):
            self._settle(key, folder_fd)
            watch.step()
            there = _read_there(folder_fd, name, watch, durable=True)
            if there is not None and there[0] == delivery.sha256:
                if _is_source(folder_fd, name, delivery):
                    raise DestinationError("destination_is_source", permanent=True, name=printable(delivery.remote_path), path=self._place)
                method = there[2]
            else:
                damaged = there is not None
                if damaged and self._sums.listed(folder_fd, name) != delivery.sha256:
                    raise DestinationError("name_taken", permanent=True, name=printable(delivery.remote_path), path=self._place)
                method = self._bring(folder_fd, name, delivery, watch, damaged=damaged)
            watch.step()
            fsync_folder(folder_fd)
            self._sums.record(folder_fd, name, delivery.sha256)
        return Proof(delivery.sha256, delivery.size_bytes, method, self._clock.now())

    def _prove(self, remote_path: str, watch: Watch) -> Proof | None:
        *folders, name = remote_parts(remote_path)
        with self._telling(remote_path), self._open_root() as root_fd:
            try:
                with open_folder(root_fd, folders, create=False) as folder_fd:
                    there = _read_there(folder_fd, name, watch, durable=False)
            except FileNotFoundError:
                there = None
        return None if there is None else Proof(*there, self._clock.now())

    def _bring(self, folder_fd: int, name: str, delivery: Delivery, watch: Watch, *, damaged: bool) -> ProofMethod:
        """Copy a file to a temporary name, prove it and give it its name."""
        temp = temp_name(name, self._owner, secrets.token_hex(6))
        with self._lock:
            self._writing.add(temp)
        try:
            with _source(delivery) as source_fd, _opened(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL, folder_fd) as fd:
                _copy(source_fd, fd, delivery, watch)
                watch.step(delivery.size_bytes)
                os.fsync(fd)
                digest, _size, method = read_back(fd, watch)
                if digest != delivery.sha256:
                    # the right hash would have proven the source, too; only a wrong one asks which of the two it was
                    raise _blame(source_fd, delivery, watch)
            watch.step()
            if damaged:
                _LOGGER.warning("%s was damaged in %s; set aside as %s", delivery.remote_path, self._place, _set_aside(folder_fd, name))
            try:
                publish(folder_fd, temp, name)
            except FileExistsError:  # since we looked: the next attempt finds out what it is
                raise DestinationError("destination_changed", name=printable(name), path=self._place) from None
        finally:
            remove(folder_fd, temp)
            with self._lock:
                self._writing.discard(temp)
        return method

    def _settle(self, key: _Folder, folder_fd: int) -> None:
        """Remove what earlier runs left half-written in a folder, once; an interrupted file is always tried again in the same one."""
        if key in self._settled:
            return
        with os.scandir(folder_fd) as entries:
            for entry in entries:
                owner = temp_owner(entry.name)
                if owner is not None and self._left(entry, owner):
                    remove(folder_fd, entry.name)
        self._settled.add(key)

    def _left(self, entry: os.DirEntry[str], owner: str) -> bool:
        """Tell whether nobody writes a temporary file any more."""
        if owner == self._owner:
            with self._lock:
                return entry.name not in self._writing
        try:
            return time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_S
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _open_root(self) -> Iterator[int]:
        """Open the root, if it is the right folder. Raises ``DestinationError`` if it is not, and ``OSError``."""
        with contextlib.ExitStack() as stack:
            try:
                fd = stack.enter_context(open_root(self._root))
            except FileNotFoundError, NotADirectoryError:
                raise DestinationError("destination_not_mounted", destination_wide=True, path=self._place) from None
            check_marker(fd, self._marker_id, self._place)
            yield fd

    @contextlib.contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Turn the system's errors into ``DestinationError``."""
        try:
            yield
        except OSError as err:
            self._settled.clear()  # what is there when it works again may be another state of it
            if err.errno == errno.ENOENT:
                self._look_again()
            raise told(err, self._place, name) from err

    def _look_again(self) -> None:
        """Make sure that something vanished in the folder, not the folder. Raises ``DestinationError`` if it was the folder."""
        try:
            with self._open_root():
                pass
        except OSError as err:
            raise told(err, self._place, "") from err


@contextlib.contextmanager
def _opened(name: str, flags: int, folder_fd: int) -> Iterator[int]:
    """Open a file of an open folder, never through a symbolic link. Raises ``OSError``."""
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _read_there(folder_fd: int, name: str, watch: Watch, *, durable: bool) -> tuple[str, int, ProofMethod] | None:
    """Return hash, size and method of what has that name; None if nothing has. ``durable`` makes its bytes so first. Raises ``OSError``."""
    try:
        with _opened(name, os.O_RDONLY | os.O_NONBLOCK, folder_fd) as fd:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            if durable:
                watch.step(status.st_size)
                os.fsync(fd)
            return read_back(fd, watch)
    except FileNotFoundError:
        return None


def _is_source(folder_fd: int, name: str, delivery: Delivery) -> bool:
    """Tell whether what lies there is the very file to copy, so no copy at all: the cameras' own folder, mounted at another place."""
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder_fd), delivery.local_path.stat())
    except OSError:  # the source is gone or out of reach: it is not what was read just now
        return False


def _set_aside(folder_fd: int, name: str) -> str:
    """Give a damaged file another name and return that. Raises ``OSError``."""
    number = 1
    while True:
        aside = f"{shortened(name)}.damaged-{number}"
        try:
            publish(folder_fd, name, aside)
        except FileExistsError:
            number += 1
        else:
            return aside


@contextlib.contextmanager
def _source(delivery: Delivery) -> Iterator[int]:
    """Open the file to deliver. Raises ``DestinationError``."""
    path = delivery.local_path
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        raise source_told(err, str(path), folder_there=path.parent.is_dir()) from err
    try:
        yield fd
    finally:
        os.close(fd)


def _copy(source_fd: int, fd: int, delivery: Delivery, watch: Watch) -> None:
    """Copy as many bytes as the file should have. Raises ``DestinationError`` about the source, ``OSError`` about the copy."""
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    total = 0
    while count := _read(source_fd, buffer, delivery):
        total += count
        if total > delivery.size_bytes:
            break
        written = 0
        while written < count:
            watch.step()
            written += os.write(fd, view[written:count])
    if total != delivery.size_bytes:
        raise DestinationError("source_changed", permanent=True, path=printable(str(delivery.local_path)))


def _read(source_fd: int, buffer: bytearray, delivery: Delivery) -> int:
    """Read the next bytes of the source."""
    try:
        return os.readv(source_fd, [buffer])
    except OSError as err:
        raise source_told(err, str(delivery.local_path), folder_there=True) from err


def _blame(source_fd: int, delivery: Delivery, watch: Watch) -> DestinationError:
    """Return the error for a copy that came back with a wrong hash: the source's, or the destination's."""
    path = str(delivery.local_path)
    try:
        digest, _size = hash_file(source_fd, watch)
    except OSError as err:
        return source_told(err, path, folder_there=True)
    if digest != delivery.sha256:
        return DestinationError("source_changed", permanent=True, path=printable(path))
    return DestinationError("wrong_hash", name=printable(delivery.remote_path))
