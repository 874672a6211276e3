"""The cameras: the last frame, at the size that was asked for, and the live view."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from io import BytesIO
import logging
import struct

from aiohttp import ClientResponse
from homeassistant.components.camera import async_get_image
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_state_change_event
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse import camera
from custom_components.skylapse.camera import LiveViewCamera, scaled
from custom_components.skylapse.engine.errors import Busy, SkylapseError, SourceError, StorageError
from custom_components.skylapse.engine.sources.base import SourceIdentity

from .rig import CAN_ALL, FRAME, STATUS, SUNRISE, MadeUpStation, jpeg, pi_station, set_up, states


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


LIVE = "camera.garden_live_view"


class Window:
    """What the camera sees: one picture after the other, until the test says otherwise."""

    def __init__(self, station: MadeUpStation, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let ``station`` show it."""
        self.looks = 0
        self._looked = asyncio.Condition()
        self.error: SkylapseError | Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        monkeypatch.setattr(station, "preview", self.preview)

    async def preview(self) -> bytes:
        self.looks += 1
        async with self._looked:
            self._looked.notify_all()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return b"picture %d" % self.looks

    async def looked(self, times: int) -> None:
        """Wait until it was looked through that often."""
        async with asyncio.timeout(5), self._looked:
            await self._looked.wait_for(lambda: self.looks >= times)


@pytest.fixture
def clock(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for who looks, without waiting."""
    passed = 0.0
    time = hass.loop.time

    def go(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(hass.loop, "time", lambda: time() + passed)
    return go


@pytest.fixture
async def window(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Window:
    """Return what the camera of a station that is set up sees."""
    station = await set_up(hass, pi_station())
    return Window(station, monkeypatch)


@pytest.fixture
def live(hass: HomeAssistant, window: Window) -> LiveViewCamera:
    """Return the live view."""
    return hass.data["camera"].get_entity(LIVE)


async def test_only_a_camera_that_can_be_looked_through_has_a_live_view(hass: HomeAssistant) -> None:
    """Beside its last frame."""
    await set_up(hass, pi_station(capabilities=replace(CAN_ALL, preview=False)))
    assert [state.entity_id for state in states(hass, "camera")] == ["camera.garden"]


async def test_the_live_view_shows_what_the_camera_sees(hass: HomeAssistant, live: LiveViewCamera, clock: Callable[[float], None]) -> None:
    """A new picture each time, five a second at most."""
    assert (await async_get_image(hass, LIVE)).content == b"picture 1"
    assert await live.async_camera_image() == b"picture 1"
    clock(0.2)
    assert await live.async_camera_image() == b"picture 2"
    assert live.frame_interval == 0.2
    attributes = hass.states.get(LIVE).attributes
    assert (attributes["friendly_name"], attributes["brand"], attributes["model_name"]) == (
        "Garden Live view",
        "Raspberry Pi",
        "Camera Module 3",
    )


async def test_all_who_look_share_a_picture(live: LiveViewCamera, window: Window) -> None:
    """The camera is asked once; one who goes away does not take the picture from the others."""
    window.open.clear()
    looks = [asyncio.create_task(live.async_camera_image()) for _ in range(3)]
    await asyncio.sleep(0)
    looks.pop().cancel()
    await asyncio.sleep(0)
    window.open.set()
    assert await asyncio.gather(*looks) == [b"picture 1", b"picture 1"]
    assert window.looks == 1


async def test_while_the_camera_is_busy_the_last_picture_is_shown_again(
    live: LiveViewCamera, window: Window, clock: Callable[[float], None]
) -> None:
    """Captures go first. Once it is too old, it would show what is not there any more."""
    assert await live.async_camera_image() == b"picture 1"
    window.error = Busy()
    for _ in range(3):
        clock(1)
        assert await live.async_camera_image() == b"picture 1"
    assert window.looks == 4
    window.error = None
    clock(1)
    assert await live.async_camera_image() == b"picture 5"


async def test_a_picture_that_takes_long_is_not_waited_for(
    live: LiveViewCamera, window: Window, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one is shown again, and the camera is not asked twice at the same time."""
    monkeypatch.setattr(camera, "_BUSY_S", 0.01)
    assert await live.async_camera_image() == b"picture 1"
    window.open.clear()
    for _ in range(2):
        clock(1)
        assert await live.async_camera_image() == b"picture 1"
    assert window.looks == 2
    window.open.set()
    assert await live.async_camera_image() == b"picture 2"


async def test_the_first_picture_is_waited_for(live: LiveViewCamera, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose first picture is missing does not begin."""
    monkeypatch.setattr(camera, "_FORGET_S", 3600)
    live._attr_frame_interval = 0.01
    window.error = Busy()
    look = asyncio.create_task(live.async_camera_image())
    await window.looked(3)
    window.error = None
    assert await look == b"picture %d" % window.looks


async def test_a_camera_that_stays_busy_gives_no_first_picture(
    live: LiveViewCamera, window: Window, clock: Callable[[float], None]
) -> None:
    """Rather than none in time."""
    live._attr_frame_interval = 0.01
    window.error = Busy()
    look = asyncio.create_task(live.async_camera_image())
    await asyncio.sleep(0.03)
    assert not look.done()
    clock(8)
    assert await look is None


async def test_an_old_picture_is_forgotten(live: LiveViewCamera, window: Window, clock: Callable[[float], None]) -> None:
    """Nobody looked for a while, and now the camera is gone."""
    assert await live.async_camera_image() == b"picture 1"
    window.error = SourceError("camera_missing")
    clock(31)
    window.open.clear()
    look = asyncio.create_task(live.async_camera_image())
    await asyncio.sleep(0)
    assert live._picture is None
    window.open.set()
    assert await look is None


async def test_errors_give_no_picture_and_no_line_in_the_log(
    hass: HomeAssistant, live: LiveViewCamera, window: Window, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The station tells of them once; a stream asks five times a second."""
    assert await live.async_camera_image() == b"picture 1"
    caplog.clear()
    caplog.set_level(logging.INFO)
    window.error = SourceError("camera_missing")
    for _ in range(3):
        clock(0.2)
        assert await live.async_camera_image() is None
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, LIVE)
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_a_mistake_in_the_program_is_not_hidden(live: LiveViewCamera, window: Window) -> None:
    """It ends the stream and is logged by Home Assistant."""
    window.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await live.async_camera_image()


async def received(response: ClientResponse, picture: bytes) -> None:
    """Read a stream until that picture came."""
    so_far = b""
    async with asyncio.timeout(5):
        while picture not in so_far:
            chunk = await response.content.readany()
            assert chunk, "the stream has ended"
            so_far += chunk


@pytest.mark.usefixtures("socket_enabled")
async def test_the_live_view_streams_while_somebody_looks(hass: HomeAssistant, hass_client: ClientSessionGenerator, window: Window) -> None:
    """Through Home Assistant's own MJPEG; without anybody, the camera is left alone."""
    client = await hass_client()
    assert hass.states.get(LIVE).state == "idle"
    async with client.get(f"/api/camera_proxy_stream/{LIVE}") as response:
        assert response.status == HTTPStatus.OK
        await received(response, b"picture 3")
        assert hass.states.get(LIVE).state == "streaming"
        idle = asyncio.Event()
        async_track_state_change_event(hass, LIVE, callback(lambda event: event.data["new_state"].state == "idle" and idle.set()))
        response.close()
    async with asyncio.timeout(5):
        await idle.wait()
    looks = window.looks
    await asyncio.sleep(0.5)
    assert window.looks == looks


@pytest.mark.usefixtures("socket_enabled")
async def test_a_stream_ends_with_the_station(hass: HomeAssistant, hass_client: ClientSessionGenerator, window: Window) -> None:
    """Nobody goes on to look through a camera that was unloaded, not even while a picture is on its way."""
    client = await hass_client()
    async with client.get(f"/api/camera_proxy_stream/{LIVE}") as response:
        await received(response, b"picture 1")
        window.open.clear()
        await window.looked(2)
        await hass.config_entries.async_unload("01GARDEN")
        async with asyncio.timeout(5):
            await response.content.read()
    assert window.looks == 2
    assert hass.states.get(LIVE).state == "unavailable"
