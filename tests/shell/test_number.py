"""The numbers: settings of the camera that are options of its entry."""

from dataclasses import replace
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.engine.errors import SourceError
from custom_components.skylapse.engine.sources.base import SourceCapabilities

from .rig import CAN_ALL, READING, MadeUpStation, garden, over, pi_station, set_up, states

EV = "number.garden_exposure_correction"
LENS = "number.garden_lens_position"


def pi(**options: Any) -> MockConfigEntry:
    """Return the entry of a camera with these options."""
    entry = garden()
    object.__setattr__(entry, "options", {"quality": 93, **options})
    return entry


async def turn(hass: HomeAssistant, entity_id: str, value: float) -> None:
    """Set a number."""
    await hass.services.async_call("number", "set_value", {"entity_id": entity_id, "value": value}, blocking=True)
    await hass.async_block_till_done()


@pytest.mark.parametrize(
    ("capabilities", "there"),
    [
        (CAN_ALL, {EV, LENS}),
        (SourceCapabilities(ev_range=(-4.0, 4.0)), {EV}),
        (SourceCapabilities(lens_range=(0.0, 10.0)), {LENS}),
        (SourceCapabilities(), set()),
    ],
)
async def test_a_camera_has_the_numbers_that_it_takes(hass: HomeAssistant, capabilities: SourceCapabilities, there: set[str]) -> None:
    """No others."""
    await set_up(hass, pi_station(capabilities=capabilities))
    assert {state.entity_id for state in states(hass, "number")} == there


async def test_their_limits_are_the_cameras(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """With fine steps, among the device's settings."""
    await set_up(hass, pi_station())
    for entity_id, limits, unit in ((EV, (-8.0, 8.0, 0.1), "EV"), (LENS, (0.0, 15.0, 0.01), "dpt")):
        attributes = hass.states.get(entity_id).attributes
        assert (attributes["min"], attributes["max"], attributes["step"]) == limits
        assert (attributes["unit_of_measurement"], attributes["mode"]) == (unit, "box")
        assert entity_registry.async_get(entity_id).entity_category == "config"


async def test_a_number_is_an_option_that_the_running_camera_is_given(hass: HomeAssistant) -> None:
    """Without a restart, and beside the other options."""
    entry = pi(focus_mode="fixed")
    station = await set_up(hass, pi_station(), entry)
    assert (hass.states.get(EV).state, hass.states.get(LENS).state) == ("0.0", "0.0")
    await turn(hass, EV, -1.3000000000000003)
    assert entry.options == {"quality": 93, "focus_mode": "fixed", "ev": -1.3}
    assert hass.states.get(EV).state == "-1.3"
    await turn(hass, LENS, 2.5)
    assert entry.options == {"quality": 93, "focus_mode": "fixed", "ev": -1.3, "lens_position": 2.5}
    assert hass.states.get(LENS).state == "2.5"
    assert station.asked == [("start",), ("adjust", -1.3, None), ("adjust", None, 2.5)]


async def test_what_is_no_number_is_refused(hass: HomeAssistant) -> None:
    """Home Assistant lets it through, for it is neither too small nor too large; as an option it would keep the camera from starting."""
    entry = pi(focus_mode="fixed")
    station = await set_up(hass, pi_station(), entry)
    for entity_id in (EV, LENS):
        with pytest.raises(ServiceValidationError):
            await turn(hass, entity_id, float("nan"))
    assert entry.options == {"quality": 93, "focus_mode": "fixed"}
    assert station.asked == [("start",)]


async def test_a_correction_does_not_move_the_lens(hass: HomeAssistant) -> None:
    """Whose option may not be where it stands: it found its focus by itself."""
    station = await set_up(hass, pi_station(), pi(focus_mode="hyperfocal", lens_position=0.0))
    await turn(hass, EV, 1.0)
    assert station.asked[-1] == ("adjust", 1.0, None)


async def test_a_camera_that_does_not_take_it_is_started_anew(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    """With its new options."""
    station = await set_up(hass, pi_station(answers={"adjust": SourceError("camera_cannot", what="ev")}))
    with over(station):
        await turn(hass, EV, 1.0)
    assert station.asked == [("start",), ("adjust", 1.0, None), ("stop",), ("start",)]
    assert "does not take {'ev': 1.0}" in caplog.text


async def test_a_number_follows_its_option(hass: HomeAssistant) -> None:
    """Whoever changes it."""
    entry = pi(focus_mode="fixed", ev=1.0)
    await set_up(hass, pi_station(), entry)
    assert hass.states.get(EV).state == "1.0"
    hass.config_entries.async_update_entry(entry, options={**entry.options, "ev": 2.0})
    await hass.async_block_till_done()
    assert hass.states.get(EV).state == "2.0"


async def test_a_lens_that_is_not_fixed_shows_where_it_stands(hass: HomeAssistant) -> None:
    """And becomes fixed where a person puts it, or a restart would move it back."""
    entry = pi(lens_position=7.0)
    station = await set_up(hass, pi_station(), entry)
    assert hass.states.get(LENS).state == "0.85"
    station.tell(camera=replace(READING, lens_position=1.2345))
    assert hass.states.get(LENS).state == "1.23"
    station.tell(camera=None)
    assert hass.states.get(LENS).state == "unknown"
    await turn(hass, LENS, 7.0)
    assert entry.options == {"quality": 93, "focus_mode": "fixed", "lens_position": 7.0}
    assert hass.states.get(LENS).state == "7.0"
    assert station.asked == [("start",), ("adjust", None, 7.0)]  # told, though the option's value is the same: now it counts


async def test_a_lens_that_is_left_to_the_camera_again_takes_a_new_start(hass: HomeAssistant) -> None:
    """Only the camera's start puts it where it belongs then."""
    entry = pi(focus_mode="fixed", lens_position=7.0)
    station = await set_up(hass, pi_station(), entry)
    with over(station):
        hass.config_entries.async_update_entry(entry, options={**entry.options, "focus_mode": "hyperfocal"})
        await hass.async_block_till_done()
    assert station.asked == [("start",), ("stop",), ("start",)]


@pytest.mark.parametrize(("option", "entity_id"), [({"exposure_mode": "manual"}, EV), ({"focus_mode": "auto_once"}, LENS)])
async def test_a_number_without_effect_is_not_available(hass: HomeAssistant, option: dict[str, str], entity_id: str) -> None:
    """Correcting an exposure that is set by hand, moving a lens that the camera focuses."""
    await set_up(hass, pi_station(), pi(**option))
    assert [state.entity_id for state in states(hass, "number") if state.state == "unavailable"] == [entity_id]


@pytest.mark.parametrize(("entity_id", "value"), [(EV, 8.1), (EV, -9), (LENS, -0.1), (LENS, 16)])
async def test_what_the_camera_does_not_take_is_refused(hass: HomeAssistant, entity_id: str, value: float) -> None:
    """Before it becomes an option."""
    entry = pi()
    await set_up(hass, pi_station(), entry)
    with pytest.raises(ServiceValidationError):
        await turn(hass, entity_id, value)
    assert entry.options == {"quality": 93}


async def test_cameras_without_settings_have_none(hass: HomeAssistant) -> None:
    """A camera of Home Assistant, for example."""
    await set_up(hass, MadeUpStation())
    assert states(hass, "number") == []
