"""Catalogue and folder brought together, where frames have DNGs."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
import json
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import StorageError
from custom_components.skylapse.engine.frames import reconcile as reconcile_module
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.folder import DayListing
from custom_components.skylapse.engine.frames.reconcile import ReconcileReport, reconcile
from custom_components.skylapse.engine.frames.retention import RetentionRule, apply
from custom_components.skylapse.engine.frames.store import FrameStore
from tests.engine.fakes import FakeClock, dng

from .conftest import NOW, Frames, details_at, picture

SECOND = timedelta(seconds=1)
STRAY = "2026/11/23/sky_20261123T130000.000Z.dng"


async def run(frames: Frames, required: tuple[str, ...] = ("nas",), before: datetime | None = None) -> ReconcileReport:
    return await reconcile(frames.store, frames.catalogue, ["nas"], "sky", required=required, before=before)


def put(frames: Frames, path: str, content: bytes = b"") -> Path:
    file = frames.store.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content or dng())
    return file


async def test_what_is_in_order_is_left_alone_and_not_read(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    await frames.take_pairs(3)
    monkeypatch.setattr(FrameStore, "read", None)
    monkeypatch.setattr(FrameStore, "examine_dng", None)
    assert await run(frames) == ReconcileReport()


async def test_a_pair_whose_entry_was_cut_off_is_adopted_as_one_frame(frames: Frames) -> None:
    stored = frames.store.write_pair(picture(), dng(), details_at(NOW))
    assert await run(frames) == ReconcileReport(adopted=1, adopted_dngs=1)
    record = await frames.catalogue.last_frame()
    assert record is not None
    assert (record.file, record.dng) == (stored.file, stored.dng)
    assert (await frames.catalogue.totals())[1] == 1
    assert (await frames.catalogue.counts())["nas"].pending == 2
    assert await run(frames) == ReconcileReport()


async def test_a_dng_whose_frame_was_cut_off_is_no_frame_and_goes(frames: Frames) -> None:
    """As a crash between the two names leaves it: the frame was never announced, and is half-written still."""
    raw = put(frames, STRAY)
    put(frames, STRAY.replace(".dng", ".jpg.part"), picture())
    put(frames, f"{STRAY}.part")
    assert await run(frames) == ReconcileReport(removed_partials=3)
    assert not raw.exists()
    assert not raw.parent.exists()
    assert await frames.catalogue.totals() == ((await frames.catalogue.totals())[0], 0)


@pytest.mark.parametrize("partial", [None, f"{STRAY}.part"])
async def test_a_dng_that_may_be_all_that_is_left_of_a_frame_stays_and_is_told(frames: Frames, partial: str | None) -> None:
    raw = put(frames, STRAY)
    if partial:
        put(frames, partial)
    report = await run(frames)
    assert report == ReconcileReport(strays=(STRAY,), strays_count=1, removed_partials=report.removed_partials)
    assert raw.read_bytes() == dng()
    assert (await frames.catalogue.totals())[1] == 0
    assert await frames.catalogue.storage_used() == 0


async def test_the_dng_of_a_frame_that_was_noted_is_never_taken_for_a_crashs(frames: Frames) -> None:
    """The frame vanished, without the catalogue knowing of a DNG; what half-written file is there is of something else."""
    frame = await frames.take(NOW)
    frames.path(frame).unlink()
    raw = put(frames, frame.file.relative_path.replace(".jpg", ".dng"))
    put(frames, f"{frame.file.relative_path}.part")
    report = await run(frames)
    assert (report.strays_count, report.missing_count) == (1, 1)
    assert raw.exists()


async def test_strays_are_named_in_part_and_counted_in_whole(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_module, "_MOST_NAMED", 2)
    for second in range(3):
        put(frames, STRAY.replace("00.000Z", f"0{second}.000Z"))
    report = await run(frames)
    assert (len(report.strays), report.strays_count) == (2, 3)
    assert json.dumps(asdict(report))


async def test_what_is_captured_meanwhile_is_left_to_the_station(frames: Frames) -> None:
    put(frames, STRAY)
    frames.store.write_pair(picture(), dng(), details_at(NOW))
    assert await run(frames, before=NOW) == ReconcileReport()
    assert await run(frames, before=NOW + SECOND) == ReconcileReport(adopted=1, adopted_dngs=1)
    assert (await run(frames, before=NOW + timedelta(hours=2))).strays_count == 1


async def test_a_dng_that_the_station_finishes_meanwhile_stays(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the folder and the tidying the frame gets its name."""
    list_day = frames.store.list_day
    raw = put(frames, STRAY)
    put(frames, STRAY.replace(".dng", ".jpg.part"), picture())

    def then_finished(day: str) -> DayListing:
        listing = list_day(day)
        raw.with_suffix(".jpg.part").rename(raw.with_suffix(".jpg"))
        return listing

    monkeypatch.setattr(frames.store, "list_day", then_finished)
    await run(frames)
    monkeypatch.undo()
    assert raw.exists()
    assert await run(frames) == ReconcileReport(adopted=1, adopted_dngs=1)


async def test_tidying_that_is_killed_goes_on_at_the_next_start(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = put(frames, STRAY)
    put(frames, STRAY.replace(".dng", ".jpg.part"), picture())
    unlink = Path.unlink

    def killed_after_one(path: Path, **more: bool) -> None:
        unlink(path, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed_after_one)
        with pytest.raises(KeyboardInterrupt):
            frames.store.remove_partials("2026/11/23", [raw.name.replace(".dng", ".jpg.part")], [raw.name])
    assert (await run(frames)).strays_count == 0
    assert not raw.exists()


async def test_a_dng_beside_a_known_frame_is_adopted_to_it(frames: Frames) -> None:
    live, missing = await frames.take_many(2)
    content = frames.path(missing).read_bytes()
    frames.path(missing).unlink()
    assert (await run(frames)).missing_count == 1
    frames.path(missing).write_bytes(content)
    for frame in (live, missing):
        put(frames, frame.file.relative_path.replace(".jpg", ".dng"))
    assert await run(frames) == ReconcileReport(returned=1, adopted_dngs=2)
    assert all(frame.dng is not None for frame in await frames.catalogue.recent_frames(9))
    assert (await frames.catalogue.counts())["nas"].pending == 4
    assert (await frames.catalogue.totals())[1] == 2


async def test_what_is_no_dng_is_told_and_not_adopted(frames: Frames) -> None:
    known = await frames.take(NOW)
    frames.store.write(picture(), details_at(NOW + SECOND))
    bad = [put(frames, path, b"nothing") for path in (frames.dng_path(known), frames.dng_path(known).with_name(STRAY[11:]))]
    bad[1] = bad[1].rename(bad[1].with_name("sky_20261123T120001.000Z.dng"))
    report = await run(frames)
    assert report == ReconcileReport(adopted=1, damaged=tuple(f"2026/11/23/{path.name}" for path in reversed(bad)), damaged_count=2)
    assert all(frame.dng is None for frame in await frames.catalogue.recent_frames(9))


async def test_a_dng_beside_a_damaged_frame_is_left_with_it(frames: Frames) -> None:
    stored = frames.store.write_pair(picture(), dng(), details_at(NOW))
    (frames.store.folder / stored.file.relative_path).write_bytes(b"half")
    assert await run(frames) == ReconcileReport(damaged=(stored.file.relative_path,), damaged_count=1)


async def test_a_dng_that_is_gone_by_the_time_it_is_looked_at(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = await frames.take(NOW)
    sizes = {frame.file.relative_path[11:]: frame.file.size_bytes, frames.dng_path(frame).name: 5}
    monkeypatch.setattr(FrameStore, "list_day", lambda *_: DayListing(sizes=sizes))
    assert await run(frames) == ReconcileReport()


async def test_vanished_dngs_are_missing_like_frames_unless_proven(frames: Frames) -> None:
    lost, proven, jpg_lost, both_lost = taken = await frames.take_pairs(4)
    await frames.prove_files([lost.file, proven.dng, jpg_lost.dng])
    for frame in (lost, proven, both_lost):
        frames.dng_path(frame).unlink()
    for frame in (jpg_lost, both_lost):
        frames.path(frame).unlink()
    report = await run(frames)
    missing = {lost.dng.relative_path, jpg_lost.file.relative_path, both_lost.file.relative_path, both_lost.dng.relative_path}
    assert set(report.missing) == missing
    assert report == ReconcileReport(removed_dngs=1, missing=report.missing, missing_count=4)
    assert await run(frames) == ReconcileReport(missing=report.missing, missing_count=4)
    on_disk = sum(path.stat().st_size for path in frames.store.folder.rglob("*") if path.is_file())
    assert await frames.catalogue.storage_used() == on_disk
    assert [frame.frame_id for frame in await frames.catalogue.recent_frames(9)] == [taken[1].frame_id, taken[0].frame_id]


async def test_dngs_that_are_back_are_live_again(frames: Frames) -> None:
    missing, deleted = taken = await frames.take_pairs(2)
    contents = [frames.dng_path(frame).read_bytes() for frame in taken]
    await frames.prove_files([deleted.dng])
    for frame in taken:
        frames.dng_path(frame).unlink()
    report = await run(frames)
    assert (report.removed_dngs, report.missing_count) == (1, 1)
    for frame, content in zip(taken, contents, strict=True):
        frames.dng_path(frame).write_bytes(content)
    assert await run(frames) == ReconcileReport(returned_dngs=2)
    assert await frames.catalogue.recent_frames(9) == [deleted, missing]


async def test_a_dng_of_another_size_is_damaged(frames: Frames) -> None:
    (frame,) = await frames.take_pairs(1)
    frames.dng_path(frame).write_bytes(b"II")
    assert await run(frames) == ReconcileReport(damaged=(frame.dng.relative_path,), damaged_count=1)


async def test_half_written_dngs_go(frames: Frames) -> None:
    (frame,) = await frames.take_pairs(1)
    put(frames, f"{STRAY}.part")
    theirs = put(frames, "2026/11/23/other.dng")
    assert await run(frames) == ReconcileReport(removed_partials=1)
    assert theirs.exists()
    assert frames.dng_path(frame).exists()


@pytest.mark.parametrize("unlinked", [0, 1, 2])
@pytest.mark.parametrize("proven", [True, False])
async def test_a_deletion_that_a_crash_interrupted_is_no_loss(frames: Frames, unlinked: int, proven: bool) -> None:
    """Of the pair nothing, the DNG, or both were deleted."""
    frame, _ = await frames.take_pairs(2)
    if proven:
        await frames.prove_pairs([frame])
    await frames.catalogue.mark_deleting([frame.frame_id])
    for path in (frames.dng_path(frame), frames.path(frame))[:unlinked]:
        path.unlink()
    assert await run(frames, required=()) == ReconcileReport(removed=int(unlinked == 2), removed_dngs=int(unlinked >= 1))
    assert await run(frames, required=()) == ReconcileReport()
    now = await frames.catalogue.frame_by_path(frame.file.relative_path)
    assert now == (frame if unlinked == 0 else replace(frame, dng=None))
    if unlinked < 2:
        frames.path(frame).unlink()  # lost later, for another reason: the note of its deletion was taken back
        assert (await run(frames, required=())).missing_count == 1


async def test_a_power_cut_that_kept_only_the_dng_of_a_deletion(frames: Frames) -> None:
    frame, _ = await frames.take_pairs(2)
    await frames.prove_pairs([frame])
    await frames.catalogue.mark_deleting([frame.frame_id])
    frames.path(frame).unlink()
    assert await run(frames) == ReconcileReport(removed=1)
    report = await apply(frames.store, frames.catalogue, RetentionRule(0, SECOND, False), ["nas"], now=NOW + timedelta(days=1))
    assert report.dngs == (frame.dng.relative_path,)
    assert not frames.dng_path(frame).exists()


async def test_a_catalogue_that_was_lost_is_rebuilt(frames: Frames, clock: FakeClock, tmp_path: Path) -> None:
    taken = [*await frames.take_pairs(3), await frames.take(NOW + timedelta(days=1))]
    put(frames, STRAY)
    fresh = Catalogue(tmp_path / "fresh.db", clock, folder=frames.store.folder)
    await fresh.open()
    report = await reconcile(frames.store, fresh, ["nas", "attic"], "sky")
    assert report == ReconcileReport(adopted=4, adopted_dngs=3, strays=(STRAY,), strays_count=1)
    assert [(frame.file, frame.dng) for frame in await fresh.frames_page(0, 9)] == [(frame.file, frame.dng) for frame in taken]
    assert {name: counts.pending for name, counts in (await fresh.counts()).items()} == {"nas": 7, "attic": 7}
    assert await fresh.storage_used() == await frames.catalogue.storage_used()
    await fresh.close()


async def test_a_drive_that_is_pulled_out_meanwhile_is_no_loss(frames: Frames) -> None:
    taken = await frames.take_pairs(2)
    frames.store.folder.rename(frames.store.folder.with_name("elsewhere"))
    with pytest.raises(StorageError):
        await run(frames)
    assert await frames.catalogue.recent_frames(9) == taken[::-1]
