"""How bright a picture is, in three figures that say whether an exposure was right."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from .errors import BadPicture

_SAMPLE_PX = 512
_BLACK, _WHITE = 2, 253
"""JPEG's own noise moves values at the ends by a step or two."""


@dataclass(frozen=True, slots=True)
class Brightness:
    """Of the luma of a picture, percent."""

    mean_percent: float
    clipped_white_percent: float
    """Share of pixels at the white end: blown out."""
    clipped_black_percent: float
    """Share of pixels at the black end."""


def brightness_of(jpeg: bytes) -> Brightness:
    """Measure a JPEG; runs in a thread, and reads it at reduced size. Raises ``BadPicture``."""
    try:
        with Image.open(BytesIO(jpeg), formats=["JPEG"]) as picture:
            picture.draft("L", (_SAMPLE_PX, _SAMPLE_PX))  # the decoder leaves out what is not needed
            counts = picture.convert("L").histogram()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise BadPicture("picture_unreadable", error=type(err).__name__) from err
    total = sum(counts)
    return Brightness(
        mean_percent=round(100 * sum(value * count for value, count in enumerate(counts)) / (255 * total), 2),
        clipped_white_percent=round(100 * sum(counts[_WHITE:]) / total, 2),
        clipped_black_percent=round(100 * sum(counts[: _BLACK + 1]) / total, 2),
    )
