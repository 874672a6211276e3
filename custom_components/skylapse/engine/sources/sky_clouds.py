"""Clouds of the simulated sky: a seeded sheet high above, seen in perspective, that drifts with the wind and changes as it goes."""

from datetime import datetime
from functools import lru_cache
from itertools import pairwise
import math
from typing import Final

from PIL import Image, ImageChops, ImageOps

from .sky_dome import picture
from .sky_layers import View, seeded, turn
from .sky_palette import Colour, Palette

_TILE_PX: Final = 1024
_PER_HEIGHT_PX: Final = 210
"""Pixels of the tile per height of the clouds above the ground."""
_BANDS_DEG: Final = (1.0, 2.0, 3.5, 5.5, 8.0, 11.0, 15.0, 20.0, 27.0, 36.0, 47.0)
"""Rows of the mesh through which the sheet is seen, up to the picture's top: nearer to each other where perspective bends more."""
_COARSE_DEG: Final = 8.0
"""Below this the sheet is so compressed that a smaller copy of it is sampled, or it would glitter."""
_MESH_COLUMNS: Final = 12
_SHRINK: Final = 3
"""Clouds are soft: they are made this many times smaller than the picture."""


@lru_cache(maxsize=4)
def _sheet(seed: int) -> tuple[Image.Image, Image.Image]:
    """Return the sheet of clouds (mode L, evenly spread values, two tiles wide and high) and a copy four times smaller."""
    chance = seeded(seed, "clouds")
    sheet = Image.new("L", (_TILE_PX, _TILE_PX), 128)
    cells, strength = 5, 1.0
    while cells < _TILE_PX / 2:
        # one cell more on each side, copied from the other end: the tile continues into itself without a seam
        small = Image.frombytes("L", (cells, cells), chance.randbytes(cells**2))
        ring = Image.new("L", (cells * 3, cells * 3))
        for corner in range(9):
            ring.paste(small, (corner % 3 * cells, corner // 3 * cells))
        box = (cells, cells, 2 * cells, 2 * cells)
        octave = ring.resize((_TILE_PX, _TILE_PX), Image.Resampling.BICUBIC, box=box)
        sheet = ImageChops.add(sheet, octave.point([round(128 + (value - 128) * strength * 0.42) for value in range(256)]), 1, -128)
        cells, strength = cells * 2 + 1, strength * 0.58
    sheet = ImageOps.equalize(sheet)
    tiles = []
    for tile in (sheet, sheet.reduce(4)):
        four = Image.new("L", (tile.width * 2, tile.height * 2))
        for corner in range(4):
            four.paste(tile, (corner % 2 * tile.width, corner // 2 * tile.height))
        tiles.append(four)
    return tiles[0], tiles[1]


def _seen(sheet: tuple[Image.Image, Image.Image], view: View, size: tuple[int, int], offset: tuple[float, float]) -> Image.Image:
    """Return the sheet as it is seen from below (mode L); ``offset`` is where it drifted to, in heights."""
    shrink = view.horizon_px / size[1]
    seen = Image.new("L", size)
    edge = view.width_px / 2 / view.scale
    asides = [math.radians(-edge + 2 * edge * column / _MESH_COLUMNS) for column in range(_MESH_COLUMNS + 1)]
    top_deg = view.horizon_px / view.scale
    bands = [*(height for height in _BANDS_DEG if height < top_deg - 1), top_deg]
    rows = [max(0, round((view.horizon_px - height * view.scale) / shrink)) for height in bands]
    for coarse in (False, True):
        tile, zoom = (sheet[1], _PER_HEIGHT_PX / 4) if coarse else (sheet[0], _PER_HEIGHT_PX)
        side = tile.width // 2
        mesh = []
        for band, (low, high) in enumerate(pairwise(bands)):
            if (low < _COARSE_DEG) != coarse:
                continue
            for column, (left, right) in enumerate(pairwise(asides)):
                corners = [
                    ((math.sin(aside) * _distance(height) + offset[0]) * zoom, (math.cos(aside) * _distance(height) + offset[1]) * zoom)
                    for aside, height in ((left, high), (left, low), (right, low), (right, high))
                ]
                # the sheet repeats: moved so that the upper left of what is seen lies in its first tile
                first_x = min(x for x, _ in corners) // side * side
                first_y = min(y for _, y in corners) // side * side
                box = (
                    round(size[0] * column / _MESH_COLUMNS),
                    rows[band + 1],
                    round(size[0] * (column + 1) / _MESH_COLUMNS),
                    rows[band],
                )
                if box[0] < box[2] and box[1] < box[3]:  # not so in tiny pictures
                    mesh.append((box, tuple(value for x, y in corners for value in (x - first_x, y - first_y))))
        layer = tile.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
        border = max(0, round((view.horizon_px - _COARSE_DEG * view.scale) / shrink))
        box = (0, border, size[0], size[1]) if coarse else (0, 0, size[0], border)
        seen.paste(layer.crop(box), box[:2])
    return seen


def _distance(height_deg: float) -> float:
    """Return how far away the sheet is in that direction, in heights; the earth's roundness keeps it finite."""
    return 1 / (math.sin(math.radians(height_deg)) + 0.12)


def clouds(
    view: View, palette: Palette, seed: int, at: datetime, sun_deg: tuple[float, float], stops: float
) -> tuple[Image.Image, Image.Image]:
    """Return the clouds (mode RGB) and how much they hide (mode L), as big as the sky down to the horizon."""
    chance = seeded(seed, "wind")
    hours = at.timestamp() / 3600
    direction, speed = chance.uniform(0, math.tau), chance.uniform(4, 9)
    size = (max(1, view.width_px // _SHRINK), max(1, view.horizon_px // _SHRINK))
    sheets = [
        _seen(
            _sheet(seed),
            view,
            size,
            (
                math.cos(direction + bend) * speed * pace * hours + chance.uniform(0, 9),
                math.sin(direction + bend) * speed * pace * hours + chance.uniform(0, 9),
            ),
        )
        for bend, pace in ((0, 1.0), (0.35, 0.8))
    ]
    thick = Image.blend(sheets[0], sheets[1], 0.5)

    # how much of the sky they cover comes and goes within hours
    cover = 0.3 + 0.17 * math.sin(math.tau * (hours / chance.uniform(5, 9) + chance.random())) + 0.08 * math.sin(math.tau * hours / 2.3)
    clear = 255 * (0.88 - cover)
    hides = thick.point([round(235 * _smooth((value - clear) / 80)) for value in range(256)])
    haze = Image.new("L", (1, 64))
    haze.putdata([round(255 * _smooth((height - 0.8) / 9)) for height in view.heights_deg(0, view.horizon_px, 64)])
    hides = ImageChops.multiply(hides, haze.resize(size, Image.Resampling.BICUBIC))

    # lit where they thin out towards the sun, grey where they are thick
    sun_x, sun_y = view.place(*sun_deg)
    towards = math.atan2(sun_y / _SHRINK - size[1] * 0.5, sun_x / _SHRINK - size[0] * 0.5)
    step = max(2, round(size[0] / 90))
    shifted = thick.copy()
    shifted.paste(thick, (-round(step * math.cos(towards)), -round(step * math.sin(towards))))
    relief = ImageChops.subtract(thick, shifted, 0.45, 165)
    lit = ImageChops.subtract(relief, thick.point([round(150 * _smooth((value - clear - 25) / 110)) for value in range(256)]))

    columns, rows = 32, 8
    asides, heights = view.asides_deg(0, view.width_px, columns), view.heights_deg(0, view.horizon_px, rows)
    bright = picture(_bright(view, palette, sun_deg, asides, heights), columns, rows, stops, size)
    dark = picture([palette.cloud_shadow], 1, 1, stops, size)
    full = (view.width_px, view.horizon_px)
    return Image.composite(bright, dark, lit).resize(full, Image.Resampling.BILINEAR), hides.resize(full, Image.Resampling.BICUBIC)


def _bright(view: View, palette: Palette, sun_deg: tuple[float, float], asides_deg: list[float], heights_deg: list[float]) -> list[Colour]:
    """Return the linear light of clouds in the sun, row by row: brighter and warmer around it."""
    sun_aside = turn(sun_deg[0], view.facing_deg)
    light = []
    for height in heights_deg:
        for aside in asides_deg:
            away = turn(aside, sun_aside)
            share = ((1 + math.cos(math.radians(away))) / 2) ** 1.5
            shine = 0.8 * palette.glow_near * math.exp(-math.hypot(away, height - sun_deg[1]) / 10)
            light.append(
                (
                    _part(palette, 0, share, shine),
                    _part(palette, 1, share, shine),
                    _part(palette, 2, share, shine),
                )
            )
    return light


def _part(palette: Palette, channel: int, share: float, shine: float) -> float:
    """Return one channel of a cloud's light between the two sides of the sky."""
    there, here = palette.cloud_sunward[channel], palette.cloud_opposite[channel]
    return here + (there - here) * share + shine * palette.glow[channel]


def _smooth(value: float) -> float:
    """Return 0 to 1 for 0 to 1 without corners at either end."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3 - 2 * value)
