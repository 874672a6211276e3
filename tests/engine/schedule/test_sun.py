"""Events and elevation bands against astral itself, over whole years."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise
import random
from zoneinfo import ZoneInfo

from astral import sun
from homeassistant.helpers.sun import get_observer_astral_event_next
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.schedule.model import Direction, SunEvent
from custom_components.skylapse.engine.schedule.sun import elevation_windows, event_times
from custom_components.skylapse.engine.sun_position import solar_azimuth, solar_elevation

from .places import ASTRAL_NAMES, PLACES, YEAR_END, YEAR_START, astral_events, every_place, observer

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

BANDS = [(-6.0, 6.0), (-12.0, -6.0), (-4.0, 6.0), (-6.0, -4.0), (-0.833, 90.0), (-90.0, -12.0), (6.0, 90.0), (23.2, 24.1), (-90.0, 90.0)]


@every_place
@pytest.mark.parametrize("event", SunEvent)
def test_all_events_of_a_year_are_astrals(site: Site, event: SunEvent) -> None:
    assert event_times(site, event, YEAR_START, YEAR_END) == astral_events(site, event, YEAR_START, YEAR_END)


@every_place
def test_any_range_gives_its_part_of_the_events(site: Site) -> None:
    """Ranges that begin and end anywhere, and right at an event: nothing is missed at a border of dates, nothing comes twice."""
    rng = random.Random(2)
    for event in SunEvent:
        known, edge = event_times(site, event, YEAR_START, YEAR_END), YEAR_END - 5 * DAY
        edges = [YEAR_START + timedelta(seconds=rng.uniform(0, 350 * 86400)) for _ in range(20)] + rng.sample(
            [at for at in known if at < edge], len(known) // 40
        )
        for start in edges:
            end = start + timedelta(hours=rng.uniform(0, 100))
            assert event_times(site, event, start, end) == [at for at in known if start <= at < end]
        for at in known[10:20]:
            assert event_times(site, event, at, at + timedelta(microseconds=1)) == [at]
            assert event_times(site, event, at - SECOND, at) == []


@every_place
def test_next_event_is_the_one_home_assistant_shows(site: Site) -> None:
    """Home Assistant's helper feeds the attributes of sun.sun."""
    for event, (name, depression) in ASTRAL_NAMES.items():
        known = event_times(site, event, YEAR_START, YEAR_END + 400 * DAY)
        for hour in range(0, 24 * 365, 24 * 29 + 5):
            now = YEAR_START + timedelta(hours=hour)
            try:
                expected = get_observer_astral_event_next(observer(site), name, now, depression=depression)
            except ValueError:
                assert not [at for at in known if now < at < now + 365 * DAY]
                continue
            assert known[bisect_right(known, now)] == expected


@pytest.mark.parametrize("latitude", [-45.0, 0.0, 40.0, 55.0])
def test_the_sun_is_where_an_events_name_says(latitude: float) -> None:
    """Not compared with astral's functions of the same names, but with where the sun is then: no two of them are mixed up."""
    site = Site(latitude, 20.0, 0.0, ZoneInfo("UTC"))
    depressions = {"astronomical": 18.0, "nautical": 12.0, "civil": 6.0}
    turns = sorted((at, name) for name in ("noon", "midnight") for at in event_times(site, SunEvent(name), YEAR_START - DAY, YEAR_END))
    for event in SunEvent:
        if event in (SunEvent.NOON, SunEvent.MIDNIGHT):
            continue
        kind, _, twilight = event.partition("_")
        times = event_times(site, event, YEAR_START, YEAR_END)
        assert len(times) >= 250
        for at in times[::5]:
            assert abs(solar_elevation(site, at) + depressions.get(twilight, 0.27)) < 0.4
            assert turns[bisect_right(turns, (at, "z")) - 1][1] == ("midnight" if kind in ("dawn", "sunrise") else "noon")
    for at, name in turns:
        quarter = solar_elevation(site, at + DAY / 4)
        assert solar_elevation(site, at) > quarter if name == "noon" else solar_elevation(site, at) < quarter


def test_noon_and_midnight_come_once_a_day_everywhere() -> None:
    for site in PLACES.values():
        for event in (SunEvent.NOON, SunEvent.MIDNIGHT):
            times = event_times(site, event, YEAR_START, YEAR_END)
            assert 364 <= len(times) <= 366
            assert all(abs(b - a - DAY) < timedelta(seconds=40) for a, b in pairwise(times))


def test_polar_night_and_day_have_no_sunrise() -> None:
    """Tromsø: the sun stays down from the end of November until mid January and up from mid May until the end of July."""
    rises = event_times(PLACES["tromso"], SunEvent.SUNRISE, YEAR_START, YEAR_END)
    gaps = [(a, b) for a, b in pairwise(rises) if b - a > 2 * DAY]
    assert len(gaps) == 1
    assert gaps[0][0].month == 5
    assert gaps[0][1].month == 7
    assert rises[0].month == 1
    assert rises[-1].month == 11
    assert event_times(PLACES["tromso"], SunEvent.DAWN_CIVIL, datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))


def test_height_of_the_observer_makes_the_sun_rise_earlier() -> None:
    low, high = (Site(45.0, 10.0, height, ZoneInfo("UTC")) for height in (0.0, 4000.0))
    day = (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC))
    earlier = event_times(low, SunEvent.SUNRISE, *day)[0] - event_times(high, SunEvent.SUNRISE, *day)[0]
    assert timedelta(minutes=5) < earlier < timedelta(minutes=20)
    balloon = Site(78.0, 15.0, 50_000.0, ZoneInfo("UTC"))  # 7 degrees below the horizon of those on the ground
    rises = event_times(balloon, SunEvent.SUNRISE, YEAR_START, YEAR_END)
    assert rises == astral_events(balloon, SunEvent.SUNRISE, YEAR_START, YEAR_END)
    assert len(rises) > len(event_times(Site(78.0, 15.0, 0.0, ZoneInfo("UTC")), SunEvent.SUNRISE, YEAR_START, YEAR_END))


def test_the_originals_worked_example() -> None:
    """39.6333 N 105.3167 W, 2025-09-27 18:00 -06:00: elevation +8.76; sunset at 18:49:18."""
    zone = ZoneInfo("America/Denver")
    site = Site(39.6333, -105.3167, 0.0, zone)
    at = datetime(2025, 9, 27, 18, 0, tzinfo=zone)
    assert round(solar_elevation(site, at), 2) == 8.76
    sunset = event_times(site, SunEvent.SUNSET, at, at + timedelta(hours=6))
    assert [event.astimezone(zone).strftime("%H:%M:%S") for event in sunset] == ["18:49:18"]


@every_place
def test_elevation_and_azimuth_are_those_of_sun_sun(site: Site) -> None:
    for hour in range(0, 8760, 37):
        at = YEAR_START + timedelta(hours=hour, seconds=hour)
        assert solar_elevation(site, at) == solar_elevation(site, at.astimezone(site.timezone)) == sun.elevation(observer(site), at)
        assert solar_azimuth(site, at) == solar_azimuth(site, at.astimezone(site.timezone)) == sun.azimuth(observer(site), at)


def _samples(site: Site) -> list[tuple[datetime, float, bool]]:
    """Return (instant, elevation, rising) through a year: each 20 minutes, and each minute around noon and midnight."""
    turns = sorted(
        [(at, True) for at in event_times(site, SunEvent.MIDNIGHT, YEAR_START - 2 * DAY, YEAR_END + 2 * DAY)]
        + [(at, False) for at in event_times(site, SunEvent.NOON, YEAR_START - 2 * DAY, YEAR_END + 2 * DAY)]
    )
    instants = {YEAR_START + timedelta(minutes=20 * step) for step in range(3 * 24 * 365)}
    instants |= {at + timedelta(minutes=step) for at, _ in turns for step in range(-3, 4)}
    starts = [at for at, _ in turns]
    watcher = observer(site)
    return [
        (at, sun.elevation(watcher, at), turns[bisect_right(starts, at) - 1][1]) for at in sorted(instants) if YEAR_START <= at < YEAR_END
    ]


@pytest.mark.parametrize(
    "name", ["equator_lon_0", "boulder_40n", "amsterdam_52n", "oulu_65n", "tromso", "north_pole", "south_pole", "twizel_45s", "taveuni_180"]
)
def test_an_instant_is_in_a_window_exactly_if_its_elevation_is_in_the_band(name: str) -> None:
    site = PLACES[name]
    samples = _samples(site)
    for min_deg, max_deg in BANDS:
        for direction in Direction if (min_deg, max_deg) in BANDS[:2] else [Direction.BOTH]:
            spans = elevation_windows(site, min_deg, max_deg, direction, YEAR_START, YEAR_END)
            assert all(begin < until for begin, until in spans)
            assert all(a[1] <= b[0] for a, b in pairwise(spans))
            starts = [begin for begin, _ in spans]
            for at, elevation, rising in samples:
                index = bisect_right(starts, at) - 1
                inside = index >= 0 and at < spans[index][1]
                wanted = min_deg <= elevation <= max_deg and (direction is Direction.BOTH or rising is (direction is Direction.RISING))
                assert inside is wanted, (min_deg, max_deg, direction, at, elevation)


@every_place
def test_edges_of_bands_are_exact_to_the_second(site: Site) -> None:
    """The second before a window is outside the band, its first and last are inside, the next is outside: unless it was cut there."""
    start, end = YEAR_START + 60 * DAY, YEAR_START + 120 * DAY
    turns = {at for event in (SunEvent.MIDNIGHT, SunEvent.NOON) for at in event_times(site, event, start - 3 * DAY, end + 3 * DAY)}
    for min_deg, max_deg in BANDS[:8]:
        for direction in Direction:
            for begin, until in elevation_windows(site, min_deg, max_deg, direction, start, end):
                assert min_deg <= solar_elevation(site, begin) <= max_deg
                assert min_deg <= solar_elevation(site, until - SECOND) <= max_deg
                assert begin in turns or not min_deg <= solar_elevation(site, begin - SECOND) <= max_deg
                assert until in turns or not min_deg <= solar_elevation(site, until) <= max_deg


def _is_cut(site: Site, min_deg: float, max_deg: float) -> bool:
    """Return whether spans of a year touch, having checked that they do so at solar midnight only and that none exceeds a solar day."""
    spans = elevation_windows(site, min_deg, max_deg, Direction.BOTH, YEAR_START, YEAR_END)
    assert all(until - begin <= DAY + timedelta(seconds=40) for begin, until in spans)
    cuts = {a[1] for a, b in pairwise(spans) if a[1] == b[0]}
    assert cuts <= set(event_times(site, SunEvent.MIDNIGHT, YEAR_START - 3 * DAY, YEAR_END + 3 * DAY))
    return bool(cuts)


@every_place
def test_a_band_the_sun_never_leaves_is_cut_into_solar_days(site: Site) -> None:
    assert _is_cut(site, -90.0, 90.0)


@pytest.mark.parametrize(
    ("name", "daylight", "dark", "golden"),
    [
        ("amsterdam_52n", False, False, False),
        ("tromso", True, False, False),
        ("wrangel_180w", True, False, False),
        ("north_pole", True, True, True),
        ("south_pole", True, True, True),
    ],
)
def test_only_polar_days_and_nights_are_cut(name: str, daylight: bool, dark: bool, golden: bool) -> None:
    assert _is_cut(PLACES[name], -0.833, 90.0) is daylight
    assert _is_cut(PLACES[name], -90.0, -12.0) is dark
    assert _is_cut(PLACES[name], -6.0, 6.0) is golden


def test_an_ordinary_night_is_one_window() -> None:
    site = PLACES["amsterdam_52n"]
    nights = elevation_windows(site, -90.0, -12.0, Direction.BOTH, YEAR_START, YEAR_END)
    assert len(nights) == 366  # 365 nights and the one before
    assert all(timedelta(hours=2) < until - begin < timedelta(hours=14) for begin, until in nights)


def test_rising_and_setting_split_where_sun_sun_says_rising() -> None:
    site = PLACES["amsterdam_52n"]
    day = (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 1, 20, tzinfo=UTC))
    (noon,) = event_times(site, SunEvent.NOON, *day)
    rising = elevation_windows(site, 10.0, 90.0, Direction.RISING, *day)
    setting = elevation_windows(site, 10.0, 90.0, Direction.SETTING, *day)
    assert len(rising) == len(setting) == 1
    assert rising[0][1] == noon == setting[0][0]


def test_a_band_the_sun_only_just_reaches_is_found() -> None:
    """Its window lasts minutes around the highest sun of the year, less than any sampling would notice."""
    site = PLACES["amsterdam_52n"]
    noon = event_times(site, SunEvent.NOON, datetime(2026, 6, 21, tzinfo=UTC), datetime(2026, 6, 22, tzinfo=UTC))[0]
    top = max(solar_elevation(site, noon + timedelta(seconds=offset)) for offset in range(-120, 120))
    spans = elevation_windows(site, top - 1e-5, 90.0, Direction.BOTH, noon - DAY / 2, noon + DAY / 2)
    assert len(spans) == 1
    assert timedelta() < spans[0][1] - spans[0][0] < timedelta(seconds=60)
    assert elevation_windows(site, top + 0.01, 90.0, Direction.BOTH, YEAR_START, YEAR_END) == []


@pytest.mark.parametrize(("name", "month"), [("oulu_65n", 3), ("oulu_65n", 9), ("north_pole", 4), ("north_pole", 8), ("south_pole", 5)])
@pytest.mark.parametrize("event", [SunEvent.MIDNIGHT, SunEvent.NOON])
def test_lowest_and_highest_sun_are_not_at_solar_midnight_and_noon(name: str, month: int, event: SunEvent) -> None:
    """They come half a minute off at 65 degrees, up to 75 minutes off at a pole: the sun climbs or sinks with the season meanwhile."""
    site = PLACES[name]
    start = datetime(2026, month, 20, tzinfo=UTC)
    turn = event_times(site, event, start, start + 1.5 * DAY)[-1]
    lowest_or_highest = min if event is SunEvent.MIDNIGHT else max
    height, at = lowest_or_highest((solar_elevation(site, turn + offset * SECOND), turn + offset * SECOND) for offset in range(-5000, 5000))
    assert abs(at - turn) > 15 * SECOND
    band = (-90.0, height + 1e-6) if event is SunEvent.MIDNIGHT else (height - 1e-6, 90.0)
    spans = elevation_windows(site, *band, Direction.BOTH, turn - 8 * HOUR, turn + 8 * HOUR)
    assert any(begin <= at < until and until - begin < 10 * MINUTE for begin, until in spans)


def test_a_single_white_night_makes_two_days_of_it() -> None:
    """The sun stays in the band over just one midnight, the brightest of the year: 47 hours, cut at that midnight."""
    site = PLACES["oulu_65n"]
    midnights = event_times(site, SunEvent.MIDNIGHT, datetime(2026, 6, 10, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    heights = sorted(solar_elevation(site, at) for at in midnights)
    edge = (heights[-2] + heights[-1]) / 2
    spans = elevation_windows(site, edge, 90.0, Direction.BOTH, midnights[0], midnights[-1])
    cuts = [a[1] for a, b in pairwise(spans) if a[1] == b[0]]
    assert len(cuts) == 1
    assert solar_elevation(site, cuts[0]) == heights[-1]
    assert all(until - begin <= DAY for begin, until in spans)


@settings(max_examples=150, deadline=None)
@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    day=st.integers(-200, 20_000),
    low=st.floats(-90, 89),
    width=st.floats(0.001, 180),
    seconds=st.integers(0, 86_400),
    direction=st.sampled_from(Direction),
)
def test_bands_hold_anywhere_at_any_time(
    latitude: float, longitude: float, day: int, low: float, width: float, seconds: int, direction: Direction
) -> None:
    """Also before 1970, when a clock that was not set may believe to be."""
    site = Site(latitude, longitude, 0.0, ZoneInfo("UTC"))
    high = min(90.0, low + width)
    start = datetime(1970, 1, 2, tzinfo=UTC) + timedelta(days=day)
    end = start + 2 * DAY
    spans = elevation_windows(site, low, high, direction, start, end)
    assert all(begin < end and until > start for begin, until in spans)
    wide = elevation_windows(site, low, high, direction, start - 3 * DAY, end + 3 * DAY)
    assert spans == [span for span in wide if span[0] < end and span[1] > start]
    at = start + timedelta(seconds=seconds)
    if direction is Direction.BOTH and not 84.9 < solar_elevation(site, at) < 85.1:  # astral's refraction jumps by 5 arc seconds there
        assert any(begin <= at < until for begin, until in spans) is (low <= solar_elevation(site, at) <= high)
