"""A JPEG is whole or it is not: against Pillow's full decoding, at every byte."""

from io import BytesIO

from hypothesis import given, settings, strategies as st
from PIL import Image
import pytest

from custom_components.skylapse.engine.errors import BadPicture
from custom_components.skylapse.engine.sources import jpeg
from custom_components.skylapse.engine.sources.jpeg import check_jpeg, name_format


def picture(mode: str = "RGB", size: tuple[int, int] = (61, 43)) -> Image.Image:
    gradient = Image.linear_gradient("L").resize(size)
    speckle = Image.effect_noise(size, 60)
    return Image.merge("RGB", (gradient, speckle, gradient.rotate(180))).convert(mode)


def encoded(mode: str = "RGB", **options: object) -> bytes:
    file = BytesIO()
    picture(mode).save(file, "JPEG", **options)
    return file.getvalue()


def with_thumbnail() -> bytes:
    thumbnail = encoded(quality=20)
    segment = b"Exif\0\0" + b"II*\0\x08\0\0\0" + bytes(6) + thumbnail
    whole = encoded()
    return whole[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + whole[2:]


def with_fill_bytes() -> bytes:
    whole = encoded()
    return whole[:2] + b"\xff\xff\xff" + whole[2:-2] + b"\xff\xff" + whole[-2:]


CORPUS = {
    "baseline 4:2:0": encoded(subsampling=2),
    "baseline 4:4:4": encoded(subsampling=0, quality=97),
    "progressive": encoded(progressive=True),
    "optimized": encoded(optimize=True),
    "restarts": encoded(restart_marker_blocks=1),
    "restart rows": encoded(restart_marker_rows=1, progressive=True),
    "grayscale": encoded("L"),
    "CMYK": encoded("CMYK"),
    "comment": encoded(comment=b"\xff\xd9 is no end here"),
    "thumbnail": with_thumbnail(),
    "fill bytes": with_fill_bytes(),
}

each_of_corpus = pytest.mark.parametrize("whole", CORPUS.values(), ids=CORPUS.keys())


def verdict(data: bytes) -> str:
    with pytest.raises(BadPicture) as caught:
        check_jpeg(data)
    return caught.value.key


@each_of_corpus
def test_whole_pictures_are_taken_with_the_size_pillow_sees(whole: bytes) -> None:
    with Image.open(BytesIO(whole)) as image:
        image.load()
        assert check_jpeg(whole) == image.size == (61, 43)


@each_of_corpus
def test_cut_anywhere_is_noticed(whole: bytes) -> None:
    for length in range(2, len(whole)):
        assert verdict(whole[:length]) == "picture_truncated", length
    half = BytesIO(whole[: len(whole) * 3 // 4])
    with Image.open(half) as image, pytest.raises(OSError, match="truncated"):
        image.load()


@each_of_corpus
def test_a_tail_of_zeros_or_ones_is_noticed(whole: bytes) -> None:
    for length in range(2, len(whole) - 1, 97):
        for filler in (b"\0", b"\xff"):
            assert verdict(whole[:length] + filler * (len(whole) - length)) in {"picture_truncated", "picture_damaged"}


@each_of_corpus
def test_what_follows_the_end_is_let_be(whole: bytes) -> None:
    for tail in (b"\0" * 100, b"\xff\xff", b"garbage", whole):
        assert check_jpeg(whole + tail) == (61, 43)


@each_of_corpus
@pytest.mark.parametrize("stride", [1, 2, 3, 64])
def test_markers_across_the_border_of_two_searches_are_seen(whole: bytes, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "_STRIDE", stride)
    assert check_jpeg(whole) == (61, 43)
    assert verdict(whole[:-1]) == "picture_truncated"


def test_nothing_is_empty() -> None:
    assert verdict(b"") == "picture_empty"


def test_sixty_megabytes_are_too_many_and_fifty_are_not() -> None:
    with pytest.raises(BadPicture) as caught:
        check_jpeg(CORPUS["thumbnail"] + b"\0" * 60_000_000)
    assert caught.value.key == "picture_too_large"
    assert caught.value.placeholders == {"size_mb": "60.0", "limit_mb": "50"}
    whole = CORPUS["baseline 4:2:0"]
    assert check_jpeg(whole + b"\0" * (jpeg.LARGEST_BYTES - len(whole))) == (61, 43)
    assert verdict(whole + b"\0" * (jpeg.LARGEST_BYTES - len(whole) + 1)) == "picture_too_large"


SEGMENT_SOF = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00"
SEGMENT_SOS = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (SEGMENT_SOF + SEGMENT_SOS + b"\x12\xff\xd9", None),
        (b"\xff\x01\xff\xd0" + SEGMENT_SOF + SEGMENT_SOS + b"\x12\xff\xd9", None),  # markers without a segment
        (b"\xff\xc4\x00\x02\xff\xc8\x00\x02\xff\xcc\x00\x02" + SEGMENT_SOF + SEGMENT_SOS + b"\x12\xff\xd9", None),
        (b"\xff\xd9", "picture_damaged"),  # no frame
        (SEGMENT_SOF + b"\xff\xd9", "picture_damaged"),  # no scan
        (SEGMENT_SOS + b"\x12\xff\xd9", "picture_damaged"),  # a scan before its frame
        (SEGMENT_SOF + SEGMENT_SOS + b"\xff\xd9", "picture_damaged"),  # a scan of nothing
        (SEGMENT_SOF + SEGMENT_SOS + b"\x12\xff\xd8", "picture_damaged"),  # a picture within the picture
        (b"\xff\xc0\x00\x07\x08\x00\x10\x00\x20" + SEGMENT_SOS + b"\x12\xff\xd9", "picture_damaged"),  # too short for a size
        (SEGMENT_SOF.replace(b"\x00\x10\x00\x20", b"\x00\x00\x00\x20") + SEGMENT_SOS + b"\x12\xff\xd9", "picture_damaged"),
        (SEGMENT_SOF.replace(b"\x00\x10\x00\x20", b"\x00\x10\x00\x00") + SEGMENT_SOS + b"\x12\xff\xd9", "picture_damaged"),
        (SEGMENT_SOF + SEGMENT_SOS + b"\x12\xff\xff\x00\x12\xff\xd9", None),  # a fill byte before a stuffed one
        (SEGMENT_SOF + b"\xff\xda\x00\x01\x12\xff\xd9", "picture_damaged"),
        (b"\xff\xe0\x00\x01" + SEGMENT_SOF, "picture_damaged"),  # a length shorter than itself
        (b"\xff\x00" + SEGMENT_SOF, "picture_damaged"),
        (b"\x00" + SEGMENT_SOF, "picture_damaged"),
        (b"\xff\xe0\x00", "picture_truncated"),
        (b"\xff\xe0", "picture_truncated"),
        (b"\xff\xff", "picture_truncated"),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
def test_structure(body: bytes, key: str | None) -> None:
    if key is None:
        assert check_jpeg(b"\xff\xd8" + body) == (32, 16)
    else:
        assert verdict(b"\xff\xd8" + body) == key


def test_a_file_of_markers_alone_is_given_up() -> None:
    assert verdict(b"\xff\xd8" + b"\xff\x01" * 19_999) == "picture_truncated"
    assert verdict(b"\xff\xd8" + b"\xff\x01" * 10_000_000) == "picture_damaged"


def test_errors_say_where_and_how_much() -> None:
    with pytest.raises(BadPicture) as caught:
        check_jpeg(b"\xff\xd8\xff\xd9")
    assert caught.value.placeholders == {"position": "4"}
    with pytest.raises(BadPicture) as caught:
        check_jpeg(CORPUS["progressive"][:200])
    assert caught.value.placeholders == {"size_bytes": "200"}


def saved(kind: str) -> bytes:
    file = BytesIO()
    picture().save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (saved("PNG"), "PNG"),
        (saved("GIF"), "GIF"),
        (saved("WEBP"), "WebP"),
        (saved("TIFF"), "TIFF"),
        (saved("BMP"), "BMP"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x20ftypheic", "HEIC"),
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b"<svg xmlns=", "SVG"),
        (b"<?xml version=", "XML"),
        (b'{"error": 401}', "JSON"),
        (b"\0\1\2\3\4\5", "00 01 02 03"),
        (b"\xff", "FF"),
        (CORPUS["baseline 4:2:0"][1:], "D8 FF E0 00"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_jpeg_is_named(data: bytes, name: str) -> None:
    assert name_format(data) == name
    with pytest.raises(BadPicture) as caught:
        check_jpeg(data)
    assert caught.value.key == "picture_not_jpeg"
    assert caught.value.placeholders == {"found": name}


def survives(data: bytes) -> None:
    """Only ever a size or ``BadPicture``."""
    try:
        width, height = check_jpeg(data)
    except BadPicture as error:
        assert error.key in {"picture_empty", "picture_not_jpeg", "picture_truncated", "picture_damaged"}  # noqa: PT017  both ways are right
    else:
        assert 0 < width < 65536
        assert 0 < height < 65536


@given(st.binary(max_size=400))
def test_any_bytes_only_ever_raise_bad_picture(data: bytes) -> None:
    survives(data)
    survives(b"\xff\xd8" + data)
    survives(b"\xff\xd8" + SEGMENT_SOF + SEGMENT_SOS + data)


@settings(max_examples=300)
@given(
    whole=st.sampled_from(list(CORPUS.values())),
    changes=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["set", "drop", "insert"])), min_size=1, max_size=6
    ),
)
def test_damaged_pictures_only_ever_raise_bad_picture(whole: bytes, changes: list[tuple[int, int, str]]) -> None:
    data = bytearray(whole)
    for place, value, how in changes:
        at = place % len(data)
        if how == "set":
            data[at] = value
        elif how == "drop":
            del data[at]
        else:
            data.insert(at, value)
    survives(bytes(data))
