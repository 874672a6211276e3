"""What the system's errors mean to a destination that is a folder."""

import errno

from ..errors import DestinationError
from .paths import printable

_WIDE = {
    errno.ENOSPC: "destination_full",
    errno.EDQUOT: "destination_full",
    errno.EROFS: "destination_read_only",
    errno.EACCES: "destination_denied",
    errno.EPERM: "destination_denied",
}
_NAME = {
    errno.ENAMETOOLONG: "name_refused",
    errno.EILSEQ: "name_refused",
    errno.EFBIG: "file_too_big",
    errno.EEXIST: "name_taken",
    errno.ENOTDIR: "name_taken",
    errno.EISDIR: "name_taken",
    errno.ELOOP: "name_taken",
}
_SOURCE_GONE = (errno.ENOENT, errno.ENOTDIR)


def told(err: OSError, place: str, name: str) -> DestinationError:
    """Return the error to raise for what the system said while the file ``name`` was brought to the folder ``place``."""
    code = err.errno
    if code in _WIDE:
        return DestinationError(_WIDE[code], destination_wide=True, path=place)
    if code in _NAME:
        return DestinationError(_NAME[code], permanent=True, name=printable(name), path=place)
    if code == errno.EINVAL and err.filename is not None:  # SMB and FAT: a character that their names cannot hold
        return DestinationError("name_refused", permanent=True, name=printable(name))
    if code == errno.ENOENT:
        return DestinationError("destination_changed", name=printable(name), path=place)
    return DestinationError("destination_io_error", destination_wide=True, path=place, reason=reason(err))


def source_told(err: OSError, path: str, *, folder_there: bool) -> DestinationError:
    """Return the error to raise when the file to send cannot be read.

    A file that is gone from its folder stays gone; when the folder is gone too, its drive may only not be mounted.
    """
    if err.errno in _SOURCE_GONE:
        return DestinationError("source_missing", permanent=folder_there, path=printable(path))
    return DestinationError("source_unreadable", path=printable(path), reason=reason(err))


def reason(err: OSError) -> str:
    """Return the system's words without any path."""
    return err.strerror or type(err).__name__
