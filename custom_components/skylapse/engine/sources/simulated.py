"""A camera that is not there: it renders the sky as the sun stands, and can be as slow and as unreliable as a test needs."""

import asyncio
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Final, override

from ..errors import CaptureTimeout, SourceError
from ..ports import Clock, Site
from ..sun_position import solar_azimuth, solar_elevation
from . import sky, sky_light
from .base import CaptureRequest, FrameSource, Shot, SourceCapabilities, SourceIdentity
from .sky_layers import seeded

_COLOUR_TEMPERATURE_K: Final = 5500
"""The simulated camera's white balance is fixed at daylight, so that sunsets stay warm."""


class SimulatedSource(FrameSource):
    """Renders one sky per capture, the same for the same seed, site, instant and request.

    An exposure of 20 s is only simulated, not waited for; ``delay_ms`` waits. ``failure_percent`` of the captures fail
    with ``simulated_failure`` and ``hang_percent`` say nothing until their deadline: which ones follows from the seed and the
    count of captures alone. Delay and hang pass on the clock given; the deadline also bounds the real time.
    """

    def __init__(
        self,
        site: Callable[[], Site],
        clock: Clock,
        seed: int,
        *,
        width: int = 1920,
        height: int = 1080,
        quality: int = 90,
        delay_ms: int = 0,
        failure_percent: float = 0,
        hang_percent: float = 0,
    ) -> None:
        """Set where it stands, how its pictures are (pixels; JPEG quality 1 to 100) and how it misbehaves."""
        self._site = site
        self._clock = clock
        self._seed = seed
        self._size = (width, height)
        self._quality = quality
        self._delay_s = delay_ms / 1000
        self._failure_percent = failure_percent
        self._hang_percent = hang_percent
        self._count = 0
        self._started = False
        self._rendering: asyncio.Task[bytes] | None = None

    @property
    @override
    def identity(self) -> SourceIdentity:
        """Return that this is a simulation, and which."""
        return SourceIdentity(kind="simulated", manufacturer="Skylapse", model="Simulated sky camera", serial=str(self._seed))

    @property
    @override
    def capabilities(self) -> SourceCapabilities:
        """Return what a real camera with manual exposure can do."""
        return SourceCapabilities(
            exposure=True,
            gain=True,
            reports_exposure=True,
            exposure_range_us=sky_light.EXPOSURE_RANGE_US,
            gain_range=sky_light.GAIN_RANGE,
            width_px=self._size[0],
            height_px=self._size[1],
        )

    @override
    async def start(self) -> None:
        """Make ready."""
        self._started = True

    @override
    async def capture(self, request: CaptureRequest) -> Shot:
        """Take one frame.

        Raises ``SourceError`` (``exposure_out_of_range``, ``gain_out_of_range``, ``simulated_failure``, ``source_not_started``)
        or ``CaptureTimeout``.
        """
        if not self._started:
            raise SourceError("source_not_started")
        self.capabilities.check(exposure_us=request.exposure_us, gain=request.gain)
        try:
            async with asyncio.timeout(request.deadline_s):
                return await self._capture(request)
        except TimeoutError:
            raise CaptureTimeout(deadline_s=f"{request.deadline_s:g}") from None

    async def _capture(self, request: CaptureRequest) -> Shot:
        """Wait, fail or hang as told, and render."""
        taken_at = self._clock.now()
        self._count += 1
        chance = seeded(self._seed, "luck", self._count)
        hangs, fails = chance.random() * 100 < self._hang_percent, chance.random() * 100 < self._failure_percent
        if hangs or self._delay_s >= request.deadline_s:
            await self._clock.sleep(request.deadline_s)
            raise TimeoutError
        if self._delay_s:
            await self._clock.sleep(self._delay_s)
        if fails:
            raise SourceError("simulated_failure")

        site = self._site()
        elevation = solar_elevation(site, taken_at)
        exposure_us, gain = sky_light.choose_exposure(elevation, request.exposure_us, request.gain)
        scene = sky.Scene(
            at=taken_at,
            latitude_deg=site.latitude_deg,
            longitude_deg=site.longitude_deg,
            sun_elevation_deg=elevation,
            sun_azimuth_deg=solar_azimuth(site, taken_at),
            seed=self._seed,
        )
        await self._finish_rendering()  # of a capture that was given up: two at once would only be slower
        self._rendering = asyncio.create_task(asyncio.to_thread(self._render, scene, exposure_us, gain))
        jpeg = await asyncio.shield(self._rendering)
        width, height = self._size
        return Shot(
            jpeg=jpeg,
            taken_at=taken_at,
            exposure_us=exposure_us,
            gain=gain,
            lux=round(sky_light.illuminance(elevation), 4),
            colour_temperature_k=_COLOUR_TEMPERATURE_K,
            width_px=width,
            height_px=height,
        )

    def _render(self, scene: sky.Scene, exposure_us: int, gain: float) -> bytes:
        """Return the scene as a JPEG. Runs in a thread."""
        picture = sky.render(scene, self._size, exposure_us=exposure_us, gain=gain)
        with TemporaryFile() as file:  # a real one: into memory, Pillow encodes without ever letting other threads run
            picture.save(file, "JPEG", quality=self._quality)
            file.seek(0)
            return file.read()

    @override
    async def close(self) -> None:
        """Wait for a picture that is still being rendered: a thread cannot be stopped, and it is done in a moment."""
        self._started = False
        await self._finish_rendering()

    async def _finish_rendering(self) -> None:
        """Wait until no thread renders; what came of it was for a capture that is over."""
        if self._rendering is not None:
            await asyncio.wait({self._rendering})
