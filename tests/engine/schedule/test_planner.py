"""Ticks on their grid, against a planner that simply tries every instant."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.schedule import planner as planner_module
from custom_components.skylapse.engine.schedule.model import (
    Always,
    AroundEvent,
    ElevationBand,
    Gate,
    Schedule,
    SunEvent,
    Tick,
    TimeOfDay,
    When,
    Window,
)
from custom_components.skylapse.engine.schedule.planner import SEARCH, Active, Planner
from custom_components.skylapse.engine.schedule.windows import windows

from .places import PLACES, YEAR_START
from .strategies import schedules

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

UTC_SITE = Site(52.37, 4.9, 0.0, ZoneInfo("UTC"))
START = datetime(2026, 11, 23, tzinfo=UTC)
GATE = Gate("sensor.lux", above=10.0)


def _open(_: Schedule) -> bool:
    return True


def _closed(schedule: Schedule) -> bool:
    return False


def _schedule(
    schedule_id: str = "a",
    when: When | None = None,
    interval: timedelta = MINUTE,
    *,
    rank: int = 50,
    exclusive: bool = False,
    gate: Gate | None = None,
    enabled: bool = True,
) -> Schedule:
    return Schedule(
        schedule_id, schedule_id.upper(), when or Always(), interval, gate=gate, exclusive=exclusive, rank=rank, enabled=enabled
    )


def _between(first: int, last: int) -> TimeOfDay:
    return TimeOfDay(time(first), time(last))


def _planner(*schedules: Schedule, site: Site = UTC_SITE, now: datetime = START) -> Planner:
    planner = Planner(schedules)
    planner.replan(site, now)
    return planner


def _times(ticks: list[Tick], schedule_id: str) -> list[datetime]:
    return [tick.at for tick in ticks if tick.schedule_id == schedule_id]


# -- the grid ----------------------------------------------------------------------------------------------------------


def test_ticks_sit_on_the_windows_grid_from_its_start_until_before_its_end() -> None:
    planner = _planner(_schedule(when=_between(10, 11), interval=timedelta(minutes=25)))
    ticks = planner.ticks(START, START + DAY, _open)
    ten = START + 10 * HOUR
    assert [tick.at for tick in ticks] == [ten, ten + 25 * MINUTE, ten + 50 * MINUTE]
    assert {tick.window for tick in ticks} == {Window(ten, ten + HOUR, "a")}
    even = _planner(_schedule(when=_between(10, 11), interval=30 * MINUTE)).ticks(START, START + DAY, _open)
    assert [tick.at for tick in even] == [ten, ten + 30 * MINUTE]  # not at the end itself


def test_after_is_excluded_and_until_included() -> None:
    planner = _planner(_schedule(interval=HOUR))
    assert _times(planner.ticks(START, START + 2 * HOUR, _open), "a") == [START + HOUR, START + 2 * HOUR]
    assert _times(planner.ticks(START - SECOND, START, _open), "a") == [START]
    assert planner.ticks(START, START, _open) == []
    assert planner.ticks(START + HOUR, START, _open) == []
    following = planner.next_tick(START, _open)
    assert following is not None
    assert following.at == START + HOUR


def test_a_grid_has_no_drift_at_odd_intervals() -> None:
    interval = timedelta(seconds=1, microseconds=333_333)
    ticks = _planner(_schedule(interval=interval)).ticks(START + 23 * HOUR, START + 24 * HOUR, _open)
    assert all((tick.at - START) % interval == timedelta() for tick in ticks[:-1])
    assert ticks[-1].at == START + DAY  # the next day's window starts its own grid


@pytest.mark.parametrize("after", [START - 3 * DAY, START + HOUR / 2])
def test_before_the_first_and_between_ticks(after: datetime) -> None:
    planner = _planner(_schedule(when=_between(0, 4), interval=HOUR))
    tick = planner.next_tick(after, _open)
    assert tick is not None
    assert tick.at == (START - 3 * DAY + HOUR if after < START else START + HOUR)


# -- enabled, gates ----------------------------------------------------------------------------------------------------


def test_a_disabled_schedule_has_no_ticks_until_it_is_enabled() -> None:
    planner = _planner(_schedule(enabled=False))
    assert not planner.is_enabled("a")
    assert planner.ticks(START, START + HOUR, _open) == []
    assert planner.next_tick(START, _open) is None
    assert planner.active(START, _open) == []
    assert planner.count_ticks(START, START + HOUR, _open) == {}
    planner.set_enabled("a", True)
    assert planner.is_enabled("a")
    assert len(planner.ticks(START, START + HOUR, _open)) == 60
    planner.set_enabled("a", False)
    assert planner.next_tick(START, _open) is None
    assert planner.window_at("a", START) is not None  # windows are there all the same


def test_a_closed_gate_has_no_ticks_and_is_asked_once_and_only_where_there_is_one() -> None:
    gated, free = _schedule("gated", gate=GATE), _schedule("free")
    planner = _planner(gated, free)
    asked: list[Schedule] = []

    def ask(schedule: Schedule) -> bool:
        asked.append(schedule)
        return False

    assert {tick.schedule_id for tick in planner.ticks(START, START + HOUR, ask)} == {"free"}
    assert asked == [gated]
    assert planner.count_ticks(START, START + HOUR, _closed) == {"free": 60}
    assert [active.window.schedule_id for active in planner.active(START, _closed)] == ["free"]
    assert {tick.schedule_id for tick in planner.ticks(START, START + HOUR, _open)} == {"free", "gated"}


# -- exclusive schedules -----------------------------------------------------------------------------------------------


def test_an_exclusive_schedule_makes_those_below_wait_while_its_window_runs() -> None:
    top = _schedule("top", _between(10, 12), 90 * MINUTE, rank=1, exclusive=True)
    same = _schedule("same", _between(9, 13), HOUR, rank=1)
    low = _schedule("low", _between(9, 13), timedelta(minutes=40), rank=2)
    planner = _planner(top, same, low)
    ticks = planner.ticks(START, START + DAY, _open)
    assert [at.hour * 60 + at.minute for at in _times(ticks, "top")] == [600, 690]
    assert [at.hour for at in _times(ticks, "same")] == [9, 10, 11, 12]  # of the same rank: not below
    assert [at.hour * 60 + at.minute for at in _times(ticks, "low")] == [540, 580, 740]  # 9:00, 9:40, 12:20
    assert planner.count_ticks(START, START + DAY, _open) == {"top": 2, "same": 4, "low": 3}
    at = START + 11 * HOUR
    assert planner.active(at, _open) == [
        Active(Window(START + 9 * HOUR, START + 13 * HOUR, "same"), None),
        Active(Window(START + 10 * HOUR, START + 12 * HOUR, "top"), None),
        Active(Window(START + 9 * HOUR, START + 13 * HOUR, "low"), "top"),
    ]
    following = planner.next_tick(START + 11 * HOUR + 31 * MINUTE, _open)
    assert following is not None
    assert (following.schedule_id, following.at.hour) == ("same", 12)
    planner.set_enabled("same", False)
    following = planner.next_tick(START + 11 * HOUR + 31 * MINUTE, _open)
    assert following is not None
    assert (following.schedule_id, following.at) == ("low", START + 12 * HOUR + 20 * MINUTE)


def test_only_an_exclusive_schedule_that_is_on_and_open_makes_others_wait() -> None:
    top = _schedule("top", rank=1, exclusive=True, gate=GATE)
    low = _schedule("low", rank=2)
    planner = _planner(top, low)
    assert planner.count_ticks(START, START + HOUR, _open) == {"top": 60}
    assert planner.count_ticks(START, START + HOUR, _closed) == {"low": 60}
    planner.set_enabled("top", False)
    assert planner.count_ticks(START, START + HOUR, _open) == {"low": 60}
    assert [active.waiting_for for active in planner.active(START, _open)] == [None]


def test_the_exclusive_schedule_of_the_highest_rank_is_named() -> None:
    planner = _planner(
        _schedule("c", rank=30), _schedule("b", rank=20, exclusive=True), _schedule("a", _between(0, 1), rank=10, exclusive=True)
    )
    assert [active.waiting_for for active in planner.active(START, _open)] == [None, "a", "a"]
    assert [active.waiting_for for active in planner.active(START + 2 * HOUR, _open)] == [None, "b"]


def test_a_schedule_that_always_waits_does_not_make_the_search_long() -> None:
    planner = _planner(_schedule("top", rank=1, exclusive=True, interval=DAY), _schedule("low", rank=2, interval=SECOND))
    tick = planner.next_tick(START + HOUR, _open)
    assert tick is not None
    assert (tick.at, tick.schedule_id) == (START + DAY, "top")


# -- windows -----------------------------------------------------------------------------------------------------------


def test_window_at_and_next_window() -> None:
    planner = _planner(_schedule(when=_between(10, 12)))
    today, tomorrow = Window(START + 10 * HOUR, START + 12 * HOUR, "a"), Window(START + 34 * HOUR, START + 36 * HOUR, "a")
    assert planner.window_at("a", START) is None
    assert planner.next_window("a", START) == today
    assert planner.window_at("a", today.start) == planner.window_at("a", today.end - SECOND) == today
    assert planner.window_at("a", today.end) is None
    assert planner.next_window("a", today.start) == planner.next_window("a", today.end) == tomorrow
    assert planner.schedule("a").name == "A"


def test_unknown_schedules_and_a_planner_without_a_site() -> None:
    planner = Planner([_schedule()])
    for ask in (planner.schedule, planner.is_enabled, lambda i: planner.window_at(i, START), lambda i: planner.next_window(i, START)):
        with pytest.raises(KeyError):
            ask("nobody")
    with pytest.raises(KeyError):
        planner.set_enabled("nobody", True)
    with pytest.raises(RuntimeError):
        planner.next_tick(START, _open)
    assert _planner().next_tick(START, _open) is None


def test_replanning_moves_the_windows() -> None:
    """The same schedule in another place, another zone, and after the clock was set."""
    planner = _planner(_schedule("sun", AroundEvent(SunEvent.SUNRISE, HOUR, HOUR)), _schedule("clock", _between(22, 5)))
    first = planner.next_window("sun", START)
    planner.replan(PLACES["new_york"], START)
    second = planner.next_window("sun", START)
    assert first is not None
    assert second is not None
    assert 4 * HOUR < second.start - first.start < 7 * HOUR
    clock = planner.next_window("clock", START + DAY)
    assert clock is not None
    assert clock.start.hour == 3  # 22:00 in New York
    planner.replan(UTC_SITE, datetime(1970, 1, 1, tzinfo=UTC))
    earliest = planner.next_window("sun", datetime(1970, 1, 1, tzinfo=UTC))
    assert earliest is not None
    assert earliest.start.year == 1970


def test_time_may_jump_in_both_directions_without_a_replan() -> None:
    planner = _planner(_schedule(when=_between(10, 12), interval=HOUR))
    for at in (START, START + 300 * DAY, START - 300 * DAY, START + 1.5 * DAY, START + 5 * DAY, START + 4.5 * DAY):
        midnight = at.replace(hour=0)
        expected = [midnight + 10 * HOUR, midnight + 11 * HOUR, midnight + 34 * HOUR, midnight + 35 * HOUR]
        ticks = planner.ticks(at, midnight + 2 * DAY, _open)
        assert [tick.at for tick in ticks] == [due for due in expected if due > at]


def test_a_polar_night_is_searched_once() -> None:
    """From November the first sunrise in Tromsø is in January. A window never comes: asked again, little is computed."""
    sunrise = _schedule("sunrise", AroundEvent(SunEvent.SUNRISE, HOUR, HOUR))
    never = _schedule("never", ElevationBand(60.0, 90.0))
    planner = _planner(sunrise, never, site=PLACES["tromso"], now=START + 8 * DAY)
    now = START + 8 * DAY
    tick = planner.next_tick(now, _open)
    assert tick is not None
    assert (tick.at.year, tick.at.month) == (2027, 1)
    assert planner.next_window("never", now) is None
    with pytest.MonkeyPatch.context() as patch:
        computed: list[timedelta] = []

        def watch(schedule: Schedule, site: Site, start: datetime, end: datetime) -> list[Window]:
            computed.append(end - start)
            return windows(schedule, site, start, end)

        patch.setattr(planner_module, "windows", watch)
        assert planner.next_tick(now + HOUR, _open) == tick
        assert planner.next_window("never", now + HOUR) is None
        assert computed == [DAY]  # the 400 days now reach an hour further
        for step in range(300):
            planner.ticks(now + step * MINUTE, now + (step + 1) * MINUTE, _open)
            planner.next_tick(now + step * MINUTE, _open)
        assert len(computed) == 1


def test_steady_state_computes_each_stretch_once_and_forgets_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: Counter[str] = Counter()

    def watch(schedule: Schedule, site: Site, start: datetime, end: datetime) -> list[Window]:
        computed[schedule.schedule_id] += 1
        return windows(schedule, site, start, end)

    monkeypatch.setattr(planner_module, "windows", watch)
    planner = _planner(_schedule("a"), _schedule("b", _between(10, 12)), _schedule("c", ElevationBand(-6, 6)))
    days = 30
    for step in range(days * 48):
        at = START + step * HOUR / 2
        planner.ticks(at, at + HOUR / 2, _open)
        planner.next_tick(at + HOUR / 2, _open)
        planner.active(at, _open)
    assert all(days <= count <= days + 2 for count in computed.values())
    assert all(len(plan.windows) <= 10 for plan in planner._plans.values())


def test_a_station_that_slept_for_weeks_counts_without_making_ticks() -> None:
    planner = _planner(_schedule("all", interval=SECOND), _schedule("night", _between(22, 5), interval=SECOND, rank=1, exclusive=True))
    nights = 30 * 7 * 3600
    assert planner.count_ticks(START, START + 30 * DAY, _open) == {"all": 30 * 86_400 - nights, "night": nights}
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    counts = planner.count_ticks(long_ago, START, _open)  # a clock that was set: 400 days at most
    assert sum(counts.values()) == SEARCH.total_seconds()


# -- everything at once ------------------------------------------------------------------------------------------------


def _naive(schedules: list[Schedule], site: Site, after: datetime, until: datetime, gate_open: Callable[[Schedule], bool]) -> list[Tick]:
    """Return what is due by making every tick of every window and asking for each whether it has to wait."""
    awake = [schedule for schedule in schedules if schedule.enabled and (schedule.gate is None or gate_open(schedule))]
    found = {schedule.schedule_id: windows(schedule, site, after - DAY, until + DAY) for schedule in awake}
    due = []
    for schedule in awake:
        above = [other for other in awake if other.exclusive and other.rank < schedule.rank]
        for window in found[schedule.schedule_id]:
            at = window.start
            while at < window.end:
                waits = any(w.start <= at < w.end for other in above for w in found[other.schedule_id])
                if after < at <= until and not waits:
                    due.append(Tick(at, schedule.schedule_id, window))
                at += schedule.interval
    return sorted(due)


_few = st.lists(schedules, min_size=1, max_size=5, unique_by=lambda schedule: schedule.schedule_id).map(
    lambda some: [
        Schedule(s.schedule_id, s.name, s.when, max(s.interval, 5 * MINUTE), s.weekdays, s.gate, s.exclusive, s.rank % 4 + 1, s.enabled)
        for s in some
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    some=_few,
    site=st.sampled_from(list(PLACES.values())),
    start=st.integers(0, 365 * 86_400).map(lambda seconds: YEAR_START + timedelta(seconds=seconds)),
    steps=st.lists(st.timedeltas(timedelta(), 2 * DAY), min_size=1, max_size=6),
    closed=st.sets(st.integers(1, 4)),
)
def test_ticks_are_those_of_a_planner_that_tries_every_instant(
    some: list[Schedule], site: Site, start: datetime, steps: list[timedelta], closed: set[int]
) -> None:
    def is_open(schedule: Schedule) -> bool:
        return schedule.rank not in closed

    planner = _planner(*some, site=site, now=start)
    until = start + sum(steps, timedelta())
    expected = _naive(some, site, start, until, is_open)
    at, ticks = start, []
    for step in steps:
        ticks += planner.ticks(at, at + step, is_open)
        at += step
    assert ticks == expected
    fresh = _planner(*some, site=site, now=start)
    assert fresh.ticks(start, until, is_open) == expected
    assert fresh.count_ticks(start, until, is_open) == Counter(tick.schedule_id for tick in expected)
    for before, tick in pairwise([start, *[tick.at for tick in expected[:20]]]):
        following = fresh.next_tick(before, is_open) if tick > before else None
        assert following is None or following.at == tick
    if expected:
        moment = expected[len(expected) // 2].at
        for schedule in some:
            running = windows(schedule, site, moment, moment + timedelta(microseconds=1))
            assert fresh.window_at(schedule.schedule_id, moment) == (running[0] if running else None)
        not_waiting = {active.window.schedule_id for active in fresh.active(moment, is_open) if active.waiting_for is None}
        assert {tick.schedule_id for tick in expected if tick.at == moment} <= not_waiting
