"""The event entity."""

import json
from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.skylapse.engine.scheduler import Missed
from custom_components.skylapse.engine.status import EventKind
from custom_components.skylapse.engine.upload.destination import ProofMethod

from .rig import set_up

EXAMPLES = {
    EventKind.CAPTURED: {
        "path": "/media/skylapse/garden/2026/11/23/garden.jpg",
        "sha256": "ab" * 32,
        "instant": "2026-11-23T05:45:01.123+00:00",
        "size_bytes": 1,
        "duration_ms": 420,
        "schedules": ["Sunrise"],
        "dng_path": "/media/skylapse/garden/2026/11/23/garden.dng",
        "dng_error": None,
    },
    EventKind.FAILED: {"error": "capture_timeout", "placeholders": {"deadline_s": "30"}, "schedules": ["Sunrise"]},
    EventKind.MISSED: {"schedules": ["Sunrise"], "count": 1, "reason": "busy"},
    EventKind.VERIFIED: {"destination": "NAS", "remote_path": "a", "sha256": "ab" * 32, "method": "read_back", "frame_path": "b"},
    EventKind.UPLOAD_FAILED: {
        "destination": "NAS",
        "remote_path": "a",
        "error": "destination_full",
        "placeholders": {"path": "/mnt/nas"},
        "quarantined": False,
    },
    EventKind.SESSION_STARTED: {
        "schedule": "Sunrise",
        "window_start": "2026-11-23T05:45:01+00:00",
        "window_end": "2026-11-23T06:45:00+00:00",
    },
    EventKind.SESSION_ENDED: {
        "schedule": "Sunrise",
        "frames": 9,
        "due": 10,
        "missed": 1,
        "failed": 0,
        "window_start": "2026-11-23T05:45:01+00:00",
        "window_end": "2026-11-23T06:45:00+00:00",
    },
}


@pytest.mark.parametrize("kind", EventKind)
async def test_each_event_is_shown_with_its_data(hass: HomeAssistant, kind: EventKind) -> None:
    """Type, data, and a translation for each of their names."""
    station = await set_up(hass)
    assert hass.states.get("event.garden_activity").state == "unknown"
    station.happen(kind, EXAMPLES[kind])
    state = hass.states.get("event.garden_activity")
    assert state.state != "unknown"
    assert state.attributes["event_type"] == kind
    assert {name: state.attributes[name] for name in EXAMPLES[kind]} == EXAMPLES[kind]
    texts = json.loads(await hass.async_add_executor_job(Path("custom_components/skylapse/translations/en.json").read_text))
    named = texts["entity"]["event"]["activity"]["state_attributes"]
    assert set(EXAMPLES[kind]) <= set(named)
    assert kind in named["event_type"]["state"]


async def test_errors_are_told_in_words(hass: HomeAssistant) -> None:
    """So that a notification needs no table of keys."""
    station = await set_up(hass)
    station.happen(EventKind.UPLOAD_FAILED, EXAMPLES[EventKind.UPLOAD_FAILED])
    message = hass.states.get("event.garden_activity").attributes["message"]
    assert message == "/mnt/nas is full, or its quota is used up. Free space there."
    station.happen(EventKind.FAILED, {"error": "camera_busy", "schedules": []})
    assert hass.states.get("event.garden_activity").attributes["message"].startswith("The camera is taking another frame.")
    station.happen(EventKind.MISSED, EXAMPLES[EventKind.MISSED])
    assert "message" not in hass.states.get("event.garden_activity").attributes


async def test_reasons_and_methods_have_texts(hass: HomeAssistant) -> None:
    """All there are."""
    texts = json.loads(await hass.async_add_executor_job(Path("custom_components/skylapse/translations/en.json").read_text))
    named = texts["entity"]["event"]["activity"]["state_attributes"]
    assert set(named["reason"]["state"]) == set(Missed)
    assert set(named["method"]["state"]) == set(ProofMethod)


async def test_it_keeps_listening_when_it_is_renamed(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """In place: one listener before, one after."""
    station = await set_up(hass)
    entity_registry.async_update_entity("event.garden_activity", new_entity_id="event.sky")
    await hass.async_block_till_done()
    assert len(station.event_listeners) == 1
    station.happen(EventKind.MISSED, EXAMPLES[EventKind.MISSED])
    assert hass.states.get("event.sky").attributes["event_type"] == "missed"


async def test_it_stops_listening_when_the_entry_is_unloaded(hass: HomeAssistant) -> None:
    """Nothing of Home Assistant is held by a station that has gone."""
    station = await set_up(hass)
    await hass.config_entries.async_unload("01GARDEN")
    assert station.event_listeners == []
    assert station.listeners == []
