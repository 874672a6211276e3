"""Binary sensors: whether the station photographs, whether it needs a look, whether its camera and destinations are there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import BinarySensorDeviceClass, BinarySensorEntity, BinarySensorEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import SUBENTRY_DESTINATION, SUBENTRY_SCHEDULE
from .engine.sources.base import SourceCapabilities
from .engine.sources.live import HostReading
from .engine.status import ScheduleStatus, StationStatus
from .entity import DestinationEntity, ScheduleEntity, SkylapseEntity
from .errors import describe
from .runtime import SkylapseConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class StationBinarySensorDescription(BinarySensorEntityDescription):
    """A yes or no of the whole station, or of its camera; None is not known."""

    value_fn: Callable[[StationStatus], bool | None]
    attributes_fn: Callable[[StationStatus], Mapping[str, Any]] | None = None
    exists_fn: Callable[[SourceCapabilities], bool] = lambda _capabilities: True


@dataclass(frozen=True, kw_only=True)
class ScheduleBinarySensorDescription(BinarySensorEntityDescription):
    """A yes or no of one schedule."""

    value_fn: Callable[[ScheduleStatus], bool]
    attributes_fn: Callable[[ScheduleStatus], Mapping[str, Any]] | None = None


def of_host(read: Callable[[HostReading], bool | None]) -> Callable[[StationStatus], bool | None]:
    """Return what reads how the camera's host does; None while that is not known."""
    return lambda status: read(status.camera.host) if status.camera and status.camera.host else None


STATION_SENSORS: tuple[StationBinarySensorDescription, ...] = (
    # on through a whole window and not just while the shutter is open: that is what lights and dashboards want to follow,
    # and it spares the recorder two rows per frame
    StationBinarySensorDescription(
        key="capturing",
        translation_key="capturing",
        device_class=BinarySensorDeviceClass.RUNNING,
        value_fn=lambda status: status.capturing or (status.capture_enabled and any(item.active for item in status.schedules)),
    ),
    StationBinarySensorDescription(
        key="exposing",
        translation_key="exposing",
        device_class=BinarySensorDeviceClass.RUNNING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.capturing,
    ),
    StationBinarySensorDescription(
        key="problem",
        translation_key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda status: bool(status.problems),
        attributes_fn=lambda status: {"reasons": sorted(status.problems)},
    ),
    StationBinarySensorDescription(
        key="camera_connection",
        translation_key="camera_connection",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=lambda status: status.camera.connected if status.camera else None,
    ),
    StationBinarySensorDescription(
        key="host_throttled",
        translation_key="host_throttled",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.throttled),
    ),
    StationBinarySensorDescription(
        key="host_under_voltage",
        translation_key="host_under_voltage",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.under_voltage),
    ),
)

SCHEDULE_SENSORS: tuple[ScheduleBinarySensorDescription, ...] = (
    ScheduleBinarySensorDescription(
        key="active",
        translation_key="active",
        device_class=BinarySensorDeviceClass.RUNNING,
        value_fn=lambda schedule: schedule.active,
        attributes_fn=lambda schedule: {"waiting_for": schedule.waiting_for, "interval": schedule.interval_s},
    ),
    ScheduleBinarySensorDescription(
        key="gate",
        translation_key="gate",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda schedule: schedule.gate_open,
    ),
)

CONNECTIVITY = BinarySensorEntityDescription(
    key="connectivity",
    translation_key="connectivity",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the binary sensors of one camera."""
    capabilities = entry.runtime_data.station.capabilities
    there = [description for description in STATION_SENSORS if description.exists_fn(capabilities)]
    async_add_entities(StationBinarySensor(entry, description) for description in there)
    for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE):
        async_add_entities(
            [ScheduleBinarySensor(entry, description, subentry) for description in SCHEDULE_SENSORS],
            config_subentry_id=subentry.subentry_id,
        )
    for subentry in entry.get_subentries_of_type(SUBENTRY_DESTINATION):
        async_add_entities([ConnectivitySensor(entry, CONNECTIVITY, subentry)], config_subentry_id=subentry.subentry_id)


class StationBinarySensor(SkylapseEntity, BinarySensorEntity):
    """A yes or no of the whole station, or of its camera."""

    entity_description: StationBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Return the state."""
        return self.entity_description.value_fn(self.coordinator.data)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what explains the state."""
        attributes_fn = self.entity_description.attributes_fn
        return attributes_fn(self.coordinator.data) if attributes_fn else None


class ScheduleBinarySensor(ScheduleEntity, BinarySensorEntity):
    """A yes or no of one schedule."""

    entity_description: ScheduleBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Return the state."""
        schedule = self.schedule
        return self.entity_description.value_fn(schedule) if schedule else None

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what explains the state."""
        schedule, attributes_fn = self.schedule, self.entity_description.attributes_fn
        return attributes_fn(schedule) if schedule and attributes_fn else None


class ConnectivitySensor(DestinationEntity, BinarySensorEntity):
    """Whether a destination can take files; unknown until it was tried."""

    _unrecorded_attributes = frozenset({"error", "next_try"})

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether it is there."""
        return self.destination.available if self.destination else None

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return why it is not there, and when it is tried next."""
        destination = self.destination
        if destination is None or not destination.error_key:
            return None
        return {
            "error": describe(self.hass, destination.error_key, destination.error_placeholders),
            "next_try": destination.next_try_at,
        }
