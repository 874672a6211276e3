"""Where frames come from: the one protocol that every camera is spoken to with."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ..errors import SourceError


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which camera this is, truthfully: what it says of itself, never a guess."""

    kind: str
    """The kind of source: ``simulated``, ``entity``, ..."""
    manufacturer: str
    model: str
    serial: str
    """What tells this camera from others of its kind: the seed of a simulation, the entity's id, ..."""


@dataclass(frozen=True, slots=True)
class SourceCapabilities:
    """What the camera can be asked for."""

    exposure: bool = False
    """Takes ``exposure_us`` of a request."""
    gain: bool = False
    """Takes ``gain`` of a request."""
    reports_exposure: bool = False
    """Tells exposure and gain of each frame."""
    exposure_range_us: tuple[int, int] | None = None
    gain_range: tuple[float, float] | None = None
    width_px: int | None = None
    height_px: int | None = None
    usual_exposure_us: int | None = None
    """The exposure that the camera's own settings ask for; a request without one may take this long on top of its deadline."""
    ev_range: tuple[float, float] | None = None
    """Stops by which the camera's automatic exposure can be corrected; None if it cannot."""
    lens_range: tuple[float, float] | None = None
    """Dioptres between which the lens can be moved (0 is infinity); None without a lens motor."""
    autofocus: bool = False
    """Finds the focus by itself when asked to."""
    preview: bool = False
    """Gives small pictures between captures."""
    host: bool = False
    """Tells how the machine is doing that the camera is attached to."""
    focus_measure: bool = False
    """Tells of each frame how sharp it is."""
    sensor_temperature: bool = False
    """Tells of each frame how warm the sensor is."""
    dng: bool = False
    """Gives the sensor's raw data along with each frame, and is set to."""

    def check(self, *, exposure_us: int | None, gain: float | None) -> None:
        """Raise ``SourceError`` (``exposure_out_of_range``, ``gain_out_of_range``) for a setting that the camera cannot take."""
        check_range("exposure_out_of_range", exposure_us, self.exposure_range_us)
        check_range("gain_out_of_range", gain, self.gain_range)


def check_range(key: str, value: float | None, allowed: tuple[float, float] | None) -> None:
    """Raise ``SourceError`` when the value is given and outside of what is allowed."""
    if value is not None and allowed is not None and not allowed[0] <= value <= allowed[1]:
        raise SourceError(key, value=f"{value:.10g}", minimum=f"{allowed[0]:.10g}", maximum=f"{allowed[1]:.10g}")


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """One frame that is wanted now."""

    due_at: datetime
    """The instant it was due, UTC."""
    deadline_s: float
    """Seconds after which the source must have answered or failed."""
    exposure_us: int | None = None
    """Microseconds; None lets the source choose."""
    gain: float | None = None
    """Analogue gain, 1.0 = base; None lets the source choose."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What came back: a whole JPEG and what is known of it."""

    jpeg: bytes = field(repr=False)
    taken_at: datetime
    """Start of the exposure, UTC."""
    exposure_us: int | None = None
    gain: float | None = None
    lux: float | None = None
    colour_temperature_k: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    sensor_temperature_c: float | None = None
    focus_measure: float | None = None
    """The camera's own figure of sharpness: comparable between frames of one camera and one scene only."""
    lens_position: float | None = None
    """Dioptres, 0 is infinity."""
    dng: bytes | None = field(default=None, repr=False)
    """The sensor's raw data of the same exposure, as a DNG file."""
    dng_error: str | None = None
    """Why it is not there although it was to be; None if it is, or was not to be."""


class FrameSource(Protocol):
    """A camera. One capture at a time: the station never overlaps two calls."""

    @property
    def identity(self) -> SourceIdentity:
        """Return which camera this is."""

    @property
    def capabilities(self) -> SourceCapabilities:
        """Return what it can be asked for."""

    async def start(self) -> None:
        """Make ready. Raises ``SourceError`` when the camera is not there; may be called again after ``close``."""

    async def capture(self, request: CaptureRequest) -> Shot:
        """Take one frame, within ``request.deadline_s``.

        Raises ``CaptureTimeout``, ``BadPicture`` or another ``SourceError``; never returns a half picture.
        """

    async def close(self) -> None:
        """Let the camera go. Never raises; ends what ``start`` and ``capture`` left running."""
