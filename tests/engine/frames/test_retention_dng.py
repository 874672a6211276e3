"""A frame and its DNG go together, and only when both are proven."""

from datetime import timedelta

import pytest

from custom_components.skylapse.engine.frames import retention
from custom_components.skylapse.engine.frames.reconcile import reconcile
from custom_components.skylapse.engine.frames.records import FrameRecord
from custom_components.skylapse.engine.frames.retention import CleanupReport, apply
from custom_components.skylapse.engine.frames.store import FrameStore

from .conftest import NOW, Frames
from .test_retention import DAY, Disk, clean, names, rule


class DiskOfBoth(Disk):
    def used(self) -> int:
        return sum(path.stat().st_size for path in self.store.folder.rglob("*.*g"))


def raws(frames: list[FrameRecord]) -> tuple[str, ...]:
    return tuple(frame.dng.relative_path for frame in frames if frame.dng)


def size(frames: list[FrameRecord]) -> int:
    return sum(frame.file.size_bytes + (frame.dng.size_bytes if frame.dng else 0) for frame in frames)


def there(frames: Frames, taken: list[FrameRecord]) -> list[tuple[bool, bool]]:
    return [(frames.path(frame).exists(), frames.dng_path(frame).exists()) for frame in taken]


async def test_both_go_and_both_are_counted_as_freed(frames: Frames) -> None:
    taken = await frames.take_pairs(5)
    await frames.prove_pairs(taken)
    DiskOfBoth(frames.store, 100)
    wanted = rule(100 + size(taken[:2]) - 10)
    told = await clean(frames, wanted, dry_run=True)
    assert there(frames, taken) == [(True, True)] * 5
    report = await clean(frames, wanted)
    assert report == told == CleanupReport(names(taken[:2]), size(taken[:2]), False, 100 + size(taken[:2]), raws(taken[:2]))
    assert there(frames, taken) == [(False, False)] * 2 + [(True, True)] * 3
    assert await frames.catalogue.storage_used() == size(taken[2:])


async def test_the_half_proven_stay_whole(frames: Frames) -> None:
    taken = await frames.take_pairs(4)
    await frames.prove_files([taken[0].file, taken[1].dng, taken[2].file, taken[2].dng])
    DiskOfBoth(frames.store, 0)
    report = await clean(frames, rule(10**9, DAY / 10**6))
    assert (report.deleted, report.dngs, report.blocked) == (names(taken[2:3]), raws(taken[2:3]), True)
    assert there(frames, taken) == [(True, True), (True, True), (False, False), (True, True)]


async def test_without_copies_only_where_that_was_asked_for(frames: Frames) -> None:
    taken = await frames.take_pairs(3)
    DiskOfBoth(frames.store, 0)
    assert (await clean(frames, rule(10**9))).deleted == ()
    assert (await clean(frames, rule(10**9, without_copy=True))).dngs == raws(taken[:2])
    assert (await frames.catalogue.counts())["nas"].queued == 2, "of the one that stays"


async def test_the_dng_goes_first(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await frames.take_pairs(2)
    await frames.prove_pairs(taken)
    DiskOfBoth(frames.store, 0)
    deleted: list[str] = []
    delete = frames.store.delete

    def noting(paths: list[str]) -> None:
        deleted.extend(paths)
        delete(paths)

    monkeypatch.setattr(frames.store, "delete", noting)
    await clean(frames, rule(10**9))
    assert deleted == [taken[0].dng.relative_path, taken[0].file.relative_path]


async def test_a_dng_that_is_left_of_a_frame_goes_by_the_same_rule(frames: Frames) -> None:
    left, unproven, whole, _shown = taken = await frames.take_pairs(4)
    await frames.prove_pairs([left, whole])
    frames.path(left).unlink()
    frames.path(unproven).unlink()
    await reconcile(frames.store, frames.catalogue, ["nas"], "sky", required=["nas"])
    DiskOfBoth(frames.store, 0)
    wanted = rule(left.dng.size_bytes)
    told = await clean(frames, wanted, dry_run=True)
    report = await clean(frames, wanted)
    assert report == told == CleanupReport((), left.dng.size_bytes, False, left.dng.size_bytes, raws([left]))
    assert there(frames, taken)[:3] == [(False, False), (False, True), (True, True)]
    assert (await clean(frames, rule(10**9))).deleted == names([whole])
    assert there(frames, taken)[1] == (False, True), "nobody else has it"
    assert (await clean(frames, rule(10**9, without_copy=True))).dngs == raws([unproven])
    assert await frames.catalogue.storage_used() == size(taken[3:])


async def test_a_missing_dng_does_not_keep_its_frame(frames: Frames) -> None:
    taken = await frames.take_pairs(2)
    await frames.prove_files([taken[0].file])
    frames.dng_path(taken[0]).unlink()
    await reconcile(frames.store, frames.catalogue, ["nas"], "sky", required=["nas"])
    DiskOfBoth(frames.store, 0)
    report = await clean(frames, rule(10**9))
    assert (report.deleted, report.dngs, report.freed_bytes) == (names(taken[:1]), (), taken[0].file.size_bytes)
    assert await frames.catalogue.missing_count() == 1, "and is still told"


async def test_in_batches(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 3)
    taken = await frames.take_pairs(10)
    await frames.prove_pairs(taken)
    for frame in taken[:5]:
        frames.path(frame).unlink()
    await reconcile(frames.store, frames.catalogue, ["nas"], "sky", required=["nas"])
    DiskOfBoth(frames.store, 0)
    report = await clean(frames, rule(sum(frame.dng.size_bytes for frame in taken[:5]) + size(taken[5:8])))
    assert (report.deleted, report.dngs) == (names(taken[5:8]), raws(taken[:8]))


async def test_a_proof_that_is_withdrawn_at_the_last_moment_keeps_the_dng(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    left, _, _ = taken = await frames.take_pairs(3)
    await frames.prove_pairs(taken)
    frames.path(left).unlink()
    catalogue = frames.catalogue
    await catalogue.settle_vanished([left.frame_id], [])
    DiskOfBoth(frames.store, 0)
    deletable = catalogue.deletable

    async def withdrawn(*args: object, **more: object) -> list[FrameRecord]:
        found = await deletable(*args, **more)
        uploads = await catalogue.verified_page("nas", 0, 9)
        await catalogue.requeue([upload.upload_id for upload in uploads if upload.local_path.endswith(".dng")])
        return found

    monkeypatch.setattr(catalogue, "deletable", withdrawn)
    report = await clean(frames, rule(10**9))
    assert (report.deleted, report.dngs) == ((), ())
    assert there(frames, taken) == [(False, True), (True, True), (True, True)]


@pytest.mark.parametrize("after", ["mark_deleting", "delete"])
@pytest.mark.parametrize("left", [True, False])
async def test_a_crash_in_the_middle_is_repaired(frames: Frames, monkeypatch: pytest.MonkeyPatch, after: str, left: bool) -> None:
    taken = await frames.take_pairs(2)
    await frames.prove_pairs(taken)
    if left:
        frames.path(taken[0]).unlink()
        await frames.catalogue.settle_vanished([taken[0].frame_id], ["nas"])
    DiskOfBoth(frames.store, 0)

    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    def killed_at_once(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if after == "delete":
            patch.setattr(type(frames.catalogue), "remove_dngs" if left else "remove_frames", killed)
        else:
            patch.setattr(FrameStore, "delete", killed_at_once)
        with pytest.raises(Killed):
            await clean(frames, rule(1))
    assert frames.dng_path(taken[0]).exists() == (after != "delete")
    report = await reconcile(frames.store, frames.catalogue, ["nas"], "sky", required=["nas"])
    assert (report.missing_count, report.strays_count, report.damaged_count) == (0, 0, 0)
    assert report.removed_dngs == int(after == "delete")
    await clean(frames, rule(10**9))
    assert there(frames, taken) == [(False, False), (True, True)]
    assert await frames.catalogue.storage_used() == size(taken[1:])


async def test_the_frame_that_is_shown_keeps_its_dng(frames: Frames) -> None:
    taken = await frames.take_pairs(1)
    await frames.prove_pairs(taken)
    DiskOfBoth(frames.store, 0)
    report = await apply(frames.store, frames.catalogue, rule(10**9, timedelta(0)), ["nas"], now=NOW + DAY)
    assert (report.deleted, report.dngs) == ((), ())
