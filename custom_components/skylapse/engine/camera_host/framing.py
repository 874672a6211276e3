"""The frames between engine and worker, the same in both directions, locally and over SSH.

A frame is the magic ``SKY1``, then header length, blob length and CRC-32 (of header, then blob) as big-endian 32-bit numbers,
then the header (a JSON object in UTF-8) and the blob (a picture).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
import json
import struct
from typing import Any, Final
import zlib

MAGIC: Final = b"SKY1"
HEADER_LIMIT: Final = 1 << 20
BLOB_LIMIT: Final = 128 << 20
CHUNK: Final = 256 * 1024
"""As much is read and summed in one step on the event loop: well under a millisecond, also on a Pi."""
NOISE_LIMIT: Final = 64 * 1024
"""So many bytes may come before the first frame: what login shells and interpreters print at their start."""

_PREFIX: Final = struct.Struct(">4sIII")
_DEEPEST: Final = 32
"""Levels of a header; whoever walks through it, such as diagnostics, can do so without a thought."""
_INLINE_JOIN: Final = 1 << 20
_LONGEST_FIRST: Final = 4096
"""The first frame is a short one without a blob: so it is told from noise that has the magic in it."""

type Read = Callable[[int], Awaitable[bytes]]
"""``await read(most)``: at least 1 and at most ``most`` bytes, or ``b""`` at the end."""


class FrameError(Exception):
    """What came is no frame; the text says why, in words fit for a log."""


class _Ended(Exception):
    """The stream ended."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame."""

    header: dict[str, Any]
    blob: bytes = field(default=b"", repr=False)


def encode_frame(header: Mapping[str, Any], blob: bytes = b"") -> bytes:
    """Return the bytes of a frame. Raises ``ValueError`` or ``TypeError`` for a header that is no JSON."""
    head = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return _PREFIX.pack(MAGIC, len(head), len(blob), zlib.crc32(blob, zlib.crc32(head))) + head + blob


async def skip_noise(read: Read) -> tuple[bytes, Read]:
    """Find the first frame, which has to be short and without a blob.

    Returns what came before it, all of it if the stream ended, and what reads on from there. Raises ``FrameError`` if too much came.
    """
    data, start = bytearray(), 0
    while True:
        while 0 <= (at := data.find(MAGIC, start)) <= min(NOISE_LIMIT, len(data) - _PREFIX.size):
            _, header_length, blob_length, _ = _PREFIX.unpack_from(data, at)
            if 0 < header_length <= _LONGEST_FIRST and not blob_length:
                return bytes(data[:at]), _resume(bytes(data[at:]), read)
            start = at + 1
        noise = len(data) if at < 0 else at
        start = max(start, noise - len(MAGIC) + 1)
        if noise > NOISE_LIMIT:
            raise FrameError(f"not a frame: {ascii(bytes(data[: _PREFIX.size]))[2:-1]}")
        if not (more := await read(CHUNK)):
            return bytes(data[:noise]), read
        data += more


def _resume(begun: bytes, read: Read) -> Read:
    """Return what reads first what was read already."""

    async def resumed(most: int) -> bytes:
        nonlocal begun
        if not begun:
            return await read(most)
        piece, begun = begun[:most], begun[most:]
        return piece

    return resumed


async def read_frame(read: Read) -> Frame | None:
    """Read one frame; None when the stream ends, also in the middle of a frame.

    Raises ``FrameError`` for anything else than a frame, and before a byte of a too long one was read.
    """
    try:
        return await _read(read)
    except _Ended:
        return None


async def _read(read: Read) -> Frame:
    prefix = b"".join((await _take(read, _PREFIX.size))[0])
    magic, header_length, blob_length, expected = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FrameError(f"not a frame: {ascii(prefix)[2:-1]}")
    if header_length > HEADER_LIMIT or blob_length > BLOB_LIMIT:
        raise FrameError(f"too long: {header_length} and {blob_length} bytes")
    head, crc = await _take(read, header_length)
    chunks, crc = await _take(read, blob_length, crc)
    if crc != expected:
        raise FrameError("wrong checksum")
    try:
        header = json.loads(b"".join(head), parse_constant=lambda _: None)  # NaN is no JSON, and no reading
    except ValueError, RecursionError:
        raise FrameError("the header is no JSON") from None
    if not isinstance(header, dict):
        raise FrameError("the header is no object")
    if _nests(header):
        raise FrameError("the header is nested too deeply")
    # joining needs fresh memory for all of it, which takes milliseconds; in a thread it does so without the interpreter's lock
    blob = await asyncio.to_thread(b"".join, chunks) if blob_length > _INLINE_JOIN else b"".join(chunks)
    return Frame(header, blob)


def _nests(value: object) -> bool:
    """Return whether there are more levels in it than anybody needs."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, dict | list)
        ]
    return bool(level)


async def _take(read: Read, length: int, crc: int = 0) -> tuple[list[bytes], int]:
    """Return exactly so many bytes, in pieces, and the sum that goes on from ``crc``. Raises ``_Ended``."""
    chunks = []
    while length:
        chunk = await read(min(length, CHUNK))
        if not chunk:
            raise _Ended
        crc = zlib.crc32(chunk, crc)
        chunks.append(chunk)
        length -= len(chunk)
    return chunks, crc
