"""EXIF, read back by others: exiftool where it is installed, Pillow everywhere."""

from datetime import UTC, datetime
from io import BytesIO
import json
import shutil
import struct
import subprocess

from hypothesis import given, settings, strategies as st
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
import pytest

from custom_components.skylapse.engine.errors import BadPicture
from custom_components.skylapse.engine.frames import exif
from custom_components.skylapse.engine.frames.records import FrameDetails
from custom_components.skylapse.engine.sources.jpeg import check_jpeg

from .conftest import NOW, picture

AT = datetime(2026, 11, 23, 5, 45, 1, 123456, tzinfo=UTC)
FULL = FrameDetails(
    AT,
    812,
    "Dächle ☁",
    "Fabrik",
    "Modell Ø",
    exposure_us=8000,
    gain=1.5,
    lux=12.5,
    colour_temperature_k=5600,
    sun_elevation_deg=-3.25,
    sun_azimuth_deg=123.4,
    latitude_deg=-52.123456,
    longitude_deg=4.5,
    altitude_m=-3.5,
    schedules=("Sonnenaufgang", "Blaue Stunde ✨"),
)


def rest_of(jpeg: bytes) -> bytes:
    """All from the first segment on that is no application's: tables and picture."""
    position = 2
    while 0xE0 <= jpeg[position + 1] <= 0xEF or jpeg[position + 1] == 0xFE:
        position += 2 + struct.unpack_from(">H", jpeg, position + 2)[0]
    return jpeg[position:]


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(*segments: bytes) -> bytes:
    jpeg = picture()
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def foreign() -> bytes:
    """A picture as a telephone gives it: EXIF with a place, a maker's note and a thumbnail."""
    tags = Image.Exif()
    tags[Base.Make] = "Phönix".encode()
    tags[Base.Model] = "P1"
    tags[Base.Orientation] = 6
    tags.get_ifd(IFD.Exif).update(
        {Base.FNumber: 2.8, Base.MakerNote: b"secret place", Base.LensModel: "Wide 24", Base.CameraOwnerName: "Ann"}
    )
    tags.get_ifd(IFD.GPSInfo).update({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (1.0, 2.0, 3.0)})
    return picture(exif=tags)


def tags_of(jpeg: bytes) -> tuple[dict, dict, dict]:
    tags = Image.open(BytesIO(jpeg)).getexif()
    return dict(tags), dict(tags.get_ifd(IFD.Exif)), dict(tags.get_ifd(IFD.GPSInfo))


def test_picture_is_untouched() -> None:
    jpeg = picture()
    spliced = exif.splice(jpeg, FULL)
    assert rest_of(spliced) == rest_of(jpeg)
    assert spliced.endswith(rest_of(jpeg))
    assert check_jpeg(spliced) == (32, 24)
    assert Image.open(BytesIO(spliced)).tobytes() == Image.open(BytesIO(jpeg)).tobytes()


def test_standard_tags_tell_the_frame() -> None:
    plain, detail, place = tags_of(exif.splice(picture(), FULL))
    assert plain[Base.Software] == "Skylapse"
    assert detail[Base.DateTimeOriginal] == "2026:11:23 05:45:01"
    assert detail[Base.OffsetTimeOriginal] == "+00:00"
    assert detail[Base.SubsecTimeOriginal] == "123"
    assert (detail[Base.ExposureTime].numerator, detail[Base.ExposureTime].denominator) == (1, 125)
    assert detail[Base.ISOSpeedRatings] == 150
    assert place[GPS.GPSLatitudeRef] == "S"
    told = json.loads(detail[Base.UserComment][8:])
    assert told["sun_elevation_deg"] == -3.25
    assert told["schedules"] == list(FULL.schedules)


def test_it_comes_back_whole() -> None:
    assert exif.read(exif.splice(picture(), FULL), taken_at=NOW, camera="?") == FULL


def test_little_known_comes_back_as_little() -> None:
    little = FrameDetails(AT, 1, "Sky", longitude_deg=5.0)
    spliced = exif.splice(picture(), little)
    assert exif.read(spliced, taken_at=NOW, camera="?") == FrameDetails(AT, 1, "Sky")
    assert tags_of(spliced)[2] == {}


@pytest.mark.parametrize(
    ("latitude", "longitude", "altitude"), [(52.5, -179.999999, 12.0), (-0.0000005, 180.0, None), (89.9999999999, 0.0, 8848.86)]
)
def test_place_comes_back(latitude: float, longitude: float, altitude: float | None) -> None:
    details = FrameDetails(AT, 1, "Sky", latitude_deg=latitude, longitude_deg=longitude, altitude_m=altitude)
    found = exif.read(exif.splice(picture(), details), taken_at=NOW, camera="?")
    assert found.latitude_deg == pytest.approx(latitude, abs=1e-7)
    assert found.longitude_deg == pytest.approx(longitude, abs=1e-7)
    assert found.altitude_m == (altitude if altitude is None else pytest.approx(altitude, abs=0.01))


def test_foreign_place_goes_and_harmless_tags_stay() -> None:
    spliced = exif.splice(foreign(), FrameDetails(AT, 1, "Sky"))
    plain, detail, place = tags_of(spliced)
    assert place == {}
    assert b"secret place" not in spliced
    assert Base.CameraOwnerName not in detail
    assert plain[Base.Orientation] == 6
    assert plain[Base.Make].encode("latin-1").decode() == "Phönix"
    assert float(detail[Base.FNumber]) == pytest.approx(2.8)
    assert detail[Base.LensModel] == "Wide 24"
    assert detail[Base.DateTimeOriginal] == "2026:11:23 05:45:01"
    assert spliced.count(b"Exif\x00\x00") == 1


def test_what_the_source_says_of_the_camera_wins() -> None:
    plain, _, _ = tags_of(exif.splice(foreign(), FULL))
    assert plain[Base.Make] == "Fabrik"


def test_other_segments_keep_order_and_place_tellers_go() -> None:
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x exif:GPSLatitude='1'/>")
    iptc = segment(0xED, b"Photoshop 3.0\x008BIM city")
    profile = segment(0xE2, b"ICC_PROFILE\x00\x01\x01abc")
    comment = segment(0xFE, b"hello")
    spliced = exif.splice(
        with_segments(xmp, iptc, profile, comment, segment(0xE1, b"Exif\x00\x00junk"), segment(0xE1, b"Exif\x00\x00more")), FULL
    )
    assert b"GPSLatitude" not in spliced
    assert b"8BIM" not in spliced
    assert b"junk" not in spliced
    assert profile in spliced
    assert comment in spliced
    assert check_jpeg(spliced)


def test_exif_stands_behind_the_leading_jfif_segment() -> None:
    spliced = exif.splice(picture(), FULL)
    assert spliced[2:4] == b"\xff\xe0"
    behind = 4 + struct.unpack_from(">H", spliced, 4)[0]
    assert spliced[behind : behind + 2] == b"\xff\xe1"


def test_fill_bytes_before_a_marker_are_understood() -> None:
    jpeg = picture()
    spliced = exif.splice(jpeg[:2] + b"\xff\xff" + jpeg[2:], FULL)
    assert exif.read(spliced, taken_at=NOW, camera="?") == FULL
    assert check_jpeg(spliced)


@pytest.mark.parametrize(
    ("jpeg", "key"),
    [
        (b"", "picture_not_jpeg"),
        (b"GIF89a", "picture_not_jpeg"),
        (b"\xff\xd8", "picture_truncated"),
        (b"\xff\xd8\xff\xff\xff", "picture_truncated"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "picture_truncated"),
        (b"\xff\xd8\xff\xe0\x00\x01", "picture_truncated"),
    ],
)
def test_no_jpeg_is_refused(jpeg: bytes, key: str) -> None:
    with pytest.raises(BadPicture) as caught:
        exif.splice(jpeg, FULL)
    assert caught.value.key == key


def test_however_much_is_told_it_fits() -> None:
    details = FrameDetails(AT, 1, "✨" * 5000, "M" * 70000, "\x00N" * 70000, schedules=("✨" * 5000,) * 500)
    spliced = exif.splice(picture(), details)
    assert len(spliced) - len(picture()) < 65536
    assert exif.read(spliced, taken_at=NOW, camera="?").camera == "✨" * 200


@pytest.mark.parametrize(("gain", "iso"), [(0.001, 0), (1e9, 65535), (-3.0, 0)])
def test_absurd_gain_does_not_cost_the_frame(gain: float, iso: int) -> None:
    _, detail, _ = tags_of(exif.splice(picture(), FrameDetails(AT, 1, "Sky", gain=gain)))
    assert detail[Base.ISOSpeedRatings] == iso


def test_kept_tags_that_cannot_be_written_are_given_up() -> None:
    # Orientation as a signed number, -5, where Pillow writes only unsigned ones
    tiff = b"II*\x00" + struct.pack("<IHHHIiI", 8, 1, Base.Orientation, 9, 1, -5, 0)
    spliced = exif.splice(with_segments(segment(0xE1, b"Exif\x00\x00" + tiff)), FULL)
    assert Base.Orientation not in tags_of(spliced)[0]
    assert exif.read(spliced, taken_at=NOW, camera="?") == FULL


@pytest.mark.parametrize(
    "comment",
    [
        None,
        b"",
        b"ASCII\x00\x00\x00not json",
        b"ASCII\x00\x00\x00[1]",
        b"ASCII\x00\x00\x00\xff",
        b'ASCII\x00\x00\x00{"taken_at": "2026-13-01", "duration_ms": "x", "camera": 5, "gain": "high", "schedules": "no"}',
        b'ASCII\x00\x00\x00{"taken_at": "2026-11-23T05:45:01"}',
    ],
)
def test_others_comments_tell_nothing(comment: bytes | None) -> None:
    tags = Image.Exif()
    if comment is not None:
        tags.get_ifd(IFD.Exif)[Base.UserComment] = comment
    assert exif.read(picture(exif=tags), taken_at=NOW, camera="Sky") == FrameDetails(NOW, 0, "Sky")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about each broken tag
@given(junk=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_broken_foreign_exif_never_costs_the_frame(junk: bytes) -> None:
    spliced = exif.splice(with_segments(segment(0xE1, b"Exif\x00\x00" + junk)), FULL)
    assert exif.read(spliced, taken_at=NOW, camera="?").taken_at == AT


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(flips=st.lists(st.tuples(st.integers(6, 400), st.integers(0, 255)), max_size=8))
@settings(max_examples=300, deadline=None)
def test_damaged_foreign_exif_never_costs_the_frame(flips: list[tuple[int, int]]) -> None:
    jpeg = foreign()
    start = jpeg.index(b"Exif\x00\x00")
    payload = bytearray(jpeg[start : start + struct.unpack_from(">H", jpeg, start - 2)[0] - 2])
    for place, value in flips:
        payload[6 + place % (len(payload) - 6)] = value
    damaged = with_segments(segment(0xE1, bytes(payload)))
    exif.read(damaged, taken_at=NOW, camera="?")
    assert exif.read(exif.splice(damaged, FULL), taken_at=NOW, camera="?").taken_at == AT


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed (libimage-exiftool-perl)")
def test_exiftool_reads_it(tmp_path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(exif.splice(picture(), FULL))
    out = subprocess.run(["exiftool", "-j", "-n", str(path)], capture_output=True, check=True, timeout=30)
    told = json.loads(out.stdout)[0]
    assert told["SubSecDateTimeOriginal"] == "2026:11:23 05:45:01.123+00:00"
    assert told["ExposureTime"] == 0.008
    assert told["ISO"] == 150
    assert (told["Make"], told["Model"], told["Software"]) == ("Fabrik", "Modell Ø", "Skylapse")
    assert told["GPSLatitude"] == pytest.approx(-52.123456, abs=1e-6)
    assert told["GPSAltitude"] == pytest.approx(-3.5)
    assert json.loads(told["UserComment"])["camera"] == "Dächle ☁"
    out = subprocess.run(
        ["exiftool", "-validate", "-warning", "-a", "-s3", str(path)], capture_output=True, check=True, timeout=30, text=True
    )
    assert not [line for line in out.stdout.splitlines() if "Missing required" not in line and "Warning" not in line]
