"""The way of a frame through the whole station: real files, catalogue and folder destination; only time and failure are made up."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
import hashlib
from pathlib import Path
import subprocess
import threading
from typing import Any

from PIL import Image
import pytest

from custom_components.skylapse.engine.errors import (
    Busy,
    CatalogueError,
    ClockNotSet,
    SkylapseError,
    SourceError,
    StorageError,
)
from custom_components.skylapse.engine.frames.records import UploadState
from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.intake import UNWRITTEN_FRAMES
from custom_components.skylapse.engine.ledger import RETRY_S
from custom_components.skylapse.engine.schedule.model import Gate, Schedule, TimeOfDay
from custom_components.skylapse.engine.status import EventKind, Problem
from custom_components.skylapse.engine.upload.paths import MARKER_NAME

from .conftest import NOON, TEN, World


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def passes_sha256sum(root: Path) -> int:
    """Let coreutils check what the destination holds; return how many files."""
    passed = 0
    for sums in root.rglob("SHA256SUMS"):
        result = subprocess.run(["sha256sum", "-c", "--strict", sums.name], cwd=sums.parent, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        passed += len(result.stdout.splitlines())
    return passed


async def test_frames_are_taken_stored_delivered_and_proven(world: World) -> None:
    station = await world.started()
    await world.run(60)
    await world.until(lambda: len(world.of_kind(EventKind.VERIFIED)) == 6)
    captured = world.of_kind(EventKind.CAPTURED)
    assert [event.data["instant"][11:19] for event in captured] == [
        "12:00:10",
        "12:00:20",
        "12:00:30",
        "12:00:40",
        "12:00:50",
        "12:01:00",
    ]
    for event in captured:
        path = Path(event.data["path"])
        assert path.parent == world.media / "2026" / "11" / "23"
        assert sha256(path) == event.data["sha256"]
        copy = world.nas / "garden" / path.relative_to(world.media)
        assert copy.read_bytes() == path.read_bytes()
        assert event.data["schedules"] == ["Every ten"]
    assert passes_sha256sum(world.nas) == 6
    await world.until(lambda: station.status.queue.verified == 6)
    status = station.status
    assert status.running
    assert status.frames_total == 6
    assert status.capture_success_percent == 100
    assert status.queue.queued == 0
    assert status.active_schedule == "Every ten"
    assert status.achieved_interval_s == 10
    assert status.next_capture_at == NOON + timedelta(seconds=70)
    assert status.storage_used_bytes == sum(Path(event.data["path"]).stat().st_size for event in captured)
    assert status.storage_free_bytes is not None
    assert status.problems == frozenset()
    assert status.destinations[0].available is True
    assert len(world.of_kind(EventKind.SESSION_STARTED)) == 1
    latest = await station.latest_jpeg()
    assert latest == Path(captured[-1].data["path"]).read_bytes()


async def test_the_picture_tells_when_and_how_but_where_only_if_asked(world: World) -> None:
    station = await world.started((), destinations=())
    outcome = await station.capture(exposure_us=5000, gain=2.0)
    with Image.open(outcome.path) as picture:
        exif = picture.getexif()
        assert exif.get_ifd(0x8825) == {}
        assert exif.get_ifd(0x8769)[0x9003] == "2026:11:23 12:00:00"
    assert outcome.record.details.exposure_us == 5000
    assert outcome.record.details.sun_elevation_deg == pytest.approx(16.92, abs=0.05)
    assert outcome.destinations == ()
    await station.stop()
    station = await world.started((), destinations=(), embed_location=True)
    outcome = await station.capture()
    with Image.open(outcome.path) as picture:
        assert picture.getexif().get_ifd(0x8825)[1] == "N"


async def test_counters_switches_and_the_session_survive_a_restart(world: World) -> None:
    second = Schedule("second", "Second", TEN.when, timedelta(seconds=30))
    station = await world.started((TEN, second))
    await world.run(31)
    await station.set_uploads_enabled(False)
    await station.set_schedule_enabled("second", False)
    await station.stop()
    assert not station.status.running
    station = await world.started((TEN, second))
    assert station.status.frames_total == 3
    assert not station.status.uploads_enabled
    assert [schedule.enabled for schedule in station.status.schedules] == [True, False]
    await world.run(10)
    await world.until(lambda: station.status.frames_total == 4)
    started = [event.data["schedule"] for event in world.of_kind(EventKind.SESSION_STARTED)]
    assert sorted(started) == ["Every ten", "Second"], "the session goes on, it is not begun anew"
    await station.set_capture_enabled(False)
    assert station.status.next_capture_at is None
    await station.stop()
    station = await world.started((TEN, second))
    assert not station.status.capture_enabled
    with pytest.raises(SkylapseError) as caught:
        await station.set_schedule_enabled("nonsense", True)
    assert caught.value.key == "unknown_schedule"


async def test_a_session_ends_with_its_window_and_tells_its_figures(world: World) -> None:
    window = TimeOfDay(time(13, 0, 5), time(13, 1))
    station = await world.started((replace(TEN, when=window),))
    world.source.script = [SourceError("simulated_failure")]
    await world.run(70)
    await world.until(lambda: len(world.of_kind(EventKind.SESSION_ENDED)) == 1)
    ended = world.of_kind(EventKind.SESSION_ENDED)[0].data
    assert (ended["frames"], ended["due"], ended["missed"], ended["failed"]) == (5, 6, 0, 1)
    await world.until(lambda: station.status.active_schedule is None)
    await world.until(lambda: station.status.slots_24h.captured == 5)
    assert station.status.capture_success_percent == pytest.approx(83.33, abs=0.01)


async def test_switching_a_schedule_off_ends_its_session(world: World) -> None:
    station = await world.started()
    await world.run(15)
    await station.set_schedule_enabled("ten", False)
    await world.run(5)
    await world.until(lambda: len(world.of_kind(EventKind.SESSION_ENDED)) == 1)
    await world.until(lambda: station.status.next_capture_at is None)


async def test_failures_back_off_from_the_last_attempt_and_one_success_clears_them(world: World) -> None:
    station = await world.started()
    world.source.script = [SourceError("simulated_failure")] * 5
    await world.run(30 + 60 + 120 + 240 + 20)
    offsets = [round((request.due_at - NOON).total_seconds()) for request in world.source.requests]
    assert offsets[:6] == [10, 20, 30, 90, 210, 450]
    await world.until(lambda: station.status.consecutive_failures == 0)
    failed = world.of_kind(EventKind.FAILED)
    assert len(failed) == 5
    assert failed[0].data["error"] == "simulated_failure"
    missed = [event for event in world.of_kind(EventKind.MISSED) if event.data["reason"] == "backoff"]
    assert sum(event.data["count"] for event in missed) == 5 + 11 + 23
    assert station.status.slots_24h.failed == 5


async def test_failing_captures_are_a_problem_until_one_succeeds(world: World) -> None:
    station = await world.started()
    world.source.script = [SourceError("simulated_failure")] * 3
    await world.run(30)
    await world.until(lambda: Problem.CAPTURE_FAILING in station.status.problems)
    assert station.status.last_error_key == "simulated_failure"
    assert station.status.backoff_until == NOON + timedelta(seconds=90)
    await world.run(61)
    await world.until(lambda: station.status.problems == frozenset())
    assert station.status.last_error_key is None


async def test_a_destination_that_goes_away_holds_up_nothing_and_is_caught_up_with(world: World) -> None:
    station = await world.started()
    marker = world.nas / MARKER_NAME
    marker.rename(world.folder / "away")
    await world.run(40)
    await world.until(lambda: Problem.DESTINATION_UNAVAILABLE in station.status.problems)
    await world.until(lambda: (station.status.frames_total, station.status.queue.queued) == (4, 4))
    assert not (world.nas / "garden").exists(), "an unmounted folder is not written into"
    (world.folder / "away").rename(marker)
    assert await station.retry_uploads() == 0, "nothing was tried in vain: the destination as a whole waits"
    await world.until(lambda: station.status.queue.verified == 4)
    assert passes_sha256sum(world.nas) == 4
    await world.until(lambda: station.status.problems == frozenset())


async def test_a_full_disk_pauses_capture_and_deletes_nothing_unproven(world: World) -> None:
    station = await world.started()
    await station.set_uploads_enabled(False)
    await world.run(20)
    await station.stop()
    frames = sorted(world.media.rglob("*.jpg"))
    assert len(frames) == 2
    station = await world.started(retention=RetentionRule(min_free_bytes=2**62, max_age=None, without_copy=False))
    await world.until(lambda: Problem.STORAGE_FULL in station.status.problems)
    await world.run(20)
    assert sorted(world.media.rglob("*.jpg")) == frames
    assert {event.data["reason"] for event in world.of_kind(EventKind.MISSED)} == {"storage_full"}
    with pytest.raises(StorageError) as caught:
        await station.capture()
    assert caught.value.key == "storage_full"
    await station.set_uploads_enabled(True)
    await world.until(lambda: station.status.queue.verified == 2)
    report = await station.cleanup(dry_run=True)
    assert len(report.deleted) == 1
    assert sorted(world.media.rglob("*.jpg")) == frames
    await station.cleanup(dry_run=False)
    assert list(world.media.rglob("*.jpg")) == frames[1:], "what is proven elsewhere may go, but for the one that is shown"
    assert await station.latest_jpeg() == frames[1].read_bytes()


async def test_a_frame_outlasts_a_full_disk_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()
    write, full = station._store.write, True

    def failing(jpeg: bytes, details: object) -> object:
        if full:
            raise StorageError("disk_full")
        return write(jpeg, details)

    monkeypatch.setattr(station._store, "write", failing)
    await world.run(10)
    await world.until(lambda: Problem.STORAGE_FAILED in station.status.problems)
    assert station.status.last_error_key == "disk_full"
    with pytest.raises(StorageError) as caught:
        await asyncio.wait_for(station.capture(), 20)
    assert caught.value.key == "disk_full"
    await world.run(10 * (UNWRITTEN_FRAMES + 1))
    assert "storage_slow" in {event.data["reason"] for event in world.of_kind(EventKind.MISSED)}
    with pytest.raises(StorageError) as caught:
        await station.capture()
    assert caught.value.key == "storage_slow"
    assert world.of_kind(EventKind.CAPTURED) == []
    full = False
    await world.run(RETRY_S)
    await world.until(lambda: len(world.of_kind(EventKind.CAPTURED)) >= UNWRITTEN_FRAMES)
    instants = [event.data["instant"] for event in world.of_kind(EventKind.CAPTURED)]
    assert instants == sorted(instants)
    assert len(list(world.media.rglob("*.jpg"))) == len(instants)
    await world.until(lambda: Problem.STORAGE_FAILED not in station.status.problems)


async def test_a_frame_the_catalogue_refuses_is_told_as_failed_and_adopted_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()

    async def refuse(*args: object, **kwargs: object) -> None:
        raise CatalogueError("catalogue_failed")

    monkeypatch.setattr(station._catalogue, "add_frame", refuse)
    capture = asyncio.ensure_future(station.capture())
    await world.run(RETRY_S * 3)
    with pytest.raises(CatalogueError):
        await capture
    assert "catalogue_failed" in {event.data["error"] for event in world.of_kind(EventKind.FAILED)}
    await station.set_capture_enabled(False)
    monkeypatch.setattr("custom_components.skylapse.engine.station.STOP_S", 0.1)
    await station.stop()
    kept = len(list(world.media.rglob("*.jpg")))
    assert kept >= 1
    station = await world.started()
    await world.until(lambda: station.status.frames_total == kept)
    await world.until(lambda: station.status.queue.verified == kept)


async def test_a_corrupt_catalogue_is_put_aside_and_rebuilt_from_the_frames(world: World) -> None:
    station = await world.started()
    await world.run(31)
    await world.until(lambda: station.status.queue.verified == 3)
    await station.stop()
    for side in ("-wal", "-shm"):
        world.catalogue.with_name(world.catalogue.name + side).unlink(missing_ok=True)
    world.catalogue.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    station = await world.started()
    assert station.rebuilt_from is not None
    assert station.rebuilt_from.read_bytes().startswith(b"not a database")
    await world.until(lambda: station.status.queue.verified == 3)
    assert station.status.frames_total == 3
    assert passes_sha256sum(world.nas) == 3
    assert (await station.diagnostics())["catalogue_rebuilt_from"] == station.rebuilt_from.name


async def test_a_catalogue_of_a_newer_version_is_left_alone(world: World) -> None:
    station = await world.started()
    await station.stop()
    import sqlite3

    connection = sqlite3.connect(world.catalogue)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = sha256(world.catalogue)
    station = world.build()
    with pytest.raises(CatalogueError) as caught:
        await station.start()
    assert caught.value.key == "catalogue_newer"
    assert sha256(world.catalogue) == before
    world.stations.remove(station)


async def test_slots_that_passed_while_it_was_away_are_missed_ones(world: World) -> None:
    gated = Schedule("gated", "Gated", TEN.when, timedelta(seconds=10), gate=Gate("sensor.lux", above=1))
    station = await world.started((TEN, gated))
    await world.run(20)
    await station.stop()
    world.clock.step(timedelta(seconds=100))
    station = await world.started((TEN, gated))
    await world.until(lambda: station.status.slots_24h.missed == 10)
    away = [event for event in world.of_kind(EventKind.MISSED) if event.data["reason"] == "not_running"]
    assert away[0].data == {"schedules": ["Every ten"], "count": 10, "reason": "not_running"}
    await station.stop(planned=True)
    world.clock.step(timedelta(seconds=100))
    station = await world.started((TEN, gated))
    await world.settled()
    await station.reconciled()
    assert station.status.slots_24h.missed == 10, "a planned stop is no time away"


async def test_a_clock_that_is_not_set_takes_no_frame_by_hand_either(world: World) -> None:
    world.clock.step(datetime(1970, 1, 1, tzinfo=UTC) - world.clock.now())
    station = await world.started()
    with pytest.raises(ClockNotSet):
        await station.capture()
    assert station.status.problems == {Problem.CLOCK_NOT_SET}
    world.clock.step(NOON - world.clock.now())
    await world.run(15)
    await world.until(lambda: station.status.frames_total == 1)
    assert station.status.problems == frozenset()


async def test_stopping_in_mid_exposure_leaves_nothing_behind(world: World, caplog: pytest.LogCaptureFixture) -> None:
    station = await world.started()
    world.source.script = [100.0]
    await world.run(12)
    await world.until(lambda: station.status.capturing)
    await station.stop()
    await station.stop()
    assert [event.data["reason"] for event in world.of_kind(EventKind.MISSED)] == ["not_running"]
    assert "Exception in callback" not in caplog.text
    assert {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("skylapse")} == set()
    await world.until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("skylapse")])
    with pytest.raises(Busy):
        await station.capture()


async def test_twenty_restarts_leak_neither_thread_nor_task(world: World) -> None:
    for _ in range(20):
        station = await world.started()
        await world.run(10)
        await station.stop()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("skylapse")]
    await world.until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("skylapse")])
    assert len(world.of_kind(EventKind.CAPTURED)) == 20


async def test_files_of_a_person_are_delivered_and_waited_for(world: World) -> None:
    station = await world.started(())
    extra = world.folder / "extra"
    (extra / "sub").mkdir(parents=True)
    (extra / "one.txt").write_bytes(b"one")
    (extra / "sub" / "two.txt").write_bytes(b"two")
    (extra / ".hidden").write_bytes(b"no")
    uploads = await station.enqueue([extra, extra / "one.txt"])
    assert {upload.remote_path for upload in uploads} == {"garden/files/extra/one.txt", "garden/files/extra/sub/two.txt"}
    done = await station.wait_for([upload.upload_id for upload in uploads], 10)
    assert {upload.state for upload in done} == {UploadState.VERIFIED}
    assert (world.nas / "garden" / "files" / "extra" / "sub" / "two.txt").read_bytes() == b"two"
    for paths, key in (([world.folder / "nowhere"], "path_missing"), ([Path("/dev/null")], "path_not_file")):
        with pytest.raises(SkylapseError) as caught:
            await station.enqueue(paths)
        assert caught.value.key == key
    (world.folder / "empty").mkdir()
    with pytest.raises(SkylapseError) as caught:
        await station.enqueue([world.folder / "empty"])
    assert caught.value.key == "nothing_to_upload"
    with pytest.raises(SkylapseError) as caught:
        await station.enqueue([extra], ["elsewhere"])
    assert caught.value.key == "unknown_destination"


async def test_a_frame_named_by_hand_keeps_its_place(world: World) -> None:
    station = await world.started(())
    outcome = await station.capture()
    await world.until(lambda: station.status.queue.verified == 1)
    uploads = await station.enqueue([outcome.path])
    assert [upload.remote_path for upload in uploads] == [f"garden/{outcome.record.file.relative_path}"]
    assert uploads[0].state is UploadState.VERIFIED, "it is there already, and proven"


async def test_waiting_ends_when_uploads_rest(world: World) -> None:
    station = await world.started(())
    await station.set_uploads_enabled(False)
    file = world.folder / "one.txt"
    file.write_bytes(b"one")
    uploads = await station.enqueue([file])
    waiting = await station.wait_for([uploads[0].upload_id], 0.05)
    assert waiting[0].state is UploadState.PENDING


async def test_verify_finds_what_is_missing_or_differs_and_sends_it_again(world: World) -> None:
    station = await world.started()
    await world.run(30)
    await world.until(lambda: station.status.queue.verified == 3)
    await station.set_capture_enabled(False)
    copies = sorted((world.nas / "garden").rglob("*.jpg"))
    copies[0].unlink()
    data = bytearray(copies[1].read_bytes())
    data[-10] ^= 1
    copies[1].write_bytes(data)
    [report] = await station.verify()
    assert (report.checked, report.proven, len(report.missing), len(report.differing)) == (3, 1, 1, 1)
    await world.until(lambda: len(world.of_kind(EventKind.VERIFIED)) == 5)
    [report] = await station.verify(["nas"], NOON.date(), NOON.date())
    assert (report.checked, report.proven) == (3, 3)
    assert passes_sha256sum(world.nas) == 3


async def test_without_destinations_there_is_nothing_to_upload_to(world: World) -> None:
    station = await world.started(destinations=())
    for call in (station.enqueue([world.folder]), station.verify(), station.retry_uploads()):
        with pytest.raises(SkylapseError) as caught:
            await call
        assert caught.value.key == "no_destinations"


async def test_a_destination_added_later_gets_all_frames(world: World) -> None:
    station = await world.started(destinations=())
    await world.run(30)
    await station.stop()
    station = await world.started((), destinations=("nas", "usb"))
    await world.until(lambda: station.status.queue.verified == 6)
    assert passes_sha256sum(world.nas) == passes_sha256sum(world.folder / "usb") == 3
    await station.stop()
    station = await world.started((), destinations=("nas",))
    assert station.status.queue.verified == 3, "a removed destination is forgotten"


async def test_frames_whose_files_vanished_are_told(world: World) -> None:
    station = await world.started(destinations=())
    await world.run(20)
    await station.stop()
    min(world.media.rglob("*.jpg")).unlink()
    station = await world.started(destinations=())
    assert Problem.FRAMES_MISSING in station.status.problems


async def test_gates_and_places_are_followed(world: World) -> None:
    gate = Gate("sensor.lux", above=100, open_when_unavailable=False)
    station = await world.started((replace(TEN, gate=gate),))
    await world.run(10)
    assert world.source.requests == []
    await world.until(lambda: not station.status.schedules[0].gate_open)
    world.states["sensor.lux"] = "500"
    station.gates_changed()
    station.replan("sun.sun changed")
    await world.run(10)
    assert len(world.source.requests) == 1


async def test_an_exclusive_schedule_makes_others_wait(world: World) -> None:
    top = Schedule("top", "Top", TEN.when, timedelta(seconds=30), exclusive=True, rank=1)
    station = await world.started((TEN, top))
    await world.run(61)
    assert len(world.source.requests) == 2
    await world.until(lambda: station.status.active_schedule == "Top")
    below = station.status.schedules[0]
    assert (below.active, below.waiting_for) == (False, "Top")


async def test_capture_by_hand_waits_for_the_running_exposure(world: World) -> None:
    station = await world.started()
    world.source.script = [3.0]
    await world.run(11)
    capture = asyncio.ensure_future(station.capture())
    await world.run(3)
    outcome = await capture
    assert outcome.record.details.schedules == ()
    world.source.script = [SourceError("simulated_failure")]
    with pytest.raises(SourceError):
        await station.capture()


@pytest.mark.parametrize(("wish", "key"), [({"exposure_us": 9}, "exposure_out_of_range"), ({"gain": 17.0}, "gain_out_of_range")])
async def test_a_wrong_wish_is_refused_and_costs_the_schedules_nothing(world: World, wish: dict[str, Any], key: str) -> None:
    station = await world.started()
    for _ in range(3):
        with pytest.raises(SourceError) as refusal:
            await station.capture(**wish)
        assert refusal.value.key == key
    await world.run(30)
    await world.until(lambda: station.status.frames_total == 3)
    assert (station.status.slots_24h.missed, station.status.problems, station.status.last_error_key) == (0, frozenset(), None)
    assert world.of_kind(EventKind.FAILED) == []


async def test_a_status_that_cannot_be_read_is_the_last_one_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()
    seen = []
    unsubscribe = station.subscribe(seen.append)
    before = station.status

    async def refuse() -> None:
        raise CatalogueError("catalogue_failed")

    monkeypatch.setattr(station._catalogue, "counts", refuse)
    await station._bulletin.publish()
    problems, error = frozenset({Problem.STORAGE_FAILED}), "catalogue_failed"
    assert station.status == replace(before, problems=problems, last_error_key=error)
    monkeypatch.undo()
    await station._bulletin.publish()
    assert [status.problems for status in seen] == [problems, frozenset()]
    unsubscribe()


async def test_before_it_is_started_there_is_nothing_to_show(world: World) -> None:
    station = world.build()
    assert await station.reconciled() is None
    assert await station.latest_jpeg() is None
    assert not station.status.running


async def test_a_frame_taken_by_hand_while_it_stops_is_not_announced(world: World) -> None:
    station = await world.started(())
    world.source.script = [3.0]
    capture = asyncio.ensure_future(station.capture())
    await world.settled()
    await station.stop()
    world.clock.pass_time(world.clock.monotonic() + 3)
    with pytest.raises(Busy):
        await capture
    assert world.of_kind(EventKind.CAPTURED) == []
    assert world.of_kind(EventKind.MISSED) == [], "no schedule had a slot in it"
