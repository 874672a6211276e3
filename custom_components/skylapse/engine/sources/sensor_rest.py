"""When a sensor may rest and when it has to be awake: it warms up and costs a watt while it runs, and is slow when it begins."""

from datetime import datetime
from typing import Final, Literal

from ..ports import Clock

REST_AFTER_S: Final = 60.0
"""The sensor rests when the next capture is farther away than this."""
WAKE_LEAD_S: Final = 8.0
"""So long before a capture it is woken: starting takes one or two seconds, and the automatics need some frames."""
LOOKED_AT_S: Final = 30.0
"""So long after the last preview it stays awake for the next one."""

type Step = Literal["rest", "wake"]


class SensorRest:
    """Says what to do with one sensor, and when to ask again."""

    def __init__(self, clock: Clock) -> None:
        """No capture is expected yet, and nobody looks."""
        self._clock = clock
        self._due_at: datetime | None = None
        self._woken_for: datetime | None = None
        self._looked_until: float | None = None

    def expect(self, due_at: datetime | None) -> bool:
        """Note when the next capture will be due (UTC); return whether that is news."""
        news = due_at != self._due_at
        self._due_at = due_at
        return news

    def look(self) -> None:
        """Note that somebody looks through the camera now."""
        self._looked_until = self._clock.monotonic() + LOOKED_AT_S

    @property
    def looked_at(self) -> bool:
        """Return whether somebody looked through the camera not long ago."""
        return self._looked_s() > 0

    def _looked_s(self) -> float:
        """Return for how many seconds the sensor stays awake for whoever looked."""
        return 0.0 if self._looked_until is None else self._looked_until - self._clock.monotonic()

    def due_in(self) -> float | None:
        """Return the seconds until the next capture; None if there is none, or it should have come a minute ago."""
        if self._due_at is None:
            return None
        due_in = (self._due_at - self._clock.now()).total_seconds()
        return due_in if due_in > -REST_AFTER_S else None

    def next_step(self, *, streaming: bool, ahead: bool) -> tuple[Step | None, float | None]:
        """Return what to do now, if anything, and otherwise after how many seconds to ask again (None: when something changed).

        ``ahead`` says whether the sensor is to be woken before a capture. It is tried once for each: if it fails, the capture
        starts the sensor, or tells why it cannot.
        """
        due_in = self.due_in()
        if streaming:
            if (looked_s := self._looked_s()) > 0:
                return None, looked_s
            if due_in is None or due_in > REST_AFTER_S:
                return "rest", None
            return None, due_in + REST_AFTER_S
        if not ahead or due_in is None or due_in <= 0 or self._due_at == self._woken_for:
            return None, None
        if due_in > WAKE_LEAD_S:
            return None, due_in - WAKE_LEAD_S
        self._woken_for = self._due_at
        return "wake", None
