"""Schedules as data: every field, right and wrong."""

from datetime import time, timedelta
import json
from typing import Any

from homeassistant.core import valid_entity_id
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.errors import ScheduleError
from custom_components.skylapse.engine.schedule.codec import schedule_from_dict, schedule_to_dict
from custom_components.skylapse.engine.schedule.model import (
    EVERY_DAY,
    Always,
    AroundEvent,
    BetweenEvents,
    Direction,
    ElevationBand,
    Gate,
    Schedule,
    SunEvent,
    TimeOfDay,
)

from .strategies import schedules

AROUND = {"kind": "around_event", "event": "sunrise", "before": 1800, "after": 3600, "interval": 10}
ELEVATION = {"kind": "elevation", "min_deg": -6.0, "max_deg": 6.0, "direction": "rising", "interval": 30}
BETWEEN = {
    "kind": "between_events",
    "start_event": "dusk_civil",
    "start_offset": -600,
    "end_event": "dawn_civil",
    "end_offset": 600,
    "interval": 60,
}
CLOCK = {"kind": "time_of_day", "start": "22:00:00", "end": "05:30", "interval": 60}
ALWAYS = {"kind": "always", "interval": 300}
GATED = {**ALWAYS, "gate_entity": "sensor.lux", "gate_above": 10}


def _read(data: dict[str, Any], name: str = "Name") -> Schedule:
    return schedule_from_dict("id", name, data)


def test_each_kind_is_read() -> None:
    assert _read(AROUND).when == AroundEvent(SunEvent.SUNRISE, timedelta(minutes=30), timedelta(hours=1))
    assert _read(ELEVATION).when == ElevationBand(-6.0, 6.0, Direction.RISING)
    assert _read(BETWEEN).when == BetweenEvents(SunEvent.DUSK_CIVIL, SunEvent.DAWN_CIVIL, timedelta(minutes=-10), timedelta(minutes=10))
    assert _read(CLOCK).when == TimeOfDay(time(22), time(5, 30))
    assert _read(ALWAYS).when == Always()


def test_what_may_be_left_out() -> None:
    assert _read(ALWAYS) == Schedule("id", "Name", Always(), timedelta(seconds=300), EVERY_DAY, None, False, 50, True)
    assert _read({"kind": "elevation", "min_deg": -6, "max_deg": 6, "interval": 1}).when == ElevationBand(-6.0, 6.0, Direction.BOTH)
    assert _read({"kind": "between_events", "start_event": "noon", "end_event": "midnight", "interval": 1}).when == BetweenEvents(
        SunEvent.NOON, SunEvent.MIDNIGHT
    )
    empty = {"gate_entity": None, "gate_above": None, "gate_below": None, "gate_states": [], "gate_unavailable": "closed"}
    assert _read({**ALWAYS, **empty}).gate is None
    assert schedule_from_dict("id", "Name", ALWAYS, enabled=False).enabled is False


def test_what_all_kinds_have_is_read() -> None:
    schedule = _read({**GATED, "weekdays": ["sun", "mon"], "exclusive": True, "rank": 3.0, "interval": 1.5}, "  Night sky ")
    assert schedule.name == "Night sky"
    assert schedule.weekdays == {0, 6}
    assert schedule.exclusive is True
    assert (schedule.rank, type(schedule.rank)) == (3, int)
    assert schedule.interval == timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("fields", "gate"),
    [
        ({"gate_above": 10}, Gate("sensor.lux", above=10.0)),
        ({"gate_below": 10.5}, Gate("sensor.lux", below=10.5)),
        ({"gate_above": 5, "gate_below": 5}, Gate("sensor.lux", 5.0, 5.0)),
        ({"gate_states": ["on", "off", "on"]}, Gate("sensor.lux", states=frozenset({"on", "off"}))),
        ({"gate_above": 1, "gate_states": ["x"], "gate_unavailable": "closed"}, Gate("sensor.lux", 1.0, None, frozenset({"x"}), False)),
    ],
)
def test_gates_are_read(fields: dict[str, Any], gate: Gate) -> None:
    assert _read({**ALWAYS, "gate_entity": "sensor.lux", **fields}).gate == gate


NOT_NUMBERS = ["10", True, float("nan"), float("inf"), -float("inf"), [], {}, 10**400]


def _cases() -> list[tuple[dict[str, Any], str, str]]:
    cases: list[tuple[dict[str, Any], str, str]] = []

    def add(base: dict[str, Any], field: str, values: list[Any], key: str) -> None:
        cases.extend(({**base, field: value}, field, key) for value in values)

    add(ALWAYS, "interval", [None], "schedule_field_missing")
    add(ALWAYS, "interval", NOT_NUMBERS, "schedule_not_a_number")
    add(ALWAYS, "interval", [0, -1, 0.999, 86_400.1, 1e300], "schedule_out_of_range")
    add(ALWAYS, "kind", [None], "schedule_field_missing")
    add(ALWAYS, "kind", ["sometimes", "", 3, [], "ALWAYS"], "schedule_not_a_choice")
    add(ALWAYS, "weekdays", [[], ()], "schedule_weekdays_empty")
    add(ALWAYS, "weekdays", [["mon", "someday"], ["Mon"]], "schedule_not_a_choice")
    add(ALWAYS, "weekdays", ["mon", 3, [0, 1], [""], {"mon": True}], "schedule_not_a_list")
    add(ALWAYS, "exclusive", ["yes", 1, 0, []], "schedule_not_a_flag")
    add(ALWAYS, "rank", [0, 100, -1, 1e9], "schedule_out_of_range")
    add(ALWAYS, "rank", [1.5], "schedule_not_whole")
    add(ALWAYS, "rank", NOT_NUMBERS, "schedule_not_a_number")
    add(ALWAYS, "unheard_of", [1, None, "x"], "schedule_field_unknown")
    add(ALWAYS, "event", ["sunrise"], "schedule_field_unknown")
    add(ELEVATION, "before", [5], "schedule_field_unknown")
    for base, field in ((AROUND, "event"), (BETWEEN, "start_event"), (BETWEEN, "end_event")):
        add(base, field, [None], "schedule_field_missing")
        add(base, field, ["moonrise", "", 1, True], "schedule_not_a_choice")
    for field in ("before", "after"):
        add(AROUND, field, [None], "schedule_field_missing")
        add(AROUND, field, NOT_NUMBERS, "schedule_not_a_number")
        add(AROUND, field, [-1, 86_401], "schedule_out_of_range")
    add({**AROUND, "before": 0}, "after", [0], "schedule_window_empty")
    add({**AROUND, "before": 40_000}, "after", [46_401, 86_400], "schedule_window_too_long")
    for field in ("min_deg", "max_deg"):
        add(ELEVATION, field, [None], "schedule_field_missing")
        add(ELEVATION, field, NOT_NUMBERS, "schedule_not_a_number")
        add(ELEVATION, field, [-90.1, 90.1], "schedule_out_of_range")
    add(ELEVATION, "max_deg", [-6.0, -7, -90], "schedule_band_empty")
    add(ELEVATION, "direction", ["up", "", 1], "schedule_not_a_choice")
    for field in ("start_offset", "end_offset"):
        add(BETWEEN, field, NOT_NUMBERS, "schedule_not_a_number")
        add(BETWEEN, field, [-43_201, 43_201], "schedule_out_of_range")
    add({**BETWEEN, "start_event": "noon", "start_offset": 600}, "end_event", ["noon"], "schedule_window_empty")
    for field in ("start", "end"):
        add(CLOCK, field, [None], "schedule_field_missing")
        add(
            CLOCK,
            field,
            [
                "24:00",
                "25:00:00",
                "12:60",
                "12:00:60",
                "1:00",
                "12",
                "noon",
                "",
                12,
                "12:00:00.5",
                "12:00+01:00",
                " 12:00",
                "12:00\n",
                "١٢:٠٠",
            ],
            "schedule_not_a_time",
        )
    for field in ("gate_above", "gate_below"):
        add(GATED, field, NOT_NUMBERS, "schedule_not_a_number")
    add({**GATED, "gate_above": 11}, "gate_below", [10.9, -5], "schedule_gate_range_empty")
    add(GATED, "gate_states", ["on", [1], [""], [None], {"on": 1}, 3], "schedule_not_a_list")
    add(GATED, "gate_unavailable", ["maybe", True, ""], "schedule_not_a_choice")
    add(
        GATED,
        "gate_entity",
        ["", "lux", "sensor.", ".lux", "sensor.Lux", "sensor.a b", "a.b.c", "sensor.lux\n", 3, ["sensor.lux"], "sensor._lux", "sensor.ü"],
        "schedule_gate_entity_malformed",
    )
    add(GATED, "gate_entity", [None], "schedule_gate_without_entity")
    add({**ALWAYS, "gate_states": ["on"]}, "gate_entity", [None], "schedule_gate_without_entity")
    add(ALWAYS, "gate_entity", ["sensor.lux"], "schedule_gate_without_condition")
    return cases


@pytest.mark.parametrize(("data", "field", "key"), _cases())
def test_every_wrong_value_names_its_field(data: dict[str, Any], field: str, key: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        _read(data)
    assert (caught.value.field, caught.value.key) == (field, key)
    assert caught.value.placeholders["field"] == field


@pytest.mark.parametrize("base", [AROUND, ELEVATION, BETWEEN, CLOCK, ALWAYS])
def test_every_missing_field_is_named(base: dict[str, Any]) -> None:
    for field in base:
        if field.endswith("_offset") or field == "direction":
            continue
        with pytest.raises(ScheduleError) as caught:
            _read({name: value for name, value in base.items() if name != field})
        assert (caught.value.field, caught.value.key) == (field, "schedule_field_missing")


@pytest.mark.parametrize("name", ["", "   ", None, 5])
def test_a_schedule_needs_a_name(name: Any) -> None:
    with pytest.raises(ScheduleError) as caught:
        schedule_from_dict("id", name, ALWAYS)
    assert (caught.value.field, caught.value.key) == ("name", "schedule_name_empty")


def test_a_name_is_at_most_64_characters() -> None:
    assert _read(ALWAYS, "ä" * 64).name == "ä" * 64
    with pytest.raises(ScheduleError) as caught:
        _read(ALWAYS, "ä" * 65)
    assert (caught.value.field, caught.value.key) == ("name", "schedule_name_too_long")


def test_limits_themselves_are_allowed() -> None:
    assert _read({**ALWAYS, "interval": 1, "rank": 1})
    assert _read({**ALWAYS, "interval": 86_400, "rank": 99})
    assert _read({**ELEVATION, "min_deg": -90, "max_deg": 90})
    assert _read({**AROUND, "before": 40_000, "after": 46_400})
    assert _read({**AROUND, "before": 0, "after": 86_400})
    assert _read({**BETWEEN, "start_offset": -43_200, "end_offset": 43_200})
    assert _read({**CLOCK, "start": "00:00", "end": "00:00:00"}).when == TimeOfDay(time(), time())
    assert _read({**CLOCK, "start": "23:59:59"})


@settings(max_examples=400, deadline=None)
@given(schedules)
def test_what_is_written_reads_the_same(schedule: Schedule) -> None:
    data = json.loads(json.dumps(schedule_to_dict(schedule)))
    read = schedule_from_dict(schedule.schedule_id, schedule.name, data, enabled=schedule.enabled)
    assert read == schedule
    assert schedule_to_dict(read) == data


@pytest.mark.parametrize("data", [AROUND, ELEVATION, BETWEEN, ALWAYS, {**GATED, "gate_below": 20.0, "gate_states": ["a", "b"]}])
def test_written_data_is_what_a_form_shows(data: dict[str, Any]) -> None:
    written = schedule_to_dict(_read(data))
    assert {field: written[field] for field in data} == data
    assert isinstance(written["interval"], int)
    assert written["weekdays"] == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["sunrise", "mon", "always", "12:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([AROUND, ELEVATION, BETWEEN, CLOCK, GATED]), st.data())
def test_no_value_does_anything_but_pass_or_name_its_field(base: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(
        st.sampled_from(sorted({*base, *GATED, "weekdays", "exclusive", "rank", "gate_below", "gate_states", "gate_unavailable"}))
    )
    changed = {**base, field: data.draw(_json)}
    schedule, wrong_field = _try(changed)
    if schedule is None:
        assert wrong_field in {*changed, "gate_entity", "after"}
    else:
        assert _read(schedule_to_dict(schedule)) == schedule


def _try(data: dict[str, Any]) -> tuple[Schedule | None, str | None]:
    try:
        return _read(data), None
    except ScheduleError as err:
        return None, err.field


@settings(max_examples=300, deadline=None)
@given(st.text("ab_.1", max_size=10))
def test_entity_ids_are_those_home_assistant_takes(entity_id: str) -> None:
    try:
        _read({**GATED, "gate_entity": entity_id})
    except ScheduleError:
        assert not valid_entity_id(entity_id)
    else:
        assert valid_entity_id(entity_id)
