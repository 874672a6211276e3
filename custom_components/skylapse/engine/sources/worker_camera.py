"""A camera behind a worker: libcamera's cameras, attached to this machine or to another one.

Captures go first. Between captures that are far apart the sensor rests, and is woken just before the next one, so that the
automatic exposure has settled when it is due.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
import logging
from typing import Any, Final, override

from ..camera_host.replies import Reply
from ..errors import Busy, SkylapseError, SourceError, WorkerError
from ..ports import Clock
from .base import CaptureRequest, Shot, SourceCapabilities, SourceIdentity, check_range
from .camera_settings import AUTO_ONCE, LONG_EXPOSURE_US, CameraSettings
from .jpeg import check_jpeg
from .live import Autofocus, CameraReading, FocusSweep, LiveCamera
from .readings import (
    MOST_STEPS,
    autofocus_of,
    dng_error,
    focus_sweep_of,
    frame_reading,
    host_reading,
    number,
    size_of,
    split_parts,
    spread,
    taken_at,
    work_after_exposure_s,
)
from .sensor_rest import SensorRest
from .worker_link import MakeLink

_LOGGER = logging.getLogger(__name__)

METRICS_EVERY_S: Final = 30.0
RECYCLE_ROOM_S: Final = 30.0
"""A worker that has grown old is replaced only if the next capture is farther away than this: a slow card takes many seconds."""
PREVIEW_ROOM_S: Final = 1.0
"""A capture that is due sooner than this has the camera for itself."""
START_ROOM_S: Final = 5.0
"""The same while the sensor rests, which a preview has to start first."""

_LOOK_AGAIN_S: Final = 60.0
"""The wall clock may be set meanwhile: no wait for an instant of it is longer."""
_METRICS_DEADLINE_S: Final = 10.0
_STEP_DEADLINE_S: Final = 15.0
_PREVIEW_DEADLINE_S: Final = 10.0
_PREVIEW_QUALITY: Final = 80
_FIRST_FOCUS_S: Final = 15.0
_SWEEP_STEPS: Final = 16
_INLINE_BYTES: Final = 1_000_000
"""Up to this size a picture's check takes well under a millisecond; bigger ones are checked in a thread."""


class WorkerSource(LiveCamera):
    """One camera of libcamera, through picamera2 or rpicam-still."""

    def __init__(self, settings: CameraSettings, make_link: MakeLink, clock: Clock) -> None:
        """Set how it takes pictures; nothing runs before ``start``."""
        self._wanted = settings
        """As the person set it."""
        self._settings = settings
        """The same for the camera as it is configured, whose sensor's mode has limits of its own."""
        self._clock = clock
        self._link = make_link(self._configure_args, self._link_changed)
        self._size = settings.size
        self._configured: Mapping[str, Any] = {}
        self._open = False
        self._listeners: list[Callable[[], None]] = []
        self._reading = CameraReading()
        self._streaming = False
        self._busy = 0
        """How many captures and focus runs want the camera now."""
        self._lens: float | None = None
        """Where autofocus or a person put the lens, dioptres; goes before the focus mode."""
        self._focus_first = False
        """An autofocus is due before the next capture."""
        self._rest = SensorRest(clock)
        self._look: asyncio.Task[bytes] | None = None
        self._change = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._clock_doubted = False

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    @override
    def identity(self) -> SourceIdentity:
        """Return which camera this is; known also while its host is away."""
        return self._wanted.probe.identity

    @property
    @override
    def capabilities(self) -> SourceCapabilities:
        """Return what it can be asked for with its present settings."""
        settings = self._settings
        can = settings.probe.capabilities
        width, height = self._size
        return replace(
            can,
            width_px=width,
            height_px=height,
            usual_exposure_us=settings.exposure_us,
            sensor_temperature=can.sensor_temperature or self._reading.sensor_temperature_c is not None,
            dng=settings.dng,
        )

    @property
    @override
    def reading(self) -> CameraReading:
        """Return what the camera told last."""
        connected = self._link.connected
        return replace(self._reading, connected=connected, streaming=connected and self._streaming, restarts=self._link.restarts)

    @property
    @override
    def error(self) -> SkylapseError | None:
        """Return why there is no working worker; None when all is well."""
        return self._link.error if self._open and not self._link.connected else None

    @override
    def subscribe(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` whenever ``reading`` changed; return what ends that."""
        self._listeners.append(on_change)

        def unsubscribe() -> None:
            if on_change in self._listeners:
                self._listeners.remove(on_change)

        return unsubscribe

    @override
    def diagnostics(self) -> Mapping[str, Any]:
        """Return what helps to find out what is wrong, for JSON."""
        link = self._link
        return {
            "probe": self._wanted.probe.to_dict(),
            "hello": dict(link.hello),
            "configured": dict(link.configured),
            "asked": self._configure_args(),
            "connected": link.connected,
            "streaming": self._streaming,
            "restarts": link.restarts,
            "error": str(link.error) if link.error else None,
            "backoff_s": round(link.backoff_s, 1),
            "stderr": list(link.stderr),
        }

    # -- life ------------------------------------------------------------------------------------------------------

    @override
    async def start(self) -> None:
        """Have the worker started and configured. Raises ``SourceError`` why it is not; it is tried for again and again until ``close``."""
        if not self._open:
            self._open = True
            self._focus_first = self._wanted.focus_mode == AUTO_ONCE
            self._tasks = [
                asyncio.create_task(self._tend(), name="skylapse camera rest"),
                asyncio.create_task(self._watch_host(), name="skylapse camera host"),
            ]
        await self._link.start()

    @override
    async def close(self) -> None:
        """End the worker and every task. Never raises."""
        self._open = False
        tasks = [*self._tasks, *([self._look] if self._look else [])]
        self._tasks, self._look = [], None
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:  # also when this is cancelled: the worker would keep the camera
            await self._close_link()
        self._streaming = False
        self._tell()

    async def _close_link(self) -> None:
        try:
            await self._link.close()
        except Exception:  # by its contract it never raises; if it does, that must not keep frames from the disk
            _LOGGER.exception("The camera's worker could not be ended")

    def _configure_args(self) -> Mapping[str, Any]:
        return self._wanted.configure_args()

    def _link_changed(self) -> None:
        """Take over what a new worker found."""
        configured = self._link.configured
        if configured is not self._configured:
            self._configured = configured
            self._settings = self._wanted.with_limits(configured.get("limits"))
            self._size = size_of(configured.get("size")) or self._wanted.size
            self._streaming = False
            self._change.set()
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:  # whoever listens must not end what makes the camera rest and wake
                _LOGGER.exception("A listener of the camera failed")

    # -- frames ----------------------------------------------------------------------------------------------------

    @override
    async def capture(self, request: CaptureRequest) -> Shot:
        """Take one frame whose exposure begins after the call, with exactly the exposure and gain asked for (within 5 %).

        Raises ``SourceError`` (``source_not_started``, ``camera_cannot``, ``exposure_out_of_range``, ``gain_out_of_range``,
        ``exposure_not_reached``, what the worker or the link says), ``CaptureTimeout`` or ``BadPicture``.
        """
        self._check_started()
        exposure_us, gain = self._settings.exposure(request.exposure_us, request.gain)
        ends = self._clock.monotonic() + request.deadline_s
        with self._working():
            if self._focus_first:
                await self._focus(min(_FIRST_FOCUS_S, request.deadline_s / 2))
            args = {
                "controls": self._settings.controls(exposure_us, gain, self._lens),
                "match": {"exposure_us": exposure_us, "gain": gain},
            }
            asked = self._clock.monotonic()
            streams = self.capabilities.preview and (exposure_us or 0) < LONG_EXPOSURE_US
            reply = await self._ask("capture", args, ends - asked, streams=streams)
            answered_at, took_s = self._clock.now(), self._clock.monotonic() - asked
            parts = split_parts(reply.result.get("parts"), reply.blob)
            jpeg, dng = parts["jpeg"], parts.get("dng")
            width, height = await _check(jpeg)
        self._reading = frame_reading(self._reading, reply.result.get("metadata"))
        self._tell()
        seen = self._reading
        return Shot(
            jpeg=jpeg,
            taken_at=self._taken_at(reply.result, (seen.exposure_us or exposure_us or 0) / 1e6, answered_at, took_s),
            exposure_us=seen.exposure_us,
            gain=seen.gain,
            lux=seen.lux,
            colour_temperature_k=seen.colour_temperature_k,
            width_px=width,
            height_px=height,
            sensor_temperature_c=seen.sensor_temperature_c,
            focus_measure=seen.focus_measure,
            lens_position=seen.lens_position,
            dng=dng,
            dng_error=dng_error(reply.result) if self._settings.dng and dng is None else None,
        )

    def _taken_at(self, result: Mapping[str, Any], exposure_s: float, answered_at: datetime, took_s: float) -> datetime:
        """Return the start of the exposure; tell once if the camera host's clock is wrong."""
        instant, believed = taken_at(
            number(result, "taken_at"),
            exposure_s=exposure_s,
            after_s=work_after_exposure_s(result.get("timings_ms")),
            answered_at=answered_at,
            took_s=took_s,
        )
        if not believed and not self._clock_doubted:
            _LOGGER.warning(
                "The clock of the camera's host is wrong: frames are dated by this machine's. Let that host synchronize its time"
            )
        self._clock_doubted = not believed
        return instant

    # -- looking and focusing --------------------------------------------------------------------------------------

    @override
    async def preview(self) -> bytes:
        """Return a small JPEG of what the camera sees now; who asks while one is being taken gets that one.

        Raises ``Busy`` while a capture runs or is due within a second (5 s if the sensor has to be started for it), and ``SourceError``.
        """
        self._check_started()
        if not self.capabilities.preview:
            raise WorkerError("camera_cannot", what="preview")
        if self._look is None:
            if self._busy or self._due_soon():
                raise Busy
            self._look = asyncio.create_task(self._take_preview(), name="skylapse preview")
            self._look.add_done_callback(self._looked)
        look = self._look
        await asyncio.wait([look])  # whoever asked may go away meanwhile: others wait for the same picture
        if look.cancelled():  # the camera was closed
            raise SourceError("source_not_started")
        return look.result()

    def _due_soon(self) -> bool:
        due_in = self._rest.due_in()
        return due_in is not None and 0 <= due_in < (PREVIEW_ROOM_S if self._streaming else START_ROOM_S)

    async def _take_preview(self) -> bytes:
        self._rest.look()
        reply = await self._ask("preview", {"quality": _PREVIEW_QUALITY, "controls": self._quick_controls()}, _PREVIEW_DEADLINE_S)
        await _check(reply.blob)
        self._rest.look()
        self._reading = frame_reading(self._reading, reply.result.get("metadata"))
        self._tell()
        return reply.blob

    def _looked(self, look: asyncio.Task[bytes]) -> None:
        if not look.cancelled():
            look.exception()  # whoever asked may be gone by now
        if self._look is look:
            self._look = None
        self._change.set()

    def _quick_controls(self) -> dict[str, Any]:
        """Return the controls for looking: long exposures would make it slow, and captures wait."""
        settings = self._settings
        if (settings.exposure_us or 0) >= LONG_EXPOSURE_US:
            settings = replace(settings, exposure_us=None, gain=None)
        return settings.controls(lens_position=self._lens)

    @override
    async def focus_sweep(self, positions: Sequence[float] | None, deadline_s: float) -> FocusSweep:
        """Measure the sharpness at these lens positions (dioptres; None: over the whole range). The focus is as before afterwards.

        Raises ``SourceError``: ``camera_cannot``, ``lens_position_out_of_range``, ``focus_positions_invalid`` for none or more
        than 100, and what the worker says.
        """
        self._check_started()
        lens = self.capabilities.lens_range
        if lens is None or not self.capabilities.preview:
            raise WorkerError("camera_cannot", what="focus_sweep")
        if positions is None:
            # a lens moves the picture's sharpness evenly with dioptres, but a sky station looks at what is far away: 0
            positions = spread(lens[0], lens[1], _SWEEP_STEPS, power=2)
        if not 0 < len(positions) <= MOST_STEPS:
            raise SourceError("focus_positions_invalid", count=len(positions), limit=MOST_STEPS)
        for position in positions:
            check_range("lens_position_out_of_range", position, lens)
        with self._working():
            args = {"positions": [float(position) for position in positions], "controls": self._quick_controls()}
            reply = await self._ask("focus_sweep", args, deadline_s)
        self._tell()
        return focus_sweep_of(reply.result)

    @override
    async def autofocus(self, deadline_s: float) -> Autofocus:
        """Let the camera find its focus once and hold it. Raises ``SourceError``: ``camera_cannot`` and what the worker says."""
        self._check_started()
        if not self.capabilities.autofocus:
            raise WorkerError("camera_cannot", what="autofocus")
        with self._working():
            return await self._autofocus(deadline_s)

    async def _autofocus(self, deadline_s: float) -> Autofocus:
        reply = await self._ask("autofocus", {"controls": self._quick_controls()}, deadline_s)
        found = autofocus_of(reply.result)
        if found.success and found.lens_position is not None:
            self._lens = found.lens_position
            self._reading = replace(self._reading, lens_position=found.lens_position)
        self._focus_first = False
        self._tell()
        return found

    async def _focus(self, deadline_s: float) -> None:
        """Focus before the first frame. At night there may be nothing to focus on: then the lens stays at its own default."""
        self._focus_first = False
        try:
            found = await self._autofocus(deadline_s)
        except SkylapseError as err:
            _LOGGER.warning("The camera could not focus by itself: %s", err)
        else:
            if not found.success:
                _LOGGER.warning("The camera found nothing to focus on; the lens stays at %g dioptres", self._settings.hyperfocal)

    @override
    async def adjust(self, *, ev: float | None = None, lens_position: float | None = None) -> None:
        """Correct the automatic exposure by ``ev`` stops, move the lens to a place (dioptres): from the next frame on.

        Raises ``SourceError``: ``camera_cannot``, ``ev_out_of_range``, ``lens_position_out_of_range``.
        """
        can = self.capabilities
        if ev is not None and can.ev_range is None:
            raise WorkerError("camera_cannot", what="ev")
        if lens_position is not None:
            if can.lens_range is None:
                raise WorkerError("camera_cannot", what="lens_position")
            check_range("lens_position_out_of_range", lens_position, can.lens_range)
        if ev is not None:
            self._settings = self._settings.adjusted(ev=ev)
            self._wanted = replace(self._wanted, ev=ev)
        if lens_position is not None:
            self._lens, self._focus_first = lens_position, False

    # -- rest and wake ---------------------------------------------------------------------------------------------

    @override
    def expect(self, due_at: datetime | None) -> None:
        """Tell when the next capture will be due (UTC), so that the sensor can rest until just before."""
        if self._rest.expect(due_at):
            self._change.set()

    async def _tend(self) -> None:
        """Let the sensor rest and wake it, as long as the camera is started."""
        while True:
            self._change.clear()
            step, wait_s = None, None
            if not self._busy and self._look is None and self._wanted.probe.capabilities.preview:
                # for a long exposure the worker starts the sensor itself, with everything set: awake before, it would be in its way
                ahead = (self._settings.exposure_us or 0) < LONG_EXPOSURE_US
                step, wait_s = self._rest.next_step(streaming=self._streaming, ahead=ahead)
            if step is None:
                await self._wait(wait_s)
                continue
            self._streaming = step == "wake"
            try:
                args = {"controls": self._settings.controls(lens_position=self._lens)} if step == "wake" else {}
                reply = await self._link.request(step, args, deadline_s=_STEP_DEADLINE_S)
            except SkylapseError as err:  # the capture will tell, if it is still so
                self._streaming = False
                _LOGGER.debug("The camera did not %s: %s", step, err)
            else:
                self._streaming = step == "wake" and reply.result.get("streaming") is not False  # to rest is not asked for twice
            self._tell()

    async def _wait(self, seconds: float | None) -> None:
        """Wait for a change, at most so long."""
        change = asyncio.create_task(self._change.wait())
        timer = asyncio.create_task(self._clock.sleep(min(_LOOK_AGAIN_S, seconds))) if seconds is not None else None
        waiting = [change, *([timer] if timer else [])]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _watch_host(self) -> None:
        """Ask again and again how the camera's host is doing, as long as the camera is started."""
        while True:
            try:
                reply = await self._link.request("metrics", {}, deadline_s=_METRICS_DEADLINE_S)
            except SkylapseError as err:
                _LOGGER.debug("The camera's host did not tell how it is doing: %s", err)
                self._reading = replace(self._reading, host=None)
            else:
                self._reading = replace(self._reading, host=host_reading(reply.result))
            self._tell()
            due_in = self._rest.due_in()
            if not self._busy and not self._rest.looked_at and (due_in is None or due_in > RECYCLE_ROOM_S):
                await self._link.recycle()
            await self._clock.sleep(METRICS_EVERY_S)

    # -- the worker ------------------------------------------------------------------------------------------------

    def _check_started(self) -> None:
        if not self._open:
            raise SourceError("source_not_started")

    async def _ask(self, op: str, args: Mapping[str, Any], deadline_s: float, *, streams: bool = True) -> Reply:
        """Ask for what needs the sensor; ``streams`` says whether it usually goes on running afterwards."""
        try:
            reply = await self._link.request(op, args, deadline_s=deadline_s)
        except BaseException:
            self._streaming = self._link.connected  # it may run by now: better told to rest once too often
            raise
        self._streamed(reply.result, otherwise=streams)
        return reply

    def _streamed(self, result: Mapping[str, Any], *, otherwise: bool) -> None:
        """Note how the worker left the sensor."""
        told = result.get("streaming")
        self._streaming = told if isinstance(told, bool) else otherwise

    @contextmanager
    def _working(self) -> Generator[None]:
        """Have the camera for a capture or for focusing."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._change.set()


async def _check(jpeg: bytes) -> tuple[int, int]:
    """Return the size of a whole JPEG. Raises ``BadPicture``."""
    return await asyncio.to_thread(check_jpeg, jpeg) if len(jpeg) > _INLINE_BYTES else check_jpeg(jpeg)
