"""Housekeeping: the disk is looked at in rounds, a failing one is tried again, and time away is believed only if it makes sense."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.skylapse.engine.errors import CatalogueError, StorageError
from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.keeper import AGED, ALIVE, ROUND_S
from custom_components.skylapse.engine.station import Station
from custom_components.skylapse.engine.status import Problem

from .conftest import NOON, TEN, World


async def test_free_space_is_followed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started(())
    await world.until(lambda: station.status.storage_free_bytes is not None)
    monkeypatch.setattr(station._store, "free_bytes", lambda: 123_456)
    await world.run(ROUND_S)
    await world.until(lambda: station.status.storage_free_bytes == 123_456)
    await world.run(ROUND_S)
    assert station.status.storage_free_bytes == 123_456


async def test_a_disk_that_cannot_be_looked_at_is_looked_at_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started(())
    await world.until(lambda: station.status.storage_free_bytes is not None)

    def gone() -> int:
        raise StorageError("storage_failed", path="x", reason="gone")

    monkeypatch.setattr(station._store, "free_bytes", gone)
    await world.run(ROUND_S)
    monkeypatch.setattr(station._store, "free_bytes", lambda: 99)
    await world.run(ROUND_S)
    await world.until(lambda: station.status.storage_free_bytes == 99)


async def test_capture_goes_on_when_there_is_space_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started((TEN,), retention=RetentionRule(min_free_bytes=2**62, max_age=None, without_copy=False))
    await world.until(lambda: Problem.STORAGE_FULL in station.status.problems)
    monkeypatch.setattr(station._store, "free_bytes", lambda: 2**62)
    await world.run(ROUND_S + 11)
    await world.until(lambda: station.status.problems == frozenset())
    await world.until(lambda: station.status.frames_total >= 1)


@pytest.mark.parametrize("text", ["nonsense", "1970-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00", ""])
async def test_a_senseless_mark_counts_nothing(world: World, text: str) -> None:
    station = world.build()
    await station._catalogue.open()
    await station._catalogue.set_setting(ALIVE, text)
    assert await station._keeper.away_since() is None
    await station._catalogue.close()


async def test_a_clock_that_is_not_set_leaves_no_mark(world: World) -> None:
    world.clock.step(datetime(1970, 1, 1, tzinfo=UTC) - world.clock.now())
    station = await world.started()
    await world.run(ROUND_S)
    assert await station._catalogue.get_setting(ALIVE) is None


async def test_being_away_for_longer_than_a_day_is_not_counted(world: World) -> None:
    station = await world.started()
    await world.run(1)
    await station.stop()
    world.clock.step(timedelta(days=2))
    station = await world.started()
    assert station.status.slots_24h.missed == 0


async def test_a_stop_that_cannot_be_noted_still_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()

    async def refuse(*args: object) -> None:
        raise CatalogueError("catalogue_failed", path="x", reason="y")

    monkeypatch.setattr(station._catalogue, "set_setting", refuse)
    await world.run(ROUND_S)
    await station.stop()
    assert not station.status.running


async def test_a_start_that_fails_half_way_leaves_nothing_running(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = world.build()

    async def refuse() -> None:
        raise CatalogueError("catalogue_failed", path="x", reason="y")

    monkeypatch.setattr(station._catalogue, "last_frame", refuse)
    with pytest.raises(CatalogueError):
        await station.start()
    monkeypatch.undo()
    await station.start()
    assert station.status.running
    assert world.clock.now() == NOON


async def test_comparing_that_fails_is_told_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = world.build()

    async def refuse(*args: object) -> None:
        raise CatalogueError("catalogue_failed", path="x", reason="y")

    monkeypatch.setattr(station._catalogue, "backfill", refuse)
    await station.start()
    await station.reconciled()
    assert "could not be compared" in caplog.text


async def test_damaged_and_vanished_files_are_named_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    station = await world.started(destinations=())
    await world.run(25)
    await station.stop()
    first, second = sorted(world.media.rglob("*.jpg"))
    first.unlink()
    second.write_bytes(b"short")
    station = await world.started((), destinations=())
    assert "1 frames or DNGs are gone without a proven copy" in caplog.text
    assert second.name in caplog.text
    assert Problem.FRAMES_MISSING in station.status.problems
    assert await station.forget_missing() == 1
    assert station.status.problems == frozenset()


async def test_stop_without_rounds_leaves_the_mark(world: World) -> None:
    station = world.build()
    await station._catalogue.open()
    await station._keeper.stop(NOON)
    assert await station._catalogue.get_setting(ALIVE) == NOON.isoformat()
    await station._catalogue.close()


async def test_an_error_of_our_own_does_not_end_housekeeping(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = await world.started(())
    with monkeypatch.context() as broken:
        broken.setattr(station._store, "free_bytes", lambda: 1 / 0)
        await world.run(ROUND_S)
        await world.until(lambda: "Housekeeping failed unexpectedly" in caplog.text)
    monkeypatch.setattr(station._store, "free_bytes", lambda: 99)
    await world.run(ROUND_S)
    await world.until(lambda: station.status.storage_free_bytes == 99)


KEEP_A_MONTH = RetentionRule(min_free_bytes=0, max_age=timedelta(days=30), without_copy=True)
AGES = timedelta(days=3650)


async def aged_world(world: World) -> Station:
    """Return a station with frames that nothing but their age can delete."""
    station = await world.started((TEN,), destinations=(), retention=KEEP_A_MONTH)
    await world.run(30)
    await world.until(lambda: station.status.frames_total == 3)
    await station.set_capture_enabled(False)
    return station


async def frames_there(world: World, seconds: float) -> int:
    await world.run(seconds)
    return len(list(world.media.rglob("*.jpg")))


async def test_a_clock_that_leaps_ahead_makes_no_frame_old_before_it_has_proven_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("custom_components.skylapse.engine.keeper.DOUBT_S", 4 * ROUND_S)
    station = await aged_world(world)
    world.clock.step(AGES)
    assert await frames_there(world, 3 * ROUND_S) == 3
    assert (await station.cleanup(dry_run=False)).deleted == ()
    assert caplog.text.count("no frame is too old") == 1
    world.clock.step(-AGES)  # a time server has set it right
    assert await frames_there(world, 9 * ROUND_S) == 3
    world.clock.step(AGES)
    assert await frames_there(world, 3 * ROUND_S) == 3, "it is doubted anew"
    await station.stop()
    station = await world.started((), destinations=(), retention=KEEP_A_MONTH)
    assert await frames_there(world, 3 * ROUND_S) == 3, "also by the next station"
    await world.run(2 * ROUND_S)
    assert len((await station.cleanup(dry_run=False)).deleted) == 2, "but for the one that is shown"


async def test_time_that_passes_makes_frames_old(world: World) -> None:
    station = await aged_world(world)
    for _ in range(8):
        world.clock.step(timedelta(days=4))
        report = await station.cleanup(dry_run=False)
    assert len(report.deleted) == 2


async def test_a_clock_that_is_not_set_judges_no_age(world: World) -> None:
    station = await aged_world(world)
    world.clock.step(datetime(1970, 1, 1, tzinfo=UTC) - world.clock.now())
    assert (await station.cleanup(dry_run=False)).deleted == ()
    assert await station._catalogue.get_setting(AGED) == NOON.isoformat()
