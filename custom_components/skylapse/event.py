"""The event entity: what the station did, one event each, for automations and the logbook."""

from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .engine.status import EventKind, StationEvent
from .entity import SkylapseEntity
from .errors import describe
from .runtime import SkylapseConfigEntry

PARALLEL_UPDATES = 0

ACTIVITY = EventEntityDescription(key="activity", translation_key="activity", event_types=list(EventKind))


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the event entity of one camera."""
    async_add_entities([ActivityEvent(entry, ACTIVITY)])


class ActivityEvent(SkylapseEntity, EventEntity):
    """What the station did last."""

    # different for every frame: automations see them, the recorder's database would only grow by them
    _unrecorded_attributes = frozenset(
        {"path", "dng_path", "frame_path", "remote_path", "placeholders", "sha256", "instant", "size_bytes", "duration_ms"}
    )

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the station."""
        await super().async_added_to_hass()
        self.async_on_remove(self.station.subscribe_events(self._on_event))

    @callback
    @override
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep listening under a new name."""

    @callback
    def _on_event(self, event: StationEvent) -> None:
        """Show one event; an error is told in words, too, for notifications."""
        data = dict(event.data)
        if error := data.get("error"):
            data["message"] = describe(self.hass, error, data.get("placeholders", {}))
        self._trigger_event(event.kind, data)
        self.async_write_ha_state()
