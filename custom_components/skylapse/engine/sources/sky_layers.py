"""What stays the same of a simulated camera's view: where it looks, the land before it, its noise. All follow from the seed."""

from dataclasses import dataclass
from functools import lru_cache
import math
from random import Random
from statistics import NormalDist
from typing import Final

from PIL import Image, ImageDraw

NOISE_PX: Final = 512
"""Side of the noise tile."""
NOISE_DEVIATION: Final = 24.0
"""Standard deviation of the noise tile, in codes."""

_FIELD_DEG: Final = (120.0, 70.0)
"""Width and height of the field of view, at most."""
_HORIZON: Final = 0.8
"""Where the horizon is, as a share of the picture's height."""
_RIDGES: Final = ((5.2, 0.56), (2.2, 0.42))
"""Mountains and hills: degrees of height, and how much of a wave's strength the next finer one has."""
_FINE: Final = 2
"""Land is drawn this many times bigger and scaled down, for soft edges."""


def seeded(*parts: object) -> Random:
    """Return a generator whose numbers follow from the parts alone, on any machine."""
    return Random(":".join(str(part) for part in parts))  # noqa: S311  a simulation, not a secret


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera looks: a panorama, degrees of azimuth and elevation running evenly over the picture."""

    width_px: int
    height_px: int
    facing_deg: float

    @property
    def scale(self) -> float:
        """Return pixels per degree."""
        return max(self.width_px / _FIELD_DEG[0], self.height_px / _FIELD_DEG[1])

    @property
    def horizon_px(self) -> int:
        """Return the row of the horizon."""
        return round(self.height_px * _HORIZON)

    def place(self, azimuth_deg: float, elevation_deg: float) -> tuple[float, float]:
        """Return the pixel of a direction, which may be outside of the picture."""
        return self.width_px / 2 + turn(azimuth_deg, self.facing_deg) * self.scale, self.horizon_px - elevation_deg * self.scale

    def asides_deg(self, left_px: float, right_px: float, count: int) -> list[float]:
        """Return degrees to the right of where the camera looks, for the middles of so many cells side by side."""
        step = (right_px - left_px) / count
        return [(left_px + (cell + 0.5) * step - self.width_px / 2) / self.scale for cell in range(count)]

    def heights_deg(self, top_px: float, bottom_px: float, count: int) -> list[float]:
        """Return degrees above the horizon, for the middles of so many cells one below the other."""
        step = (bottom_px - top_px) / count
        return [(self.horizon_px - top_px - (cell + 0.5) * step) / self.scale for cell in range(count)]


def turn(azimuth_deg: float, from_deg: float) -> float:
    """Return degrees from one azimuth to another, to the right positive, -180 to 180."""
    return (azimuth_deg - from_deg + 180) % 360 - 180


def facing_deg(latitude_deg: float, seed: int) -> float:
    """Return the azimuth the camera faces: towards the sun's path, more to sunrise or more to sunset as the seed wants."""
    chance = seeded(seed, "facing")
    aside = chance.choice((-1, 1)) * chance.uniform(40, 65)
    return ((180 if latitude_deg >= 0 else 0) + aside) % 360


@lru_cache(maxsize=4)
def noise_tile(seed: int) -> Image.Image:
    """Return a tile (mode RGB, 128 is none) of normal noise."""
    inverse = NormalDist(128, NOISE_DEVIATION).inv_cdf
    bell = bytes(min(max(round(inverse((value + 0.5) / 256)), 0), 255) for value in range(256))
    return Image.frombytes("RGB", (NOISE_PX, NOISE_PX), seeded(seed, "noise").randbytes(3 * NOISE_PX**2).translate(bell))


@lru_cache(maxsize=4)
def ridges(seed: int, width_px: int, scale: float) -> tuple[Image.Image, ...]:
    """Return masks (mode L, 255 is land) of mountains and hills, the farthest first; the last row is the horizon's."""
    masks = []
    for number, (tall_deg, roughness) in enumerate(_RIDGES):
        height = math.ceil(tall_deg * scale * 1.15) + 1
        line = _skyline(seeded(seed, "ridge", number), width_px * _FINE, tall_deg * scale * _FINE, roughness)
        mask = Image.new("L", (width_px * _FINE, height * _FINE))
        base = height * _FINE
        # never quite down to the horizon: a shore
        tops = [(x, base - 0.15 * tall_deg * scale * _FINE - y) for x, y in enumerate(line)]
        ImageDraw.Draw(mask).polygon([(0, base), *tops, (width_px * _FINE, base)], fill=255)
        masks.append(mask.reduce(_FINE))
    return tuple(masks)


def _skyline(chance: Random, width_px: int, height_px: float, roughness: float) -> list[float]:
    """Return for each column the land's height in pixels, 0 to ``height_px``: ever finer waves with sharpened crests."""
    line = [0.0] * width_px
    waves, strength = chance.uniform(1.8, 3.2), 1.0
    while strength > 0.01:
        phase, angle = chance.uniform(0, math.tau), math.tau * waves / width_px
        for x in range(width_px):
            line[x] += strength * (1 - 2 * abs(math.sin((phase + angle * x) / 2)))
        waves *= chance.uniform(1.7, 2.3)
        strength *= roughness
    low, high = min(line), max(line)
    return [height_px * (value - low) / (high - low) for value in line]


@lru_cache(maxsize=4)
def shore(seed: int, width_px: int, height_px: int, scale: float) -> tuple[Image.Image, int]:
    """Return the mask (mode L) of the near shore with its trees, and the row of the picture where it begins."""
    chance = seeded(seed, "shore")
    top = round(height_px * (_HORIZON - 0.24))
    wide, tall = width_px * _FINE, (height_px - top) * _FINE
    mask = Image.new("L", (wide, tall))
    draw = ImageDraw.Draw(mask)
    left = chance.random() < 0.5
    ground = []
    rough = _skyline(chance, wide, 0.9 * scale * _FINE, 0.6)
    for x in range(wide):
        inward = (x if left else wide - x) / wide
        rise = 5.5 * max(0.0, 1 - inward / 0.55) ** 1.6 + 2.2 * max(0.0, (inward - 0.72) / 0.28) ** 2
        ground.append(tall - (rise + 0.6) * scale * _FINE - rough[x])
    draw.polygon([(0, tall), *enumerate(ground), (wide, tall)], fill=255)
    spots = [chance.betavariate(1.0, 3.2) * 0.42 for _ in range(26)] + [1 - chance.betavariate(1.0, 3.0) * 0.16 for _ in range(7)]
    for inward in spots:
        trunk = (inward if left else 1 - inward) * wide
        size = chance.uniform(3.5, 9.5) * (1.15 - inward if inward < 0.5 else 0.55) * scale * _FINE
        _pine(draw, chance, trunk, ground[min(max(int(trunk), 0), wide - 1)] + 0.5 * scale * _FINE, size)
    return mask.reduce(_FINE), top


def _pine(draw: ImageDraw.ImageDraw, chance: Random, x: float, foot: float, size: float) -> None:
    """Draw one conifer: a trunk and drooping whorls of branches, wider towards the foot."""
    draw.polygon([(x - size * 0.014, foot), (x, foot - size * 1.03), (x + size * 0.014, foot)], fill=255)
    whorls = 15
    slim = chance.uniform(0.13, 0.19)
    for whorl in range(whorls):
        up = whorl / whorls
        level = foot - size * (0.1 + 0.9 * up)
        for side in (-1, 1):
            reach = side * size * slim * (1 - up) ** 0.85 * chance.uniform(0.75, 1.1)
            droop = size * chance.uniform(0.03, 0.055)
            draw.polygon([(x, level - size * 0.05), (x + reach, level + droop), (x, level + size * 0.025)], fill=255)
