"""What a test can choose of the virtual camera: ``$RIG_DIR/settings.json``, and the camera models that are known by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
from typing import Any

type Limits = tuple[Any, Any, Any]
"""Least, greatest and default value, as libcamera tells them."""

_LENS = ("AfMode", "AfTrigger", "AfRange", "AfSpeed", "AfMetering", "AfWindows", "AfPause", "LensPosition")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "lens": (*_LENS, "AfState", "AfPauseState"),
    "hdr": ("HdrMode", "HdrChannel"),
    "sensor_temperature": ("SensorTemperature",),
    "focus_measure": ("FocusFoM",),
    "awb": ("AwbEnable", "AwbMode", "ColourGains", "ColourTemperature"),
}
"""Controls and metadata that a camera has together or not at all."""

SMALL = ((640, 480), (640, 360), (320, 240))
"""Sizes beside the sensor's modes that the virtual pipeline offers; a real one scales to any."""


@dataclass(frozen=True)
class Mode:
    """One of the ways in which a sensor can be read out."""

    size: tuple[int, int]
    fps: float
    crop: tuple[int, int, int, int]


@dataclass(frozen=True)
class Model:
    """A sensor, as the Pi's pipeline tells of it."""

    name: str
    modes: tuple[Mode, ...]
    longest_us: int
    gain: float
    without: tuple[str, ...] = ()
    rotation: int = 180

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pixel array."""
        return max(mode.size for mode in self.modes)

    def mode_for(self, size: tuple[int, int]) -> Mode:
        """Return the smallest mode that a picture of this size can be made from."""
        enough = [mode for mode in self.modes if mode.size[0] >= size[0] and mode.size[1] >= size[1]]
        return min(enough or self.modes, key=lambda mode: mode.size[0] * mode.size[1])

    def controls(self, mode: Mode) -> dict[str, Limits]:
        """Return the limits of all controls in one mode."""
        frame_us = round(1e6 / mode.fps)
        return {
            "AeConstraintMode": (0, 3, 0),
            "AeEnable": (False, True, True),
            "AeExposureMode": (0, 3, 0),
            "AeFlickerMode": (0, 1, 0),
            "AeFlickerPeriod": (100, 1_000_000, None),
            "AeMeteringMode": (0, 3, 0),
            "AfMetering": (0, 1, 0),
            "AfMode": (0, 2, 0),
            "AfPause": (0, 2, 0),
            "AfRange": (0, 2, 0),
            "AfSpeed": (0, 1, 0),
            "AfTrigger": (0, 1, 0),
            "AfWindows": ((0, 0, 0, 0), (65535, 65535, 65535, 65535), (0, 0, 0, 0)),
            "AnalogueGain": (1.0, self.gain, 1.0),
            "AnalogueGainMode": (0, 1, 0),
            "AwbEnable": (False, True, None),
            "AwbMode": (0, 7, 0),
            "Brightness": (-1.0, 1.0, 0.0),
            "ColourGains": (0.0, 32.0, None),
            "ColourTemperature": (100, 100_000, None),
            "Contrast": (0.0, 32.0, 1.0),
            "ExposureTime": (min(287, frame_us), self.longest_us, 20_000),
            "ExposureTimeMode": (0, 1, 0),
            "ExposureValue": (-8.0, 8.0, 0.0),
            "FrameDurationLimits": (frame_us, self.longest_us + 6_000, frame_us),
            "HdrMode": (0, 4, 0),
            "LensPosition": (0.0, 32.0, 1.0),
            "NoiseReductionMode": (0, 4, 0),
            "Saturation": (0.0, 32.0, 1.0),
            "ScalerCrop": ((0, 0, 64, 64), mode.crop, mode.crop),
            "Sharpness": (0.0, 16.0, 1.0),
            "StatsOutputEnable": (False, True, False),
        }


def _modes(size: tuple[int, int], *modes: tuple[int, int, float, float]) -> tuple[Mode, ...]:
    """Put modes (width, height, frames per second, sensor pixels per pixel) in the middle of the pixel array."""
    return tuple(
        Mode((width, height), fps, (round(size[0] - width * step) // 2, round(size[1] - height * step) // 2, round(width * step), round(height * step)))
        for width, height, fps, step in modes
    )  # fmt: skip


_KNOWN = (
    Model(
        "imx519",
        _modes((4656, 3496), (1280, 720, 80, 2), (1920, 1080, 60, 2), (2328, 1748, 30, 2), (3840, 2160, 18, 1), (4656, 3496, 9, 1)),
        120_729_139,
        16.0,
    ),
    Model("imx708", _modes((4608, 2592), (1536, 864, 120, 2), (2304, 1296, 56, 2), (4608, 2592, 14, 1)), 112_015_443, 16.0),
    Model(
        "imx477",
        _modes((4056, 3040), (1332, 990, 120, 2), (2028, 1080, 50, 2), (2028, 1520, 40, 2), (4056, 3040, 10, 1)),
        694_422_939,
        22.26,
        without=("lens", "hdr"),
    ),
    Model(
        "imx219",
        _modes((3280, 2464), (640, 480, 103, 2), (1640, 1232, 41, 2), (1920, 1080, 47, 1), (3280, 2464, 21, 1)),
        11_766_829,
        10.67,
        without=("lens", "hdr", "sensor_temperature"),
    ),
)


def model(name: str) -> Model:
    """Return the sensor of this name; one of two megapixels and without extras for a name that is not known."""
    known = {one.name: one for one in _KNOWN}
    plain = ("lens", "hdr", "sensor_temperature")
    return known.get(name) or Model(name, _modes((1920, 1080), (960, 540, 60, 2), (1920, 1080, 30, 1)), 1_000_000, 8.0, plain, 0)


@dataclass(frozen=True)
class Settings:
    """What a test chose; each file and each value may be missing."""

    cameras: tuple[str, ...] = ("imx519",)
    """Their models, by the sensor's name."""
    without: tuple[str, ...] = ()
    """Controls and metadata that the camera lacks: names of libcamera, or of ``GROUPS``."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Limits of controls that differ from the model's."""
    startup_frames: int = 0
    """Frames that the pipeline marks as unfit when it starts for the first time, unless exposure, gain and colour gains are fixed."""
    delay_frames: int = 2
    """Frames until a control acts."""
    time_scale: float = 1.0
    """Real seconds for a second of the sensor's; metadata tell the sensor's."""
    focus_peak: float | None = 2.0
    """Lens position in dioptres at which the picture is sharp; None: nowhere."""
    open_error: str = ""
    """What opening the camera fails with: a message, or "busy" for the one that another process causes."""

    @classmethod
    def read(cls) -> "Settings":
        """Read the rig's settings as they are now."""
        try:
            found: dict[str, Any] = json.loads((folder() / "settings.json").read_text())
        except FileNotFoundError:
            found = {}
        limits = {name: (least, greatest, default) for name, (least, greatest, default) in found.pop("limits", {}).items()}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}, limits=limits)

    def lacks(self, sensor: Model) -> frozenset[str]:
        """Return the names of all controls and metadata that a camera does not have."""
        asked = (*sensor.without, *self.without)
        return frozenset(name for group in asked for name in GROUPS.get(group, (group,)))


def folder() -> Path:
    """Return the rig's folder, where its settings are and its locks lie."""
    return Path(os.environ["RIG_DIR"])


def identifier(index: int, name: str) -> str:
    """Return the identifier by which libcamera knows a camera on a Pi's connector."""
    return f"/base/soc/i2c0mux/i2c@{1 - index if index < 2 else index}/{name}@1a"


def write_virtual_yaml(settings: Settings) -> None:
    """Tell libcamera's virtual pipeline which cameras there are, where the shim lets it look."""
    lines = ["%YAML 1.1", "---"]
    for index, name in enumerate(settings.cameras):
        sensor = model(name)
        lines += [f'"{identifier(index, name)}":', '  test_pattern: "bars"', '  location: "CameraLocationBack"', f'  model: "{name}"']
        lines.append("  supported_formats:")
        sizes = {mode.size: mode.fps for mode in sensor.modes} | dict.fromkeys(SMALL, 60.0)
        for (width, height), fps in sorted(sizes.items(), reverse=True):
            lines += [f"  - width: {width}", f"    height: {height}", f"    frame_rates: [1, {round(fps)}]"]
    path = folder() / "host" / "usr" / "share" / "libcamera" / "pipeline" / "virtual" / "virtual.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text("\n".join(lines) + "\n")
    part.replace(path)
