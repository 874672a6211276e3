"""What a camera and its host tell beside pictures, judged: a worker's figures are numbers only once they have been looked at."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import math
from typing import Any, Final

from ..camera_host.replies import plain
from ..errors import WorkerError
from .camera_probe import LONGEST_SIDE_PX
from .live import Autofocus, CameraReading, FocusStep, FocusSweep, HostReading

_LARGEST: Final = 2**62

TOLERANCE_S: Final = 0.5
"""Seconds by which the clocks of two machines that keep time may differ, and by which a request may have been slow."""

MOST_STEPS: Final = 100
"""Places of a focus sweep: more would take minutes and tell nothing more."""


def number(values: Mapping[str, Any], name: str, low: float = -_LARGEST, high: float = _LARGEST) -> float | None:
    """Return a number within its bounds; None for anything else."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return None
    return value


def whole(values: Mapping[str, Any], name: str) -> int | None:
    """Return a number that is not negative, without what is behind its point; None for anything else."""
    value = number(values, name, 0)
    return None if value is None else int(value)


def _truth(values: Mapping[str, Any], name: str) -> bool | None:
    value = values.get(name)
    return value if isinstance(value, bool) else None


def _used_percent(values: Mapping[str, Any], total: str, free: str) -> float | None:
    """Return how much of something is in use, 0 to 100."""
    whole_of_it, rest = number(values, total, 1), number(values, free, 0)
    return None if whole_of_it is None or rest is None else round(100 * (1 - min(rest / whole_of_it, 1.0)), 1)


def host_reading(metrics: Mapping[str, Any]) -> HostReading:
    """Return how the camera's host is doing, from the worker's ``metrics``."""
    return HostReading(
        cpu_temperature_c=number(metrics, "cpu_temperature_c", -100, 300),
        throttled=_truth(metrics, "throttled"),
        under_voltage=_truth(metrics, "under_voltage"),
        frequency_capped=_truth(metrics, "frequency_capped"),
        memory_used_percent=_used_percent(metrics, "memory_total_bytes", "memory_available_bytes"),
        memory_available_bytes=whole(metrics, "memory_available_bytes"),
        cma_free_bytes=whole(metrics, "cma_free_bytes"),
        cma_total_bytes=whole(metrics, "cma_total_bytes"),
        disk_used_percent=_used_percent(metrics, "disk_total_bytes", "disk_free_bytes"),
        disk_free_bytes=whole(metrics, "disk_free_bytes"),
        load_1m=number(metrics, "load_1m", 0, 1e6),
        uptime_s=number(metrics, "uptime_s", 0),
    )


def frame_reading(before: CameraReading, metadata: object) -> CameraReading:
    """Return the reading with what libcamera says of a frame; what it does not say is not known any more."""
    told: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
    return replace(
        before,
        exposure_us=whole(told, "ExposureTime"),
        gain=number(told, "AnalogueGain", 0, 1e6),
        lux=number(told, "Lux", 0, 1e9),
        colour_temperature_k=whole(told, "ColourTemperature"),
        sensor_temperature_c=number(told, "SensorTemperature", -100, 300),
        focus_measure=number(told, "FocusFoM", 0),
        lens_position=number(told, "LensPosition", -10, 1000),
    )


def size_of(value: object) -> tuple[int, int] | None:
    """Return a width and a height in pixels; None for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    sides = {"width": value[0], "height": value[1]}
    width, height = whole(sides, "width"), whole(sides, "height")
    return (width, height) if width and height and max(width, height) <= LONGEST_SIDE_PX else None


def split_parts(parts: object, blob: bytes) -> dict[str, bytes]:
    """Return a blob's parts by name. Raises ``WorkerError`` unless they make up the blob to the byte."""
    found: dict[str, bytes] = {}
    begin = 0
    for part in parts if isinstance(parts, list) and len(parts) <= 8 else ():
        name, length = part if isinstance(part, list) and len(part) == 2 else (None, None)
        if not isinstance(name, str) or name in found or not isinstance(length, int) or length < 0:
            raise nonsense("capture")
        found[name] = blob[begin : begin + length]
        begin += length
    if begin != len(blob) or "jpeg" not in found:
        raise nonsense("capture")
    return found


def dng_error(result: Mapping[str, Any]) -> str:
    """Return in one bounded line why the worker gave no raw data."""
    told = result.get("dng_error")
    return (plain(" ".join(told.split())) if isinstance(told, str) else "") or "the camera gave none"


def nonsense(operation: str) -> WorkerError:
    """Return the error of an answer that no sense can be made of."""
    return WorkerError("camera_failed", error=f"the worker's answer to {operation} makes no sense")


def taken_at(told: float | None, *, exposure_s: float, after_s: float, answered_at: datetime, took_s: float) -> tuple[datetime, bool]:
    """Return the start of an exposure, UTC, and whether the worker's own instant for it could be believed.

    ``told`` is the worker's (unix seconds), ``after_s`` how long it says it worked on the frame once it was exposed;
    ``answered_at`` is this host's instant of the answer, ``took_s`` how long ago (by a clock that never jumps) it was asked for.

    The worker may be on another machine, whose clock may be wrong, and the protocol tells nothing of that clock. But the exposure
    began after the request and was over before the answer: an instant outside of that cannot be true, and then the answer's,
    less the exposure and the work, is closer.
    """
    began_at = answered_at - timedelta(seconds=took_s)
    latest = answered_at - timedelta(seconds=min(exposure_s, took_s))  # whatever is told, it cannot have lasted longer
    if told is not None and 0 <= told <= 32503680000:
        instant = datetime.fromtimestamp(told, UTC)
        tolerance = timedelta(seconds=TOLERANCE_S)
        if began_at - tolerance <= instant <= latest + tolerance:
            return min(max(instant, began_at), latest), True
    return max(began_at, latest - timedelta(seconds=after_s)), False


def spread(start: float, end: float, steps: int, *, power: int = 1) -> list[float]:
    """Return lens positions from one to another, both as they are; the greater ``power``, the denser they are near the first."""
    between = (round(start + (end - start) * (step / (steps - 1)) ** power, 4) for step in range(1, steps - 1))
    return [start, *between, end]


def focus_sweep_of(result: Mapping[str, Any]) -> FocusSweep:
    """Return a worker's focus sweep. Raises ``WorkerError``."""
    steps = []
    told = result.get("steps")
    for step in told[:MOST_STEPS] if isinstance(told, list) else ():
        if not isinstance(step, Mapping):
            raise nonsense("focus_sweep")
        position, sharpness = number(step, "position", 0, 1000), number(step, "sharpness", 0)
        if position is None or sharpness is None:
            raise nonsense("focus_sweep")
        steps.append(FocusStep(position, number(step, "lens_position", -10, 1000), sharpness))
    if not steps:
        raise nonsense("focus_sweep")
    # what the steps say goes before what the worker makes of them
    return FocusSweep(tuple(steps), max(steps, key=lambda step: step.sharpness).position)


def autofocus_of(result: Mapping[str, Any]) -> Autofocus:
    """Return how a worker's autofocus ended. Raises ``WorkerError``."""
    success = _truth(result, "success")
    if success is None:
        raise nonsense("autofocus")
    return Autofocus(success, number(result, "lens_position", -10, 1000))


def work_after_exposure_s(timings: object) -> float:
    """Return how long the worker says it worked on a frame after the exposure, seconds."""
    told: Mapping[str, Any] = timings if isinstance(timings, Mapping) else {}
    return math.fsum(number(told, name, 0, 600_000) or 0.0 for name in ("jpeg", "dng")) / 1000
