"""Diagnostics: what a maintainer needs to see of one camera, without secrets and coordinates."""

from collections.abc import Callable, Iterator, Mapping
import re
from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util.json import JsonValueType

from .json_view import to_json
from .runtime import SkylapseConfigEntry

TO_REDACT = frozenset(
    {
        "access_key_id",
        "access_token",
        "altitude_m",
        "elevation_m",
        "host_key",
        "latitude",
        "latitude_deg",
        "longitude",
        "longitude_deg",
        "lux",  # a simulated sky's follows from the sun alone
        "next_capture_at",  # often a window's start
        "passphrase",
        "password",
        "private_key",
        "secret_access_key",
        "sun_azimuth_deg",  # with the instant, the sun's place in the sky gives the coordinates away
        "sun_elevation_deg",
        "token",
        "username",
        "window_end",  # when the sun rises and sets to the second gives the coordinates away, too
        "window_start",
    }
)


NAMED = ("host", "username", "password", "private_key", "passphrase", "host_key")
"""Data of the entry that are hidden wherever they are named: an error, or the last words of a worker, may quote them."""
SHORTEST_LINE = 12
"""Characters; a shorter line of a key tells nothing."""
KEYS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(ssh-|ecdsa-|sk-)[\w@.-]+ AAAA[\w+/=]+"
    r"|\b(SHA256:[\w+/=]{43}|MD5(:[0-9a-f]{2}){16})",
    re.DOTALL,
)
"""Private keys, public ones, and the fingerprints by which a machine is known."""


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: SkylapseConfigEntry) -> dict[str, Any]:
    """Return the entry and, while it is loaded, its station; paths are told relative to Home Assistant's folders."""
    found = {
        "entry": {
            "version": f"{entry.version}.{entry.minor_version}",
            "state": entry.state.value,
            "data": entry.data,
            "options": entry.options,
            "subentries": [
                {"id": subentry.subentry_id, "type": subentry.subentry_type, "title": subentry.title, "data": subentry.data}
                for subentry in entry.subentries.values()
            ],
        },
        "station": await entry.runtime_data.station.diagnostics() if entry.state is ConfigEntryState.LOADED else None,
    }
    hidden, folders = _named(entry.data), _folders(hass)

    def cleaned(text: str) -> str:
        for name, path in folders:
            text = text.replace(path, name)
        text = KEYS.sub(REDACTED, text)
        return hidden.sub(REDACTED, text) if hidden else text

    texts: Any = _each_text(to_json(found), cleaned)
    return dict(async_redact_data(texts, TO_REDACT))


def _folders(hass: HomeAssistant) -> list[tuple[str, str]]:
    """Return names and paths of Home Assistant's folders, those inside of others first."""
    folders = [*((f"<{name}>", path) for name, path in hass.config.media_dirs.items()), ("<config>", hass.config.config_dir)]
    return sorted(folders, key=lambda item: -len(item[1]))


def _named(data: Mapping[str, Any]) -> re.Pattern[str] | None:
    """Return what finds the entry's own secrets in any text, as whole words; None if it has none."""

    def secrets() -> Iterator[str]:
        for key in NAMED:
            match data.get(key):
                case str(text) if text.strip():
                    yield text.strip()
                    yield from (line for line in text.split() if len(line) >= SHORTEST_LINE)
                case _:
                    pass

    found = sorted(set(secrets()), key=len, reverse=True)
    return re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in found)) if found else None


def _each_text(value: JsonValueType, change: Callable[[str], str]) -> JsonValueType:
    """Return the value with each text in it changed; not the keys, which are the program's own."""
    match value:
        case str():
            return change(value)
        case dict():
            return {key: _each_text(child, change) for key, child in value.items()}
        case list():
            return [_each_text(child, change) for child in value]
        case _:
            return value
