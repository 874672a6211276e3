"""What lies in a camera's folder, day by day."""

import contextlib
from dataclasses import dataclass, field
import os
from pathlib import Path
import re
from typing import Final

from .naming import DNG, PARTIAL, frame_beside, parse_instant

_NUMBER: Final = (re.compile(r"\d{4}", re.ASCII), re.compile(r"\d{2}", re.ASCII), re.compile(r"\d{2}", re.ASCII))


@dataclass(frozen=True, slots=True)
class DayListing:
    """One day's folder."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of the camera's frames and their DNGs, by name."""
    partials: list[str] = field(default_factory=list)
    """Names of those that were never wholly written."""


def days(folder: Path) -> list[str]:
    """Return the days (``YYYY/MM/DD``) that have a folder, in order. Raises ``OSError``."""
    found = [""]
    for pattern in _NUMBER:
        found = [f"{above}{name}/" for above in found for name in _folders(folder / above) if pattern.fullmatch(name)]
    return sorted(day.rstrip("/") for day in found)


def list_day(folder: Path, day: str, slug: str) -> DayListing:
    """Return what the camera ``slug`` has in a day's folder; nothing if there is none. Raises ``OSError``."""
    listing = DayListing()
    try:
        entries = os.scandir(folder / day)
    except FileNotFoundError, NotADirectoryError:
        return listing
    with entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                continue
            if _is_ours(entry.name, slug):
                with contextlib.suppress(FileNotFoundError):  # this one was deleted meanwhile; the others are still there
                    listing.sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
            elif entry.name.endswith(PARTIAL) and _is_ours(entry.name.removesuffix(PARTIAL), slug):
                listing.partials.append(entry.name)
    return listing


def _is_ours(name: str, slug: str) -> bool:
    """Tell whether a file of that name is a frame of the camera, or the DNG of one."""
    return parse_instant(frame_beside(name) if name.endswith(DNG) else name, slug) is not None


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
