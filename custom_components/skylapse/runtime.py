"""What runs for one config entry: builds the station from the entry and ties it to Home Assistant's events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event

from .const import (
    CONF_SLUG,
    DEFAULT_OPTIONS,
    DOMAIN,
    FOCUS_FIXED,
    GIGABYTE,
    LIVE_OPTIONS,
    OPT_DEADLINE_S,
    OPT_DELETE_UNCOPIED,
    OPT_EMBED_LOCATION,
    OPT_FOCUS_MODE,
    OPT_MAX_DAYS,
    OPT_MIN_FREE_GB,
    SUBENTRY_DESTINATION,
    SUBENTRY_SCHEDULE,
)
from .coordinator import SkylapseCoordinator
from .engine.frames.retention import RetentionRule
from .engine.ports import SystemClock
from .engine.schedule.codec import schedule_from_dict
from .engine.schedule.model import Schedule
from .engine.sources.build import build_source
from .engine.station import Station
from .engine.station_config import StationConfig
from .engine.upload.destination import Destination
from .engine.upload.folder import FolderDestination
from .host import entity_reader, image_fetcher, site

SUN_ENTITY = "sun.sun"


@dataclass(slots=True)
class SkylapseData:
    """What belongs to a loaded entry."""

    station: Station
    coordinator: SkylapseCoordinator
    settings: Mapping[str, Any]
    """What the station was built from, without what it can be told while it runs."""
    live: Mapping[str, Any]
    """What its camera was told last of the latter."""


type SkylapseConfigEntry = ConfigEntry[SkylapseData]


def media_folder(hass: HomeAssistant) -> Path:
    """Return the folder below which all cameras have theirs: ``<media>/skylapse``."""
    media = hass.config.media_dirs.get("local") or hass.config.path("media")
    return Path(media) / DOMAIN


def catalogue_path(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where an entry's catalogue is; inside the configuration, so that backups have it."""
    return Path(hass.config.path(DOMAIN)) / f"{entry_id}.db"


def schedules_of(entry: ConfigEntry) -> tuple[Schedule, ...]:
    """Return the entry's schedules. Raises ``ScheduleError`` for one that is wrong."""
    return tuple(
        schedule_from_dict(subentry.subentry_id, subentry.title, subentry.data)
        for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE)
    )


def settings_of(entry: ConfigEntry) -> Mapping[str, Any]:
    """Return all of an entry that a station is built from, but for what a running camera can be told."""
    return {
        "title": entry.title,
        "data": dict(entry.data),
        "options": {key: value for key, value in entry.options.items() if key not in LIVE_OPTIONS},
        "subentries": {key: (subentry.title, dict(subentry.data)) for key, subentry in entry.subentries.items()},
    }


def live_of(entry: ConfigEntry) -> Mapping[str, Any]:
    """Return the options that a running camera can be told."""
    return {key: entry.options[key] for key in LIVE_OPTIONS if key in entry.options}


def takes_hold(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two settings differ, if at all, in that the focus is held from now on: that is a matter of telling the lens where."""

    def but_focus(settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**settings, "options": {**settings["options"], OPT_FOCUS_MODE: FOCUS_FIXED}}

    return now["options"].get(OPT_FOCUS_MODE) == FOCUS_FIXED and but_focus(before) == but_focus(now)


def build_station(hass: HomeAssistant, entry: ConfigEntry) -> Station:
    """Return the station an entry describes, not yet started. Raises ``ScheduleError`` or ``SourceError``."""
    clock = SystemClock()
    place = partial(site, hass)
    folders = list(entry.get_subentries_of_type(SUBENTRY_DESTINATION))
    options = {**DEFAULT_OPTIONS, **entry.options}
    max_days = options[OPT_MAX_DAYS]
    config = StationConfig(
        station_id=entry.entry_id,
        camera=entry.title,
        slug=entry.data[CONF_SLUG],
        folder=media_folder(hass) / entry.data[CONF_SLUG],
        catalogue_path=catalogue_path(hass, entry.entry_id),
        schedules=schedules_of(entry),
        required=frozenset(subentry.subentry_id for subentry in folders if subentry.data["required"]),
        retention=RetentionRule(
            min_free_bytes=round(options[OPT_MIN_FREE_GB] * GIGABYTE),
            max_age=None if max_days is None else timedelta(days=max_days),
            without_copy=options[OPT_DELETE_UNCOPIED],
        ),
        embed_location=options[OPT_EMBED_LOCATION],
        deadline_s=float(options[OPT_DEADLINE_S]),
    )
    source = build_source(entry.data, options, site=place, clock=clock, fetch_image=image_fetcher(hass))
    return Station(
        config,
        source,
        _destinations(folders),
        clock=clock,
        site=place,
        read_entity=entity_reader(hass),
        restart=partial(hass.config_entries.async_schedule_reload, entry.entry_id),
    )


def _destinations(subentries: Sequence[ConfigSubentry]) -> list[Destination]:
    return [
        FolderDestination(subentry.subentry_id, subentry.title, Path(subentry.data["path"]), subentry.data["marker_id"])
        for subentry in subentries
    ]


@callback
def async_follow_home_assistant(hass: HomeAssistant, entry: SkylapseConfigEntry, station: Station) -> None:
    """Let the station plan anew when the sun, the place or a gate changes, and stop it with Home Assistant."""

    @callback
    def sun_changed(_event: Event[EventStateChangedData]) -> None:
        station.replan("sun.sun changed")

    @callback
    def config_changed(_event: Event) -> None:
        station.replan("Home Assistant's location, time zone or units changed")

    @callback
    def gate_changed(_event: Event[EventStateChangedData]) -> None:
        station.gates_changed()

    async def stop(_event: Event) -> None:
        await station.stop()

    entry.async_on_unload(async_track_state_change_event(hass, [SUN_ENTITY], sun_changed))
    entry.async_on_unload(hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, config_changed))
    # for good, though it comes but once: an entry that is reloaded while Home Assistant stops is unloaded after it
    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop))
    if gates := sorted({schedule.gate.entity_id for schedule in station.config.schedules if schedule.gate is not None}):
        entry.async_on_unload(async_track_state_change_event(hass, gates, gate_changed))
