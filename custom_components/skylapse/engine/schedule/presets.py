"""Ready-made schedules a person picks from. Each is the data of a schedule (see ``codec``) and the translation key of its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A schedule to start from; ``name_key`` is the key of its name in the translations."""

    name_key: str
    data: Mapping[str, Any]


def _preset(name_key: str, interval: int, **when: Any) -> Preset:
    return Preset(name_key, MappingProxyType({**when, "interval": interval}))


def _band(min_deg: float, max_deg: float) -> dict[str, Any]:
    return {"kind": "elevation", "min_deg": min_deg, "max_deg": max_deg, "direction": "both"}


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # The sky's colours last about three quarters of an hour on each side of the horizon at middle latitudes;
        # 10 s makes them a film of 18 s at 30 frames a second.
        "sunrise": _preset("sunrise", 10, kind="around_event", event="sunrise", before=2700, after=2700),
        "sunset": _preset("sunset", 10, kind="around_event", event="sunset", before=2700, after=2700),
        # As photographers have it: gold from 4 degrees below the horizon to 6 above it, blue from 6 to 4 below it.
        # The original Skylapse had wider bands (-6 to 6 and -12 to -6): those are in ``classic``.
        "golden_hours": _preset("golden_hours", 10, **_band(-4.0, 6.0)),
        "blue_hours": _preset("blue_hours", 10, **_band(-6.0, -4.0)),
        # The sun's upper edge above the horizon, where ``sun.sun`` is above_horizon. Works in the polar day as well.
        "daylight": _preset("daylight", 60, **_band(-0.833, 90.0)),
        # From the end of nautical twilight: the eye sees stars; up to 54 degrees north it comes every night of the year.
        "night": _preset("night", 60, **_band(-90.0, -12.0)),
        "all_day": _preset("all_day", 60, kind="always"),
    }
)


def classic(lux_entity: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Return the five rules of the original Skylapse as (name key, data): the first that applies wins, so all are exclusive and ranked.

    The edges the bands share go to the upper rank. With a light sensor, daylight also takes 1000 lx and low light is any time with
    at most 100 lx, as in the original; without one, or while it is unavailable, the sun alone decides.
    """
    daylight: dict[str, Any] = {**_band(6.0, 90.0), "interval": 300}
    low_light: dict[str, Any] = {**_band(-90.0, -12.0), "interval": 600}
    if lux_entity is not None:
        daylight |= {"gate_entity": lux_entity, "gate_above": 1000.0, "gate_unavailable": "open"}
        low_light = {"kind": "always", "interval": 600, "gate_entity": lux_entity, "gate_below": 100.0, "gate_unavailable": "open"}
    rules: list[tuple[str, dict[str, Any]]] = [
        ("classic_golden", {**_band(-6.0, 6.0), "interval": 30}),
        ("classic_blue", {**_band(-12.0, -6.0), "interval": 60}),
        ("classic_daylight", daylight),
        ("classic_low_light", low_light),
        ("classic_fallback", {"kind": "always", "interval": 300}),
    ]
    return [(name_key, {**data, "exclusive": True, "rank": 10 * place}) for place, (name_key, data) in enumerate(rules, start=1)]
