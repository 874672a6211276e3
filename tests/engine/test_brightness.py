"""How bright a picture is."""

from io import BytesIO

from PIL import Image
import pytest

from custom_components.skylapse.engine.brightness import brightness_of
from custom_components.skylapse.engine.errors import BadPicture


def picture(*shades: int, size: tuple[int, int] = (2000, 1200)) -> bytes:
    """Return a JPEG of equal stripes in these shades of grey."""
    whole = Image.new("RGB", size)
    width = size[0] // len(shades)
    for index, shade in enumerate(shades):
        whole.paste((shade, shade, shade), (index * width, 0, (index + 1) * width, size[1]))
    out = BytesIO()
    whole.save(out, "JPEG", quality=95)
    return out.getvalue()


def test_figures() -> None:
    found = brightness_of(picture(0, 128, 128, 255))
    assert found.mean_percent == pytest.approx((0 + 128 + 128 + 255) / 4 / 2.55, abs=0.5)
    assert found.clipped_white_percent == pytest.approx(25, abs=1)
    assert found.clipped_black_percent == pytest.approx(25, abs=1)


@pytest.mark.parametrize(("shade", "white", "black"), [(0, 0, 100), (255, 100, 0), (100, 0, 0)])
def test_one_shade(shade: int, white: float, black: float) -> None:
    found = brightness_of(picture(shade))
    assert (found.clipped_white_percent, found.clipped_black_percent) == (white, black)


def test_no_picture() -> None:
    with pytest.raises(BadPicture, match="picture_unreadable"):
        brightness_of(b"\xff\xd8 nothing of the kind")
