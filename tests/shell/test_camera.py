"""The camera: the last frame, at the size that was asked for."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from io import BytesIO
import struct

from homeassistant.components.camera import async_get_image
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse.camera import scaled
from custom_components.skylapse.engine.errors import StorageError
from custom_components.skylapse.engine.sources.base import SourceIdentity

from .rig import FRAME, STATUS, SUNRISE, MadeUpStation, jpeg, set_up


def size(picture: bytes) -> tuple[int, int]:
    """Return a JPEG's width and height."""
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "JPEG"
        image.load()
        return image.size


async def test_it_shows_the_last_frame_as_it_is(hass: HomeAssistant) -> None:
    """Byte by byte, and read from disk once."""
    frame = jpeg()
    station = await set_up(hass, MadeUpStation(answers={"latest_jpeg": frame}))
    for _ in range(3):
        assert (await async_get_image(hass, "camera.garden")).content == frame
    assert station.asked.count(("latest_jpeg",)) == 1


async def test_a_new_frame_is_read(hass: HomeAssistant) -> None:
    """As soon as the status tells of it."""
    first, second = jpeg(64, 48), jpeg(32, 24)
    station = await set_up(hass, MadeUpStation(answers={"latest_jpeg": first}))
    assert (await async_get_image(hass, "camera.garden")).content == first
    station.answers["latest_jpeg"] = second
    station.tell(last_frame=replace(FRAME, frame_id=2))
    assert (await async_get_image(hass, "camera.garden")).content == second


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ({"width": 320}, (320, 240)),
        ({"height": 120}, (160, 120)),
        ({"width": 320, "height": 320}, (320, 240)),
        ({"width": 2000, "height": 2000}, (640, 480)),
        ({"width": 0, "height": -1}, (640, 480)),
    ],
)
async def test_it_is_scaled_down_to_the_wanted_size(hass: HomeAssistant, wanted: dict[str, int], got: tuple[int, int]) -> None:
    """With its proportions kept, and never up."""
    station = await set_up(hass, MadeUpStation(answers={"latest_jpeg": jpeg()}))
    camera = hass.data["camera"].get_entity("camera.garden")
    assert size(await camera.async_camera_image(**wanted)) == got
    assert size(await camera.async_camera_image(**wanted)) == got
    assert station.asked.count(("latest_jpeg",)) == 1


async def test_another_size_is_made_of_the_picture_that_is_kept(hass: HomeAssistant) -> None:
    """Without another look at the disk."""
    station = await set_up(hass, MadeUpStation(answers={"latest_jpeg": jpeg()}))
    camera = hass.data["camera"].get_entity("camera.garden")
    assert size(await camera.async_camera_image()) == (640, 480)
    assert size(await camera.async_camera_image(320)) == (320, 240)
    assert station.asked.count(("latest_jpeg",)) == 1


async def test_a_picture_that_is_late_is_not_kept(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a newer frame was announced while it was read."""
    station = await set_up(hass)
    late, new = jpeg(64, 48), jpeg(32, 24)
    reading, read = asyncio.Event(), asyncio.Event()

    async def slow() -> bytes:
        reading.set()
        await read.wait()
        return late

    monkeypatch.setattr(station, "latest_jpeg", slow)
    camera = hass.data["camera"].get_entity("camera.garden")
    first = asyncio.create_task(camera.async_camera_image())
    await reading.wait()
    monkeypatch.undo()
    station.answers["latest_jpeg"] = new
    station.tell(last_frame=replace(FRAME, frame_id=2))
    assert await camera.async_camera_image() == new
    read.set()
    assert await first == late
    assert await camera.async_camera_image() == new


async def test_few_pictures_are_kept(hass: HomeAssistant) -> None:
    """However many sizes are asked for."""
    await set_up(hass, MadeUpStation(answers={"latest_jpeg": jpeg()}))
    camera = hass.data["camera"].get_entity("camera.garden")
    for width in range(100, 120):
        await camera.async_camera_image(width)
    assert len(camera._kept) <= 4


async def test_scaling_does_not_block_the_loop(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels are worked on in an executor's thread."""
    await set_up(hass, MadeUpStation(answers={"latest_jpeg": jpeg()}))

    def on_no_loop(*picture: object) -> bytes:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return b"scaled"

    monkeypatch.setattr("custom_components.skylapse.camera.scaled", on_no_loop)
    assert await hass.data["camera"].get_entity("camera.garden").async_camera_image(100) == b"scaled"


async def test_there_is_no_picture_before_the_first_frame(hass: HomeAssistant) -> None:
    """Nor one whose file has gone; the camera itself is there."""
    station = await set_up(hass, MadeUpStation(replace(STATUS, last_frame=None)))
    assert hass.states.get("camera.garden").state == "recording"
    for last_frame in (None, FRAME):
        station.tell(last_frame=last_frame)
        with pytest.raises(HomeAssistantError, match="Unable to get image"):
            await async_get_image(hass, "camera.garden")


async def test_a_disk_that_fails_is_told(hass: HomeAssistant) -> None:
    """As the engine's error, translated."""
    await set_up(hass, MadeUpStation(answers={"latest_jpeg": StorageError("read_only", path="/media")}))
    with pytest.raises(HomeAssistantError, match="/media cannot be written"):
        await async_get_image(hass, "camera.garden")


async def test_it_records_while_a_schedule_is_active(hass: HomeAssistant) -> None:
    """Between two frames as well."""
    station = await set_up(hass)
    assert hass.states.get("camera.garden").state == "recording"
    station.tell(schedules=(replace(SUNRISE, active=False),))
    assert hass.states.get("camera.garden").state == "idle"
    station.tell(schedules=(SUNRISE,), capture_enabled=False)
    assert hass.states.get("camera.garden").state == "idle"
    station.tell(running=False)
    assert hass.states.get("camera.garden").state == "unavailable"


async def test_it_tells_what_is_known_of_the_frame(hass: HomeAssistant) -> None:
    """And leaves out what is not."""
    station = await set_up(hass)
    attributes = hass.states.get("camera.garden").attributes
    assert attributes["instant"] == FRAME.details.taken_at
    assert attributes["sha256"] == FRAME.file.sha256
    assert attributes["schedules"] == ["Sunrise"]
    assert (attributes["exposure_us"], attributes["gain"], attributes["sun_elevation"]) == (2000, 1.5, -3.5)
    assert "lux" not in attributes
    assert (attributes["brand"], attributes["model_name"]) == ("Skylapse", "Simulated sky")
    station.tell(last_frame=None)
    assert "instant" not in hass.states.get("camera.garden").attributes


async def test_a_camera_that_does_not_say_what_it_is(hass: HomeAssistant) -> None:
    """Has no brand rather than an empty one."""
    await set_up(hass, MadeUpStation(identity=SourceIdentity("entity", "", "", "")))
    assert "brand" not in hass.states.get("camera.garden").attributes


@pytest.mark.usefixtures("socket_enabled")
async def test_the_proxy_serves_it(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    """As a dashboard fetches it."""
    await set_up(hass, MadeUpStation(answers={"latest_jpeg": jpeg()}))
    client = await hass_client()
    response = await client.get("/api/camera_proxy/camera.garden?width=320&height=240")
    assert response.status == HTTPStatus.OK
    assert size(await response.read()) == (320, 240)


def bomb() -> bytes:
    """Return a JPEG that says it is 65 000 x 65 000."""
    picture = jpeg(64, 64)
    frame = picture.index(b"\xff\xc0")
    return picture[: frame + 5] + struct.pack(">HH", 65_000, 65_000) + picture[frame + 9 :]


@pytest.mark.parametrize("picture", [b"", b"no picture", jpeg()[:3000], bomb()], ids=["nothing", "text", "truncated", "bomb"])
def test_what_cannot_be_scaled_stays_as_it_is(picture: bytes) -> None:
    """A frame on disk may have been damaged by others."""
    assert scaled(picture, 100, 100) == picture


def test_odd_colours_are_scaled() -> None:
    """CMYK, as some cameras make them, and grey."""
    for mode in ("CMYK", "L"):
        out = BytesIO()
        Image.new(mode, (64, 64)).save(out, "JPEG")
        assert size(scaled(out.getvalue(), 32, None)) == (32, 32)
