"""What is done with a camera beside photographing for the record: trying it, measuring it, aiming and focusing it.

Everything here holds the camera as an exposure does, so that nothing overlaps; only the live view does not, because its source lets
captures go first.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from .baseline import BaselineReport, Speedup, speedups, timings
from .brightness import Brightness, brightness_of
from .capture import Photographer
from .errors import Busy, SkylapseError, SourceError
from .frames.catalogue import Catalogue
from .ports import Clock
from .sources.base import FrameSource, Shot
from .sources.live import Autofocus, FocusSweep, LiveCamera

SETTING_BASELINE = "baseline_ms"

ROOM_S = 1.0
"""A capture that is due sooner than this, or than the work takes, goes first."""

SWEEP_S = 120.0
FOCUS_S = 30.0


@dataclass(frozen=True, slots=True)
class TestCapture:
    """A frame that was taken to be looked at and is kept nowhere."""

    shot: Shot
    duration_ms: int
    brightness: Brightness


class CameraWork:
    """Tries, measures and adjusts one camera."""

    def __init__(
        self,
        source: FrameSource,
        photographer: Photographer,
        catalogue: Catalogue,
        clock: Clock,
        *,
        deadline_s: float,
        next_capture: Callable[[], datetime | None],
        on_change: Callable[[], None],
    ) -> None:
        """Work with ``source``, which ``photographer`` owns; ``next_capture`` tells what must not be delayed.

        ``on_change`` is called whenever what the camera tells of itself changed.
        """
        self._source = source
        self._photographer = photographer
        self._catalogue = catalogue
        self._clock = clock
        self._deadline_s = deadline_s
        self._next_capture = next_capture
        self._took_s = 0.0
        """Seconds the latest capture here took."""
        self._expected: datetime | None = None
        """What the camera was told last of when the next capture is due."""
        self._on_change = on_change
        if self.live is not None:
            self.live.subscribe(self._changed)

    @property
    def live(self) -> LiveCamera | None:
        """Return the camera if it can do more than take frames."""
        return self._source if isinstance(self._source, LiveCamera) else None

    def tell_due(self) -> None:
        """Tell a camera that can rest when it is needed next."""
        if self.live is not None and (due := self._next_capture()) != self._expected:
            self._expected = due
            self.live.expect(due)

    def _changed(self) -> None:
        if self.live is not None and self.live.reading.connected:
            self._photographer.is_there()
        self._on_change()

    async def test_capture(self, *, exposure_us: int | None = None, gain: float | None = None) -> TestCapture:
        """Take one frame, look at it and drop it. Raises ``Busy`` or ``SourceError``."""
        self._source.capabilities.check(exposure_us=exposure_us, gain=gain)
        shot, duration_ms = await self._take(exposure_us=exposure_us, gain=gain)
        return TestCapture(shot, duration_ms, await asyncio.to_thread(brightness_of, shot.jpeg))

    async def measure_baseline(self, count: int, *, baseline_ms: float | None = None, store: bool = False) -> BaselineReport:
        """Take ``count`` frames one after the other, keep none, and tell how long they took.

        They are compared with ``baseline_ms``, or else with the mean that an earlier run stored; ``store`` keeps this run's
        mean for later ones. Raises ``CatalogueError``; failed captures are part of the report.
        """
        durations: list[float] = []
        errors: dict[str, None] = {}
        for _ in range(count):
            try:
                _, duration_ms = await self._take()
            except SkylapseError as err:
                errors[err.key] = None
            else:
                durations.append(max(1.0, duration_ms))
        figures = timings(durations)
        baseline_from = "given"
        if baseline_ms is None:
            baseline_from = "stored"
            baseline_ms = await self._stored_baseline()
        speedup = None
        if figures is not None and baseline_ms is not None:
            speedup = Speedup(baseline_ms, baseline_from, *speedups(baseline_ms, durations))
        if keep := store and figures is not None:
            await self._catalogue.set_setting(SETTING_BASELINE, repr(figures.mean_ms))
        return BaselineReport(
            at=self._clock.now(),
            count=count,
            succeeded=len(durations),
            success_percent=100 * len(durations) / count,
            timings=figures,
            speedup=speedup,
            errors=tuple(errors),
            stored=keep,
        )

    async def preview(self) -> bytes:
        """Return a small JPEG of what the camera sees now. Raises ``Busy`` or ``SourceError``."""
        live = self._live("preview")
        if self._photographer.running is not None:
            raise Busy
        return await live.preview()

    async def focus_sweep(self, positions: Sequence[float] | None) -> FocusSweep:
        """Measure the sharpness at lens positions (dioptres; the camera's own choice for None). Raises ``Busy`` or ``SourceError``."""
        live = self._live("focus_sweep")
        async with self._photographer.borrowed(self._deadline_s):
            return await live.focus_sweep(positions, SWEEP_S)

    async def autofocus(self) -> Autofocus:
        """Let the camera find its focus and hold it. Raises ``Busy`` or ``SourceError``."""
        live = self._live("autofocus")
        async with self._photographer.borrowed(self._deadline_s):
            return await live.autofocus(FOCUS_S)

    async def adjust(self, *, ev: float | None = None, lens_position: float | None = None) -> None:
        """Change the exposure's bias (stops) or the focus (dioptres) from the next frame on. Raises ``SourceError``."""
        await self._live("adjust").adjust(ev=ev, lens_position=lens_position)

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[None]:
        """Let somebody else have the camera inside the block. Raises ``Busy``."""
        async with self._photographer.lent(self._deadline_s):
            yield

    def _live(self, what: str) -> LiveCamera:
        if (live := self.live) is None:
            raise SourceError("camera_cannot", what=what)
        return live

    async def _take(self, *, exposure_us: int | None = None, gain: float | None = None) -> tuple[Shot, int]:
        """Take a frame that nothing is kept of, and say how many milliseconds that took; due captures go first."""
        due = self._next_capture()
        if due is not None:
            wait_s = (due - self._clock.now()).total_seconds()
            if wait_s < max(ROOM_S, self._took_s * 1.5):
                await self._clock.sleep(wait_s + 0.05)  # right after it is when there is most room
        await self._photographer.wait_idle(self._deadline_s)
        exposure = self._photographer.begin(self._clock.now(), shared=False)
        taken = await self._photographer.expose(exposure, exposure_us=exposure_us, gain=gain)
        self._took_s = taken.duration_ms / 1000
        return taken.shot, taken.duration_ms

    async def _stored_baseline(self) -> float | None:
        """Return the mean that an earlier run stored, in milliseconds."""
        stored = (await self._catalogue.settings()).get(SETTING_BASELINE)
        return None if stored is None else float(stored)
