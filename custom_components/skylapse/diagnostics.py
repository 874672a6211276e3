"""Diagnostics: what a maintainer needs to see of one camera, without secrets and coordinates."""

from typing import Any

from homeassistant.components.diagnostics import async_redact_data
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
    relative: Any = _relative(hass, to_json(found))
    return dict(async_redact_data(relative, TO_REDACT))


def _relative(hass: HomeAssistant, value: JsonValueType) -> JsonValueType:
    """Return the value with Home Assistant's folders in its texts replaced by their names."""
    folders = sorted(
        [*((f"<{name}>", path) for name, path in hass.config.media_dirs.items()), ("<config>", hass.config.config_dir)],
        key=lambda item: -len(item[1]),
    )

    def replaced(item: JsonValueType) -> JsonValueType:
        if isinstance(item, str):
            for name, path in folders:
                item = item.replace(path, name)
            return item
        if isinstance(item, dict):
            return {key: replaced(child) for key, child in item.items()}
        return [replaced(child) for child in item] if isinstance(item, list) else item

    return replaced(value)
