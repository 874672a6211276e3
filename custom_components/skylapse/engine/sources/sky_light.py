"""How bright the simulated sky is, and how long it wants to be exposed."""

from bisect import bisect_right
from collections.abc import Sequence
import math
from typing import Final

EXPOSURE_RANGE_US: Final = (10, 200_000_000)
"""Shortest and longest exposure that can be asked for: 10 µs to 200 s."""
GAIN_RANGE: Final = (1.0, 16.0)
LONGEST_AUTO_US: Final = 20_000_000
"""Automatic exposure goes up to 20 s before it raises the gain."""

_LUX: Final = (
    (-24.0, 0.001),
    (-18.0, 0.0012),
    (-15.0, 0.004),
    (-12.0, 0.03),
    (-9.0, 0.25),
    (-6.0, 3.4),
    (-3.0, 45.0),
    (0.0, 500.0),
    (3.0, 2_700.0),
    (6.0, 5_800.0),
    (10.0, 11_500.0),
    (20.0, 29_000.0),
    (30.0, 50_000.0),
    (45.0, 80_000.0),
    (60.0, 103_000.0),
    (90.0, 120_000.0),
)
"""Degrees of the sun and lux on the ground under a clear moonless sky; between them the logarithm runs straight."""

_PRODUCT: Final = (
    (-24.0, 3.2e8),
    (-18.0, 3.0e8),
    (-15.0, 1.6e8),
    (-12.0, 4.2e7),
    (-9.0, 7.0e6),
    (-6.0, 7.4e5),
    (-3.0, 7.8e4),
    (0.0, 8.6e3),
    (3.0, 1.8e3),
    (6.0, 8.5e2),
    (10.0, 4.3e2),
    (20.0, 1.72e2),
    (30.0, 1.0e2),
    (45.0, 6.3e1),
    (60.0, 4.9e1),
    (90.0, 4.2e1),
)
"""Degrees of the sun and the exposure (µs × gain) that a photographer would choose: 5·10⁶ lux·µs by day, and ever darker
pictures as it gets darker, so that night looks like night."""


def between(table: Sequence[tuple[float, float]], at: float) -> float:
    """Return the table's value at that place: the logarithm runs straight between rows, the ends go on level."""
    row = bisect_right(table, at, key=lambda entry: entry[0])
    if row in {0, len(table)}:
        return table[max(0, row - 1)][1]
    (left, low), (right, high) = table[row - 1], table[row]
    return math.exp(math.log(low) + (math.log(high) - math.log(low)) * (at - left) / (right - left))


def illuminance(sun_elevation_deg: float) -> float:
    """Return lux on the ground: about 100 000 at a summer's noon, 0.001 at night."""
    return between(_LUX, sun_elevation_deg)


def best_product(sun_elevation_deg: float) -> float:
    """Return the exposure time in µs times gain at which the scene looks as it should."""
    return between(_PRODUCT, sun_elevation_deg)


def choose_exposure(sun_elevation_deg: float, exposure_us: int | None, gain: float | None) -> tuple[int, float]:
    """Return exposure in µs and gain: what was asked for, and for what was not, what automatic exposure picks.

    It lengthens the exposure up to 20 s first and raises the gain only then, as that costs noise.
    """
    product = best_product(sun_elevation_deg)
    if exposure_us is None:
        exposure_us = round(min(max(product / (gain or GAIN_RANGE[0]), EXPOSURE_RANGE_US[0]), LONGEST_AUTO_US))
    if gain is None:
        # the gain's steps are as fine as a sensor's register
        gain = round(min(max(product / exposure_us, GAIN_RANGE[0]), GAIN_RANGE[1]), 3)
    return exposure_us, gain
