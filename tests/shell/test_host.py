"""What the engine is told of Home Assistant."""

from homeassistant.core import HomeAssistant
import pytest

from custom_components.skylapse.engine.ports import EntityReading
from custom_components.skylapse.host import entity_reader, site


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "expected"),
    [
        ("sensor.lux", "120", {}, EntityReading("sensor.lux", "120")),
        ("sensor.lux", "unavailable", {}, EntityReading("sensor.lux", None)),
        ("sensor.lux", "unknown", {}, EntityReading("sensor.lux", None)),
        ("weather.home", "cloudy", {"cloud_coverage": 90}, EntityReading("weather.home", "cloudy", 90.0)),
        ("weather.home", "cloudy", {}, EntityReading("weather.home", "cloudy")),
        ("weather.home", "cloudy", {"cloud_coverage": "?"}, EntityReading("weather.home", "cloudy")),
        ("sensor.lux", "5", {"cloud_coverage": 90}, EntityReading("sensor.lux", "5")),
    ],
)
async def test_an_entity_is_read(hass: HomeAssistant, entity_id: str, state: str, attributes: dict[str, object], expected: object) -> None:
    hass.states.async_set(entity_id, state, attributes)
    assert entity_reader(hass)(entity_id) == expected


async def test_an_entity_that_is_not_there_reads_as_nothing(hass: HomeAssistant) -> None:
    assert entity_reader(hass)("sensor.nowhere") == EntityReading("sensor.nowhere", None)


async def test_the_place_is_home_assistant_s(hass: HomeAssistant) -> None:
    await hass.config.async_update(latitude=52.5, longitude=5.5, elevation=7, time_zone="Europe/Amsterdam")
    place = site(hass)
    assert (place.latitude_deg, place.longitude_deg, place.elevation_m) == (52.5, 5.5, 7)
    assert str(place.timezone) == "Europe/Amsterdam"
