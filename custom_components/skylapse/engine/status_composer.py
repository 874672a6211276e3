"""Builds the ``StationStatus`` from what the rooms know."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from types import MappingProxyType
from typing import Final

from .capture import Photographer
from .errors import SkylapseError
from .frames.catalogue import Catalogue
from .frames.records import FrameRecord, QueueCounts
from .keeper import Keeper
from .ledger import Ledger
from .outbox import Outbox
from .ports import Clock
from .schedule.model import Tick
from .schedule.planner import Planner
from .scheduler import Scheduler
from .sources.live import LiveCamera
from .station_config import StationConfig
from .status import DestinationStatus, Problem, ScheduleStatus, StationStatus

FAILING_AFTER = 3
"""Consecutive failures that make a problem: one or two are told by the event alone."""

MEMORY = 10
"""Frames of a schedule that its achieved interval is the median of."""

DAY = timedelta(days=1)

CAMERA_PROBLEMS: Final = {
    Problem.HOST_KEY_CHANGED: "ssh_host_key_changed",
    Problem.CREDENTIALS_REFUSED: "ssh_denied",
    Problem.CAMERA_NEEDS_REBOOT: "camera_needs_reboot",
}
"""Problems that are there as soon as the camera failed with an error of this key."""


class StatusComposer:
    """Reads all rooms and changes none."""

    def __init__(
        self,
        config: StationConfig,
        *,
        planner: Planner,
        scheduler: Scheduler,
        photographer: Photographer,
        ledger: Ledger,
        keeper: Keeper,
        outbox: Outbox,
        catalogue: Catalogue,
        clock: Clock,
        live: LiveCamera | None,
    ) -> None:
        """Read from these rooms."""
        self._config = config
        self._planner = planner
        self._scheduler = scheduler
        self._photographer = photographer
        self._ledger = ledger
        self._keeper = keeper
        self._outbox = outbox
        self._catalogue = catalogue
        self._clock = clock
        self._live = live
        self._taken: dict[str, deque[datetime]] = {}
        self._seen: object = None

    def frame_taken(self, record: FrameRecord, ticks: Sequence[Tick]) -> None:
        """Note a frame for the achieved intervals of its schedules."""
        for tick in ticks:
            self._taken.setdefault(tick.schedule_id, deque(maxlen=MEMORY)).append(record.details.taken_at)

    def schedules_changed(self) -> bool:
        """Return whether another set of schedules is active than at the last call."""
        seen = [(active.window, active.waiting_for) for active in self._planner.active(self._clock.now(), self._scheduler.gate_open)]
        changed, self._seen = seen != self._seen, seen
        return changed

    async def compose(self, *, running: bool, last_frame: FrameRecord | None) -> StationStatus:
        """Return how things stand. Raises ``CatalogueError`` when the catalogue cannot be read."""
        now = self._clock.now()
        counts = await self._catalogue.counts()
        totals, frames_total = await self._catalogue.totals()
        slots_24h = await self._catalogue.slots_since(now - DAY)
        storage_used = await self._catalogue.storage_used()
        missing = await self._catalogue.missing_count()
        schedules = self._schedules(now)
        destinations = self._destinations(counts)
        active = [schedule for schedule in schedules if schedule.active]
        top = min(active, key=lambda status: self._planner.schedule(status.schedule_id).rank, default=None)
        error = self._ledger.error or self._camera_error
        backoff_s = self._photographer.backoff_s
        return StationStatus(
            running=running,
            capture_enabled=self._scheduler.enabled,
            uploads_enabled=self._outbox.enabled,
            capturing=self._photographer.running is not None,
            problems=self._problems(destinations, missing),
            schedules=tuple(schedules),
            destinations=tuple(destinations),
            active_schedule=top.name if top is not None and self._scheduler.enabled else None,
            next_capture_at=self._scheduler.next_capture() if running and not self._keeper.storage_full else None,
            last_frame=last_frame,
            last_error_key=error.key if error is not None else None,
            last_error_placeholders=MappingProxyType(error.placeholders if error is not None else {}),
            last_attempt_at=self._photographer.last_attempt_at,
            consecutive_failures=self._photographer.consecutive_failures,
            backoff_until=now + timedelta(seconds=backoff_s) if backoff_s else None,
            slots_24h=slots_24h,
            slots_total=totals,
            frames_total=frames_total,
            achieved_interval_s=self._achieved_interval(top),
            storage_used_bytes=storage_used,
            storage_free_bytes=self._keeper.free_bytes,
            queue=_sum([status.queue for status in destinations]),
            camera=None if self._live is None else self._live.reading,
        )

    @property
    def _camera_error(self) -> SkylapseError | None:
        return self._photographer.error or (self._live.error if self._live is not None else None)

    def _schedules(self, now: datetime) -> list[ScheduleStatus]:
        active = {entry.window.schedule_id: entry for entry in self._planner.active(now, self._scheduler.gate_open)}
        found = []
        for schedule in self._config.schedules:
            entry = active.get(schedule.schedule_id)
            window = self._planner.window_at(schedule.schedule_id, now) or self._planner.next_window(schedule.schedule_id, now)
            found.append(
                ScheduleStatus(
                    schedule_id=schedule.schedule_id,
                    name=schedule.name,
                    enabled=self._planner.is_enabled(schedule.schedule_id),
                    active=entry is not None and entry.waiting_for is None,
                    waiting_for=None if entry is None or entry.waiting_for is None else self._planner.schedule(entry.waiting_for).name,
                    gate_open=self._scheduler.gate_open(schedule),
                    window_start=None if window is None else window.start,
                    window_end=None if window is None else window.end,
                    interval_s=schedule.interval.total_seconds(),
                )
            )
        return found

    def _destinations(self, counts: dict[str, QueueCounts]) -> list[DestinationStatus]:
        found = []
        for destination_id, queue in self._outbox.queues.items():
            error: SkylapseError | None = queue.error
            found.append(
                DestinationStatus(
                    destination_id=destination_id,
                    name=self._outbox.destinations[destination_id].name,
                    required=destination_id in self._config.required,
                    available=queue.available,
                    queue=counts.get(destination_id, QueueCounts()),
                    error_key=None if error is None else error.key,
                    error_placeholders=MappingProxyType({} if error is None else error.placeholders),
                    next_try_at=queue.next_try_at,
                )
            )
        return found

    def _problems(self, destinations: Sequence[DestinationStatus], missing: int) -> frozenset[Problem]:
        error = self._camera_error
        true_of = {
            Problem.CAPTURE_FAILING: self._photographer.consecutive_failures >= FAILING_AFTER or self._scheduler.broken,
            Problem.CLOCK_NOT_SET: not self._scheduler.clock_is_set,
            Problem.STORAGE_FULL: self._keeper.storage_full,
            Problem.STORAGE_FAILED: self._ledger.error is not None,
            Problem.FRAMES_MISSING: missing > 0,
            Problem.DESTINATION_UNAVAILABLE: any(status.available is False for status in destinations),
            Problem.UPLOADS_QUARANTINED: any(status.queue.quarantined for status in destinations),
            **{problem: error is not None and error.key == key for problem, key in CAMERA_PROBLEMS.items()},
        }
        return frozenset(problem for problem, is_true in true_of.items() if is_true)

    def _achieved_interval(self, top: ScheduleStatus | None) -> float | None:
        taken = self._taken.get(top.schedule_id, deque()) if top is not None else deque[datetime]()
        gaps = [(later - earlier).total_seconds() for earlier, later in zip(taken, list(taken)[1:], strict=False)]
        return round(median(gaps), 3) if gaps else None


def _sum(queues: Sequence[QueueCounts]) -> QueueCounts:
    oldest = [queue.oldest_queued_at for queue in queues if queue.oldest_queued_at is not None]
    verified = [queue.last_verified_at for queue in queues if queue.last_verified_at is not None]
    return QueueCounts(
        pending=sum(queue.pending for queue in queues),
        sending=sum(queue.sending for queue in queues),
        waiting=sum(queue.waiting for queue in queues),
        quarantined=sum(queue.quarantined for queue in queues),
        verified=sum(queue.verified for queue in queues),
        queued_bytes=sum(queue.queued_bytes for queue in queues),
        oldest_queued_at=min(oldest, default=None),
        last_verified_at=max(verified, default=None),
    )
