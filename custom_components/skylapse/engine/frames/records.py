"""The rows of the catalogue, as immutable values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class FrameDetails:
    """What is known of a frame beside its bytes; goes into EXIF and catalogue."""

    taken_at: datetime
    duration_ms: int
    """From asking the source until the bytes were there."""
    camera: str
    """The camera's name as the person gave it."""
    manufacturer: str = ""
    model: str = ""
    exposure_us: int | None = None
    gain: float | None = None
    lux: float | None = None
    colour_temperature_k: int | None = None
    sun_elevation_deg: float | None = None
    sun_azimuth_deg: float | None = None
    latitude_deg: float | None = None
    """Set only if the person asked for the location in the pictures."""
    longitude_deg: float | None = None
    altitude_m: float | None = None
    schedules: tuple[str, ...] = ()
    """Names of the schedules it belongs to; empty for a frame taken by hand."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A frame's file, or the DNG beside it, durable on disk."""

    relative_path: str
    """POSIX path below the camera's folder: ``YYYY/MM/DD/<camera>_<instant>.jpg``, or ``.dng``."""
    size_bytes: int
    sha256: str
    """64 lower-case hex digits, of the bytes as stored."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A frame in the catalogue."""

    frame_id: int
    file: StoredFile
    details: FrameDetails
    dng: StoredFile | None = None
    """Its raw file; None if it has none in the folder."""


class UploadState(StrEnum):
    """A file on its way to one destination.

    ``pending`` → ``sending`` → ``verified``; ``waiting`` after a failure that may heal; ``quarantined`` after one that will not.
    """

    PENDING = "pending"
    SENDING = "sending"
    VERIFIED = "verified"
    WAITING = "waiting"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One file on its way to one destination."""

    upload_id: int
    destination_id: str
    frame_id: int | None
    """None for a file that ``skylapse.upload`` put in the queue."""
    local_path: str
    """Absolute path."""
    remote_path: str
    """POSIX path below the destination's root."""
    size_bytes: int
    sha256: str
    state: UploadState
    attempts: int
    created_at: datetime
    next_try_at: datetime | None = None
    verified_at: datetime | None = None
    method: str | None = None
    """How it was proven; see ``upload.destination.Proof``."""
    error_key: str | None = None
    error_placeholders: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """Slots of the schedules: every due slot is captured, failed or missed (or still running)."""

    due: int = 0
    captured: int = 0
    failed: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The frames of one window of one schedule."""

    session_id: int
    schedule_id: str
    schedule_name: str
    window_start: datetime
    window_end: datetime
    started_at: datetime
    ended_at: datetime | None
    slots: SlotCounts
    first_frame_at: datetime | None = None
    last_frame_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """One destination's queue."""

    pending: int = 0
    sending: int = 0
    waiting: int = 0
    quarantined: int = 0
    verified: int = 0
    """Of all time."""
    queued_bytes: int = 0
    """Of pending, sending and waiting."""
    oldest_queued_at: datetime | None = None
    last_verified_at: datetime | None = None

    @property
    def queued(self) -> int:
        """Return how many files are still on their way."""
        return self.pending + self.sending + self.waiting
