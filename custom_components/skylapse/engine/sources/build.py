"""Makes the source that a config entry describes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import SourceError
from ..ports import Clock, FetchImage, Site
from .base import FrameSource
from .entity import EntitySource
from .simulated import SimulatedSource

WIDTH_RANGE: Final = (64, 7680)
HEIGHT_RANGE: Final = (48, 4320)
QUALITY_RANGE: Final = (1, 100)
DELAY_RANGE_MS: Final = (0, 600_000)
PERCENT_RANGE: Final = (0, 100)
SEED_RANGE: Final = (-(2**63), 2**63 - 1)

_ENTITY_ID_PARTS: Final = 2


def build_source(
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    site: Callable[[], Site],
    clock: Clock,
    fetch_image: FetchImage,
) -> FrameSource:
    """Return the source of a config entry's data and options; options that are not there have their defaults.

    Raises ``SourceError``: ``source_unknown`` for a kind that this version does not know, ``source_option_invalid`` with
    the field's name for a value it cannot work with.
    """
    kind = data.get("source")
    if kind == "simulated":
        return SimulatedSource(
            site,
            clock,
            _whole(data, "seed", 0, SEED_RANGE),
            width=_whole(options, "width", 1920, WIDTH_RANGE),
            height=_whole(options, "height", 1080, HEIGHT_RANGE),
            quality=_whole(options, "quality", 90, QUALITY_RANGE),
            delay_ms=_whole(options, "delay_ms", 0, DELAY_RANGE_MS),
            failure_percent=_number(options, "failure_percent", 0, PERCENT_RANGE),
            hang_percent=_number(options, "hang_percent", 0, PERCENT_RANGE),
        )
    if kind == "entity":
        entity_id = data.get("entity_id")
        if not isinstance(entity_id, str) or len([part for part in entity_id.split(".") if part]) != _ENTITY_ID_PARTS:
            raise SourceError("source_option_invalid", field="entity_id", value=entity_id)
        return EntitySource(entity_id, fetch_image, clock)
    raise SourceError("source_unknown", source=kind)


def _number(values: Mapping[str, Any], field: str, default: float, allowed: tuple[int, int]) -> float:
    """Return a number of a form within its range, both ends included."""
    value = values.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not allowed[0] <= value <= allowed[1]:
        raise SourceError("source_option_invalid", field=field, value=value)
    return value


def _whole(values: Mapping[str, Any], field: str, default: int, allowed: tuple[int, int]) -> int:
    """Return a whole number of a form, which may come as 1920.0."""
    value = _number(values, field, default, allowed)
    if value != int(value):
        raise SourceError("source_option_invalid", field=field, value=value)
    return int(value)
