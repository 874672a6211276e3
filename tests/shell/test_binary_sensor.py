"""The binary sensors."""

from dataclasses import replace

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from custom_components.skylapse.binary_sensor import CONNECTIVITY, SCHEDULE_SENSORS, ConnectivitySensor, ScheduleBinarySensor
from custom_components.skylapse.engine.status import Problem
from custom_components.skylapse.figure import DestinationSensor
from custom_components.skylapse.sensor import DESTINATION_SENSORS, SCHEDULE_SENSORS as SCHEDULE_FIGURES, ScheduleSensor
from custom_components.skylapse.switch import SCHEDULE_SWITCH, ScheduleSwitch

from .rig import HOST, LATER, NAS, READING, STATUS, SUNRISE, MadeUpStation, garden, pi_station, set_up, states


async def test_states_by_default(hass: HomeAssistant) -> None:
    """Those that are on by default."""
    await set_up(hass)
    assert {state.entity_id: state.state for state in states(hass, "binary_sensor")} == {
        "binary_sensor.garden_capturing": "on",
        "binary_sensor.garden_problem": "off",
        "binary_sensor.garden_sunrise_active": "on",
        "binary_sensor.garden_nas_connection": "on",
    }


async def test_capturing_is_on_through_a_window(hass: HomeAssistant) -> None:
    """And during a frame by hand, but not while capture is switched off."""
    station = await set_up(hass)
    for changes, shown in (
        ({"capture_enabled": False}, "off"),
        ({"capturing": True}, "on"),
        ({"capturing": False, "capture_enabled": True}, "on"),
        ({"schedules": (replace(SUNRISE, active=False),)}, "off"),
    ):
        station.tell(**changes)
        assert hass.states.get("binary_sensor.garden_capturing").state == shown, changes


async def test_problem_names_its_reasons(hass: HomeAssistant) -> None:
    """As words that automations can compare."""
    station = await set_up(hass)
    assert hass.states.get("binary_sensor.garden_problem").attributes["reasons"] == []
    station.tell(problems=frozenset({Problem.STORAGE_FULL, Problem.CAPTURE_FAILING}))
    state = hass.states.get("binary_sensor.garden_problem")
    assert (state.state, state.attributes["reasons"]) == ("on", ["capture_failing", "storage_full"])


async def test_each_reason_has_words(hass: HomeAssistant) -> None:
    """Else a person reads its key."""
    await set_up(hass)
    words = await async_get_translations(hass, "en", "entity", ["skylapse"])
    key = "component.skylapse.entity.binary_sensor.problem.state_attributes.reasons.state"
    assert {reason for reason in Problem if f"{key}.{reason}" not in words} == set()


async def test_a_schedule_tells_which_one_it_waits_for(hass: HomeAssistant) -> None:
    """An exclusive one of higher rank."""
    station = await set_up(hass)
    assert hass.states.get("binary_sensor.garden_sunrise_active").attributes["waiting_for"] is None
    station.tell(schedules=(replace(SUNRISE, active=False, waiting_for="Golden hours"),))
    state = hass.states.get("binary_sensor.garden_sunrise_active")
    assert (state.state, state.attributes["waiting_for"], state.attributes["interval"]) == ("off", "Golden hours", 10.0)


async def test_connection_tells_why_and_when_it_is_tried_next(hass: HomeAssistant) -> None:
    """Unknown until it was tried."""
    station = await set_up(hass)
    station.tell(destinations=(replace(NAS, available=None),))
    assert hass.states.get("binary_sensor.garden_nas_connection").state == "unknown"
    station.tell(
        destinations=(replace(NAS, available=False, error_key="disk_full", error_placeholders={"path": "/mnt/nas"}, next_try_at=LATER),)
    )
    state = hass.states.get("binary_sensor.garden_nas_connection")
    assert state.state == "off"
    assert (
        state.attributes["error"]
        == "The disk is full: /mnt/nas could not be written. Free space, or move the media folder to a greater disk."
    )
    assert state.attributes["next_try"] == LATER
    station.tell(destinations=(NAS,))
    assert "error" not in hass.states.get("binary_sensor.garden_nas_connection").attributes


async def test_those_off_by_default(hass: HomeAssistant) -> None:
    """Whether the shutter is open, and whether a gate is."""
    station = await set_up(hass, MadeUpStation(replace(STATUS, capturing=True)), all_enabled=True)
    assert hass.states.get("binary_sensor.garden_exposing").state == "on"
    assert hass.states.get("binary_sensor.garden_sunrise_gate").state == "on"
    station.tell(capturing=False, schedules=(replace(SUNRISE, gate_open=False),))
    assert hass.states.get("binary_sensor.garden_exposing").state == "off"
    assert hass.states.get("binary_sensor.garden_sunrise_gate").state == "off"


async def test_entities_of_parts_that_are_gone_have_no_value(hass: HomeAssistant) -> None:
    """They are unavailable, and know nothing either."""
    entry = garden()
    station = await set_up(hass, entry=entry)
    station.tell(schedules=(), destinations=())
    sunrise, nas = entry.subentries["sunrise"], entry.subentries["nas"]
    active = ScheduleBinarySensor(entry, SCHEDULE_SENSORS[0], sunrise)
    assert active.is_on is None
    assert active.extra_state_attributes is None
    assert ScheduleSensor(entry, SCHEDULE_FIGURES[0], sunrise).native_value is None
    assert ScheduleSwitch(entry, SCHEDULE_SWITCH, sunrise).is_on is None
    assert DestinationSensor(entry, DESTINATION_SENSORS[0], nas).native_value is None
    connectivity = ConnectivitySensor(entry, CONNECTIVITY, nas)
    assert connectivity.is_on is None
    assert connectivity.extra_state_attributes is None


async def test_a_camera_with_a_host_tells_how_that_does(hass: HomeAssistant) -> None:
    """Whether it is connected, and whether its power supply and its cooling suffice."""
    station = await set_up(hass, pi_station())

    def told() -> tuple[str, ...]:
        return tuple(
            hass.states.get(f"binary_sensor.garden_{name}").state for name in ("camera_connection", "host_throttled", "host_under_voltage")
        )

    assert told() == ("on", "off", "off")
    station.tell(camera=replace(READING, host=replace(HOST, throttled=True)))
    assert told() == ("on", "on", "off")
    station.tell(camera=replace(READING, host=replace(HOST, under_voltage=True)))
    assert told() == ("on", "off", "on")
    station.tell(camera=replace(READING, host=replace(HOST, throttled=None, under_voltage=None)))
    assert told() == ("on", "unknown", "unknown")
    station.tell(camera=replace(READING, connected=False, host=None))
    assert told() == ("off", "unknown", "unknown")
    station.tell(camera=None)
    assert told() == ("unknown", "unknown", "unknown")
