"""Whether a destination is up, and when to look again if it is not."""

from datetime import datetime
from random import Random

from ..errors import DestinationError
from ..ports import Clock
from .backoff import upload_backoff


class Outage:
    """One destination's availability.

    It starts unknown and due for a look. After an outage a good look puts it on trial: only a delivered file (or nothing to
    deliver) ends the outage, because a look finds a folder that can be written, not one with room for a whole file.
    """

    def __init__(self, clock: Clock, rng: Random) -> None:
        """Begin unknown."""
        self._clock = clock
        self._rng = rng
        self._due = 0.0
        self._failures = 0
        self.available: bool | None = None
        """None until it was tried."""
        self.error: DestinationError | None = None
        self.next_try_at: datetime | None = None
        self.to_look = True
        """Nothing may be sent before it was looked at again."""

    @property
    def on_trial(self) -> bool:
        """Return whether the next file decides."""
        return not self.to_look and self.available is not True

    @property
    def wait_s(self) -> float:
        """Return the seconds until it is to be looked at; counted by a clock that never jumps."""
        return max(0.0, self._due - self._clock.monotonic())

    def fail(self, error: DestinationError) -> bool:
        """Note that it is down and wait longer than the time before; returns True if it was not known to be."""
        news = self.available is not False
        self._failures += 1
        pause = upload_backoff(self._failures, self._rng)
        self.available, self.error, self.to_look = False, error, True
        self._due = self._clock.monotonic() + pause.total_seconds()
        self.next_try_at = self._clock.now() + pause
        return news

    def looked(self) -> None:
        """Note that the look was good."""
        self.to_look = False
        self.next_try_at = None
        if self.available is None:
            self.available = True

    def recover(self) -> bool:
        """Note that a file was delivered; returns True if an outage ended."""
        ended = self.available is False
        self._failures = 0
        self.available, self.error, self.to_look, self.next_try_at = True, None, False, None
        return ended

    def look_now(self) -> None:
        """Do not wait any longer."""
        if self.to_look:
            self._due = self._clock.monotonic()
            self.next_try_at = None
