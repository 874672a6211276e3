"""DNGs in the catalogue: rows, uploads and proofs of their own, and no frames."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import CatalogueError
from custom_components.skylapse.engine.frames import catalogue_dngs, catalogue_queue
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.catalogue_upkeep import Expected, Whereabouts
from custom_components.skylapse.engine.frames.records import FrameRecord, SlotCounts, UploadRecord, UploadState
from custom_components.skylapse.engine.schedule.model import Window

from .conftest import NOW, Frames


def size(*frames: FrameRecord) -> int:
    return sum(frame.file.size_bytes + (frame.dng.size_bytes if frame.dng else 0) for frame in frames)


async def uploads_of(catalogue: Catalogue, destination_id: str = "nas") -> dict[str, UploadRecord]:
    """All uploads by the ends of their names."""
    ids = await catalogue._read(lambda c: [row[0] for row in c.execute("SELECT upload_id FROM uploads ORDER BY upload_id")])
    return {u.remote_path[-24:]: u for u in await catalogue.uploads(ids) if u.destination_id == destination_id}


async def test_a_dng_is_queued_beside_its_frame_and_is_none(frames: Frames) -> None:
    catalogue = frames.catalogue
    session = await catalogue.open_session("s1", "Day", Window(NOW, NOW + timedelta(hours=1), "s1"))
    frame = await frames.take_pair(NOW, ("nas", "attic"))
    await catalogue.add_frame(
        frame.file,
        frame.details,
        dng=frame.dng,
        session_ids=[session.session_id],
        destinations=["nas", "attic"],
        remote_prefix="sky",
    )  # again, as after a lost answer
    assert await catalogue.totals() == (SlotCounts(due=1, captured=1), 1)
    assert await catalogue.recent_frames(9) == await catalogue.recent_frames(9, session.session_id) == [frame]
    assert await catalogue.storage_used() == size(frame)
    assert {name: counts.pending for name, counts in (await catalogue.counts()).items()} == {"nas": 2, "attic": 2}
    jpg, dng = await catalogue.claim("nas", 9, NOW)
    assert (jpg.local_path, jpg.sha256) == (str(frames.path(frame)), frame.file.sha256)
    assert (dng.local_path, dng.remote_path) == (str(frames.dng_path(frame)), f"sky/{frame.dng.relative_path}")
    assert (dng.frame_id, dng.size_bytes, dng.sha256) == (frame.frame_id, frame.dng.size_bytes, frame.dng.sha256)
    assert Path(dng.local_path).read_bytes().startswith(b"II")


async def test_another_dng_for_the_same_frame_is_refused(frames: Frames) -> None:
    frame = await frames.take_pair(NOW)
    other = replace(frame.dng, sha256="00" * 32)
    with pytest.raises(CatalogueError) as caught:
        await frames.catalogue.add_frame(frame.file, frame.details, dng=other, remote_prefix="sky")
    assert caught.value.key == "frame_exists"
    assert caught.value.placeholders["path"] == frame.dng.relative_path


async def test_a_pair_may_go_only_when_both_are_proven_everywhere(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = [*await frames.take_pairs(4, ("nas", "attic")), await frames.take(NOW + timedelta(minutes=1), ("nas", "attic"))]
    plain = await frames.take(NOW + timedelta(minutes=2), ("nas", "attic"))
    await frames.take(NOW + timedelta(minutes=3))  # the one that is shown
    both, only_jpg, only_dng, one_place, bare = taken
    await frames.prove_files([both.file, both.dng, only_jpg.file, only_dng.dng, one_place.file, one_place.dng, bare.file], "nas")
    await frames.prove_files([both.file, both.dng, only_jpg.file, only_dng.dng, one_place.file, bare.file], "attic")
    assert await catalogue.deletable(["nas", "attic"], older_than=None, limit=9) == [both, bare]
    assert await catalogue.deletable(["nas"], older_than=None, limit=9) == [both, one_place, bare]
    everything = [*taken, plain]
    assert await catalogue.deletable([], older_than=None, limit=9, allow_unproven=True) == everything
    ids = [frame.frame_id for frame in everything]
    assert await catalogue.mark_deleting(ids, proven_at=["nas", "attic"]) == [both.frame_id, bare.frame_id]
    assert await catalogue.mark_deleting(ids, proven_at=["nas"]) == [both.frame_id, one_place.frame_id, bare.frame_id]
    assert await catalogue.mark_deleting(ids) == ids


async def test_equal_bytes_do_not_prove_each_other(frames: Frames) -> None:
    """Two proofs of the one are none of the other, should both ever hold the same."""
    frame = await frames.take(NOW, ("nas", "attic"))
    dng = replace(frame.file, relative_path=frame.file.relative_path.replace(".jpg", ".dng"))
    await frames.catalogue.add_dng(frame.frame_id, dng, destinations=["nas"], remote_prefix="sky")
    await frames.prove_files([frame.file], "nas")
    assert await frames.catalogue.deletable(["nas"], older_than=None, limit=9, allow_unproven=False) == []
    assert await frames.catalogue.settle_vanished_dngs([frame.frame_id], ["nas"]) == ([], [frame.frame_id])


async def test_deleted_both_are_gone_and_keep_their_proofs(frames: Frames) -> None:
    catalogue = frames.catalogue
    first, second = await frames.take_pairs(2, ("nas", "attic"))
    await frames.prove_pairs([first], "nas")
    await catalogue.remove_frames([first.frame_id])
    counts = await catalogue.counts()
    assert (counts["nas"].verified, counts["attic"].pending) == (2, 2)
    assert await catalogue.storage_used() == size(second)
    gone = await catalogue.frame_by_path(first.file.relative_path)
    assert gone == replace(first, dng=None)


async def test_a_dng_that_is_missed_is_told_until_it_is_forgotten(frames: Frames) -> None:
    catalogue = frames.catalogue
    first, second = await frames.take_pairs(2)
    assert await catalogue.settle_vanished_dngs([first.frame_id], ["nas"]) == ([], [first.frame_id])
    assert await catalogue.settle_vanished_dngs([first.frame_id], ["nas"]) == ([], []), "once"
    await catalogue.mark_missing([second.frame_id])
    assert await catalogue.missing_count() == 2
    assert await catalogue.missing_paths(9) == [first.dng.relative_path, second.file.relative_path]
    assert await catalogue.missing_frames(9) == [second]
    assert await catalogue.recent_frames(9) == [replace(first, dng=None)]
    assert await catalogue.storage_used() == first.file.size_bytes + second.dng.size_bytes
    await catalogue.remove_frames([first.frame_id])
    assert await catalogue.missing_paths(1) == [first.dng.relative_path], "that its frame was deleted does not make it found"
    assert await catalogue.forget_missing() == 2
    assert await catalogue.missing_count() == 0
    assert await catalogue.storage_used() == second.dng.size_bytes, "what is there still is still there"
    assert set(await uploads_of(catalogue)) == {second.dng.relative_path[-24:]}
    assert await catalogue.forget_missing() == 0


async def test_forgetting_goes_in_batches(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_dngs, "_BATCH", 2)
    taken = await frames.take_pairs(5)
    await frames.catalogue.settle_vanished_dngs([frame.frame_id for frame in taken], [])
    assert await frames.catalogue.forget_missing() == 5


async def test_a_vanished_dng_is_judged_by_its_own_proof(frames: Frames) -> None:
    catalogue = frames.catalogue
    proven, doomed, lost, deleted = taken = await frames.take_pairs(4)
    await frames.prove_files([proven.dng, lost.file])
    await catalogue.mark_deleting([doomed.frame_id])
    await catalogue.remove_frames([deleted.frame_id])
    ids = [frame.frame_id for frame in taken]
    assert await catalogue.settle_vanished_dngs(ids, ["nas"]) == ([proven.frame_id, doomed.frame_id], [lost.frame_id])
    assert await catalogue.settle_vanished(ids, ["nas"]) == ([doomed.frame_id, lost.frame_id], [proven.frame_id])


async def test_a_frame_that_vanishes_leaves_its_dng_in_the_queue(frames: Frames) -> None:
    (frame,) = await frames.take_pairs(1)
    await frames.prove_files([frame.file])
    assert await frames.catalogue.settle_vanished([frame.frame_id], ["nas"]) == ([frame.frame_id], [])
    states = {name[-3:]: upload.state for name, upload in (await uploads_of(frames.catalogue)).items()}
    assert states == {"jpg": UploadState.VERIFIED, "dng": UploadState.PENDING}
    assert await frames.catalogue.storage_used() == frame.dng.size_bytes


async def test_what_returns_is_queued_again_each_for_itself(frames: Frames) -> None:
    catalogue = frames.catalogue
    (frame,) = await frames.take_pairs(1)
    for upload in await catalogue.claim("nas", 9, NOW):
        await catalogue.mark_quarantined(upload.upload_id, "source_missing", {})
    await catalogue.mark_missing([frame.frame_id])
    await catalogue.settle_vanished_dngs([frame.frame_id], [])
    await catalogue.mark_present([frame.frame_id], destinations=["nas"], remote_prefix="sky")
    assert await catalogue.recent_frames(9) == [replace(frame, dng=None)]
    assert {name[-3:]: upload.state for name, upload in (await uploads_of(catalogue)).items()} == {
        "jpg": UploadState.PENDING,
        "dng": UploadState.QUARANTINED,
    }
    await catalogue.mark_dngs_present([frame.frame_id], destinations=["nas", "attic"], remote_prefix="sky")
    assert await catalogue.recent_frames(9) == [frame]
    assert (await catalogue.counts())["nas"].pending == 2
    assert [upload.sha256 for upload in (await uploads_of(catalogue, "attic")).values()] == [frame.dng.sha256]
    assert await catalogue.missing_count() == 0
    assert await catalogue.storage_used() == size(frame)


async def test_the_proof_of_a_lost_copy_is_withdrawn_for_the_one_that_lost_it(frames: Frames) -> None:
    catalogue = frames.catalogue
    kept, raw_gone, gone = await frames.take_pairs(3)
    await frames.prove_pairs([kept, raw_gone, gone])
    await catalogue.settle_vanished_dngs([raw_gone.frame_id], ["nas"])
    await catalogue.remove_frames([gone.frame_id])
    for upload in (await uploads_of(catalogue)).values():
        await catalogue.withdraw(upload.upload_id)
    left = [upload.sha256 for upload in (await uploads_of(catalogue)).values()]
    assert left == [kept.file.sha256, kept.dng.sha256, raw_gone.file.sha256], "nothing is left here of the others that could be sent"
    assert (await catalogue.counts())["nas"].verified == 0


async def test_a_withdrawn_proof_of_the_dng_keeps_the_pair(frames: Frames) -> None:
    catalogue = frames.catalogue
    frame, _ = await frames.take_pairs(2)
    await frames.prove_pairs([frame])
    await catalogue.mark_deleting([frame.frame_id])
    dng = (await uploads_of(catalogue))[frame.dng.relative_path[-24:]]
    await catalogue.requeue([dng.upload_id])
    assert await catalogue.deletable(["nas"], older_than=None, limit=9) == []
    assert await catalogue.settle_vanished_dngs([frame.frame_id], ["nas"]) == ([], [frame.frame_id])


async def test_what_a_days_folder_should_hold(frames: Frames) -> None:
    catalogue = frames.catalogue
    live, doomed, deleted, missing = taken = await frames.take_pairs(4)
    await catalogue.mark_deleting([doomed.frame_id])
    await catalogue.remove_frames([deleted.frame_id])
    await catalogue.settle_vanished_dngs([missing.frame_id], [])
    states = {
        live: (Whereabouts.LIVE, Whereabouts.LIVE),
        doomed: (Whereabouts.DELETING, Whereabouts.LIVE),
        deleted: (Whereabouts.DELETED, Whereabouts.DELETED),
        missing: (Whereabouts.LIVE, Whereabouts.MISSING),
    }
    assert await catalogue.expected_files("2026/11/23") == {
        file.relative_path[11:]: Expected(frame.frame_id, file.size_bytes, state)
        for frame in taken
        for file, state in zip((frame.file, frame.dng), states[frame], strict=True)
    }


async def test_days_with_nothing_but_a_dng_are_looked_at(frames: Frames) -> None:
    taken = [await frames.take_pair(NOW + timedelta(days=day)) for day in range(3)]
    await frames.catalogue.mark_missing([taken[0].frame_id])
    assert await frames.catalogue.live_days() == ["2026/11/23", "2026/11/24", "2026/11/25"]
    await frames.catalogue.settle_vanished_dngs([taken[0].frame_id], [])
    assert await frames.catalogue.live_days() == ["2026/11/24", "2026/11/25"]


async def test_backfill_offers_a_new_destination_both(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_queue, "_BATCH", 2)
    monkeypatch.setattr(catalogue_queue, "_LOOKED_AT", 3)
    catalogue = frames.catalogue
    taken = await frames.take_pairs(6)
    await frames.take(NOW + timedelta(minutes=1))
    await catalogue.remove_frames([taken[0].frame_id])
    await catalogue.settle_vanished_dngs([taken[1].frame_id], [])
    assert await catalogue.backfill("attic", "sky") == 6 + 4
    assert await catalogue.backfill("attic", "sky") == 0
    names = list(await uploads_of(catalogue, "attic"))
    assert sum(name.endswith(".dng") for name in names) == 4
    assert {u.local_path for u in (await uploads_of(catalogue, "attic")).values()} == {
        *(str(frames.path(frame)) for frame in await catalogue.recent_frames(9)),
        *(str(frames.dng_path(frame)) for frame in taken[2:]),
    }


async def test_a_dng_that_was_sent_by_hand_becomes_the_frames(frames: Frames) -> None:
    catalogue = frames.catalogue
    (frame,) = await frames.take_pairs(1, destinations=())
    remote = f"sky/{frame.dng.relative_path}"
    await catalogue.enqueue_files([(str(frames.dng_path(frame)), remote, frame.dng.size_bytes, frame.dng.sha256)], ["nas"])
    await frames.prove_files([frame.dng])
    assert await catalogue.backfill("nas", "sky") == 2
    await frames.prove_files([frame.file])
    await frames.take(NOW + timedelta(minutes=1))
    assert await catalogue.deletable(["nas"], older_than=None, limit=9) == [frame]
    with pytest.raises(CatalogueError) as caught:
        await catalogue.enqueue_files([("/x.dng", remote, 1, "00" * 32)], ["nas"])
    assert caught.value.key == "remote_path_taken"


async def test_dngs_that_are_left_of_frames(frames: Frames) -> None:
    catalogue = frames.catalogue
    proven, unproven, whole = await frames.take_pairs(3)
    await frames.prove_pairs([proven, whole])
    await frames.take(NOW + timedelta(minutes=1))
    await catalogue.settle_vanished([proven.frame_id, unproven.frame_id], [])
    assert await catalogue.deletable(["nas"], older_than=None, limit=9, left_dngs=True) == [proven]
    assert await catalogue.deletable([], older_than=None, limit=9, left_dngs=True) == []
    ids = [frame.frame_id for frame in (proven, unproven, whole)]
    assert await catalogue.deletable([], older_than=None, limit=9, left_dngs=True, allow_unproven=True) == [proven, unproven]
    assert await catalogue.mark_deleting(ids, proven_at=["nas"], left_dngs=True) == [proven.frame_id]
    await catalogue.remove_dngs([proven.frame_id])
    assert await catalogue.deletable([], older_than=None, limit=9, left_dngs=True, allow_unproven=True) == [unproven]
    assert await catalogue.missing_count() == 2, "the frames"
