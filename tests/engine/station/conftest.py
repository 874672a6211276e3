"""A station on temporary folders, with fake time and a fake camera, and everything else real."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
import random
import time

import pytest

from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.ports import EntityReading, Site
from custom_components.skylapse.engine.schedule.model import Always, Schedule
from custom_components.skylapse.engine.station import Station
from custom_components.skylapse.engine.station_config import StationConfig
from custom_components.skylapse.engine.status import EventKind, StationEvent
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder

from ..fakes import AMSTERDAM, FakeClock, FakeSource, run_for

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEN = Schedule("ten", "Every ten", Always(), timedelta(seconds=10))
KEEP_ALL = RetentionRule(min_free_bytes=0, max_age=None, without_copy=False)


@dataclass
class World:
    """What a station lives in; outlasts its restarts."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOON))
    states: dict[str, str | None] = field(default_factory=dict)
    site: Site = AMSTERDAM
    events: list[StationEvent] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    restarts: list[datetime] = field(default_factory=list)
    """When a station asked to be started anew."""

    def __post_init__(self) -> None:
        self.source = FakeSource(self.clock)

    @property
    def media(self) -> Path:
        return self.folder / "media" / "skylapse" / "garden"

    @property
    def nas(self) -> Path:
        return self.folder / "nas"

    @property
    def catalogue(self) -> Path:
        return self.folder / "config" / "garden.db"

    def build(
        self,
        schedules: Sequence[Schedule] = (TEN,),
        *,
        destinations: Sequence[str] = ("nas",),
        retention: RetentionRule = KEEP_ALL,
        embed_location: bool = False,
        required: frozenset[str] | None = None,
        deadline_s: float = 5.0,
    ) -> Station:
        """Return a station that is not started."""
        folders = []
        for name in destinations:
            root = self.folder / name
            root.mkdir(exist_ok=True)
            folders.append(FolderDestination(name, name.upper(), root, prepare_folder(root), clock=self.clock))
        config = StationConfig(
            station_id="garden",
            camera="Garden",
            slug="garden",
            folder=self.media,
            catalogue_path=self.catalogue,
            schedules=tuple(schedules),
            required=frozenset(destinations) if required is None else required,
            retention=retention,
            embed_location=embed_location,
            deadline_s=deadline_s,
        )
        station = Station(
            config,
            self.source,
            folders,
            clock=self.clock,
            site=lambda: self.site,
            read_entity=lambda entity_id: EntityReading(entity_id, self.states.get(entity_id)),
            restart=lambda: self.restarts.append(self.clock.now()),
            rng=random.Random(1),
        )
        station.subscribe_events(self.events.append)
        self.stations.append(station)
        return station

    async def started(self, schedules: Sequence[Schedule] = (TEN,), **settings: object) -> Station:
        """Return a running station whose catalogue and folder are compared."""
        station = self.build(schedules, **settings)
        await station.start()
        await station.reconciled()
        return station

    async def run(self, seconds: float) -> None:
        """Let fake time pass; threads get real time to keep up."""
        await run_for(self.clock, seconds, self.settled)

    async def settled(self) -> None:
        """Let every task run until it waits for the clock, and the catalogue take what it was told."""
        quiet = 0
        end = time.monotonic() + 2
        while quiet < 30 and time.monotonic() < end:
            busy = any(station._ledger.backlog and station._ledger.error is None for station in self.stations)
            await asyncio.sleep(0.001 if busy else 0)
            quiet = 0 if busy else quiet + 1

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], seconds: float = 10) -> None:
        """Wait, in real time, until something is so."""
        end = time.monotonic() + seconds
        while True:
            result = condition()
            if await result if isinstance(result, Awaitable) else result:
                return
            assert time.monotonic() < end, "it never came to be"
            await asyncio.sleep(0.005)

    def of_kind(self, kind: EventKind) -> list[StationEvent]:
        return [event for event in self.events if event.kind is kind]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    """A world whose stations are all stopped in the end."""
    made = World(tmp_path)
    yield made
    for station in made.stations:
        await station.stop()
