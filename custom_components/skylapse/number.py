"""Numbers: settings of the camera that are turned while watching. They are the entry's options, so a restart keeps them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, override

from homeassistant.components.number import NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import FOCUS_FIXED, OPT_EV, OPT_FOCUS_MODE, OPT_LENS_POSITION
from .engine.sources.base import SourceCapabilities, check_range
from .engine.status import StationStatus
from .entity import DIOPTRES, SkylapseEntity
from .errors import translated_errors
from .runtime import SkylapseConfigEntry

PARALLEL_UPDATES = 0  # an option is written at once


@dataclass(frozen=True, kw_only=True)
class OptionNumberDescription(NumberEntityDescription):
    """A number among the entry's options; its key is the option's."""

    range_fn: Callable[[SourceCapabilities], tuple[float, float] | None]
    """What the camera takes; None if it does not have the setting."""
    applies_fn: Callable[[Mapping[str, Any]], bool]
    """Whether the setting has an effect beside the entry's other options."""
    value_fn: Callable[[Mapping[str, Any], StationStatus], float | None]
    along: Mapping[str, Any] = field(default_factory=dict)
    """Options that the number needs to be kept over a restart."""
    decimals: int


def lens_position(options: Mapping[str, Any], status: StationStatus) -> float | None:
    """Return where the lens is set to, or has been put by a focus that is not fixed, in dioptres; None if that is not known."""
    if options.get(OPT_FOCUS_MODE) == FOCUS_FIXED:
        return float(options.get(OPT_LENS_POSITION, 0.0))
    return status.camera.lens_position if status.camera else None


NUMBERS: tuple[OptionNumberDescription, ...] = (
    OptionNumberDescription(
        key=OPT_EV,
        translation_key="ev",
        entity_category=EntityCategory.CONFIG,
        native_unit_of_measurement="EV",
        native_step=0.1,
        decimals=1,
        range_fn=lambda capabilities: capabilities.ev_range,
        applies_fn=lambda options: options.get("exposure_mode", "auto") == "auto",
        value_fn=lambda options, _status: float(options.get(OPT_EV, 0.0)),
    ),
    OptionNumberDescription(
        key=OPT_LENS_POSITION,
        translation_key="lens_position",
        entity_category=EntityCategory.CONFIG,
        native_unit_of_measurement=DIOPTRES,
        native_step=0.01,
        decimals=2,
        range_fn=lambda capabilities: capabilities.lens_range,
        applies_fn=lambda options: options.get(OPT_FOCUS_MODE) != "auto_once",
        value_fn=lens_position,
        along={OPT_FOCUS_MODE: FOCUS_FIXED},
    ),
)


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the numbers that the camera has."""
    capabilities = entry.runtime_data.station.capabilities
    async_add_entities(
        OptionNumber(entry, description, allowed) for description in NUMBERS if (allowed := description.range_fn(capabilities)) is not None
    )


class OptionNumber(SkylapseEntity, NumberEntity):
    """A number among the entry's options. The entry's update listener hands a new one to the camera, without a restart."""

    entity_description: OptionNumberDescription
    _attr_mode = NumberMode.BOX  # a slider is too short to be put back to 0

    def __init__(self, entry: SkylapseConfigEntry, description: OptionNumberDescription, allowed: tuple[float, float]) -> None:
        """Bind the number to its option, within what the camera takes."""
        super().__init__(entry, description)
        self._entry = entry
        self._attr_native_min_value, self._attr_native_max_value = allowed

    @property
    @override
    def available(self) -> bool:
        """Return whether the setting has an effect: not on an exposure that is set by hand, not on a focus that the camera finds."""
        return super().available and self.entity_description.applies_fn(self._entry.options)

    @property
    @override
    def native_value(self) -> float | None:
        """Return what is set."""
        value = self.entity_description.value_fn(self._entry.options, self.coordinator.data)
        return None if value is None else round(value, self.entity_description.decimals)

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Write the option. Raises ``ServiceValidationError`` for what is no number, which Home Assistant itself lets through."""
        description = self.entity_description
        with translated_errors():
            check_range(f"{description.key}_out_of_range", value, (self.native_min_value, self.native_max_value))
        options = {**self._entry.options, **description.along, description.key: round(value, description.decimals)}
        self.hass.config_entries.async_update_entry(self._entry, options=options)

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the option, whoever changes it."""
        await super().async_added_to_hass()
        self.async_on_remove(self._entry.add_update_listener(self._options_changed))

    @callback
    @override
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on under a new name."""

    async def _options_changed(self, _hass: HomeAssistant, _entry: SkylapseConfigEntry) -> None:
        """Show the new value."""
        self.async_write_ha_state()
