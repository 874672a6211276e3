"""Schedules as flat data (forms, config subentries) and back. Here, and only here, a schedule's fields are checked.

Durations are numbers of seconds, civil times "HH:MM" or "HH:MM:SS", weekdays "mon" to "sun". Which fields there are depends on ``kind``:
``around_event``: event, before, after · ``elevation``: min_deg, max_deg, direction · ``between_events``: start_event, start_offset,
end_event, end_offset · ``time_of_day``: start, end (the same twice: the whole day from then on) · ``always``: none.
For all: interval, weekdays, exclusive, rank, and those of the gate: gate_entity, gate_above, gate_below, gate_states, gate_unavailable.
"""

from collections.abc import Mapping
from datetime import time, timedelta
from enum import StrEnum
from math import isfinite
import re
from typing import Any

from ..errors import ScheduleError
from .model import (
    EVERY_DAY,
    MAX_INTERVAL,
    MIN_INTERVAL,
    Always,
    AroundEvent,
    BetweenEvents,
    Direction,
    ElevationBand,
    Gate,
    Schedule,
    SunEvent,
    TimeOfDay,
    When,
)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_NAME = 64
MAX_WINDOW_S = 86_400
MAX_OFFSET_S = 43_200
MAX_RANK = 99
DEFAULT_RANK = 50

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_ENTITY_ID = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*\.[a-z0-9]+(?:_[a-z0-9]+)*")
_MISSING = object()


class Kind(StrEnum):
    """What a schedule goes by."""

    AROUND_EVENT = "around_event"
    ELEVATION = "elevation"
    BETWEEN_EVENTS = "between_events"
    TIME_OF_DAY = "time_of_day"
    ALWAYS = "always"


class Unavailable(StrEnum):
    """What a gate does while its entity has no usable state."""

    OPEN = "open"
    CLOSED = "closed"


def schedule_from_dict(schedule_id: str, name: str, data: Mapping[str, Any], *, enabled: bool = True) -> Schedule:
    """Return the schedule that ``data`` describes. Raises ``ScheduleError`` with the field that is wrong, missing or unknown."""
    fields = _Fields(data)
    schedule = Schedule(
        schedule_id=schedule_id,
        name=_name(name),
        when=_when(fields),
        interval=timedelta(seconds=fields.number("interval", MIN_INTERVAL.total_seconds(), MAX_INTERVAL.total_seconds())),
        weekdays=_weekdays(fields),
        gate=_gate(fields),
        exclusive=fields.flag("exclusive", default=False),
        rank=fields.whole_number("rank", 1, MAX_RANK, default=DEFAULT_RANK),
        enabled=enabled,
    )
    fields.refuse_others()
    return schedule


def schedule_to_dict(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule's data, without id, name and enabled switch. ``schedule_from_dict`` makes the same schedule of it."""
    data: dict[str, Any]
    match schedule.when:
        case AroundEvent(event, before, after):
            data = {"kind": Kind.AROUND_EVENT.value, "event": event.value, "before": _seconds(before), "after": _seconds(after)}
        case ElevationBand(min_deg, max_deg, direction):
            data = {"kind": Kind.ELEVATION.value, "min_deg": min_deg, "max_deg": max_deg, "direction": direction.value}
        case BetweenEvents(start, end, start_offset, end_offset):
            data = {
                "kind": Kind.BETWEEN_EVENTS.value,
                "start_event": start.value,
                "start_offset": _seconds(start_offset),
                "end_event": end.value,
                "end_offset": _seconds(end_offset),
            }
        case TimeOfDay(begin, until):
            data = {"kind": Kind.TIME_OF_DAY.value, "start": begin.isoformat("seconds"), "end": until.isoformat("seconds")}
        case _:
            data = {"kind": Kind.ALWAYS.value}
    data["interval"] = _seconds(schedule.interval)
    data["weekdays"] = [WEEKDAYS[day] for day in sorted(schedule.weekdays)]
    data["exclusive"] = schedule.exclusive
    data["rank"] = schedule.rank
    if (gate := schedule.gate) is not None:
        data["gate_entity"] = gate.entity_id
        if gate.above is not None:
            data["gate_above"] = gate.above
        if gate.below is not None:
            data["gate_below"] = gate.below
        if gate.states:
            data["gate_states"] = sorted(gate.states)
        data["gate_unavailable"] = (Unavailable.OPEN if gate.open_when_unavailable else Unavailable.CLOSED).value
    return data


def _seconds(duration: timedelta) -> float:
    """Return seconds, as a whole number where they are one: forms and files read better."""
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


class _Fields:
    """Reads data field by field and remembers which were read."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._known: set[str] = set()

    def get(self, field: str, default: Any = _MISSING) -> Any:
        """Return a field's value; None counts as missing, as forms send it for what was left empty."""
        self._known.add(field)
        value = self._data.get(field)
        if value is not None:
            return value
        if default is _MISSING:
            raise ScheduleError("schedule_field_missing", field=field)
        return default

    def refuse_others(self) -> None:
        """Refuse what was not asked for: a field that does nothing is a mistake."""
        for field in self._data:
            if field not in self._known:
                raise ScheduleError("schedule_field_unknown", field=field)

    def finite_number(self, field: str, default: Any = _MISSING) -> float | None:
        """Return a number that is neither infinite nor NaN."""
        value = self.get(field, default)
        if value is default:
            return None
        try:
            number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
        except OverflowError:
            number = float("inf")
        if not isfinite(number):
            raise ScheduleError("schedule_not_a_number", field=field)
        return number

    def number(self, field: str, low: float, high: float, default: Any = _MISSING) -> float:
        """Return a number in [low, high]."""
        number = self.finite_number(field, default)
        if number is None:
            return float(default)
        if not low <= number <= high:
            raise ScheduleError("schedule_out_of_range", field=field, min=f"{low:g}", max=f"{high:g}")
        return number

    def whole_number(self, field: str, low: int, high: int, default: int) -> int:
        """Return a whole number in [low, high]; forms send it as 3.0."""
        number = self.number(field, low, high, default)
        if not number.is_integer():
            raise ScheduleError("schedule_not_whole", field=field)
        return int(number)

    def choice[E: StrEnum](self, field: str, choices: type[E], default: Any = _MISSING) -> E:
        """Return one of the values of an enumeration."""
        value = self.get(field, default)
        if not isinstance(value, str) or value not in choices:
            raise ScheduleError("schedule_not_a_choice", field=field, choices=", ".join(choices))
        return choices(value)

    def flag(self, field: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.get(field, default)
        if not isinstance(value, bool):
            raise ScheduleError("schedule_not_a_flag", field=field)
        return value

    def texts(self, field: str, default: Any = _MISSING) -> list[str]:
        """Return a list of texts, none of them empty."""
        value = self.get(field, default)
        if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(text, str) and text for text in value):
            raise ScheduleError("schedule_not_a_list", field=field)
        return list(value)

    def clock(self, field: str) -> time:
        """Return a civil time."""
        value = self.get(field)
        match = _TIME.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ScheduleError("schedule_not_a_time", field=field)
        return time(int(match[1]), int(match[2]), int(match[3] or 0))


def _name(name: str) -> str:
    if not isinstance(name, str) or not (name := name.strip()):
        raise ScheduleError("schedule_name_empty", field="name")
    if len(name) > MAX_NAME:
        raise ScheduleError("schedule_name_too_long", field="name", max=MAX_NAME)
    return name


def _when(fields: _Fields) -> When:
    match fields.choice("kind", Kind):
        case Kind.AROUND_EVENT:
            event = fields.choice("event", SunEvent)
            before, after = (timedelta(seconds=fields.number(field, 0, MAX_WINDOW_S)) for field in ("before", "after"))
            if not before + after:
                raise ScheduleError("schedule_window_empty", field="after")
            if before + after > timedelta(seconds=MAX_WINDOW_S):
                raise ScheduleError("schedule_window_too_long", field="after")
            return AroundEvent(event, before, after)
        case Kind.ELEVATION:
            min_deg, max_deg = (fields.number(field, -90, 90) for field in ("min_deg", "max_deg"))
            if min_deg >= max_deg:
                raise ScheduleError("schedule_band_empty", field="max_deg")
            return ElevationBand(min_deg, max_deg, fields.choice("direction", Direction, Direction.BOTH))
        case Kind.BETWEEN_EVENTS:
            start, end = (fields.choice(field, SunEvent) for field in ("start_event", "end_event"))
            start_offset, end_offset = (
                timedelta(seconds=fields.number(field, -MAX_OFFSET_S, MAX_OFFSET_S, 0)) for field in ("start_offset", "end_offset")
            )
            if start is end and start_offset == end_offset:
                # From one sunrise to the next is longer than 24 h half of the year: "always" is what is meant.
                raise ScheduleError("schedule_window_empty", field="end_event")
            return BetweenEvents(start, end, start_offset, end_offset)
        case Kind.TIME_OF_DAY:
            return TimeOfDay(fields.clock("start"), fields.clock("end"))
        case _:
            return Always()


def _weekdays(fields: _Fields) -> frozenset[int]:
    names = fields.texts("weekdays", WEEKDAYS)
    if not names:
        raise ScheduleError("schedule_weekdays_empty", field="weekdays")
    if not set(names) <= set(WEEKDAYS):
        raise ScheduleError("schedule_not_a_choice", field="weekdays", choices=", ".join(WEEKDAYS))
    return EVERY_DAY & {WEEKDAYS.index(name) for name in names}


def _gate(fields: _Fields) -> Gate | None:
    entity_id = fields.get("gate_entity", None)
    above, below = (fields.finite_number(field, None) for field in ("gate_above", "gate_below"))
    states = frozenset(fields.texts("gate_states", ()))
    unavailable = fields.choice("gate_unavailable", Unavailable, Unavailable.OPEN)
    has_condition = above is not None or below is not None or bool(states)
    if entity_id is None:
        if has_condition:
            raise ScheduleError("schedule_gate_without_entity", field="gate_entity")
        return None
    if not isinstance(entity_id, str) or not _ENTITY_ID.fullmatch(entity_id):
        raise ScheduleError("schedule_gate_entity_malformed", field="gate_entity")
    if not has_condition:
        raise ScheduleError("schedule_gate_without_condition", field="gate_entity")
    if above is not None and below is not None and above > below:
        raise ScheduleError("schedule_gate_range_empty", field="gate_below")
    return Gate(entity_id, above, below, states, unavailable is Unavailable.OPEN)
