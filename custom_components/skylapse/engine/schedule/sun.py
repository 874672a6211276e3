"""Where the sun is, and when it passes an event or an elevation. Numbers are astral's, hence those of Home Assistant's ``sun.sun``.

Astral answers per date, raises ``ValueError`` where an event does not happen on it, and what it answers for a date may lie up to
a day and a half away from that date's start (far longitudes, polar summers). Here a range of instants is asked instead, nothing is
missed or doubled in it, and no ``ValueError`` comes out. Astral treats the last 0.2 degrees before a pole as 0.2 degrees away from it,
so that noon and midnight exist there, too.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from math import asin, cos, degrees, radians, sin

from astral import Observer, sun

from ..ports import Site
from .model import Direction, SunEvent

Span = tuple[datetime, datetime]
"""[start, end), UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400

_TURN_S = 2 * 3600
"""The sun stands highest and lowest within this of solar noon and midnight: its declination moves, at 0.2 degrees from a pole so much
that the lowest sun is 75 minutes off."""

_REACH_MARGIN_DEG = 2.0
"""More than refraction and a day's change of declination together."""

_EVERY_DAY = frozenset({SunEvent.NOON, SunEvent.MIDNIGHT})

_DEPRESSIONS_DEG = {
    SunEvent.DAWN_ASTRONOMICAL: 18.0,
    SunEvent.DAWN_NAUTICAL: 12.0,
    SunEvent.DAWN_CIVIL: 6.0,
    SunEvent.DUSK_CIVIL: 6.0,
    SunEvent.DUSK_NAUTICAL: 12.0,
    SunEvent.DUSK_ASTRONOMICAL: 18.0,
}


def event_times(site: Site, event: SunEvent, start: datetime, end: datetime) -> list[datetime]:
    """Return all instants of ``event`` in [start, end), UTC, sorted; none where the sun does not pass it."""
    # Over all places and events, what astral answers for a date lies between 12.3 h before and 36.2 h after its start in UTC.
    first = start.astimezone(UTC).date().toordinal() - 1
    last = end.astimezone(UTC).date().toordinal() + 1
    times = (_event(site.latitude_deg, site.longitude_deg, site.elevation_m, event, ordinal) for ordinal in range(first, last + 1))
    return sorted(at for at in times if at is not None and start <= at < end)


def elevation_windows(site: Site, min_deg: float, max_deg: float, direction: Direction, start: datetime, end: datetime) -> list[Span]:
    """Return all spans that overlap [start, end), whole and sorted, in which the sun's elevation lies in [min_deg, max_deg].

    Bounds are whole seconds, as ``solar_elevation`` changes at those: an instant lies in a span exactly if its elevation lies in the band.
    Rising is from solar midnight until noon, setting from noon until midnight, as the attribute ``rising`` of ``sun.sun`` has it.
    Where the sun stays in the band for more than 24 h, the span is cut at each solar midnight.
    """
    # A day and a half more on both sides: enough to see whether a span that reaches into the range is longer than 24 h.
    first = start.astimezone(UTC).date().toordinal() - 2
    last = end.astimezone(UTC).date().toordinal() + 2
    runs: list[list[int]] = []
    for ordinal in range(first, last + 1):
        for begin, until in _spells(site.latitude_deg, site.longitude_deg, min_deg, max_deg, ordinal):
            if direction is not Direction.BOTH:
                noon_s = _noon_s(site.longitude_deg, ordinal)
                half = (begin, min(until, noon_s)) if direction is Direction.RISING else (max(begin, noon_s), until)
                if half[0] < half[1]:
                    runs.append([*half])
            elif runs and runs[-1][-1] == begin:
                runs[-1].append(until)
            else:
                runs.append([begin, until])
    spans: list[Span] = []
    for run in runs:
        pieces = pairwise(run) if run[-1] - run[0] > _DAY_S else [(run[0], run[-1])]
        spans += [(_instant(begin), _instant(until)) for begin, until in pieces]
    return [span for span in spans if span[0] < end and span[1] > start]


def _instant(epoch_s: int) -> datetime:
    return _EPOCH + timedelta(seconds=epoch_s)  # unlike fromtimestamp right before 1970 on every system


def _epoch_s(at: datetime) -> int:
    return (at - _EPOCH) // _SECOND


@lru_cache(maxsize=8192)
def _event(latitude_deg: float, longitude_deg: float, elevation_m: float, event: SunEvent, ordinal: int) -> datetime | None:
    """Return astral's instant of an event for a date, None if it does not happen."""
    observer = Observer(latitude_deg, longitude_deg, elevation_m)
    day = date.fromordinal(ordinal)
    at: datetime
    depression = _DEPRESSIONS_DEG.get(event, 0.0)
    dip = float(sun.adjust_to_horizon(elevation_m))
    lowest, highest = _reach(latitude_deg, ordinal)
    possible = event in _EVERY_DAY or lowest - _REACH_MARGIN_DEG <= -depression - dip <= highest + _REACH_MARGIN_DEG
    if not possible:
        return None  # far from it: saves most of the work of a search through a polar night
    try:
        match event:
            case SunEvent.NOON:
                at = sun.noon(observer, day)
            case SunEvent.MIDNIGHT:
                at = sun.midnight(observer, day)
            case SunEvent.SUNRISE:
                at = sun.sunrise(observer, day)
            case SunEvent.SUNSET:
                at = sun.sunset(observer, day)
            case SunEvent.DAWN_ASTRONOMICAL | SunEvent.DAWN_NAUTICAL | SunEvent.DAWN_CIVIL:
                at = sun.dawn(observer, day, depression)
            case _:
                at = sun.dusk(observer, day, depression)
    except ValueError:
        return None
    return at.astimezone(UTC)


@lru_cache(maxsize=2048)
def _reach(latitude_deg: float, ordinal: int) -> tuple[float, float]:
    """Return about how low and how high the sun stands on a date, in degrees without refraction."""
    century = sun.jday_to_jcentury(sun.julianday(date.fromordinal(ordinal)))
    declination, latitude = radians(sun.sun_declination(century)), radians(latitude_deg)
    middle, swing = sin(latitude) * sin(declination), cos(latitude) * cos(declination)
    return degrees(asin(max(-1.0, middle - swing))), degrees(asin(min(1.0, middle + swing)))


@lru_cache(maxsize=2048)
def _noon_s(longitude_deg: float, ordinal: int) -> int:
    return _epoch_s(sun.noon(Observer(0.0, longitude_deg), date.fromordinal(ordinal)))


@lru_cache(maxsize=2048)
def _midnight_s(longitude_deg: float, ordinal: int) -> int:
    return _epoch_s(sun.midnight(Observer(0.0, longitude_deg), date.fromordinal(ordinal)))


@lru_cache(maxsize=512)
def _turns(latitude_deg: float, longitude_deg: float, ordinal: int) -> tuple[int, ...]:
    """Return the seconds between which the sun goes one way: a date's solar midnight, lowest and highest sun, the next midnight."""
    elevation = _elevation_at(latitude_deg, longitude_deg)

    def lowest_at(midnight_s: int) -> int:
        return _first(midnight_s - _TURN_S, midnight_s + _TURN_S, lambda at: elevation(at + 1) > elevation(at))

    begin, until = _midnight_s(longitude_deg, ordinal), _midnight_s(longitude_deg, ordinal + 1)
    noon_s = _noon_s(longitude_deg, ordinal)
    highest = _first(noon_s - _TURN_S, noon_s + _TURN_S, lambda at: elevation(at + 1) < elevation(at))
    return begin, *(at for at in (lowest_at(begin), highest, lowest_at(until)) if begin < at < until), until


@lru_cache(maxsize=4096)
def _spells(latitude_deg: float, longitude_deg: float, min_deg: float, max_deg: float, ordinal: int) -> tuple[tuple[int, int], ...]:
    """Return when the sun is in a band from a date's solar midnight until the next one, in seconds since 1970, [begin, until)."""
    lowest, highest = _reach(latitude_deg, ordinal)
    if min_deg > highest + _REACH_MARGIN_DEG or max_deg < lowest - _REACH_MARGIN_DEG:
        return ()
    elevation = _elevation_at(latitude_deg, longitude_deg)
    spells: list[tuple[int, int]] = []
    for a, b in pairwise(_turns(latitude_deg, longitude_deg, ordinal)):
        # The sun goes one way here, so that each edge of the band is passed at most once.
        if elevation(a) < elevation(b):
            enter = _first(a, b, lambda at: elevation(at) >= min_deg)
            leave = _first(a, b, lambda at: elevation(at) > max_deg)
        else:
            enter = _first(a, b, lambda at: elevation(at) <= max_deg)
            leave = _first(a, b, lambda at: elevation(at) < min_deg)
        if enter >= leave:
            continue
        if spells and spells[-1][1] == enter:
            spells[-1] = (spells[-1][0], leave)
        else:
            spells.append((enter, leave))
    return tuple(spells)


def _elevation_at(latitude_deg: float, longitude_deg: float) -> Callable[[int], float]:
    """Return the sun's elevation as a function of seconds since 1970. The observer's height does not matter to it."""
    observer = Observer(latitude_deg, longitude_deg)
    return lambda epoch_s: float(sun.elevation(observer, _instant(epoch_s)))


def _first(begin: int, until: int, passed: Callable[[int], bool]) -> int:
    """Return the first second in [begin, until) at which ``passed`` holds, given that it then stays so; ``until`` if there is none."""
    if passed(begin):
        return begin
    if not passed(until - 1):
        return until
    until -= 1
    while until - begin > 1:
        middle = (begin + until) // 2
        if passed(middle):
            until = middle
        else:
            begin = middle
    return until
