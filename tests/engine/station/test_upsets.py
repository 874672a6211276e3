"""What must not happen when something ends, fails or is cancelled at the wrong moment."""

import asyncio
from collections.abc import Sequence
from datetime import time, timedelta
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import CatalogueError, StorageError
from custom_components.skylapse.engine.frames.records import UploadRecord, UploadState
from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.ledger import RETRY_S, TRIES
from custom_components.skylapse.engine.schedule.model import Always, Schedule, TimeOfDay
from custom_components.skylapse.engine.station import ADOPT_AFTER_S, Station
from custom_components.skylapse.engine.status import EventKind, Problem

from .conftest import World


async def killed(station: Station) -> None:
    """End it as a kill does: whatever is committed stays, nothing is told of the end."""
    await station._scheduler.stop()
    await station._bulletin.stop()
    task = station._keeper._task
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await station._outbox.stop()
    await station._ledger.stop(5)
    await station._catalogue.close()
    station._running = False


async def test_slots_are_not_missed_that_were_taken_just_before_a_kill(world: World) -> None:
    station = await world.started()
    await world.run(55)
    await world.until(lambda: len(world.of_kind(EventKind.CAPTURED)) == 5)
    await killed(station)
    world.clock.pass_time(world.clock.monotonic() + 30)
    station = await world.started()
    await world.until(lambda: station.status.slots_total.missed > 0)
    assert station.status.slots_total.captured == 5
    assert station.status.slots_total.missed == 3, "those of 12:01:00, :10 and :20"


async def test_the_time_it_takes_to_stop_is_time_away(world: World) -> None:
    station = await world.started()
    await world.run(11)
    close = world.source.close

    async def slow() -> None:
        world.clock.pass_time(world.clock.monotonic() + 20)
        await close()

    world.source.close = slow
    await station.stop()
    world.source.close = close
    station = await world.started()
    await world.until(lambda: station.status.slots_total.missed == 2)


async def test_whoever_asked_for_a_frame_may_go_away(world: World) -> None:
    station = await world.started(deadline_s=30)
    await world.run(5)
    world.source.exposure_s = 8.0
    capture = asyncio.ensure_future(station.capture())
    await world.run(6)
    capture.cancel()
    with pytest.raises(asyncio.CancelledError):
        await capture
    await world.run(3)
    await world.until(lambda: station.status.slots_total.captured == 1)
    assert world.of_kind(EventKind.CAPTURED)[0].data["schedules"] == ["Every ten"]


async def test_a_start_that_is_cancelled_leaves_nothing_running(world: World) -> None:
    station = world.build()
    begun = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await asyncio.Event().wait()

    world.source.start = slow
    starting = asyncio.ensure_future(station.start())
    await begun.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not station._running
    with pytest.raises(CatalogueError):
        await station.retry_uploads()


async def test_a_slot_whose_frame_is_given_up_is_a_failed_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()

    async def refuse(*args: object, **kwargs: object) -> None:
        raise CatalogueError("catalogue_failed")

    with monkeypatch.context() as broken:
        broken.setattr(station._catalogue, "add_frame", refuse)
        await world.run(10)
        await station.set_capture_enabled(False)
        await world.run(RETRY_S * TRIES)
    await world.until(lambda: station.status.slots_total.due == 1)
    assert station.status.slots_total.failed == 1
    assert len(world.of_kind(EventKind.FAILED)) == 1


@pytest.mark.parametrize("key", ["disk_full", "catalogue_corrupt"])
async def test_the_end_of_a_session_waits_for_the_disk_in_one_entry(world: World, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    hour = Schedule("hour", "Hour", TimeOfDay(time(13), time(13, 1)), timedelta(seconds=10))  # in Amsterdam: 12:00 to 12:01 UTC
    station = await world.started((hour,))
    await world.run(30)
    end_session = station._catalogue.end_session

    async def refuse(*args: object, **kwargs: object) -> None:
        raise StorageError(key)

    monkeypatch.setattr(station._catalogue, "end_session", refuse)
    await world.run(600)
    assert station._ledger.backlog <= 1
    monkeypatch.setattr(station._catalogue, "end_session", end_session)
    await world.run(RETRY_S)
    await world.until(lambda: len(world.of_kind(EventKind.SESSION_ENDED)) == 1)


async def test_frames_that_stay_in_memory_at_the_end_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = await world.started()
    monkeypatch.setattr("custom_components.skylapse.engine.station.STOP_S", 0.1)

    def full(*args: object) -> None:
        raise StorageError("disk_full")

    monkeypatch.setattr(station._store, "write", full)
    await world.run(10)
    await world.until(lambda: Problem.STORAGE_FAILED in station.status.problems)
    await station.stop()
    assert "1 frames were not catalogued in time" in caplog.text


async def test_a_frame_the_catalogue_refused_is_adopted_without_a_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started((Schedule("minute", "Every minute", Always(), timedelta(minutes=1)),))

    async def refuse(*args: object, **kwargs: object) -> None:
        raise CatalogueError("catalogue_failed")

    with monkeypatch.context() as broken:
        broken.setattr(station._catalogue, "add_frame", refuse)
        await world.run(60 + RETRY_S * TRIES)
    assert len(world.of_kind(EventKind.FAILED)) == 1
    await world.run(ADOPT_AFTER_S)
    await world.until(lambda: station.status.frames_total == len(list(world.media.rglob("*.jpg"))))
    await world.until(lambda: station.status.queue.queued == 0)
    assert len(list(world.nas.rglob("*.jpg"))) == station.status.frames_total


async def test_a_rebuilt_catalogue_shows_the_latest_frame(world: World) -> None:
    station = await world.started()
    await world.run(21)
    await world.until(lambda: station.status.frames_total == 2)
    await station.stop()
    world.catalogue.write_bytes(b"no catalogue" * 1000)
    for side in ("-wal", "-shm"):
        world.catalogue.with_name(world.catalogue.name + side).unlink(missing_ok=True)
    station = await world.started(())
    assert await station.latest_jpeg() == max(world.media.rglob("*.jpg")).read_bytes()


async def test_of_two_who_wait_for_files_none_takes_the_news_from_the_other(world: World, tmp_path: Path) -> None:
    station = await world.started(())
    await station.set_uploads_enabled(False)
    uploads = {}
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        (uploads[name],) = await station.enqueue([tmp_path / name])
    asked, may_go_on = asyncio.Event(), asyncio.Event()
    ask = station._catalogue.uploads

    async def slow(ids: Sequence[int]) -> list[UploadRecord]:
        found = await ask(ids)
        if list(ids) == [uploads["first"].upload_id] and not asked.is_set():
            asked.set()
            await may_go_on.wait()
        return found

    station._catalogue.uploads = slow
    waiting = asyncio.ensure_future(station.wait_for([uploads["first"].upload_id], 60))
    await asked.wait()
    other = asyncio.ensure_future(station.wait_for([uploads["second"].upload_id, 9999], 0.5))
    await station.set_uploads_enabled(True)
    await world.until(lambda: len(world.of_kind(EventKind.VERIFIED)) == 2)
    may_go_on.set()
    async with asyncio.timeout(5):
        assert [upload.state for upload in await waiting] == [UploadState.VERIFIED]
    await other


async def test_a_copy_found_missing_proves_nothing_even_while_the_frame_is_out_of_reach(world: World) -> None:
    station = await world.started(retention=RetentionRule(min_free_bytes=0, max_age=timedelta(seconds=1), without_copy=False))
    await world.run(20)
    await world.until(lambda: station.status.queue.verified == 2)
    await station.set_capture_enabled(False)
    await station.set_uploads_enabled(False)
    media, away = world.media, world.media.with_name("away")
    for copy in world.nas.rglob("*.jpg"):
        copy.unlink()
    media.rename(away)
    (report,) = await station.verify()
    assert len(report.missing) == len(report.lost) == 2
    away.rename(media)
    world.clock.step(timedelta(minutes=1))
    assert (await station.cleanup(dry_run=False)).deleted == ()
    await station.set_uploads_enabled(True)
    await world.until(lambda: station.status.queue.verified == 2)
    assert len(list(world.nas.rglob("*.jpg"))) == 2
