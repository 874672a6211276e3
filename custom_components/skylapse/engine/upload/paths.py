"""Which names may be used at a destination: one rule for every kind of destination, so that a file may be copied from one to another.

A path that was made from a camera's name, or that came in by an action, must never lead out of the destination's root,
nor hit the files that Skylapse itself keeps there.
"""

import re

from ..errors import DestinationError

MARKER_NAME = ".skylapse-destination"
"""Marks a folder as a destination; holds its id."""
SUMS_NAME = "SHA256SUMS"
"""Lists what a folder of the destination holds, for ``sha256sum -c``."""
MAX_PART_BYTES = 255
MAX_PATH_BYTES = 1024

_TEMP = re.compile(r"\..*\.s(?P<owner>[0-9a-f]{8})-[0-9a-f]{12}\.part", re.DOTALL | re.IGNORECASE)
_RESERVED = frozenset({MARKER_NAME.casefold(), SUMS_NAME.casefold()})


def remote_parts(remote_path: str) -> tuple[str, ...]:
    """Split a path below a destination's root into its folders and, last, its file name.

    Raises ``DestinationError("name_refused", permanent=True)`` for all that a file system, a server or a shell might take
    for something else: empty, ``.`` and ``..`` parts, a leading ``/`` or ``~``, backslashes, control characters, text
    that is no Unicode, a part of more than 255 bytes in UTF-8, and the names Skylapse uses itself.
    """
    parts = tuple(remote_path.split("/"))
    if remote_path.startswith("~") or any(_refused(part) for part in parts) or _size(remote_path) > MAX_PATH_BYTES:
        raise DestinationError("name_refused", permanent=True, name=printable(remote_path))
    return parts


def printable(text: str) -> str:
    """Return text for messages: control characters and halves of surrogate pairs escaped, cut to 200 characters."""
    clean = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return clean if len(clean) <= 200 else f"{clean[:199]}…"


def temp_name(name: str, owner: str, token: str) -> str:
    """Return the hidden name under which a file is written; ``owner`` is 8, ``token`` 12 hex digits."""
    return f".{shortened(name)}.s{owner}-{token}.part"


def shortened(name: str) -> str:
    """Return a name that leaves 32 bytes of a part for what is put around it."""
    return name.encode(errors="replace")[: MAX_PART_BYTES - 32].decode(errors="ignore")


def temp_owner(name: str) -> str | None:
    """Return who wrote a file of that name and left it half-written, None for any other name."""
    found = _TEMP.fullmatch(name)
    return found["owner"] if found else None


def _refused(part: str) -> bool:
    """Tell whether a part may not be used."""
    return (
        part in {"", ".", ".."}
        or "\\" in part
        or any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in part)
        or _size(part) > MAX_PART_BYTES
        or part.casefold() in _RESERVED
        or temp_owner(part) is not None
    )


def _size(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text.encode(errors="surrogatepass"))
