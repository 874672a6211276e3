"""The colours of the simulated sky: how it looks, well exposed, for each height of the sun.

Colours are written as sRGB codes because that is what an eye judges, and are used as linear light, 1.0 being white.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

type Colour = tuple[float, float, float]
"""Red, green and blue: linear light, 1.0 is white; more is possible and clips in the camera."""

_HEIGHTS_DEG: Final = (0.0, 8.0, 25.0, 60.0)
"""Where above the horizon the four colours of each side of the sky stand."""

# Sun's elevation: colours upwards from the horizon, below the sun and opposite to it; then clouds lit by the sun, on
# either side, and their shadows; then the land.
_LOOKS: Final = (
    (-18, "2a3044 1b2540 0f1a3c 0a112c", "222c48 172242 0f193a 091029", "10131e 0f1320 090c17", "05070c"),
    (-15, "3a3646 1d2845 101c42 0a1230", "1a2440 131d3c 0d1736 08102a", "1b1b2a 131828 0c101e", "06090f"),
    (-12, "7c5a58 3c4a70 182c5c 0b1a42", "1f2b4c 17244a 101e44 0a1638", "3a2d3c 1a2036 121a2e", "090d15"),
    (-9, "c88058 6f6c8c 2a4c88 13306a", "2c3a62 20305e 162a5a 0e2250", "8a5560 323350 20294a", "0f141d"),
    (-6, "f09a58 b08e98 487cb0 22508e", "435278 3c4a78 26427c 1a3670", "d07c70 5c5070 3a4468", "171d26"),
    (-4, "fca858 d8a492 6c9cc4 3470a6", "56648c 6c6488 3c5a92 264e8c", "f28e72 94687e 545a80", "1f262e"),
    (-2, "ffac54 f2b48c 94b4cc 4a8aba", "6e7a9c a8869c 5c7ca8 3a6aa2", "ff9c74 c8868c 707090", "2a3036"),
    (0, "ffa850 eeb080 92b2c8 4a84b8", "8c88a0 c498a4 6e8cb0 4072a8", "ffb488 e0a49a 8a8298", "383c3a"),
    (2, "fcb060 ecba84 94b6cc 4a86ba", "b09aa0 bca4ac 7898bc 4076b0", "ffcc9c f0c0ac 9a94a4", "464838"),
    (6, "f4c284 e2c69c 90b6d4 4484bc", "bcb4b0 acb4c0 78a0c6 3e7ab6", "ffe6c4 fae0cc acaab4", "50523a"),
    (12, "e8d2b0 ccd2d0 84b4dc 3e86c8", "c4c8cc a8c0d4 74a8d6 3a7cc2", "faeeda f6eade b2b6c0", "565a3c"),
    (25, "dce6ec b8d6ee 74b2ea 3a84d0", "cedeea aacdea 6aa8e2 347aca", "f6f6f6 f2f4f6 b8c0cc", "5a6040"),
    (60, "d4e4f0 aed2f0 68a8e6 3076c8", "d0e2f0 a8cef0 64a4e4 2e72c6", "f8f8f8 f4f6f8 bec6d2", "5e6644"),
)

_GLOWS: Final = (
    (-18.0, "ff9c64", 0.0, 0.0),
    (-12.0, "ff9460", 0.04, 0.0),
    (-6.0, "ff8c50", 0.25, 0.0),
    (-2.0, "ff8446", 0.5, 0.15),
    (0.0, "ff8a3c", 0.6, 0.7),
    (3.0, "ffa85c", 0.5, 0.8),
    (8.0, "ffd49c", 0.3, 0.8),
    (20.0, "fff2dc", 0.14, 0.7),
    (60.0, "ffffff", 0.08, 0.6),
)
"""Sun's elevation: the colour of the light around it, how strong it is along the horizon, and close to the sun."""


def linear(code: float) -> float:
    """Return the linear light of an sRGB code 0 to 255."""
    value = code / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _encode(light: float) -> int:
    """Return the sRGB code of linear light 0 to 1."""
    return round(255 * (light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


_STEPS: Final = 8191
_CODES: Final = bytes(_encode(step / _STEPS) for step in range(_STEPS + 1))


def code(light: float) -> int:
    """Return the sRGB code 0 to 255 of linear light, as the camera's read-out: what is more than white is white."""
    return _CODES[min(_STEPS, int(light * _STEPS + 0.5))]


def _colours(text: str) -> tuple[Colour, ...]:
    """Return the sRGB codes of words like ``ff8000``."""
    return tuple((float(int(word[0:2], 16)), float(int(word[2:4], 16)), float(int(word[4:6], 16))) for word in text.split())


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours for one height of the sun."""

    sunward: tuple[Colour, ...]
    """sRGB codes at the heights of the table, towards the sun."""
    opposite: tuple[Colour, ...]
    cloud_sunward: Colour
    cloud_opposite: Colour
    cloud_shadow: Colour
    land: Colour
    """Linear, like the three of the clouds."""
    glow: Colour
    glow_horizon: float
    glow_near: float

    def column(self, heights_deg: list[float], *, sunward: bool) -> list[Colour]:
        """Return the sky's linear colours at these heights on one side: a smooth curve through the table's."""
        codes = self.sunward if sunward else self.opposite
        return [_linear(_along(codes, height)) for height in heights_deg]


_STOPS: Final = tuple(
    (float(elevation), _colours(sunward), _colours(opposite), _colours(clouds), _colours(land))
    for elevation, sunward, opposite, clouds, land in _LOOKS
)
_GLOW_STOPS: Final = tuple((elevation, _colours(colour)[0], horizon, near) for elevation, colour, horizon, near in _GLOWS)


def palette_at(sun_elevation_deg: float) -> Palette:
    """Return the colours between the two rows of the table around that height."""
    low, high, share = _neighbours([stop[0] for stop in _STOPS], sun_elevation_deg)
    below, above = _STOPS[low], _STOPS[high]
    clouds = [_linear(mix(one, other, share)) for one, other in zip(below[3], above[3], strict=True)]
    low, high, glow_share = _neighbours([stop[0] for stop in _GLOW_STOPS], sun_elevation_deg)
    glow_below, glow_above = _GLOW_STOPS[low], _GLOW_STOPS[high]
    return Palette(
        sunward=tuple(mix(one, other, share) for one, other in zip(below[1], above[1], strict=True)),
        opposite=tuple(mix(one, other, share) for one, other in zip(below[2], above[2], strict=True)),
        cloud_sunward=clouds[0],
        cloud_opposite=clouds[1],
        cloud_shadow=clouds[2],
        land=_linear(mix(below[4][0], above[4][0], share)),
        glow=_linear(mix(glow_below[1], glow_above[1], glow_share)),
        glow_horizon=glow_below[2] + (glow_above[2] - glow_below[2]) * glow_share,
        glow_near=glow_below[3] + (glow_above[3] - glow_below[3]) * glow_share,
    )


def _neighbours(places: list[float], at: float) -> tuple[int, int, float]:
    """Return the two places around ``at`` and how far it is from the first to the second; the ends go on level."""
    high = min(max(bisect_right(places, at), 1), len(places) - 1)
    share = (at - places[high - 1]) / (places[high] - places[high - 1])
    return high - 1, high, min(max(share, 0.0), 1.0)


def _along(codes: tuple[Colour, ...], height_deg: float) -> Colour:
    """Return the sRGB code at a height: a cubic through its neighbours, as straight lines would show as bands."""
    low, high, share = _neighbours([height**0.5 for height in _HEIGHTS_DEG], max(height_deg, 0.0) ** 0.5)
    before, after = codes[max(low - 1, 0)], codes[min(high + 1, len(codes) - 1)]

    def channel(one: int) -> float:
        first, second = codes[low][one], codes[high][one]
        rise, fall = (second - before[one]) / 2, (after[one] - first) / 2
        square, cube = share**2, share**3
        curve = (2 * cube - 3 * square + 1) * first + (cube - 2 * square + share) * rise
        return max(0.0, curve + (3 * square - 2 * cube) * second + (cube - square) * fall)

    return channel(0), channel(1), channel(2)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour at that share of the way."""
    return (
        one[0] + (other[0] - one[0]) * share,
        one[1] + (other[1] - one[1]) * share,
        one[2] + (other[2] - one[2]) * share,
    )


def _linear(codes: Colour) -> Colour:
    """Return the linear light of three sRGB codes."""
    return linear(codes[0]), linear(codes[1]), linear(codes[2])
