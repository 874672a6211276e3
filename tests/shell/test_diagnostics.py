"""Diagnostics: useful, and without secrets."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse.engine.status import Problem
from custom_components.skylapse.json_view import to_json

from .rig import FRAME, SUNRISE, MadeUpStation, garden, set_up


@pytest.mark.usefixtures("socket_enabled")
async def test_secrets_and_places_are_hidden(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    """And paths are told relative to Home Assistant's folders."""
    media = hass.config.media_dirs["local"]
    entry = garden()
    station = MadeUpStation(
        answers={
            "diagnostics": {
                "frame": asdict(FRAME),
                "schedules": [asdict(SUNRISE)],
                "site": {"latitude_deg": 52.1, "longitude_deg": 4.9, "elevation_m": 3},
                "password": "hunter2",
                "paths": [Path(media) / "skylapse/garden/a.jpg", f"error in {hass.config.config_dir}/skylapse/01GARDEN.db"],
            }
        }
    )
    await set_up(hass, station, entry)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert found["entry"]["data"] == {"source": "simulated", "slug": "garden", "seed": 7}
    assert {subentry["title"] for subentry in found["entry"]["subentries"]} == {"Sunrise", "NAS"}
    assert found["station"]["paths"] == ["<local>/skylapse/garden/a.jpg", "error in <config>/skylapse/01GARDEN.db"]
    assert found["station"]["frame"]["details"]["sun_elevation_deg"] == "**REDACTED**"
    told = found["station"]["schedules"][0]
    assert (told["window_start"], told["window_end"], told["name"]) == ("**REDACTED**", "**REDACTED**", "Sunrise"), "they tell the place"
    text = json.dumps(found)
    assert not any(secret in text for secret in ("52.1", "4.9", "hunter2", hass.config.config_dir))


@pytest.mark.usefixtures("socket_enabled")
async def test_an_entry_that_is_not_loaded_has_diagnostics_too(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    """Then it is wanted most."""
    entry = garden()
    await set_up(hass, entry=entry)
    await hass.config_entries.async_unload(entry.entry_id)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert found["entry"]["state"] == "not_loaded"
    assert found["station"] is None


@dataclass
class Sample:
    """Something of the engine's."""

    when: datetime
    how_long: timedelta


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("a", "a"),
        (Problem.STORAGE_FULL, "storage_full"),
        (date(2026, 11, 23), "2026-11-23"),
        (time(22, 30), "22:30:00"),
        (Path("/a/b"), "/a/b"),
        (MappingProxyType({1: (2, 3)}), {"1": [2, 3]}),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Sample(datetime(2026, 11, 23, tzinfo=UTC), timedelta(minutes=1)), {"when": "2026-11-23T00:00:00+00:00", "how_long": 60.0}),
        (1j, "1j"),
    ],
)
def test_json(value: object, shown: object) -> None:
    """Whatever the engine holds can be shown."""
    assert to_json(value) == shown
