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

AGED = "aged_at"
"""Setting that holds the instant by which frames' ages were last judged, ISO 8601 UTC."""

LEAP = timedelta(days=7)
"""A clock that is ahead of the latest judgement by more is doubted: it may be years ahead until a time server or a person sets it right."""

DOUBT_S = 24 * 3600.0
"""Seconds for which a doubted clock makes no frame old."""

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
        self._doubted_from: float | None = None
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
        since = _instant(text)
        return since if since is not None and EARLIEST <= since <= self._clock.now() else None

    async def clean(self, *, dry_run: bool = False) -> CleanupReport:
        """Apply the retention rule now. Raises ``SkylapseError``."""
        async with self._lock:
            now = await self._judging_at()
            report = await apply(self._store, self._catalogue, self._rule, sorted(self._required), dry_run=dry_run, now=now)
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

    async def _judging_at(self) -> datetime:
        """Return the instant by which ages are judged: now, unless the clock is suddenly so far ahead that it has to prove itself first.

        What free space asks for goes by the frames' order alone and needs no clock.
        """
        now = self._clock.now()
        if self._rule.max_age is None or now < EARLIEST:
            return now
        latest = _instant(await self._catalogue.get_setting(AGED))
        if latest is not None and now - latest > LEAP:
            if self._doubted_from is None:
                self._doubted_from = self._clock.monotonic()
                _LOGGER.warning(
                    "The clock is ahead of %s by %s; until it has stayed so for a day, no frame is too old", latest, now - latest
                )
            if self._clock.monotonic() - self._doubted_from < DOUBT_S:
                return latest
        self._doubted_from = None
        if latest is None or abs(now - latest) >= AGE_ROUND:
            await self._catalogue.set_setting(AGED, now.isoformat())
        return now

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except Exception:  # an error in our own code must not end all housekeeping silently
                _LOGGER.exception("Housekeeping failed unexpectedly")
            await self._clock.sleep(ROUND_S)

    def _note(self, report: CleanupReport) -> None:
        self.free_bytes = report.free_bytes
        if report.deleted or report.dngs:
            _LOGGER.info(
                "%d frames and %d DNGs were deleted to keep to the rule, %d bytes",
                len(report.deleted),
                len(report.dngs),
                report.freed_bytes,
            )
        if report.blocked != self.storage_full:
            self.storage_full = report.blocked
            _LOGGER.debug("Capturing %s", "pauses: too little space is free, and nothing may be deleted" if report.blocked else "goes on")
        self._on_change()


def _instant(text: str | None) -> datetime | None:
    """Return the instant that a setting holds, None if it holds none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None
