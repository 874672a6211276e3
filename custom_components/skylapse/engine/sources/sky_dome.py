"""The light of the simulated sky itself, without what hangs in it: gradients, the glow of a low sun, the sun."""

import math
from typing import Final

from PIL import Image

from .sky_layers import View, turn
from .sky_palette import Colour, Palette, code

_QUARTER: Final = 4
"""Cells per degree of the table of the light around the sun."""
_SUN_RADIUS_DEG: Final = 0.55
"""Twice the real one: a lens makes it bigger."""
_SUN_LIGHT: Final = (25.0, 15.0)
"""Its light when it rises, and the height in degrees up to which that grows tenfold every 10°: the air reddens and dims it."""
_ARCH: Final = (38.0, 5.5)
"""Degrees along the horizon and upwards in which the glow of a low sun fades."""

# Light around the sun by distance, relative to what the palette says: the air's haze, close and wide
_HALO: Final = tuple(
    0.9 * math.exp(-((step / _QUARTER) / 1.8)) + 0.5 * math.exp(-((step / _QUARTER) / 6)) + 0.13 * math.exp(-((step / _QUARTER) / 22))
    for step in range(180 * _QUARTER + 2)
)


def dome(
    view: View, palette: Palette, sun_deg: tuple[float, float], asides_deg: list[float], heights_deg: list[float], *, with_sun: bool
) -> list[Colour]:
    """Return the linear light of the sky at these columns and rows, row by row; ``sun_deg`` is azimuth and elevation."""
    sunward, opposite = palette.column(heights_deg, sunward=True), palette.column(heights_deg, sunward=False)
    sun_aside = turn(sun_deg[0], view.facing_deg)
    sun_up, sun_level = math.sin(math.radians(sun_deg[1])), math.cos(math.radians(sun_deg[1]))
    columns = []
    for aside in asides_deg:
        away = turn(aside, sun_aside)
        cosine = math.cos(math.radians(away))
        columns.append((cosine * sun_level, ((1 + cosine) / 2) ** 1.4, palette.glow_horizon * math.exp(-((away / _ARCH[0]) ** 2))))
    red, green, blue = palette.glow
    near = palette.glow_near
    sun = near * _SUN_LIGHT[0] * 10 ** (min(max(sun_deg[1], 0.0), _SUN_LIGHT[1]) / 10)
    light: list[Colour] = []
    for height, there, here in zip(heights_deg, sunward, opposite, strict=True):
        up, level = sun_up * math.sin(math.radians(height)), math.cos(math.radians(height))
        arch = math.exp(-max(height, 0.0) / _ARCH[1])
        for cosine, share, arch_there in columns:
            distance = math.degrees(math.acos(min(max(up + level * cosine, -1.0), 1.0)))
            glow = arch * arch_there + near * _HALO[int(distance * _QUARTER)]
            if with_sun and distance < 2 * _SUN_RADIUS_DEG:
                glow += sun * min(1.0, 2 - distance / _SUN_RADIUS_DEG) ** 2
            light.append(
                (
                    here[0] + (there[0] - here[0]) * share + glow * red,
                    here[1] + (there[1] - here[1]) * share + glow * green,
                    here[2] + (there[2] - here[2]) * share + glow * blue,
                )
            )
    return light


def picture(light: list[Colour], columns: int, rows: int, stops: float, size: tuple[int, int]) -> Image.Image:
    """Return linear light as a picture of that size (mode RGB), ``stops`` times as bright."""
    codes = bytearray()
    for red, green, blue in light:
        codes.append(code(red * stops))
        codes.append(code(green * stops))
        codes.append(code(blue * stops))
    return Image.frombytes("RGB", (columns, rows), bytes(codes)).resize(size, Image.Resampling.BICUBIC)
