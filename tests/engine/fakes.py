"""Time and failure, the two things that tests of the station make up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
import itertools
from typing import Any, override
from zoneinfo import ZoneInfo

from PIL import Image

from custom_components.skylapse.engine.errors import SkylapseError
from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot, SourceCapabilities, SourceIdentity
from custom_components.skylapse.engine.sources.live import Autofocus, CameraReading, FocusStep, FocusSweep, LiveCamera

AMSTERDAM = Site(latitude_deg=52.37, longitude_deg=4.89, elevation_m=2.0, timezone=ZoneInfo("Europe/Amsterdam"))
TROMSO = Site(latitude_deg=69.65, longitude_deg=18.96, elevation_m=10.0, timezone=ZoneInfo("Europe/Oslo"))


class FakeClock:
    """A clock that moves only when told to; ``step`` moves the wall clock alone, as a time server does."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, next(self._order), future))
        await future

    def step(self, by: timedelta) -> None:
        self._now += by

    def next_due(self) -> float | None:
        """Monotonic second at which the next sleeper wakes."""
        self._sleepers = [entry for entry in self._sleepers if not entry[2].done()]
        return min((due for due, _, _ in self._sleepers), default=None)

    def pass_time(self, until: float) -> None:
        """Move both clocks to that monotonic second and wake who is due."""
        self._now += timedelta(seconds=until - self._monotonic)
        self._monotonic = until
        for due, _, future in sorted(self._sleepers, key=lambda entry: entry[:2]):
            if due <= until + 1e-9 and not future.done():
                future.set_result(None)


async def run_for(clock: FakeClock, seconds: float, settled: Callable[[], Awaitable[None]]) -> None:
    """Let that much fake time pass, sleeper by sleeper, with ``settled`` awaited after each."""
    end = clock.monotonic() + seconds
    await settled()
    while (due := clock.next_due()) is not None and due <= end:
        clock.pass_time(due)
        await settled()
    clock.pass_time(end)
    await settled()


def jpeg(number: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a small whole JPEG that differs with ``number``."""
    picture = Image.new("RGB", size, (number % 256, number // 256 % 256, number // 65536 % 256))
    out = BytesIO()
    picture.save(out, "JPEG", comment=f"frame {number}".encode())
    return out.getvalue()


def dng(number: int = 0, size: int = 5000) -> bytes:
    """Return so many bytes that begin as a DNG does and differ with ``number``."""
    return b"II\x2a\x00\x08\x00\x00\x00\x00\x00" + f"raw {number} ".encode() + bytes(number * 7 + i & 0xFF for i in range(size))


class FakeSource:
    """A camera that does what the test says: ``script`` gives the next outcomes, then it works."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self.script: list[SkylapseError | Exception | float] = []
        """An error is raised; a number of seconds (of the fake clock) is how long the exposure takes."""
        self.exposure_s = 0.0
        self.dngs = False
        """Whether a DNG comes with each picture."""
        self.requests: list[CaptureRequest] = []
        self.starts = 0
        self.closes = 0
        self.start_error: SkylapseError | None = None
        self.start_s = 0.0

    @property
    def identity(self) -> SourceIdentity:
        return SourceIdentity("fake", "Test", "Fake camera", "1")

    @property
    def capabilities(self) -> SourceCapabilities:
        return SourceCapabilities(True, True, True, exposure_range_us=(10, 200_000_000), gain_range=(1.0, 16.0))

    async def start(self) -> None:
        self.starts += 1
        if self.start_s:
            await self._clock.sleep(self.start_s)
        if self.start_error is not None:
            raise self.start_error

    async def capture(self, request: CaptureRequest) -> Shot:
        self.requests.append(request)
        outcome = self.script.pop(0) if self.script else self.exposure_s
        if isinstance(outcome, Exception):
            raise outcome
        taken_at = self._clock.now()
        if outcome:
            await self._clock.sleep(outcome)
        number = next(self._numbers)
        raw = dng(number) if self.dngs else None
        return Shot(jpeg(number), taken_at, exposure_us=request.exposure_us or 1000, gain=request.gain or 1.0, lux=100.0, dng=raw)

    async def close(self) -> None:
        self.closes += 1


class FakeLiveCamera(FakeSource, LiveCamera):
    """A fake camera with a worker: notes what it is told, shows what the test set."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.reading_now = CameraReading(connected=True)
        self.listeners: list[Callable[[], None]] = []
        self.expected: list[datetime | None] = []
        self.told: list[tuple[str, object]] = []
        self.sweep_s = 0.0
        self.preview_error: SkylapseError | None = None
        self.error_now: SkylapseError | None = None

    @property
    @override
    def reading(self) -> CameraReading:
        return self.reading_now

    @property
    @override
    def error(self) -> SkylapseError | None:
        return self.error_now

    def tell(self, reading: CameraReading) -> None:
        self.reading_now = reading
        for listener in self.listeners:
            listener()

    @override
    def subscribe(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(on_change)
        return lambda: self.listeners.remove(on_change)

    @override
    def expect(self, due_at: datetime | None) -> None:
        self.expected.append(due_at)

    @override
    async def preview(self) -> bytes:
        if self.preview_error is not None:
            raise self.preview_error
        return jpeg(7)

    @override
    async def focus_sweep(self, positions: Sequence[float] | None, deadline_s: float) -> FocusSweep:
        self.told.append(("focus_sweep", positions))
        await self._clock.sleep(self.sweep_s)
        return FocusSweep((FocusStep(0.0, 0.0, 1.0), FocusStep(2.0, 2.0, 5.0)), 2.0)

    @override
    async def autofocus(self, deadline_s: float) -> Autofocus:
        self.told.append(("autofocus", deadline_s))
        return Autofocus(True, 1.5)

    @override
    async def adjust(self, *, ev: float | None = None, lens_position: float | None = None) -> None:
        self.told.append(("adjust", (ev, lens_position)))

    @override
    def diagnostics(self) -> Mapping[str, Any]:
        return {"worker": "fake"}


class TinySource(FakeSource):
    """The fake camera on the real clock: small pictures, each different, as fast as they are asked for."""

    dng_bytes = 0
    """Size of the DNG that comes with two of three pictures; 0 for none."""

    @override
    async def capture(self, request: CaptureRequest) -> Shot:
        shot = await super().capture(request)
        number = len(self.requests)
        raw = dng(number, self.dng_bytes) if self.dng_bytes and number % 3 else None
        return replace(shot, taken_at=datetime.now(UTC), dng=raw)
