"""Sensors: what the station photographed, what is still on its way, and how much room is left."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorEntityDescription, SensorStateClass
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory, UnitOfInformation, UnitOfRatio, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import SUBENTRY_DESTINATION, SUBENTRY_SCHEDULE
from .engine.status import DestinationStatus, ScheduleStatus, StationStatus
from .entity import DestinationEntity, ScheduleEntity, SkylapseEntity
from .errors import describe
from .runtime import SkylapseConfigEntry

PARALLEL_UPDATES = 0

NONE = "none"
"""The state of a text sensor that has nothing to tell, which is not the same as not knowing. Translated."""

CALM_S = 10
"""Seconds: fresh enough to watch, and a tenth of the rows in the recorder where a frame is taken every second. The last change of
a row of them is told with the station's next status, which comes after 30 s at the latest."""

type Value = datetime | float | int | str | None


@dataclass(frozen=True, kw_only=True)
class StationSensorDescription(SensorEntityDescription):
    """A figure of the whole station."""

    value_fn: Callable[[StationStatus], Value]
    calm: bool = False
    tells_nothing: bool = False


@dataclass(frozen=True, kw_only=True)
class ScheduleSensorDescription(SensorEntityDescription):
    """A figure of one schedule."""

    value_fn: Callable[[ScheduleStatus], Value]


@dataclass(frozen=True, kw_only=True)
class DestinationSensorDescription(SensorEntityDescription):
    """A figure of one destination."""

    value_fn: Callable[[DestinationStatus], Value]
    calm: bool = False
    tells_nothing: bool = False


STATION_SENSORS: tuple[StationSensorDescription, ...] = (
    StationSensorDescription(
        key="capture_success",
        translation_key="capture_success",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        calm=True,
        value_fn=lambda status: status.capture_success_percent,
    ),
    StationSensorDescription(
        key="queue_length",
        translation_key="queue_length",
        state_class=SensorStateClass.MEASUREMENT,
        calm=True,
        tells_nothing=True,
        value_fn=lambda status: status.queue.queued,
    ),
    StationSensorDescription(
        key="queue_size",
        translation_key="queue_size",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        calm=True,
        tells_nothing=True,
        value_fn=lambda status: status.queue.queued_bytes,
    ),
    StationSensorDescription(
        key="oldest_queued",
        translation_key="oldest_queued",
        device_class=SensorDeviceClass.TIMESTAMP,
        calm=True,
        tells_nothing=True,
        value_fn=lambda status: status.queue.oldest_queued_at,
    ),
    StationSensorDescription(
        key="frames_captured",
        translation_key="frames_captured",
        state_class=SensorStateClass.TOTAL_INCREASING,
        calm=True,
        value_fn=lambda status: status.frames_total,
    ),
    StationSensorDescription(
        key="captures_failed",
        translation_key="captures_failed",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value_fn=lambda status: status.slots_total.failed,
    ),
    StationSensorDescription(
        key="slots_missed",
        translation_key="slots_missed",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value_fn=lambda status: status.slots_total.missed,
    ),
    StationSensorDescription(
        key="last_capture",
        translation_key="last_capture",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda status: status.last_frame.details.taken_at if status.last_frame else None,
    ),
    StationSensorDescription(
        key="next_capture",
        translation_key="next_capture",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda status: status.next_capture_at,
    ),
    StationSensorDescription(
        key="capture_duration",
        translation_key="capture_duration",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        calm=True,
        value_fn=lambda status: status.last_frame.details.duration_ms if status.last_frame else None,
    ),
    StationSensorDescription(
        key="achieved_interval",
        translation_key="achieved_interval",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        calm=True,
        value_fn=lambda status: status.achieved_interval_s,
    ),
    # a text and no enum: the names of schedules are the person's own
    StationSensorDescription(
        key="active_schedule",
        translation_key="active_schedule",
        value_fn=lambda status: status.active_schedule or NONE,
    ),
    StationSensorDescription(
        key="last_verified",
        translation_key="last_verified",
        device_class=SensorDeviceClass.TIMESTAMP,
        calm=True,
        value_fn=lambda status: status.queue.last_verified_at,
    ),
    StationSensorDescription(
        key="verified",
        translation_key="verified",
        # a copy that turns out to be damaged counts no more, so this may fall
        state_class=SensorStateClass.MEASUREMENT,
        calm=True,
        value_fn=lambda status: status.queue.verified,
    ),
    StationSensorDescription(
        key="storage_used",
        translation_key="storage_used",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=2,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm=True,
        value_fn=lambda status: status.storage_used_bytes,
    ),
    StationSensorDescription(
        key="storage_free",
        translation_key="storage_free",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm=True,
        value_fn=lambda status: status.storage_free_bytes,
    ),
    StationSensorDescription(
        key="consecutive_failures",
        translation_key="consecutive_failures",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.consecutive_failures,
    ),
    StationSensorDescription(
        key="paused_until",
        translation_key="paused_until",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.backoff_until,
    ),
)

LAST_ERROR = SensorEntityDescription(key="last_error", translation_key="last_error", entity_category=EntityCategory.DIAGNOSTIC)

SCHEDULE_SENSORS: tuple[ScheduleSensorDescription, ...] = (
    ScheduleSensorDescription(
        key="window_start",
        translation_key="window_start",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda schedule: schedule.window_start,
    ),
    ScheduleSensorDescription(
        key="window_end",
        translation_key="window_end",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda schedule: schedule.window_end,
    ),
)

DESTINATION_SENSORS: tuple[DestinationSensorDescription, ...] = (
    DestinationSensorDescription(
        key="queue_length",
        translation_key="queue_length",
        state_class=SensorStateClass.MEASUREMENT,
        calm=True,
        tells_nothing=True,
        value_fn=lambda destination: destination.queue.queued,
    ),
    DestinationSensorDescription(
        key="queue_size",
        translation_key="queue_size",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=False,
        calm=True,
        tells_nothing=True,
        value_fn=lambda destination: destination.queue.queued_bytes,
    ),
    DestinationSensorDescription(
        key="oldest_queued",
        translation_key="oldest_queued",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_registry_enabled_default=False,
        calm=True,
        tells_nothing=True,
        value_fn=lambda destination: destination.queue.oldest_queued_at,
    ),
    DestinationSensorDescription(
        key="last_verified",
        translation_key="last_verified",
        device_class=SensorDeviceClass.TIMESTAMP,
        calm=True,
        value_fn=lambda destination: destination.queue.last_verified_at,
    ),
    DestinationSensorDescription(
        key="verified",
        translation_key="verified",
        # a copy that turns out to be damaged counts no more, so this may fall
        state_class=SensorStateClass.MEASUREMENT,
        calm=True,
        value_fn=lambda destination: destination.queue.verified,
    ),
    DestinationSensorDescription(
        key="quarantined",
        translation_key="quarantined",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda destination: destination.queue.quarantined,
    ),
    DestinationSensorDescription(
        key="next_try",
        translation_key="next_try",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda destination: destination.next_try_at,
    ),
)


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the sensors of one camera, its schedules and its destinations."""
    async_add_entities([*(StationSensor(entry, description) for description in STATION_SENSORS), LastErrorSensor(entry, LAST_ERROR)])
    for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE):
        async_add_entities(
            [ScheduleSensor(entry, description, subentry) for description in SCHEDULE_SENSORS], config_subentry_id=subentry.subentry_id
        )
    for subentry in entry.get_subentries_of_type(SUBENTRY_DESTINATION):
        async_add_entities(
            [DestinationSensor(entry, description, subentry) for description in DESTINATION_SENSORS],
            config_subentry_id=subentry.subentry_id,
        )


class Figure(SkylapseEntity, SensorEntity):
    """A figure of the station or of one of its destinations.

    A *calm* one moves with every frame. It is told at most once per stretch of ``CALM_S``: the recorder keeps each state.
    One that *tells nothing* says so at once when it has become nothing: an empty queue must not look as if something were stuck in it.
    """

    entity_description: StationSensorDescription | DestinationSensorDescription
    _told_in: int | None = None
    """The stretch in which the value shown was told; None for the one from the beginning."""

    @abstractmethod
    def read(self) -> Value:
        """Return the figure as the station has it now."""

    @override
    async def async_added_to_hass(self) -> None:
        """Show the figure of the beginning."""
        await super().async_added_to_hass()
        self._attr_native_value = self.read()

    @callback
    @override
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the figure under a new name."""

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Show the figure, if it is time to."""
        value, stretch = self.read(), int(self.hass.loop.time() // CALM_S)
        description = self.entity_description
        at_once = not description.calm or stretch != self._told_in or (description.tells_nothing and not value)
        if value != self._attr_native_value and at_once:
            self._attr_native_value, self._told_in = value, stretch
        super()._handle_coordinator_update()


class StationSensor(Figure):
    """A figure of the whole station."""

    entity_description: StationSensorDescription

    @override
    def read(self) -> Value:
        """Return the figure as the station has it now."""
        value = self.entity_description.value_fn(self.coordinator.data)
        return value[:MAX_LENGTH_STATE_STATE] if isinstance(value, str) else value


class LastErrorSensor(SkylapseEntity, SensorEntity):
    """Why the latest capture failed, in words; "none" once one succeeded."""

    _unrecorded_attributes = frozenset({"placeholders"})

    @property
    @override
    def native_value(self) -> str:
        """Return the message."""
        status = self.coordinator.data
        if not status.last_error_key:
            return NONE
        return describe(self.hass, status.last_error_key, status.last_error_placeholders)[:MAX_LENGTH_STATE_STATE]

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what automations can tell errors apart by, whatever the language."""
        status = self.coordinator.data
        if not status.last_error_key:
            return None
        return {"key": status.last_error_key, "placeholders": dict(status.last_error_placeholders), "attempted_at": status.last_attempt_at}


class ScheduleSensor(ScheduleEntity, SensorEntity):
    """A figure of one schedule."""

    entity_description: ScheduleSensorDescription

    @property
    @override
    def native_value(self) -> Value:
        """Return the figure."""
        schedule = self.schedule
        return self.entity_description.value_fn(schedule) if schedule else None


class DestinationSensor(DestinationEntity, Figure):
    """A figure of one destination."""

    entity_description: DestinationSensorDescription

    @override
    def read(self) -> Value:
        """Return the figure as the station has it now."""
        destination = self.destination
        return self.entity_description.value_fn(destination) if destination else None
