"""Missed slots, told and written in bundles: a station that pauses at one slot a second must not flood memory, catalogue and history."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from .errors import SkylapseError
from .frames.catalogue import Catalogue
from .ledger import Ledger
from .schedule.model import Schedule, Tick, Window
from .scheduler import Missed
from .sessions import Sessions
from .status import EventKind

TOLD_EVERY = timedelta(minutes=1)
"""Shortest distance of two events of the same reason; the slots in between are counted in the later one."""


class Misses:
    """Counts missed slots: into the ledger for the catalogue, and into events."""

    def __init__(
        self,
        ledger: Ledger,
        sessions: Sessions,
        catalogue: Catalogue,
        schedules: dict[str, Schedule],
        emit: Callable[[EventKind, dict[str, Any]], None],
    ) -> None:
        """Write through ``ledger`` and tell through ``emit``."""
        self._ledger = ledger
        self._sessions = sessions
        self._catalogue = catalogue
        self._schedules = schedules
        self._emit = emit
        self._unwritten: Counter[tuple[str, Window]] = Counter()
        self._in_line = False
        """An entry that will write them is in the ledger."""
        self._untold: dict[Missed, Counter[str]] = {}
        self._told_at: dict[Missed, datetime] = {}

    def note(self, ticks: Sequence[Tick], reason: Missed, now: datetime) -> None:
        """Count the slots of these ticks as missed; there may be none, in an exposure that was asked for by hand."""
        if not ticks:
            return
        self._unwritten.update((tick.schedule_id, tick.window) for tick in ticks)
        if not self._in_line:
            self._put(now)
        self._untold.setdefault(reason, Counter()).update(self._schedules[tick.schedule_id].name for tick in ticks)
        self.tell(now)

    def tell(self, now: datetime, *, all_of_it: bool = False) -> None:
        """Tell what was not told yet, of each reason that was not told lately; ``all_of_it`` at the end."""
        for reason, counts in list(self._untold.items()):
            told_at = self._told_at.get(reason)
            if all_of_it or told_at is None or not timedelta() <= now - told_at < TOLD_EVERY:
                del self._untold[reason]
                self._told_at[reason] = now
                self._emit(EventKind.MISSED, {"schedules": list(counts), "count": counts.total(), "reason": reason.value})

    def note_time_away(self, counts: Mapping[str, int], now: datetime) -> None:
        """Count and tell the slots, by schedule, that passed while nothing ran."""
        if total := sum(counts.values()):
            names = [self._schedules[schedule_id].name for schedule_id, count in counts.items() if count]

            async def write() -> None:
                await self._catalogue.add_slots(now, missed=total)
                self._emit(EventKind.MISSED, {"schedules": names, "count": total, "reason": Missed.NOT_RUNNING.value})

            self._ledger.put(write)

    def _put(self, at: datetime) -> None:
        self._in_line = True
        self._ledger.put(lambda: self._write(at), self._given_up)

    def _given_up(self, _error: SkylapseError) -> None:
        """Keep what could not be written: it goes with the next ones."""
        self._in_line = False

    async def _write(self, at: datetime) -> None:
        """Write all that has come together until now; what comes while this waits for the disk comes along."""
        counted = dict(self._unwritten)
        sessions = []
        for (schedule_id, window), count in counted.items():
            tick = Tick(window.start, schedule_id, window)
            sessions += [await self._sessions.session_of(self._schedules[schedule_id], tick)] * count
        await self._catalogue.add_slots(at, missed_sessions=sessions)
        self._unwritten.subtract(counted)
        self._unwritten = +self._unwritten
        self._in_line = False
        if self._unwritten:
            self._put(at)
