"""The form of a schedule: its fields, and the way between them and the data of ``engine.schedule.codec``."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import Required, section
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TimeSelector,
)
import voluptuous as vol

from .engine.schedule.codec import DEFAULT_RANK, MAX_RANK, WEEKDAYS, Kind, Unavailable
from .engine.schedule.model import Direction, SunEvent
from .selectors import NumberField, SwitchField, choice, duration

CONF_KIND: Final = "kind"
SECTION_GATE: Final = "gate"

FIELDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.AROUND_EVENT: ("event", "before", "after"),
    Kind.ELEVATION: ("min_deg", "max_deg", "direction"),
    Kind.BETWEEN_EVENTS: ("start_event", "start_offset", "end_event", "end_offset"),
    Kind.TIME_OF_DAY: ("start", "end"),
    Kind.ALWAYS: (),
}
"""The fields of each kind of schedule; the form shows those of the kind that is chosen."""
_DURATIONS: Final = frozenset({"before", "after", "start_offset", "end_offset", "interval"})
GATE_FIELDS: Final = ("gate_entity", "gate_above", "gate_below", "gate_states", "gate_unavailable")

DEFAULTS: Final[Mapping[str, Any]] = {
    CONF_KIND: Kind.AROUND_EVENT.value,
    "event": SunEvent.SUNRISE.value,
    "before": 2700,
    "after": 2700,
    "min_deg": -6.0,
    "max_deg": 6.0,
    "direction": Direction.BOTH.value,
    "start_event": SunEvent.DUSK_NAUTICAL.value,
    "start_offset": 0,
    "end_event": SunEvent.DAWN_NAUTICAL.value,
    "end_offset": 0,
    "start": "22:00:00",
    "end": "05:00:00",
    "interval": 60,
    "weekdays": list(WEEKDAYS),
    "exclusive": False,
    "rank": DEFAULT_RANK,
    "gate_unavailable": Unavailable.OPEN.value,
}
"""What stands in the fields that a schedule's data does not have: those of the other kinds, and those left out."""


def _selectors() -> dict[str, Any]:
    """Return the selector of each field that depends on the kind."""
    event = choice(list(SunEvent), "sun_event")
    degrees = NumberField(-90, 90, fraction=True, unit="°")
    return {
        "event": event,
        "before": duration(),
        "after": duration(),
        "min_deg": degrees,
        "max_deg": degrees,
        "direction": choice(list(Direction), "direction"),
        "start_event": event,
        "start_offset": duration(signed=True),
        "end_event": event,
        "end_offset": duration(signed=True),
        "start": TimeSelector(),
        "end": TimeSelector(),
    }


def _schema() -> vol.Schema:
    """Return the schema of the whole form."""
    selectors = _selectors()
    fields: dict[Any, Any] = {vol.Required(CONF_NAME): TextSelector(), vol.Required(CONF_KIND): choice(FIELDS, "schedule_kind")}
    for kind, names in FIELDS.items():
        for name in names:
            fields[Required(name, visible={"field": CONF_KIND, "value": kind.value})] = selectors[name]
    gate = {
        vol.Optional("gate_entity"): EntitySelector(EntitySelectorConfig()),
        vol.Optional("gate_above"): NumberField(None, None, fraction=True),
        vol.Optional("gate_below"): NumberField(None, None, fraction=True),
        vol.Optional("gate_states"): TextSelector(TextSelectorConfig(multiple=True)),
        vol.Required("gate_unavailable", default=Unavailable.OPEN.value): choice(list(Unavailable), "gate_unavailable"),
    }
    fields |= {
        vol.Required("interval"): duration(),
        vol.Required("weekdays"): choice(WEEKDAYS, "weekday", multiple=True),
        vol.Required("exclusive"): SwitchField(),
        vol.Required("rank"): NumberField(1, MAX_RANK),
        vol.Required(SECTION_GATE): section(vol.Schema(gate), {"collapsed": True}),
    }
    return vol.Schema(fields)


SCHEMA: Final = _schema()


def form_values(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the form for a schedule."""
    values = {**DEFAULTS, **data}
    gate = {field: values.pop(field) for field in GATE_FIELDS if field in values}
    for field in _DURATIONS:
        values[field] = _parts(values[field])
    return {CONF_NAME: name, **values, SECTION_GATE: gate}


def schedule_data(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the schedule that was typed in, not checked yet."""
    kind = user_input[CONF_KIND]
    data = {CONF_KIND: kind}
    for field in (*FIELDS[kind], "interval", "weekdays", "exclusive", "rank"):
        value = user_input[field]
        data[field] = _seconds(value) if field in _DURATIONS else value
    return {**data, **user_input[SECTION_GATE]}


def form_field(field: str) -> str:
    """Return where in the form an error of a field of the data is told."""
    return SECTION_GATE if field in GATE_FIELDS else field


def _parts(seconds: float) -> dict[str, float]:
    """Return a duration as its field shows it; every part has the sign of the whole."""
    sign = -1 if seconds < 0 else 1
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return {"hours": sign * hours, "minutes": sign * minutes, "seconds": sign * rest}


def _seconds(parts: Mapping[str, Any]) -> float:
    """Return a duration's field in seconds, as ``int`` where it is whole."""
    seconds: float = cv.time_period_dict(parts).total_seconds()
    return int(seconds) if seconds.is_integer() else seconds
