"""What a camera is and can do, as its worker tells: checked, and kept with the config entry for when its host is away."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import math
from typing import Any, Final, Literal, Self, cast

from ..errors import WorkerError
from .base import SourceCapabilities, SourceIdentity

type Backend = Literal["picamera2", "rpicam"]
type ControlValue = bool | int | float | tuple[float, ...] | None

BACKENDS: Final[tuple[Backend, ...]] = ("picamera2", "rpicam")

LONGEST_SIDE_PX: Final = 32_768
_MOST_MODES: Final = 64
_MOST_CONTROLS: Final = 256
_MOST_TEXT: Final = 200
_LARGEST: Final = 2.0**62
_HIGHEST_INDEX: Final = 63

_PRODUCTS: Final[Mapping[str, tuple[str, str]]] = {
    "ov5647": ("Raspberry Pi", "Camera Module 1"),
    "imx219": ("Raspberry Pi", "Camera Module 2"),
    "imx708": ("Raspberry Pi", "Camera Module 3"),
    "imx708_wide": ("Raspberry Pi", "Camera Module 3 Wide"),
    "imx708_noir": ("Raspberry Pi", "Camera Module 3 NoIR"),
    "imx708_wide_noir": ("Raspberry Pi", "Camera Module 3 Wide NoIR"),
    "imx477": ("Raspberry Pi", "High Quality Camera"),
    "imx296": ("Raspberry Pi", "Global Shutter Camera"),
    "imx500": ("Raspberry Pi", "AI Camera"),
    "imx519": ("Arducam", "16 MP"),
    "arducam_64mp": ("Arducam", "64 MP Hawkeye"),
    "ov64a40": ("Arducam", "64 MP OwlSight"),
}
"""Sensors that are sold as one product. Others, such as the imx290, are on boards of many makers."""

_THERMOMETERS: Final = frozenset({"imx477", "imx500", "imx708"})
"""Sensors whose frames tell how warm they are."""


@dataclass(frozen=True, slots=True)
class ControlRange:
    """What a control of libcamera may be set to. A list of numbers is one value, such as a rectangle."""

    minimum: ControlValue
    maximum: ControlValue
    default: ControlValue

    @property
    def span(self) -> tuple[float, float] | None:
        """Return minimum and maximum as numbers; None if they are none, or leave no choice."""
        low, high = self.minimum, self.maximum
        if isinstance(low, tuple) or isinstance(high, tuple) or low is None or high is None or low >= high:
            return None
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class SensorMode:
    """One way the sensor can be read out."""

    size: tuple[int, int]
    bit_depth: int | None = None
    fps: float | None = None
    exposure_us: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CameraProbe:
    """One camera behind one backend, and the machine it is attached to. Text and numbers are bounded, whoever sent them."""

    backend: Backend
    id: str
    """How libcamera names it: where it is attached, and so the same after each start."""
    index: int
    model: str
    """The sensor, as libcamera names it."""
    rotation: int | None = None
    """Degrees by which the sensor is mounted turned. libcamera makes up for it by itself."""
    pixel_array: tuple[int, int] | None = None
    modes: tuple[SensorMode, ...] = ()
    controls: Mapping[str, ControlRange] = field(default_factory=dict)
    """What can be set, by libcamera's names; what is not here is not offered."""
    raw: bool = False
    """Can give raw data beside the picture."""
    machine: str | None = None
    os: str | None = None
    python: str | None = None
    picamera2: str | None = None
    libcamera: str | None = None
    rpicam: str | None = None

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any], camera: Mapping[str, Any]) -> Self:
        """Return one camera of a worker's answer to ``probe``.

        Raises ``WorkerError`` ``camera_probe_invalid`` with the field's name if it does not say which camera it is. Whatever
        else makes no sense is left out, and so is not offered.
        """
        return cls.from_dict({**camera, **{name: reply.get(name) for name in ("backend", *_HOST_TEXTS)}})

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Return what ``to_dict`` gave. Raises ``WorkerError`` ``camera_probe_invalid``, as ``from_reply``."""
        if not isinstance(data, Mapping):
            raise WorkerError("camera_probe_invalid", field="probe")
        backend, index = data.get("backend"), _whole(data.get("index"), 0, _HIGHEST_INDEX)
        if backend not in BACKENDS:
            raise WorkerError("camera_probe_invalid", field="backend")
        if index is None:
            raise WorkerError("camera_probe_invalid", field="index")
        return cls(
            backend=cast("Backend", backend),
            id=_name(data, "id"),
            index=index,
            model=_name(data, "model"),
            rotation=_whole(data.get("rotation"), -360, 360),
            pixel_array=_size(data.get("pixel_array")),
            modes=_modes(data.get("modes")),
            controls=parse_controls(data.get("controls")),
            raw=data.get("raw") is True,
            **{name: bounded_text(data.get(name)) for name in _HOST_TEXTS},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "backend": self.backend,
            "id": self.id,
            "index": self.index,
            "model": self.model,
            "rotation": self.rotation,
            "pixel_array": _listed(self.pixel_array),
            "modes": [
                {
                    "size": list(mode.size),
                    "bit_depth": mode.bit_depth,
                    "fps": mode.fps,
                    "exposure_us": _listed(mode.exposure_us),
                }
                for mode in self.modes
            ],
            "controls": {
                name: [_listed(control.minimum), _listed(control.maximum), _listed(control.default)]
                for name, control in self.controls.items()
            },
            "raw": self.raw,
            **{name: getattr(self, name) for name in _HOST_TEXTS},
        }

    def with_limits(self, limits: object) -> Self:
        """Return it with the controls of a camera that is configured: other modes of the sensor have other limits.

        Anything that makes no sense leaves the control as it was.
        """
        return replace(self, controls={**self.controls, **parse_controls(limits)})

    @property
    def name(self) -> str:
        """Return how people call it, such as ``Raspberry Pi Camera Module 3 (imx708)``."""
        product = _PRODUCTS.get(self.model)
        return f"{product[0]} {product[1]} ({self.model})" if product else f"Unknown sensor {self.model}"

    @property
    def maker(self) -> str | None:
        """Return who sells it; None if that is not known."""
        product = _PRODUCTS.get(self.model)
        return product[0] if product else None

    @property
    def identity(self) -> SourceIdentity:
        """Return which camera this is."""
        maker = self.maker
        return SourceIdentity(
            kind=self.backend,
            manufacturer=maker or "Unknown",
            model=self.name.removeprefix(f"{maker} "),
            serial=self.id,
        )

    @property
    def resolutions(self) -> tuple[tuple[int, int], ...]:
        """Return the sizes of pictures to choose from, in pixels, largest first; empty if the camera told none."""
        sizes = {mode.size for mode in self.modes} or ({self.pixel_array} if self.pixel_array else set())
        return tuple(sorted(sizes, key=lambda size: (size[0] * size[1], size), reverse=True))

    @property
    def capabilities(self) -> SourceCapabilities:
        """Return what the camera can be asked for, whatever its settings are."""
        exposure, gain, lens = self.span("ExposureTime"), self.span("AnalogueGain"), self.span("LensPosition")
        width, height = self.resolutions[0] if self.resolutions else (None, None)
        return SourceCapabilities(
            exposure=exposure is not None,
            gain=gain is not None,
            reports_exposure=True,
            exposure_range_us=(max(1, math.ceil(exposure[0])), math.floor(exposure[1])) if exposure else None,
            gain_range=gain,
            width_px=width,
            height_px=height,
            ev_range=self.span("ExposureValue"),
            lens_range=lens,
            autofocus=self.backend == "picamera2" and lens is not None and "AfTrigger" in self.controls and self.takes("AfMode", 1),
            preview=self.backend == "picamera2",
            host=True,
            focus_measure=True,
            sensor_temperature=self.model.partition("_")[0] in _THERMOMETERS,
        )

    def span(self, control: str) -> tuple[float, float] | None:
        """Return the numbers a control can be set to; None if the camera does not have it or leaves no choice."""
        found = self.controls.get(control)
        return found.span if found else None

    def takes(self, control: str, value: float) -> bool:
        """Return whether the camera has a control, and takes this value for it."""
        span = self.span(control)
        return span is not None and span[0] <= value <= span[1]

    def default(self, control: str) -> float | None:
        """Return a control's own default if it is a number."""
        found = self.controls.get(control)
        value = found.default if found else None
        return None if value is None or isinstance(value, tuple) else float(value)


_HOST_TEXTS: Final = ("machine", "os", "python", "picamera2", "libcamera", "rpicam")


def parse_controls(data: object) -> dict[str, ControlRange]:
    """Return the controls of ``{name: [minimum, maximum, default]}``; those that make no sense are left out."""
    if not isinstance(data, Mapping):
        return {}
    controls = {}
    for name, values in list(data.items())[:_MOST_CONTROLS]:
        if not isinstance(name, str) or not name.isidentifier() or len(name) > _MOST_TEXT:
            continue
        if not isinstance(values, list | tuple) or len(values) != 3:
            continue
        try:
            controls[name] = ControlRange(*(_control_value(value) for value in values))
        except ValueError:
            continue
    return controls


def _control_value(value: object) -> ControlValue:
    """Return a value of a control. Raises ``ValueError``."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list | tuple):
        if not 1 <= len(value) <= 16:
            raise ValueError
        return tuple(_number(part) for part in value)
    return _number(value)


def _number(value: object) -> float:
    """Return a number that is one. Raises ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST <= value <= _LARGEST:
        raise ValueError
    return value


def _whole(value: object, low: int, high: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high else None


def _size(value: object) -> tuple[int, int] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    width, height = (_whole(side, 1, LONGEST_SIDE_PX) for side in value)
    return None if width is None or height is None else (width, height)


def _modes(data: object) -> tuple[SensorMode, ...]:
    modes = []
    for mode in data[:_MOST_MODES] if isinstance(data, list | tuple) else ():
        if not isinstance(mode, Mapping) or (size := _size(mode.get("size"))) is None:
            continue
        exposure = mode.get("exposure_us")
        limits = [_whole(limit, 0, 2**53) for limit in exposure] if isinstance(exposure, list | tuple) and len(exposure) == 2 else [None]
        try:
            fps = float(_number(mode.get("fps")))
        except ValueError:
            fps = None
        low, high = limits[0], limits[-1]
        modes.append(
            SensorMode(
                size=size,
                bit_depth=_whole(mode.get("bit_depth"), 1, 64),
                fps=fps,
                exposure_us=None if low is None or high is None else (low, high),
            )
        )
    return tuple(modes)


def bounded_text(value: object) -> str | None:
    """Return a short text with nothing in it that a screen or a log would stumble over; None if it is none."""
    if not isinstance(value, str):
        return None
    return "".join(letter if letter.isprintable() else " " for letter in value[:_MOST_TEXT]).strip() or None


def _name(data: Mapping[str, Any], name: str) -> str:
    """Return what names a camera, to the letter. Raises ``WorkerError``."""
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_TEXT or not value.isprintable():
        raise WorkerError("camera_probe_invalid", field=name)
    return value


def _listed(value: ControlValue) -> Any:
    return list(value) if isinstance(value, tuple) else value
