"""Tells a DNG from anything else by how it begins. Its bytes are kept as the camera gave them, so no more of it is looked at."""

import hashlib
from pathlib import Path
from typing import Final

from ..errors import BadPicture

LARGEST_BYTES: Final = 300_000_000
"""More than any sensor gives that fits a Pi; guards memory and disk against a camera that lies."""

_ORDERS: Final = {b"II\x2a\x00": "little", b"MM\x00\x2a": "big"}
_HEAD_BYTES: Final = 8


def check_dng(data: bytes) -> None:
    """Raise ``BadPicture("dng_damaged")`` for what is no TIFF, which every DNG is, or one whose directory lies behind its end."""
    _check(data[:_HEAD_BYTES], len(data))


def hash_dng(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a DNG's file. Raises ``BadPicture`` as ``check_dng`` does, and ``OSError``."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    _check(head, size)
    return size, digest


def _check(head: bytes, size: int) -> None:
    order = _ORDERS.get(head[:4])
    directory = int.from_bytes(head[4:], "little" if order == "little" else "big")
    # the directory's own count of entries has two bytes
    if order is None or not _HEAD_BYTES <= directory <= size - 2 or size > LARGEST_BYTES:
        raise BadPicture("dng_damaged", size_bytes=size)
