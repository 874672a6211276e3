"""The marker that tells a destination's folder from the empty folder below a mount that is not there."""

import contextlib
import errno
import json
import os
from pathlib import Path
import secrets
import stat

from ..errors import DestinationError
from .oserrors import told
from .paths import MARKER_NAME, printable, temp_name
from .tree import fsync_folder, publish, remove

NOBODY = "0" * 8
"""Owner of the temporary files of ``prepare_folder``, when there is no destination yet."""
_MAX_BYTES = 4096
_PROBE_BYTES = 4096
_MISSING = {errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG}
_ABOUT = "Skylapse delivers frames to this folder. It knows the folder by this file: keep it."


def prepare_folder(root: Path) -> str:
    """Make a folder a destination and return its marker's id; one that is a destination already keeps its marker. Blocks.

    Raises ``DestinationError``: ``folder_not_absolute``, ``folder_missing``, ``folder_not_directory``, ``destination_read_only``,
    ``destination_denied``, ``destination_full``, ``destination_io_error``, ``destination_marker_damaged``.
    """
    place = printable(str(root))
    if not root.is_absolute() or "\0" in str(root):
        raise DestinationError("folder_not_absolute", path=place)
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as err:
        if err.errno in _MISSING:
            raise DestinationError("folder_missing", path=place) from err
        if err.errno == errno.ENOTDIR:
            raise DestinationError("folder_not_directory", path=place) from err
        raise told(err, place, place) from err
    try:
        probe(fd)
        return _adopt(fd)
    except OSError as err:
        raise told(err, place, place) from err
    finally:
        os.close(fd)


def check_marker(root_fd: int, marker_id: str, place: str) -> None:
    """Make sure that an open folder is the destination it should be.

    Raises ``DestinationError``, destination-wide: ``destination_not_mounted``, ``destination_other_folder``,
    ``destination_marker_damaged``; and ``OSError``.
    """
    try:
        found = read_marker(root_fd)
    except FileNotFoundError:
        raise DestinationError("destination_not_mounted", destination_wide=True, path=place) from None
    if found != marker_id:
        raise DestinationError("destination_other_folder", destination_wide=True, path=place)


def read_marker(root_fd: int) -> str:
    """Return the id of an open folder's marker. Raises ``OSError``, and ``DestinationError("destination_marker_damaged")``."""
    fd = os.open(MARKER_NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root_fd)
    try:
        data = os.read(fd, _MAX_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
    try:
        marker_id = json.loads(data)["id"]
    except ValueError, TypeError, KeyError:
        marker_id = None
    if not isinstance(marker_id, str) or not marker_id:
        raise DestinationError("destination_marker_damaged", destination_wide=True, name=MARKER_NAME)
    return marker_id


def probe(root_fd: int, owner: str = NOBODY) -> None:
    """Write, rename, read and remove a small file in an open folder. Raises ``OSError``."""
    token = secrets.token_hex(6)
    written, renamed = temp_name("written", owner, token), temp_name("renamed", owner, token)
    content = secrets.token_bytes(_PROBE_BYTES)
    try:
        _write(root_fd, written, content)
        os.rename(written, renamed, src_dir_fd=root_fd, dst_dir_fd=root_fd)
        fd = os.open(renamed, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root_fd)
        try:
            same = os.read(fd, _PROBE_BYTES + 1) == content
        finally:
            os.close(fd)
    finally:
        remove(root_fd, written)
        remove(root_fd, renamed)
    if not same:
        raise OSError(errno.EIO, "a file that was written came back different")


def _adopt(root_fd: int) -> str:
    """Return the id of the marker that is there, or of a new one."""
    with contextlib.suppress(FileNotFoundError):
        return read_marker(root_fd)
    marker_id = secrets.token_hex(16)
    temp = temp_name("marker", NOBODY, secrets.token_hex(6))
    try:
        _write(root_fd, temp, json.dumps({"id": marker_id, "about": _ABOUT}, indent=1).encode() + b"\n")
        publish(root_fd, temp, MARKER_NAME)
    except FileExistsError:  # another station was faster
        return read_marker(root_fd)
    finally:
        remove(root_fd, temp)
    fsync_folder(root_fd)
    return marker_id


def _write(root_fd: int, name: str, content: bytes) -> None:
    """Write a new file durably."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=root_fd)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
