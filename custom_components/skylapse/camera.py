"""The camera: the station's last frame."""

from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
import logging
from typing import Any, override

from homeassistant.components.camera import Camera, CameraEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from PIL import Image

from .entity import SkylapseEntity
from .errors import translated_errors
from .runtime import SkylapseConfigEntry

_LOGGER = logging.getLogger(__name__)

PARALLEL_UPDATES = 0

LAST_FRAME = CameraEntityDescription(key="last_frame", translation_key="last_frame", name=None)

type _Size = tuple[int | None, int | None]
"""Width and height in pixels that a picture has to fit into; None is any."""

_WHOLE: _Size = (None, None)
_KEPT_PICTURES = 4
"""Of the last frame: a dashboard asks for one or two sizes, a phone for another."""
_SCALED_QUALITY = 85


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
    """Set up the camera of one station."""
    async_add_entities([LastFrameCamera(entry)])


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
