"""Draws icon and logo: the sun's arc over a horizon, in the frames of a film (run by ``scripts/draw-brand``)."""

from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

BRAND = Path(__file__).resolve().parents[1] / "custom_components" / "skylapse" / "brand"

_UNIT = 1024
"""The icon is drawn this large, in pixels, and scaled down: that smooths all edges."""
_NIGHT, _DUSK, _GLOW = (24, 32, 72), (122, 74, 140), (255, 158, 88)
_SUN = (255, 214, 102)
_LAND = (20, 26, 48)
_WORD = (70, 84, 150)
_WORD_ON_DARK = (178, 190, 240)
_FACE = "DejaVuSans-Bold.ttf"


def _mix(low: tuple[int, ...], high: tuple[int, ...], part: float) -> tuple[int, ...]:
    """Return the colour a ``part`` (0 to 1) of the way from one to another."""
    return tuple(round(a + (b - a) * part) for a, b in zip(low, high, strict=True))


def icon() -> Image.Image:
    """Return the icon, ``_UNIT`` pixels square, on a transparent ground."""
    sky = Image.new("RGBA", (_UNIT, _UNIT))
    draw = ImageDraw.Draw(sky)
    horizon = round(_UNIT * 0.72)
    for y in range(horizon):
        part = y / horizon
        colour = _mix(_NIGHT, _DUSK, part * 2) if part < 0.5 else _mix(_DUSK, _GLOW, part * 2 - 1)
        draw.line((0, y, _UNIT, y), fill=(*colour, 255))
    middle, reach = _UNIT / 2, _UNIT * 0.34
    for step in range(5):  # five exposures of one sun, the last one the brightest
        angle = pi - (0.14 + 0.72 * step / 4) * pi
        left, up = middle + reach * cos(angle), horizon - reach * 1.25 * sin(angle)
        radius = _UNIT * (0.062 if step < 4 else 0.088)
        draw.ellipse((left - radius, up - radius, left + radius, up + radius), fill=(*_mix(_GLOW, _SUN, step / 4), 255))
    draw.rectangle((0, horizon, _UNIT, _UNIT), fill=(*_LAND, 255))
    hole, gap = _UNIT * 0.075, _UNIT / 7
    for number in range(6):  # a film's perforation along the ground
        left, up = gap * (number + 1) - hole / 2, _UNIT * 0.86 - hole / 2
        draw.rounded_rectangle((left, up, left + hole, up + hole), hole / 4, fill=(*_GLOW, 255))
    mask = Image.new("L", (_UNIT, _UNIT))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, _UNIT - 1, _UNIT - 1), _UNIT * 0.22, fill=255)
    sky.putalpha(mask)
    return sky


def logo(word: tuple[int, int, int]) -> Image.Image:
    """Return the icon with the name beside it in that colour, ``_UNIT`` pixels high."""
    font = ImageFont.truetype(_FACE, round(_UNIT * 0.52))
    left, top, right, bottom = font.getbbox("Skylapse")
    gap = round(_UNIT * 0.18)
    picture = Image.new("RGBA", (_UNIT + gap + round(right - left), _UNIT))
    picture.paste(icon(), (0, 0))
    place = (_UNIT + gap - left, (_UNIT - bottom - top) / 2)
    ImageDraw.Draw(picture).text(place, "Skylapse", font=font, fill=(*word, 255))
    return picture


def main() -> None:
    """Write all pictures; the icon serves on light and on dark grounds."""
    BRAND.mkdir(exist_ok=True)
    for name, picture in (("icon", icon()), ("logo", logo(_WORD)), ("dark_logo", logo(_WORD_ON_DARK))):
        for suffix, height in (("", 256), ("@2x", 512)):
            size = (round(picture.width * height / picture.height), height)
            picture.resize(size, Image.Resampling.LANCZOS).save(BRAND / f"{name}{suffix}.png", optimize=True)


if __name__ == "__main__":
    main()
