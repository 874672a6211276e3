"""Adding and changing a schedule."""

from collections.abc import Generator
from http import HTTPStatus
import inspect
import math
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse.engine.schedule import codec
from custom_components.skylapse.engine.schedule.codec import Kind, schedule_from_dict
from custom_components.skylapse.engine.schedule.model import Direction, SunEvent
from custom_components.skylapse.engine.schedule.presets import PRESETS, classic
from custom_components.skylapse.schedule_form import FIELDS, form_values, schedule_data

from .flow_rig import assert_told, go_subentry, no_station, simulated_entry, start_subentry, suggested, texts

FLOW = "config_subentries.schedule"


def hms(hours: float = 0, minutes: float = 0, seconds: float = 0) -> dict[str, float]:
    return {"hours": hours, "minutes": minutes, "seconds": seconds}


GATE: dict[str, Any] = {"gate_unavailable": "open"}
COMMON = {
    "name": "Mine",
    "interval": hms(seconds=30),
    "weekdays": ["mon", "sun"],
    "exclusive": True,
    "rank": 7,
    "gate": GATE,
}
KINDS: dict[str, dict[str, Any]] = {
    "around_event": {"event": "dusk_nautical", "before": hms(1), "after": hms(minutes=30)},
    "elevation": {"min_deg": -12.5, "max_deg": 6, "direction": "rising"},
    "between_events": {
        "start_event": "dusk_civil",
        "start_offset": hms(minutes=-15),
        "end_event": "dawn_civil",
        "end_offset": hms(minutes=15),
    },
    "time_of_day": {"start": "22:00:00", "end": "05:00:00"},
    "always": {},
}
KEPT: dict[str, dict[str, Any]] = {
    "around_event": {"event": "dusk_nautical", "before": 3600, "after": 1800},
    "elevation": {"min_deg": -12.5, "max_deg": 6.0, "direction": "rising"},
    "between_events": {"start_event": "dusk_civil", "start_offset": -900, "end_event": "dawn_civil", "end_offset": 900},
    "time_of_day": {"start": "22:00:00", "end": "05:00:00"},
    "always": {},
}


def form(kind: str = "elevation", **changes: Any) -> dict[str, Any]:
    return {"kind": kind, **KINDS[kind], **COMMON, **changes}


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


@pytest.fixture
async def entry(hass: HomeAssistant) -> MockConfigEntry:
    """A camera without schedules, at 52° north."""
    await hass.config.async_update(latitude=52.0, longitude=5.0, time_zone="Europe/Amsterdam")
    entry = simulated_entry()
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return entry


async def opened(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> dict[str, Any]:
    """Choose from the menu."""
    result = await start_subentry(hass, entry, "schedule")
    assert result["type"] is FlowResultType.MENU
    result = await go_subentry(hass, result, {"next_step_id": step})
    assert result["type"] is FlowResultType.FORM
    return result


async def add(hass: HomeAssistant, entry: MockConfigEntry, values: dict[str, Any]) -> ConfigSubentry:
    """Add a schedule of one's own; return it."""
    before = set(entry.subentries)
    result = await go_subentry(hass, await opened(hass, entry, "custom"), values)
    assert result["type"] is FlowResultType.CREATE_ENTRY, result["errors"]
    return entry.subentries[(set(entry.subentries) - before).pop()]


# -- adding ------------------------------------------------------------------------------------------------------------


async def test_the_menu_offers_all(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await start_subentry(hass, entry, "schedule")
    assert result["menu_options"] == [*PRESETS, "classic", "custom"]
    found = await texts(hass, "config_subentries")
    for option in result["menu_options"]:
        assert found[f"schedule.step.user.menu_options.{option}"]
        assert found[f"schedule.step.user.menu_option_descriptions.{option}"]


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_lands_in_the_form(hass: HomeAssistant, entry: MockConfigEntry, preset: str) -> None:
    result = await opened(hass, entry, preset)
    assert result["step_id"] == "schedule"
    shown = suggested(result)
    shown["gate"] = GATE
    name = (await texts(hass, "selector"))[f"preset.options.{preset}"]
    assert shown["name"] == name
    result = await go_subentry(hass, result, shown)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (added,) = entry.subentries.values()
    assert added.title == name
    assert schedule_from_dict("s", "s", added.data) == schedule_from_dict("s", "s", PRESETS[preset].data)
    assert suggested(await opened(hass, entry, preset))["name"] == f"{name} 2"


@pytest.mark.parametrize("kind", Kind)
async def test_ones_own_of_each_kind(hass: HomeAssistant, entry: MockConfigEntry, kind: str) -> None:
    added = await add(hass, entry, form(kind))
    assert added.title == "Mine"
    assert added.data == {
        "kind": kind,
        **KEPT[kind],
        "interval": 30,
        "weekdays": ["mon", "sun"],
        "exclusive": True,
        "rank": 7,
    }
    schedule_from_dict(added.subentry_id, added.title, added.data)


@pytest.mark.parametrize("kind", Kind)
async def test_fields_of_other_kinds_do_not_matter(hass: HomeAssistant, entry: MockConfigEntry, kind: str) -> None:
    others = {name: "nonsense" for names in FIELDS.values() for name in names if name not in FIELDS[Kind(kind)]}
    added = await add(hass, entry, {**form(kind), **others})
    assert set(added.data) == {"kind", *KEPT[kind], "interval", "weekdays", "exclusive", "rank"}


async def test_a_gate(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    gate = {
        "gate_entity": "sensor.light",
        "gate_above": 10,
        "gate_below": 1e5,
        "gate_states": ["on", "Überraschung"],
        "gate_unavailable": "closed",
    }
    added = await add(hass, entry, form(gate=gate))
    assert {key: value for key, value in added.data.items() if key.startswith("gate_")} == gate
    result = await entry.start_subentry_reconfigure_flow(hass, added.subentry_id)
    assert suggested(result)["gate"] == gate


async def test_an_interval_may_be_given_in_parts(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    added = await add(hass, entry, form(interval={"hours": 1, "minutes": 1.5, "seconds": 0.5}))
    assert added.data["interval"] == 3690.5


# -- classic -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sensor", [None, "sensor.light"])
async def test_the_classic_adds_five(hass: HomeAssistant, entry: MockConfigEntry, sensor: str | None) -> None:
    await add(hass, entry, form(name="Classic blue hours"))
    result = await opened(hass, entry, "classic")
    assert result["step_id"] == "classic"
    result = await go_subentry(hass, result, {"illuminance": sensor} if sensor else {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    added = list(entry.subentries.values())[1:]
    assert [item.title for item in added] == [
        "Classic golden hours",
        "Classic blue hours 2",
        "Classic daylight",
        "Classic low light",
        "Classic fallback",
    ]
    for item, (_, data) in zip(added, classic(sensor), strict=True):
        assert schedule_from_dict("s", "s", item.data) == schedule_from_dict("s", "s", data)


@pytest.mark.parametrize("sensor", ["no entity", 5, []])
async def test_a_bad_light_sensor_is_refused(hass: HomeAssistant, entry: MockConfigEntry, sensor: Any) -> None:
    result = await opened(hass, entry, "classic")
    with pytest.raises(InvalidData):
        await go_subentry(hass, result, {"illuminance": sensor})
    result = await go_subentry(hass, result, {})
    assert len(entry.subentries) == 5


# -- bad input ---------------------------------------------------------------------------------------------------------


def gate(**values: Any) -> dict[str, Any]:
    return {"gate": {**GATE, **values}}


@pytest.mark.parametrize(
    ("kind", "change", "errors"),
    [
        ("always", {"name": ""}, {"name": "name_unusable"}),
        ("always", {"name": "🌇"}, {"name": "name_unusable"}),
        ("always", {"name": "x" * 65}, {"name": "name_too_long"}),
        ("always", {"name": "a\x00b"}, {"name": "name_unprintable"}),
        ("always", {"name": " known "}, {"name": "title_taken"}),
        ("always", {"interval": hms()}, {"interval": "schedule_out_of_range"}),
        ("always", {"interval": hms(seconds=0.5)}, {"interval": "schedule_out_of_range"}),
        ("always", {"interval": hms(24, 0, 1)}, {"interval": "schedule_out_of_range"}),
        ("always", {"interval": hms(1e6)}, {"interval": "schedule_out_of_range"}),
        ("always", {"weekdays": []}, {"weekdays": "schedule_weekdays_empty"}),
        ("always", {"weekdays": [], "name": ""}, {"weekdays": "schedule_weekdays_empty", "name": "name_unusable"}),
        ("around_event", {"before": hms(), "after": hms()}, {"after": "schedule_window_empty"}),
        ("around_event", {"before": hms(13), "after": hms(12)}, {"after": "schedule_window_too_long"}),
        ("around_event", {"before": hms(25)}, {"before": "schedule_out_of_range"}),
        ("elevation", {"min_deg": 6}, {"max_deg": "schedule_band_empty"}),
        ("elevation", {"min_deg": 7}, {"max_deg": "schedule_band_empty"}),
        ("between_events", {"start_offset": hms(-13)}, {"start_offset": "schedule_out_of_range"}),
        ("between_events", {"end_offset": hms(13)}, {"end_offset": "schedule_out_of_range"}),
        (
            "between_events",
            {"end_event": "dusk_civil", "end_offset": hms(minutes=-15)},
            {"end_event": "schedule_window_empty"},
        ),
        ("time_of_day", {"start": "7:05"}, {"start": "schedule_not_a_time"}),
        ("always", gate(gate_above=5), {"gate": "schedule_gate_without_entity"}),
        ("always", gate(gate_states=["on"]), {"gate": "schedule_gate_without_entity"}),
        ("always", gate(gate_entity="sensor.light"), {"gate": "schedule_gate_without_condition"}),
        ("always", gate(gate_entity="sensor.light", gate_states=[]), {"gate": "schedule_gate_without_condition"}),
        ("always", gate(gate_entity="sensor.light", gate_states=[""]), {"gate": "schedule_not_a_list"}),
        ("always", gate(gate_entity="sensor.light", gate_above=2, gate_below=1), {"gate": "schedule_gate_range_empty"}),
        ("always", gate(gate_entity="0123456789abcdef0123456789abcdef", gate_above=2), {"gate": "schedule_gate_entity_malformed"}),
    ],
)
async def test_what_is_wrong_is_told_and_can_be_corrected(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str, change: dict[str, Any], errors: dict[str, str]
) -> None:
    await add(hass, entry, form(name="Known"))
    typed = form(kind, **change)
    result = await go_subentry(hass, await opened(hass, entry, "custom"), typed)
    await assert_told(hass, result, errors, FLOW)
    assert suggested(result) == {key: value for key, value in typed.items() if key != "gate" or value}
    result = await go_subentry(hass, result, form(kind))
    assert result["type"] is FlowResultType.CREATE_ENTRY


BAD: dict[str, list[Any]] = {
    "name": [None, 5, []],
    "kind": ["sometimes", None, 5],
    "event": ["elevenses", 5, None],
    "before": [hms(-1), {"minutes": math.nan}, {"hours": 1e300}, {"years": 1}, {}, 60, "60", None],
    "after": [hms(seconds=-1), {"minutes": math.inf}, "long"],
    "min_deg": [-91, 91, math.nan, -math.inf, "low", None],
    "max_deg": [-91, 91, math.nan, math.inf, "high", None],
    "direction": ["sideways", None],
    "start_event": ["never"],
    "end_event": ["never"],
    "start_offset": [{"minutes": math.nan}, {"hours": -1e300}, 5],
    "end_offset": [{"minutes": math.nan}, {"hours": 1e300}, "x"],
    "start": ["25:00:00", "noon", "", 5, None, "-1:00:00"],
    "end": ["24:00:01", "12:60:00", None],
    "interval": [hms(seconds=-5), {"seconds": math.nan}, {"seconds": math.inf}, {"hours": 1e300}, 30, "30", None],
    "weekdays": [["funday"], "mon", [1], None],
    "exclusive": ["yes", 1, None],
    "rank": [0, 100, 1.5, -1, math.nan, math.inf, "first", None],
    "gate": [
        {"gate_entity": "no entity"},
        {"gate_entity": 5},
        {"gate_entity": ["sensor.a"]},
        {"gate_above": math.nan},
        {"gate_above": math.inf},
        {"gate_above": "bright"},
        {"gate_below": -math.inf},
        {"gate_states": "on"},
        {"gate_states": [5]},
        {"gate_unavailable": "ajar"},
        {"gate_color": "red"},
        "open",
    ],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
async def test_what_no_form_sends_is_refused(hass: HomeAssistant, entry: MockConfigEntry, field: str, value: Any) -> None:
    kind = next((kind.value for kind, names in FIELDS.items() if field in names), "always")
    result = await opened(hass, entry, "custom")
    with pytest.raises(InvalidData):
        await go_subentry(hass, result, {**form(kind), field: value})
    result = await go_subentry(hass, result, form(kind))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_every_error_of_a_schedule_has_a_text(hass: HomeAssistant) -> None:
    raised = set(re.findall(r'"(schedule_[a-z_]+)"', inspect.getsource(codec)))
    assert raised
    found = await texts(hass, "config_subentries")
    assert not [key for key in raised if f"schedule.error.{key}" not in found]


# -- reconfigure -------------------------------------------------------------------------------------------------------


async def test_reconfigure_all(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    old = await add(hass, entry, form("elevation", **gate(gate_entity="sensor.light", gate_above=5)))
    await add(hass, entry, form("always", name="Known"))
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "schedule")
    shown = suggested(result)
    assert shown["name"] == "Mine"
    assert {field: shown[field] for field in KINDS["elevation"]} == KINDS["elevation"]
    result = await go_subentry(hass, result, form("time_of_day", name="KNOWN"))
    await assert_told(hass, result, {"name": "title_taken"}, FLOW)
    result = await go_subentry(hass, result, form("time_of_day", name="Night", exclusive=False))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    new = entry.subentries[old.subentry_id]
    assert new.title == "Night"
    assert new.data == {
        "kind": "time_of_day",
        **KEPT["time_of_day"],
        "interval": 30,
        "weekdays": ["mon", "sun"],
        "exclusive": False,
        "rank": 7,
    }


async def test_reconfigure_may_keep_the_name(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    old = await add(hass, entry, form("always"))
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    result = await go_subentry(hass, result, form("always", interval=hms(minutes=5)))
    assert result["reason"] == "reconfigure_successful"
    assert (old.title, old.data["interval"]) == ("Mine", 300)


async def test_a_damaged_schedule_can_be_repaired(hass: HomeAssistant) -> None:
    broken = ConfigSubentryData(data={"kind": "elevation", "min_deg": 9.0}, subentry_type="schedule", title="Old", unique_id=None)
    entry = simulated_entry(subentries=[broken])
    entry.add_to_hass(hass)
    (old,) = entry.subentries.values()
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    assert result["description_placeholders"]["next"] == "–"
    result = await go_subentry(hass, result, form("elevation"))
    assert result["reason"] == "reconfigure_successful"


# -- what the form shows -----------------------------------------------------------------------------------------------


async def test_the_next_windows_are_shown(hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory) -> None:
    freezer.move_to("2026-11-23 12:00:00+00:00")
    result = await opened(hass, entry, "sunrise")
    shown = result["description_placeholders"]["next"].split(", ")
    assert [window[:10] for window in shown] == ["2026-11-24", "2026-11-25", "2026-11-26"]
    assert re.fullmatch(r"2026-11-24 07:3\d–09:0\d", shown[0])  # sunrise at 52° N, 5° E: 08:18

    result = await go_subentry(hass, result, form("time_of_day", name=""))
    assert result["description_placeholders"]["next"] == ("2026-11-23 22:00–05:00, 2026-11-29 22:00–05:00, 2026-11-30 22:00–05:00")
    result = await go_subentry(hass, result, form("elevation", min_deg=89, max_deg=90))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (added,) = entry.subentries.values()
    result = await entry.start_subentry_reconfigure_flow(hass, added.subentry_id)
    assert result["description_placeholders"]["next"] == "–"


async def test_the_running_window_is_shown_first(hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory) -> None:
    freezer.move_to("2026-11-23 22:00:00+00:00")
    result = await go_subentry(hass, await opened(hass, entry, "custom"), form("time_of_day", name=""))
    assert result["description_placeholders"]["next"].startswith("2026-11-23 22:00–05:00, ")


async def test_every_field_and_option_is_explained(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    found = await texts(hass, "config_subentries")
    result = await opened(hass, entry, "custom")
    for key, value in result["data_schema"].schema.items():
        if hasattr(value, "schema"):
            for name in value.schema.schema:
                assert found[f"schedule.step.schedule.sections.{key}.data.{name}"]
                assert found[f"schedule.step.schedule.sections.{key}.data_description.{name}"]
        else:
            assert found[f"schedule.step.schedule.data.{key}"]
            assert found[f"schedule.step.schedule.data_description.{key}"]
    options = await texts(hass, "selector")
    for name, choices in (("sun_event", SunEvent), ("direction", Direction), ("schedule_kind", Kind), ("weekday", codec.WEEKDAYS)):
        assert {key for key in options if key.startswith(f"{name}.")} == {f"{name}.options.{choice}" for choice in choices}


@pytest.mark.parametrize("kind", Kind)
def test_the_form_holds_all_of_a_schedule(kind: str) -> None:
    data = {
        "kind": kind,
        **KEPT[kind],
        "interval": 3661,
        "weekdays": ["tue"],
        "exclusive": True,
        "rank": 3,
        "gate_entity": "a.b",
        "gate_above": 1,
        "gate_unavailable": "closed",
    }
    assert schedule_data(form_values("x", data)) == data


async def test_the_form_reaches_the_browser(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator, socket_enabled: None
) -> None:
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()
    flows = "/api/config/config_entries/subentries/flow"
    opened = await (await client.post(flows, json={"handler": [entry.entry_id, "schedule"]})).json()
    shown = await (await client.post(f"{flows}/{opened['flow_id']}", json={"next_step_id": "blue_hours"})).json()
    fields = {field["name"]: field for field in shown["data_schema"]}
    for kind, names in FIELDS.items():
        for name in names:
            assert fields[name]["visible"] == {"field": "kind", "value": kind}
    assert fields["min_deg"]["description"] == {"suggested_value": -6.0}
    assert fields["start_offset"]["selector"]["duration"]["mode"] == "offset"
    assert fields["exclusive"]["selector"] == {"boolean": {}}
    assert fields["gate"]["expanded"] is False

    response = await client.post(f"{flows}/{opened['flow_id']}", json=form("elevation", name=""))
    assert (await response.json())["errors"] == {"name": "name_unusable"}
    response = await client.post(f"{flows}/{opened['flow_id']}", json=form("elevation", rank=0))
    assert response.status == HTTPStatus.BAD_REQUEST
    assert (await response.json())["errors"] == {"rank": "Value 0.0 is too small"}
    response = await client.post(f"{flows}/{opened['flow_id']}", json=form("elevation"))
    assert (await response.json())["type"] == "create_entry"
