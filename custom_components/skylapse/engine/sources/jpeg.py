"""Tells a whole JPEG from half of one, without decoding it.

The walk follows the file's own structure (ITU-T T.81, annex B): from segment to segment by their lengths, through the
compressed data from marker to marker, to the end-of-image marker. So a thumbnail's end inside the EXIF data is never
taken for the picture's, and a picture that was cut anywhere is noticed.
"""

import re
from typing import Final

from ..errors import BadPicture

LARGEST_BYTES: Final = 50_000_000
"""More than any camera of a person gives; guards memory and disk against one that lies."""

_MOST_MARKERS: Final = 20_000
"""Real pictures have dozens; a file of nothing else would keep a processor busy for many seconds."""

_SOI: Final = 0xD8
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_TEM: Final = 0x01
_RESTARTS: Final = range(0xD0, 0xD8)
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers: C4, C8 and CC between them are tables."""

_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker that ends compressed data: neither a stuffed FF, nor a restart, nor a fill byte."""
_FILL: Final = re.compile(rb"\xff+")
_STRIDE: Final = 4_000_000
"""Bytes searched at a stretch: a search holds the interpreter's lock, and a big picture must not stall the host."""

_FORMATS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP"),
    (re.compile(rb"....ftyp(?:avif|avis)", re.DOTALL), "AVIF"),
    (re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"....ftyp", re.DOTALL), "MP4"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL "), "JPEG XL"),
    (re.compile(rb"II\x2a\x00|MM\x00\x2a"), "TIFF"),
    (re.compile(rb"BM.{12}", re.DOTALL), "BMP"),
    (re.compile(rb"\s*<svg", re.IGNORECASE), "SVG"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)", re.IGNORECASE), "HTML"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml"), "XML"),
    (re.compile(rb"\s*[\[{]\s*[\"\]}]"), "JSON"),
)
"""What cameras and the pages of their log-ins send instead of a JPEG, by how it begins."""


def check_jpeg(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels of a whole JPEG.

    Bytes after the end of the picture are let be: some cameras pad, and some append a second picture.
    Raises ``BadPicture``: ``picture_empty``, ``picture_too_large``, ``picture_not_jpeg``, ``picture_truncated`` or
    ``picture_damaged``. Takes about a millisecond per 2 MB: run it in a thread for big ones.
    """
    if not data:
        raise BadPicture("picture_empty")
    if len(data) > LARGEST_BYTES:
        raise BadPicture("picture_too_large", size_mb=round(len(data) / 1e6, 1), limit_mb=LARGEST_BYTES // 1_000_000)
    if not data.startswith(b"\xff\xd8"):
        raise BadPicture("picture_not_jpeg", found=name_format(data))
    return _walk(data)


def name_format(data: bytes) -> str:
    """Return what the data is by how it begins: a format's name, or its first bytes in hexadecimal."""
    for pattern, name in _FORMATS:
        if pattern.match(data):
            return name
    return data[:4].hex(" ").upper()


def _walk(data: bytes) -> tuple[int, int]:
    """Go from marker to marker; return the frame's size once the end is reached."""
    size: tuple[int, int] | None = None
    scans = 0
    position = 2
    for _ in range(_MOST_MARKERS):
        marker, position = _marker(data, position)
        if marker == _EOI:
            if size is None or not scans:
                raise _damaged(position)
            return size
        if marker == _SOI:
            raise _damaged(position)
        if marker == _TEM or marker in _RESTARTS:
            continue
        start, position = position, _segment_end(data, position)
        if marker in _FRAMES:
            size = _frame_size(data, start, position)
        elif marker == _SOS:
            if size is None:
                raise _damaged(start)
            scans += 1
            position = _scan_end(data, position)
    raise _damaged(position)


def _marker(data: bytes, position: int) -> tuple[int, int]:
    """Return the marker here (any number of fill bytes before it) and where it ends."""
    if position >= len(data):
        raise _truncated(data)
    fill = _FILL.match(data, position)
    if fill is None:
        raise _damaged(position)
    if fill.end() >= len(data):
        raise _truncated(data)
    if data[fill.end()] == 0:
        raise _damaged(position)
    return data[fill.end()], fill.end() + 1


def _segment_end(data: bytes, position: int) -> int:
    """Return where the segment ends whose length stands here."""
    length = int.from_bytes(data[position : position + 2])
    end = position + length
    if position + 2 > len(data) or end > len(data):
        raise _truncated(data)
    if length < 2:
        raise _damaged(position)
    return end


def _frame_size(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return width and height out of a start-of-frame segment."""
    if end - start < 8:
        raise _damaged(start)
    height, width = int.from_bytes(data[start + 3 : start + 5]), int.from_bytes(data[start + 5 : start + 7])
    if not height or not width:  # a height given only after the picture (DNL) is what no decoder takes
        raise _damaged(start)
    return width, height


def _scan_end(data: bytes, position: int) -> int:
    """Return where the compressed data ends that starts here: at the next marker that is not part of it."""
    for start in range(position, len(data), _STRIDE):
        # one byte more than the stride, so that a marker across its border is seen
        if found := _MARKER.search(data, start, start + _STRIDE + 1):
            if found.start() == position:
                raise _damaged(position)  # a scan of nothing
            return found.start()
    raise _truncated(data)


def _truncated(data: bytes) -> BadPicture:
    """Return the error of a picture that ends too early."""
    return BadPicture("picture_truncated", size_bytes=len(data))


def _damaged(position: int) -> BadPicture:
    """Return the error of a picture whose structure is broken at that byte."""
    return BadPicture("picture_damaged", position=position)
