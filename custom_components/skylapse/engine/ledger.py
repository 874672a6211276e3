"""Writes to the catalogue that must not hold up the camera: done in order, kept when the catalogue cannot take them.

A photograph has to start on time even while an earlier one's transaction waits for a slow card. So what the capture
room has to say (frames, failed and missed slots, sessions) is put here and written by one task, in order. A write that
fails because the disk is full or read-only stays at the head and is tried again; nothing behind it overtakes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
import logging

from .errors import SkylapseError
from .ports import Clock

_LOGGER = logging.getLogger(__name__)

Write = Callable[[], Awaitable[None]]
GivenUp = Callable[[SkylapseError], None]

RETRY_S = 10.0
"""Seconds between tries while the catalogue cannot be written."""

HEALING = frozenset({"disk_full", "read_only", "storage_failed"})
"""What passes by itself or by a person's hand: such a write is tried for ever."""

HOPELESS = frozenset({"catalogue_corrupt"})
"""What no further try changes: such a write is given up at once, so that frames still reach the disk while the catalogue is broken."""

TRIES = 3
"""How often a write is tried that failed for any other reason, before it is given up so that the line moves on."""


class Ledger:
    """One ordered line of writes."""

    def __init__(self, clock: Clock, on_change: Callable[[], None]) -> None:
        """Write with ``clock`` pacing the retries; ``on_change`` is called when ``error`` changes."""
        self._clock = clock
        self._on_change = on_change
        self._writes: deque[tuple[Write, GivenUp | None]] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None
        self._tries = 0
        self.error: SkylapseError | None = None
        """Why the head of the line cannot be written, None while all is well."""

    @property
    def backlog(self) -> int:
        """Return how many writes wait."""
        return len(self._writes)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="skylapse ledger")

    async def stop(self, timeout_s: float) -> int:
        """Write what is waiting, for at most that long; return how many writes were left undone."""
        if self._task is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._empty.wait()
            except TimeoutError:
                _LOGGER.warning("%d entries of the catalogue were not written in time", self.backlog)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        return self.backlog

    def put(self, write: Write, given_up: GivenUp | None = None) -> None:
        """Add a write to the end of the line; ``given_up`` is called with the error if it is dropped after ``TRIES``."""
        self._writes.append((write, given_up))
        self._empty.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._writes:
                if not await self._write_head():
                    await self._clock.sleep(RETRY_S)
            self._empty.set()

    async def _write_head(self) -> bool:
        write, given_up = self._writes[0]
        try:
            await write()
        except Exception as unexpected:  # whatever it is, the line must not stand still silently
            err = unexpected if isinstance(unexpected, SkylapseError) else SkylapseError("unexpected", error=type(unexpected).__name__)
            if err is not unexpected:
                _LOGGER.exception("A catalogue entry failed unexpectedly")
            if self.error is None or self.error.key != err.key:
                _LOGGER.error("The catalogue cannot be written (%s); %d entries wait", err, self.backlog)
                self.error = err
                self._on_change()
            self._tries += 1
            if err.key in HEALING or (err.key not in HOPELESS and self._tries < TRIES):
                return False
            _LOGGER.error("A catalogue entry was given up after %d tries (%s)", self._tries, err)
            self._advance()
            if given_up is not None:
                given_up(err)
            return True
        self._advance()
        if self.error is not None:
            _LOGGER.info("The catalogue can be written again")
            self.error = None
            self._on_change()
        return True

    def _advance(self) -> None:
        self._writes.popleft()
        self._tries = 0
