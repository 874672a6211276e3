"""How long frames stay."""

from datetime import timedelta

import pytest

from custom_components.skylapse.engine.errors import StorageError
from custom_components.skylapse.engine.frames import retention
from custom_components.skylapse.engine.frames.reconcile import reconcile
from custom_components.skylapse.engine.frames.records import FrameRecord
from custom_components.skylapse.engine.frames.retention import CleanupReport, RetentionRule, apply
from custom_components.skylapse.engine.frames.store import FrameStore

from .conftest import NOW, Frames

DAY = timedelta(days=1)


class Disk:
    """A disk of a given size: what is free depends on the frames that are on it."""

    def __init__(self, store: FrameStore, free: int) -> None:
        self.store = store
        self.lag = 0
        self.room = free + self.used()
        store._measure = lambda _: self.room - self.used() - self.lag

    def used(self) -> int:
        return sum(path.stat().st_size for path in self.store.folder.rglob("*.jpg"))


def names(frames: list[FrameRecord]) -> tuple[str, ...]:
    return tuple(frame.file.relative_path for frame in frames)


def size(frames: list[FrameRecord]) -> int:
    return sum(frame.file.size_bytes for frame in frames)


def rule(free: int = 0, age: timedelta | None = None, *, without_copy: bool = False) -> RetentionRule:
    return RetentionRule(free, age, without_copy)


async def clean(frames: Frames, wanted: RetentionRule, required: tuple[str, ...] = ("nas",), **more: bool) -> CleanupReport:
    return await apply(frames.store, frames.catalogue, wanted, required, now=NOW, **more)


async def there(frames: Frames, taken: list[FrameRecord]) -> list[bool]:
    live = await frames.catalogue.recent_frames(1000)
    assert [frame in live for frame in taken] == [frames.path(frame).exists() for frame in taken]
    return [frame in live for frame in taken]


async def test_enough_space_deletes_nothing(frames: Frames) -> None:
    taken = await frames.take_many(3)
    await frames.prove(taken)
    Disk(frames.store, 5000)
    assert await clean(frames, rule(5000)) == CleanupReport((), 0, False, 5000)
    assert all(await there(frames, taken))


async def test_the_oldest_go_until_there_is_space_and_not_one_more(frames: Frames) -> None:
    taken = await frames.take_many(6)
    await frames.prove(taken)
    Disk(frames.store, 5000)
    report = await clean(frames, rule(5000 + size(taken[:2]) - 10))
    assert report == CleanupReport(names(taken[:2]), size(taken[:2]), False, 5000 + size(taken[:2]))
    assert await there(frames, taken) == [False, False, True, True, True, True]


async def test_the_unproven_stay_and_block(frames: Frames) -> None:
    taken = await frames.take_many(4, destinations=("nas", "attic"))
    await frames.prove(taken[1:3], "nas")
    await frames.prove(taken[2:], "attic")
    Disk(frames.store, 100)
    report = await clean(frames, rule(10**9), ("nas", "attic"))
    assert report == CleanupReport(names(taken[2:3]), size(taken[2:3]), True, 100 + size(taken[2:3]))
    assert await there(frames, taken) == [True, True, False, True]


async def test_without_a_required_destination_nothing_goes(frames: Frames) -> None:
    taken = await frames.take_many(2)
    await frames.prove(taken)
    Disk(frames.store, 100)
    assert await clean(frames, rule(10**9, DAY), ()) == CleanupReport((), 0, True, 100)
    assert all(await there(frames, taken))


async def test_without_copies_only_where_that_was_asked_for_and_the_proven_first(frames: Frames) -> None:
    taken = await frames.take_many(4)
    await frames.prove(taken[2:3])
    Disk(frames.store, 100)
    report = await clean(frames, rule(100 + size(taken[:2]), without_copy=True))
    assert report.deleted == (*names(taken[2:3]), *names(taken[:1]))
    assert not report.blocked
    assert (await clean(frames, rule(10**9, without_copy=True), ())).deleted == names([taken[1]])
    assert (await frames.catalogue.counts())["nas"].queued == 1, "the last one, which stays"


async def test_too_old_goes_although_there_is_space(frames: Frames) -> None:
    taken = [await frames.take(NOW - DAY * days) for days in (5, 4, 3, 1)]
    await frames.prove([taken[0], taken[2], taken[3]])
    Disk(frames.store, 5000)
    report = await clean(frames, rule(0, 2 * DAY))
    assert report.deleted == names([taken[0], taken[2]])
    assert await there(frames, taken) == [False, True, False, True]
    assert not (frames.store.folder / "2026/11/18").exists()
    assert (await clean(frames, rule(0, 2 * DAY, without_copy=True))).deleted == names(taken[1:2])


async def test_in_batches(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 3)
    taken = await frames.take_many(10)
    await frames.prove(taken)
    Disk(frames.store, 0)
    report = await clean(frames, rule(size(taken[:8])))
    assert report.deleted == names(taken[:8])


async def test_a_dry_run_tells_the_same_and_deletes_nothing(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 3)
    taken = [await frames.take(NOW - DAY * (20 - number)) for number in range(12)]
    await frames.prove(taken[:3] + taken[5:9])
    Disk(frames.store, 0)
    wanted = rule(size(taken[:10]), timedelta(days=16, hours=12), without_copy=True)
    told = await clean(frames, wanted, dry_run=True)
    assert all(await there(frames, taken))
    assert told.deleted[:4] == names([taken[0], taken[1], taken[2], taken[3]])
    assert len(set(told.deleted)) == len(told.deleted)
    assert await clean(frames, wanted) == told


async def test_space_that_comes_back_late_does_not_cost_more_frames(frames: Frames) -> None:
    taken = await frames.take_many(6)
    await frames.prove(taken)
    disk = Disk(frames.store, 5000)
    measure = frames.store._measure
    first = measure(frames.store.folder)
    frames.store._measure = lambda _: first  # such as a file system with snapshots
    report = await clean(frames, rule(5000 + size(taken[:2])))
    assert report.deleted == names(taken[:2])
    assert disk.used() == size(taken[2:])


async def test_files_that_cannot_be_deleted_are_no_success(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await frames.take_many(2)
    await frames.prove(taken)
    Disk(frames.store, 0)

    def refuse(*_: object) -> None:
        raise StorageError("read_only", path="x")

    with monkeypatch.context() as patch:
        patch.setattr(FrameStore, "delete", refuse)
        with pytest.raises(StorageError):
            await clean(frames, rule(10**9))
    assert all(await there(frames, taken))
    assert (await clean(frames, rule(10**9))).deleted == names(taken[:1])


async def test_a_crash_in_the_middle_is_repaired(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await frames.take_many(3)
    Disk(frames.store, 0)

    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(frames.catalogue), "remove_frames", killed)
        with pytest.raises(Killed):
            await clean(frames, rule(size(taken[:1]), without_copy=True), ())
    assert not frames.path(taken[0]).exists()
    report = await reconcile(frames.store, frames.catalogue, ["nas"], "sky")
    assert (report.removed, report.missing_count) == (1, 0)


async def test_the_frame_that_is_shown_stays_however_old(frames: Frames) -> None:
    taken = [await frames.take(NOW - DAY * days) for days in (1, 9, 5)]  # the last one added is not the youngest
    await frames.prove(taken)
    Disk(frames.store, 0)
    assert (await clean(frames, rule(10**9, DAY / 2))).deleted == names([taken[1], taken[0]])
    assert await frames.catalogue.last_frame() == taken[2]


async def test_a_proof_that_is_withdrawn_at_the_last_moment_keeps_the_frame(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await frames.take_many(3)
    await frames.prove(taken)
    Disk(frames.store, 0)
    catalogue = frames.catalogue
    deletable = catalogue.deletable

    async def withdrawn(*args: object, **more: object) -> list[FrameRecord]:
        found = await deletable(*args, **more)
        uploads = await catalogue.verified_page("nas", 0, 9)
        await catalogue.requeue([upload.upload_id for upload in uploads if upload.frame_id == taken[0].frame_id])
        return found

    monkeypatch.setattr(catalogue, "deletable", withdrawn)
    assert (await clean(frames, rule(10**9))).deleted == names(taken[1:2])
    assert await there(frames, taken) == [True, False, True]
