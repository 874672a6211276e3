"""Buttons: a frame now, the focus anew, and the uploads once more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import SUBENTRY_DESTINATION
from .engine.errors import SourceError
from .engine.sources.base import SourceCapabilities
from .entity import DestinationEntity, SkylapseEntity
from .errors import translated_errors
from .runtime import SkylapseConfigEntry

if TYPE_CHECKING:
    from .engine.station import Station

PARALLEL_UPDATES = 0  # a button must not wait for another camera's exposure


@dataclass(frozen=True, kw_only=True)
class StationButtonDescription(ButtonEntityDescription):
    """Something the station can be told to do once."""

    press_fn: Callable[[Station], Awaitable[Any]]
    exists_fn: Callable[[SourceCapabilities], bool] = lambda _capabilities: True


async def autofocus(station: Station) -> None:
    """Let the camera find its focus. A failure is told to whoever pressed, and not only to the log."""
    found = await station.work.autofocus()
    if not found.success:
        raise SourceError("autofocus_failed")


STATION_BUTTONS: tuple[StationButtonDescription, ...] = (
    StationButtonDescription(
        key="capture_now",
        translation_key="capture_now",
        press_fn=lambda station: station.capture(),
    ),
    StationButtonDescription(
        key="autofocus",
        translation_key="autofocus",
        entity_category=EntityCategory.CONFIG,
        exists_fn=lambda capabilities: capabilities.autofocus,
        press_fn=autofocus,
    ),
    StationButtonDescription(
        key="retry_uploads",
        translation_key="retry_uploads",
        entity_category=EntityCategory.CONFIG,
        press_fn=lambda station: station.retry_uploads(),
    ),
)

DESTINATION_RETRY = ButtonEntityDescription(key="retry_uploads", translation_key="retry_uploads", entity_category=EntityCategory.CONFIG)


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the buttons of one camera and its destinations."""
    capabilities = entry.runtime_data.station.capabilities
    async_add_entities(StationButton(entry, description) for description in STATION_BUTTONS if description.exists_fn(capabilities))
    for subentry in entry.get_subentries_of_type(SUBENTRY_DESTINATION):
        async_add_entities([DestinationRetryButton(entry, DESTINATION_RETRY, subentry)], config_subentry_id=subentry.subentry_id)


class StationButton(SkylapseEntity, ButtonEntity):
    """Something the station can be told to do once."""

    entity_description: StationButtonDescription

    @override
    async def async_press(self) -> None:
        """Have it done; returns when it is done."""
        with translated_errors():
            await self.entity_description.press_fn(self.station)


class DestinationRetryButton(DestinationEntity, ButtonEntity):
    """Tries all that waits for one destination again, now."""

    @override
    async def async_press(self) -> None:
        """Try again."""
        with translated_errors():
            await self.station.retry_uploads(self.subentry_id)
