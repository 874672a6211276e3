"""The camera's one exposure at a time: who it is for, what becomes of it, and what a failure means for the next."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import logging

from .errors import Busy, CaptureTimeout, SkylapseError, SourceError
from .ports import Clock
from .schedule.backoff import capture_backoff
from .schedule.model import Tick
from .sources.base import CaptureRequest, FrameSource, Shot
from .sources.live import LiveCamera

_LOGGER = logging.getLogger(__name__)

GRACE_S = 2.0
"""Seconds a source may overrun its deadline before it is cancelled: it should have given up by itself."""

CLOSE_S = 10.0
"""Seconds a source may take to let the camera go."""

BROKEN = "The source broke its contract"

START_S = 2.0
"""Seconds that a station's start waits for its camera; one that takes longer goes on starting beside it."""

RESTART_AFTER = 2
"""Consecutive failures after which the source is closed and started again before the next exposure."""


@dataclass(slots=True)
class Exposure:
    """One exposure: the ticks that share it, and its outcome."""

    due_at: datetime
    shared: bool
    """Whether ticks that come due meanwhile may join; not for one taken by hand with settings of its own."""
    ticks: list[Tick] = field(default_factory=list)

    def join(self, tick: Tick) -> bool:
        """Let a tick share this exposure; False if its schedule has a slot in it already, or it may not be shared."""
        if not self.shared or any(other.schedule_id == tick.schedule_id for other in self.ticks):
            return False
        self.ticks.append(tick)
        return True


@dataclass(frozen=True, slots=True)
class Taken:
    """An exposure that gave a picture."""

    exposure: Exposure
    shot: Shot
    duration_ms: int


class Photographer:
    """Owns the source: exposes one frame at a time and counts failures."""

    def __init__(self, source: FrameSource, clock: Clock, *, deadline_s: float, on_change: Callable[[], None]) -> None:
        """Use ``source``; ``on_change`` is called whenever one of the public attributes changes."""
        self._source = source
        self._clock = clock
        self._deadline_s = deadline_s
        self._on_change = on_change
        self._idle = asyncio.Event()
        self._idle.set()
        self._started = False
        self._start_lock = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._closed = False
        """For good: whoever is still about to expose must not take the camera again."""
        self._backoff_until: float | None = None
        self.running: Exposure | None = None
        self.consecutive_failures = 0
        self.error: SkylapseError | None = None
        """Why the latest exposure gave no frame; None after one that did."""
        self.last_attempt_at: datetime | None = None

    @property
    def backoff_s(self) -> float:
        """Return for how many seconds no exposure is begun because the latest ones failed; 0 if there is no such wait."""
        if self._backoff_until is None:
            return 0.0
        return max(0.0, self._backoff_until - self._clock.monotonic())

    async def start(self) -> None:
        """Start the source. A camera that is not there is kept as ``error`` and tried again with each exposure.

        One that takes long, such as on another machine that does not answer, holds up nobody: this returns after ``START_S``.
        """
        self._closed = False
        self._starting = asyncio.create_task(self._try_start(), name="skylapse camera start")
        await asyncio.wait([self._starting], timeout=START_S)

    def is_there(self) -> None:
        """Take note that a camera which was not there at the start is there now, before the next exposure proves it."""
        if self.error is not None and not self.consecutive_failures:
            _LOGGER.info("The camera is available")
            self.error = None

    async def close(self) -> None:
        """Let the camera go, for good. Never raises."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
            self._starting = None
        await self._close_source()

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until no exposure runs. Raises ``Busy`` after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.running is not None:
                    await self._idle.wait()
        except TimeoutError:
            raise Busy from None

    @asynccontextmanager
    async def borrowed(self, timeout_s: float) -> AsyncGenerator[None]:
        """Hold the running camera for something that is no frame. Raises ``Busy`` after ``timeout_s``, or ``SourceError``."""
        async with self._held(timeout_s):
            if not self._started:
                await self._start_source()
            yield

    @asynccontextmanager
    async def lent(self, timeout_s: float) -> AsyncGenerator[None]:
        """Let the camera go inside the block, for somebody else, and take it back afterwards. Raises ``Busy`` after ``timeout_s``."""
        async with self._held(timeout_s):
            await self._close_source()
            try:
                yield
            finally:
                if not self._closed:
                    await self._try_start()

    @asynccontextmanager
    async def _held(self, timeout_s: float) -> AsyncGenerator[None]:
        await self.wait_idle(timeout_s)
        self.begin(self._clock.now(), shared=False)
        try:
            yield
        finally:
            self._release()

    def begin(self, due_at: datetime, ticks: Sequence[Tick] = (), *, shared: bool = True) -> Exposure:
        """Claim the camera for an exposure. Only while ``running`` is None; ``expose`` has to follow."""
        if self.running is not None:
            raise Busy
        self.running = Exposure(due_at, shared, list(ticks))
        self._idle.clear()
        self._on_change()
        return self.running

    async def expose(self, exposure: Exposure, *, exposure_us: int | None = None, gain: float | None = None) -> Taken:
        """Take the frame of a begun exposure and give the camera free. Raises ``SkylapseError``."""
        self.last_attempt_at = self._clock.now()
        began = self._clock.monotonic()
        usual_us = self._source.capabilities.usual_exposure_us
        # twice, for some sensors give nothing for the first exposure after a start, and a frame that was exposed otherwise is taken again
        deadline_s = self._deadline_s + 2 * (exposure_us or usual_us or 0) / 1e6
        request = CaptureRequest(due_at=exposure.due_at, deadline_s=deadline_s, exposure_us=exposure_us, gain=gain)
        try:
            shot = await self._shoot(request)
        except SkylapseError as err:
            self._failed(err)
            raise
        finally:
            self._release()
        if self.consecutive_failures or self.error is not None:
            _LOGGER.info("The camera takes frames again after %d failures", self.consecutive_failures)
        self.consecutive_failures = 0
        self.error = None
        self._backoff_until = None
        return Taken(exposure, shot, round((self._clock.monotonic() - began) * 1000))

    async def _shoot(self, request: CaptureRequest) -> Shot:
        try:
            async with asyncio.timeout(request.deadline_s + GRACE_S):
                # a camera with a worker restarts what needs it by itself, at growing distances that this would set back
                if self.consecutive_failures >= RESTART_AFTER and self._started and not isinstance(self._source, LiveCamera):
                    await self._close_source()
                if not self._started:
                    await self._start_source()
                    if self._closed:  # meanwhile
                        await self._close_source()
                        raise Busy
                return await self._source.capture(request)
        except TimeoutError:
            raise CaptureTimeout(deadline_s=f"{request.deadline_s:g}") from None
        except SkylapseError:
            raise
        except Exception as err:  # a bug in a source costs its frame, never the station
            _LOGGER.exception(BROKEN)
            raise SourceError("source_broken", error=type(err).__name__) from err

    def _release(self) -> None:
        self.running = None
        self._idle.set()
        self._on_change()

    async def _try_start(self) -> None:
        """Start the source; a camera that is not there is kept as ``error``."""
        try:
            await self._start_source()
        except Busy:  # closed for good meanwhile
            return
        except SourceError as err:
            self.error = err
            _LOGGER.warning("The camera is not available: %s", err)
        except Exception as err:  # a bug in a source, as below
            _LOGGER.exception(BROKEN)
            self.error = SourceError("source_broken", error=type(err).__name__)
        self._on_change()

    async def _start_source(self) -> None:
        async with self._start_lock:
            if self._closed:
                raise Busy
            if not self._started:
                await self._source.start()
                self._started = True

    async def _close_source(self) -> None:
        self._started = False
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._source.close()
        except Exception:  # by its contract it never raises; if it does, that must not keep frames from the disk
            _LOGGER.exception("The source could not be closed")

    def _failed(self, err: SkylapseError) -> None:
        self.consecutive_failures += 1
        self.error = err
        wait = capture_backoff(self.consecutive_failures)
        self._backoff_until = self._clock.monotonic() + wait.total_seconds() if wait > timedelta() else None
        if self.consecutive_failures == 1:
            _LOGGER.warning("A capture failed: %s", err)
        elif wait:
            _LOGGER.debug("%d captures in a row failed (%s); waiting %s", self.consecutive_failures, err, wait)
