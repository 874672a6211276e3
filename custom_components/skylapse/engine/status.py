"""What a station tells the world: one immutable status, and events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .frames.records import FrameRecord, QueueCounts, SlotCounts
from .sources.live import CameraReading


class Problem(StrEnum):
    """Why the station needs a look. Translated in the shell."""

    CAPTURE_FAILING = "capture_failing"
    """Three or more captures in a row failed."""
    CLOCK_NOT_SET = "clock_not_set"
    STORAGE_FULL = "storage_full"
    """Capture is paused: too little space, and nothing that may be deleted."""
    STORAGE_FAILED = "storage_failed"
    """Frames cannot be written: read-only, gone, full."""
    FRAMES_MISSING = "frames_missing"
    """Files of catalogued frames that no destination had proven have vanished."""
    DESTINATION_UNAVAILABLE = "destination_unavailable"
    UPLOADS_QUARANTINED = "uploads_quarantined"
    HOST_KEY_CHANGED = "host_key_changed"
    """The camera's host shows another SSH key than the one a person confirmed."""
    CREDENTIALS_REFUSED = "credentials_refused"
    """The camera's host does not let us in any more."""
    CAMERA_NEEDS_REBOOT = "camera_needs_reboot"
    """The camera's driver is stuck in the kernel; nothing but a restart of its host helps."""


class EventKind(StrEnum):
    """What happened. The values are the event entity's types."""

    CAPTURED = "captured"
    FAILED = "failed"
    MISSED = "missed"
    VERIFIED = "verified"
    UPLOAD_FAILED = "upload_failed"
    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"


@dataclass(frozen=True, slots=True)
class StationEvent:
    """One thing that happened; ``data`` holds only JSON-able values and no secrets."""

    kind: EventKind
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """One schedule now."""

    schedule_id: str
    name: str
    enabled: bool
    active: bool
    """Inside a window, gate open, not made to wait by an exclusive one."""
    waiting_for: str | None
    """Name of the exclusive schedule that makes this one wait, or None."""
    gate_open: bool
    window_start: datetime | None
    """Of the running window, else of the next one."""
    window_end: datetime | None
    interval_s: float


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """One destination now."""

    destination_id: str
    name: str
    required: bool
    available: bool | None
    """None until it was tried."""
    queue: QueueCounts
    error_key: str | None = None
    error_placeholders: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StationStatus:
    """All of one station at one instant. Built by ``Station``; entities only read it."""

    running: bool = False
    capture_enabled: bool = True
    uploads_enabled: bool = True
    capturing: bool = False
    """An exposure is running right now."""
    problems: frozenset[Problem] = frozenset()
    schedules: tuple[ScheduleStatus, ...] = ()
    destinations: tuple[DestinationStatus, ...] = ()
    active_schedule: str | None = None
    """Name of the active schedule of the highest rank."""
    next_capture_at: datetime | None = None
    last_frame: FrameRecord | None = None
    last_error_key: str | None = None
    last_error_placeholders: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    last_attempt_at: datetime | None = None
    consecutive_failures: int = 0
    backoff_until: datetime | None = None
    slots_24h: SlotCounts = SlotCounts()
    slots_total: SlotCounts = SlotCounts()
    frames_total: int = 0
    """All frames ever captured, also those taken by hand."""
    achieved_interval_s: float | None = None
    """Median distance of the latest frames of the active schedule."""
    storage_used_bytes: int = 0
    storage_free_bytes: int | None = None
    queue: QueueCounts = QueueCounts()
    """Over all destinations."""
    camera: CameraReading | None = None
    """What a camera with a worker told last; None for the others."""

    @property
    def capture_success_percent(self) -> float | None:
        """Return captured of decided slots of the last 24 h in %, None while none was due."""
        decided = self.slots_24h.captured + self.slots_24h.failed + self.slots_24h.missed
        return 100.0 * self.slots_24h.captured / decided if decided else None
