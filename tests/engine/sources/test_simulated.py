"""The simulated camera: what it reports, how it fails, and that it leaves nothing behind."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
import threading

from PIL import Image
import pytest

from custom_components.skylapse.engine.errors import CaptureTimeout, SourceError
from custom_components.skylapse.engine.ports import Site, SystemClock
from custom_components.skylapse.engine.sources import sky
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot
from custom_components.skylapse.engine.sources.jpeg import check_jpeg
from custom_components.skylapse.engine.sources.simulated import SimulatedSource
from custom_components.skylapse.engine.sources.sky_light import illuminance
from custom_components.skylapse.engine.sun_position import solar_elevation

SITE = Site(52.0, 5.0, 10.0, UTC)
NOON = datetime(2026, 6, 21, 11, 40, tzinfo=UTC)


class StepClock(SystemClock):
    """The wall clock stands; waiting is noted and takes no time."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


def camera(clock: SystemClock | None = None, site: Site = SITE, seed: int = 1, **options: float) -> SimulatedSource:
    small = {"width": 96, "height": 54}
    return SimulatedSource(lambda: site, clock or StepClock(), seed, **(small | options))


def request(deadline_s: float = 30, exposure_us: int | None = None, gain: float | None = None) -> CaptureRequest:
    return CaptureRequest(due_at=NOON, deadline_s=deadline_s, exposure_us=exposure_us, gain=gain)


async def take(source: SimulatedSource, **details: float) -> Shot:
    await source.start()
    try:
        return await source.capture(request(**details))
    finally:
        await source.close()


async def test_a_shot_tells_all_that_is_known() -> None:
    shot = await take(camera())
    assert check_jpeg(shot.jpeg) == (96, 54) == (shot.width_px, shot.height_px)
    with Image.open(BytesIO(shot.jpeg)) as image:
        image.load()
        assert image.format == "JPEG"
    elevation = solar_elevation(SITE, NOON)
    assert elevation > 60
    assert shot.taken_at == NOON
    assert shot.lux == pytest.approx(illuminance(elevation), abs=0.001)
    assert shot.exposure_us is not None
    assert 40 < shot.exposure_us < 60
    assert shot.gain == 1
    assert shot.colour_temperature_k == 5500


async def test_what_was_asked_for_is_used_and_reported() -> None:
    dark = await take(camera(), exposure_us=10, gain=1.5)
    assert (dark.exposure_us, dark.gain) == (10, 1.5)
    bright = await take(camera(), exposure_us=40, gain=1.5)
    means = []
    for shot in (dark, bright):
        with Image.open(BytesIO(shot.jpeg)) as image:
            means.append(sum(value * count for value, count in enumerate(image.convert("L").histogram())))
    assert means[1] > 1.5 * means[0]


async def test_night_is_dark_and_long() -> None:
    shot = await take(camera(StepClock(datetime(2026, 12, 21, 23, 40, tzinfo=UTC))))
    assert shot.lux == 0.001
    assert (shot.exposure_us, shot.gain) == (20_000_000, 16)


async def test_the_same_request_gives_the_same_bytes_and_another_seed_or_site_does_not() -> None:
    first = await take(camera())
    assert (await take(camera())).jpeg == first.jpeg
    assert (await take(camera(seed=2))).jpeg != first.jpeg
    assert (await take(camera(site=Site(-52.0, 5.0, 10.0, UTC)))).jpeg != first.jpeg
    assert (await take(camera(StepClock(NOON + timedelta(minutes=1))))).jpeg != first.jpeg


async def test_the_site_is_asked_for_every_frame() -> None:
    sites = iter([SITE, Site(-70.0, 5.0, 10.0, UTC)])
    source = SimulatedSource(lambda: next(sites), StepClock(), 1, width=96, height=54)
    await source.start()
    day, night = await source.capture(request()), await source.capture(request())
    assert day.lux is not None
    assert night.lux is not None
    assert day.lux > 1000 * night.lux
    await source.close()


def test_it_says_that_it_is_simulated_and_what_it_can() -> None:
    source = camera(seed=42)
    assert source.identity.kind == "simulated"
    assert (source.identity.manufacturer, source.identity.model) == ("Skylapse", "Simulated sky camera")
    assert source.identity.serial == "42"
    assert source.capabilities.exposure
    assert source.capabilities.gain
    assert source.capabilities.reports_exposure
    assert source.capabilities.exposure_range_us == (10, 200_000_000)
    assert source.capabilities.gain_range == (1, 16)
    assert (source.capabilities.width_px, source.capabilities.height_px) == (96, 54)


@pytest.mark.parametrize(
    ("asked", "key", "placeholders"),
    [
        ({"exposure_us": 9}, "exposure_out_of_range", {"value": "9", "minimum": "10", "maximum": "200000000"}),
        ({"exposure_us": 200_000_001}, "exposure_out_of_range", {"value": "200000001", "minimum": "10", "maximum": "200000000"}),
        ({"gain": 0.5}, "gain_out_of_range", {"value": "0.5", "minimum": "1", "maximum": "16"}),
        ({"gain": 16.01}, "gain_out_of_range", {"value": "16.01", "minimum": "1", "maximum": "16"}),
        ({"gain": float("nan")}, "gain_out_of_range", {"value": "nan", "minimum": "1", "maximum": "16"}),
    ],
)
async def test_what_the_camera_cannot_do_is_refused(asked: dict[str, float], key: str, placeholders: dict[str, str]) -> None:
    with pytest.raises(SourceError) as caught:
        await take(camera(), **asked)
    assert (caught.value.key, caught.value.placeholders) == (key, placeholders)


async def test_the_ends_of_the_ranges_are_taken() -> None:
    assert (await take(camera(), exposure_us=10, gain=1)).gain == 1
    assert (await take(camera(), exposure_us=200_000_000, gain=16)).exposure_us == 200_000_000


async def test_it_has_to_be_started_again_after_closing() -> None:
    source = camera()
    await source.close()
    with pytest.raises(SourceError) as caught:
        await source.capture(request())
    assert caught.value.key == "source_not_started"
    await source.start()
    assert (await source.capture(request())).jpeg
    await source.close()
    with pytest.raises(SourceError):
        await source.capture(request())


async def test_delay_passes_on_the_clock() -> None:
    clock = StepClock()
    shot = await take(camera(clock, delay_ms=2500))
    assert clock.slept == [2.5]
    assert shot.taken_at == NOON
    clock = StepClock()
    await take(camera(clock))
    assert clock.slept == []


@pytest.mark.parametrize("options", [{"delay_ms": 5000}, {"hang_percent": 100}])
async def test_too_slow_and_hanging_end_at_the_deadline(options: dict[str, float]) -> None:
    clock = StepClock()
    with pytest.raises(CaptureTimeout) as caught:
        await take(camera(clock, **options), deadline_s=5)
    assert clock.slept == [5]
    assert caught.value.key == "capture_timeout"
    assert caught.value.placeholders == {"deadline_s": "5"}


async def test_hanging_ends_in_real_time_too() -> None:
    with pytest.raises(CaptureTimeout):
        await take(camera(SystemClock(), hang_percent=100), deadline_s=0.05)


async def outcomes(source: SimulatedSource, count: int) -> str:
    await source.start()
    seen = ""
    for _ in range(count):
        try:
            await source.capture(request())
        except CaptureTimeout:
            seen += "h"
        except SourceError as error:
            seen += {"simulated_failure": "f"}.get(error.key, "?")
        else:
            seen += "."
    await source.close()
    return seen


async def test_failures_and_hangs_come_as_often_as_asked_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky, "render", lambda *_args, **_details: Image.new("RGB", (8, 8)))
    seen = await outcomes(camera(failure_percent=30, hang_percent=20), 400)
    assert 0.14 < seen.count("h") / 400 < 0.26
    assert 0.17 < seen.count("f") / 400 < 0.31  # of those that do not hang
    assert await outcomes(camera(failure_percent=30, hang_percent=20), 400) == seen
    assert await outcomes(camera(failure_percent=30, hang_percent=20, seed=2), 400) != seen
    assert await outcomes(camera(), 50) == "." * 50
    assert await outcomes(camera(failure_percent=100), 50) == "f" * 50


@pytest.fixture
def slow_render(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Rendering waits until the returned function lets it go on, which returns what happened so far."""
    gate, log = threading.Event(), list[str]()

    def render(*_args: object, **_details: object) -> Image.Image:
        log.append("begin")
        gate.wait(20)
        log.append("end")
        return Image.new("RGB", (8, 8))

    def release() -> list[str]:
        gate.set()
        return log

    monkeypatch.setattr(sky, "render", render)
    yield release
    gate.set()


async def test_rendering_is_bounded_by_the_deadline_and_waited_for_on_close(slow_render: Callable[[], list[str]]) -> None:
    source = camera()
    await source.start()
    with pytest.raises(CaptureTimeout):
        await source.capture(request(0.05))
    closing = asyncio.create_task(source.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    log = slow_render()
    await closing
    assert log == ["begin", "end"]


async def test_after_a_timeout_the_next_capture_waits_for_the_thread(slow_render: Callable[[], list[str]]) -> None:
    source = camera()
    await source.start()
    with pytest.raises(CaptureTimeout):
        await source.capture(request(0.05))
    with pytest.raises(CaptureTimeout):
        await source.capture(request(0.05))
    log = slow_render()
    assert log == ["begin"]
    shot = await source.capture(request())
    assert log == ["begin", "end", "begin", "end"]
    assert check_jpeg(shot.jpeg) == (8, 8)
    await source.close()


async def test_a_cancelled_capture_leaves_nothing_behind(slow_render: Callable[[], list[str]]) -> None:
    source = camera()
    await source.start()
    task = asyncio.create_task(source.capture(request()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    log = slow_render()
    await source.close()
    assert log == ["begin", "end"]
    assert {other for other in asyncio.all_tasks() if other is not asyncio.current_task()} == set()
