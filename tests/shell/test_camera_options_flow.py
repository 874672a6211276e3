"""Changing how a camera with a worker takes pictures."""

from collections.abc import Generator
from dataclasses import replace
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest

from custom_components.skylapse.camera_form import FIELDS, SECTIONS
from custom_components.skylapse.const import DEFAULT_OPTIONS
from custom_components.skylapse.engine.errors import SourceError
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe, ControlRange
from custom_components.skylapse.engine.sources.camera_settings import CameraSettings, defaults

from .flow_rig import no_station, suggested, texts
from .machine_rig import HAWK, PLAIN, camera_entry

COMMON = {"embed_location": False, "min_free_gb": 5.0, "delete_uncopied": False, "deadline_s": 30}
KEPT = {**DEFAULT_OPTIONS, **defaults(HAWK)}


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


async def opened(hass: HomeAssistant, entry: Any) -> dict[str, Any]:
    entry.add_to_hass(hass)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "camera")
    return result


async def send(hass: HomeAssistant, result: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Send the form as it stands but for some of its fields."""
    form = suggested(result)
    for field, value in changes.items():
        section = next((name for name, fields in SECTIONS.items() if field in fields), None)
        (form if section is None else form[section])[field] = value
    form.setdefault("expert", {})
    return await hass.config_entries.options.async_configure(result["flow_id"], form)


def fields_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return the form's fields, those of its sections among them."""
    found: dict[str, Any] = {}
    for key, value in result["data_schema"].schema.items():
        inner = value.schema.schema if str(key) in SECTIONS else {key: value}
        found |= {str(name): field for name, field in inner.items()}
    return found


async def test_the_form_of_a_camera_that_can_do_all(hass: HomeAssistant) -> None:
    entry = camera_entry(HAWK)
    result = await opened(hass, entry)
    fields = fields_of(result)
    assert fields.keys() == FIELDS | COMMON.keys() | {"max_days"}
    flat = {name: value for section in SECTIONS for name, value in suggested(result)[section].items()}
    assert flat == {name: value for name, value in defaults(HAWK).items() if value != ""} | {"tuning_file": ""}
    assert fields["resolution"].config["options"] == [
        {"value": "4608x2592", "label": "4608 × 2592"},
        {"value": "1536x864", "label": "1536 × 864"},
    ]
    assert (fields["ev"].config["min"], fields["ev"].config["max"]) == (-8.0, 8.0)
    assert (fields["exposure_ms"].config["min"], fields["exposure_ms"].config["max"]) == (0.026, 220_417.486)
    told = result["description_placeholders"]
    assert (told["gain_min"], told["gain_max"], told["lens_position_max"]) == ("1", "16", "15")
    assert all(section.options["collapsed"] for key, section in result["data_schema"].schema.items() if str(key) in SECTIONS)

    result = await send(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == KEPT


async def test_what_is_changed_is_kept_and_shown_again(hass: HomeAssistant) -> None:
    entry = camera_entry(HAWK)
    changed = {
        "max_days": 30,
        "resolution": "1536x864",
        "quality": 80,
        "rotation": "90",
        "hflip": True,
        "roi_left": 10.5,
        "roi_width": 50.0,
        "dng": True,
        "exposure_mode": "manual",
        "exposure_ms": 2500.0,
        "gain": 4.0,
        "metering": "matrix",
        "white_balance": "fixed",
        "gain_red": 1.9,
        "focus_mode": "fixed",
        "lens_position": 0.25,
        "noise_reduction": "off",
        "hdr": "night",
        "tuning_file": "imx708_noir.json",
    }
    result = await send(hass, await opened(hass, entry), **changed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {**KEPT, **changed}
    settings = CameraSettings.from_options(entry.options, HAWK)
    assert (settings.exposure_us, settings.rotation, settings.dng) == (2_500_000, 90, True)
    again = suggested(await hass.config_entries.options.async_init(entry.entry_id))
    assert again["exposure"]["exposure_ms"] == 2500.0
    assert again["max_days"] == 30


async def test_only_what_a_camera_can_do_is_offered(hass: HomeAssistant) -> None:
    entry = camera_entry(PLAIN)
    result = await opened(hass, entry)
    assert fields_of(result).keys() == {*COMMON, "max_days", "resolution", "quality", "rotation", "hflip", "vflip", "tuning_file"}
    assert "nan" in result["description_placeholders"]["ev_min"]  # no field there that would tell it
    result = await send(hass, result, quality=70)
    plain = {"resolution": "640x480", "rotation": "0", "hflip": False, "vflip": False, "tuning_file": ""}
    assert entry.options == {**DEFAULT_OPTIONS, **plain, "quality": 70}


async def test_options_of_another_camera_go_back_to_their_defaults(hass: HomeAssistant) -> None:
    """After the module was changed for another kind, without telling Skylapse."""
    options = {"quality": 80, "resolution": "9999x9999", "lens_position": 99.0, "hdr": "night", "gain": "high"}
    entry = camera_entry(replace(HAWK, controls={**HAWK.controls, "HdrMode": ControlRange(0, 0, 0)}), options=options)
    shown = suggested(await opened(hass, entry))
    assert (shown["picture"]["quality"], shown["picture"]["resolution"]) == (80, "4608x2592")
    assert (shown["focus"]["lens_position"], shown["processing"]["hdr"], shown["exposure"]["gain"]) == (0.0, "off", 1.0)


@pytest.mark.parametrize(
    ("changes", "section", "key", "told"),
    [
        ({"roi_left": 60.0, "roi_width": 50.0}, "picture", "source_option_invalid", {"field": "Width that is kept", "value": "50.0"}),
        ({"tuning_file": "x" * 256}, "expert", "source_option_invalid", {"field": "Tuning file"}),
        ({"quality": 101}, "picture", "source_option_invalid", {"field": "JPEG quality"}),
        ({"exposure_mode": "manual", "exposure_ms": 300_000.0}, "exposure", "exposure_out_of_range", {"maximum": "220417486"}),
        ({"exposure_mode": "manual", "gain": 17.0}, "exposure", "gain_out_of_range", {"maximum": "16"}),
        ({"focus_mode": "fixed", "lens_position": 16.0}, "focus", "lens_position_out_of_range", {"maximum": "15"}),
    ],
)
async def test_what_the_camera_cannot_take_is_told_where_it_stands(
    hass: HomeAssistant, changes: dict[str, Any], section: str, key: str, told: dict[str, str]
) -> None:
    """In its section, which is open then; nothing that was typed is lost, and nothing kept."""
    entry = camera_entry(HAWK)
    result = await send(hass, await opened(hass, entry), **changes)
    assert (result["type"], result["errors"]) == (FlowResultType.FORM, {section: key})
    assert told.items() <= result["description_placeholders"].items()
    (await texts(hass, "options"))[f"error.{key}"].format(**result["description_placeholders"])
    assert changes.items() <= {name: value for part in SECTIONS for name, value in suggested(result)[part].items()}.items()
    sections = {str(name): part for name, part in result["data_schema"].schema.items() if str(name) in SECTIONS}
    assert [name for name, part in sections.items() if not part.options["collapsed"]] == [section]
    assert entry.options == DEFAULT_OPTIONS
    result = await send(hass, result, **{name: defaults(HAWK)[name] for name in changes})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_correction_beyond_the_cameras(hass: HomeAssistant) -> None:
    probe = replace(HAWK, controls={**HAWK.controls, "ExposureValue": ControlRange(-2.0, 2.0, 0.0)})
    result = await send(hass, await opened(hass, camera_entry(probe)), ev=3.0)
    assert result["errors"] == {"exposure": "ev_out_of_range"}


async def test_an_error_that_has_no_field_is_told_above_all(hass: HomeAssistant) -> None:
    result = await opened(hass, camera_entry(HAWK))
    with patch.object(CameraSettings, "from_options", side_effect=SourceError("source_option_invalid", field="deadline_s", value=1)):
        result = await send(hass, result)
    assert result["errors"] == {"base": "source_option_invalid"}
    assert result["description_placeholders"]["field"] == "deadline_s"


@pytest.mark.parametrize(
    ("field", "value"), [("quality", 50.5), ("ev", math.nan), ("gain", "high"), ("hflip", "yes"), ("rotation", "45"), ("resolution", "1x1")]
)
async def test_bad_input_is_refused(hass: HomeAssistant, field: str, value: Any) -> None:
    entry = camera_entry(HAWK)
    with pytest.raises(InvalidData):
        await send(hass, await opened(hass, entry), **{field: value})
    assert entry.options == DEFAULT_OPTIONS


@pytest.mark.parametrize("probe", [HAWK, PLAIN, replace(PLAIN, backend="rpicam")])
async def test_every_field_and_choice_is_explained(hass: HomeAssistant, probe: CameraProbe) -> None:
    found, choices = await texts(hass, "options"), await texts(hass, "selector")
    result = await opened(hass, camera_entry(probe))
    for key, value in result["data_schema"].schema.items():
        inner = value.schema.schema if str(key) in SECTIONS else None
        place = f"step.camera.sections.{key}." if inner else "step.camera."
        if inner:
            assert found[f"{place}name"]
        for name, field in (inner or {key: value}).items():
            assert found[f"{place}data.{name}"]
            assert found[f"{place}data_description.{name}"].format(**result["description_placeholders"])
            if words := getattr(field, "config", {}).get("translation_key"):
                assert all(choices[f"{words}.options.{option}"] for option in field.config["options"])
