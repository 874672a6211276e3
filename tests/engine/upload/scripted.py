"""Time and failure for tests of the queue."""

# ruff: noqa: ASYNC110  - conditions of any kind are waited for

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import hashlib
import os
from pathlib import Path
from random import Random
from typing import Any

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import UploadRecord, UploadState
from custom_components.skylapse.engine.status import EventKind
from custom_components.skylapse.engine.upload.destination import Delivery, Destination, Proof, ProofMethod
from custom_components.skylapse.engine.upload.queue import UploadQueue

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class SwiftClock:
    """A clock on which all waiting is over at once, and time has passed by as much. It stands still at ``end``."""

    def __init__(self, end_s: float = 0.0) -> None:
        self.seconds = 0.0
        self.end_s = end_s
        self.jump = timedelta()
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds) + self.jump

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        due = self.seconds + seconds
        while due > self.end_s:
            self._moved.clear()
            await self._moved.wait()
        await asyncio.sleep(0)
        self.seconds = max(self.seconds, due)

    def let_pass(self, seconds: float) -> None:
        self.end_s += seconds
        self._moved.set()


class ScriptedDestination:
    """A destination that does as it is told."""

    destination_id = "d"
    name = "Scripted"

    def __init__(self, clock: SwiftClock) -> None:
        self.clock = clock
        self.down: DestinationError | Exception | None = None
        self.fails: Callable[[Delivery], DestinationError | Exception | None] = lambda _delivery: None
        self.checks: list[float] = []
        self.delivered: list[str] = []
        self.attempts: list[tuple[float, str]] = []
        self.hold: asyncio.Event | None = None
        self.held = 0

    async def check(self) -> None:
        self.checks.append(self.clock.seconds)
        await self._held()
        if self.down is not None:
            raise self.down

    async def deliver(self, delivery: Delivery) -> Proof:
        self.attempts.append((self.clock.seconds, delivery.remote_path))
        await self._held()
        if (error := self.fails(delivery)) is not None:
            raise error
        self.delivered.append(delivery.remote_path)
        return Proof(delivery.sha256, delivery.size_bytes, ProofMethod.READ_BACK, self.clock.now())

    async def prove(self, remote_path: str) -> Proof | None:
        return None

    async def close(self) -> None:
        """Nothing to let go."""

    async def _held(self) -> None:
        if self.hold is not None:
            self.held += 1
            try:
                await self.hold.wait()
            finally:
                self.held -= 1


class Bench:
    """A queue with a real catalogue."""

    def __init__(self, folder: Path, clock: SwiftClock, destination: Destination | None = None, **options: int) -> None:
        self.folder = folder
        self.clock = clock
        self.scripted = ScriptedDestination(clock)
        self.destination = destination or self.scripted
        self.catalogue = Catalogue(folder / "catalogue.db", clock, folder=folder / "frames")
        self.events: list[tuple[EventKind, dict[str, Any]]] = []
        self.changed = asyncio.Event()
        self.queue = UploadQueue(
            self.destination,
            self.catalogue,
            clock,
            on_change=self.changed.set,
            on_event=lambda kind, data: self.events.append((kind, data)),
            rng=Random(1),
            **options,
        )

    async def add(self, *names: str, content: bytes | None = None) -> list[int]:
        """Queue files of random content."""
        items = []
        for name in names:
            data = content or os.urandom(100)
            path = self.folder / name.replace("/", "_")
            path.write_bytes(data)
            items.append((str(path), name, len(data), hashlib.sha256(data).hexdigest()))
        records = await self.catalogue.enqueue_files(items, [self.destination.destination_id])
        self.queue.wake()
        return [record.upload_id for record in records]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that must happen."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_state(self, upload_id: int, state: UploadState, attempts: int | None = None) -> UploadRecord:
        """Wait for a row to get somewhere."""
        async with asyncio.timeout(30):
            while True:
                (record,) = await self.catalogue.uploads([upload_id])
                if record.state == state and attempts in {None, record.attempts}:
                    return record
                await asyncio.sleep(0.001)

    async def states(self) -> dict[str, int]:
        """Return how many rows are in which state."""
        counts = (await self.catalogue.counts())[self.destination.destination_id]
        return {state.value: getattr(counts, state.value) for state in UploadState if getattr(counts, state.value)}
