"""Frames with DNGs on their whole way: told of, delivered, proven, deleted; and what a full disk or memory does to them."""

from dataclasses import replace
from datetime import timedelta
import gc
from pathlib import Path

import pytest

from custom_components.skylapse.engine import intake as intake_module
from custom_components.skylapse.engine.errors import CatalogueError, StorageError
from custom_components.skylapse.engine.frames import store as store_module
from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.ledger import RETRY_S
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot
from custom_components.skylapse.engine.station import Station
from custom_components.skylapse.engine.status import EventKind, Problem

from ..fakes import dng
from .conftest import World
from .test_station import passes_sha256sum


@pytest.fixture(autouse=True)
def dngs(world: World) -> None:
    world.source.dngs = True


def raws(world: World) -> list[Path]:
    return sorted(world.media.rglob("*.dng"))


async def test_a_frame_tells_of_its_dng_and_both_arrive(world: World) -> None:
    station = await world.started()
    await world.run(21)
    outcome = await station.capture()
    await world.until(lambda: station.status.queue.verified == 6)
    captured = world.of_kind(EventKind.CAPTURED)
    assert [event.data["dng_path"] for event in captured] == [str(path) for path in raws(world)]
    assert [event.data["path"] for event in captured] == [str(path) for path in sorted(world.media.rglob("*.jpg"))]
    assert all(event.data["dng_error"] is None for event in captured)
    assert outcome.dng_path == raws(world)[-1]
    assert outcome.dng_path.read_bytes() == dng(2)
    assert outcome.path == outcome.dng_path.with_suffix(".jpg")
    assert (station.status.frames_total, station.status.slots_24h.captured) == (3, 2), "DNGs are no frames"
    assert station.status.storage_used_bytes == sum(path.stat().st_size for path in world.media.rglob("*.*g"))
    assert passes_sha256sum(world.nas) == 6
    (report,) = await station.verify()
    assert (report.checked, report.proven) == (6, 6)


async def test_without_a_dng_the_event_says_none(world: World) -> None:
    world.source.dngs = False
    station = await world.started()
    outcome = await station.capture()
    assert outcome.dng_path is None
    (event,) = world.of_kind(EventKind.CAPTURED)
    assert (event.data["dng_path"], event.data["dng_error"]) == (None, None)


async def test_a_copy_of_a_dng_that_is_damaged_is_found_and_sent_again(world: World) -> None:
    station = await world.started(())
    await station.capture()
    await world.until(lambda: station.status.queue.verified == 2)
    (copy,) = world.nas.rglob("*.dng")

    async def verified_again() -> bool:
        return (await station._catalogue.counts())["nas"].verified == 2

    copy.write_bytes(b"II damaged")
    (report,) = await station.verify()
    assert (report.checked, report.proven, report.requeued) == (2, 1, 1)
    assert report.differing == [copy.relative_to(world.nas).as_posix()]
    await world.until(lambda: copy.exists() and copy.read_bytes() == dng())
    await world.until(verified_again)
    copy.unlink()
    (report,) = await station.verify()
    assert (report.missing, report.requeued) == ([copy.relative_to(world.nas).as_posix()], 1)


async def test_the_pair_goes_only_when_both_are_proven(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started(retention=RetentionRule(min_free_bytes=0, max_age=timedelta(seconds=1), without_copy=False))
    destination = station._outbox.destinations["nas"]
    deliver = destination.deliver

    async def only_jpegs(delivery: object) -> object:
        if delivery.remote_path.endswith(".dng") and not open_:
            raise StorageError("storage_failed")
        return await deliver(delivery)

    open_ = False
    monkeypatch.setattr(destination, "deliver", only_jpegs)
    await world.run(21)
    await world.until(lambda: station.status.queue.verified == 2)
    assert (await station.cleanup(dry_run=False)).deleted == ()
    open_ = True
    await station.retry_uploads()
    await world.until(lambda: station.status.queue.verified == 4)
    report = await station.cleanup(dry_run=False)
    assert (len(report.deleted), len(report.dngs)) == (1, 1)
    assert len(raws(world)) == 1


def full_for_dngs(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(partial: Path, partial_dng: Path, raw: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "_publish_pair", full)


async def test_a_dng_that_does_not_fit_costs_only_itself_and_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = await world.started()
    with monkeypatch.context() as patch:
        full_for_dngs(patch)
        await world.run(31)
        await world.until(lambda: len(world.of_kind(EventKind.CAPTURED)) == 3)
        outcome = await station.capture()
    assert outcome.dng_path is None
    assert {(event.data["dng_path"], event.data["dng_error"]) for event in world.of_kind(EventKind.CAPTURED)} == {(None, "disk_full")}
    assert raws(world) == []
    assert len(list(world.media.rglob("*.jpg"))) == 4
    await world.until(lambda: (station.status.frames_total, station.status.slots_24h.captured) == (4, 3))
    assert caplog.text.count("was lost; the frame itself was kept") == 1, "once, however many"
    assert (await station.capture()).dng_path is not None
    assert caplog.text.count("DNGs are kept again") == 1
    await world.until(lambda: station.status.queue.verified == 6)


async def test_what_is_no_dng_is_told_as_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started(())
    capture = world.source.capture

    async def lying(request: CaptureRequest) -> Shot:
        return replace(await capture(request), dng=b"nothing")

    monkeypatch.setattr(world.source, "capture", lying)
    assert (await station.capture()).dng_path is None
    (event,) = world.of_kind(EventKind.CAPTURED)
    assert event.data["dng_error"] == "dng_damaged"


async def test_raw_data_that_the_camera_owes_is_told_as_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = await world.started(())
    capture = world.source.capture

    async def owing(request: CaptureRequest) -> Shot:
        return replace(await capture(request), dng=None, dng_error="MemoryError: no room")

    with monkeypatch.context() as patch:
        patch.setattr(world.source, "capture", owing)
        for _ in range(2):
            assert (await station.capture()).dng_path is None
    assert {event.data["dng_error"] for event in world.of_kind(EventKind.CAPTURED)} == {"dng_lost"}
    assert caplog.text.count("MemoryError: no room") == 1
    assert (await station.capture()).dng_path is not None


async def test_a_pair_outlasts_a_full_disk_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started(())
    write, full = station._store.write_pair, True

    def failing(jpeg: bytes, raw: bytes, details: object) -> object:
        if full:
            raise StorageError("disk_full")
        return write(jpeg, raw, details)

    monkeypatch.setattr(station._store, "write_pair", failing)
    with pytest.raises(StorageError):
        await capture_for(world, station, 6)
    assert Problem.STORAGE_FAILED in station.status.problems
    full = False
    await world.run(RETRY_S)
    await world.until(lambda: len(raws(world)) == 1)
    await world.until(lambda: len(world.of_kind(EventKind.CAPTURED)) == 1)
    assert station._intake.unwritten_bytes == 0


async def capture_for(world: World, station: Station, seconds: float) -> object:
    """Ask for a frame, with a deadline that passes in real time."""
    object.__setattr__(station.config, "deadline_s", 0.2)
    outcome = await station.capture()
    await world.run(seconds)
    return outcome


async def test_bytes_in_memory_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of frames as big as the latest one, no more is held than fits; one always does."""
    monkeypatch.setattr(intake_module, "UNWRITTEN_BYTES", 20_000)
    station = await world.started()
    full = True
    write = station._store.write_pair

    def failing(jpeg: bytes, raw: bytes, details: object) -> object:
        if full:
            raise StorageError("disk_full")
        return write(jpeg, raw, details)

    monkeypatch.setattr(station._store, "write_pair", failing)
    held = []
    for _ in range(8):
        await world.run(10)
        held.append(station._intake.unwritten_bytes)
    assert max(held) == held[-1] < 20_000
    assert station._intake.unwritten == 3, "of 5 to 6 KB each"
    assert station._intake.full
    assert "storage_slow" in {event.data["reason"] for event in world.of_kind(EventKind.MISSED)}
    with pytest.raises(StorageError) as caught:
        await station.capture()
    assert caught.value.key == "storage_slow"
    await station.set_capture_enabled(False)
    full = False
    await world.run(RETRY_S)
    await world.until(lambda: len(world.of_kind(EventKind.CAPTURED)) == 3)
    assert (station._intake.unwritten, station._intake.unwritten_bytes) == (0, 0)
    assert not station._intake.full


async def test_a_frame_beyond_all_bounds_is_taken_when_there_is_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "UNWRITTEN_BYTES", 10)
    station = await world.started(())
    for _ in range(2):
        assert (await station.capture()).dng_path is not None


async def test_bytes_that_are_on_the_disk_are_let_go_while_the_catalogue_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()

    async def refuse(*_: object, **__: object) -> None:
        raise StorageError("disk_full")

    with monkeypatch.context() as patch:
        patch.setattr(station._catalogue, "add_frame", refuse)
        await world.run(11)
        await world.until(lambda: len(raws(world)) == 1)
        await world.until(lambda: station._intake.unwritten_bytes == 0)
        assert station._intake.unwritten == 1
        gc.collect()
        assert not [held for held in gc.get_objects() if isinstance(held, Shot)]
        await station.set_capture_enabled(False)
    await world.run(RETRY_S)
    await world.until(lambda: len(world.of_kind(EventKind.CAPTURED)) == 1)
    assert world.of_kind(EventKind.CAPTURED)[0].data["dng_path"] == str(raws(world)[0])


async def test_a_pair_that_is_given_up_is_adopted_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()

    def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(station._store, "write_pair", broken)
        await world.run(9 + RETRY_S * 3)
        await world.until(lambda: len(world.of_kind(EventKind.FAILED)) >= 1)
        await station.set_capture_enabled(False)
        await world.run(RETRY_S * 9)
        await world.until(lambda: station._intake.unwritten == 0)
    assert station._intake.unwritten_bytes == 0

    async def refuse(*_: object, **__: object) -> None:
        raise CatalogueError("catalogue_corrupt")

    with monkeypatch.context() as patch:
        patch.setattr(station._catalogue, "add_frame", refuse)
        with pytest.raises(CatalogueError):
            await station.capture()
    assert (station._intake.unwritten, station._intake.unwritten_bytes) == (0, 0)
    await world.run(1)
    await station.stop()
    station = await world.started(())
    assert station.status.frames_total == 1
    await world.until(lambda: station.status.queue.verified == 2)


async def test_the_log_tells_what_became_of_dngs(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    station = await world.started()
    await world.run(21)
    await station.stop()
    first, second = raws(world)
    world.catalogue.unlink()
    stray = second.with_name("garden_20261123T000000.000Z.dng")
    stray.write_bytes(dng())
    station = await world.started(())
    assert "2 DNGs that were not catalogued were adopted, 0 came back" in caplog.text
    assert stray.name in caplog.text
    assert station.status.problems == frozenset()
    await station.stop()
    first.unlink()
    station = await world.started((), required=frozenset({"elsewhere"}))
    assert Problem.FRAMES_MISSING in station.status.problems
    assert await station.forget_missing() == 1
    assert station.status.problems == frozenset()
