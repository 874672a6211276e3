"""Sensors: what the station photographed, how its camera and that one's host do, what is still on its way, how much room is left."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorEntityDescription, SensorStateClass
from homeassistant.const import (
    LIGHT_LUX,
    MAX_LENGTH_STATE_STATE,
    EntityCategory,
    UnitOfInformation,
    UnitOfRatio,
    UnitOfTemperature,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import SUBENTRY_DESTINATION, SUBENTRY_SCHEDULE
from .engine.frames.records import FrameDetails
from .engine.sources.live import CameraReading, HostReading
from .engine.status import ScheduleStatus, StationStatus
from .entity import DIOPTRES, ScheduleEntity, SkylapseEntity
from .errors import describe
from .figure import CALM_S, SLOW_S, DestinationSensor, DestinationSensorDescription, StationSensor, StationSensorDescription, Value
from .runtime import SkylapseConfigEntry

PARALLEL_UPDATES = 0

NONE = "none"
"""The state of a text sensor that has nothing to tell, which is not the same as not knowing. Translated."""


@dataclass(frozen=True, kw_only=True)
class ScheduleSensorDescription(SensorEntityDescription):
    """A figure of one schedule."""

    value_fn: Callable[[ScheduleStatus], Value]


STATION_SENSORS: tuple[StationSensorDescription, ...] = (
    StationSensorDescription(
        key="capture_success",
        translation_key="capture_success",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        calm_s=CALM_S,
        value_fn=lambda status: status.capture_success_percent,
    ),
    StationSensorDescription(
        key="queue_length",
        translation_key="queue_length",
        state_class=SensorStateClass.MEASUREMENT,
        calm_s=CALM_S,
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
        calm_s=CALM_S,
        tells_nothing=True,
        value_fn=lambda status: status.queue.queued_bytes,
    ),
    StationSensorDescription(
        key="oldest_queued",
        translation_key="oldest_queued",
        device_class=SensorDeviceClass.TIMESTAMP,
        calm_s=CALM_S,
        tells_nothing=True,
        value_fn=lambda status: status.queue.oldest_queued_at,
    ),
    StationSensorDescription(
        key="frames_captured",
        translation_key="frames_captured",
        state_class=SensorStateClass.TOTAL_INCREASING,
        calm_s=CALM_S,
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
        calm_s=CALM_S,
        value_fn=lambda status: status.last_frame.details.duration_ms if status.last_frame else None,
    ),
    StationSensorDescription(
        key="achieved_interval",
        translation_key="achieved_interval",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        calm_s=CALM_S,
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
        calm_s=CALM_S,
        value_fn=lambda status: status.queue.last_verified_at,
    ),
    StationSensorDescription(
        key="verified",
        translation_key="verified",
        # a copy that turns out to be damaged counts no more, so this may fall
        state_class=SensorStateClass.MEASUREMENT,
        calm_s=CALM_S,
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
        calm_s=CALM_S,
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
        calm_s=CALM_S,
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


def of_frame(read: Callable[[FrameDetails], Value]) -> Callable[[StationStatus], Value]:
    """Return what reads the last frame's details; before the first one nothing is known."""
    return lambda status: read(status.last_frame.details) if status.last_frame else None


def of_camera(read: Callable[[CameraReading], Value]) -> Callable[[StationStatus], Value]:
    """Return what reads what the camera told last."""
    return lambda status: read(status.camera) if status.camera else None


def of_host(read: Callable[[HostReading], Value]) -> Callable[[StationStatus], Value]:
    """Return what reads how the camera's host does."""
    return lambda status: read(status.camera.host) if status.camera and status.camera.host else None


CAMERA_SENSORS: tuple[StationSensorDescription, ...] = (
    StationSensorDescription(
        key="illuminance",
        translation_key="illuminance",
        device_class=SensorDeviceClass.ILLUMINANCE,
        native_unit_of_measurement=LIGHT_LUX,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        calm_s=CALM_S,
        exists_fn=lambda capabilities: capabilities.reports_exposure,
        value_fn=of_frame(lambda details: details.lux),
    ),
    StationSensorDescription(
        key="exposure_time",
        translation_key="exposure_time",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.MICROSECONDS,
        suggested_unit_of_measurement=UnitOfTime.MILLISECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        calm_s=CALM_S,
        exists_fn=lambda capabilities: capabilities.reports_exposure,
        value_fn=of_frame(lambda details: details.exposure_us),
    ),
    StationSensorDescription(
        key="gain",
        translation_key="gain",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        calm_s=CALM_S,
        exists_fn=lambda capabilities: capabilities.reports_exposure,
        value_fn=of_frame(lambda details: details.gain),
    ),
    # no device class: that of temperatures would have it shown in °C
    StationSensorDescription(
        key="colour_temperature",
        translation_key="colour_temperature",
        native_unit_of_measurement=UnitOfTemperature.KELVIN,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        calm_s=CALM_S,
        exists_fn=lambda capabilities: capabilities.reports_exposure,
        value_fn=of_frame(lambda details: details.colour_temperature_k),
    ),
    StationSensorDescription(
        key="sensor_temperature",
        translation_key="sensor_temperature",
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm_s=SLOW_S,
        exists_fn=lambda capabilities: capabilities.sensor_temperature,
        value_fn=of_camera(lambda camera: camera.sensor_temperature_c),
    ),
    StationSensorDescription(
        key="focus_measure",
        translation_key="focus_measure",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm_s=CALM_S,
        exists_fn=lambda capabilities: capabilities.focus_measure,
        value_fn=of_camera(lambda camera: camera.focus_measure),
    ),
    StationSensorDescription(
        key="lens_position",
        translation_key="lens_position",
        native_unit_of_measurement=DIOPTRES,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm_s=CALM_S,
        exists_fn=lambda capabilities: capabilities.lens_range is not None,
        value_fn=of_camera(lambda camera: camera.lens_position),
    ),
    StationSensorDescription(
        key="camera_restarts",
        translation_key="camera_restarts",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_camera(lambda camera: camera.restarts),
    ),
    StationSensorDescription(
        key="host_temperature",
        translation_key="host_temperature",
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm_s=SLOW_S,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.cpu_temperature_c),
    ),
    StationSensorDescription(
        key="host_memory_used",
        translation_key="host_memory_used",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm_s=SLOW_S,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.memory_used_percent),
    ),
    StationSensorDescription(
        key="host_disk_used",
        translation_key="host_disk_used",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        calm_s=SLOW_S,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.disk_used_percent),
    ),
    StationSensorDescription(
        key="host_load",
        translation_key="host_load",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        calm_s=SLOW_S,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.load_1m),
    ),
    StationSensorDescription(
        key="host_cma_free",
        translation_key="host_cma_free",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        calm_s=SLOW_S,
        exists_fn=lambda capabilities: capabilities.host,
        value_fn=of_host(lambda host: host.cma_free_bytes),
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
        calm_s=CALM_S,
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
        calm_s=CALM_S,
        tells_nothing=True,
        value_fn=lambda destination: destination.queue.queued_bytes,
    ),
    DestinationSensorDescription(
        key="oldest_queued",
        translation_key="oldest_queued",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_registry_enabled_default=False,
        calm_s=CALM_S,
        tells_nothing=True,
        value_fn=lambda destination: destination.queue.oldest_queued_at,
    ),
    DestinationSensorDescription(
        key="last_verified",
        translation_key="last_verified",
        device_class=SensorDeviceClass.TIMESTAMP,
        calm_s=CALM_S,
        value_fn=lambda destination: destination.queue.last_verified_at,
    ),
    DestinationSensorDescription(
        key="verified",
        translation_key="verified",
        # a copy that turns out to be damaged counts no more, so this may fall
        state_class=SensorStateClass.MEASUREMENT,
        calm_s=CALM_S,
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
    capabilities = entry.runtime_data.station.capabilities
    there = [description for description in (*STATION_SENSORS, *CAMERA_SENSORS) if description.exists_fn(capabilities)]
    async_add_entities([*(StationSensor(entry, description) for description in there), LastErrorSensor(entry, LAST_ERROR)])
    for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE):
        async_add_entities(
            [ScheduleSensor(entry, description, subentry) for description in SCHEDULE_SENSORS], config_subentry_id=subentry.subentry_id
        )
    for subentry in entry.get_subentries_of_type(SUBENTRY_DESTINATION):
        async_add_entities(
            [DestinationSensor(entry, description, subentry) for description in DESTINATION_SENSORS],
            config_subentry_id=subentry.subentry_id,
        )


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
