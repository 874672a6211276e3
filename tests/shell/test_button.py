"""The buttons."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.skylapse.engine.errors import CaptureTimeout
from custom_components.skylapse.engine.sources.live import Autofocus

from .rig import MadeUpStation, pi_station, set_up, states

ASKED = {
    "button.garden_capture_now": ("capture", None, None),
    "button.garden_retry_uploads": ("retry_uploads", None),
    "button.garden_nas_retry_uploads": ("retry_uploads", "nas"),
}


async def test_pressing_tells_the_station(hass: HomeAssistant) -> None:
    """Each once."""
    station = await set_up(hass)
    assert {state.entity_id for state in states(hass, "button")} == set(ASKED)
    for entity_id, asked in ASKED.items():
        await hass.services.async_call("button", "press", {"entity_id": entity_id}, blocking=True)
        assert station.asked[-1] == asked


@pytest.mark.parametrize("entity_id", ASKED)
async def test_a_failure_is_told(hass: HomeAssistant, entity_id: str) -> None:
    """The person who pressed gets to know why nothing happened."""
    await set_up(hass, MadeUpStation(answers={ASKED[entity_id][0]: CaptureTimeout(deadline_s=30)}))
    with pytest.raises(HomeAssistantError, match="did not answer within 30 s"):
        await hass.services.async_call("button", "press", {"entity_id": entity_id}, blocking=True)


async def test_autofocus(hass: HomeAssistant) -> None:
    """Only where the camera has it; one that finds nothing says so."""
    station = await set_up(hass, pi_station(answers={"autofocus": Autofocus(success=True, lens_position=0.5)}))
    assert {state.entity_id for state in states(hass, "button")} == {*ASKED, "button.garden_autofocus"}
    await hass.services.async_call("button", "press", {"entity_id": "button.garden_autofocus"}, blocking=True)
    assert station.asked[-1] == ("autofocus",)
    for answer, told in (
        (Autofocus(success=False, lens_position=None), "found no focus"),
        (CaptureTimeout(deadline_s=30), "did not answer within 30 s"),
    ):
        station.answers["autofocus"] = answer
        with pytest.raises(HomeAssistantError, match=told):
            await hass.services.async_call("button", "press", {"entity_id": "button.garden_autofocus"}, blocking=True)
