"""A camera's settings: from the options of a form to what libcamera is told, checked against what the camera can do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
import math
import re
from typing import Any, Final, Self

from ..errors import SourceError
from .base import check_range
from .camera_probe import LONGEST_SIDE_PX, CameraProbe

AUTO: Final = "auto"
MANUAL: Final = "manual"
FIXED: Final = "fixed"
AUTO_ONCE: Final = "auto_once"
HYPERFOCAL: Final = "hyperfocal"
DEFAULT: Final = "default"
OFF: Final = "off"
SENSOR: Final = "sensor"

METERING: Final = {"centre_weighted": 0, "spot": 1, "matrix": 2}
WHITE_BALANCE: Final = {AUTO: 0, "incandescent": 1, "tungsten": 2, "fluorescent": 3, "indoor": 4, "daylight": 5, "cloudy": 6}
NOISE_REDUCTION: Final = {OFF: 0, "fast": 1, "high_quality": 2, "minimal": 3}
HDR: Final = {OFF: 0, "single_exposure": 3, "multi_exposure": 2, "night": 4}
ORIENTATION: Final = {0: 1, 90: 6, 180: 1, 270: 8}
"""What EXIF calls the way a picture has to be turned to be upright. Half turns are made by the sensor itself."""

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "quality": (1, 100),
    "ev": (-8, 8),
    "exposure_ms": (0.001, 3_600_000),
    "gain": (1, 1000),
    "gain_red": (0.01, 32),
    "gain_blue": (0.01, 32),
    "lens_position": (0, 100),
    "sharpness": (0, 16),
    "contrast": (0, 32),
    "saturation": (0, 32),
    "brightness": (-1, 1),
    "roi_left": (0, 99),
    "roi_top": (0, 99),
    "roi_width": (1, 100),
    "roi_height": (1, 100),
}
"""What a number may be with any camera."""

_CONTROLS: Final[Mapping[str, str]] = {
    "ev": "ExposureValue",
    "gain_red": "ColourGains",
    "gain_blue": "ColourGains",
    "lens_position": "LensPosition",
    "sharpness": "Sharpness",
    "contrast": "Contrast",
    "saturation": "Saturation",
    "brightness": "Brightness",
    "gain": "AnalogueGain",
    "exposure_ms": "ExposureTime",
}
"""The control a number needs the camera to have."""

_DEFAULTS: Final[Mapping[str, Any]] = {
    "quality": 93,
    "rotation": "0",
    "hflip": False,
    "vflip": False,
    "exposure_mode": AUTO,
    "ev": 0.0,
    "metering": "centre_weighted",
    "exposure_ms": 10.0,
    "gain": 1.0,
    "white_balance": AUTO,
    "gain_red": 2.0,
    "gain_blue": 1.8,
    "lens_position": 0.0,
    "noise_reduction": DEFAULT,
    "sharpness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "brightness": 0.0,
    "hdr": OFF,
    "roi_left": 0.0,
    "roi_top": 0.0,
    "roi_width": 100.0,
    "roi_height": 100.0,
    "tuning_file": "",
    "dng": False,
}

_OF_THE_MODE: Final = frozenset({"AnalogueGain", "ExposureTime", "FrameDurationLimits", "ScalerCrop"})

LONG_EXPOSURE_US: Final = 1_000_000
"""From here on the worker starts the sensor for each exposure, and stops it again."""

PREVIEW_WIDTH_PX: Final = 640
SMALLEST_SIDE_PX: Final = 64
"""libcamera's own limit for what is cut out of the sensor's picture; smaller pictures would serve nobody either."""

_RESOLUTION: Final = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
_LONGEST_NAME: Final = 255
_HDR_SENSOR: Final = "imx708"
"""The one sensor that combines exposures by itself."""


def defaults(probe: CameraProbe) -> dict[str, Any]:
    """Return what each option is unless it is given; without ``resolution`` if the camera told no sizes."""
    values = dict(_DEFAULTS)
    values["focus_mode"] = HYPERFOCAL if probe.span("LensPosition") else FIXED
    if probe.resolutions:
        values["resolution"] = "{}x{}".format(*probe.resolutions[0])
    return values


def offered_choices(probe: CameraProbe) -> dict[str, tuple[str, ...]]:
    """Return the options with a choice and their values that this camera can take; those that leave no choice are not there."""
    offered = {
        "resolution": tuple(f"{width}x{height}" for width, height in probe.resolutions),
        "rotation": ("0", "90", "180", "270"),
        "exposure_mode": (AUTO, *((MANUAL,) if probe.span("ExposureTime") and probe.span("AnalogueGain") else ())),
        "metering": tuple(name for name, number in METERING.items() if probe.takes("AeMeteringMode", number)),
        "white_balance": (
            AUTO,
            *(name for name, number in WHITE_BALANCE.items() if number and probe.takes("AwbMode", number)),
            *((FIXED,) if "ColourGains" in probe.controls else ()),
        ),
        "focus_mode": _focus_modes(probe),
        "noise_reduction": (DEFAULT, *(name for name, number in NOISE_REDUCTION.items() if probe.takes("NoiseReductionMode", number))),
        "hdr": (
            OFF,
            *((SENSOR,) if probe.model.startswith(_HDR_SENSOR) else ()),
            *(name for name, number in HDR.items() if number and probe.takes("HdrMode", number)),
        ),
    }
    return {field: values for field, values in offered.items() if len(values) > 1 or (values and field == "resolution")}


def _focus_modes(probe: CameraProbe) -> tuple[str, ...]:
    if probe.span("LensPosition") is None:
        return ()
    return HYPERFOCAL, FIXED, *((AUTO_ONCE,) if probe.capabilities.autofocus else ())


def offered_ranges(probe: CameraProbe) -> dict[str, tuple[float, float]]:
    """Return the options that are numbers and between what they may be with this camera; those it cannot take are not there."""
    return {field: found for field in RANGES if (found := _allowed(field, probe)) is not None}


def offered_switches(probe: CameraProbe) -> tuple[str, ...]:
    """Return the options that are on or off and that this camera can take."""
    return "hflip", "vflip", *(("dng",) if probe.raw and probe.backend == "picamera2" else ())


def _allowed(field: str, probe: CameraProbe) -> tuple[float, float] | None:
    """Return between what a number may be, in the unit of the form; None if the camera does not have the control it needs."""
    low, high = RANGES[field]
    if field.startswith("roi_"):
        return (low, high) if _picture_area(probe) is not None and "ScalerCrop" in probe.controls else None
    control = _CONTROLS.get(field)
    if control is None or (control == "ColourGains" and control in probe.controls):
        return low, high
    span = probe.span(control)
    if span is None:
        return None
    if field == "exposure_ms":
        span = span[0] / 1000, span[1] / 1000
    if field == "gain":
        span = 1.0, span[1]  # few sensors begin at exactly 1; asked for it they are given the least they have, which is what is meant
    return max(low, span[0]), min(high, span[1])


def _picture_area(probe: CameraProbe) -> tuple[int, int, int, int] | None:
    """Return the part of the sensor that makes the whole picture: left, top, width, height in its pixels; None if not known."""
    crop = probe.controls.get("ScalerCrop")
    for value in (crop.maximum, crop.default) if crop else ():
        if isinstance(value, tuple) and len(value) == 4:
            left, top, width, height = (int(part) for part in value)
            if min(left, top) >= 0 and min(width, height) >= SMALLEST_SIDE_PX and max(width, height) <= LONGEST_SIDE_PX:
                return left, top, width, height
    return (0, 0, *probe.pixel_array) if probe.pixel_array else None


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """How a camera takes pictures. Made by ``from_options``, so that each setting is one the camera can take."""

    probe: CameraProbe
    resolution: tuple[int, int]
    """Pixels of a whole picture before anything is cut off."""
    quality: int
    rotation: int
    """Degrees clockwise by which the picture is shown turned: 0, 90, 180 or 270."""
    hflip: bool
    vflip: bool
    exposure_us: int | None
    """Microseconds; None is automatic."""
    gain: float | None
    """None is automatic."""
    ev: float
    metering: str
    white_balance: str
    colour_gains: tuple[float, float]
    focus_mode: str
    lens_position: float
    """Dioptres, for ``fixed``."""
    noise_reduction: str
    sharpness: float
    contrast: float
    saturation: float
    brightness: float
    hdr: str
    roi: tuple[float, float, float, float]
    """Left, top, width and height of what is kept, in percent of the whole picture."""
    tuning_file: str
    dng: bool

    @classmethod
    def from_options(cls, options: Mapping[str, Any], probe: CameraProbe) -> Self:
        """Return the settings of a config entry's options; options that are not there have their defaults.

        A setting that this camera does not know is refused, unless it is at its default. Raises ``SourceError``:
        ``source_option_invalid`` with field and value; ``exposure_out_of_range``, ``gain_out_of_range``, ``ev_out_of_range``
        and ``lens_position_out_of_range`` with value (microseconds for an exposure), minimum and maximum.
        """
        return _Reader(options, probe).read(cls)

    def adjusted(self, *, ev: float) -> Self:
        """Return them with another correction of the exposure. Raises ``SourceError`` (``ev_out_of_range``)."""
        check_range("ev_out_of_range", ev, self.probe.capabilities.ev_range)
        return replace(self, ev=ev)

    def with_limits(self, limits: object) -> Self:
        """Return them for the camera as it is configured, whose limits are those of the sensor's mode."""
        return replace(self, probe=self.probe.with_limits(limits))

    @property
    def hyperfocal(self) -> float:
        """Return where the lens is put for ``hyperfocal``, dioptres: the default that libcamera's tuning gives it."""
        return self.probe.default("LensPosition") or 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Return the pictures' width and height in pixels, as the sensor sees them (before being turned by 90 degrees).

        What is cut out is never squeezed into another shape, and its longer side (in shares of the whole) keeps the full
        resolution: otherwise libcamera would choose a coarser mode of the sensor, and the cut would have less detail than
        the whole picture.
        """
        (width, height), (_, _, across, down) = self.resolution, self.roi
        longest = max(across, down)
        return _even(width * across / longest), _even(height * down / longest)

    @property
    def preview_size(self) -> tuple[int, int] | None:
        """Return the size of small pictures; None where the backend has none."""
        if self.probe.backend != "picamera2":
            return None
        width, height = self.size
        scale = min(1.0, PREVIEW_WIDTH_PX / width, PREVIEW_WIDTH_PX / height)
        return _even(width * scale), _even(height * scale)

    def configure_args(self) -> dict[str, Any]:
        """Return what the worker's ``configure`` is told."""
        half_turn, sideways = self.rotation == 180, self.rotation in {90, 270}
        # flips are meant as the picture is shown: on a picture lying on its side, left to right is the sensor's up and down
        across, down = (self.vflip, self.hflip) if sideways else (self.hflip, self.vflip)
        preview = self.preview_size
        identity = self.probe.identity
        return {
            "backend": self.probe.backend,
            "camera": {"id": self.probe.id, "index": self.probe.index, "model": self.probe.model},
            "size": list(self.size),
            "preview_size": list(preview) if preview else None,
            "quality": self.quality,
            "hflip": across != half_turn,
            "vflip": down != half_turn,
            "orientation": ORIENTATION[self.rotation],
            # what depends on the sensor's mode, which is only chosen now, comes with each frame
            "controls": {name: value for name, value in self.controls().items() if name not in _OF_THE_MODE},
            "tuning": self.tuning_file or None,
            "sensor_hdr": self.hdr == SENSOR,
            "raw": self.dng,
            "exif": {"make": self.probe.maker, "model": identity.model},
        }

    def exposure(self, exposure_us: int | None, gain: float | None) -> tuple[int | None, float | None]:
        """Return exposure and gain of a frame: what is asked for, else what is set; None is automatic.

        Raises ``SourceError`` (``camera_cannot``, ``exposure_out_of_range``, ``gain_out_of_range``).
        """
        exposure_us, gain = exposure_us or self.exposure_us, gain or self.gain
        capabilities = self.probe.capabilities
        for what, value, can in (("exposure", exposure_us, capabilities.exposure), ("gain", gain, capabilities.gain)):
            if value is not None and not can:
                raise SourceError("camera_cannot", what=what)
        if gain is not None and capabilities.gain_range is not None and 1.0 <= gain < capabilities.gain_range[0]:
            gain = capabilities.gain_range[0]
        capabilities.check(exposure_us=exposure_us, gain=gain)
        return exposure_us, gain

    def controls(self, exposure_us: int | None = None, gain: float | None = None, lens_position: float | None = None) -> dict[str, Any]:
        """Return every control that shall hold for a frame, by libcamera's names: those the camera has.

        ``exposure_us`` and ``gain`` are as ``exposure`` gave them, or None for what is set; ``lens_position`` (dioptres) goes
        before the focus mode. Raises as ``exposure``.
        """
        exposure_us, gain = self.exposure(exposure_us, gain)
        fixed = self.white_balance == FIXED
        wanted: dict[str, Any] = {
            "ExposureTime": exposure_us or 0,  # 0 hands it back to the automatic
            "AnalogueGain": gain or 0.0,
            "FrameDurationLimits": self._frame_durations(exposure_us),
            "ExposureValue": self.ev,
            "AeMeteringMode": METERING[self.metering],
            "AwbEnable": not fixed,
            "AwbMode": None if fixed else WHITE_BALANCE[self.white_balance],
            "ColourGains": list(self.colour_gains) if fixed else None,
            "AfMode": 0 if self.probe.span("LensPosition") else None,
            "LensPosition": self._lens(lens_position),
            "NoiseReductionMode": NOISE_REDUCTION["high_quality" if self.noise_reduction == DEFAULT else self.noise_reduction],
            "HdrMode": HDR.get(self.hdr, 0),
            "Sharpness": self.sharpness,
            "Contrast": self.contrast,
            "Saturation": self.saturation,
            "Brightness": self.brightness,
            "ScalerCrop": self._crop(),
        }
        return {name: value for name, value in wanted.items() if value is not None and name in self.probe.controls}

    def _lens(self, lens_position: float | None) -> float:
        """Return where the lens shall be, dioptres; without a lens motor that is told to nobody."""
        if lens_position is not None:
            return lens_position
        return self.lens_position if self.focus_mode == FIXED else self.hyperfocal

    def _frame_durations(self, exposure_us: int | None) -> list[int] | None:
        """Return the shortest and longest time between two frames, microseconds: an exposure longer than that would be cut."""
        span = self.probe.span("FrameDurationLimits")
        return None if span is None else [math.ceil(span[0]), max(math.floor(span[1]), (exposure_us or 0) + 100_000)]

    def _crop(self) -> list[int] | None:
        """Return the rectangle of the sensor that is kept: left, top, width, height in its pixels; None for the whole picture."""
        area = _picture_area(self.probe)
        if area is None or self.roi == (0, 0, 100, 100):
            return None
        left, top, width, height = area
        # a picture of another shape than the sensor shows the largest part of that shape in its middle; percents are of that
        scale = min(width / self.resolution[0], height / self.resolution[1])
        whole_width, whole_height = self.resolution[0] * scale, self.resolution[1] * scale
        whole_left, whole_top = left + (width - whole_width) / 2, top + (height - whole_height) / 2
        across, down = _even(whole_width * self.roi[2] / 100), _even(whole_height * self.roi[3] / 100)
        return [
            _even_place(whole_left + whole_width * self.roi[0] / 100, left, left + width - across),
            _even_place(whole_top + whole_height * self.roi[1] / 100, top, top + height - down),
            across,
            down,
        ]


def _even(side: float) -> int:
    """Return a side's pixels as libcamera takes them."""
    return max(SMALLEST_SIDE_PX, int(side) // 2 * 2)


def _even_place(place: float, low: int, high: int) -> int:
    """Return where a rectangle begins so that it stays on the sensor."""
    return min(max(int(place) // 2 * 2, low), max(low, high))


class _Reader:
    """Reads one form's options for one camera."""

    def __init__(self, options: Mapping[str, Any], probe: CameraProbe) -> None:
        self._options = options
        self._probe = probe
        self._defaults = defaults(probe)
        self._choices = offered_choices(probe)

    def read[Settings: CameraSettings](self, cls: type[Settings]) -> Settings:
        manual = self._choice("exposure_mode") == MANUAL
        # what is not in use only has to be a number; it may be one for another camera
        exposure_ms, gain = self._number("exposure_ms", used=manual), self._number("gain", used=manual)
        roi = tuple(self._number(f"roi_{side}") for side in ("left", "top", "width", "height"))
        for start, length, field in ((roi[0], roi[2], "roi_width"), (roi[1], roi[3], "roi_height")):
            if start + length > 100:
                raise self._invalid(field)
        focus_mode = self._choice("focus_mode")
        white_balance = self._choice("white_balance")
        dng = self._switch("dng")
        if dng and "dng" not in offered_switches(self._probe):
            raise self._invalid("dng")
        return cls(
            probe=self._probe,
            resolution=self._resolution(),
            quality=self._whole("quality"),
            rotation=int(self._choice("rotation")),
            hflip=self._switch("hflip"),
            vflip=self._switch("vflip"),
            exposure_us=max(1, round(exposure_ms * 1000)) if manual else None,
            gain=gain if manual else None,
            ev=self._number("ev"),
            metering=self._choice("metering"),
            white_balance=white_balance,
            colour_gains=(
                self._number("gain_red", used=white_balance == FIXED),
                self._number("gain_blue", used=white_balance == FIXED),
            ),
            focus_mode=focus_mode,
            lens_position=self._number("lens_position", used=focus_mode == FIXED),
            noise_reduction=self._choice("noise_reduction"),
            sharpness=self._number("sharpness"),
            contrast=self._number("contrast"),
            saturation=self._number("saturation"),
            brightness=self._number("brightness"),
            hdr=self._choice("hdr"),
            roi=(roi[0], roi[1], roi[2], roi[3]),
            tuning_file=self._file("tuning_file"),
            dng=dng,
        )

    def _invalid(self, field: str) -> SourceError:
        return SourceError("source_option_invalid", field=field, value=self._value(field))

    def _value(self, field: str) -> Any:
        return self._options.get(field, self._defaults.get(field))

    def _choice(self, field: str) -> str:
        """Return one of the values this camera can take; the default always is."""
        value = self._value(field)
        if not isinstance(value, str) or value not in (self._defaults[field], *self._choices.get(field, ())):
            raise self._invalid(field)
        return value

    def _switch(self, field: str) -> bool:
        value = self._value(field)
        if not isinstance(value, bool):
            raise self._invalid(field)
        return value

    def _number(self, field: str, *, used: bool = True) -> float:
        """Return a number; one that is in use has to be within what this camera can take, unless it is the default of a control it lacks."""
        value = self._value(field)
        low, high = RANGES[field]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._invalid(field)
        allowed = _allowed(field, self._probe)
        if not used or (allowed is None and value == self._defaults[field]):
            return float(value)
        if allowed is None:
            raise self._invalid(field)
        if not allowed[0] <= value <= allowed[1]:
            self._out_of_range(field, value, allowed)
        return float(value)

    def _out_of_range(self, field: str, value: float, allowed: tuple[float, float]) -> None:
        """Raise that a number is out of this camera's range, in the words there are for it."""
        if field == "exposure_ms":
            check_range("exposure_out_of_range", value * 1000, (allowed[0] * 1000, allowed[1] * 1000))
        if field in {"gain", "ev", "lens_position"}:
            check_range(f"{field}_out_of_range", value, allowed)
        raise self._invalid(field)

    def _whole(self, field: str) -> int:
        """Return a whole number, which may come as 93.0."""
        value = self._number(field)
        if value != int(value):
            raise self._invalid(field)
        return int(value)

    def _resolution(self) -> tuple[int, int]:
        """Return a size no larger than the sensor's largest: the camera scales to any, but enlarging would only cost room."""
        value = self._value("resolution")
        found = _RESOLUTION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise self._invalid("resolution")
        width, height = int(found[1]), int(found[2])
        sizes = self._probe.resolutions
        if min(width, height) < SMALLEST_SIDE_PX or not any(width <= size[0] and height <= size[1] for size in sizes):
            raise self._invalid("resolution")
        return width, height

    def _file(self, field: str) -> str:
        """Return the name or path of a file where the camera is; whether it is there is for the worker to see."""
        value = self._value(field)
        if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
            raise self._invalid(field)
        return value.strip()
