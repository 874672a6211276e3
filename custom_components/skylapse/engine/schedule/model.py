"""What a schedule is: when, how often, under which gate. Plain immutable values; no sun is computed here."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

MIN_INTERVAL = timedelta(seconds=1)
MAX_INTERVAL = timedelta(days=1)
EVERY_DAY = frozenset(range(7))


class SunEvent(StrEnum):
    """An instant of the sun's day. Twilights by depression: civil 6°, nautical 12°, astronomical 18°."""

    DAWN_ASTRONOMICAL = "dawn_astronomical"
    DAWN_NAUTICAL = "dawn_nautical"
    DAWN_CIVIL = "dawn_civil"
    SUNRISE = "sunrise"
    NOON = "noon"
    SUNSET = "sunset"
    DUSK_CIVIL = "dusk_civil"
    DUSK_NAUTICAL = "dusk_nautical"
    DUSK_ASTRONOMICAL = "dusk_astronomical"
    MIDNIGHT = "midnight"


class Direction(StrEnum):
    """Which way the sun goes through an elevation band."""

    RISING = "rising"
    SETTING = "setting"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class AroundEvent:
    """From ``before`` an event of the sun until ``after`` it."""

    event: SunEvent
    before: timedelta
    after: timedelta


@dataclass(frozen=True, slots=True)
class ElevationBand:
    """While the sun's elevation, as ``sun.sun`` shows it (with refraction), lies in [min_deg, max_deg]."""

    min_deg: float
    max_deg: float
    direction: Direction = Direction.BOTH


@dataclass(frozen=True, slots=True)
class BetweenEvents:
    """From one event (plus offset, may be negative) until the next occurrence of another."""

    start: SunEvent
    end: SunEvent
    start_offset: timedelta = timedelta()
    end_offset: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Between two civil times of the site's zone; an end at or before the start lies on the next day."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Always:
    """Day and night; one window per civil day."""


When = AroundEvent | ElevationBand | BetweenEvents | TimeOfDay | Always


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition on an entity: photograph only while its state is one of ``states``, or its number in [above, below]."""

    entity_id: str
    above: float | None = None
    below: float | None = None
    states: frozenset[str] = frozenset()
    open_when_unavailable: bool = True
    """What an entity without a state means; the default loses no frame to a dead sensor."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to photograph. ``rank`` 1 is the top: an exclusive schedule, while active, makes all of greater rank wait."""

    schedule_id: str
    name: str
    when: When
    interval: timedelta
    weekdays: frozenset[int] = EVERY_DAY
    """0 = Monday ... 6 = Sunday, of the civil day on which a window starts."""
    gate: Gate | None = None
    exclusive: bool = False
    rank: int = 50
    enabled: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One run of a schedule: [start, end), UTC."""

    start: datetime
    end: datetime
    schedule_id: str


@dataclass(frozen=True, slots=True, order=True)
class Tick:
    """One due instant of one schedule: ``window.start + n * interval``."""

    at: datetime
    schedule_id: str
    window: Window
