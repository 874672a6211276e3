"""What the engine needs from its host, as small protocols. The shell implements them over Home Assistant, tests over fakes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
import time
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time, and waiting."""

    def now(self) -> datetime:
        """Return the wall clock's instant, timezone-aware UTC."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Wait for that many monotonic seconds; 0 or less yields once."""


class SystemClock:
    """The host's own clocks."""

    def now(self) -> datetime:
        """Return the wall clock's instant, timezone-aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the event loop's seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Site:
    """Where the station stands. Degrees (north and east positive), metres, and the zone of its civil time."""

    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    timezone: tzinfo


@dataclass(frozen=True, slots=True)
class EntityReading:
    """The state of one of the host's entities; ``state`` is None while it is unknown or unavailable."""

    entity_id: str
    state: str | None
    number: float | None = None
    """What a range is compared with where that is not the state itself: a weather's cloud cover in %."""


ReadEntity = Callable[[str], EntityReading]
"""Reads an entity's state now."""

FetchImage = Callable[[str, float], Awaitable[bytes]]
"""``await fetch(entity_id, timeout_s)``: one picture of another camera. Raises ``SourceError``."""
