"""What all entities of Skylapse share: devices, identity, availability."""

from typing import override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.loader import async_get_loaded_integration

from .const import CAMERA_KINDS, DOMAIN
from .coordinator import SkylapseCoordinator
from .engine.status import DestinationStatus, ScheduleStatus
from .runtime import SkylapseConfigEntry

DIOPTRES = "dpt"
"""Unit of the lens position: one over the distance in metres that is sharp, so 0 is infinity."""


def station_device(hass: HomeAssistant, entry: SkylapseConfigEntry) -> DeviceInfo:
    """Return the device of the camera itself."""
    identity = entry.runtime_data.station.identity
    version = async_get_loaded_integration(hass, DOMAIN).version
    return DeviceInfo(
        identifiers={(DOMAIN, entry.entry_id)},
        name=entry.title,
        manufacturer=identity.manufacturer or None,
        model=identity.model or None,
        # what libcamera calls a camera is the place that it is plugged into
        serial_number=None if identity.kind in CAMERA_KINDS else identity.serial or None,
        sw_version=str(version),
    )


def subentry_device(hass: HomeAssistant, entry: SkylapseConfigEntry, subentry: ConfigSubentry) -> DeviceInfo:
    """Return the device of one schedule or destination, below that of its camera.

    The camera's name leads, so that two cameras with a schedule "Sunrise" each can be told apart.
    """
    parent = dr.async_get(hass).async_get_or_create_from_info(
        config_entry_id=entry.entry_id, config_subentry_id=None, device_info=station_device(hass, entry)
    )
    return DeviceInfo(
        identifiers={(DOMAIN, subentry.subentry_id)},
        entry_type=DeviceEntryType.SERVICE,
        manufacturer="Skylapse",
        model=subentry.subentry_type.capitalize(),
        translation_key=subentry.subentry_type,
        translation_placeholders={"camera": entry.title, "name": subentry.title},
        via_device_id=parent.id,
    )


class SkylapseEntity(CoordinatorEntity[SkylapseCoordinator]):
    """An entity of the camera's device."""

    _attr_has_entity_name = True

    def __init__(self, entry: SkylapseConfigEntry, description: EntityDescription) -> None:
        """Bind the entity to its station."""
        super().__init__(entry.runtime_data.coordinator)
        self.entity_description = description
        self.station = entry.runtime_data.station
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_device_info = station_device(self.coordinator.hass, entry)

    @property
    @override
    def available(self) -> bool:
        """Return whether the station runs; what is merely not known yet is unknown, not unavailable."""
        return super().available and self.coordinator.data.running


class SkylapseSubentryEntity(SkylapseEntity):
    """An entity of the device of a schedule or destination."""

    def __init__(self, entry: SkylapseConfigEntry, description: EntityDescription, subentry: ConfigSubentry) -> None:
        """Bind the entity to its part of the station."""
        super().__init__(entry, description)
        self.subentry_id = subentry.subentry_id
        self._attr_unique_id = f"{subentry.subentry_id}_{description.key}"
        self._attr_device_info = subentry_device(self.coordinator.hass, entry, subentry)


class ScheduleEntity(SkylapseSubentryEntity):
    """An entity of a schedule's device."""

    @property
    def schedule(self) -> ScheduleStatus | None:
        """Return what the station tells of this schedule; None if it does not know it."""
        return next((item for item in self.coordinator.data.schedules if item.schedule_id == self.subentry_id), None)

    @property
    @override
    def available(self) -> bool:
        """Return whether the station runs with this schedule."""
        return super().available and self.schedule is not None


class DestinationEntity(SkylapseSubentryEntity):
    """An entity of a destination's device."""

    @property
    def destination(self) -> DestinationStatus | None:
        """Return what the station tells of this destination; None if it does not know it."""
        return next((item for item in self.coordinator.data.destinations if item.destination_id == self.subentry_id), None)

    @property
    @override
    def available(self) -> bool:
        """Return whether the station runs with this destination."""
        return super().available and self.destination is not None
