"""What a camera with a worker of its own can do beside taking frames: small pictures, focus, adjustments, readings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import SkylapseError
from .base import FrameSource


@dataclass(frozen=True, slots=True)
class HostReading:
    """How the machine is doing that the camera is attached to; None is not known."""

    cpu_temperature_c: float | None = None
    throttled: bool | None = None
    """The firmware slows the processor down now: too hot, or too little voltage."""
    under_voltage: bool | None = None
    frequency_capped: bool | None = None
    memory_used_percent: float | None = None
    memory_available_bytes: int | None = None
    cma_free_bytes: int | None = None
    """Contiguous memory that pictures can be taken into."""
    cma_total_bytes: int | None = None
    disk_used_percent: float | None = None
    disk_free_bytes: int | None = None
    load_1m: float | None = None
    uptime_s: float | None = None


@dataclass(frozen=True, slots=True)
class CameraReading:
    """What the camera told last; None is not known."""

    connected: bool = False
    """The worker runs and has the camera."""
    streaming: bool = False
    """The sensor runs; between captures that are far apart it rests."""
    exposure_us: int | None = None
    gain: float | None = None
    lux: float | None = None
    colour_temperature_k: int | None = None
    sensor_temperature_c: float | None = None
    focus_measure: float | None = None
    """The camera's own figure of sharpness: comparable between frames of one camera and one scene only."""
    lens_position: float | None = None
    """Dioptres, 0 is infinity."""
    restarts: int = 0
    """How often the worker had to be replaced since the start."""
    host: HostReading | None = None


@dataclass(frozen=True, slots=True)
class FocusStep:
    """How sharp the picture was with the lens at one place."""

    position: float
    """Dioptres asked for, 0 is infinity."""
    lens_position: float | None
    """Dioptres that the lens then said it stands at; None if it did not say."""
    sharpness: float
    """Comparable within one sweep only."""


@dataclass(frozen=True, slots=True)
class FocusSweep:
    """The steps of a focus sweep, in the order they were taken."""

    steps: tuple[FocusStep, ...]
    best: float
    """Dioptres of the sharpest."""


@dataclass(frozen=True, slots=True)
class Autofocus:
    """What an autofocus came to; the lens stays where it ended."""

    success: bool
    lens_position: float | None
    """Dioptres, 0 is infinity; None if the camera did not say."""


class LiveCamera(FrameSource, ABC):
    """A camera that can be looked through and adjusted between frames.

    Captures go first: whatever else is asked for waits for them or is refused, and never delays one.
    """

    @property
    @abstractmethod
    def reading(self) -> CameraReading:
        """Return what the camera told last."""

    @property
    @abstractmethod
    def error(self) -> SkylapseError | None:
        """Return why the camera cannot be reached or used now, also while no capture is due; None when all is well."""

    @abstractmethod
    def subscribe(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` whenever ``reading`` changed; return what ends that."""

    @abstractmethod
    def expect(self, due_at: datetime | None) -> None:
        """Tell when the next capture will be due (UTC; None: none is planned), so that the sensor can rest until just before."""

    @abstractmethod
    async def preview(self) -> bytes:
        """Return a small JPEG of what the camera sees now.

        Raises ``Busy`` (``camera_busy``) while a capture runs or is just about to, and ``SourceError``.
        """

    @abstractmethod
    async def focus_sweep(self, positions: Sequence[float] | None, deadline_s: float) -> FocusSweep:
        """Measure the sharpness at these lens positions (dioptres; None: over the whole range). The focus is as before afterwards.

        Raises ``SourceError``: ``camera_cannot`` without a lens motor, ``lens_position_out_of_range``, ``capture_timeout``.
        """

    @abstractmethod
    async def autofocus(self, deadline_s: float) -> Autofocus:
        """Let the camera find its focus once and hold it. Raises ``SourceError``: ``camera_cannot``, ``capture_timeout``."""

    @abstractmethod
    async def adjust(self, *, ev: float | None = None, lens_position: float | None = None) -> None:
        """Correct the automatic exposure by ``ev`` stops, move the lens to a place (dioptres): from the next frame on.

        None leaves a setting as it is. Raises ``SourceError``: ``camera_cannot``, ``ev_out_of_range``, ``lens_position_out_of_range``.
        """

    @abstractmethod
    def diagnostics(self) -> Mapping[str, Any]:
        """Return what helps to find out what is wrong, for JSON: probe, versions, the worker's last words; no secrets."""
