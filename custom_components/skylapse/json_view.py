"""Shows the engine's values as plain JSON, for responses of actions and for diagnostics."""

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

from homeassistant.util.json import JsonValueType


def to_json(value: Any) -> JsonValueType:
    """Return the value with dataclasses as objects, instants in ISO 8601, durations in seconds and sets as sorted lists.

    What JSON has no word for is shown as its text; a dataclass's fields that its ``repr`` leaves out, secrets and pictures, are left out here, too.
    """
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return to_json(value.value)
        case str():
            return value
        case date() | time():  # a datetime is a date, too
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case PurePath():
            return value.as_posix()
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case AbstractSet():
            return sorted((to_json(item) for item in value), key=str)
        case list() | tuple():
            return [to_json(item) for item in value]
        case _ if is_dataclass(value):
            return {field.name: to_json(getattr(value, field.name)) for field in fields(value) if field.repr}
    return str(value)
