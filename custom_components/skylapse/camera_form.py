"""The form for how a camera takes pictures: only what this camera can do is offered, within what it can take."""

from collections.abc import Iterable, Mapping
import math
from typing import Any, Final

from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import SelectOptionDict, SelectSelector, SelectSelectorConfig, SelectSelectorMode, TextSelector
import voluptuous as vol

from .engine.errors import SkylapseError
from .engine.sources.camera_probe import CameraProbe
from .engine.sources.camera_settings import defaults, offered_choices, offered_ranges, offered_switches
from .selectors import LimitedField, SwitchField, choice

RESOLUTION: Final = "resolution"
TUNING_FILE: Final = "tuning_file"

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "picture": (RESOLUTION, "quality", "rotation", "hflip", "vflip", "roi_left", "roi_top", "roi_width", "roi_height", "dng"),
    "exposure": ("exposure_mode", "ev", "metering", "exposure_ms", "gain"),
    "colours": ("white_balance", "gain_red", "gain_blue"),
    "focus": ("focus_mode", "lens_position"),
    "processing": ("noise_reduction", "sharpness", "contrast", "saturation", "brightness", "hdr"),
    "expert": (TUNING_FILE,),
}
"""In the entry the fields lie flat beside the others."""
FIELDS: Final = frozenset(field for fields in SECTIONS.values() for field in fields)

_WHOLE: Final = frozenset({"quality"})
_UNITS: Final = {
    "ev": "EV",
    "exposure_ms": "ms",
    "lens_position": "dpt",
    **dict.fromkeys(("roi_left", "roi_top", "roi_width", "roi_height"), "%"),
}
_WORDS: Final = {
    "rotation": "camera_rotation",
    "exposure_mode": "camera_exposure_mode",
    "metering": "camera_metering",
    "white_balance": "camera_white_balance",
    "focus_mode": "camera_focus_mode",
    "noise_reduction": "camera_noise_reduction",
    "hdr": "camera_hdr",
}
"""Under which key the translations have the words for a field's choices."""
_TOLD: Final = {
    "ev": ("ev_min", "ev_max"),
    "exposure_ms": ("exposure_ms_min", "exposure_ms_max"),
    "gain": ("gain_min", "gain_max"),
    "lens_position": ("lens_position_min", "lens_position_max"),
}
"""Numbers whose range differs from camera to camera: their descriptions tell it."""
_FIELD_OF_ERROR: Final = {
    "exposure_out_of_range": "exposure_ms",
    "gain_out_of_range": "gain",
    "ev_out_of_range": "ev",
    "lens_position_out_of_range": "lens_position",
}


def schema_fields(probe: CameraProbe, opened: Iterable[str] = ()) -> dict[vol.Marker, Any]:
    """Return the sections of the form for a camera; those in ``opened`` show their fields at once."""
    fields: dict[str, Any] = {
        **{name: _select(name, values) for name, values in offered_choices(probe).items()},
        **{
            name: LimitedField(*limits, fraction=name not in _WHOLE, unit=_UNITS.get(name))
            for name, limits in offered_ranges(probe).items()
        },
        **dict.fromkeys(offered_switches(probe), SwitchField()),
        TUNING_FILE: TextSelector(),
    }
    shown: dict[vol.Marker, Any] = {}
    for name, members in SECTIONS.items():
        inner = {_marker(field): fields[field] for field in members if field in fields}
        if inner:
            shown[vol.Required(name)] = section(vol.Schema(inner), {"collapsed": name not in opened})
    return shown


def placeholders(probe: CameraProbe) -> dict[str, str]:
    """Return what the descriptions tell of this camera's limits."""
    ranges = offered_ranges(probe)
    return {
        name: f"{limit:.6g}"
        for field, names in _TOLD.items()
        for name, limit in zip(names, ranges.get(field, (math.nan, math.nan)), strict=True)
    }


def values(options: Mapping[str, Any], probe: CameraProbe) -> dict[str, Any]:
    """Return what the form shows: the options as far as the camera takes them, else its defaults."""
    flat = {**defaults(probe), **fitting(options, probe)}
    return flat | dict.fromkeys(SECTIONS, flat)


def flat(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form's options without its sections."""
    options: dict[str, Any] = {}
    for name, value in user_input.items():
        options |= value if name in SECTIONS else {name: value}
    return options


def fitting(options: Mapping[str, Any], probe: CameraProbe) -> dict[str, Any]:
    """Return the options without those that this camera cannot take: it may not be the camera they were chosen for."""
    choices, ranges, switches = offered_choices(probe), offered_ranges(probe), offered_switches(probe)

    def fits(field: str, value: Any) -> bool:
        if field in ranges:
            return isinstance(value, int | float) and ranges[field][0] <= value <= ranges[field][1]
        return value in choices.get(field, ()) or field in switches or field == TUNING_FILE

    return {field: value for field, value in options.items() if field not in FIELDS or fits(field, value)}


def place_of(error: SkylapseError) -> tuple[str | None, str]:
    """Return the section that an error belongs to, None if it is none of theirs, and the field."""
    field = _FIELD_OF_ERROR.get(error.key) or error.placeholders.get("field", "–")
    return next((name for name, members in SECTIONS.items() if field in members), None), field


def _select(field: str, offered: tuple[str, ...]) -> SelectSelector:
    """Return a field to choose from; a resolution speaks for itself."""
    if field != RESOLUTION:
        return choice(offered, _WORDS[field])
    sizes = [SelectOptionDict(value=size, label=size.replace("x", " × ")) for size in offered]
    return SelectSelector(SelectSelectorConfig(options=sizes, mode=SelectSelectorMode.DROPDOWN))


def _marker(field: str) -> vol.Marker:
    """Return a field's marker; a text may be left empty."""
    return vol.Optional(field) if field == TUNING_FILE else vol.Required(field)
