"""The stars and the Milky Way of the simulated sky: they turn about the pole as the real ones do."""

from datetime import UTC, datetime
from functools import lru_cache
import math
from typing import Final, NamedTuple

from PIL import ImageDraw

from .sky_layers import View, seeded, turn
from .sky_palette import Colour, code

STARLIGHT: Final = 1.6 / 3e8
"""Linear light per µs × gain of a star of magnitude 3."""

_STARS: Final = 7500
_FAINTEST: Final = 6.6
"""Magnitude. Of each magnitude there are about three times as many stars as of the one before."""
_EPOCH: Final = datetime(2000, 1, 1, 12, tzinfo=UTC)
_GALAXY_POLE: Final = (192.86, 27.13)
_GALAXY_CENTRE: Final = (266.4, -28.94)
"""Right ascension and declination."""
_TINTS: Final = ((0.75, 0.86, 1.0), (0.92, 0.96, 1.0), (1.0, 1.0, 1.0), (1.0, 0.95, 0.86), (1.0, 0.84, 0.68))

type _Vector = tuple[float, float, float]


class Star(NamedTuple):
    """One star: where it stands in degrees, and its light relative to magnitude 3."""

    right_ascension_deg: float
    sine: float
    """Of the declination; so is the cosine."""
    cosine: float
    light: float
    tint: Colour


@lru_cache(maxsize=4)
def stars(seed: int) -> tuple[Star, ...]:
    """Return the stars of a seed, the brightest last; twice as dense along the Milky Way."""
    chance = seeded(seed, "stars")
    pole = _vector(*_GALAXY_POLE)
    found: list[Star] = []
    while len(found) < _STARS:
        right_ascension, sine = chance.uniform(0, 360), chance.uniform(-1, 1)
        cosine = math.sqrt(1 - sine**2)
        angle = math.radians(right_ascension)
        off = pole[0] * cosine * math.cos(angle) + pole[1] * cosine * math.sin(angle) + pole[2] * sine
        if chance.random() > 0.4 + 0.6 * math.exp(-((off / 0.2) ** 2)):
            continue
        magnitude = max(-1.2, _FAINTEST + math.log10(1 - chance.random()) / 0.5)
        found.append(Star(right_ascension, sine, cosine, 10 ** (0.4 * (3 - magnitude)), chance.choice(_TINTS)))
    return tuple(sorted(found, key=lambda star: star.light))


def sidereal_deg(at: datetime, longitude_deg: float) -> float:
    """Return the right ascension that stands highest at that instant."""
    return (280.46062 + 360.98564737 * (at - _EPOCH).total_seconds() / 86_400 + longitude_deg) % 360


def draw_stars(
    draw: ImageDraw.ImageDraw, view: View, seed: int, latitude_deg: float, sidereal: float, strength: float, background: Colour
) -> None:
    """Draw the stars that are in view: ``strength`` is the linear light of magnitude 3, added to the background's."""
    sine, cosine = math.sin(math.radians(latitude_deg)), math.cos(math.radians(latitude_deg))
    dimmest = 0.25 * max(background) + 0.004  # what nobody would see
    radius = view.width_px / 1920
    for star in stars(seed):
        if star.light * strength < dimmest:
            continue
        hour = math.radians(sidereal - star.right_ascension_deg)
        south = star.cosine * math.cos(hour)
        up = cosine * south + sine * star.sine
        if up < 0.02:
            continue
        azimuth = math.degrees(math.atan2(-star.cosine * math.sin(hour), cosine * star.sine - sine * south))
        if abs(turn(azimuth, view.facing_deg)) * view.scale > view.width_px / 2:
            continue
        x, y = view.place(azimuth, math.degrees(math.asin(min(up, 1.0))))
        # air takes light, more of it near the horizon
        light = star.light * strength * up / (up + 0.12)
        _dot(draw, x, y, radius, light, star.tint, background)


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, light: float, tint: Colour, background: Colour) -> None:
    """Draw one star: a point that grows as it gets brighter than white, with a faint halo."""
    core = radius * min(0.55 + 0.6 * light**0.42, 3.4)
    if light > 1.2:
        draw.ellipse((x - 2.2 * core, y - 2.2 * core, x + 2.2 * core, y + 2.2 * core), fill=_lit(background, 0.1, tint))
    if core < 0.8:
        draw.point((x, y), fill=_lit(background, light, tint))
    else:
        draw.ellipse((x - core, y - core, x + core, y + core), fill=_lit(background, light, tint))


def _lit(background: Colour, light: float, tint: Colour) -> tuple[int, int, int]:
    """Return the sRGB codes of the background with so much light added."""
    return code(background[0] + light * tint[0]), code(background[1] + light * tint[1]), code(background[2] + light * tint[2])


def milky_way(view: View, latitude_deg: float, sidereal: float, asides_deg: list[float], heights_deg: list[float]) -> list[float]:
    """Return how bright the Milky Way is, 0 to 1, row by row: a band with a dark rift, brightest towards its centre."""
    pole, centre = _local(_GALAXY_POLE, latitude_deg, sidereal), _local(_GALAXY_CENTRE, latitude_deg, sidereal)
    side = (
        pole[1] * centre[2] - pole[2] * centre[1],
        pole[2] * centre[0] - pole[0] * centre[2],
        pole[0] * centre[1] - pole[1] * centre[0],
    )
    azimuths = [math.radians(view.facing_deg + aside) for aside in asides_deg]
    columns = [(math.sin(azimuth), math.cos(azimuth)) for azimuth in azimuths]
    light = []
    for height in heights_deg:
        up, level = math.sin(math.radians(height)), math.cos(math.radians(height))
        air = up / (up + 0.2)
        for east, north in columns:
            here = (level * east, level * north, up)
            off = _dot_product(here, pole)
            if abs(off) > 0.45:
                light.append(0.0)
                continue
            along = math.atan2(_dot_product(here, side), _dot_product(here, centre))
            patches = 0.75 + 0.25 * math.sin(7 * along + 9 * off) * math.sin(13 * along - 17 * off + 1)
            bulge = 0.35 + 0.65 * math.exp(-((along / 0.9) ** 2))
            rift = 1 - 0.6 * math.exp(-(((off - 0.025 * math.sin(5 * along)) / 0.04) ** 2) - (along / 1.3) ** 2)
            light.append(air * patches * bulge * rift * math.exp(-((off / (0.11 + 0.07 * bulge)) ** 2)))
    return light


def _vector(right_ascension_deg: float, declination_deg: float) -> _Vector:
    """Return the unit vector of a place among the stars."""
    angle, height = math.radians(right_ascension_deg), math.radians(declination_deg)
    return math.cos(height) * math.cos(angle), math.cos(height) * math.sin(angle), math.sin(height)


def _local(place: tuple[float, float], latitude_deg: float, sidereal: float) -> _Vector:
    """Return where a place among the stars stands now: east, north, up."""
    south, west, polar = _vector(sidereal - place[0], place[1])
    sine, cosine = math.sin(math.radians(latitude_deg)), math.cos(math.radians(latitude_deg))
    return -west, cosine * polar - sine * south, cosine * south + sine * polar


def _dot_product(one: _Vector, other: _Vector) -> float:
    """Return the cosine of the angle between two unit vectors."""
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
