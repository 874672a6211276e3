"""Figures: what a sensor shows of a status, told no more often than somebody looks."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.sensor import SensorEntity, SensorEntityDescription
from homeassistant.const import MAX_LENGTH_STATE_STATE
from homeassistant.core import callback

from .engine.sources.base import SourceCapabilities
from .engine.status import DestinationStatus, StationStatus
from .entity import DestinationEntity, SkylapseEntity

CALM_S = 10
"""Seconds: fresh enough to watch, and a tenth of the rows in the recorder where a frame is taken every second. The last change of
a row of them is told with the station's next status, which comes after 30 s at the latest."""
SLOW_S = 60
"""Seconds: for what moves all the time and is looked at when something is wrong."""

type Value = datetime | float | int | str | None


@dataclass(frozen=True, kw_only=True)
class FigureDescription(SensorEntityDescription):
    """How a figure is told."""

    calm_s: int = 0
    tells_nothing: bool = False


@dataclass(frozen=True, kw_only=True)
class StationSensorDescription(FigureDescription):
    """A figure of the whole station, or of its camera."""

    value_fn: Callable[[StationStatus], Value]
    exists_fn: Callable[[SourceCapabilities], bool] = lambda _capabilities: True


@dataclass(frozen=True, kw_only=True)
class DestinationSensorDescription(FigureDescription):
    """A figure of one destination."""

    value_fn: Callable[[DestinationStatus], Value]


class Figure(SkylapseEntity, SensorEntity):
    """A figure of the station or of one of its destinations.

    A *calm* one moves with every frame, or faster. It is told at most once per stretch of ``calm_s``: the recorder keeps each state.
    One that *tells nothing* says so at once when it has become nothing: an empty queue must not look as if something were stuck in it.
    """

    entity_description: FigureDescription
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

    def _stretch(self) -> int | None:
        """Return the number of the stretch of time in which the figure is told once; None if it is told at once."""
        calm_s = self.entity_description.calm_s
        return int(self.hass.loop.time() // calm_s) if calm_s else None

    @callback
    @override
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the figure under a new name."""

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Show the figure, if it is time to."""
        value, stretch = self.read(), self._stretch()
        at_once = stretch is None or stretch != self._told_in or (self.entity_description.tells_nothing and not value)
        if value != self._attr_native_value and at_once:
            self._attr_native_value, self._told_in = value, stretch
        super()._handle_coordinator_update()


class StationSensor(Figure):
    """A figure of the whole station, or of its camera."""

    entity_description: StationSensorDescription

    @override
    def read(self) -> Value:
        """Return the figure as the station has it now."""
        value = self.entity_description.value_fn(self.coordinator.data)
        return value[:MAX_LENGTH_STATE_STATE] if isinstance(value, str) else value


class DestinationSensor(DestinationEntity, Figure):
    """A figure of one destination."""

    entity_description: DestinationSensorDescription

    @override
    def read(self) -> Value:
        """Return the figure as the station has it now."""
        destination = self.destination
        return self.entity_description.value_fn(destination) if destination else None
