"""One camera's whole: wires the rooms together and publishes one immutable ``StationStatus``.

The way of a frame: the scheduler finds a due tick, the photographer exposes, the ledger writes file and catalogue row
(which also puts the frame in every destination's queue), the queues deliver and prove. Nothing turns back, and a crash
between any two steps is repaired at the next start by reconciling the catalogue with the folder.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
import logging
from pathlib import Path
import random
from types import MappingProxyType
from typing import Any

from .bulletin import Bulletin, EventListener, StatusListener, Unsubscribe
from .by_hand import ByHand, CaptureOutcome
from .camera_work import CameraWork
from .capture import Exposure, Photographer
from .care import CatalogueCare
from .errors import CatalogueError, SkylapseError, StorageError
from .exposures import Exposures
from .frames.catalogue import Catalogue
from .frames.reconcile import ReconcileReport
from .frames.records import FrameRecord, StoredFile, UploadRecord
from .frames.retention import CleanupReport
from .frames.store import FrameStore
from .intake import Intake
from .keeper import Keeper
from .ledger import Ledger
from .misses import Misses
from .outbox import Outbox
from .ports import Clock, ReadEntity, Site
from .schedule.model import Tick
from .schedule.planner import Planner
from .scheduler import Missed, Scheduler
from .sessions import Sessions
from .sources.base import FrameSource, SourceCapabilities, SourceIdentity
from .station_config import StationConfig
from .status import EventKind, Problem, StationEvent, StationStatus
from .status_composer import StatusComposer
from .upload.destination import Destination
from .upload.verify import VerifyReport

_LOGGER = logging.getLogger(__name__)

STOP_S = 20.0
"""Seconds that frames in memory are given to reach the disk when the station stops."""

ADOPT_AFTER_S = 600.0
"""Seconds after a frame was given up until the folder is looked through for such ones; that may take minutes, so not for each."""

SETTING_CAPTURE = "capture_enabled"
SETTING_UPLOADS = "uploads_enabled"
SETTING_SCHEDULE = "schedule_enabled:"
OFF = "off"
ON = "on"


class Station:
    """One camera, its schedules, its frames and their destinations."""

    def __init__(
        self,
        config: StationConfig,
        source: FrameSource,
        destinations: Sequence[Destination],
        *,
        clock: Clock,
        site: Callable[[], Site],
        read_entity: ReadEntity,
        restart: Callable[[], None] = lambda: None,
        rng: random.Random | None = None,
    ) -> None:
        """Wire the rooms; nothing runs before ``start``.

        ``restart`` is called when this station has to make room for a new one: its catalogue turned out to be corrupt, which
        the next start mends. ``rng`` spreads retries.
        """
        self.config = config
        self._source = source
        self._clock = clock
        self._site = site
        self._schedules = {schedule.schedule_id: schedule for schedule in config.schedules}
        self._catalogue = Catalogue(config.catalogue_path, clock, folder=config.folder)
        self._store = FrameStore(config.folder, config.slug)
        self._bulletin = Bulletin(self._compose)
        changed = self._bulletin.changed
        self._care = CatalogueCare(config, self._catalogue, self._store, clock, restart)
        self._ledger = Ledger(clock, self._ledger_changed)
        self._sessions = Sessions(self._catalogue, self._emit)
        self._misses = Misses(self._ledger, self._sessions, self._catalogue, self._schedules, self._emit)
        self._photographer = Photographer(source, clock, deadline_s=config.deadline_s, on_change=changed)
        self._planner = Planner(config.schedules)
        self._scheduler = Scheduler(
            self._planner,
            self._photographer,
            clock=clock,
            site=site,
            read_entity=read_entity,
            expose=self._expose,
            missed=self._missed,
            refusal=self._refusal,
            on_wake=self._on_wake,
        )
        self._outbox = Outbox(
            self._catalogue,
            destinations,
            clock,
            folder=config.folder,
            slug=config.slug,
            on_change=changed,
            emit=self._emit,
            rng=rng or random.Random(),  # noqa: S311  spreads retries, guards nothing
        )
        self._intake = Intake(
            config,
            ledger=self._ledger,
            store=self._store,
            catalogue=self._catalogue,
            sessions=self._sessions,
            schedules=self._schedules,
            destinations=self._outbox.destination_ids,
            announce=self._announce,
            lost=self._lost,
        )
        self._keeper = Keeper(self._store, self._catalogue, config.retention, config.required, clock, changed)
        self.work = CameraWork(
            source,
            self._photographer,
            self._catalogue,
            clock,
            deadline_s=config.deadline_s,
            next_capture=self._scheduler.next_capture,
            on_change=changed,
        )
        self.live = self.work.live
        self._composer = StatusComposer(
            config,
            planner=self._planner,
            scheduler=self._scheduler,
            photographer=self._photographer,
            ledger=self._ledger,
            keeper=self._keeper,
            outbox=self._outbox,
            catalogue=self._catalogue,
            clock=clock,
            live=self.live,
        )
        self._exposures = Exposures(
            source,
            self._photographer,
            self._intake,
            site=site,
            failed=self._failed,
            stopped=partial(self._missed, reason=Missed.NOT_RUNNING),
        )
        self._by_hand = ByHand(
            config,
            source,
            photographer=self._photographer,
            exposures=self._exposures,
            scheduler=self._scheduler,
            keeper=self._keeper,
            intake=self._intake,
            ledger=self._ledger,
            clock=clock,
            destinations=self._outbox.destination_ids,
        )
        self._upkeep: asyncio.Task[None] | None = None
        self._running = False
        self._ending_sessions = False
        self._adopt_at: float | None = None
        """From this monotonic second on the folder is looked through for frames that the catalogue refused."""
        self._last_frame: FrameRecord | None = None

    @property
    def identity(self) -> SourceIdentity:
        """Return which camera this is."""
        return self._source.identity

    @property
    def capabilities(self) -> SourceCapabilities:
        """Return what the camera can be asked for."""
        return self._source.capabilities

    @property
    def rebuilt_from(self) -> Path | None:
        """Return where a corrupt catalogue was moved to at this start; None if it was sound."""
        return self._care.rebuilt_from

    @property
    def status(self) -> StationStatus:
        """Return the latest published status."""
        return self._bulletin.status

    def subscribe(self, listener: StatusListener) -> Unsubscribe:
        """Call ``listener`` with each new status."""
        return self._bulletin.subscribe(listener)

    def subscribe_events(self, listener: EventListener) -> Unsubscribe:
        """Call ``listener`` with each event."""
        return self._bulletin.subscribe_events(listener)

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open catalogue and folder and let everything run. Raises ``CatalogueError`` or ``StorageError``; then nothing runs.

        A camera that does not answer is no error here: the station keeps trying it, and says so.
        """
        self._planner.replan(self._site(), self._clock.now())
        await asyncio.to_thread(self._store.prepare)
        await self._care.open()
        try:
            await self._restore()
            away_since = await self._keeper.away_since()
        except BaseException:
            await self._catalogue.close()
            raise
        self._running = self._by_hand.enabled = True
        try:
            self._ledger.start()
            await self._photographer.start()
            self._count_time_away(away_since)
            await self._outbox.start()
            self._keeper.start()
            self._scheduler.start()
            self._upkeep = asyncio.create_task(self._reconcile(), name="skylapse reconcile")
            await self._bulletin.publish()
            self._bulletin.start()
        except BaseException:  # such as a start that is cancelled: nobody would stop what runs by now
            await self.stop()
            raise

    async def stop(self, *, planned: bool = False) -> None:
        """Stop everything, bring frames that are in memory to the disk, and leave no task, thread or file behind.

        ``planned`` says that the person switched the camera off: the time until the next start counts no missed slots.
        """
        if not self._running:
            return
        self._running = self._by_hand.enabled = False
        try:
            await self._scheduler.stop()
            left_at = None if planned else self._clock.now()
            await self._exposures.cancel()
            if self._upkeep is not None:
                self._upkeep.cancel()
                await asyncio.gather(self._upkeep, return_exceptions=True)
            await self._photographer.close()
            self._misses.tell(self._clock.now(), all_of_it=True)
            await self._ledger.stop(STOP_S)
            if self._intake.unwritten:
                _LOGGER.error(
                    "%d frames were not catalogued in time; those that reached the disk are adopted later", self._intake.unwritten
                )
            await self._outbox.stop()
            await self._bulletin.stop()
            await self._bulletin.publish()
            await self._keeper.stop(left_at)
        except (CatalogueError, StorageError) as err:
            _LOGGER.warning("The catalogue could not be told of the stop: %s", err)
        finally:
            await self._catalogue.close()

    async def reconciled(self) -> ReconcileReport | None:
        """Wait until catalogue and folder are compared after the start; return what was found, None if that failed."""
        if self._upkeep is not None:
            await asyncio.wait([self._upkeep])
        await self._bulletin.publish()
        return self._care.report

    def _ledger_changed(self) -> None:
        if self._ledger.error is not None:
            self._care.consider(self._ledger.error)
        self._bulletin.changed()

    async def _restore(self) -> None:
        settings = await self._catalogue.settings()
        self._scheduler.enabled = settings.get(SETTING_CAPTURE) != OFF
        self._outbox.set_enabled(settings.get(SETTING_UPLOADS) != OFF)
        for schedule_id in self._schedules:
            self._planner.set_enabled(schedule_id, settings.get(SETTING_SCHEDULE + schedule_id) != OFF)
        await self._sessions.resume()
        self._last_frame = await self._catalogue.last_frame()

    async def _reconcile(self) -> None:
        if not await self._care.settle(self._outbox.destination_ids):
            return
        if self._last_frame is None:  # the catalogue was rebuilt
            self._last_frame = await self._catalogue.last_frame()
        self._outbox.wake()
        self._bulletin.changed()

    def _count_time_away(self, since: datetime | None) -> None:
        """Count the slots that passed while Home Assistant was not running; gated schedules cannot be known."""
        now = self._clock.now()
        if since is not None and self._last_frame is not None and since < self._last_frame.details.taken_at <= now:
            since = self._last_frame.details.taken_at  # it was killed between two marks of being alive: these slots were seen to
        if since is None or not self._scheduler.enabled or now - since > timedelta(days=1):
            return
        self._misses.note_time_away(self._planner.count_ticks(since, now, lambda schedule: schedule.gate is None), now)

    # -- captures --------------------------------------------------------------------------------------------------

    def _refusal(self) -> Missed | None:
        if self._keeper.storage_full:
            return Missed.STORAGE_FULL
        if self._intake.full:
            return Missed.STORAGE_SLOW
        if self._photographer.backoff_s > 0:
            return Missed.BACKOFF
        return None

    def _expose(self, exposure: Exposure) -> None:
        self._exposures.begin(exposure)

    async def capture(self, *, exposure_us: int | None = None, gain: float | None = None) -> CaptureOutcome:
        """Take one frame by hand, now, and wait until it is durable and catalogued.

        ``exposure_us`` in microseconds and ``gain`` (1.0 = base) overrule the camera's automatic, where it takes them.
        Raises ``ClockNotSet``, ``Busy``, ``SourceError``, ``StorageError`` or ``CatalogueError``.
        """
        return await self._by_hand.capture(exposure_us=exposure_us, gain=gain)

    def _path(self, file: StoredFile) -> Path:
        return self.config.folder / file.relative_path

    def _announce(self, record: FrameRecord, ticks: Sequence[Tick], dng_error: SkylapseError | None) -> None:
        self._last_frame = record
        self._composer.frame_taken(record, ticks)
        self._emit(
            EventKind.CAPTURED,
            {
                "path": str(self._path(record.file)),
                "sha256": record.file.sha256,
                "instant": record.details.taken_at.isoformat(),
                "size_bytes": record.file.size_bytes,
                "duration_ms": record.details.duration_ms,
                "schedules": list(record.details.schedules),
                "dng_path": None if record.dng is None else str(self._path(record.dng)),
                "dng_error": None if dng_error is None else dng_error.key,
            },
        )
        self._outbox.wake()

    def _lost(self, exposure: Exposure, err: SkylapseError) -> None:
        """Tell of a frame that was given up; if its file is on the disk, it is adopted when the catalogue takes entries again."""
        self._failed(exposure, err)
        if self._adopt_at is None:
            self._adopt_at = self._clock.monotonic() + ADOPT_AFTER_S

    def _failed(self, exposure: Exposure, err: SkylapseError) -> None:
        ticks, at = list(exposure.ticks), self._clock.now()

        async def write() -> None:
            sessions = [await self._sessions.session_of(self._schedules[tick.schedule_id], tick) for tick in ticks]
            await self._catalogue.add_slots(at, failed_sessions=sessions)

        if ticks:
            self._ledger.put(write)
        self._emit(
            EventKind.FAILED, {"error": err.key, "placeholders": dict(err.placeholders), "schedules": list(self._names(exposure.ticks))}
        )

    def _missed(self, ticks: Sequence[Tick], reason: Missed) -> None:
        self._misses.note(ticks, reason, self._clock.now())

    def _on_wake(self, now: datetime) -> None:
        """End sessions whose window is over, and let the status follow the schedules."""
        running = frozenset(i for i in self._schedules if self._planner.is_enabled(i)) if self._scheduler.enabled else frozenset()
        if not self._ending_sessions and self._sessions.over(now, running):
            self._ending_sessions = True  # one entry is enough, however long the catalogue keeps it waiting

            async def write() -> None:
                await self._sessions.close_over(now, running)
                self._ending_sessions = False

            def given_up(_error: SkylapseError) -> None:
                self._ending_sessions = False

            self._ledger.put(write, given_up)
        self._misses.tell(now)
        self.work.tell_due()
        due = self._adopt_at is not None and self._clock.monotonic() >= self._adopt_at and self._ledger.error is None
        if due and self._upkeep is not None and self._upkeep.done():
            self._adopt_at = None
            self._upkeep = asyncio.create_task(self._reconcile(), name="skylapse reconcile")
        if self._composer.schedules_changed():
            self._bulletin.changed()

    def _names(self, ticks: Sequence[Tick]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._schedules[tick.schedule_id].name for tick in ticks))

    # -- what a person or an automation asks for -------------------------------------------------------------------

    def replan(self, reason: str) -> None:
        """Compute the windows anew: ``sun.sun``, the place, the zone or the clock changed."""
        self._scheduler.replan(reason)
        self._bulletin.changed()

    def gates_changed(self) -> None:
        """Look at the schedules' gates again: one of their entities has a new state."""
        self._scheduler.wake()
        self._bulletin.changed()

    async def set_capture_enabled(self, enabled: bool) -> None:
        """Switch the schedules on or off, also after a restart; captures by hand stay possible."""
        await self._catalogue.set_setting(SETTING_CAPTURE, ON if enabled else OFF)
        self._scheduler.enabled = enabled
        self._scheduler.wake()
        await self._bulletin.publish()

    async def set_uploads_enabled(self, enabled: bool) -> None:
        """Let all destinations work or rest, also after a restart; the queue keeps growing meanwhile."""
        await self._catalogue.set_setting(SETTING_UPLOADS, ON if enabled else OFF)
        self._outbox.set_enabled(enabled)
        await self._bulletin.publish()

    async def set_schedule_enabled(self, schedule_id: str, enabled: bool) -> None:
        """Switch one schedule on or off, also after a restart. Raises ``SkylapseError`` for an unknown one."""
        if schedule_id not in self._schedules:
            raise SkylapseError("unknown_schedule", schedule=schedule_id)
        await self._catalogue.set_setting(SETTING_SCHEDULE + schedule_id, ON if enabled else OFF)
        self._planner.set_enabled(schedule_id, enabled)
        self._scheduler.wake()
        await self._bulletin.publish()

    async def retry_uploads(self, destination_id: str | None = None) -> int:
        """Try waiting and quarantined uploads again now; return how many."""
        return await self._outbox.retry(destination_id)

    async def enqueue(self, paths: Sequence[Path], destination_ids: Sequence[str] | None = None) -> list[UploadRecord]:
        """Put files, and all files of folders, in the queues. Raises ``SkylapseError`` for what is not there."""
        return await self._outbox.enqueue(paths, destination_ids)

    async def wait_for(self, upload_ids: Sequence[int], timeout_s: float) -> list[UploadRecord]:
        """Wait until each upload is verified or quarantined, at most ``timeout_s``; return them as they then are."""
        return await self._outbox.wait_for(upload_ids, timeout_s)

    async def verify(
        self, destination_ids: Sequence[str] | None = None, day_from: date | None = None, day_to: date | None = None
    ) -> list[VerifyReport]:
        """Prove anew what destinations hold; what is missing or differs goes back into the queue."""
        return await self._outbox.verify(destination_ids, day_from, day_to)

    async def cleanup(self, *, dry_run: bool) -> CleanupReport:
        """Apply the retention rule now, or only tell what it would delete."""
        return await self._keeper.clean(dry_run=dry_run)

    async def forget_missing(self) -> int:
        """Take frames whose files vanished for deleted, because a person was told and accepts it; return how many."""
        count = await self._catalogue.forget_missing()
        await self._bulletin.publish()
        return count

    async def latest_jpeg(self) -> bytes | None:
        """Return the latest frame's file; None before the first one, or if its file is gone."""
        if self._last_frame is None:
            return None
        return await self._store.read(self._last_frame.file.relative_path)

    async def diagnostics(self) -> dict[str, Any]:
        """Return what a maintainer needs to see, as the engine's own values; holds paths, entity ids and the place, no secrets."""
        quarantined = await self._catalogue.quarantined(20)
        return {
            "identity": self.identity,
            "status": self.status,
            "schedules": list(self.config.schedules),
            "reconciled": self._care.report,
            "catalogue_rebuilt_from": None if self.rebuilt_from is None else self.rebuilt_from.name,
            "ledger_backlog": self._ledger.backlog,
            "unwritten_frames": self._intake.unwritten,
            "quarantined": quarantined,
            "camera": None if self.live is None else self.live.diagnostics(),
        }

    # -- telling ---------------------------------------------------------------------------------------------------

    def _emit(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        self._bulletin.emit(StationEvent(kind, self._clock.now(), dict(data)))

    async def _compose(self) -> StationStatus:
        try:
            return await self._composer.compose(running=self._running, last_frame=self._last_frame)
        except (CatalogueError, StorageError) as err:
            self._care.consider(err)
            if not self._running:
                raise
            return replace(  # what was last known, and that it cannot be known now
                self.status,
                problems=self.status.problems | {Problem.STORAGE_FAILED},
                last_error_key=err.key,
                last_error_placeholders=MappingProxyType(err.placeholders),
            )
