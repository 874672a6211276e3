"""The frames' files: written so that a frame that was announced survives a power cut, whole."""

import _thread
from collections.abc import Callable, Iterable
import contextlib
from dataclasses import dataclass
import errno
import hashlib
import os
from pathlib import Path, PurePosixPath
import threading
from typing import Final

import aiofiles

from ..errors import BadPicture, SkylapseError, StorageError
from .dng import check_dng, hash_dng
from .durable import make_folder, sync_folder
from .exif import splice_head
from .folder import DayListing, days, list_day
from .naming import PARTIAL, dng_beside, frame_beside, relative_path
from .records import FrameDetails, StoredFile

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_STRIDE: Final = 512 * 1024
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""How file systems without hard links (FAT, some network shares) refuse one."""


@dataclass(frozen=True, slots=True)
class StoredPair:
    """A frame with what became of its DNG, if it had one."""

    file: StoredFile
    dng: StoredFile | None
    dng_error: SkylapseError | None
    """Why the DNG was lost, although the frame was kept."""


def free_space(folder: Path) -> int:
    """Return the bytes that may still be written where the folder is. Raises ``OSError``."""
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


class FrameStore:
    """One camera's folder. All but ``read`` blocks: call it in a thread. Safe to be called from several at once."""

    def __init__(self, folder: Path, slug: str, *, measure: Callable[[Path], int] = free_space) -> None:
        """Set the camera's folder (need not exist) and its short name, which begins the files' names."""
        self.folder = folder
        self.slug = slug
        self._measure = measure
        self._lock = threading.Lock()
        """Held while files appear or vanish, so that a day's folder is not removed under a frame being written."""

    def prepare(self) -> None:
        """Make the folder and try that it can be written to. Raises ``StorageError``."""
        probe = self.folder / f".{self.slug}{PARTIAL}"
        try:
            make_folder(self.folder)
            with probe.open("wb") as file:
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._translated(error, self.folder.name) from error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    def write(self, jpeg: bytes, details: FrameDetails) -> StoredFile:
        """Write one frame, with its EXIF; when this returns it is on the disk under its final name.

        The bytes go to a temporary name beside it, are hashed meanwhile, and get their name only once they are on the disk; a name
        that is taken is never overwritten. Raises ``StorageError`` (``disk_full``, ``read_only``, ``storage_failed``) or
        ``BadPicture`` and then leaves nothing behind.
        """
        head, rest = splice_head(jpeg, details)
        hashing = _Hashing(head, rest)
        try:
            with self._lock:
                path = self._write(head, rest, details)
        finally:
            sha256 = hashing.wait()
        return StoredFile(path, len(head) + len(rest), sha256)

    def write_pair(self, jpeg: bytes, dng: bytes, details: FrameDetails) -> StoredPair:
        """Write one frame as ``write`` does, and its DNG, unchanged and as durable, beside it under the same stem.

        The DNG has its name before the frame has, so there is never a frame without it. One that cannot be written costs nothing but itself:
        ``dng_error`` tells. Raises what ``write`` does and then leaves nothing of either behind.
        """
        try:
            check_dng(dng)
        except BadPicture as refused:
            return StoredPair(self.write(jpeg, details), None, refused)
        head, rest = splice_head(jpeg, details)
        hashing, dng_hashing = _Hashing(head, rest), _Hashing(b"", memoryview(dng))
        try:
            with self._lock:
                path, error = self._write_pair(head, rest, dng, details)
        finally:
            sha256, dng_sha256 = hashing.wait(), dng_hashing.wait()
        file = StoredFile(path, len(head) + len(rest), sha256)
        return StoredPair(file, None if error else StoredFile(dng_beside(path), len(dng), dng_sha256), error)

    def _write_pair(self, head: bytes, rest: memoryview, dng: bytes, details: FrameDetails) -> tuple[str, StorageError | None]:
        name = relative_path(self.slug, details.taken_at)
        lost = None
        try:
            self._check_folder()
            name = self._free_name(details)
            partial, partial_dng = self.folder / f"{name}{PARTIAL}", self.folder / f"{dng_beside(name)}{PARTIAL}"
            make_folder(partial.parent)
            try:
                _write_durably(partial, head, rest)  # first, so that a DNG can only take what room the frame leaves
                try:
                    _publish_pair(partial, partial_dng, dng)
                except OSError as error:
                    lost = self._translated(error, dng_beside(name))
                    name = self._publish(partial, details)
            finally:
                for temp in (partial, partial_dng):
                    with contextlib.suppress(FileNotFoundError):
                        temp.unlink()
            self._settle(partial.parent, *([name] if lost else [name, dng_beside(name)]))
        except OSError as error:
            raise self._translated(error, name) from error
        return name, lost

    def _free_name(self, details: FrameDetails) -> str:
        """Return the first name that neither a frame nor a DNG has taken."""
        collision = 0
        while _is_taken(self.folder / (name := relative_path(self.slug, details.taken_at, collision))):
            collision += 1
        return name

    def _write(self, head: bytes, rest: memoryview, details: FrameDetails) -> str:
        name = relative_path(self.slug, details.taken_at)
        partial = self.folder / f"{name}{PARTIAL}"
        try:
            self._check_folder()  # not the place to make one
            make_folder(partial.parent)
            try:
                _write_durably(partial, head, rest)
                name = self._publish(partial, details)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    partial.unlink()
            self._settle(partial.parent, name)
        except OSError as error:
            raise self._translated(error, name) from error
        return name

    def _publish(self, partial: Path, details: FrameDetails) -> str:
        """Give a whole file its final name, the first that is free, and return it."""
        collision = 0
        while True:
            name = relative_path(self.slug, details.taken_at, collision)
            final = self.folder / name
            if collision:
                make_folder(final.parent)
            if not _is_there(final.with_name(dng_beside(final.name))) and _place(partial, final):
                if final.parent != partial.parent:
                    sync_folder(final.parent)
                return name
            collision += 1

    def _settle(self, folder: Path, *names: str) -> None:
        """Make new names durable. Raises ``OSError`` and takes them back: they are not told of, and would be found again as other frames."""
        try:
            sync_folder(folder)
        except OSError:
            for name in names:
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink()
            raise

    async def read(self, path: str) -> bytes | None:
        """Return a frame's bytes; None if its file is gone. Raises ``StorageError``."""
        try:
            async with aiofiles.open(self.folder / path, "rb") as file:
                return await file.read()
        except FileNotFoundError, NotADirectoryError:
            return None
        except OSError as error:
            raise self._translated(error, path) from error

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files, durably and in this order, and the folders that are empty then; files that are gone are fine. Raises ``StorageError``."""
        by_day: dict[PurePosixPath, list[str]] = {}
        for path in paths:
            by_day.setdefault(PurePosixPath(path).parent, []).append(path)
        with self._lock:
            for day, names in by_day.items():
                self._delete(day, names)

    def _delete(self, day: PurePosixPath, paths: list[str]) -> None:
        try:
            for path in paths:
                (self.folder / path).unlink(missing_ok=True)
            folder = self.folder / day
            if folder.is_dir():
                sync_folder(folder)
        except OSError as error:
            raise self._translated(error, str(day)) from error
        self._remove_empty(day)

    def remove_partials(self, day: str, names: Iterable[str], left_dngs: Iterable[str] = ()) -> int:
        """Remove what half-written frames a crash left in a day's folder; return how many files. Raises ``StorageError``.

        ``left_dngs`` are DNGs that had their names when their frames had not: removed, too, unless the frame has its name by now.
        """
        folder = self.folder / day
        removed = 0
        with self._lock:  # so whatever is found half-written is not being written
            # The DNGs first: the frame's half-written file is what tells that the DNG beside it was left by a crash
            for name in [*(dng for dng in left_dngs if not _is_there(folder / frame_beside(dng))), *names]:
                try:
                    (folder / name).unlink()
                    removed += 1
                except FileNotFoundError:  # it was being written when it was listed
                    continue
                except OSError as error:
                    raise self._translated(error, name) from error
            self._remove_empty(PurePosixPath(day))
        return removed

    def examine_dng(self, path: str) -> StoredFile | None:
        """Return what is to be known of a DNG in the folder; None if it is gone. Raises ``BadPicture`` or ``StorageError``."""
        try:
            size, sha256 = hash_dng(self.folder / path)
        except FileNotFoundError, NotADirectoryError:
            return None
        except OSError as error:
            raise self._translated(error, path) from error
        return StoredFile(path, size, sha256)

    def _remove_empty(self, day: PurePosixPath) -> None:
        """Remove the day's folder, its month's and its year's, as far as they are empty."""
        for folder in (day, *day.parents[:-1]):
            try:
                (self.folder / folder).rmdir()
            except OSError:  # holds something, or is gone: both are fine
                return

    def days(self) -> list[str]:
        """Return the days (``YYYY/MM/DD``) that have a folder, in order. Raises ``StorageError``."""
        try:
            found = days(self.folder)
            self._check_folder()
        except OSError as error:
            raise self._translated(error, self.folder.name) from error
        return found

    def list_day(self, day: str) -> DayListing:
        """Return what lies in a day's folder. Raises ``StorageError``, also when the camera's folder went away with it."""
        try:
            listing = list_day(self.folder, day, self.slug)
            self._check_folder()
        except OSError as error:
            raise self._translated(error, day) from error
        return listing

    def _check_folder(self) -> None:
        """Make sure that the camera's folder is there: a drive that is not mounted is no place without frames. Raises ``OSError``."""
        if not self.folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def free_bytes(self) -> int:
        """Return the bytes that may still be written. Raises ``StorageError``."""
        try:
            return self._measure(self.folder)
        except OSError as error:
            raise self._translated(error, self.folder.name) from error

    def _translated(self, error: OSError, path: str) -> StorageError:
        if error.errno in _FULL:
            return StorageError("disk_full", path=path)
        if error.errno in _READ_ONLY:
            return StorageError("read_only", path=path)
        return StorageError("storage_failed", path=path, reason=error.strerror or type(error).__name__)


class _Hashing:
    """The SHA-256 of a frame, reckoned in a thread of its own while the disk is busy."""

    def __init__(self, head: bytes, rest: memoryview) -> None:
        self._digest = hashlib.sha256(head)
        self._running = threading.Lock()
        self._running.acquire()
        # A ``threading.Thread`` would be waited for until it has begun, which costs as much as hashing a megabyte
        _thread.start_new_thread(self._run, (rest,))

    def _run(self, rest: memoryview) -> None:
        try:
            self._digest.update(rest)
        finally:
            self._running.release()

    def wait(self) -> str:
        """Wait for the thread and return 64 hex digits."""
        with self._running:
            return self._digest.hexdigest()


def _write_durably(path: Path, head: bytes, rest: memoryview) -> None:
    """Write a new file and wait until its bytes are on the disk. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        start = 0
        for part in (memoryview(head), rest):
            left = part
            while left:
                written = os.write(descriptor, left[:_STRIDE])
                # Of bytes not on the disk yet this only begins their way there, while the next ones are copied: the fsync finds less to do
                os.posix_fadvise(descriptor, start, written, os.POSIX_FADV_DONTNEED)
                left, start = left[written:], start + written
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish_pair(partial: Path, partial_dng: Path, dng: bytes) -> None:
    """Write the DNG of a frame that is written already, and give both their names, durably the DNG's first.

    Raises ``OSError``; then neither has its name, and the DNG's room is free again.
    """
    final, final_dng = partial.with_suffix(""), partial_dng.with_suffix("")
    placed = False
    try:
        _write_durably(partial_dng, b"", memoryview(dng))
        placed = _place(partial_dng, final_dng)
        if placed:
            sync_folder(final.parent)
        if not placed or not _place(partial, final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))  # since we looked: somebody's hand
    except OSError:
        for path in (final_dng, partial_dng) if placed else (partial_dng,):
            with contextlib.suppress(OSError):
                path.unlink()
        raise


def _place(partial: Path, final: Path) -> bool:
    """Give a file its final name; False if that is taken. Raises ``OSError``."""
    try:
        os.link(partial, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            return False
        partial.rename(final)  # nobody else writes here, and this store writes one at a time
    return True


def _is_taken(frame: Path) -> bool:
    """Tell whether a frame or a DNG has that name."""
    return _is_there(frame) or _is_there(frame.with_name(dng_beside(frame.name)))


def _is_there(path: Path) -> bool:
    return path.exists(follow_symlinks=False)
