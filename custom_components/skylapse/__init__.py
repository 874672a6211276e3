"""Skylapse: an unattended sky time-lapse station."""

import logging

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN, OPT_LENS_POSITION
from .coordinator import SkylapseCoordinator
from .engine.errors import CatalogueError, ScheduleError, SkylapseError, SourceError, StorageError
from .issues import async_tell_rebuilt
from .runtime import (
    SkylapseConfigEntry,
    SkylapseData,
    async_follow_home_assistant,
    build_station,
    catalogue_path,
    live_of,
    settings_of,
    takes_hold,
)
from .services import async_setup_services

_LOGGER = logging.getLogger(__name__)

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CAMERA,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.SWITCH,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions; they exist whether or not an entry is loaded."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
    """Start the station of an entry. A camera that does not answer is told by the station, not by a failed entry."""
    try:
        station = build_station(hass, entry)
        await station.start()
    except (ScheduleError, SourceError) as err:
        raise ConfigEntryError(translation_domain=DOMAIN, translation_key=err.key, translation_placeholders=err.placeholders) from err
    except (CatalogueError, StorageError) as err:
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key=err.key, translation_placeholders=err.placeholders) from err
    try:
        entry.runtime_data = SkylapseData(station, SkylapseCoordinator(hass, entry, station), settings_of(entry), live_of(entry))
        async_follow_home_assistant(hass, entry, station)
        entry.async_on_unload(entry.add_update_listener(_async_changed))
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except BaseException:  # whatever it is: an entry that is not loaded must not photograph on
        await station.stop()
        raise
    if station.rebuilt_from is not None:
        async_tell_rebuilt(hass, entry, station.rebuilt_from)


async def async_unload_entry(hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
    """Stop the station and leave nothing behind but its files."""
    await hass.config_entries.async_unload_platforms_or_raise(entry, PLATFORMS)
    await entry.runtime_data.station.stop(planned=entry.disabled_by is ConfigEntryDisabler.USER)


async def async_remove_entry(hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
    """Remove the catalogue. The frames and their copies stay: they are the person's."""
    path = catalogue_path(hass, entry.entry_id)

    def remove() -> None:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    await hass.async_add_executor_job(remove)


async def async_remove_config_entry_device(hass: HomeAssistant, entry: SkylapseConfigEntry, device: dr.AnyDeviceEntry) -> bool:
    """Let a person delete devices that belong to nothing any more."""
    return not any(domain == DOMAIN and key in {entry.entry_id, *entry.subentries} for domain, key in device.identifiers)


async def _async_changed(hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
    """Start the station anew with what the person changed; what the camera takes while it runs, it is given at once."""
    data = entry.runtime_data
    before, data.live = data.live, live_of(entry)
    old, data.settings = data.settings, settings_of(entry)
    focus_held = takes_hold(old, data.settings)
    if data.station.live is None or not (focus_held or data.settings == old):
        hass.config_entries.async_schedule_reload(entry.entry_id)
        return
    # what did not change is not told again: a lens that found its focus by itself would be moved back to where the option says
    told = {OPT_LENS_POSITION} if focus_held and data.settings != old else set()
    live = {key: value for key, value in data.live.items() if value != before.get(key) or key in told}
    try:
        await data.station.work.adjust(**live)
    except SkylapseError as err:
        _LOGGER.warning("%s: the camera does not take %s (%s); it is started anew", entry.title, live, err)
        hass.config_entries.async_schedule_reload(entry.entry_id)
