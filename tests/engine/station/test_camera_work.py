"""What is done with a station's camera beside photographing: it never overlaps an exposure, and keeps nothing."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.skylapse.engine import capture
from custom_components.skylapse.engine.camera_work import SETTING_BASELINE
from custom_components.skylapse.engine.errors import Busy, CaptureTimeout, SourceError, SshError, WorkerError
from custom_components.skylapse.engine.sources.live import CameraReading
from custom_components.skylapse.engine.status import EventKind, Problem

from ..fakes import FakeLiveCamera, jpeg
from .conftest import TEN, World


@pytest.fixture
def live(world: World) -> FakeLiveCamera:
    """Give the world a camera with a worker."""
    world.source = FakeLiveCamera(world.clock)
    return world.source


async def test_a_test_capture_keeps_nothing(world: World) -> None:
    station = await world.started(())
    seen = await station.work.test_capture(exposure_us=5000, gain=2.0)
    assert seen.shot.jpeg == jpeg(0)
    assert (seen.shot.exposure_us, seen.shot.gain) == (5000, 2.0)
    assert seen.brightness.clipped_black_percent == 100
    assert station.status.frames_total == 0
    assert not world.events
    assert not list(world.media.rglob("*.jpg"))


async def test_a_test_capture_asks_for_nothing_the_camera_cannot(world: World) -> None:
    station = await world.started(())
    with pytest.raises(SourceError, match="exposure_out_of_range"):
        await station.work.test_capture(exposure_us=1)
    assert not world.source.requests


async def test_a_due_capture_goes_before_one_by_hand(world: World) -> None:
    """A test capture in the last second before a tick would make the schedule miss it."""
    station = await world.started((TEN,))
    await world.run(19.2)  # the next is due in 0.8 s
    assert len(world.source.requests) == 1
    trying = asyncio.create_task(station.work.test_capture())
    await world.run(0.5)
    assert not trying.done()
    await world.run(1.0)
    await trying
    due = [request.due_at.second for request in world.source.requests]
    assert due[:2] == [10, 20]
    assert len(due) == 3
    await world.run(10)
    assert station.status.slots_total.missed == 0


async def test_a_capture_by_hand_does_not_wait_for_one_that_is_far(world: World) -> None:
    station = await world.started((replace(TEN, interval=timedelta(hours=1)),))
    await world.run(1)
    assert (await station.work.test_capture()).shot.exposure_us == 1000
    assert station.capabilities == world.source.capabilities


async def test_a_baseline_tells_durations_and_success(world: World) -> None:
    station = await world.started(())
    world.source.script = [0.4, CaptureTimeout(deadline_s="5"), 0.6, 0.8]
    measuring = asyncio.create_task(station.work.measure_baseline(4, baseline_ms=6000, store=True))
    await world.run(5)
    report = await measuring
    assert (report.count, report.succeeded, report.success_percent) == (4, 3, 75)
    assert report.timings is not None
    assert report.timings.mean_ms == pytest.approx(600)
    assert report.timings.stdev_ms == pytest.approx(200)
    assert report.errors == ("capture_timeout",)
    assert report.speedup is not None
    assert report.speedup.baseline_from == "given"
    assert report.speedup.ratio_of_means == pytest.approx(10)
    assert report.speedup.mean_of_ratios == pytest.approx((15 + 10 + 7.5) / 3)
    assert report.stored
    assert "uploading" in report.not_measured
    assert not list(world.media.rglob("*.jpg"))
    assert float((await station._catalogue.settings())[SETTING_BASELINE]) == pytest.approx(600)


async def test_a_baseline_is_compared_with_the_stored_one(world: World) -> None:
    station = await world.started(())
    world.source.exposure_s = 0.5
    without = asyncio.create_task(station.work.measure_baseline(1, store=True))
    await world.run(1)
    assert (await without).speedup is None
    world.source.exposure_s = 0.1
    measuring = asyncio.create_task(station.work.measure_baseline(2))
    await world.run(1)
    report = await measuring
    assert report.speedup is not None
    assert (report.speedup.baseline_from, report.speedup.ratio_of_means) == ("stored", pytest.approx(5))
    assert not report.stored


async def test_a_baseline_without_a_success_stores_nothing(world: World) -> None:
    station = await world.started(())
    world.source.script = [SourceError(), SourceError()]
    report = await station.work.measure_baseline(2, baseline_ms=100, store=True)
    assert (report.timings, report.speedup, report.stored, report.success_percent) == (None, None, False, 0)
    assert SETTING_BASELINE not in await station._catalogue.settings()


async def test_what_only_a_camera_with_a_worker_can(world: World) -> None:
    station = await world.started(())
    assert station.live is None
    for asking in (station.work.preview(), station.work.focus_sweep(None), station.work.autofocus(), station.work.adjust(ev=1)):
        with pytest.raises(SourceError, match="camera_cannot"):
            await asking
    assert (await station.diagnostics())["camera"] is None


async def test_aiming_and_focusing(world: World, live: FakeLiveCamera) -> None:
    station = await world.started(())
    assert station.live is live
    assert await station.work.preview() == jpeg(7)
    assert (await station.work.focus_sweep([0.0, 2.0])).best == 2.0
    assert (await station.work.autofocus()).success
    await station.work.adjust(ev=0.5, lens_position=1.0)
    assert live.told == [("focus_sweep", [0.0, 2.0]), ("autofocus", 30.0), ("adjust", (0.5, 1.0))]
    assert (await station.diagnostics())["camera"] == {"worker": "fake"}


async def test_nothing_is_photographed_during_a_sweep(world: World, live: FakeLiveCamera) -> None:
    station = await world.started((TEN,))
    live.sweep_s = 15
    sweeping = asyncio.create_task(station.work.focus_sweep(None))
    await world.run(12)
    await world.until(lambda: station.status.capturing)
    with pytest.raises(Busy):
        await station.work.preview()
    assert not live.requests
    await world.run(10)
    await sweeping
    assert len(live.requests) == 1
    missed = world.of_kind(EventKind.MISSED)
    assert [event.data["reason"] for event in missed] == ["busy"]


async def test_a_camera_that_was_not_there_is_started_to_be_focused(world: World, live: FakeLiveCamera) -> None:
    live.start_error = WorkerError("camera_missing")
    station = await world.started(())
    with pytest.raises(WorkerError, match="camera_missing"):
        await station.work.autofocus()
    assert not station.status.capturing
    live.start_error = None
    assert (await station.work.autofocus()).success


async def test_a_lent_camera_is_let_go_and_taken_back(world: World, live: FakeLiveCamera) -> None:
    station = await world.started((TEN,))
    async with station.work.lent():
        assert (live.starts, live.closes) == (1, 1)
        await world.run(12)
        assert not live.requests
    assert (live.starts, live.closes) == (2, 1)
    await world.run(10)
    assert len(live.requests) == 1


async def test_a_lent_camera_is_not_taken_back_by_a_station_that_stopped(world: World, live: FakeLiveCamera) -> None:
    station = await world.started(())
    async with station.work.lent():
        await station.stop()
    assert live.starts == 1


async def test_a_camera_that_cannot_be_taken_back_is_told(world: World, live: FakeLiveCamera) -> None:
    station = await world.started(())
    async with station.work.lent():
        live.start_error = SshError("ssh_denied", host="pi", username="pi")
    await world.run(1)
    await world.until(lambda: Problem.CREDENTIALS_REFUSED in station.status.problems)
    assert station.status.last_error_key == "ssh_denied"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("ssh_host_key_changed", Problem.HOST_KEY_CHANGED),
        ("ssh_denied", Problem.CREDENTIALS_REFUSED),
        ("camera_needs_reboot", Problem.CAMERA_NEEDS_REBOOT),
    ],
)
async def test_what_a_person_has_to_do_is_a_problem_at_once(world: World, live: FakeLiveCamera, key: str, problem: Problem) -> None:
    live.start_error = SourceError(key)
    station = await world.started(())
    assert problem in station.status.problems
    live.start_error = None
    await station.capture()
    await world.settled()
    await station.reconciled()
    assert problem not in station.status.problems


async def test_the_reading_is_part_of_the_status(world: World, live: FakeLiveCamera) -> None:
    station = await world.started(())
    assert station.status.camera == CameraReading(connected=True)
    live.tell(CameraReading(connected=False, restarts=2))
    await world.until(lambda: station.status.camera == CameraReading(connected=False, restarts=2))


async def test_a_camera_that_gets_lost_between_captures_is_told(world: World, live: FakeLiveCamera) -> None:
    station = await world.started(())
    live.error_now = SshError("ssh_host_key_changed", host="pi", pinned="a", found="b")
    live.tell(CameraReading(connected=False))
    await world.until(lambda: Problem.HOST_KEY_CHANGED in station.status.problems)
    assert station.status.last_error_key == "ssh_host_key_changed"
    live.error_now = None
    live.tell(CameraReading(connected=True))
    await world.until(lambda: not station.status.problems)
    assert station.status.last_error_key is None


async def test_a_camera_that_comes_later_is_no_problem_any_more(world: World, live: FakeLiveCamera) -> None:
    live.start_error = SshError("ssh_unreachable", host="pi", port=22)
    station = await world.started(())
    assert station.status.last_error_key == "ssh_unreachable"
    live.tell(CameraReading(connected=True))
    await world.until(lambda: station.status.last_error_key is None)


async def test_a_camera_that_failed_has_to_prove_itself(world: World, live: FakeLiveCamera) -> None:
    live.script = [WorkerError("camera_timeout", deadline_s=5)]
    station = await world.started(())
    with pytest.raises(WorkerError):
        await station.capture()
    live.tell(CameraReading(connected=True))
    await station.reconciled()
    assert station.status.last_error_key == "camera_timeout"


async def test_a_camera_with_a_worker_is_not_started_anew_by_the_station(world: World, live: FakeLiveCamera) -> None:
    """Its worker is replaced where that helps, at distances of its own."""
    live.script = [WorkerError("camera_timeout", deadline_s=5) for _ in range(3)]
    station = await world.started(())
    for _ in range(3):
        with pytest.raises(WorkerError):
            await station.capture()
    await station.capture()
    assert (live.starts, live.closes) == (1, 0)


async def test_a_slow_camera_holds_up_no_start(world: World, live: FakeLiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "START_S", 0.01)
    live.start_s = 30
    station = await world.started((TEN,))
    assert station.status.running
    assert live.starts == 1
    taking = asyncio.create_task(station.capture())  # waits for the camera
    await world.run(35)
    assert (await taking).record.frame_id
    assert live.starts == 1


async def test_a_station_stops_while_its_camera_still_starts(world: World, live: FakeLiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "START_S", 0.01)
    live.start_s = 60
    station = await world.started(())
    await station.stop()
    assert live.closes == 1
    await world.run(100)
    assert live.starts == 1


async def test_a_lent_camera_is_not_taken_back_once_the_station_stopped(
    world: World, live: FakeLiveCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it waited for its turn to start it."""
    monkeypatch.setattr(capture, "START_S", 0.01)
    live.start_s = 60
    station = await world.started(())

    async def borrow() -> None:
        async with station.work.lent():
            pass

    borrowing = asyncio.create_task(borrow())
    await world.settled()
    assert not borrowing.done()
    await station.stop()
    await borrowing
    assert live.starts == 1


async def test_the_camera_knows_when_it_is_needed_next(world: World, live: FakeLiveCamera) -> None:
    hourly = replace(TEN, interval=timedelta(hours=1))
    station = await world.started((hourly,))
    await world.run(5)
    assert live.expected == [station.status.next_capture_at]
    await station.set_capture_enabled(False)
    await world.run(5)
    assert live.expected[1:] == [None]


async def test_a_configured_exposure_is_part_of_the_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = replace(world.source.capabilities, usual_exposure_us=60_000_000)
    monkeypatch.setattr(type(world.source), "capabilities", property(lambda _self: usual))
    station = await world.started(())
    await station.capture()
    await station.capture(exposure_us=2_000_000)
    assert [request.deadline_s for request in world.source.requests] == [125, 9]
