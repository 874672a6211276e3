"""Renders the sky as a camera would see it: a pure function of the sun's place, the instant, the seed and the exposure."""

from dataclasses import dataclass
from datetime import datetime
import math
from typing import Final

from PIL import Image, ImageChops

from . import sky_layers, sky_light
from .sky_palette import Colour, palette_at

_STEPS: Final = 8191


def _code(light: float) -> int:
    """Return the sRGB code of linear light."""
    curve = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * curve)


_CODES: Final = bytes(_code(step / _STEPS) for step in range(_STEPS + 1))


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be seen, and by which camera."""

    at: datetime
    latitude_deg: float
    longitude_deg: float
    sun_elevation_deg: float
    sun_azimuth_deg: float
    seed: int


def render(scene: Scene, size: tuple[int, int], *, exposure_us: int, gain: float) -> Image.Image:
    """Return the picture (mode RGB, ``size`` in pixels) of one exposure. Takes some 100 ms of one core at 1920 × 1080."""
    view = sky_layers.View(*size, sky_layers.facing_deg(scene.latitude_deg, scene.seed))
    stops = exposure_us * gain / sky_light.best_product(scene.sun_elevation_deg)
    picture = Image.new("RGB", size)
    columns = [view.aside_deg((x + 0.5) * size[0] / 96) for x in range(96)]
    rows = [max(0.0, view.elevation_deg((y + 0.5) * view.horizon_px / 48)) for y in range(48)]
    palette = palette_at(scene.sun_elevation_deg)
    sunward, opposite = palette.column(True, rows), palette.column(False, rows)
    codes = bytearray()
    for row in range(48):
        for aside in columns:
            delta = math.radians(view.facing_deg + aside - scene.sun_azimuth_deg)
            share = ((1 + math.cos(delta)) / 2) ** 1.5
            for channel in range(3):
                light = opposite[row][channel] + (sunward[row][channel] - opposite[row][channel]) * share
                codes.append(_CODES[min(_STEPS, int(light * stops * _STEPS))])
    above = Image.frombytes("RGB", (96, 48), codes).resize((size[0], view.horizon_px), Image.Resampling.BICUBIC)
    picture.paste(above)
    land: Colour = palette.land
    fill = tuple(_CODES[min(_STEPS, int(light * stops * _STEPS))] for light in land)
    picture.paste(fill, (0, view.horizon_px, *size))
    for mask in sky_layers.land(scene.seed, size[0], view.horizon_px, view.scale):
        picture.paste(fill, (0, 0), mask)
    return ImageChops.add(picture, _noise(scene, size), 1, -128)


def _noise(scene: Scene, size: tuple[int, int]) -> Image.Image:
    """Return the noise of one frame, 128 being none."""
    tile = sky_layers.noise_tile(scene.seed)
    chance = sky_layers.seeded(scene.seed, "read-out", scene.at.isoformat())
    channels = []
    for _ in range(3):
        channel = Image.new("L", size)
        left, top = chance.randrange(sky_layers.NOISE_PX), chance.randrange(sky_layers.NOISE_PX)
        for y in range(-top, size[1], sky_layers.NOISE_PX):
            for x in range(-left, size[0], sky_layers.NOISE_PX):
                channel.paste(tile, (x, y))
        channels.append(channel.point([round(128 + (value - 128) / 16) for value in range(256)]))
    return Image.merge("RGB", channels)
