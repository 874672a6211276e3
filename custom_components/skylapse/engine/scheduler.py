"""The loop that lets every due tick become an exposure, a shared exposure or a counted missed slot."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
import logging

from .capture import Exposure, Photographer
from .ports import Clock, ReadEntity, Site
from .schedule.gate import gate_open as is_open
from .schedule.model import Schedule, Tick
from .schedule.planner import Planner
from .timekeeping import ClockWatch

_LOGGER = logging.getLogger(__name__)

LONGEST_SLEEP_S = 2.0
"""The wall clock is looked at at least this often: it may be stepped while the loop sleeps."""

LONGEST_GAP = timedelta(hours=1)
"""Ticks older than this are not counted one by one when the loop was held up: it was not the loop."""

TOO_LATE = timedelta(seconds=30)
"""A tick is still taken when it is late by up to half its interval, but never by more than this."""


class Missed(StrEnum):
    """Why a due slot got no exposure."""

    BUSY = "busy"
    """The schedule's own earlier exposure was still running, or one that cannot be shared."""
    LATE = "late"
    """The system was held up."""
    BACKOFF = "backoff"
    """The camera had failed several times in a row and is left alone for a while."""
    STORAGE_FULL = "storage_full"
    STORAGE_SLOW = "storage_slow"
    """Earlier frames still wait to be written."""
    NOT_RUNNING = "not_running"
    """Home Assistant was not running."""


class Scheduler:
    """Watches the clock and hands due ticks on."""

    def __init__(
        self,
        planner: Planner,
        photographer: Photographer,
        *,
        clock: Clock,
        site: Callable[[], Site],
        read_entity: ReadEntity,
        expose: Callable[[Exposure], None],
        missed: Callable[[Sequence[Tick], Missed], None],
        refusal: Callable[[], Missed | None],
        on_wake: Callable[[datetime], None],
    ) -> None:
        """Ask ``refusal`` before each exposure; call ``expose`` with one to begin, ``missed`` with ticks that get none."""
        self._planner = planner
        self._photographer = photographer
        self._clock = clock
        self._site = site
        self._read_entity = read_entity
        self._expose = expose
        self._missed = missed
        self._refusal = refusal
        self._on_wake = on_wake
        self._watch = ClockWatch(clock)
        self._wake = asyncio.Event()
        self._cursor: datetime | None = None
        self._planned_for: Site | None = None
        self._task: asyncio.Task[None] | None = None
        self.enabled = True
        self.broken = False
        """An error in our own code keeps ticks from being found; it is tried again all the time."""

    @property
    def clock_is_set(self) -> bool:
        """Return whether frames can be dated."""
        return self._watch.is_set

    def start(self) -> None:
        """Begin to watch."""
        self._plan(self._clock.now())
        self._task = asyncio.create_task(self._run(), name="skylapse scheduler")

    async def stop(self) -> None:
        """Stop watching; an exposure that runs is not touched."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def replan(self, reason: str) -> None:
        """Look at place, zone and clock at once because ``reason``; the windows are computed anew if one of them is another.

        Windows follow from the site and the calendar alone, so a mere move of the sun along its way changes none of them.
        """
        if self._site() != self._planned_for:
            _LOGGER.info("Planning anew: %s", reason)
            self._plan(self._clock.now())
        self.wake()

    def wake(self) -> None:
        """Look at the clock at once."""
        self._wake.set()

    def gate_open(self, schedule: Schedule) -> bool:
        """Return whether a schedule's gate lets it photograph now."""
        return schedule.gate is None or is_open(schedule.gate, self._read_entity(schedule.gate.entity_id))

    def next_capture(self) -> datetime | None:
        """Return the next due instant that will be taken, as things stand now; None while nothing is to come."""
        if not self.enabled or not self.clock_is_set:
            return None
        left_alone = timedelta(seconds=self._photographer.backoff_s)
        tick = self._planner.next_tick(self._clock.now() + left_alone, self.gate_open)
        return None if tick is None else tick.at

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                self._look()
                pause_s = self._pause_s()
            except Exception:  # whatever it is, the camera must not stop for good and silently
                if not self.broken:
                    _LOGGER.exception("The schedules failed unexpectedly")
                self.broken = True
                pause_s = LONGEST_SLEEP_S
            else:
                self.broken = False
            await self._wait(pause_s)

    def _look(self) -> None:
        step = self._watch.jump()
        now = self._clock.now()
        if step is not None:
            _LOGGER.warning("The clock was stepped by %.1f s; planning anew", step.total_seconds())
            self._plan(now)
        if step is not None or not self._watch.is_set or self._cursor is None:
            # Slots that the clock stepped over never were, and slots it repeats were taken already.
            self._cursor = now
            self._on_wake(now)
            return
        ticks = self._planner.ticks(max(self._cursor, now - LONGEST_GAP), now, self.gate_open)
        self._cursor = now
        if self.enabled and ticks:
            self._handle(ticks, now)
        self._on_wake(now)

    def _plan(self, now: datetime) -> None:
        self._planned_for = self._site()
        self._planner.replan(self._planned_for, now)

    def _pause_s(self) -> float:
        if not self.enabled or not self._watch.is_set or self._cursor is None:
            return LONGEST_SLEEP_S
        tick = self._planner.next_tick(self._cursor, self.gate_open)
        if tick is None:
            return LONGEST_SLEEP_S
        return min((tick.at - self._clock.now()).total_seconds(), LONGEST_SLEEP_S)

    async def _wait(self, seconds: float) -> None:
        """Sleep through the clock, unless ``wake`` is called."""
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeper, waker), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()
            await asyncio.gather(sleeper, waker, return_exceptions=True)

    def _handle(self, ticks: Sequence[Tick], now: datetime) -> None:
        latest = {tick.schedule_id: tick for tick in ticks}
        late = [tick for tick in ticks if tick is not latest[tick.schedule_id]]
        due: list[Tick] = []
        for tick in latest.values():
            limit = min(self._planner.schedule(tick.schedule_id).interval / 2, TOO_LATE)
            (due if now - tick.at <= limit else late).append(tick)
        if late:
            self._missed(late, Missed.LATE)
        if not due:
            return
        refusal = self._refusal()
        running = self._photographer.running
        if running is not None:
            self._join(running, due)
        elif refusal is not None:
            self._missed(due, refusal)
        else:
            self._expose(self._photographer.begin(min(tick.at for tick in due), due))

    def _join(self, running: Exposure, due: Sequence[Tick]) -> None:
        turned_away = [tick for tick in due if not running.join(tick)]
        if turned_away:
            self._missed(turned_away, Missed.BUSY)
