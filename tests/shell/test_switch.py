"""The switches."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from custom_components.skylapse.engine.errors import CatalogueError, SkylapseError

from .rig import MadeUpStation, set_up, states

ASKED = {
    "switch.garden_capture": ("set_capture_enabled",),
    "switch.garden_uploads": ("set_uploads_enabled",),
    "switch.garden_sunrise": ("set_schedule_enabled", "sunrise"),
}


async def test_there_is_one_for_capture_uploads_and_each_schedule(hass: HomeAssistant) -> None:
    """A schedule's switch has the schedule's name."""
    await set_up(hass)
    assert {state.entity_id: state.state for state in states(hass, "switch")} == dict.fromkeys(ASKED, "on")
    assert hass.states.get("switch.garden_sunrise").name == "Garden Sunrise"


@pytest.mark.parametrize("entity_id", ASKED)
async def test_it_tells_the_station_and_shows_what_the_station_then_says(hass: HomeAssistant, entity_id: str) -> None:
    """Off and on again."""
    station = await set_up(hass)
    for service, enabled, shown in (("turn_off", False, "off"), ("turn_on", True, "on")):
        await hass.services.async_call("switch", service, {"entity_id": entity_id}, blocking=True)
        assert station.asked[-1] == (*ASKED[entity_id], enabled)
        assert hass.states.get(entity_id).state == shown


@pytest.mark.parametrize("service", ["turn_on", "turn_off"])
@pytest.mark.parametrize("entity_id", ASKED)
async def test_a_setting_that_is_not_kept_is_an_error(hass: HomeAssistant, entity_id: str, service: str) -> None:
    """Told in words, and the switch stays as it was."""
    failure = CatalogueError(path="/config/skylapse/x.db", reason="disk I/O error")
    station = await set_up(hass, MadeUpStation(answers={ASKED[entity_id][0]: failure}))
    with pytest.raises(HomeAssistantError, match=r"The catalogue /config/skylapse/x\.db cannot be used: disk I/O error") as caught:
        await hass.services.async_call("switch", service, {"entity_id": entity_id}, blocking=True)
    assert caught.value.translation_key == "catalogue_failed"
    assert not isinstance(caught.value, ServiceValidationError)
    assert hass.states.get(entity_id).state == "on"
    assert station.asked[-1][0] == ASKED[entity_id][0]


async def test_an_unknown_schedule_is_bad_input(hass: HomeAssistant) -> None:
    """What was asked for is wrong, nothing failed."""
    await set_up(hass, MadeUpStation(answers={"set_schedule_enabled": SkylapseError("unknown_schedule", schedule="sunrise")}))
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call("switch", "turn_off", {"entity_id": "switch.garden_sunrise"}, blocking=True)
    assert caught.value.translation_placeholders == {"schedule": "sunrise"}
