"""The folders of a destination, reached through open directories only.

Every step goes from the open root downwards. So nothing is ever written to the empty folder below a mount that went away meanwhile,
and a symbolic link that leads out of the root is noticed, however the tree changes under our hands.
"""

from collections.abc import Iterator, Sequence
import contextlib
import errno
import os
from pathlib import Path

from ..errors import DestinationError
from .paths import printable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_FSYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}
"""Said by file systems that cannot fsync a folder (SMB, some FUSE): they keep names durable themselves, or not at all."""
_NO_HARD_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EXDEV}


@contextlib.contextmanager
def open_root(root: Path) -> Iterator[int]:
    """Open the root. Raises ``OSError``."""
    fd = os.open(root, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_folder(root_fd: int, parts: Sequence[str], *, create: bool, settle: bool = False) -> Iterator[int]:
    """Open a folder below the root; ``create`` makes what is missing, durably, and ``settle`` makes durable what is there.

    Raises ``OSError``, and ``DestinationError("name_leads_out", permanent=True)`` for a symbolic link out of the root.
    """
    fd = os.dup(root_fd)
    try:
        for depth, part in enumerate(parts, start=1):
            path = "/".join(parts[:depth])
            try:
                below = _enter(root_fd, fd, part, path)
            except FileNotFoundError:
                if not create:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=fd)
                fsync_folder(fd)
                below = _enter(root_fd, fd, part, path)
            else:
                if settle:
                    fsync_folder(fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def fsync_folder(fd: int) -> None:
    """Make a folder's names durable, where the file system has a way to. Raises ``OSError``."""
    try:
        os.fsync(fd)
    except OSError as err:
        if err.errno not in _NO_FSYNC:
            raise


def publish(fd: int, temp: str, name: str) -> None:
    """Give a finished file its name in the open folder ``fd`` and never overwrite one. Raises ``FileExistsError``, ``OSError``."""
    try:
        os.link(temp, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
    except OSError as err:
        if err.errno not in _NO_HARD_LINK:
            raise
        # no hard links here (FAT, SMB): each destination has one writer, so looking first is as good as it gets
        if exists(fd, name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        os.rename(temp, name, src_dir_fd=fd, dst_dir_fd=fd)
    else:
        os.unlink(temp, dir_fd=fd)


def remove(fd: int, name: str) -> None:
    """Remove a temporary file from an open folder, if it can be; one that stays is removed later (``FolderDestination``)."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=fd)


def exists(fd: int, name: str) -> bool:
    """Tell whether the open folder has an entry of that name, be it a broken link. Raises ``OSError``."""
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _enter(root_fd: int, fd: int, part: str, path: str) -> int:
    """Open one folder of an open folder."""
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as err:
        if err.errno not in {errno.ELOOP, errno.ENOTDIR}:
            raise
    below = os.open(part, _FOLDER, dir_fd=fd)
    root, real = Path(f"/proc/self/fd/{root_fd}").readlink(), Path(f"/proc/self/fd/{below}").readlink()
    if real.is_relative_to(root):
        return below
    os.close(below)
    raise DestinationError("name_leads_out", permanent=True, name=printable(path))
