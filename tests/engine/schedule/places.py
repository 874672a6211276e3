"""Where the schedules are tried: climates, hemispheres, poles, the date line and the borders of daylight saving."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from astral import Observer, sun
import pytest

from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.schedule.model import SunEvent

PLACES = {
    "equator_lon_0": Site(0.0, 0.0, 0.0, ZoneInfo("UTC")),
    "quito": Site(-0.18, -78.47, 2850.0, ZoneInfo("America/Guayaquil")),
    "boulder_40n": Site(39.6333, -105.3167, 2300.0, ZoneInfo("America/Denver")),
    "amsterdam_52n": Site(52.37, 4.9, 2.0, ZoneInfo("Europe/Amsterdam")),
    "new_york": Site(40.71, -74.01, 10.0, ZoneInfo("America/New_York")),
    "oulu_65n": Site(65.01, 25.47, 15.0, ZoneInfo("Europe/Helsinki")),
    "tromso": Site(69.65, 18.96, 10.0, ZoneInfo("Europe/Oslo")),
    "north_pole": Site(90.0, 0.0, 0.0, ZoneInfo("UTC")),
    "south_pole": Site(-90.0, 0.0, 2835.0, ZoneInfo("Antarctica/McMurdo")),
    "twizel_45s": Site(-44.26, 170.1, 460.0, ZoneInfo("Pacific/Auckland")),
    "lord_howe": Site(-31.55, 159.08, 5.0, ZoneInfo("Australia/Lord_Howe")),
    "apia": Site(-13.83, -171.77, 2.0, ZoneInfo("Pacific/Apia")),
    "kiritimati": Site(1.87, -157.4, 3.0, ZoneInfo("Pacific/Kiritimati")),
    "taveuni_180": Site(-16.8, 180.0, 10.0, ZoneInfo("Pacific/Fiji")),
    "wrangel_180w": Site(71.2, -180.0, 10.0, ZoneInfo("Asia/Anadyr")),
}

every_place = pytest.mark.parametrize("site", PLACES.values(), ids=PLACES)

YEAR_START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR_END = datetime(2027, 1, 1, tzinfo=UTC)

_ASTRAL: dict[SunEvent, Callable[[Observer, date], datetime]] = {
    SunEvent.DAWN_ASTRONOMICAL: lambda observer, day: sun.dawn(observer, day, depression=18),
    SunEvent.DAWN_NAUTICAL: lambda observer, day: sun.dawn(observer, day, depression=12),
    SunEvent.DAWN_CIVIL: lambda observer, day: sun.dawn(observer, day, depression=6),
    SunEvent.SUNRISE: sun.sunrise,
    SunEvent.NOON: sun.noon,
    SunEvent.SUNSET: sun.sunset,
    SunEvent.DUSK_CIVIL: lambda observer, day: sun.dusk(observer, day, depression=6),
    SunEvent.DUSK_NAUTICAL: lambda observer, day: sun.dusk(observer, day, depression=12),
    SunEvent.DUSK_ASTRONOMICAL: lambda observer, day: sun.dusk(observer, day, depression=18),
    SunEvent.MIDNIGHT: sun.midnight,
}

ASTRAL_NAMES = {
    SunEvent.DAWN_ASTRONOMICAL: ("dawn", 18.0),
    SunEvent.DAWN_NAUTICAL: ("dawn", 12.0),
    SunEvent.DAWN_CIVIL: ("dawn", 6.0),
    SunEvent.SUNRISE: ("sunrise", None),
    SunEvent.NOON: ("noon", None),
    SunEvent.SUNSET: ("sunset", None),
    SunEvent.DUSK_CIVIL: ("dusk", 6.0),
    SunEvent.DUSK_NAUTICAL: ("dusk", 12.0),
    SunEvent.DUSK_ASTRONOMICAL: ("dusk", 18.0),
    SunEvent.MIDNIGHT: ("midnight", None),
}
"""Function and depression of each event, as Home Assistant's own helper takes them."""


def observer(site: Site) -> Observer:
    """Return the observer as Home Assistant makes it."""
    return Observer(site.latitude_deg, site.longitude_deg, site.elevation_m)


def astral_events(site: Site, event: SunEvent, start: datetime, end: datetime) -> list[datetime]:
    """Return the events in [start, end) by asking astral for every date from a week before until a week after."""
    found = set()
    day = start.date() - timedelta(days=7)
    while day <= end.date() + timedelta(days=7):
        try:
            at = _ASTRAL[event](observer(site), day)
        except ValueError:
            pass
        else:
            if start <= at < end:
                found.add(at)
        day += timedelta(days=1)
    return sorted(found)
