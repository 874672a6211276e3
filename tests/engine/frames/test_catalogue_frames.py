"""Frames and sessions in the catalogue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
import sqlite3

import pytest

from custom_components.skylapse.engine.errors import CatalogueError
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.catalogue_upkeep import Expected, Whereabouts
from custom_components.skylapse.engine.frames.records import FrameDetails, SlotCounts, StoredFile
from custom_components.skylapse.engine.schedule.model import Window
from tests.engine.fakes import FakeClock

from .conftest import NOW, Frames, details_at
from .test_exif import FULL

HOUR = timedelta(hours=1)


def window(start: datetime = NOW, length: timedelta = HOUR, schedule_id: str = "s1") -> Window:
    return Window(start, start + length, schedule_id)


def file_at(number: int, content: int | None = None) -> StoredFile:
    return StoredFile(f"2026/11/23/sky_{number:06}.jpg", 1000 + number, f"{number if content is None else content:064x}")


async def test_a_frame_comes_back_as_it_went_in(catalogue: Catalogue) -> None:
    record = await catalogue.add_frame(file_at(1), FULL, remote_prefix="sky")
    assert await catalogue.last_frame() == record
    assert await catalogue.frame_by_path(file_at(1).relative_path) == record
    assert (record.file, record.details) == (file_at(1), FULL)
    assert await catalogue.frame_by_path("elsewhere") is None


async def test_a_frame_little_is_known_of(catalogue: Catalogue) -> None:
    details = FrameDetails(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 0, "")
    record = await catalogue.add_frame(file_at(1), details, remote_prefix="sky")
    assert await catalogue.recent_frames(5) == [record]
    assert record.details == details


async def test_all_of_a_frame_is_one_transaction(catalogue: Catalogue, clock: FakeClock) -> None:
    session = await catalogue.open_session("s1", "Dawn", window())
    other = await catalogue.open_session("s2", "Day", window(schedule_id="s2"))
    ids = [session.session_id, other.session_id]
    record = await catalogue.add_frame(file_at(1), details_at(NOW), session_ids=ids, destinations=["nas", "attic"], remote_prefix="sky")
    assert (await catalogue.get_session(ids[0])).slots == SlotCounts(due=1, captured=1)
    assert (await catalogue.totals()) == (SlotCounts(due=2, captured=2), 1)
    assert (await catalogue.slots_since(NOW - HOUR)) == SlotCounts(due=2, captured=2)
    assert await catalogue.storage_used() == 1001
    (upload,) = await catalogue.claim("attic", 5, NOW)
    assert (upload.frame_id, upload.remote_path) == (record.frame_id, "sky/" + record.file.relative_path)
    assert upload.local_path == str(catalogue.folder / record.file.relative_path)
    assert (upload.size_bytes, upload.sha256, upload.created_at) == (1001, record.file.sha256, NOW)


async def test_nothing_of_a_frame_stays_if_a_part_fails(catalogue: Catalogue, clock: FakeClock) -> None:
    session = await catalogue.open_session("s1", "Dawn", window())
    await catalogue._write(lambda c: c.execute("CREATE TEMP TRIGGER no BEFORE INSERT ON uploads BEGIN SELECT RAISE(ABORT, 'no'); END"))
    with pytest.raises(CatalogueError):
        await catalogue.add_frame(file_at(1), details_at(NOW), session_ids=[session.session_id], destinations=["nas"], remote_prefix="sky")
    assert await catalogue.last_frame() is None
    assert await catalogue.totals() == (SlotCounts(), 0)
    assert await catalogue.slots_since(NOW - HOUR) == SlotCounts()
    assert (await catalogue.get_session(session.session_id)).slots == SlotCounts()
    assert await catalogue.storage_used() == 0
    assert await catalogue.counts() == {}


async def test_adding_again_counts_once(catalogue: Catalogue) -> None:
    session = await catalogue.open_session("s1", "Dawn", window())
    once = await catalogue.add_frame(file_at(1), details_at(NOW), remote_prefix="sky")  # as reconcile adopts it
    for _ in range(2):
        again = await catalogue.add_frame(
            file_at(1), details_at(NOW), session_ids=[session.session_id], destinations=["nas"], remote_prefix="sky"
        )
        assert again == once
    assert await catalogue.totals() == (SlotCounts(due=1, captured=1), 1)
    assert (await catalogue.counts())["nas"].pending == 1
    assert await catalogue.storage_used() == 1001


async def test_a_path_of_another_content_is_refused(catalogue: Catalogue) -> None:
    await catalogue.add_frame(file_at(1), details_at(NOW), remote_prefix="sky")
    with pytest.raises(CatalogueError) as caught:
        await catalogue.add_frame(file_at(1, content=2), details_at(NOW), remote_prefix="sky")
    assert caught.value.key == "frame_exists"


async def test_recent_frames_newest_first_and_by_session(catalogue: Catalogue) -> None:
    session = await catalogue.open_session("s1", "Dawn", window())
    records = [
        await catalogue.add_frame(
            file_at(number),
            details_at(NOW + timedelta(seconds=number)),
            session_ids=[session.session_id] if number % 2 else [],
            remote_prefix="sky",
        )
        for number in range(6)
    ]
    assert await catalogue.recent_frames(3) == [records[5], records[4], records[3]]
    assert await catalogue.recent_frames(9, session.session_id) == [records[5], records[3], records[1]]
    assert await catalogue.frames_page(0, 4) == records[:4]
    assert await catalogue.frames_page(records[3].frame_id, 4) == records[4:]
    await catalogue.remove_frames([records[5].frame_id])
    assert await catalogue.last_frame() == records[4]
    assert await catalogue.recent_frames(1, session.session_id) == [records[3]]


async def test_last_frame_is_the_one_added_last_whatever_the_clock_said(catalogue: Catalogue) -> None:
    await catalogue.add_frame(file_at(1), details_at(NOW + timedelta(days=36500)), remote_prefix="sky")
    second = await catalogue.add_frame(file_at(2), details_at(NOW), remote_prefix="sky")
    assert await catalogue.last_frame() == second


# -- sessions ------------------------------------------------------------------------------------------------------------


async def test_a_session_is_continued_by_an_overlapping_window(catalogue: Catalogue, clock: FakeClock) -> None:
    first = await catalogue.open_session("s1", "Dawn", window())
    assert (first.schedule_id, first.schedule_name, first.started_at, first.ended_at) == ("s1", "Dawn", NOW, None)
    clock.step(timedelta(minutes=1))
    again = await catalogue.open_session("s1", "Daybreak", window(NOW + timedelta(minutes=5)))
    assert again == replace(
        first, schedule_name="Daybreak", window_start=NOW + timedelta(minutes=5), window_end=NOW + timedelta(minutes=65)
    )
    assert await catalogue.open_sessions() == [again]


async def test_other_schedules_windows_and_ended_sessions_are_not_continued(catalogue: Catalogue) -> None:
    first = await catalogue.open_session("s1", "Dawn", window())
    other = await catalogue.open_session("s2", "Day", window())
    later = await catalogue.open_session("s1", "Dawn", window(NOW + HOUR))  # begins as the first one ends
    assert len({first.session_id, other.session_id, later.session_id}) == 3
    ended = await catalogue.end_session(first.session_id, NOW + HOUR)
    assert ended.ended_at == NOW + HOUR
    assert await catalogue.end_session(first.session_id, NOW + 2 * HOUR) == ended
    assert await catalogue.open_sessions() == [other, later]
    assert (await catalogue.open_session("s1", "Dawn", window())).session_id not in {first.session_id, later.session_id}


async def test_a_session_knows_its_first_and_last_frame(catalogue: Catalogue) -> None:
    session = await catalogue.open_session("s1", "Dawn", window())
    for number in (2, 1, 3):
        at = NOW + timedelta(minutes=number)
        await catalogue.add_frame(file_at(number), details_at(at), session_ids=[session.session_id], remote_prefix="sky")
    session = await catalogue.get_session(session.session_id)
    assert (session.first_frame_at, session.last_frame_at) == (NOW + timedelta(minutes=1), NOW + timedelta(minutes=3))


async def test_a_session_that_never_was(catalogue: Catalogue) -> None:
    with pytest.raises(KeyError):
        await catalogue.get_session(7)
    with pytest.raises(KeyError):
        await catalogue.end_session(7, NOW)


async def test_slots_that_gave_no_frame(catalogue: Catalogue) -> None:
    one = (await catalogue.open_session("s1", "Dawn", window())).session_id
    two = (await catalogue.open_session("s2", "Day", window())).session_id
    await catalogue.add_slots(NOW, failed_sessions=[one, two], missed_sessions=[one, one, one], failed=5, missed=7)
    await catalogue.add_slots(NOW)
    assert (await catalogue.get_session(one)).slots == SlotCounts(due=4, failed=1, missed=3)
    assert (await catalogue.get_session(two)).slots == SlotCounts(due=1, failed=1)
    expected = SlotCounts(due=17, failed=7, missed=10)
    assert await catalogue.totals() == (expected, 0)
    assert await catalogue.slots_since(NOW - HOUR) == expected


async def test_slots_of_the_last_day_only(catalogue: Catalogue, clock: FakeClock) -> None:
    await catalogue.add_slots(NOW, failed=1)
    clock.step(timedelta(hours=23))
    await catalogue.add_slots(clock.now(), missed=1)
    assert await catalogue.slots_since(clock.now() - timedelta(days=1)) == SlotCounts(due=2, failed=1, missed=1)
    clock.step(timedelta(hours=1, minutes=6))
    assert await catalogue.slots_since(clock.now() - timedelta(days=1)) == SlotCounts(due=1, missed=1)


async def test_slots_of_a_future_that_was_a_clock_error_do_not_count(catalogue: Catalogue, clock: FakeClock) -> None:
    await catalogue.add_slots(NOW, failed=1)
    await catalogue.add_slots(NOW + timedelta(days=36500), missed=1)
    assert await catalogue.slots_since(NOW - HOUR) == SlotCounts(due=1, failed=1)


async def test_old_buckets_go(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.skylapse.engine.frames.catalogue_sessions._KEPT_BUCKETS", 3)
    for number in range(10):
        await catalogue.add_slots(NOW - number * HOUR, failed=1)
    assert await catalogue._read(lambda c: c.execute("SELECT count(*) FROM tally").fetchone()[0]) == 3
    assert (await catalogue.totals())[0].failed == 10


# -- upkeep --------------------------------------------------------------------------------------------------------------


async def test_only_what_every_required_destination_proved_may_go(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = await frames.take_many(5, destinations=("nas", "attic"))
    await frames.prove([taken[0], taken[2], taken[3]], "nas")
    await frames.prove([taken[2], taken[1]], "attic")
    assert await catalogue.deletable(["nas"], older_than=None, limit=9) == [taken[0], taken[2], taken[3]]
    assert await catalogue.deletable(["nas", "attic", "nas"], older_than=None, limit=9) == [taken[2]]
    assert await catalogue.deletable(["nas", "elsewhere"], older_than=None, limit=9) == []
    assert await catalogue.deletable([], older_than=None, limit=9) == []
    assert await catalogue.deletable([], older_than=None, limit=3, allow_unproven=True) == taken[:3]
    assert await catalogue.deletable(["nas"], older_than=taken[2].details.taken_at, limit=9) == [taken[0]]
    assert await catalogue.deletable(["nas"], older_than=None, limit=9, after=taken[0]) == [taken[2], taken[3]]


async def test_a_withdrawn_proof_is_none(frames: Frames) -> None:
    (frame,) = await frames.take_many(1)
    await frames.prove([frame])
    (upload,) = await frames.catalogue.verified_page("nas", 0, 5)
    await frames.catalogue.mark_deleting([frame.frame_id])
    await frames.catalogue.requeue([upload.upload_id])
    assert await frames.catalogue.deletable(["nas"], older_than=None, limit=9) == []
    assert await frames.catalogue.settle_vanished([frame.frame_id], ["nas"]) == ([], [frame.frame_id])


async def test_a_lost_copy_of_a_deleted_frame_is_not_called_verified(frames: Frames) -> None:
    kept, deleted = await frames.take_many(2)
    await frames.prove([kept, deleted])
    await frames.catalogue.remove_frames([deleted.frame_id])
    first, second = await frames.catalogue.verified_page("nas", 0, 5)
    for upload in (first, second):
        await frames.catalogue.withdraw(upload.upload_id)
    counts = (await frames.catalogue.counts())["nas"]
    assert (counts.verified, counts.pending) == (0, 1)
    assert [upload.frame_id for upload in await frames.catalogue.uploads([first.upload_id, second.upload_id])] == [kept.frame_id]


async def test_a_proof_of_other_bytes_does_not_let_a_frame_go(frames: Frames) -> None:
    (frame,) = await frames.take_many(1)
    await frames.prove([frame])
    await frames.catalogue._write(lambda c: c.execute("UPDATE uploads SET sha256 = zeroblob(32)"))
    assert await frames.catalogue.deletable(["nas"], older_than=None, limit=9) == []


async def test_oldest_goes_first_over_many_pages(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.skylapse.engine.frames.catalogue_upkeep._PAGE", 2)
    taken = [await frames.take(NOW - timedelta(seconds=number)) for number in range(7)]
    await frames.prove([taken[1], taken[5]])
    assert await frames.catalogue.deletable(["nas"], older_than=None, limit=9) == [taken[5], taken[1]]
    assert await frames.catalogue.deletable(["nas"], older_than=None, limit=1) == [taken[5]]


async def test_deleted_frames_keep_their_proofs_and_lose_their_queue(frames: Frames) -> None:
    taken = await frames.take_many(2, destinations=("nas", "attic"))
    await frames.prove(taken, "nas")
    await frames.catalogue.remove_frames([taken[0].frame_id])
    counts = await frames.catalogue.counts()
    assert (counts["nas"].verified, counts["attic"].pending) == (2, 1)
    assert await frames.catalogue.storage_used() == taken[1].file.size_bytes
    assert await frames.catalogue.recent_frames(9) == [taken[1]]
    assert (await frames.catalogue.totals())[1] == 2


async def test_missing_frames_are_counted_until_forgotten(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = await frames.take_many(3)
    await catalogue.mark_missing([taken[0].frame_id, taken[2].frame_id])
    assert await catalogue.missing_count() == 2
    assert await catalogue.missing_frames(9) == [taken[0], taken[2]]
    assert await catalogue.storage_used() == taken[1].file.size_bytes
    assert await catalogue.forget_missing() == 2
    assert await catalogue.missing_count() == 0
    assert await catalogue.forget_missing() == 0
    assert await catalogue.storage_used() == taken[1].file.size_bytes


async def test_vanished_frames_are_judged_by_their_proofs(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = await frames.take_many(4)
    proven, doomed, lost, deleted = (frame.frame_id for frame in taken)
    await frames.prove([taken[0]])
    await catalogue.mark_deleting([doomed])
    await catalogue.remove_frames([deleted])
    assert await catalogue.settle_vanished([proven, doomed, lost, deleted], ["nas"]) == ([proven, doomed], [lost])
    assert await catalogue.missing_frames(9) == [taken[2]]


async def test_without_a_required_destination_nothing_is_proven(frames: Frames) -> None:
    taken = await frames.take_many(1)
    await frames.prove(taken)
    assert await frames.catalogue.settle_vanished([taken[0].frame_id], []) == ([], [taken[0].frame_id])


async def test_what_returns_is_queued_again(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = await frames.take_many(2)
    await catalogue.remove_frames([taken[0].frame_id])
    await catalogue.mark_missing([taken[1].frame_id])
    assert (await catalogue.counts())["nas"].pending == 1
    await catalogue.mark_present([frame.frame_id for frame in taken], destinations=["nas"], remote_prefix="sky")
    assert (await catalogue.counts())["nas"].pending == 2
    assert await catalogue.recent_frames(9) == taken[::-1]
    assert await catalogue.storage_used() == sum(frame.file.size_bytes for frame in taken)
    assert await catalogue.missing_count() == 0


async def test_what_a_days_folder_should_hold(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = await frames.take_many(4)
    await frames.take(NOW + timedelta(days=1))
    await catalogue.mark_deleting([taken[1].frame_id])
    await catalogue.remove_frames([taken[2].frame_id])
    await catalogue.mark_missing([taken[3].frame_id])
    states = (Whereabouts.LIVE, Whereabouts.DELETING, Whereabouts.DELETED, Whereabouts.MISSING)
    assert await catalogue.expected_files("2026/11/23") == {
        frame.file.relative_path[11:]: Expected(frame.frame_id, frame.file.size_bytes, state)
        for frame, state in zip(taken, states, strict=True)
    }
    assert await catalogue.expected_files("2026/11/22") == {}


async def test_live_days(frames: Frames) -> None:
    catalogue = frames.catalogue
    assert await catalogue.live_days() == []
    taken = [await frames.take(NOW + timedelta(days=number)) for number in (0, 1, 40)]
    await frames.take(NOW + timedelta(days=1, seconds=1))
    assert await catalogue.live_days() == ["2026/11/23", "2026/11/24", "2027/01/02"]
    await catalogue.remove_frames([taken[0].frame_id])
    assert await catalogue.live_days() == ["2026/11/24", "2027/01/02"]


async def test_the_searches_that_run_all_the_time_use_their_indices(catalogue: Catalogue) -> None:
    def plans(connection: sqlite3.Connection) -> list[str]:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        return statements

    statements = await catalogue._read(plans)
    await catalogue.claim("nas", 5, NOW)
    await catalogue.next_try_at("nas")
    await catalogue.counts()
    await catalogue.quarantined(5)
    await catalogue.verified_page("nas", 0, 5)
    await catalogue.deletable(["nas"], older_than=NOW, limit=5)
    await catalogue.expected_files("2026/11/23")
    await catalogue.retry(None)

    def explain(connection: sqlite3.Connection) -> list[str]:
        connection.set_trace_callback(None)
        wanted = [sql for sql in statements if sql.startswith(("SELECT", "UPDATE"))]
        return [row[3] for sql in wanted for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]

    steps = await catalogue._read(explain)
    scans = [
        step for step in steps if step.startswith("SCAN") and "destinations" not in step and step not in {"SCAN d", "SCAN CONSTANT ROW"}
    ]
    assert not scans
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
    for index in ("uploads_unproven", "uploads_age", "uploads_proven", "uploads_of_frame", "frames_live"):
        assert any(f"INDEX {index}" in step for step in steps), index
