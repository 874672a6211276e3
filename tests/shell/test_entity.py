"""What all entities share: each is named, described and translated, and can be renamed in place."""

from dataclasses import replace
import json
from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from .rig import NAS, READING, STATUS, pi_station, set_up, states

COMMON = {
    "access_token",
    "attribution",
    "brand",
    "device_class",
    "entity_picture",
    "event_type",
    "event_types",
    "friendly_name",
    "icon",
    "max",
    "min",
    "mode",
    "model_name",
    "options",
    "state_class",
    "step",
    "supported_features",
    "unit_of_measurement",
}
"""Attributes that Home Assistant itself names."""
BAD_HOUR = replace(
    STATUS,
    last_error_key="capture_timeout",
    last_error_placeholders={"deadline_s": "30"},
    destinations=(replace(NAS, available=False, error_key="destination_full", error_placeholders={"path": "/mnt/nas"}),),
    camera=READING,
)


async def test_every_entity_is_translated(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """Its name, each of its attributes, each of its options and its icon or device class."""
    await set_up(hass, pi_station(status=BAD_HOUR), all_enabled=True)
    root = Path("custom_components/skylapse")
    texts = json.loads(await hass.async_add_executor_job((root / "translations/en.json").read_text))["entity"]
    icons = json.loads(await hass.async_add_executor_job((root / "icons.json").read_text))["entity"]
    shown = states(hass)
    assert len(shown) > 60
    for state in shown:
        entity = entity_registry.async_get(state.entity_id)
        assert entity.translation_key, state.entity_id
        text = texts[entity.domain][entity.translation_key]
        assert entity.original_name is None or entity.original_name == text["name"]
        assert set(state.attributes) - COMMON <= set(text.get("state_attributes", {})), state.entity_id
        assert set(state.attributes.get("options", [])) <= set(text.get("state", {})), state.entity_id
        assert entity.translation_key in icons[entity.domain] or state.attributes.get("device_class"), state.entity_id


async def test_renaming_an_entity_changes_it_in_place(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """It is not removed and added again, which would lose what it shows for a moment."""
    station = await set_up(hass, pi_station())
    seen: list[str | None] = []
    hass.bus.async_listen("state_changed", lambda event: seen.append(event.data["new_state"] and event.data["new_state"].state))
    for state in states(hass):
        domain, name = state.entity_id.split(".")
        entity_registry.async_update_entity(state.entity_id, new_entity_id=f"{domain}.renamed_{name}")
    await hass.async_block_till_done()
    assert "unavailable" not in seen
    assert {state.entity_id.split(".")[1][:8] for state in states(hass)} == {"renamed_"}
    station.tell(frames_total=1908)
    assert hass.states.get("sensor.renamed_garden_frames_captured").state == "1908"
