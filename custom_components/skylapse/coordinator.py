"""Carries a station's status to the entities: pushed, never polled."""

import logging
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .const import DOMAIN
from .engine.status import Problem, StationStatus
from .issues import ProblemReporter

if TYPE_CHECKING:  # runtime.py builds this coordinator, so at run time it is the one that imports
    from .engine.station import Station
    from .runtime import SkylapseConfigEntry

_LOGGER = logging.getLogger(__name__)


class SkylapseCoordinator(DataUpdateCoordinator[StationStatus]):
    """The latest status of one station. It follows the station from its construction until the entry is unloaded."""

    config_entry: SkylapseConfigEntry

    def __init__(self, hass: HomeAssistant, entry: SkylapseConfigEntry, station: Station) -> None:
        """Follow ``station``; repair issues follow with it, before the entities do."""
        super().__init__(hass, _LOGGER, config_entry=entry, name=f"{DOMAIN} {entry.title}")
        self.station = station
        self.data = station.status
        self._reporter = ProblemReporter(hass, entry)
        self._reporter.update(self.data)
        entry.async_on_unload(self._reporter.withdraw)
        entry.async_on_unload(station.subscribe(self._follow))

    def _follow(self, status: StationStatus) -> None:
        """Take over a new status; ask for new credentials where the camera's host refused the ones we have."""
        self._reporter.update(status)
        if Problem.CREDENTIALS_REFUSED in status.problems:
            self.config_entry.async_start_reauth(self.hass)
        self.async_set_updated_data(status)
