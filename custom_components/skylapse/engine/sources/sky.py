"""Renders the sky as a camera would see it: a pure function of the sun's place, the instant, the seed and the exposure.

Light is linear and relative to a well exposed picture until it becomes codes, on coarse grids that are then enlarged: so a
picture takes a fraction of a second, and twice the exposure is twice the light.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
import math
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageDraw

from . import sky_layers, sky_light, sky_night
from .sky_clouds import clouds
from .sky_dome import dome, picture
from .sky_layers import View, seeded
from .sky_palette import Colour, Palette, code, mix, palette_at

_GRID: Final = (96, 48)
_SUN_PATCH_DEG: Final = 7.0
_SUN_PATCH_CELLS: Final = 42
_MILKY_WAY: Final[Colour] = (0.048, 0.046, 0.054)
"""Linear light at its brightest at 20 s and gain 15."""
_WATER: Final = (0.42, 0.78)
"""How much light the water mirrors at the near shore and at the far one."""


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
    view = View(*size, sky_layers.facing_deg(scene.latitude_deg, scene.seed))
    palette = palette_at(scene.sun_elevation_deg)
    product = exposure_us * gain
    stops = product / sky_light.best_product(scene.sun_elevation_deg)
    sun = (scene.sun_azimuth_deg, scene.sun_elevation_deg)

    asides, heights = view.asides_deg(0, size[0], _GRID[0]), view.heights_deg(0, view.horizon_px, _GRID[1])
    light = dome(view, palette, sun, asides, heights, with_sun=False)
    # the air before the land: the sky's light at the horizon and higher up
    air = [mix(there, above, 0.45) for there, above in zip(light[-_GRID[0] :], light[-11 * _GRID[0] : -10 * _GRID[0]], strict=True)]
    starlight = product * sky_night.STARLIGHT
    sidereal = sky_night.sidereal_deg(scene.at, scene.longitude_deg)
    if starlight > 0.01:
        light = _with_milky_way(scene, view, sidereal, starlight / stops, light, asides, heights)
    image = Image.new("RGB", size)
    image.paste(picture(light, *_GRID, stops, (size[0], view.horizon_px)))
    _add_sun(image, view, palette, sun, stops)
    middle = light[len(light) // 2 + _GRID[0] // 2]
    background = (middle[0] * stops, middle[1] * stops, middle[2] * stops)
    sky_night.draw_stars(ImageDraw.Draw(image), view, scene.seed, scene.latitude_deg, sidereal, starlight, background)
    image.paste(*_placed(clouds(view, palette, scene.seed, scene.at, sun, stops)))

    _add_land(image, view, palette, scene.seed, air, stops)
    chance = seeded(scene.seed, "read-out", scene.at.isoformat())
    _add_water(image, view, chance)
    mask, top = sky_layers.shore(scene.seed, *size, view.scale)
    image.paste(_codes(palette.land, 0.45 * stops), (0, top), mask)
    return ImageChops.add(image, _noise(scene.seed, size, chance, gain), 1, -128)


def _placed(layer: tuple[Image.Image, Image.Image]) -> tuple[Image.Image, tuple[int, int], Image.Image]:
    """Return what ``paste`` takes for a layer and its mask at the picture's upper left."""
    return layer[0], (0, 0), layer[1]


def _codes(colour: Colour, stops: float) -> tuple[int, int, int]:
    """Return linear light as sRGB codes, ``stops`` times as bright."""
    return code(colour[0] * stops), code(colour[1] * stops), code(colour[2] * stops)


def _with_milky_way(
    scene: Scene, view: View, sidereal: float, strength: float, light: list[Colour], asides_deg: list[float], heights_deg: list[float]
) -> list[Colour]:
    """Return the sky's light with that of the Milky Way."""
    band = sky_night.milky_way(view, scene.latitude_deg, sidereal, asides_deg, heights_deg)
    red, green, blue = (part * strength for part in _MILKY_WAY)
    return [(here[0] + more * red, here[1] + more * green, here[2] + more * blue) for here, more in zip(light, band, strict=True)]


@lru_cache(maxsize=4)
def _soft_disc(side_px: int) -> Image.Image:
    """Return a mask that is full in the middle and fades out towards its edge."""
    return (
        Image.radial_gradient("L").resize((side_px, side_px)).point([min(255, max(0, round(1.9 * (176 - value)))) for value in range(256)])
    )


def _add_sun(image: Image.Image, view: View, palette: Palette, sun_deg: tuple[float, float], stops: float) -> None:
    """Add the sun and its close surroundings, finer than the sky's grid could."""
    x, y = view.place(*sun_deg)
    half = round(_SUN_PATCH_DEG * view.scale)
    left, top = round(x) - half, round(y) - half
    if sun_deg[1] < -_SUN_PATCH_DEG or not (-2 * half < left < view.width_px and -2 * half < top < view.horizon_px):
        return
    asides = view.asides_deg(left, left + 2 * half, _SUN_PATCH_CELLS)
    heights = view.heights_deg(top, top + 2 * half, _SUN_PATCH_CELLS)
    light = dome(view, palette, sun_deg, asides, heights, with_sun=True)
    patch = picture(light, _SUN_PATCH_CELLS, _SUN_PATCH_CELLS, stops, (2 * half, 2 * half))
    image.paste(patch, (left, top), _soft_disc(2 * half))


def _add_land(image: Image.Image, view: View, palette: Palette, seed: int, air: list[Colour], stops: float) -> None:
    """Add mountains and hills, the farther the more of the air's light before them, most of all at their feet."""
    for mask, (above, below) in zip(sky_layers.ridges(seed, view.width_px, view.scale), ((0.42, 0.6), (0.14, 0.3)), strict=True):
        rows = [mix(palette.land, there, share) for share in (above, below) for there in air]
        tones = picture(rows, len(air), 2, stops, mask.size)
        image.paste(tones, (0, view.horizon_px - mask.height), mask)


def _add_water(image: Image.Image, view: View, chance: Random) -> None:
    """Add the lake: what is above the horizon, upside down, darker, and broken by ripples that grow towards the camera."""
    depth = view.height_px - view.horizon_px
    mirrored = image.crop((0, max(0, view.horizon_px - 2 * depth), view.width_px, view.horizon_px))
    mirrored = mirrored.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    # water blurs; half the height of what it mirrors fits into it
    water = mirrored.resize((max(1, view.width_px // 3), depth), Image.Resampling.BOX).resize((view.width_px, depth))
    step = max(1, round(view.scale / 8))
    for y in range(0, depth, step):
        wave = chance.gauss(0, 0.035 * y + 0.4)
        source = min(max(round(y + wave), 0), depth - step)
        image.paste(water.crop((0, source, view.width_px, source + step)), (0, view.horizon_px + y))
    shares = [_WATER[1] + (_WATER[0] - _WATER[1]) * row / 31 for row in range(32)]
    shades = Image.new("L", (1, 32))
    shades.putdata([code(share) for share in shares])
    box = (0, view.horizon_px, view.width_px, view.height_px)
    shade = shades.resize((view.width_px, depth), Image.Resampling.BICUBIC)
    bright = image.crop(box)
    image.paste(ImageChops.multiply(bright, Image.merge("RGB", (shade, shade, shade))), box)
    # what is far brighter than white, like the sun, still is so in the mirror
    image.paste(bright, box, bright.convert("L").point([0] * 252 + [70, 140, 210, 240]))


def _noise(seed: int, size: tuple[int, int], chance: Random, gain: float) -> Image.Image:
    """Return the noise of one frame (mode RGB, 128 is none): more of it with more gain."""
    deviation = 0.9 + 0.55 * (math.sqrt(gain) - 1)
    scale = deviation / sky_layers.NOISE_DEVIATION
    tile = sky_layers.noise_tile(seed).point([round(128 + (value - 128) * scale) for value in range(256)] * 3)
    noise = Image.new("RGB", size)
    left, top = chance.randrange(sky_layers.NOISE_PX), chance.randrange(sky_layers.NOISE_PX)
    for y in range(-top, size[1], sky_layers.NOISE_PX):
        for x in range(-left, size[0], sky_layers.NOISE_PX):
            noise.paste(tile, (x, y))
    return noise
