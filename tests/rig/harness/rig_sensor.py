"""A model of sensor, lens and the Pi's image processor: controls in, the metadata of each frame out. Knows nothing of picamera2."""

from collections import deque
from collections.abc import Mapping
import math
import random
import time
from typing import Any, NamedTuple

from rig_settings import Mode, Model, Settings, folder

_LINE_US = 7.2
"""What exposures are a multiple of."""
_LONGEST_AUTO_US = 120_000.0
_HIGHEST_AUTO_GAIN = 8.0
_RIGHT = 20e6
"""Microseconds × gain × lux of a well exposed frame."""
_DEFAULT_LUX = 1000.0
_SHARP = 1800
_SCAN_FRAMES = 8
_IDLE, _SEARCHING, _CONVERGED = range(3)
_AF_IDLE, _AF_SCANNING, _AF_FOCUSED, _AF_FAILED = range(4)


class Frame(NamedTuple):
    """A frame that was taken."""

    metadata: dict[str, Any]
    fit: bool
    """Whether the pipeline holds it fit to be used."""
    light: float
    """How bright it is: 1.0 is right."""
    blur: float
    """How far the lens was from where the picture is sharp, in dioptres."""


class Sensor:
    """What happens frame by frame. The frame that is being exposed now has settings; the next ones have controls under way."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self._model, self._settings, self._lacks = model, settings, settings.lacks(model)
        self._mode = model.mode_for(model.size)
        self._controls: dict[str, Any] = {}
        self._under_way: deque[tuple[int, dict[str, Any]]] = deque()
        self._frame = 0
        self._exposure_us, self._gain, self._settled = 20_000.0, 1.0, False
        self._lens = 1.0
        self._af, self._scanned, self._af_result = _AF_IDLE, 0, _AF_IDLE
        self._startup_left: int | None = None
        self._expose()

    @property
    def limits(self) -> dict[str, tuple[Any, Any, Any]]:
        """The controls that this camera has, in the mode that is set."""
        found = self._model.controls(self._mode)
        found.update({name: value for name, value in self._settings.limits.items() if name in found})
        return {name: value for name, value in found.items() if name not in self._lacks}

    @property
    def pace_us(self) -> int:
        """Real microseconds that the frame takes which is being exposed."""
        return max(1, int(self._duration_us * self._settings.time_scale))

    def configure(self, size: tuple[int, int]) -> Mode:
        """Choose the mode for pictures of this size."""
        self._mode = self._model.mode_for(size)
        return self._mode

    def begin(self, controls: Mapping[str, Any]) -> None:
        """Start the stream: these controls act on its first frame."""
        self._under_way.clear()
        self._take(controls)
        fixed = all(self._controls.get(name) for name in ("ExposureTime", "AnalogueGain", "ColourGains"))
        first = self._startup_left is None
        self._startup_left = self._settings.startup_frames if first and not fixed else 0
        self._expose()

    def send(self, controls: Mapping[str, Any]) -> None:
        """Send controls along with a frame: they act some frames later."""
        self._under_way.append((self._frame + self._settings.delay_frames, dict(controls)))

    def finish(self, stamp_ns: int) -> Frame:
        """End the frame that is being exposed, and begin the next.

        ``stamp_ns`` is when it ended, in ``CLOCK_MONOTONIC``. Where time is scaled, the frame's own stamp lies later, so that it
        began when it really began.
        """
        real_ns = min(self._exposure_us * self._settings.time_scale, self._duration_us * self._settings.time_scale) * 1000
        stamp_ns += round(self._exposure_us * 1000 - real_ns)
        fit, self._startup_left = not self._startup_left, max(0, (self._startup_left or 0) - 1)
        metadata = {name: value for name, value in self._metadata(stamp_ns).items() if name not in self._lacks}
        light = self._exposure_us * self._gain * self._lux / _RIGHT
        frame = Frame(metadata, fit, light, 0.0 if "LensPosition" in self._lacks else self._distance)
        self._frame += 1
        while self._under_way and self._under_way[0][0] <= self._frame:
            self._take(self._under_way.popleft()[1])
        self._focus()
        self._expose()
        return frame

    @property
    def _distance(self) -> float:
        """How far the lens is from where the picture is sharp, in dioptres."""
        peak = self._settings.focus_peak
        return 32.0 if peak is None else abs(self._lens - peak)

    def _take(self, controls: Mapping[str, Any]) -> None:
        """Let controls act from the next frame on."""
        self._controls.update(controls)
        if "ColourGains" in controls:
            self._controls["AwbEnable"] = False
        elif controls.get("AwbEnable"):
            self._controls.pop("ColourGains", None)
        if "AfMode" in controls or "AfTrigger" in controls:
            mode = int(self._controls.get("AfMode", 0))
            start = mode == 2 or (mode == 1 and "AfTrigger" in controls and int(controls["AfTrigger"]) == 0)
            self._af, self._scanned = (_AF_SCANNING if start else _AF_IDLE), 0
        if int(self._controls.get("AfMode", 0)) == 0 and (wanted := self._controls.get("LensPosition")) is not None:
            self._lens = float(wanted)

    def _focus(self) -> None:
        """Move the lens on, if autofocus is at work."""
        if self._af != _AF_SCANNING:
            return
        self._scanned += 1
        least, greatest, _ = self._model.controls(self._mode)["LensPosition"]
        if self._scanned < _SCAN_FRAMES:
            self._lens = least + (min(greatest, 12.0) - least) * self._scanned / _SCAN_FRAMES
        elif (peak := self._settings.focus_peak) is None:
            self._af, self._lens = _AF_FAILED, 1.0
        else:
            self._af, self._lens = _AF_FOCUSED, peak

    def _expose(self) -> None:
        """Set exposure and gain of the frame that begins."""
        control = self._controls
        limits = self._model.controls(self._mode)
        shortest_frame, longest_frame = control.get("FrameDurationLimits") or (0, limits["FrameDurationLimits"][1])
        least, greatest, _ = limits["ExposureTime"]
        self._lux = _read_lux()
        wanted = _RIGHT / self._lux * 2.0 ** float(control.get("ExposureValue", 0.0))
        fixed_us, fixed_gain = control.get("ExposureTime") or None, control.get("AnalogueGain") or None
        if control.get("AeEnable", True) is False:
            fixed_us, fixed_gain = fixed_us or self._exposure_us, fixed_gain or self._gain
        exposure_us = fixed_us or min(wanted / (fixed_gain or 1.0), _LONGEST_AUTO_US)
        gain = fixed_gain or min(max(wanted / exposure_us, 1.0), _HIGHEST_AUTO_GAIN)
        self._settled = True
        if fixed_us is None:
            exposure_us, close = _towards(self._exposure_us, exposure_us)
            self._settled &= close
        if fixed_gain is None:
            gain, close = _towards(self._gain, gain)
            self._settled &= close
        self._automatic = fixed_us is None or fixed_gain is None
        exposure_us = min(max(exposure_us, least), greatest, longest_frame)
        self._exposure_us = max(1, round(exposure_us / _LINE_US)) * _LINE_US
        self._gain = 1024 / (1024 - round(1024 - 1024 / min(max(gain, 1.0), self._model.gain)))
        self._duration_us = max(shortest_frame, limits["FrameDurationLimits"][0], self._exposure_us + 400)

    def _metadata(self, stamp_ns: int) -> dict[str, Any]:
        """Describe the frame that ends."""
        control = self._controls
        scanning = self._af == _AF_SCANNING
        sharpness = 1 / (1 + (self._distance / 1.5) ** 2)
        return {
            "AeLocked": self._automatic and self._settled,
            "AeState": (_CONVERGED if self._settled else _SEARCHING) if self._automatic else _IDLE,
            "AfPauseState": 0,
            "AfState": self._af,
            "AnalogueGain": self._gain,
            "ColourCorrectionMatrix": (1.6, -0.4, -0.2, -0.3, 1.5, -0.2, 0.0, -0.6, 1.6),
            "ColourGains": tuple(control.get("ColourGains") or (2.1, 1.7)),
            "ColourTemperature": 5200,
            "DigitalGain": 1.0,
            "ExposureTime": int(self._exposure_us),
            "FocusFoM": round(_SHARP * (0.05 + 0.95 * sharpness) * random.uniform(0.99, 1.01)),
            "FrameDuration": int(self._duration_us),
            "FrameWallClock": time.time_ns() - time.monotonic_ns() + stamp_ns,
            "LensPosition": self._lens if not scanning else round(self._lens, 2),
            "Lux": round(self._lux * random.uniform(0.98, 1.02), 3),
            "ScalerCrop": tuple(control.get("ScalerCrop") or self._mode.crop),
            "SensorBlackLevels": (4096, 4096, 4096, 4096),
            "SensorTemperature": 38.0,
            "SensorTimestamp": stamp_ns,
        }


def _towards(now: float, wanted: float) -> tuple[float, bool]:
    """Return the next value on the way to the wanted one, as automatic exposure goes, and whether it is reached."""
    if abs(math.log2(wanted / now)) < 0.05:
        return wanted, True
    return now * (wanted / now) ** 0.6, False


def _read_lux() -> float:
    """Return how bright the scene is: the file ``lux`` of the rig says so."""
    try:
        return max(float((folder() / "lux").read_text()), 1e-4)
    except (OSError, ValueError):
        return _DEFAULT_LUX
