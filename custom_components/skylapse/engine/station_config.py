"""What a station is told at its start."""

from dataclasses import dataclass
from pathlib import Path

from .frames.retention import RetentionRule
from .schedule.model import Schedule


@dataclass(frozen=True, slots=True)
class StationConfig:
    """What a station is told at its start; changes of it mean a new station."""

    station_id: str
    camera: str
    """The camera's name as the person gave it."""
    slug: str
    """Its folder's and files' name; never changes."""
    folder: Path
    """Where its frames are: ``<media>/skylapse/<slug>``."""
    catalogue_path: Path
    schedules: tuple[Schedule, ...]
    required: frozenset[str]
    """Destinations that must have proven a frame before it may be deleted here."""
    retention: RetentionRule
    embed_location: bool = False
    deadline_s: float = 30.0
