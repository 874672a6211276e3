"""The ``SHA256SUMS`` file in every folder of a destination, as ``sha256sum -c`` reads it.

One line is appended per file and made durable, so the cost does not grow with the folder. What the file lists is remembered
for the folders in use and read again only when somebody else has changed it.
"""

from collections import OrderedDict
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import errno
import fcntl
import os
import re
import secrets
import threading
import time

from .paths import SUMS_NAME, temp_name
from .tree import fsync_folder, remove

REMEMBERED = 2
"""Folders whose lists are remembered; a list of 20 000 files takes about 5 MB."""
LOCK_WAIT_S = 10.0
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""Said by file systems that cannot lock; each folder has one writer anyway unless somebody shares it between stations."""
_LINE = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\([\\nr])")
_PLAIN = {"\\": "\\", "n": "\n", "r": "\r"}

type FolderKey = tuple[int, int]
"""Device and inode of a folder."""


@dataclass(slots=True)
class _List:
    """What a folder's file listed when it was last looked at."""

    digests: dict[str, bytes]
    seen: tuple[int, int, int]
    """Its inode, size and time of change then."""


class Sums:
    """Keeps the lists of one destination. For use in threads; all methods raise ``OSError``."""

    def __init__(self, owner: str) -> None:
        """Name who writes: 8 hex digits, for the names of temporary files."""
        self._owner = owner
        self._lock = threading.Lock()
        self._lists: OrderedDict[FolderKey, _List] = OrderedDict()

    def listed(self, folder_fd: int, name: str) -> str | None:
        """Return the SHA-256 that the open folder's list has for a name, None if it has none."""
        with self._lock:
            try:
                fd = os.open(SUMS_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
            except FileNotFoundError:
                return None
            try:
                digests, _lines, _sound = parse(_read(fd))
            finally:
                os.close(fd)
            found = digests.get(name)
            return found.hex() if found else None

    def record(self, folder_fd: int, name: str, sha256: str) -> None:
        """List a file durably; what the list said of that name before is replaced, and a line torn by a crash is removed."""
        digest = bytes.fromhex(sha256)
        key = _key(folder_fd)
        with self._lock, _locked(folder_fd) as fd:
            known = self._lists.pop(key, None)  # put back only when all went well
            if known is None or known.seen != _seen(fd):
                data = _read(fd)
                digests, foreign, sound = parse(data)
                if not sound or digests.get(name, digest) != digest:
                    self._rewrite(folder_fd, {**digests, name: digest}, foreign)
                    return
                fsync_folder(folder_fd)  # of a list that an earlier run may have made just before it was killed
                known = _List(digests, _seen(fd))
            if known.digests.get(name, digest) != digest:
                self._rewrite(folder_fd, {**known.digests, name: digest}, parse(_read(fd))[1])
                return
            if name not in known.digests:
                _append(fd, line(name, digest))
                known.digests[name] = digest
            os.fsync(fd)
            known.seen = _seen(fd)
            self._lists[key] = known
            while len(self._lists) > REMEMBERED:
                self._lists.popitem(last=False)

    def _rewrite(self, folder_fd: int, digests: dict[str, bytes], foreign: list[bytes]) -> None:
        """Replace the whole list at once."""
        temp = temp_name(SUMS_NAME, self._owner, secrets.token_hex(6))
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder_fd)
        try:
            try:
                _append(fd, b"".join(foreign) + b"".join(line(name, digest) for name, digest in digests.items()))
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(temp, SUMS_NAME, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except OSError:
            remove(folder_fd, temp)
            raise
        fsync_folder(folder_fd)


def line(name: str, digest: bytes) -> bytes:
    """Return a file's line, its name escaped as coreutils does."""
    escaped = "".join(_ESCAPES.get(char, char) for char in name)
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest.hex()}  ".encode() + os.fsencode(escaped) + b"\n"


def parse(data: bytes) -> tuple[dict[str, bytes], list[bytes], bool]:
    """Return what a list holds: the digests by name, lines it does not understand, and whether it may be appended to as it is.

    It may not when its last line is torn, zeros were left by a power cut, or a name is listed twice; torn lines are in neither.
    """
    digests: dict[str, bytes] = {}
    foreign: list[bytes] = []
    *lines, torn = data.split(b"\n")
    sound = not torn
    for text in lines:
        found = _LINE.fullmatch(text)
        if b"\0" in text:
            sound = False
        elif found is None:
            foreign.append(text + b"\n")
        else:
            name = os.fsdecode(found[3])
            if found[1]:
                name = _ESCAPED.sub(lambda match: _PLAIN[match[1]], name)
            sound = sound and name not in digests
            digests[name] = bytes.fromhex(found[2].decode())
    return digests, foreign, sound


@contextlib.contextmanager
def _locked(folder_fd: int) -> Iterator[int]:
    """Open the folder's list, for this process alone where the file system can lock. Raises ``TimeoutError`` if another keeps it."""
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        fd = os.open(SUMS_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder_fd)
        try:
            if _lock(fd) and _is_named(folder_fd, fd):
                yield fd
                return
        finally:
            os.close(fd)
        if time.monotonic() >= until:
            raise TimeoutError(errno.ETIMEDOUT, f"{SUMS_NAME} is locked")
        time.sleep(0.02)


def _lock(fd: int) -> bool:
    """Lock an open file until it is closed; False if another has it. Where there are no locks, it counts as locked."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as err:
        if err.errno not in _NO_LOCKS:
            raise
    return True


def _is_named(folder_fd: int, fd: int) -> bool:
    """Tell whether an open file is still the folder's list: another process may have replaced it before we had the lock."""
    try:
        return os.path.samestat(os.stat(SUMS_NAME, dir_fd=folder_fd, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def _append(fd: int, data: bytes) -> None:
    """Write all or nothing."""
    size = os.fstat(fd).st_size
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, size)
        raise


def _read(fd: int) -> bytes:
    """Return all of an open file."""
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _seen(fd: int) -> tuple[int, int, int]:
    """Return what tells whether an open file is as it was."""
    stat = os.fstat(fd)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _key(folder_fd: int) -> FolderKey:
    stat = os.fstat(folder_fd)
    return stat.st_dev, stat.st_ino
