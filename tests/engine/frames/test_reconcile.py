"""Catalogue and folder brought together."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
import json
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import StorageError
from custom_components.skylapse.engine.frames import reconcile as reconcile_module
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.folder import DayListing
from custom_components.skylapse.engine.frames.reconcile import ReconcileReport, reconcile
from custom_components.skylapse.engine.frames.records import FrameDetails
from custom_components.skylapse.engine.frames.store import FrameStore
from tests.engine.fakes import FakeClock

from .conftest import NOW, Frames, details_at, picture
from .test_exif import FULL


async def run(frames: Frames, required: tuple[str, ...] = ("nas",), before: datetime | None = None) -> ReconcileReport:
    return await reconcile(frames.store, frames.catalogue, ["nas"], "sky", required=required, before=before)


async def test_what_is_in_order_is_left_alone_and_not_read(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    await frames.take_many(5)
    monkeypatch.setattr(FrameStore, "read", None)
    assert await run(frames) == ReconcileReport()
    assert (await frames.catalogue.counts())["nas"].pending == 5


async def test_nothing_at_all(frames: Frames) -> None:
    assert await run(frames) == ReconcileReport()


async def test_a_frame_whose_entry_was_cut_off_is_adopted(frames: Frames) -> None:
    stored = frames.store.write(picture(), FULL)
    report = await run(frames)
    assert report == ReconcileReport(adopted=1)
    record = await frames.catalogue.last_frame()
    assert record is not None
    assert record.file == stored
    assert record.details == FULL
    (upload,) = await frames.catalogue.claim("nas", 5, NOW)
    assert (upload.frame_id, upload.sha256) == (record.frame_id, stored.sha256)
    assert await run(frames) == ReconcileReport()
    assert (await frames.catalogue.totals())[1] == 1


async def test_a_frame_without_our_exif_is_adopted_by_its_name(frames: Frames) -> None:
    path = frames.store.folder / "2026/11/23/sky_20261123T054501.123Z.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(picture())
    assert (await run(frames)).adopted == 1
    record = await frames.catalogue.last_frame()
    assert record is not None
    assert record.details == FrameDetails(datetime.fromisoformat("2026-11-23T05:45:01.123Z"), 0, "sky")


async def test_half_written_files_go_and_others_stay(frames: Frames) -> None:
    (frame,) = await frames.take_many(1)
    day = frames.path(frame).parent
    (day / "sky_20261123T130000.000Z.jpg.part").write_bytes(b"\xff\xd8 half")
    (day / "theirs.part").write_bytes(b"")
    empty = frames.store.folder / "2026/11/24"
    empty.mkdir()
    (empty / "sky_20261124T130000.000Z.jpg.part").write_bytes(b"")
    assert await run(frames) == ReconcileReport(removed_partials=2)
    assert sorted(path.name for path in day.iterdir()) == [frames.path(frame).name, "theirs.part"]
    assert not empty.exists()


async def test_vanished_files_are_missing_unless_proven(frames: Frames) -> None:
    taken = await frames.take_many(3)
    await frames.prove([taken[1]])
    frames.path(taken[0]).unlink()
    frames.path(taken[1]).unlink()
    report = await run(frames)
    lost = taken[0].file.relative_path
    assert report == ReconcileReport(removed=1, missing=(lost,), missing_count=1)
    assert await run(frames) == ReconcileReport(missing=(lost,), missing_count=1)
    assert await frames.catalogue.recent_frames(9) == [taken[2]]


async def test_a_whole_day_that_vanished(frames: Frames) -> None:
    taken = [await frames.take(NOW + timedelta(days=day)) for day in range(3)]
    frames.path(taken[1]).unlink()
    frames.path(taken[1]).parent.rmdir()
    assert (await run(frames)).missing == (taken[1].file.relative_path,)


async def test_a_deletion_that_a_crash_interrupted_is_no_loss(frames: Frames) -> None:
    gone, there = await frames.take_many(2)
    await frames.catalogue.mark_deleting([gone.frame_id, there.frame_id])
    frames.path(gone).unlink()
    assert await run(frames, required=()) == ReconcileReport(removed=1)
    frames.path(there).unlink()  # lost later, for another reason: the note of its deletion was taken back
    assert (await run(frames, required=())).missing_count == 1


async def test_files_that_are_back_are_live_again(frames: Frames) -> None:
    missing, deleted = await frames.take_many(2)
    contents = [frames.path(frame).read_bytes() for frame in (missing, deleted)]
    await frames.prove([deleted])
    for frame in (missing, deleted):
        frames.path(frame).unlink()
    report = await run(frames)
    assert (report.removed, report.missing_count) == (1, 1)
    for frame, content in zip((missing, deleted), contents, strict=True):
        frames.path(frame).write_bytes(content)
    assert await run(frames) == ReconcileReport(returned=2)
    assert await frames.catalogue.recent_frames(9) == [deleted, missing]
    assert (await frames.catalogue.totals())[1] == 2


async def test_damaged_files_are_told_and_kept(frames: Frames) -> None:
    changed, _ = await frames.take_many(2)
    frames.path(changed).write_bytes(b"shorter")
    half = frames.path(changed).with_name("sky_20261123T130000.000Z.jpg")
    half.write_bytes(picture()[:-50])
    empty = frames.path(changed).with_name("sky_20261123T130001.000Z.jpg")
    empty.write_bytes(b"")
    report = await run(frames)
    paths = {path.relative_to(frames.store.folder).as_posix() for path in (frames.path(changed), half, empty)}
    assert set(report.damaged) == paths
    assert report == ReconcileReport(damaged=report.damaged, damaged_count=3)
    assert half.exists()
    assert frames.path(changed).read_bytes() == b"shorter"


async def test_a_report_names_some_and_counts_all(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_module, "_MOST_NAMED", 2)
    taken = await frames.take_many(6)
    for frame in taken[:3]:
        frames.path(frame).unlink()
    for frame in taken[3:]:
        frames.path(frame).write_bytes(b"")
    report = await run(frames)
    assert (len(report.missing), report.missing_count) == (2, 3)
    assert (len(report.damaged), report.damaged_count) == (2, 3)
    assert json.dumps(asdict(report))


async def test_what_is_captured_meanwhile_is_left_to_the_station(frames: Frames) -> None:
    frames.store.write(picture(), details_at(NOW - timedelta(seconds=1)))
    frames.store.write(picture(), details_at(NOW))
    assert (await run(frames, before=NOW)).adopted == 1


async def test_a_frame_added_while_the_folder_is_read_is_counted_once(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """The station adds it between the look at the catalogue and the look at the folder."""
    stored = frames.store.write(picture(), details_at(NOW))
    expected_files = Catalogue.expected_files

    async def then_added(catalogue: Catalogue, day: str) -> object:
        found = await expected_files(catalogue, day)
        await catalogue.add_frame(stored, details_at(NOW), destinations=["nas"], remote_prefix="sky")
        return found

    monkeypatch.setattr(Catalogue, "expected_files", then_added)
    await run(frames)
    assert (await frames.catalogue.totals())[1] == 1
    assert (await frames.catalogue.counts())["nas"].pending == 1


async def test_a_file_deleted_while_the_folder_is_read(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrameStore, "days", lambda _: ["2026/11/23"])
    monkeypatch.setattr(FrameStore, "list_day", lambda *_: DayListing(sizes={"sky_20261123T130000.000Z.jpg": 5}))
    assert await run(frames) == ReconcileReport()


async def test_a_catalogue_that_was_lost_is_rebuilt(frames: Frames, clock: FakeClock, tmp_path: Path) -> None:
    taken = [await frames.take(NOW + timedelta(days=day, seconds=second)) for day in range(3) for second in range(2)]
    fresh = Catalogue(tmp_path / "fresh.db", clock, folder=frames.store.folder)
    await fresh.open()
    report = await reconcile(frames.store, fresh, ["nas", "attic"], "sky")
    assert report == ReconcileReport(adopted=6)
    assert [(frame.file, frame.details) for frame in await fresh.frames_page(0, 9)] == [(frame.file, frame.details) for frame in taken]
    assert {name: counts.pending for name, counts in (await fresh.counts()).items()} == {"nas": 6, "attic": 6}
    await fresh.close()


async def test_a_drive_that_is_pulled_out_meanwhile_is_no_loss_of_frames(frames: Frames) -> None:
    taken = await frames.take_many(2)
    await frames.prove(taken[:1])
    frames.store.folder.rename(frames.store.folder.with_name("elsewhere"))
    with pytest.raises(StorageError):
        await run(frames)
    assert await frames.catalogue.recent_frames(9) == taken[::-1]


async def test_a_deletion_that_ends_while_the_folder_is_compared_stays_one(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await frames.take_many(2)
    await frames.prove(taken)
    ids = [frame.frame_id for frame in taken]
    await frames.catalogue.mark_deleting(ids)
    list_day = frames.store.list_day

    def deleted_meanwhile(day: str) -> DayListing:
        listing = list_day(day)
        frames.path(taken[0]).unlink()
        return listing

    monkeypatch.setattr(frames.store, "list_day", deleted_meanwhile)
    keep = frames.catalogue.keep

    async def late(spared: Sequence[int]) -> None:
        await frames.catalogue.remove_frames(ids[:1])
        await keep(spared)

    monkeypatch.setattr(frames.catalogue, "keep", late)
    await run(frames)
    assert await frames.catalogue.recent_frames(9) == taken[1:]


async def test_what_was_given_up_because_its_file_was_gone_is_sent_when_it_is_back(frames: Frames) -> None:
    gone, refused = await frames.take_many(2)
    for frame, key in zip(await frames.catalogue.claim("nas", 9, NOW), ("source_missing", "name_refused"), strict=True):
        await frames.catalogue.mark_quarantined(frame.upload_id, key, {})
    await frames.catalogue.mark_missing([gone.frame_id, refused.frame_id])
    assert (await run(frames)).returned == 2
    counts = (await frames.catalogue.counts())["nas"]
    assert (counts.pending, counts.quarantined) == (1, 1)


async def test_frames_that_a_wrong_clock_has_dated_ahead_are_adopted(frames: Frames) -> None:
    frames.store.write(picture(), details_at(NOW + timedelta(days=3650)))
    assert (await run(frames, before=NOW)).adopted == 1
