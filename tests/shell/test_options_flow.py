"""Changing how a camera works."""

from collections.abc import Generator
import math
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.const import DEFAULT_OPTIONS, DEFAULT_SIMULATION, DOMAIN
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources.build import build_source
from custom_components.skylapse.host import image_fetcher, site

from .flow_rig import no_station, simulated_entry, suggested, texts

PICTURE = {"width": 1920, "height": 1080, "quality": 90}
TESTS = {"delay_ms": 0, "failure_percent": 0, "hang_percent": 0}
COMMON = {"embed_location": False, "min_free_gb": 5.0, "delete_uncopied": False, "deadline_s": 30}
FORM = {**COMMON, "picture": PICTURE, "tests": TESTS}


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


def entity_entry() -> MockConfigEntry:
    data = {"source": "entity", "slug": "porch", "entity_id": "camera.porch"}
    return MockConfigEntry(domain=DOMAIN, title="Porch", data=data, options=dict(DEFAULT_OPTIONS))


async def opened(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    entry.add_to_hass(hass)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "init")
    return result


async def test_options_of_a_simulated_camera(hass: HomeAssistant) -> None:
    entry = simulated_entry()
    result = await opened(hass, entry)
    assert suggested(result) == FORM
    changed = {
        "embed_location": True,
        "min_free_gb": 12.5,
        "max_days": 30,
        "delete_uncopied": True,
        "deadline_s": 60,
        "picture": {"width": 640, "height": 480, "quality": 70},
        "tests": {"delay_ms": 250, "failure_percent": 10, "hang_percent": 5},
    }

    result = await hass.config_entries.options.async_configure(result["flow_id"], changed)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    picture, tests = changed.pop("picture"), changed.pop("tests")
    assert entry.options == changed | picture | tests
    build_source(entry.data, entry.options, site=lambda: site(hass), clock=SystemClock(), fetch_image=image_fetcher(hass))
    again = await hass.config_entries.options.async_init(entry.entry_id)
    assert suggested(again) == {**changed, "picture": picture, "tests": tests}


async def test_options_of_another_camera_have_no_simulation(hass: HomeAssistant) -> None:
    entry = entity_entry()
    result = await opened(hass, entry)
    assert suggested(result) == COMMON
    with pytest.raises(InvalidData):
        await hass.config_entries.options.async_configure(result["flow_id"], FORM)
    result = await hass.config_entries.options.async_configure(result["flow_id"], {**COMMON, "deadline_s": 20})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {**DEFAULT_OPTIONS, "deadline_s": 20}


async def test_an_empty_limit_means_none(hass: HomeAssistant) -> None:
    entry = simulated_entry(max_days=30)
    result = await opened(hass, entry)
    assert suggested(result)["max_days"] == 30
    await hass.config_entries.options.async_configure(result["flow_id"], FORM)
    assert entry.options == {**DEFAULT_OPTIONS, **DEFAULT_SIMULATION}


async def test_whole_numbers_are_kept_as_such(hass: HomeAssistant) -> None:
    entry = simulated_entry()
    result = await opened(hass, entry)
    await hass.config_entries.options.async_configure(
        result["flow_id"], {**FORM, "max_days": 7.0, "deadline_s": 30.0, "picture": {**PICTURE, "width": 800.0}}
    )
    kept = (entry.options["max_days"], entry.options["deadline_s"], entry.options["width"])
    assert kept == (7, 30, 800)
    assert {type(value) for value in kept} == {int}


BAD: list[tuple[str, list[Any]]] = [
    ("embed_location", ["yes please", 5, None]),
    ("min_free_gb", [0, -1, 1e12, math.nan, math.inf, "much", None]),
    ("max_days", [0, -1, 1.5, 36_501, math.nan, -math.inf, "long"]),
    ("delete_uncopied", ["maybe", []]),
    ("deadline_s", [4, -5, 601, 30.5, math.nan, math.inf, "soon", None]),
    ("picture.width", [63, 7681, -1, 100.5, math.nan, "wide", None]),
    ("picture.height", [47, 4321, -1, 100.5, math.inf, "high", None]),
    ("picture.quality", [0, 101, -1, 50.5, math.nan, "good", None]),
    ("tests.delay_ms", [-1, 600_001, 0.5, math.nan, "a while"]),
    ("tests.failure_percent", [-1, 101, math.nan, "all"]),
    ("tests.hang_percent", [-1, 101, -math.inf, "all"]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD for value in values])
async def test_bad_input_is_refused_and_can_be_corrected(hass: HomeAssistant, field: str, value: Any) -> None:
    entry = simulated_entry()
    result = await opened(hass, entry)
    form: dict[str, Any] = {**FORM, "picture": dict(PICTURE), "tests": dict(TESTS)}
    section, _, name = field.rpartition(".")
    (form[section] if section else form)[name] = value
    with pytest.raises(InvalidData):
        await hass.config_entries.options.async_configure(result["flow_id"], form)
    assert entry.options == {**DEFAULT_OPTIONS, **DEFAULT_SIMULATION}
    result = await hass.config_entries.options.async_configure(result["flow_id"], FORM)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_every_field_is_explained(hass: HomeAssistant) -> None:
    found = await texts(hass, "options")
    result = await opened(hass, simulated_entry())
    for key, value in result["data_schema"].schema.items():
        inner = value.schema.schema if hasattr(value, "schema") else None
        if inner is None:
            assert found[f"step.init.data.{key}"]
            assert found[f"step.init.data_description.{key}"]
        for name in inner or ():
            assert found[f"step.init.sections.{key}.data.{name}"]
            assert found[f"step.init.sections.{key}.data_description.{name}"]
