"""The sun stands where astral, and so Home Assistant, says."""

from datetime import UTC, datetime, timedelta, timezone

from astral import Observer, sun
import pytest

from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.sun_position import observer_at, solar_azimuth, solar_elevation

UTRECHT = Site(52.09, 5.12, 5.0, UTC)


def test_the_observer_is_home_assistants() -> None:
    assert observer_at(UTRECHT) == Observer(52.09, 5.12, 5.0)


@pytest.mark.parametrize("hour", [0, 4, 11, 20])
def test_numbers_are_those_of_sun_sun(hour: int) -> None:
    at = datetime(2026, 6, 21, hour, 30, tzinfo=UTC)
    observer = Observer(52.09, 5.12, 5.0)
    assert solar_elevation(UTRECHT, at) == sun.elevation(observer, at)
    assert solar_azimuth(UTRECHT, at) == sun.azimuth(observer, at)


def test_they_are_right() -> None:
    # noon at midsummer: 90 - 52.09 + 23.44 degrees high, due south
    at = datetime(2026, 6, 21, 11, 41, tzinfo=UTC)
    assert solar_elevation(UTRECHT, at) == pytest.approx(61.35, abs=0.05)
    assert solar_azimuth(UTRECHT, at) == pytest.approx(180, abs=1)
    # refraction lifts a setting sun by half a degree
    sunset = sun.sunset(Observer(52.09, 5.12, 0.0), at.date())
    assert solar_elevation(UTRECHT, sunset) == pytest.approx(-0.35, abs=0.15)


def test_the_zone_an_instant_is_told_in_does_not_matter() -> None:
    at = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=-9)))
    assert solar_elevation(UTRECHT, elsewhere) == solar_elevation(UTRECHT, at)
    assert solar_azimuth(UTRECHT, elsewhere) == solar_azimuth(UTRECHT, at)
