"""What is known of a frame, in the picture file itself: EXIF, spliced in without touching the picture.

Standard tags say what standard programs ask for; a JSON object in ``UserComment`` holds all of it, so that the
catalogue can be rebuilt from the files. What the camera wrote about itself and its lens is kept; what may tell where the
picture was taken (its GPS, XMP, IPTC and maker's notes) is not.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
import json
import struct
from typing import Any, Final

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from ..errors import BadPicture
from .records import FrameDetails

_APP0, _APP1, _APP13, _SOS = 0xE0, 0xE1, 0xED, 0xDA
_COMMENT: Final = b"ASCII\x00\x00\x00"
_LONGEST_TEXT: Final = 200
_MOST_SCHEDULES: Final = 50
_NUMBERS: Final = ("exposure_us", "gain", "lux", "colour_temperature_k", "sun_elevation_deg", "sun_azimuth_deg")

_KEPT: Final = (Base.Make, Base.Model, Base.Orientation, Base.Copyright, Base.Artist)
_KEPT_EXIF: Final = (
    Base.ExposureTime,
    Base.FNumber,
    Base.ExposureProgram,
    Base.ISOSpeedRatings,
    Base.ShutterSpeedValue,
    Base.ApertureValue,
    Base.BrightnessValue,
    Base.ExposureBiasValue,
    Base.MaxApertureValue,
    Base.SubjectDistance,
    Base.MeteringMode,
    Base.LightSource,
    Base.Flash,
    Base.FocalLength,
    Base.ColorSpace,
    Base.ExposureMode,
    Base.WhiteBalance,
    Base.DigitalZoomRatio,
    Base.FocalLengthIn35mmFilm,
    Base.SceneCaptureType,
    Base.Contrast,
    Base.Saturation,
    Base.Sharpness,
    Base.LensMake,
    Base.LensModel,
)

_UNREADABLE: Final = (SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, OSError, EOFError, struct.error, AttributeError)
"""What Pillow may raise over EXIF that is broken; another's broken EXIF must not cost the frame."""


def splice(jpeg: bytes, details: FrameDetails) -> bytes:
    """Return the picture with EXIF that tells ``details``.

    GPS is in it only if ``details`` has a place. From the first table on, the bytes are those of ``jpeg``.
    Raises ``BadPicture`` if it does not begin as a JPEG does.
    """
    head, rest = splice_head(jpeg, details)
    return head + rest


def splice_head(jpeg: bytes, details: FrameDetails) -> tuple[bytes, memoryview]:
    """Do what ``splice`` does, but return the new beginning and the untouched rest, which is not copied."""
    first, others, foreign, end = _header(jpeg)
    payload = _build(details, foreign)
    segment = struct.pack(">BBH", 0xFF, _APP1, len(payload) + 2) + payload
    return b"".join((jpeg[:2], *first, segment, *others)), memoryview(jpeg)[end:]


def read(jpeg: bytes, *, taken_at: datetime, camera: str) -> FrameDetails:
    """Return what the picture's EXIF tells, for one that is to be catalogued again.

    ``taken_at`` and ``camera`` stand in where it tells nothing. Raises ``BadPicture`` if it does not begin as a JPEG does.
    """
    foreign = _header(jpeg)[2]
    plain, detail, place = _load(foreign)
    told = _told(detail.get(Base.UserComment))
    numbers: dict[str, Any] = {name: told[name] for name in _NUMBERS if isinstance(told.get(name), int | float)}
    schedules = told.get("schedules")
    latitude, longitude, altitude = _place(place)
    return FrameDetails(
        taken_at=_instant(told.get("taken_at")) or taken_at,
        duration_ms=told["duration_ms"] if isinstance(told.get("duration_ms"), int) else 0,
        camera=_text(told.get("camera")) or camera,
        manufacturer=_text(plain.get(Base.Make)),
        model=_text(plain.get(Base.Model)),
        latitude_deg=latitude,
        longitude_deg=longitude,
        altitude_m=altitude,
        schedules=tuple(_text(name) for name in schedules) if isinstance(schedules, list) else (),
        **numbers,
    )


def _header(jpeg: bytes) -> tuple[list[bytes], list[bytes], bytes, int]:
    """Return the JFIF segments, the other application segments worth keeping, the EXIF, and where the untouched rest begins."""
    if not jpeg.startswith(b"\xff\xd8"):
        raise BadPicture("picture_not_jpeg", found=jpeg[:4].hex(" ").upper())
    first: list[bytes] = []
    others: list[bytes] = []
    exif = b""
    position = 2
    while True:
        start = position
        while jpeg[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        if position + 4 > len(jpeg):
            raise BadPicture("picture_truncated", size_bytes=len(jpeg))
        marker, length = jpeg[position + 1], int.from_bytes(jpeg[position + 2 : position + 4])
        if jpeg[position] != 0xFF or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return first, others, exif, start
        segment = jpeg[position : position + 2 + length]
        if len(segment) < 2 + length or length < 2:
            raise BadPicture("picture_truncated", size_bytes=len(jpeg))
        if marker == _APP0 and not others:
            first.append(segment)
        elif marker == _APP1 and segment[4:10] == b"Exif\x00\x00" and not exif:
            exif = segment[4:]
        elif marker not in (_APP1, _APP13):
            others.append(segment)
        position += 2 + length


def _build(details: FrameDetails, foreign: bytes) -> bytes:
    """Return the payload of the APP1 segment."""
    plain, detail, _ = _load(foreign)
    kept = _kept(plain, _KEPT), _kept(detail, _KEPT_EXIF)
    try:
        return _encode(details, *kept)
    except _UNREADABLE:
        return _encode(details, {}, {})


def _load(exif: bytes) -> tuple[Mapping[int, Any], Mapping[int, Any], Mapping[int, Any]]:
    """Return the tags of the picture, of the exposure, and of the place; empty where it is broken."""
    if not exif:
        return {}, {}, {}
    loaded = Image.Exif()
    try:
        loaded.load(exif)
        return dict(loaded), dict(loaded.get_ifd(IFD.Exif)), dict(loaded.get_ifd(IFD.GPSInfo))
    except _UNREADABLE:
        return {}, {}, {}


def _kept(tags: Mapping[int, Any], wanted: tuple[Base, ...]) -> dict[int, Any]:
    kept: dict[int, Any] = {}
    for tag in wanted:
        value = tags.get(tag)
        if isinstance(value, str):
            # Pillow knows the type of the picture's own tags only, and takes bytes of others for numbers
            kept[tag] = _latin(value) if wanted is _KEPT else value[:_LONGEST_TEXT].replace("\x00", "")
        elif isinstance(value, int | float | IFDRational):
            kept[tag] = value
    return kept


def _encode(details: FrameDetails, plain: dict[int, Any], detail: dict[int, Any]) -> bytes:
    at = details.taken_at.astimezone(UTC)
    plain |= {Base.Software: "Skylapse", Base.DateTime: f"{at:%Y:%m:%d %H:%M:%S}"}
    if details.manufacturer:
        plain[Base.Make] = _utf8(details.manufacturer)
    if details.model:
        plain[Base.Model] = _utf8(details.model)
    detail |= {
        Base.ExifVersion: b"0232",
        Base.DateTimeOriginal: f"{at:%Y:%m:%d %H:%M:%S}",
        Base.OffsetTime: "+00:00",
        Base.OffsetTimeOriginal: "+00:00",
        Base.SubsecTimeOriginal: f"{at.microsecond // 1000:03}",
        Base.UserComment: _COMMENT + _comment(details),
    }
    if details.exposure_us is not None:
        exposure = Fraction(details.exposure_us, 1_000_000)
        detail[Base.ExposureTime] = IFDRational(exposure.numerator, exposure.denominator)
    if details.gain is not None:
        detail[Base.ISOSpeedRatings] = max(0, min(65535, round(details.gain * 100)))
    exif = Image.Exif()
    for tag, value in plain.items():
        exif[tag] = value
    exif.get_ifd(IFD.Exif).update(detail)
    if details.latitude_deg is not None and details.longitude_deg is not None:
        exif.get_ifd(IFD.GPSInfo).update(_gps(details.latitude_deg, details.longitude_deg, details.altitude_m))
    return _undefined_comment(exif.tobytes())


def _undefined_comment(exif: bytes) -> bytes:
    """Return the EXIF with ``UserComment`` typed as the standard wants it (7, undefined); Pillow knows it as bytes only."""
    tiff = bytearray(exif)
    base = len(b"Exif\x00\x00")

    def entries(directory: int) -> dict[int, int]:
        (count,) = struct.unpack_from(">H", tiff, base + directory)
        places = (base + directory + 2 + 12 * index for index in range(count))
        return {struct.unpack_from(">H", tiff, place)[0]: place for place in places}

    entry = entries(struct.unpack_from(">I", tiff, base + 4)[0])[IFD.Exif]
    comment = entries(struct.unpack_from(">I", tiff, entry + 8)[0])[Base.UserComment]
    struct.pack_into(">H", tiff, comment + 2, 7)
    return bytes(tiff)


def _comment(details: FrameDetails) -> bytes:
    """Return all that is known as compact ASCII JSON, bounded so that the segment always fits."""
    told: dict[str, Any] = {
        "taken_at": details.taken_at.astimezone(UTC).isoformat(),
        "duration_ms": details.duration_ms,
        "camera": details.camera[:_LONGEST_TEXT],
        "schedules": [name[:_LONGEST_TEXT] for name in details.schedules[:_MOST_SCHEDULES]],
    }
    told |= {name: getattr(details, name) for name in _NUMBERS if getattr(details, name) is not None}
    return json.dumps(told, separators=(",", ":")).encode("ascii")


def _told(comment: object) -> dict[str, Any]:
    """Return the JSON object of a ``UserComment`` that Skylapse wrote, else an empty one."""
    if not isinstance(comment, bytes) or not comment.startswith(_COMMENT):
        return {}
    try:
        told = json.loads(comment[len(_COMMENT) :])
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _gps(latitude: float, longitude: float, altitude: float | None) -> dict[int, Any]:
    place: dict[int, Any] = {
        GPS.GPSVersionID: b"\x02\x03\x00\x00",
        GPS.GPSLatitudeRef: "S" if latitude < 0 else "N",
        GPS.GPSLatitude: _sexagesimal(latitude),
        GPS.GPSLongitudeRef: "W" if longitude < 0 else "E",
        GPS.GPSLongitude: _sexagesimal(longitude),
    }
    if altitude is not None:
        place[GPS.GPSAltitudeRef] = b"\x01" if altitude < 0 else b"\x00"
        place[GPS.GPSAltitude] = IFDRational(round(abs(altitude) * 100), 100)
    return place


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Return degrees, minutes, seconds to 1/10000 second (3 mm)."""
    units = round(abs(degrees) * 36_000_000)
    return (
        IFDRational(units // 36_000_000, 1),
        IFDRational(units // 600_000 % 60, 1),
        IFDRational(units % 600_000, 10_000),
    )


def _place(tags: Mapping[int, Any]) -> tuple[float | None, float | None, float | None]:
    """Return latitude, longitude and altitude of GPS tags; None where they say nothing sound."""
    try:
        north, east = (
            float(degrees) + float(minutes) / 60 + float(seconds) / 3600
            for degrees, minutes, seconds in (tags[GPS.GPSLatitude], tags[GPS.GPSLongitude])
        )
        latitude = -north if tags[GPS.GPSLatitudeRef] == "S" else north
        longitude = -east if tags[GPS.GPSLongitudeRef] == "W" else east
        altitude = float(tags[GPS.GPSAltitude]) if GPS.GPSAltitude in tags else None
        if altitude is not None and tags[GPS.GPSAltitudeRef] == b"\x01":
            altitude = -altitude
    except _UNREADABLE:
        return None, None, None
    return latitude, longitude, altitude


def _instant(value: object) -> datetime | None:
    """Return an aware instant of ISO 8601 text, else None."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.utcoffset() == timedelta() else None


def _utf8(text: str) -> bytes:
    return text[:_LONGEST_TEXT].replace("\x00", "").encode()


def _latin(text: str) -> bytes:
    """Return the bytes of a text that Pillow read: it takes every byte for a character."""
    return text[:_LONGEST_TEXT].replace("\x00", "").encode("latin-1", "replace")


def _text(value: object) -> str:
    """Return a text's own characters, of one that Pillow read byte by byte, too."""
    if not isinstance(value, str):
        return ""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
