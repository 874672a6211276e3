"""Pictures of other cameras."""

import asyncio
from datetime import UTC, datetime, timedelta
from io import BytesIO

from PIL import Image
import pytest

from custom_components.skylapse.engine.errors import BadPicture, CaptureTimeout, SourceError
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources import entity
from custom_components.skylapse.engine.sources.base import CaptureRequest, SourceCapabilities
from custom_components.skylapse.engine.sources.entity import EntitySource

NOW = datetime(2026, 11, 23, 5, 45, 1, 123000, tzinfo=UTC)


class StillClock(SystemClock):
    """The wall clock stands until a test moves it."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


def saved(kind: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (32, 24), "navy").save(file, kind)
    return file.getvalue()


class Camera:
    """Another camera: answers what it is told to, and remembers what it was asked."""

    def __init__(self, answer: bytes | Exception, wait_s: float = 0) -> None:
        self.answer = answer
        self.wait_s = wait_s
        self.asked: list[tuple[str, float]] = []
        self.clock = StillClock()

    async def fetch(self, entity_id: str, timeout_s: float) -> bytes:
        self.asked.append((entity_id, timeout_s))
        self.clock.at += timedelta(seconds=3)
        await asyncio.sleep(self.wait_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def source(self) -> EntitySource:
        return EntitySource("camera.garden", self.fetch, self.clock)


def request(deadline_s: float = 10) -> CaptureRequest:
    return CaptureRequest(due_at=NOW, deadline_s=deadline_s)


async def test_a_picture_is_a_frame_of_the_instant_it_was_asked_for() -> None:
    camera = Camera(saved("JPEG"))
    source = camera.source()
    await source.start()
    shot = await source.capture(request(7.5))
    await source.close()
    assert shot.jpeg == camera.answer
    assert shot.taken_at == NOW
    assert (shot.width_px, shot.height_px) == (32, 24)
    assert (shot.exposure_us, shot.gain, shot.lux) == (None, None, None)
    assert camera.asked == [("camera.garden", 7.5)]


async def test_the_same_bytes_again_still_are_a_frame() -> None:
    source = Camera(saved("JPEG")).source()
    first, second = await source.capture(request()), await source.capture(request())
    assert first.jpeg == second.jpeg
    assert second.taken_at == NOW + timedelta(seconds=3)


def test_it_says_what_it_is_and_that_nothing_can_be_set() -> None:
    source = Camera(b"").source()
    assert (source.identity.kind, source.identity.serial) == ("entity", "camera.garden")
    assert source.capabilities == SourceCapabilities()


@pytest.mark.parametrize(
    ("answer", "key", "placeholders"),
    [
        (saved("PNG"), "picture_not_jpeg", {"found": "PNG"}),
        (b"", "picture_empty", {}),
        (saved("JPEG")[:-20], "picture_truncated", {"size_bytes": str(len(saved("JPEG")) - 20)}),
        (saved("JPEG") + bytes(60_000_000), "picture_too_large", {"size_mb": "60.0", "limit_mb": "50"}),
    ],
    ids=["PNG", "nothing", "cut", "60 MB"],
)
async def test_what_is_no_whole_jpeg_is_refused(answer: bytes, key: str, placeholders: dict[str, str]) -> None:
    with pytest.raises(BadPicture) as caught:
        await Camera(answer).source().capture(request())
    assert (caught.value.key, caught.value.placeholders) == (key, placeholders)


async def test_big_pictures_are_checked_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    to_thread = asyncio.to_thread

    async def noted(function: object, *args: object) -> object:
        calls.append(function)
        return await to_thread(function, *args)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    whole = saved("JPEG")
    shot = await Camera(whole + bytes(1_000_001 - len(whole))).source().capture(request())
    assert (shot.width_px, shot.height_px) == (32, 24)
    assert calls == [entity.check_jpeg]
    await Camera(whole + bytes(1_000_000 - len(whole))).source().capture(request())
    assert calls == [entity.check_jpeg]


async def test_a_camera_that_does_not_answer_runs_into_the_deadline() -> None:
    with pytest.raises(CaptureTimeout) as caught:
        await Camera(saved("JPEG"), wait_s=60).source().capture(request(0.05))
    assert caught.value.key == "capture_timeout"
    assert caught.value.placeholders == {"deadline_s": "0.05"}


async def test_a_fetch_that_timed_out_by_itself_is_a_timeout() -> None:
    with pytest.raises(CaptureTimeout):
        await Camera(TimeoutError()).source().capture(request())


async def test_what_fetching_raises_comes_through() -> None:
    with pytest.raises(SourceError) as caught:
        await Camera(SourceError("camera_unavailable", entity_id="camera.garden")).source().capture(request())
    assert caught.value.key == "camera_unavailable"
