"""What the tests of the flows share."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_USER, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.translation import async_get_translations
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.const import DEFAULT_OPTIONS, DEFAULT_SIMULATION, DOMAIN

MORE: dict[str, Any] = {"more": {}}


@contextmanager
def no_station(hass: HomeAssistant, media: Path) -> Generator[None]:
    """Keep frames below ``media``, and let entries load without a station: it is the flow that is tested."""
    hass.config.media_dirs = {"local": str(media)}
    with patch("custom_components.skylapse.async_setup_entry", return_value=None):
        yield


async def local_camera(hass: HomeAssistant, path: Path) -> str:
    """Set up a camera of Home Assistant that shows a file; return its entity's id."""
    entry = MockConfigEntry(domain="local_file", title=path.stem, options={"file_path": str(path)})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return f"camera.{path.stem}"


def simulated_entry(seed: int = 7, title: str = "Garden", subentries: Iterable[ConfigSubentryData] = (), **options: Any) -> MockConfigEntry:
    """Return the entry of a simulated camera."""
    return MockConfigEntry(
        domain=DOMAIN,
        title=title,
        unique_id=f"simulated:{seed}",
        data={"source": "simulated", "slug": title.lower(), "seed": seed},
        options={**DEFAULT_OPTIONS, **DEFAULT_SIMULATION, **options},
        subentries_data=list(subentries),
    )


async def start(hass: HomeAssistant, *steps: str) -> dict[str, Any]:
    """Start to add a camera and choose from its menus."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.MENU
    for step in steps:
        result = await go(hass, result, {"next_step_id": step})
    return result


async def go(hass: HomeAssistant, result: Mapping[str, Any], user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Send a step of the config flow, and wait for the test picture if it takes one."""
    result = await hass.config_entries.flow.async_configure(result["flow_id"], dict(user_input))
    if result["type"] is FlowResultType.SHOW_PROGRESS:
        assert result["progress_action"] == "shot"
        await hass.async_block_till_done()
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    return result


async def start_subentry(hass: HomeAssistant, entry: MockConfigEntry, subentry_type: str) -> dict[str, Any]:
    """Start to add a schedule or a destination."""
    return await hass.config_entries.subentries.async_init((entry.entry_id, subentry_type), context={"source": SOURCE_USER})


async def go_subentry(hass: HomeAssistant, result: Mapping[str, Any], user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Send a step of a subentry flow."""
    return await hass.config_entries.subentries.async_configure(result["flow_id"], dict(user_input))


def suggested(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in a form when it opens."""

    def values(schema: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in schema.schema.items():
            if hasattr(value, "schema"):
                found[str(key)] = values(value.schema)
            elif key.description and key.description["suggested_value"] is not None:
                found[str(key)] = key.description["suggested_value"]
        return found

    return values(result["data_schema"])


async def texts(hass: HomeAssistant, category: str) -> dict[str, str]:
    """Return the English texts of a category, without what all their keys begin with."""
    found = await async_get_translations(hass, "en", category, [DOMAIN])
    return {key.removeprefix(f"component.{DOMAIN}.{category}."): text for key, text in found.items()}


async def assert_told(hass: HomeAssistant, result: Mapping[str, Any], errors: Mapping[str, str], flow: str = "config") -> None:
    """See that a form shows these errors, each with a text whose placeholders are all filled."""
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == errors
    category, _, kind = flow.partition(".")
    found = await texts(hass, category)
    for key in errors.values():
        text = found[f"{kind}.error.{key}" if kind else f"error.{key}"]
        text.format(**result["description_placeholders"])
