"""One exposure at a time, bounded, with failures counted and a camera that hangs started anew."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.skylapse.engine import capture
from custom_components.skylapse.engine.capture import GRACE_S, Photographer
from custom_components.skylapse.engine.errors import Busy, CaptureTimeout, SourceError
from custom_components.skylapse.engine.schedule.model import Tick, Window

from .fakes import FakeClock, FakeSource

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOW = Window(NOW, NOW + timedelta(hours=1), "a")


def tick(schedule_id: str, at: datetime = NOW) -> Tick:
    return Tick(at, schedule_id, WINDOW)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def source(clock: FakeClock) -> FakeSource:
    return FakeSource(clock)


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def photographer(source: FakeSource, clock: FakeClock, changes: list[str]) -> Photographer:
    return Photographer(source, clock, deadline_s=30, on_change=lambda: changes.append("changed"))


async def test_an_exposure_claims_the_camera_and_gives_it_free(photographer: Photographer, source: FakeSource, changes: list[str]) -> None:
    await photographer.start()
    exposure = photographer.begin(NOW, [tick("a")])
    assert photographer.running is exposure
    with pytest.raises(Busy):
        photographer.begin(NOW)
    taken = await photographer.expose(exposure)
    assert photographer.running is None
    assert taken.exposure is exposure
    assert taken.shot.jpeg.startswith(b"\xff\xd8")
    assert source.requests[0].deadline_s == 30
    assert len(changes) == 3  # started, claimed, free


async def test_ticks_of_other_schedules_share_a_running_exposure(photographer: Photographer) -> None:
    exposure = photographer.begin(NOW, [tick("a")])
    assert exposure.join(tick("b"))
    assert not exposure.join(tick("a")), "a schedule's own next slot is a missed one"
    assert [joined.schedule_id for joined in exposure.ticks] == ["a", "b"]
    await photographer.expose(exposure)
    assert not photographer.begin(NOW, shared=False).join(tick("a")), "one with settings of its own is nobody else's"


async def test_failures_are_counted_and_cleared_by_one_success(photographer: Photographer, source: FakeSource, clock: FakeClock) -> None:
    waits = []
    source.script = [SourceError("simulated_failure")] * 6
    for _ in range(6):
        with pytest.raises(SourceError):
            await photographer.expose(photographer.begin(NOW))
        waits.append(photographer.backoff_s)
    assert waits == [0, 0, 60, 120, 240, 300]
    assert photographer.error is not None
    assert photographer.running is None
    clock.pass_time(clock.monotonic() + 300)
    assert photographer.backoff_s == 0
    await photographer.expose(photographer.begin(NOW))
    assert photographer.consecutive_failures == 0
    assert photographer.error is None
    assert photographer.backoff_s == 0


async def test_a_camera_that_keeps_failing_is_started_anew(photographer: Photographer, source: FakeSource) -> None:
    await photographer.start()
    source.script = [SourceError("simulated_failure")] * 2
    for _ in range(2):
        with pytest.raises(SourceError):
            await photographer.expose(photographer.begin(NOW))
    assert (source.starts, source.closes) == (1, 0)
    await photographer.expose(photographer.begin(NOW))
    assert (source.starts, source.closes) == (2, 1)


async def test_a_camera_that_is_not_there_is_tried_with_every_exposure(photographer: Photographer, source: FakeSource) -> None:
    source.start_error = SourceError("camera_gone")
    await photographer.start()
    assert photographer.error is source.start_error
    with pytest.raises(SourceError, match="camera_gone"):
        await photographer.expose(photographer.begin(NOW))
    source.start_error = None
    await photographer.expose(photographer.begin(NOW))
    assert photographer.error is None


async def test_a_source_that_ignores_its_deadline_is_cut_off(source: FakeSource, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.skylapse.engine.capture.GRACE_S", 0.01)
    assert GRACE_S > 0
    photographer = Photographer(source, clock, deadline_s=0.01, on_change=lambda: None)
    source.script = [1e9]
    with pytest.raises(CaptureTimeout):
        await photographer.expose(photographer.begin(NOW))
    assert photographer.running is None


async def test_a_bug_in_a_source_costs_one_frame(photographer: Photographer, source: FakeSource) -> None:
    source.script = [ZeroDivisionError()]
    with pytest.raises(SourceError) as caught:
        await photographer.expose(photographer.begin(NOW))
    assert caught.value.key == "source_broken"
    assert caught.value.placeholders == {"error": "ZeroDivisionError"}
    await photographer.expose(photographer.begin(NOW))


async def test_waiting_for_the_camera_ends(photographer: Photographer, source: FakeSource, clock: FakeClock) -> None:
    source.script = [5.0]
    exposing = asyncio.ensure_future(photographer.expose(photographer.begin(NOW)))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await photographer.wait_idle(0.01)
    waiting = asyncio.ensure_future(photographer.wait_idle(5))
    await asyncio.sleep(0.01)
    clock.pass_time(clock.monotonic() + 5)
    await exposing
    await waiting


async def test_a_long_exposure_has_a_longer_deadline(photographer: Photographer, source: FakeSource) -> None:
    await photographer.expose(photographer.begin(NOW), exposure_us=20_000_000)
    assert source.requests[0].deadline_s == 70


async def test_a_source_that_breaks_at_its_start_is_tried_again(photographer: Photographer, source: FakeSource) -> None:
    source.start_error = ZeroDivisionError()
    await photographer.start()
    assert photographer.error is not None
    assert photographer.error.key == "source_broken"
    source.start_error = None
    await photographer.expose(photographer.begin(NOW))
    assert photographer.error is None


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_source_that_cannot_be_closed_holds_up_nothing(
    photographer: Photographer, source: FakeSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hangs: bool
) -> None:
    monkeypatch.setattr(capture, "CLOSE_S", 0.01)

    async def broken() -> None:
        if hangs:
            await asyncio.Event().wait()
        raise ZeroDivisionError

    source.close = broken
    await photographer.start()
    await photographer.close()
    assert "The source could not be closed" in caplog.text


async def test_whoever_exposes_when_it_is_closed_does_not_take_the_camera_again(photographer: Photographer, source: FakeSource) -> None:
    await photographer.start()
    exposure = photographer.begin(NOW)
    await photographer.close()
    with pytest.raises(Busy):
        await photographer.expose(exposure)
    assert (source.starts, source.closes) == (1, 1)


async def test_a_camera_that_was_closed_while_it_started_is_let_go(photographer: Photographer, source: FakeSource) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await may_go_on.wait()

    source.start = slow
    exposing = asyncio.ensure_future(photographer.expose(photographer.begin(NOW)))
    await begun.wait()
    await photographer.close()
    may_go_on.set()
    with pytest.raises(Busy):
        await exposing
    assert source.closes == 2
    assert source.requests == []
