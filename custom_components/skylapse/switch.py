"""Switches: capture, uploads, and each schedule. The station keeps them across restarts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import SUBENTRY_SCHEDULE
from .engine.status import StationStatus
from .entity import ScheduleEntity, SkylapseEntity
from .errors import translated_errors
from .runtime import SkylapseConfigEntry

if TYPE_CHECKING:
    from .engine.station import Station

PARALLEL_UPDATES = 0  # the station orders what it is told itself


@dataclass(frozen=True, kw_only=True)
class StationSwitchDescription(SwitchEntityDescription):
    """Something the station does or does not."""

    value_fn: Callable[[StationStatus], bool]
    set_fn: Callable[[Station, bool], Awaitable[None]]


STATION_SWITCHES: tuple[StationSwitchDescription, ...] = (
    StationSwitchDescription(
        key="capture",
        translation_key="capture",
        value_fn=lambda status: status.capture_enabled,
        set_fn=lambda station, enabled: station.set_capture_enabled(enabled),
    ),
    StationSwitchDescription(
        key="uploads",
        translation_key="uploads",
        value_fn=lambda status: status.uploads_enabled,
        set_fn=lambda station, enabled: station.set_uploads_enabled(enabled),
    ),
)

# the schedule's device is named after it and its switch is its main feature, so the switch takes the device's name
SCHEDULE_SWITCH = SwitchEntityDescription(key="enabled", translation_key="schedule", name=None)


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the switches of one camera and its schedules."""
    async_add_entities(StationSwitch(entry, description) for description in STATION_SWITCHES)
    for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE):
        async_add_entities([ScheduleSwitch(entry, SCHEDULE_SWITCH, subentry)], config_subentry_id=subentry.subentry_id)


class StationSwitch(SkylapseEntity, SwitchEntity):
    """Something the station does or does not."""

    entity_description: StationSwitchDescription

    @property
    @override
    def is_on(self) -> bool:
        """Return whether it does."""
        return self.entity_description.value_fn(self.coordinator.data)

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Have it done."""
        with translated_errors():
            await self.entity_description.set_fn(self.station, True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Have it stopped."""
        with translated_errors():
            await self.entity_description.set_fn(self.station, False)


class ScheduleSwitch(ScheduleEntity, SwitchEntity):
    """Whether a schedule counts."""

    _attr_name = None

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether it counts."""
        return self.schedule.enabled if self.schedule else None

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Let it count."""
        with translated_errors():
            await self.station.set_schedule_enabled(self.subentry_id, True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Leave it out."""
        with translated_errors():
            await self.station.set_schedule_enabled(self.subentry_id, False)
