"""Housekeeping beside the camera: free space, retention, and the mark that tells how long the station was away."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import logging

from .errors import SkylapseError
from .frames.catalogue import Catalogue
from .frames.retention import CleanupReport, RetentionRule, apply
from .frames.store import FrameStore
from .ports import Clock
from .timekeeping import EARLIEST

_LOGGER = logging.getLogger(__name__)

ROUND_S = 30.0
"""Seconds between two looks at the disk."""

AGE_ROUND = timedelta(hours=1)
"""How often frames are looked through for those past their age."""

ALIVE = "alive_at"
"""Setting that holds the instant of the latest round, ISO 8601 UTC; absent after a planned stop."""


class Keeper:
    """Keeps the disk from filling, and never deletes what is not proven elsewhere."""

    def __init__(
        self,
        store: FrameStore,
        catalogue: Catalogue,
        rule: RetentionRule,
        required: frozenset[str],
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """Apply ``rule`` to the frames of ``store``; ``required`` are the destinations that have to hold a proven copy."""
        self._store = store
        self._catalogue = catalogue
        self._rule = rule
        self._required = required
        self._clock = clock
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._aged_at: datetime | None = None
        self.free_bytes: int | None = None
        self.storage_full = False
        """Whether less than the wanted space is free and nothing more may be deleted: capture has to pause."""

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.create_task(self._run(), name="skylapse keeper")

    async def stop(self, left_at: datetime | None) -> None:
        """End the rounds. What follows ``left_at`` is time away; None if it is not, because the person switched the camera off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._catalogue.set_setting(ALIVE, "" if left_at is None else left_at.isoformat())

    async def away_since(self) -> datetime | None:
        """Return when the station was last alive, None if it never was, was stopped on purpose, or the clock says nonsense."""
        text = await self._catalogue.get_setting(ALIVE)
        if not text:
            return None
        try:
            since = datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            return None
        return since if EARLIEST <= since <= self._clock.now() else None

    async def clean(self, *, dry_run: bool = False) -> CleanupReport:
        """Apply the retention rule now. Raises ``SkylapseError``."""
        async with self._lock:
            report = await apply(self._store, self._catalogue, self._rule, sorted(self._required), dry_run=dry_run, now=self._clock.now())
        if not dry_run:
            self._note(report)
        return report

    async def round(self) -> None:
        """Look at the disk, and clean if it is time to. Never raises a ``SkylapseError``: the next round tries again."""
        try:
            free = await asyncio.to_thread(self._store.free_bytes)
            now = self._clock.now()
            low = free < self._rule.min_free_bytes
            aged = self._aged_at is None or not timedelta() <= now - self._aged_at < AGE_ROUND
            if low or aged or self.storage_full:
                await self.clean()
                self._aged_at = now
            elif free != self.free_bytes:
                self.free_bytes = free
                self._on_change()
            if now >= EARLIEST:
                await self._catalogue.set_setting(ALIVE, now.isoformat())
        except SkylapseError as err:
            _LOGGER.debug("The disk could not be looked after: %s", err)

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except Exception:  # an error in our own code must not end all housekeeping silently
                _LOGGER.exception("Housekeeping failed unexpectedly")
            await self._clock.sleep(ROUND_S)

    def _note(self, report: CleanupReport) -> None:
        self.free_bytes = report.free_bytes
        if report.deleted:
            _LOGGER.info("%d frames that are proven elsewhere were deleted, %d bytes", len(report.deleted), report.freed_bytes)
        if report.blocked != self.storage_full:
            self.storage_full = report.blocked
            if report.blocked:
                _LOGGER.error("Capturing pauses: too little space is free, and nothing may be deleted")
            else:
                _LOGGER.info("There is space again; capturing goes on")
        self._on_change()
