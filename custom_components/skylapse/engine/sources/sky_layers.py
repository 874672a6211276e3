"""What stays the same of a simulated camera's view: where it looks, the land before it, the stars, its noise. All follow from the seed."""

from dataclasses import dataclass
from functools import lru_cache
import math
from random import Random
from statistics import NormalDist
from typing import Final

from PIL import Image, ImageDraw

NOISE_PX: Final = 512
"""Side of the noise tile."""

_FIELD_DEG: Final = (120.0, 70.0)
"""Width and height of the field of view, at most."""
_HORIZON: Final = 0.8
"""Where the horizon is, as a share of the picture's height."""


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
        aside = (azimuth_deg - self.facing_deg + 180) % 360 - 180
        return self.width_px / 2 + aside * self.scale, self.horizon_px - elevation_deg * self.scale

    def aside_deg(self, x_px: float) -> float:
        """Return degrees to the right of where the camera looks."""
        return (x_px - self.width_px / 2) / self.scale

    def elevation_deg(self, y_px: float) -> float:
        """Return degrees above the horizon."""
        return (self.horizon_px - y_px) / self.scale


def facing_deg(latitude_deg: float, seed: int) -> float:
    """Return the azimuth the camera faces: towards the sun's path, more to sunrise or more to sunset as the seed wants."""
    chance = seeded(seed, "facing")
    aside = chance.choice((-1, 1)) * chance.uniform(40, 65)
    return ((180 if latitude_deg >= 0 else 0) + aside) % 360


@lru_cache(maxsize=4)
def noise_tile(seed: int) -> Image.Image:
    """Return a tile (mode L, 128 is none) of normal noise with a deviation of 24."""
    inverse = NormalDist(128, 24).inv_cdf
    bell = bytes(min(max(round(inverse((value + 0.5) / 256)), 0), 255) for value in range(256))
    return Image.frombytes("L", (NOISE_PX, NOISE_PX), seeded(seed, "noise").randbytes(NOISE_PX**2).translate(bell))


def ridge(chance: Random, width_px: int, height_px: float, roughness: float) -> list[float]:
    """Return a skyline: for each column its height in pixels, 0 to ``height_px``, out of ever finer waves."""
    line = [0.0] * width_px
    waves, strength = chance.uniform(1.2, 2.2), 1.0
    while waves < width_px / 6:
        phase, turn = chance.uniform(0, math.tau), math.tau * waves / width_px
        for x in range(width_px):
            line[x] += strength * math.sin(phase + turn * x)
        waves *= chance.uniform(1.7, 2.3)
        strength *= roughness
    low, high = min(line), max(line)
    return [height_px * (value - low) / (high - low) for value in line]


@lru_cache(maxsize=4)
def land(seed: int, width_px: int, height_px: int, scale: float) -> tuple[Image.Image, ...]:
    """Return masks (mode L, 255 is land; of ``width_px`` × ``height_px``, the last row at the horizon), the farthest first."""
    masks = []
    for number, (tall, roughness) in enumerate(((5.5, 0.5), (3.2, 0.45))):
        line = ridge(seeded(seed, "ridge", number), width_px, tall * scale, roughness)
        mask = Image.new("L", (width_px, height_px))
        draw = ImageDraw.Draw(mask)
        draw.polygon([(0, height_px), *((x, height_px - 0.3 * scale - y) for x, y in enumerate(line)), (width_px, height_px)], fill=255)
        masks.append(mask)
    return tuple(masks)
