"""The cameras: the station's last frame, and what its camera sees right now."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
import logging
from typing import Any, override

from aiohttp import web
from homeassistant.components.camera import Camera, CameraEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from PIL import Image

from .engine.errors import Busy, SkylapseError
from .entity import SkylapseEntity
from .errors import translated_errors
from .runtime import SkylapseConfigEntry

_LOGGER = logging.getLogger(__name__)

PARALLEL_UPDATES = 0

LAST_FRAME = CameraEntityDescription(key="last_frame", translation_key="last_frame", name=None)
LIVE_VIEW = CameraEntityDescription(key="live_view", translation_key="live_view")

type _Size = tuple[int | None, int | None]
"""Width and height in pixels that a picture has to fit into; None is any."""

_WHOLE: _Size = (None, None)
_KEPT_PICTURES = 4
"""Of the last frame: a dashboard asks for one or two sizes, a phone for another."""
_SCALED_QUALITY = 85

_SHARED_S = 0.15
"""Seconds within which all who look get the same live picture, so that two of them do not ask the camera twice as often."""
_BUSY_S = 1.0
"""Seconds to wait for a live picture before the last one is shown again, as during a long exposure."""
_FIRST_S = 8.0
"""Seconds to wait for the first one, with which a stream stands or falls; Home Assistant gives a picture ten."""
_FORGET_S = 30.0
"""Seconds without anybody looking, after which the last live picture is too old to be shown again."""


def scaled(jpeg: bytes, width_px: int | None, height_px: int | None) -> bytes:
    """Return the JPEG scaled down to fit into the given size, keeping its proportions; as it is where it fits already.

    Runs in an executor. A picture that Pillow cannot or will not decode is returned as it is: showing it large is better than not at all.
    """
    try:
        with Image.open(BytesIO(jpeg)) as picture:
            box = (width_px or picture.width, height_px or picture.height)
            if picture.width <= box[0] and picture.height <= box[1]:
                return jpeg
            picture.draft("RGB", box)  # the decoder itself leaves out what is not needed: several times faster
            picture.thumbnail(box)
            out = BytesIO()
            picture.save(out, "JPEG", quality=_SCALED_QUALITY)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        _LOGGER.debug("Cannot scale a frame of %d bytes: %s", len(jpeg), error)
        return jpeg
    return out.getvalue()


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Set up the cameras of one station."""
    async_add_entities([LastFrameCamera(entry)])
    if entry.runtime_data.station.capabilities.preview:
        async_add_entities([LiveViewCamera(entry)])


class LastFrameCamera(SkylapseEntity, Camera):
    """Shows the last frame; "recording" while a schedule is active."""

    _attr_name = None
    _attr_frame_interval = 1.0  # of the MJPEG stream: no schedule is faster
    _unrecorded_attributes = frozenset(
        {
            "instant",
            "path",
            "sha256",
            "size_bytes",
            "schedules",
            "exposure_us",
            "gain",
            "lux",
            "colour_temperature_k",
            "sun_elevation",
            "sun_azimuth",
        }
    )

    def __init__(self, entry: SkylapseConfigEntry) -> None:
        """Bind the camera to its station."""
        super().__init__(entry, LAST_FRAME)
        Camera.__init__(self)
        identity = self.station.identity
        self._attr_brand = identity.manufacturer or None
        self._attr_model = identity.model or None
        self._kept: OrderedDict[_Size, bytes] = OrderedDict()
        self._kept_frame_id: int | None = None

    @property
    @override
    def is_recording(self) -> bool:
        """Return whether a schedule is active: the time-lapse is being recorded, also between two frames."""
        status = self.coordinator.data
        return status.capture_enabled and any(schedule.active for schedule in status.schedules)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what is known of the last frame."""
        frame = self.coordinator.data.last_frame
        if frame is None:
            return None
        details = frame.details
        attributes = {
            "instant": details.taken_at,
            "path": frame.file.relative_path,
            "sha256": frame.file.sha256,
            "size_bytes": frame.file.size_bytes,
            "schedules": list(details.schedules),
            "exposure_us": details.exposure_us,
            "gain": details.gain,
            "lux": details.lux,
            "colour_temperature_k": details.colour_temperature_k,
            "sun_elevation": details.sun_elevation_deg,
            "sun_azimuth": details.sun_azimuth_deg,
        }
        return {name: value for name, value in attributes.items() if value is not None}

    @override
    async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
        """Return the last frame, scaled down into ``width`` x ``height`` if asked for; None before the first one."""
        frame = self.coordinator.data.last_frame
        if frame is None:
            return None
        if frame.frame_id != self._kept_frame_id:
            self._kept_frame_id = frame.frame_id
            self._kept.clear()
        size = (width if width and width > 0 else None, height if height and height > 0 else None)
        picture = self._kept.get(size) or await self._load(size)
        if picture is not None and frame.frame_id == self._kept_frame_id:
            self._kept[size] = picture
            self._kept.move_to_end(size)
            if len(self._kept) > _KEPT_PICTURES:
                self._kept.popitem(last=False)
        return picture

    async def _load(self, size: _Size) -> bytes | None:
        """Read the frame, and scale it if a size is wanted."""
        jpeg = self._kept.get(_WHOLE)
        if jpeg is None:
            with translated_errors():
                jpeg = await self.station.latest_jpeg()
        if jpeg is None or size == _WHOLE:
            return jpeg
        return await self.hass.async_add_executor_job(scaled, jpeg, *size)


class LiveViewCamera(SkylapseEntity, Camera):
    """Shows what the camera sees now, small, for aiming and focusing; "streaming" while somebody looks.

    Pictures are pulled only while they are looked at, one at a time however many look. Captures go first: meanwhile the last picture
    is shown again.
    """

    _attr_frame_interval = 0.2

    def __init__(self, entry: SkylapseConfigEntry) -> None:
        """Bind the camera to its station."""
        super().__init__(entry, LIVE_VIEW)
        Camera.__init__(self)
        identity = self.station.identity
        self._attr_brand = identity.manufacturer or None
        self._attr_model = identity.model or None
        self._viewers = 0
        self._picture: bytes | None = None
        self._look: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._asked_at = 0.0

    @property
    @override
    def is_streaming(self) -> bool:
        """Return whether somebody looks."""
        return self._viewers > 0

    @override
    async def handle_async_still_stream(self, request: web.Request, interval: float) -> web.StreamResponse:
        """Stream to one who looks, until they go away or the camera does."""
        self._viewers += 1
        self.async_write_ha_state()
        try:
            return await super().handle_async_still_stream(request, interval)
        finally:
            self._viewers -= 1
            self.async_write_ha_state()

    @override
    async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
        """Return what the camera sees now, or saw last while it is busy; None if it cannot be looked through."""
        now = self.hass.loop.time()
        if now - self._asked_at > _FORGET_S:
            self._picture = None
        self._asked_at = now
        if self._look is None or self._look.done():
            if self._picture is not None and now - self._looked_at < _SHARED_S:
                return self._picture
            self._looked_at = now
            # a task of its own, which one of those who look does not take along when they go away
            self._look = self.coordinator.config_entry.async_create_background_task(self.hass, self._pull(), "skylapse live view")
        look = self._look
        await asyncio.wait([look], timeout=_FIRST_S + 1 if self._picture is None else _BUSY_S)
        if look.cancelled():  # the entry was unloaded: whoever looks on must not take the last picture for a live one
            return None
        if look.done():
            look.result()  # a mistake in the program is not hidden
        return self._picture

    async def _pull(self) -> None:
        """Get a new picture. What is wrong with the camera is told by the station, not once more for each picture."""
        until = self.hass.loop.time() + _FIRST_S
        while True:
            try:
                self._picture = await self.station.work.preview()
            except Busy:
                if self._picture is not None or self.hass.loop.time() >= until:
                    return
            except SkylapseError as error:
                _LOGGER.debug("No live picture: %s", error)
                self._picture = None
                return
            else:
                return
            await asyncio.sleep(self.frame_interval)
