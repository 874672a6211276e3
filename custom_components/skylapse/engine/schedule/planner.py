"""Which instants are due: all schedules of one camera together, on top of their windows.

The planner is asked up to once a second for months, so it remembers windows: for each schedule all of one stretch of time, which
grows as later instants are asked for. An empty stretch (polar night) costs nothing to remember and is not searched again.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..ports import Site
from .model import Schedule, Tick, Window
from .windows import windows

GateOpen = Callable[[Schedule], bool]
"""Tells whether a schedule's gate is open now. Asked only for schedules that have one, at most once per call of the planner."""

SEARCH = timedelta(days=400)
"""How far ahead a next window is looked for: more than a year, as some come once a year only."""

_STRETCH = timedelta(days=1)
"""Windows are computed for so much time at once: little enough that the event loop does not stall."""

_KEPT = timedelta(days=1)
_RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Active:
    """A window that runs now, of an enabled schedule with an open gate."""

    window: Window
    waiting_for: str | None
    """Id of the exclusive schedule of the highest rank that makes this one wait, or None."""


@dataclass(slots=True)
class _Plan:
    """One schedule and its windows that overlap [known_from, known_until)."""

    schedule: Schedule
    enabled: bool
    known_from: datetime | None = None
    known_until: datetime | None = None
    windows: list[Window] = field(default_factory=list)

    def first_after(self, at: datetime) -> int:
        """Return the index of the first known window that ends after ``at``."""
        return bisect_right(self.windows, at, key=lambda window: window.end)


class Planner:
    """The ticks of some schedules at one site. Not thread-safe; nothing here waits or reads a clock.

    All instants are UTC. Enabled flags, gates and exclusive schedules are taken as they are during the call, also for later instants.
    """

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        """Plan for ``schedules``; ``replan`` has to be called before anything is asked."""
        self._plans = {
            schedule.schedule_id: _Plan(schedule, schedule.enabled)
            for schedule in sorted(schedules, key=lambda schedule: (schedule.rank, schedule.schedule_id))
        }
        self._site: Site | None = None

    def replan(self, site: Site, now: datetime) -> None:
        """Forget all windows and compute them anew for ``site``: call it when the place, the zone or the clock has changed."""
        self._site = site
        for plan in self._plans.values():
            self._forget(plan, now)

    def schedule(self, schedule_id: str) -> Schedule:
        """Return a schedule. Raises ``KeyError`` for an id that is not planned for."""
        return self._plans[schedule_id].schedule

    def set_enabled(self, schedule_id: str, enabled: bool) -> None:
        """Switch a schedule on or off. Raises ``KeyError`` for an id that is not planned for."""
        self._plans[schedule_id].enabled = enabled

    def is_enabled(self, schedule_id: str) -> bool:
        """Return whether a schedule is switched on. Raises ``KeyError`` for an id that is not planned for."""
        return self._plans[schedule_id].enabled

    def ticks(self, after: datetime, until: datetime, gate_open: GateOpen) -> list[Tick]:
        """Return all due ticks with after < at <= until, sorted.

        Holds them all in memory: for a stretch of hours at an interval of seconds rather use ``count_ticks``.
        """
        due = []
        for plan, blockers in self._awake(after, gate_open):
            for window, first, stop in self._stretches(plan, blockers, after, until + _RESOLUTION):
                at = first
                while at < stop:
                    due.append(Tick(at, plan.schedule.schedule_id, window))
                    at += plan.schedule.interval
        return sorted(due)

    def count_ticks(self, after: datetime, until: datetime, gate_open: GateOpen) -> dict[str, int]:
        """Return how many ticks ``ticks`` would return for each schedule, without making them; schedules without any are left out.

        Takes about a millisecond per day and schedule. A stretch longer than ``SEARCH`` is not time that passed but a clock that was
        set: only its last 400 days are counted.
        """
        after = max(after, until - SEARCH)
        counts: dict[str, int] = {}
        for plan, blockers in self._awake(after, gate_open):
            count = sum(
                -((first - stop) // plan.schedule.interval)
                for _, first, stop in self._stretches(plan, blockers, after, until + _RESOLUTION)
            )
            if count:
                counts[plan.schedule.schedule_id] = count
        return counts

    def next_tick(self, after: datetime, gate_open: GateOpen) -> Tick | None:
        """Return the first due tick after ``after``; None if there is none within 400 days."""
        best: Tick | None = None
        for plan, blockers in self._awake(after, gate_open):
            limit = after + SEARCH if best is None else best.at
            for window, first, _ in self._stretches(plan, blockers, after, limit):
                best = Tick(first, plan.schedule.schedule_id, window)
                break
        return best

    def active(self, now: datetime, gate_open: GateOpen) -> list[Active]:
        """Return the running windows of enabled schedules with an open gate, by rank: also of those that have to wait."""
        running = []
        for plan, blockers in self._awake(now, gate_open):
            window = self._window_at(plan, now)
            if window is not None:
                waiting_for = next((blocker.schedule.schedule_id for blocker in blockers if self._window_at(blocker, now)), None)
                running.append(Active(window, waiting_for))
        return running

    def window_at(self, schedule_id: str, now: datetime) -> Window | None:
        """Return the window of a schedule that runs at ``now``, whether it is enabled or not. Raises ``KeyError`` for an unknown id."""
        plan = self._plans[schedule_id]
        self._settle(plan, now)
        return self._window_at(plan, now)

    def next_window(self, schedule_id: str, now: datetime) -> Window | None:
        """Return the first window of a schedule that starts after ``now``, whether it is enabled or not.

        None if there is none within 400 days. Raises ``KeyError`` for an unknown id.
        """
        plan = self._plans[schedule_id]
        self._settle(plan, now)
        return next((window for window in self._windows(plan, now, now + SEARCH) if window.start > now), None)

    # -- which schedules -----------------------------------------------------------------------------------------------

    def _awake(self, after: datetime, gate_open: GateOpen) -> Iterator[tuple[_Plan, list[_Plan]]]:
        """Yield the enabled schedules with an open gate by rank, each with the exclusive ones that it has to wait for."""
        exclusive: list[_Plan] = []
        for plan in self._plans.values():
            schedule = plan.schedule
            if not plan.enabled or (schedule.gate is not None and not gate_open(schedule)):
                continue
            self._settle(plan, after)
            yield plan, [other for other in exclusive if other.schedule.rank < schedule.rank]
            if schedule.exclusive:
                exclusive.append(plan)

    def _stretches(
        self, plan: _Plan, blockers: Sequence[_Plan], after: datetime, end: datetime
    ) -> Iterator[tuple[Window, datetime, datetime]]:
        """Yield (window, first, stop): in (after, end), the ticks of ``window`` from ``first`` on that come before ``stop`` are due.

        There is at least one in each. A window is cut into several where exclusive schedules run.
        """
        interval = plan.schedule.interval
        for window in self._windows(plan, after, end):
            stop = min(window.end, end)
            at = window.start if window.start > after else window.start + ((after - window.start) // interval + 1) * interval
            while at < stop:
                ends = [running.end for blocker in blockers if (running := self._window_at(blocker, at)) is not None]
                if ends:
                    at = _on_grid(window, interval, max(ends))
                    continue
                starts = (self._next_start(blocker, at, stop) for blocker in blockers)
                free_until = min((start for start in starts if start is not None), default=stop)
                yield window, at, free_until
                at = _on_grid(window, interval, free_until)

    # -- windows, remembered -------------------------------------------------------------------------------------------

    def _window_at(self, plan: _Plan, at: datetime) -> Window | None:
        return next(self._windows(plan, at, at + _RESOLUTION), None)

    def _next_start(self, plan: _Plan, at: datetime, end: datetime) -> datetime | None:
        """Return when the next window starts in (at, end), given that none runs at ``at``."""
        return next((window.start for window in self._windows(plan, at, end)), None)

    def _windows(self, plan: _Plan, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield the windows that overlap [start, end), computing more of them as they are asked for."""
        index = plan.first_after(start)
        while True:
            while index < len(plan.windows):
                if plan.windows[index].start >= end:
                    return
                yield plan.windows[index]
                index += 1
            if not self._learn(plan, end):
                return

    def _learn(self, plan: _Plan, end: datetime) -> bool:
        """Compute the windows of another stretch, unless they are known up to ``end``."""
        if self._site is None or plan.known_until is None:
            raise RuntimeError("replan() has to be called first")
        if plan.known_until >= end:
            return False
        known_until, plan.known_until = plan.known_until, plan.known_until + _STRETCH
        found = windows(plan.schedule, self._site, known_until, plan.known_until)
        # What started earlier is known already, except at the very beginning.
        plan.windows += [window for window in found if window.start >= known_until or known_until == plan.known_from]
        return True

    def _settle(self, plan: _Plan, at: datetime) -> None:
        """Make sure that what is known begins at or before ``at``, and not long before."""
        if plan.known_from is None or plan.known_until is None or not plan.known_from <= at <= plan.known_until:
            self._forget(plan, at)
        elif at - plan.known_from > 2 * _KEPT:
            plan.known_from = at - _KEPT
            del plan.windows[: plan.first_after(plan.known_from)]

    def _forget(self, plan: _Plan, at: datetime) -> None:
        plan.known_from = plan.known_until = at
        plan.windows.clear()


def _on_grid(window: Window, interval: timedelta, at: datetime) -> datetime:
    """Return the first tick of ``window`` at or after ``at``, which lies in or after it."""
    return window.start - ((window.start - at) // interval) * interval
