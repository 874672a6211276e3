"""Makes of the virtual pipeline's pattern what a camera would have taken: darker or brighter, sharp or not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST_BLURRED = 2_000_000
"""Pixels from which on blurring would take longer than a frame; what measures sharpness looks at the small stream."""


def draw(memory: Any, size: tuple[int, int], light: float, blur: float) -> None:
    """Change a picture in NV12, without padding, as it lies in a buffer."""
    width, height = size
    buffer = np.frombuffer(memory, dtype=np.uint8)
    luma, chroma = buffer[: width * height].reshape(height, width), buffer[width * height : width * height * 3 // 2]
    if abs(light - 1) > 0.03:
        curve = light ** (1 / 2.2)
        steps = np.arange(256)
        luma[:] = np.clip(steps * curve, 0, 255).astype(np.uint8)[luma]
        chroma[:] = np.clip(128 + (steps - 128.0) * min(curve, 1 / curve), 0, 255).astype(np.uint8)[chroma]
    radius = min(round(blur * width / 400), width // 4)
    if radius and luma.size <= _MOST_BLURRED:
        padded = np.pad(luma, ((0, 0), (radius + 1, radius)), mode="edge").astype(np.int32).cumsum(axis=1)
        luma[:] = (padded[:, 2 * radius + 1 :] - padded[:, : -2 * radius - 1]) // (2 * radius + 1)


def raw(config: Mapping[str, Any], light: float) -> bytearray:
    """Return what the sensor's pixels would be, in the raw stream's format: the same everywhere, as bright as the frame was taken."""
    level = min(round(64 + 200 * light), 1023)
    groups = config["framesize"] // (5 if "CSI2P" in config["format"] else 8)
    group = bytes([level >> 2] * 4 + [(level & 3) * 0b01010101]) if "CSI2P" in config["format"] else level.to_bytes(2, "little") * 4
    return bytearray(group * groups)
