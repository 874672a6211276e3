"""Diagnostics: useful, and without secrets."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
import json
from pathlib import Path
import re
from types import MappingProxyType
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse.engine.status import Problem
from custom_components.skylapse.json_view import to_json

from .rig import FRAME, PI_CAMERA, PI_STATUS, SUNRISE, MadeUpStation, garden, pi_station, set_up


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


SECRET_LINE = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2g"
SECRETS = {
    "host": "attic-pi.example",
    "username": "pi",
    "password": "corr3ct horse",
    "private_key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET_LINE}\n-----END OPENSSH PRIVATE KEY-----\n",
    "passphrase": "battery+staple",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5lIcanBeSeenByNobodyAtAllxxxxxxxxxxxxxx",
}
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtherKeyThatTheHostShowsNowxxxxxxxxxxxx"
FINGERPRINT = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDJCg9Mkz1jS2tLb7k"
OTHER_PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\n"


@pytest.mark.usefixtures("socket_enabled")
async def test_secrets_are_hidden_wherever_they_are(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    """In the entry, in the last words of a worker, in errors; what is needed to help stays."""
    everywhere = [f"{name} is {text}." for name, text in SECRETS.items()]
    live = {
        "probe": {"model": "imx708", "id": PI_CAMERA.serial},
        "hello": {"python": "3.13.5"},
        "restarts": 2,
        "stderr": [*everywhere, f"login pi@{SECRETS['host']}:22 failed", "/home/pi/x", "picamera2 is fine", SECRET_LINE, OTHER_PRIVATE],
        "error": {"key": "ssh_host_key_changed", "pinned": FINGERPRINT, "found": OTHER_KEY, **SECRETS},
        "nested": [{"deeper": everywhere, **SECRETS}],
    }
    entry = garden()
    object.__setattr__(entry, "data", {**entry.data, "transport": "ssh", "port": 22, **SECRETS})
    station = pi_station(answers={"diagnostics": {"camera": live, "status": PI_STATUS, **SECRETS}})
    await set_up(hass, station, entry)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    text = json.dumps(found, ensure_ascii=False)
    planted = [*SECRETS.values(), SECRET_LINE, OTHER_KEY, FINGERPRINT, "MIIEowIBAAKCAQEA7"]
    assert [secret for secret in planted if secret != "pi" and secret in text] == []
    assert not re.search(r"\bpi\b", text)
    told = found["station"]["camera"]
    assert told["probe"] == {"model": "imx708", "id": PI_CAMERA.serial}
    assert told["stderr"][6:9] == ["login **REDACTED**@**REDACTED**:22 failed", "/home/**REDACTED**/x", "picamera2 is fine"]
    assert found["station"]["status"]["camera"]["host"]["cpu_temperature_c"] == 48.3, "how the host does is no secret"
    assert found["entry"]["data"]["port"] == 22


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
