"""The queue's states in the catalogue, alone and in any order."""

from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.errors import CatalogueError
from custom_components.skylapse.engine.frames import catalogue_queue
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import QueueCounts, UploadRecord, UploadState
from custom_components.skylapse.engine.upload.destination import Proof, ProofMethod
from tests.engine.fakes import FakeClock

from .conftest import NOW, Frames

SECOND = timedelta(seconds=1)


def item(number: int, content: int | None = None) -> tuple[str, str, int, str]:
    content = number if content is None else content
    return f"/out/{number}.jpg", f"more/{number}.jpg", 100 + content, f"{content:064x}"


def proof(upload: UploadRecord) -> tuple[int, Proof]:
    return upload.upload_id, Proof(upload.sha256, upload.size_bytes, ProofMethod.READ_BACK, NOW + SECOND)


async def state_of(catalogue: Catalogue, upload: UploadRecord) -> UploadState:
    (now,) = await catalogue.uploads([upload.upload_id])
    return now.state


async def test_oldest_first_and_each_once(catalogue: Catalogue) -> None:
    queued = await catalogue.enqueue_files([item(number) for number in range(5)], ["nas"])
    first = await catalogue.claim("nas", 2, NOW)
    assert [upload.upload_id for upload in first] == [upload.upload_id for upload in queued[:2]]
    assert {upload.state for upload in first} == {UploadState.SENDING}
    assert [upload.upload_id for upload in await catalogue.claim("nas", 9, NOW)] == [upload.upload_id for upload in queued[2:]]
    assert await catalogue.claim("nas", 9, NOW) == []
    assert await catalogue.claim("unknown", 9, NOW) == []


async def test_verified(catalogue: Catalogue) -> None:
    await catalogue.enqueue_files([item(1)], ["nas"])
    (upload,) = await catalogue.claim("nas", 9, NOW)
    assert await catalogue.mark_verified([proof(upload)]) == [upload.upload_id]
    (verified,) = await catalogue.uploads([upload.upload_id])
    assert (verified.state, verified.method, verified.verified_at) == (UploadState.VERIFIED, "read_back", NOW + SECOND)
    assert (await catalogue.counts())["nas"] == QueueCounts(verified=1, last_verified_at=NOW + SECOND)


async def test_a_proof_of_other_bytes_proves_nothing(catalogue: Catalogue) -> None:
    await catalogue.enqueue_files([item(1)], ["nas"])
    (upload,) = await catalogue.claim("nas", 9, NOW)
    same_size = (*item(1)[:3], f"{2:064x}")
    (changed,) = await catalogue.enqueue_files([same_size], ["nas"])
    assert changed.upload_id == upload.upload_id
    assert await catalogue.mark_verified([proof(upload), (4711, proof(upload)[1])]) == []
    assert await state_of(catalogue, upload) is UploadState.PENDING
    (upload,) = await catalogue.claim("nas", 9, NOW)
    assert await catalogue.mark_verified([(upload.upload_id, Proof(upload.sha256, 1, ProofMethod.READ_BACK, NOW))]) == []
    assert (await catalogue.counts())["nas"].verified == 0


async def test_waiting_until_it_is_due(catalogue: Catalogue) -> None:
    first, second = await catalogue.enqueue_files([item(1), item(2)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_waiting(first.upload_id, NOW + 10 * SECOND, "destination_full", {"name": "NAS"})
    (waiting,) = await catalogue.uploads([first.upload_id])
    assert (waiting.state, waiting.attempts, waiting.next_try_at) == (UploadState.WAITING, 1, NOW + 10 * SECOND)
    assert (waiting.error_key, waiting.error_placeholders) == ("destination_full", {"name": "NAS"})
    assert await catalogue.next_try_at("nas") == NOW + 10 * SECOND
    assert [upload.upload_id for upload in await catalogue.claim("nas", 9, NOW + 9 * SECOND)] == [second.upload_id]
    (again,) = await catalogue.claim("nas", 9, NOW + 10 * SECOND)
    assert (again.upload_id, again.attempts, again.next_try_at) == (first.upload_id, 1, None)
    assert await catalogue.next_try_at("nas") is None
    await catalogue.mark_verified([proof(again)])
    (verified,) = await catalogue.uploads([first.upload_id])
    assert (verified.error_key, verified.error_placeholders) == (None, {})


async def test_a_clock_that_jumped_back_makes_nothing_wait_for_years(catalogue: Catalogue, clock: FakeClock) -> None:
    (upload,) = await catalogue.enqueue_files([item(1)], ["nas"])
    clock.step(timedelta(days=3650))
    await catalogue.claim("nas", 1, clock.now())
    await catalogue.mark_waiting(upload.upload_id, clock.now() + timedelta(hours=1), "x", {})
    clock.step(timedelta(days=-3650))
    assert await catalogue.next_try_at("nas") == clock.now()
    assert [due.upload_id for due in await catalogue.claim("nas", 1, clock.now())] == [upload.upload_id]


async def test_the_longest_wait_is_waited_for(catalogue: Catalogue, clock: FakeClock) -> None:
    (upload,) = await catalogue.enqueue_files([item(1)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_waiting(upload.upload_id, NOW + catalogue_queue.LONGEST_WAIT, "x", {})
    assert await catalogue.claim("nas", 1, NOW) == []
    assert await catalogue.next_try_at("nas") == NOW + catalogue_queue.LONGEST_WAIT


async def test_quarantined_until_retried(catalogue: Catalogue) -> None:
    one, two, three = await catalogue.enqueue_files([item(1), item(2), item(3)], ["nas"])
    (other,) = await catalogue.enqueue_files([item(1)], ["attic"])
    await catalogue.mark_quarantined(one.upload_id, "source_missing", {"path": "/out/1.jpg"})
    await catalogue.mark_quarantined(other.upload_id, "name_refused", {})
    await catalogue.mark_waiting(two.upload_id, NOW + timedelta(hours=1), "x", {})
    assert [(upload.upload_id, upload.error_key) for upload in await catalogue.quarantined(9)] == [
        (one.upload_id, "source_missing"),
        (other.upload_id, "name_refused"),
    ]
    assert len(await catalogue.quarantined(1)) == 1
    assert (await catalogue.counts())["nas"] == QueueCounts(pending=1, waiting=1, quarantined=1, queued_bytes=205, oldest_queued_at=NOW)
    assert await catalogue.retry("nas") == 2
    assert await catalogue.retry("nas") == 0
    assert [upload.attempts for upload in await catalogue.claim("nas", 9, NOW)] == [0, 0, 0]
    assert await state_of(catalogue, other) is UploadState.QUARANTINED
    assert await catalogue.retry(None) == 1
    assert await catalogue.quarantined(9) == []
    assert await state_of(catalogue, three) is UploadState.SENDING


async def test_released_untried(catalogue: Catalogue) -> None:
    (upload,) = await catalogue.enqueue_files([item(1)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_waiting(upload.upload_id, NOW, "x", {})
    await catalogue.claim("nas", 1, NOW)
    await catalogue.release([upload.upload_id])
    (released,) = await catalogue.uploads([upload.upload_id])
    assert (released.state, released.attempts) == (UploadState.PENDING, 1)
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_verified([proof(upload)])
    await catalogue.release([upload.upload_id])
    assert await state_of(catalogue, upload) is UploadState.VERIFIED


async def test_the_same_file_again_keeps_its_row(catalogue: Catalogue) -> None:
    (upload,) = await catalogue.enqueue_files([item(1)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_verified([proof(upload)])
    moved = ("/moved/1.jpg", *item(1)[1:])
    (again,) = await catalogue.enqueue_files([moved], ["nas"])
    assert (again.upload_id, again.state, again.local_path) == (upload.upload_id, UploadState.VERIFIED, "/moved/1.jpg")
    await catalogue.mark_quarantined(upload.upload_id, "source_missing", {})
    (again,) = await catalogue.enqueue_files([moved], ["nas"])
    assert again.state is UploadState.PENDING


async def test_other_content_is_sent_anew(catalogue: Catalogue, clock: FakeClock) -> None:
    (upload,) = await catalogue.enqueue_files([item(1)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_verified([proof(upload)])
    clock.step(SECOND)
    (again,) = await catalogue.enqueue_files([item(1, content=9)], ["nas"])
    assert (again.upload_id, again.state, again.verified_at) == (upload.upload_id, UploadState.PENDING, None)
    assert (again.sha256, again.size_bytes, again.created_at) == (f"{9:064x}", 109, NOW + SECOND)
    assert (await catalogue.counts())["nas"].queued_bytes == 109


async def test_a_frames_place_is_not_taken_by_another_file(frames: Frames) -> None:
    (frame,) = await frames.take_many(1)
    remote = "sky/" + frame.file.relative_path
    same = ("/elsewhere.jpg", remote, frame.file.size_bytes, frame.file.sha256)
    (upload,) = await frames.catalogue.enqueue_files([same], ["nas"])
    assert (upload.frame_id, upload.local_path) == (frame.frame_id, str(frames.path(frame)))
    with pytest.raises(CatalogueError) as caught:
        await frames.catalogue.enqueue_files([item(1), ("/elsewhere.jpg", remote, 1, "00" * 32)], ["nas"])
    assert caught.value.key == "remote_path_taken"
    assert (await frames.catalogue.counts())["nas"].pending == 1


@pytest.mark.parametrize("same", [True, False])
async def test_a_frame_takes_over_the_row_of_its_own_path(frames: Frames, same: bool) -> None:
    catalogue = frames.catalogue
    frame = await frames.take(NOW, destinations=())
    content = frame.file.sha256 if same else "00" * 32
    (upload,) = await catalogue.enqueue_files([("/x.jpg", "sky/" + frame.file.relative_path, frame.file.size_bytes, content)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_verified([proof(upload)])
    assert await catalogue.backfill("nas", "sky") == 1
    (upload,) = await catalogue.uploads([upload.upload_id])
    assert (upload.frame_id, upload.sha256, upload.local_path) == (frame.frame_id, frame.file.sha256, str(frames.path(frame)))
    assert upload.state is (UploadState.VERIFIED if same else UploadState.PENDING)


async def test_requeued_its_proof_is_gone(catalogue: Catalogue) -> None:
    (upload,) = await catalogue.enqueue_files([item(1)], ["nas"])
    await catalogue.claim("nas", 1, NOW)
    await catalogue.mark_verified([proof(upload)])
    await catalogue.requeue([upload.upload_id])
    (again,) = await catalogue.uploads([upload.upload_id])
    assert (again.state, again.method, again.verified_at) == (UploadState.PENDING, None, None)
    assert (await catalogue.counts())["nas"].verified == 0


async def test_pages_of_what_is_proven_go_day_by_day(frames: Frames) -> None:
    catalogue = frames.catalogue
    taken = [await frames.take(NOW + timedelta(days=day, seconds=number)) for number in range(2) for day in (2, 0, 1)]
    await frames.prove(taken[:5])
    in_order = [taken[1].frame_id, taken[4].frame_id, taken[2].frame_id, taken[0].frame_id, taken[3].frame_id]

    async def pages(**days: date) -> list[int]:
        found: list[UploadRecord] = []
        while page := await catalogue.verified_page("nas", found[-1].upload_id if found else 0, 2, **days):
            found += page
        return [upload.frame_id for upload in found]

    assert await pages() == in_order
    day = NOW.date()
    assert await pages(day_from=day, day_to=day) == in_order[:2]
    assert await pages(day_from=day + timedelta(days=1)) == in_order[2:]
    assert await pages(day_to=day + timedelta(days=1)) == in_order[:3]
    assert await catalogue.verified_page("attic", 0, 5) == []


async def test_only_known_destinations_are_kept(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_queue, "_BATCH", 2)
    catalogue = frames.catalogue
    taken = await frames.take_many(5, destinations=("nas", "attic"))
    await frames.prove(taken[:2], "attic")
    await catalogue.keep_destinations(["nas", "cellar"])
    counts = await catalogue.counts()
    assert list(counts) == ["nas", "cellar"]
    assert (counts["nas"].pending, counts["cellar"]) == (5, QueueCounts())
    await catalogue.keep_destinations(["nas"])
    await catalogue.keep_destinations(["nas"])
    assert list(await catalogue.counts()) == ["nas"]
    await catalogue.keep_destinations([])
    assert await catalogue.counts() == {}


@pytest.mark.parametrize("looked_at", [1, 3, 20])
async def test_backfill_queues_what_a_new_destination_does_not_know(
    frames: Frames, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    monkeypatch.setattr(catalogue_queue, "_BATCH", 2)
    monkeypatch.setattr(catalogue_queue, "_LOOKED_AT", looked_at)
    taken = await frames.take_many(7)
    await frames.catalogue.remove_frames([taken[0].frame_id])
    await frames.catalogue.mark_missing([taken[1].frame_id])
    assert await frames.catalogue.backfill("attic", "sky") == 5
    assert await frames.catalogue.backfill("attic", "sky") == 0
    uploads = await frames.catalogue.claim("attic", 9, NOW)
    assert [upload.frame_id for upload in uploads] == [frame.frame_id for frame in taken[2:]]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["enqueue", "change", "claim", "verify", "wait", "quarantine", "release", "retry", "requeue"]), st.integers(0, 5)
    ),
    max_size=40,
)


@given(actions=ACTIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_counts_are_those_of_the_rows_after_anything(catalogue: Catalogue, actions: list[tuple[str, int]]) -> None:
    for action, number in actions:
        (upload,) = await catalogue.enqueue_files([item(number)], ["nas"])
        match action:
            case "change":
                await catalogue.enqueue_files([item(number, content=number + 50)], ["nas"])
            case "claim":
                await catalogue.claim("nas", number, NOW)
            case "verify":
                await catalogue.mark_verified([proof(upload)])
            case "wait":
                await catalogue.mark_waiting(upload.upload_id, NOW + number * SECOND, "x", {})
            case "quarantine":
                await catalogue.mark_quarantined(upload.upload_id, "x", {})
            case "release":
                await catalogue.release([upload.upload_id])
            case "retry":
                await catalogue.retry("nas")
            case "requeue":
                await catalogue.requeue([upload.upload_id])
    ids = await catalogue._read(lambda connection: [row[0] for row in connection.execute("SELECT upload_id FROM uploads")])
    rows = await catalogue.uploads(ids)
    counts = (await catalogue.counts()).get("nas", QueueCounts())
    for state in UploadState:
        assert getattr(counts, state.value) == sum(row.state is state for row in rows)
    queued = [row for row in rows if row.state in {UploadState.PENDING, UploadState.SENDING, UploadState.WAITING}]
    assert (counts.queued, counts.queued_bytes) == (len(queued), sum(row.size_bytes for row in queued))
    assert counts.oldest_queued_at == (NOW if queued else None)
    await catalogue.keep_destinations([])
