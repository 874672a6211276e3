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
    minimum_deadline_s: float = 10.0
    """How long a capture may take without the exposure itself."""

    def check(self, *, exposure_us: int | None, gain: float | None) -> None:
        """Raise ``SourceError`` (``exposure_out_of_range``, ``gain_out_of_range``) for a setting that the camera cannot take."""
        _check("exposure_out_of_range", exposure_us, self.exposure_range_us)
        _check("gain_out_of_range", gain, self.gain_range)


def _check(key: str, value: float | None, allowed: tuple[float, float] | None) -> None:
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
