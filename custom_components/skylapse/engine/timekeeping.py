"""Whether the host's clock can be believed: a Raspberry Pi has no battery clock and may start in 1970."""

from datetime import UTC, datetime, timedelta

from .ports import Clock

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Skylapse is younger than nothing before this: a clock that shows less has not been set."""

JUMP = timedelta(seconds=1)
"""Differences between wall and monotonic clock up to this are ordinary slewing."""


class ClockWatch:
    """Tells steps of the wall clock (time servers, suspend, a person) from time passing."""

    def __init__(self, clock: Clock) -> None:
        """Remember how wall and monotonic clock stand to each other."""
        self._clock = clock
        self._offset_s = self._measure()

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    @property
    def is_set(self) -> bool:
        """Return whether the wall clock shows a believable date."""
        return self._clock.now() >= EARLIEST

    def jump(self) -> timedelta | None:
        """Return by how much the wall clock was stepped since the last call; None if it was not."""
        offset_s = self._measure()
        step = timedelta(seconds=offset_s - self._offset_s)
        self._offset_s = offset_s
        return step if abs(step) > JUMP else None
