"""A stand-in for the module that writes EXIF."""

from typing import Any

from picamera2 import note


def dump(tags: dict[str, Any]) -> bytes:
    """Return no EXIF, but tell the test."""
    note("exif", tags)
    return b"Exif\0\0"
