"""Changes how a camera works: the space its frames may take, what is written into them, how long it may take."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.data_entry_flow import section
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from . import camera_form
from .const import (
    CAMERA_KINDS,
    CONF_PROBE,
    CONF_SOURCE,
    DEFAULT_OPTIONS,
    DEFAULT_SIMULATION,
    DOMAIN,
    KIND_SIMULATED,
    OPT_DEADLINE_S,
    OPT_DELAY_MS,
    OPT_DELETE_UNCOPIED,
    OPT_EMBED_LOCATION,
    OPT_FAILURE_PERCENT,
    OPT_HANG_PERCENT,
    OPT_HEIGHT,
    OPT_MAX_DAYS,
    OPT_MIN_FREE_GB,
    OPT_QUALITY,
    OPT_WIDTH,
)
from .engine.errors import SourceError
from .engine.sources.build import DELAY_RANGE_MS, HEIGHT_RANGE, PERCENT_RANGE, QUALITY_RANGE, WIDTH_RANGE
from .engine.sources.camera_probe import CameraProbe
from .engine.sources.camera_settings import CameraSettings
from .selectors import NumberField, SwitchField

SECTION_PICTURE: Final = "picture"
SECTION_TESTS: Final = "tests"

_COMMON: Final = {
    vol.Required(OPT_EMBED_LOCATION): SwitchField(),
    vol.Required(OPT_MIN_FREE_GB): NumberField(0.1, 1_000_000, fraction=True, unit="GB"),
    vol.Optional(OPT_MAX_DAYS): NumberField(1, 36_500, unit="d"),
    vol.Required(OPT_DELETE_UNCOPIED): SwitchField(),
    vol.Required(OPT_DEADLINE_S): NumberField(5, 600, unit="s"),
}
_SECTIONS: Final = {
    SECTION_PICTURE: {
        vol.Required(OPT_WIDTH): NumberField(*WIDTH_RANGE, unit="px"),
        vol.Required(OPT_HEIGHT): NumberField(*HEIGHT_RANGE, unit="px"),
        vol.Required(OPT_QUALITY): NumberField(*QUALITY_RANGE),
    },
    SECTION_TESTS: {
        vol.Required(OPT_DELAY_MS): NumberField(*DELAY_RANGE_MS, unit="ms"),
        vol.Required(OPT_FAILURE_PERCENT): NumberField(*PERCENT_RANGE, unit="%"),
        vol.Required(OPT_HANG_PERCENT): NumberField(*PERCENT_RANGE, unit="%"),
    },
}
"""Of a simulated camera; in the entry they lie flat beside the others."""


class SkylapseOptionsFlow(OptionsFlow):
    """One form; the entry's update listener starts the station anew."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the options, or keep them."""
        if self.config_entry.data[CONF_SOURCE] in CAMERA_KINDS:
            return await self.async_step_camera()
        if user_input is not None:
            return self.async_create_entry(data=_flat(user_input))
        simulated = self.config_entry.data[CONF_SOURCE] == KIND_SIMULATED
        fields: dict[vol.Marker, Any] = dict(_COMMON)
        if simulated:
            for name, inner in _SECTIONS.items():
                fields[vol.Required(name)] = section(vol.Schema(inner), {"collapsed": True})
        values = {**DEFAULT_OPTIONS, **DEFAULT_SIMULATION, **self.config_entry.options}
        schema = self.add_suggested_values_to_schema(vol.Schema(fields), values | dict.fromkeys(_SECTIONS, values))
        return self.async_show_form(step_id="init", data_schema=schema)

    async def async_step_camera(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the options of a camera with a worker, or keep them once the camera can take them."""
        probe = CameraProbe.from_dict(self.config_entry.data[CONF_PROBE])
        errors: dict[str, str] = {}
        told = camera_form.placeholders(probe)
        shown: Mapping[str, Any] = camera_form.values({**DEFAULT_OPTIONS, **self.config_entry.options}, probe)
        opened: list[str] = []
        if user_input is not None:
            options = {OPT_MAX_DAYS: None, **camera_form.flat(user_input)}
            try:
                CameraSettings.from_options(options, probe)
            except SourceError as err:
                section_name, field = camera_form.place_of(err)
                errors[section_name or "base"] = err.key
                told |= err.placeholders | {"field": await self._label(section_name, field)}
                shown, opened = user_input, [section_name] if section_name else []
            else:
                return self.async_create_entry(data=options)
        schema = vol.Schema({**camera_form.schema_fields(probe, opened), **_COMMON})
        return self.async_show_form(
            step_id="camera",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders=told,
        )

    async def _label(self, section_name: str | None, field: str) -> str:
        """Return what the form calls a field."""
        texts = await async_get_translations(self.hass, self.hass.config.language, "options", [DOMAIN])
        return texts.get(f"component.{DOMAIN}.options.step.camera.sections.{section_name}.data.{field}", field)


def _flat(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as they are kept: no sections, and None for the limit that was left empty."""
    options: dict[str, Any] = {OPT_MAX_DAYS: None}
    for name, value in user_input.items():
        options |= value if name in _SECTIONS else {name: value}
    return options
