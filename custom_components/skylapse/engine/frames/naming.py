"""The names of frames: where one lies is told by its camera and its instant alone, and where its DNG lies by its own name."""

from datetime import UTC, datetime, timedelta
import re
from typing import Final

FRAME: Final = ".jpg"
"""Ends the name of a frame's file."""
DNG: Final = ".dng"
"""Ends the name of the raw file that a frame may have beside it, under the same stem."""
PARTIAL: Final = ".part"
"""Ends the name of a file that is being written."""

_NAME: Final = re.compile(r"(?P<slug>.+)_(?P<instant>\d{8}T\d{6}\.\d{3})Z\.jpg", re.ASCII)


def relative_path(slug: str, taken_at: datetime, collision: int = 0) -> str:
    """Return the POSIX path below the camera's folder: ``YYYY/MM/DD/<slug>_<UTC instant to the millisecond>.jpg``.

    ``collision`` is by how many milliseconds it steps aside for others of the same instant.
    """
    at = taken_at.astimezone(UTC) + timedelta(milliseconds=collision)
    day = f"{at.year:04}/{at.month:02}/{at.day:02}"
    return f"{day}/{slug}_{day.replace('/', '')}T{at:%H%M%S}.{at.microsecond // 1000:03}Z{FRAME}"


def dng_beside(frame: str) -> str:
    """Return the path, or name, of the DNG that belongs to a frame's."""
    return frame.removesuffix(FRAME) + DNG


def frame_beside(dng: str) -> str:
    """Return the path, or name, of the frame that a DNG's belongs to."""
    return dng.removesuffix(DNG) + FRAME


def parse_instant(name: str, slug: str | None = None) -> datetime | None:
    """Return the instant in a frame's file name; None if it is no frame's name, or not of the camera ``slug``."""
    match = _NAME.fullmatch(name)
    if match is None or slug not in (None, match["slug"]):
        return None
    try:
        return datetime.strptime(match["instant"], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError:  # such as a thirteenth month
        return None
