"""The queue's state machine."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import pairwise
import logging
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import CatalogueError, DestinationError
from custom_components.skylapse.engine.frames.records import UploadState
from custom_components.skylapse.engine.status import EventKind
from custom_components.skylapse.engine.upload import queue as queue_module
from custom_components.skylapse.engine.upload.destination import Delivery
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder

from .conftest import sha256sum
from .scripted import START, Bench, SwiftClock


def wide(key: str = "destination_not_mounted") -> DestinationError:
    return DestinationError(key, destination_wide=True, path="/nas")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    made = Bench(tmp_path, SwiftClock())
    await made.catalogue.open()
    yield made
    if made.scripted.hold is not None:
        made.scripted.hold.set()
    await made.queue.stop()
    await made.catalogue.close()


async def test_files_are_delivered_and_verified(bench: Bench) -> None:
    assert bench.queue.available is None
    ids = await bench.add(*(f"a{number}" for number in range(30)))
    await bench.queue.start()
    await bench.until(lambda: len(bench.events) == 30)
    await bench.add("later")
    await bench.until(lambda: len(bench.events) == 31)
    assert bench.scripted.delivered == [*(f"a{number}" for number in range(30)), "later"]
    assert bench.scripted.checks == [0.0]
    assert bench.queue.available is True
    assert bench.queue.error is None
    assert bench.queue.next_try_at is None
    assert await bench.states() == {"verified": 31}
    (record,) = await bench.catalogue.uploads(ids[:1])
    assert record.method == "read_back"
    kind, data = bench.events[0]
    assert kind is EventKind.VERIFIED
    assert data == {
        "destination": "Scripted",
        "remote_path": "a0",
        "sha256": record.sha256,
        "method": "read_back",
        "frame_path": record.local_path,
    }
    assert bench.changed.is_set()


async def test_with_a_real_folder(tmp_path: Path) -> None:
    root = tmp_path / "nas"
    root.mkdir()
    clock = SwiftClock()
    bench = Bench(tmp_path, clock, FolderDestination("d", "NAS", root, prepare_folder(root), clock=clock))
    await bench.catalogue.open()
    await bench.add(*(f"cam/2026/11/{day}/{number}.jpg" for day in (22, 23) for number in range(40)))
    await bench.queue.start()
    await bench.until(lambda: len(bench.events) == 80)
    await bench.queue.stop()
    await bench.destination.close()
    for day in (22, 23):
        assert sha256sum(root / f"cam/2026/11/{day}").count(": OK") == 40
    assert await bench.states() == {"verified": 80}
    await bench.catalogue.close()


async def test_only_so_many_at_once(bench: Bench) -> None:
    bench.scripted.hold = asyncio.Event()
    bench.scripted.hold.set()
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"a{number}" for number in range(30)))
    await bench.until(lambda: bench.scripted.held == 3)
    assert (await bench.states())["sending"] <= 3 + 8
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(bench.scripted.attempts) == 3
    bench.scripted.hold.set()
    await bench.until(lambda: len(bench.events) == 30)


async def test_a_files_own_failure_waits_longer_each_time_and_holds_up_nobody(bench: Bench) -> None:
    bench.scripted.fails = lambda delivery: (
        DestinationError("source_unreadable", path="x", reason="y") if delivery.remote_path == "bad" else None
    )
    bad, _good = await bench.add("bad", "good")
    await bench.queue.start()
    record = await bench.until_state(bad, UploadState.WAITING)
    await bench.until(lambda: bench.scripted.delivered == ["good"])
    assert record.attempts == 1
    assert record.error_key == "source_unreadable"
    assert record.error_placeholders == {"path": "x", "reason": "y"}
    assert record.next_try_at is not None
    assert timedelta(seconds=5) <= record.next_try_at - START <= timedelta(seconds=6)
    assert bench.queue.available is True
    bench.clock.let_pass(24 * 3600)
    await bench.until(lambda: bench.clock.seconds > 23 * 3600)
    times = [at for at, name in bench.scripted.attempts if name == "bad"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(5 <= gap <= 3600.1 for gap in gaps)
    assert 30 <= len(times) <= 45
    bench.scripted.fails = lambda _delivery: None
    bench.clock.let_pass(3600)
    await bench.until_state(bad, UploadState.VERIFIED)
    failed = [data for kind, data in bench.events if kind is EventKind.UPLOAD_FAILED]
    assert failed[0] == {
        "destination": "Scripted",
        "remote_path": "bad",
        "error": "source_unreadable",
        "placeholders": {"path": "x", "reason": "y"},
        "quarantined": False,
    }


async def test_what_cannot_heal_is_quarantined_until_a_person_retries(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.scripted.fails = lambda _delivery: DestinationError("source_missing", permanent=True, path="x")
    (upload,) = await bench.add("gone")
    await bench.queue.start()
    record = await bench.until_state(upload, UploadState.QUARANTINED)
    assert record.error_key == "source_missing"
    bench.clock.let_pass(100_000)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert len(bench.scripted.attempts) == 1
    assert bench.events[-1] == (
        EventKind.UPLOAD_FAILED,
        {"destination": "Scripted", "remote_path": "gone", "error": "source_missing", "placeholders": {"path": "x"}, "quarantined": True},
    )
    assert "will not be sent" in caplog.text
    bench.scripted.fails = lambda _delivery: None
    assert await bench.catalogue.retry("d") == 1
    bench.queue.retry_now()
    await bench.until_state(upload, UploadState.VERIFIED)


async def test_a_hash_that_is_wrong_five_times_in_a_row(bench: Bench) -> None:
    bench.scripted.fails = lambda _delivery: DestinationError("wrong_hash", name="a")
    (upload,) = await bench.add("a")
    await bench.queue.start()
    assert (await bench.until_state(upload, UploadState.WAITING, 1)).error_placeholders == {"name": "a", "times": "1"}
    bench.scripted.fails = lambda _delivery: DestinationError("source_unreadable")  # something else between: the row is broken
    bench.clock.let_pass(6)
    await bench.until_state(upload, UploadState.WAITING, 2)
    bench.scripted.fails = lambda _delivery: DestinationError("wrong_hash", name="a")
    bench.clock.let_pass(100_000)
    record = await bench.until_state(upload, UploadState.QUARANTINED)
    assert record.attempts == 7
    assert record.error_placeholders == {"name": "a", "times": "5"}


async def test_an_error_of_our_own_is_a_failure_to_be_tried_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.scripted.fails = lambda _delivery: ZeroDivisionError("oops")
    (upload,) = await bench.add("a")
    await bench.queue.start()
    record = await bench.until_state(upload, UploadState.WAITING)
    assert record.error_key == "destination_failed"
    assert record.error_placeholders == {"reason": "ZeroDivisionError"}
    assert "ZeroDivisionError" in caplog.text
    bench.scripted.fails = lambda _delivery: None
    bench.clock.let_pass(10)
    await bench.until_state(upload, UploadState.VERIFIED)


async def test_resting(bench: Bench) -> None:
    bench.queue.set_enabled(False)
    await bench.queue.start()
    await bench.add("a")
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert bench.scripted.checks == []
    bench.scripted.hold = asyncio.Event()
    bench.queue.set_enabled(True)
    await bench.until(lambda: bench.scripted.held == 1)
    bench.scripted.hold.set()
    await bench.until(lambda: bench.queue.available is True)
    await bench.until(lambda: len(bench.events) == 1)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"b{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    bench.queue.set_enabled(False)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert await bench.states() == {"verified": 1, "sending": 3, "pending": 17}
    bench.scripted.hold.set()
    await bench.until(lambda: len(bench.events) == 4)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert await bench.states() == {"verified": 4, "pending": 17}
    bench.queue.set_enabled(True)
    await bench.until(lambda: len(bench.events) == 21)


async def test_stopping_lets_copies_finish_and_gives_back_the_rest(bench: Bench) -> None:
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"a{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    stopping = asyncio.create_task(bench.queue.stop())
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert not stopping.done()
    bench.scripted.hold.set()
    await stopping
    assert await bench.states() == {"verified": 3, "pending": 17}
    assert len(bench.events) == 3
    await bench.queue.stop()
    await bench.queue.start()
    await bench.until(lambda: len(bench.events) == 20)


async def test_stopping_does_not_wait_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "STOP_S", 0.02)
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"a{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    await bench.queue.stop()
    assert bench.scripted.held == 0
    assert await bench.states() == {"pending": 20}
    assert bench.events == []


async def test_stopping_while_it_looks(bench: Bench) -> None:
    bench.scripted.hold = asyncio.Event()
    await bench.queue.start()
    await bench.until(lambda: bench.scripted.held == 1)
    await bench.queue.stop()
    assert bench.scripted.held == 0


async def test_whoever_stops_it_may_be_cancelled(bench: Bench) -> None:
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"a{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    stopping = asyncio.create_task(bench.queue.stop())
    await asyncio.sleep(0.01)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    bench.scripted.hold.set()
    await bench.queue.stop()
    assert await bench.states() == {"verified": 3, "pending": 17}


async def test_the_task_itself_is_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the end of an event loop does it."""
    monkeypatch.setattr(queue_module, "STOP_S", 0.02)
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"a{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    task = bench.queue._task
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bench.states() == {"pending": 20}
    with pytest.raises(asyncio.CancelledError):
        await bench.queue.stop()
    bench.queue._task = None


@pytest.mark.parametrize("outcome", [None, DestinationError("source_changed", permanent=True), DestinationError("source_unreadable")])
async def test_a_file_queued_anew_while_it_was_sent(bench: Bench, outcome: DestinationError | None) -> None:
    """Whatever becomes of the old content, the new one is sent, once and not at the same time."""
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    bench.scripted.fails = lambda delivery: outcome if delivery.size_bytes == 3 else None
    (upload,) = await bench.add("a", content=b"old")
    await bench.until(lambda: bench.scripted.held == 1)
    await bench.add("a", content=b"newer")
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert len(bench.scripted.attempts) == 1
    bench.scripted.hold.set()
    record = await bench.until_state(upload, UploadState.VERIFIED)
    assert record.size_bytes == 5
    assert len(bench.scripted.attempts) == 2
    await bench.until(lambda: len(bench.events) == 1)
    assert bench.events[0][1]["sha256"] == record.sha256


async def test_a_catalogue_that_fails_for_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What was proven meanwhile is kept and noted later, and not sent twice."""
    caplog.set_level(logging.INFO)
    real = bench.catalogue.mark_verified
    failures = 0

    async def fail(proofs: object) -> list[int]:
        nonlocal failures
        failures += 1
        raise CatalogueError("catalogue_failed", path="x", reason="y")

    monkeypatch.setattr(bench.catalogue, "mark_verified", fail)
    await bench.add(*(f"a{number}" for number in range(6)))
    await bench.queue.start()
    await bench.until(lambda: failures >= 1)
    await bench.until(lambda: bench.queue.error is not None)
    assert bench.queue.error is not None
    assert bench.queue.error.key == "catalogue_failed"
    bench.clock.let_pass(60)
    await bench.until(lambda: failures >= 4)
    monkeypatch.setattr(bench.catalogue, "mark_verified", real)
    bench.clock.let_pass(60)
    await bench.until(lambda: len(bench.events) == 6)
    assert sorted(bench.scripted.delivered) == [f"a{number}" for number in range(6)]
    await bench.until(lambda: bench.queue.error is None)
    assert caplog.text.count("wait for the catalogue") == 1
    assert caplog.text.count("go on") == 1


async def test_a_catalogue_that_is_gone_when_it_stops(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    await bench.add(*(f"a{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    await bench.catalogue.close()
    bench.scripted.hold.set()
    await bench.queue.stop()
    assert "could not be given back" in caplog.text
    await bench.catalogue.open()
    assert await bench.states() == {"pending": 20}


async def test_an_error_in_our_own_code_does_not_end_all_uploads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = bench.catalogue.claim
    calls = 0

    async def claim(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        return await real(*args)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(bench.catalogue, "claim", claim)
    await bench.add("a")
    bench.clock.let_pass(60)
    await bench.queue.start()
    await bench.until(lambda: len(bench.events) == 1)
    assert "failed unexpectedly" in caplog.text


async def test_a_clock_that_jumps_back_strands_nobody(bench: Bench) -> None:
    bench.scripted.fails = lambda _delivery: DestinationError("source_unreadable")
    (upload,) = await bench.add("a")
    await bench.queue.start()
    await bench.until_state(upload, UploadState.WAITING)
    bench.scripted.fails = lambda _delivery: None
    bench.clock.jump = timedelta(days=-365)
    bench.clock.let_pass(7300)
    await bench.until_state(upload, UploadState.VERIFIED)


async def test_it_does_not_spin(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0
    real = bench.queue._turn

    async def turn() -> float | None:
        nonlocal turns
        turns += 1
        return await real()

    monkeypatch.setattr(bench.queue, "_turn", turn)
    bench.scripted.fails = lambda delivery: DestinationError("source_unreadable") if delivery.remote_path == "b" else None
    await bench.add("a", "b")
    await bench.queue.start()
    await bench.until(lambda: len(bench.events) == 2)
    before = turns
    for _ in range(200):
        await asyncio.sleep(0.0005)
    assert turns - before <= 3


async def test_deliveries_name_the_frames_file(bench: Bench) -> None:
    seen: list[Delivery] = []
    bench.scripted.fails = seen.append
    await bench.add("x/y")
    await bench.queue.start()
    await bench.until(lambda: len(bench.events) == 1)
    assert seen[0].local_path == bench.folder / "x_y"
    assert seen[0].size_bytes == 100
