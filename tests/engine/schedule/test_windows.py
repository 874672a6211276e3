"""Windows of whole years against astral, at the borders of daylight saving and of the date line."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.schedule.model import (
    EVERY_DAY,
    Always,
    AroundEvent,
    BetweenEvents,
    Direction,
    ElevationBand,
    Schedule,
    SunEvent,
    TimeOfDay,
    When,
    Window,
)
from custom_components.skylapse.engine.schedule.sun import elevation_windows
from custom_components.skylapse.engine.schedule.windows import civil_instant, windows

from .places import PLACES, YEAR_END, YEAR_START, astral_events, every_place
from .strategies import schedules

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _schedule(when: When, weekdays: frozenset[int] = EVERY_DAY) -> Schedule:
    return Schedule("s", "Schedule", when, timedelta(seconds=10), weekdays)


def _local(site: Site, found: list[Window]) -> list[tuple[str, str]]:
    return [(window.start.astimezone(site.timezone).isoformat(), window.end.astimezone(site.timezone).isoformat()) for window in found]


def _site(zone: str) -> Site:
    return Site(0.0, 0.0, 0.0, ZoneInfo(zone))


@every_place
@pytest.mark.parametrize("event", SunEvent)
def test_a_year_of_windows_around_events_agrees_with_astral(site: Site, event: SunEvent) -> None:
    before, after = timedelta(minutes=45), timedelta(minutes=30)
    found = windows(_schedule(AroundEvent(event, before, after)), site, YEAR_START, YEAR_END)
    expected = [at for at in astral_events(site, event, YEAR_START - after, YEAR_END + before) if at + after > YEAR_START]
    assert len(found) == len(expected)
    for window, at in zip(found, expected, strict=True):
        assert abs(window.start + before - at) < SECOND
        assert abs(window.end - after - at) < SECOND


@every_place
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (SunEvent.SUNRISE, SunEvent.SUNSET),
        (SunEvent.DUSK_CIVIL, SunEvent.DAWN_CIVIL),
        (SunEvent.SUNSET, SunEvent.DUSK_ASTRONOMICAL),
        (SunEvent.NOON, SunEvent.MIDNIGHT),
    ],
)
def test_a_year_of_windows_between_events_agrees_with_astral(site: Site, start: SunEvent, end: SunEvent) -> None:
    found = windows(_schedule(BetweenEvents(start, end)), site, YEAR_START, YEAR_END)
    starts = astral_events(site, start, YEAR_START - 3 * DAY, YEAR_END + 3 * DAY)
    ends = astral_events(site, end, YEAR_START - 3 * DAY, YEAR_END + 3 * DAY)
    expected = []
    for at, following in zip(starts, [*starts[1:], YEAR_END + 4 * DAY], strict=False):
        until = next((until for until in ends if at < until <= at + DAY), None)
        if until is not None and at < YEAR_END and until > YEAR_START:
            expected.append((at, min(until, following)))
    assert [(window.start, window.end) for window in found] == expected


@every_place
def test_elevation_windows_are_those_of_the_sun(site: Site) -> None:
    found = windows(_schedule(ElevationBand(-6.0, 6.0, Direction.SETTING)), site, YEAR_START, YEAR_START + 60 * DAY)
    assert [(w.start, w.end) for w in found] == elevation_windows(site, -6.0, 6.0, Direction.SETTING, YEAR_START, YEAR_START + 60 * DAY)
    assert {window.schedule_id for window in found} <= {"s"}


@settings(max_examples=150, deadline=None)
@given(
    schedule=schedules,
    site=st.sampled_from(list(PLACES.values())),
    start=st.integers(0, 730 * 86_400).map(lambda seconds: YEAR_START + timedelta(seconds=seconds)),
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=6)),
)
def test_windows_do_not_depend_on_the_range_asked_for(schedule: Schedule, site: Site, start: datetime, length: timedelta) -> None:
    end = start + length
    found = windows(schedule, site, start, end)
    wide = windows(schedule, site, start - 5 * DAY, end + 5 * DAY)
    assert found == [window for window in wide if window.start < end and window.end > start]
    longest = timedelta(hours=25) if isinstance(schedule.when, Always | TimeOfDay) else DAY + timedelta(seconds=40)
    for window in wide:
        assert timedelta() < window.end - window.start <= longest
        assert window.start.tzinfo is window.end.tzinfo is UTC
        assert window.start.astimezone(site.timezone).weekday() in schedule.weekdays
    assert all(a.end <= b.start for a, b in pairwise(wide))


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati", "Asia/Beirut"])
def test_always_is_one_window_per_civil_day_without_gaps(zone: str) -> None:
    site = _site(zone)
    found = windows(_schedule(Always()), site, YEAR_START, YEAR_END)
    assert all(a.end == b.start for a, b in pairwise(found))
    days = [window.start.astimezone(site.timezone).date() for window in found]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    lengths = {(window.end - window.start) / HOUR for window in found}
    changes = {"Pacific/Kiritimati": set(), "Australia/Lord_Howe": {23.5, 24.5}}.get(zone, {23.0, 25.0})
    assert lengths == {24.0} | changes


def test_all_day_begins_when_the_clock_jumps_over_midnight() -> None:
    """In Beirut clocks go from 00:00 to 01:00."""
    site = _site("Asia/Beirut")
    start = datetime(2026, 3, 28, 20, tzinfo=UTC)
    found = windows(_schedule(Always()), site, start, start + DAY / 2)
    assert _local(site, found)[1][0] == "2026-03-29T01:00:00+03:00"


def test_a_night_by_the_clock_crosses_midnight_and_the_borders_of_daylight_saving() -> None:
    site = _site("Europe/Amsterdam")
    night = _schedule(TimeOfDay(time(22), time(5)))
    spring = datetime(2026, 3, 28, 18, tzinfo=UTC)
    (window,) = windows(night, site, spring, spring + timedelta(hours=10))
    assert _local(site, [window]) == [("2026-03-28T22:00:00+01:00", "2026-03-29T05:00:00+02:00")]
    assert window.end - window.start == timedelta(hours=6)
    autumn = datetime(2026, 10, 24, 18, tzinfo=UTC)
    (window,) = windows(night, site, autumn, autumn + timedelta(hours=10))
    assert window.end - window.start == timedelta(hours=8)


def test_a_time_that_the_clocks_skip_is_the_instant_they_jump() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    jump = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert civil_instant(date(2026, 3, 29), time(2, 0), zone) == jump
    assert civil_instant(date(2026, 3, 29), time(2, 30), zone) == jump
    assert civil_instant(date(2026, 3, 29), time(2, 59, 59), zone) == jump
    assert civil_instant(date(2026, 3, 29), time(3, 0), zone) == jump
    assert civil_instant(date(2026, 3, 29), time(1, 59, 59), zone) == jump - SECOND
    half_hour = ZoneInfo("Australia/Lord_Howe")
    assert civil_instant(date(2026, 10, 4), time(2, 15), half_hour) == datetime(2026, 10, 3, 15, 30, tzinfo=UTC)
    found = windows(_schedule(TimeOfDay(time(2, 10), time(2, 50))), _site("Europe/Amsterdam"), jump - DAY / 2, jump + DAY / 2)
    assert found == []  # it was never between 2:10 and 2:50 that night


def test_a_time_that_comes_twice_is_the_first() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    assert civil_instant(date(2026, 10, 25), time(2, 30), zone) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert civil_instant(date(2026, 10, 25), time(3, 0), zone) == datetime(2026, 10, 25, 2, 0, tzinfo=UTC)


def test_a_day_that_a_place_skipped_has_no_window() -> None:
    """Samoa went from 29 to 31 December 2011."""
    site = PLACES["apia"]
    start, end = datetime(2011, 12, 29, 12, tzinfo=UTC), datetime(2011, 12, 31, 9, tzinfo=UTC)
    days = [begin[:10] for begin, _ in _local(site, windows(_schedule(Always()), site, start, end))]
    assert days == ["2011-12-29", "2011-12-31"]
    assert len(windows(_schedule(TimeOfDay(time(6), time(18))), site, start, end)) == 2


def test_the_same_time_twice_is_a_whole_day() -> None:
    site = _site("Europe/Amsterdam")
    found = windows(_schedule(TimeOfDay(time(12), time(12))), site, datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC))
    assert [(window.end - window.start) / HOUR for window in found] == [24, 24, 23, 24]
    assert all(a.end == b.start for a, b in pairwise(found))


def test_weekdays_are_those_of_the_civil_day_on_which_a_window_starts() -> None:
    """A night from Saturday to Sunday is Saturday's; in Kiritimati the civil day is 14 hours ahead of UTC."""
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    site = _site("Pacific/Kiritimati")
    found = windows(_schedule(TimeOfDay(time(22), time(5)), frozenset({5})), site, monday, monday + 14 * DAY)
    assert _local(site, found) == [
        ("2026-11-28T22:00:00+14:00", "2026-11-29T05:00:00+14:00"),
        ("2026-12-05T22:00:00+14:00", "2026-12-06T05:00:00+14:00"),
    ]
    site = PLACES["kiritimati"]
    (window,) = windows(_schedule(AroundEvent(SunEvent.SUNRISE, HOUR, HOUR), frozenset({0})), site, monday, monday + 7 * DAY)
    assert window.start.astimezone(site.timezone).strftime("%a %H") == "Mon 05"
    assert window.start.strftime("%a") == "Sun"


def test_windows_that_would_overlap_give_way_to_the_next() -> None:
    """24 h around a sunrise that comes two minutes earlier each day."""
    site = PLACES["amsterdam_52n"]
    start = datetime(2026, 3, 1, tzinfo=UTC)
    schedule = _schedule(AroundEvent(SunEvent.SUNRISE, 12 * HOUR, 12 * HOUR))
    found = windows(schedule, site, start, start + 10 * DAY)
    assert len(found) == 11
    for window in found:  # also where the next one is not asked for
        assert windows(schedule, site, window.start, window.start + SECOND) == [window]
        assert windows(schedule, site, window.end - SECOND, window.end) == [window]
    assert all(a.end == b.start and a.end - a.start < DAY for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("tromso", BetweenEvents(SunEvent.SUNRISE, SunEvent.SUNSET, timedelta(), 12 * HOUR)),  # 24 h at equinox, starting ever earlier
        ("tromso", AroundEvent(SunEvent.SUNRISE, 12 * HOUR, 12 * HOUR)),
        ("amsterdam_52n", BetweenEvents(SunEvent.SUNSET, SunEvent.SUNSET, -2 * HOUR, HOUR)),
        ("amsterdam_52n", BetweenEvents(SunEvent.SUNSET, SunEvent.SUNSET, 12 * HOUR, 11 * HOUR)),
        ("amsterdam_52n", BetweenEvents(SunEvent.SUNSET, SunEvent.SUNSET, -12 * HOUR, 12 * HOUR - MINUTE)),
        ("amsterdam_52n", BetweenEvents(SunEvent.DUSK_CIVIL, SunEvent.DAWN_CIVIL, -6 * HOUR, 5 * HOUR)),
        ("kiritimati", BetweenEvents(SunEvent.DAWN_CIVIL, SunEvent.NOON, 12 * HOUR, 12 * HOUR)),
        ("taveuni_180", ElevationBand(-90.0, -6.0)),
        ("lord_howe", TimeOfDay(time(2, 15), time(2, 15))),
        ("lord_howe", Always()),
    ],
)
def test_a_window_is_the_same_in_the_narrowest_range(name: str, when: When) -> None:
    """Around an equinox and the ends of daylight saving: for each window ask for its first and its last second only."""
    site, schedule = PLACES[name], _schedule(when)
    for start in (datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 9, 12, tzinfo=UTC)):
        found = windows(schedule, site, start, start + 25 * DAY)
        assert len(found) >= 20
        assert all(a.end <= b.start for a, b in pairwise(found))
        for window in found:
            assert windows(schedule, site, window.start, window.start + SECOND) == [window]
            assert windows(schedule, site, window.end - SECOND, window.end) == [window]
            assert window not in windows(schedule, site, window.end, window.end + SECOND)


def test_a_night_too_short_for_its_offsets_has_no_window() -> None:
    """An hour after astronomical dusk until an hour before dawn: not in a night of less than two hours, and never through the day."""
    site = Site(48.0, 0.0, 0.0, ZoneInfo("UTC"))
    when = BetweenEvents(SunEvent.DUSK_ASTRONOMICAL, SunEvent.DAWN_ASTRONOMICAL, HOUR * 1.5, -HOUR * 1.5)
    june, december = datetime(2026, 6, 18, 12, tzinfo=UTC), datetime(2026, 12, 18, 12, tzinfo=UTC)
    assert windows(_schedule(when), site, june, june + 5 * DAY) == []
    winter = windows(_schedule(when), site, december, december + 5 * DAY)
    assert len(winter) == 5
    assert all(timedelta(hours=8) < window.end - window.start < timedelta(hours=9) for window in winter)


@pytest.mark.parametrize(
    ("when", "hours"),
    [
        (BetweenEvents(SunEvent.SUNSET, SunEvent.SUNSET, -2 * HOUR, HOUR), 3.0),
        (BetweenEvents(SunEvent.SUNSET, SunEvent.SUNSET, -2 * HOUR, -HOUR), 1.0),
        (BetweenEvents(SunEvent.SUNSET, SunEvent.SUNSET, HOUR, -HOUR), 22.0),
        (BetweenEvents(SunEvent.DUSK_CIVIL, SunEvent.SUNSET, -3 * HOUR), 2.43),
        (BetweenEvents(SunEvent.SUNSET, SunEvent.DUSK_CIVIL), 0.57),
    ],
)
def test_offsets_may_put_the_end_before_its_start_event(when: BetweenEvents, hours: float) -> None:
    start = datetime(2026, 10, 10, tzinfo=UTC)
    found = windows(_schedule(when), PLACES["amsterdam_52n"], start, start + 5 * DAY)
    assert len(found) in (5, 6)
    assert all(abs((window.end - window.start) / HOUR - hours) < 0.1 for window in found)


def test_a_polar_day_has_no_window_between_sunrise_and_sunset_but_one_a_day_by_elevation() -> None:
    site = PLACES["tromso"]
    start, end = datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 6, 30, tzinfo=UTC)
    by_events = windows(_schedule(BetweenEvents(SunEvent.SUNRISE, SunEvent.SUNSET)), site, start, end)
    assert by_events[-1].end < datetime(2026, 5, 20, tzinfo=UTC)
    by_elevation = windows(_schedule(ElevationBand(-0.833, 90.0)), site, start, end)
    assert 50 <= len(by_elevation) <= 54
    assert by_elevation[-1].end >= end


@pytest.mark.parametrize("name", ["north_pole", "south_pole"])
def test_every_kind_of_window_works_at_the_poles(name: str) -> None:
    site = PLACES[name]
    year = [
        windows(_schedule(when), site, YEAR_START, YEAR_END)
        for when in (
            AroundEvent(SunEvent.NOON, HOUR, HOUR),
            BetweenEvents(SunEvent.NOON, SunEvent.MIDNIGHT),
            ElevationBand(-90.0, -12.0),
            ElevationBand(-0.833, 90.0, Direction.RISING),
            TimeOfDay(time(22), time(5)),
            Always(),
        )
    ]
    days = [len(found) for found in year]
    assert all(days[n] in (365, 366) for n in (0, 1, 4, 5))
    assert 110 <= days[2] <= 130  # the sun's declination is below -12 degrees for four months
    assert 180 <= days[3] <= 200  # the bright half year


@pytest.mark.parametrize("year", [1970, 2038])
def test_a_clock_far_off_still_gives_windows(year: int) -> None:
    """A Pi without a battery starts in 1970, and 32 bits end in 2038."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    for when in (AroundEvent(SunEvent.SUNRISE, HOUR, HOUR), ElevationBand(-6, 6), TimeOfDay(time(22), time(5)), Always()):
        assert len(windows(_schedule(when), PLACES["amsterdam_52n"], start, start + 30 * DAY)) >= 30
