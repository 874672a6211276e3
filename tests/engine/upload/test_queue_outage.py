"""The queue while its destination is down."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from itertools import pairwise
import logging
from pathlib import Path
import shutil

import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.frames.records import UploadState
from custom_components.skylapse.engine.status import EventKind
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder

from .conftest import sha256sum
from .scripted import START, Bench, SwiftClock

DAY_S = 24 * 3600


def wide(key: str = "destination_not_mounted") -> DestinationError:
    return DestinationError(key, destination_wide=True, path="/nas")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    made = Bench(tmp_path, SwiftClock())
    await made.catalogue.open()
    yield made
    await made.queue.stop()
    await made.catalogue.close()


async def test_a_day_without_the_destination(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Files come in all day; none is touched, none lost; the destination is asked ever more rarely; then all is delivered."""
    caplog.set_level(logging.DEBUG)
    bench.scripted.down = wide()
    await bench.queue.start()
    for hour in range(24):
        await bench.add(*(f"h{hour}/{number}" for number in range(10)))
        bench.clock.let_pass(3600)
        await bench.until(lambda end=(hour + 1) * 3600: bench.queue._outage.wait_s > end - bench.clock.seconds)
    assert bench.queue.available is False
    assert bench.queue.error is not None
    assert bench.queue.error.key == "destination_not_mounted"
    assert bench.queue.next_try_at is not None
    assert bench.queue.next_try_at > START
    assert await bench.states() == {"pending": 240}
    assert bench.scripted.attempts == []
    gaps = [later - earlier for earlier, later in pairwise(bench.scripted.checks)]
    assert 5 <= gaps[0] <= 6
    assert all(2880 <= gap <= 3600.1 for gap in gaps[12:])
    assert 30 <= len(bench.scripted.checks) <= 45
    assert [data["error"] for kind, data in bench.events if kind is EventKind.UPLOAD_FAILED] == ["destination_not_mounted"]
    bench.scripted.down = None
    bench.clock.let_pass(3601)
    await bench.until(lambda: len(bench.scripted.delivered) == 240)
    await bench.until(lambda: len(bench.events) == 241)
    assert len(set(bench.scripted.delivered)) == 240
    assert await bench.states() == {"verified": 240}
    assert bench.queue.available is True
    assert bench.queue.error is None
    assert caplog.text.count("is not available") == 1
    assert caplog.text.count("available again") == 1


async def test_it_goes_down_while_files_are_under_way(bench: Bench) -> None:
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is True)
    bench.scripted.hold = asyncio.Event()
    ids = await bench.add(*(f"a{number}" for number in range(20)))
    await bench.until(lambda: bench.scripted.held == 3)
    bench.scripted.down = wide("destination_io_error")
    bench.scripted.fails = lambda _delivery: wide("destination_io_error")
    bench.scripted.hold.set()
    await bench.until(lambda: bench.queue.available is False)
    await bench.until(lambda: bench.queue._outage.wait_s > 0)
    for _ in range(30):
        await asyncio.sleep(0.001)
    assert await bench.states() == {"pending": 20}
    assert {record.attempts for record in await bench.catalogue.uploads(ids)} == {0}
    assert len(bench.events) == 1  # one outage, told once
    assert len(bench.scripted.attempts) == 3
    assert bench.queue._outage._failures == 1
    bench.scripted.down = None
    bench.scripted.fails = lambda _delivery: None
    bench.clock.let_pass(10)
    await bench.until(lambda: len(bench.scripted.delivered) == 20)


async def test_one_file_decides_after_an_outage(bench: Bench) -> None:
    """A full disk takes the look's small file, but no frame: one attempt per look, ever more rarely, and no end of the outage is told."""
    bench.scripted.fails = lambda _delivery: wide("destination_full")
    await bench.add(*(f"a{number}" for number in range(20)))
    bench.clock.let_pass(DAY_S)
    await bench.queue.start()
    await bench.until(lambda: bench.clock.seconds > DAY_S - 3700)
    assert bench.queue.available is False
    assert len(bench.scripted.checks) <= 45
    tries = Counter(name for _, name in bench.scripted.attempts)
    assert max(tries.values()) <= 45  # each file that was tried in vain backs off to once an hour
    assert len(tries) > 10  # the oldest does not keep the others from being tried
    states = await bench.states()
    assert sum(states.values()) == 20
    assert states.get("quarantined", 0) == 0
    assert len([data for _, data in bench.events if data["remote_path"] is None]) == 0
    bench.scripted.fails = lambda _delivery: None
    bench.clock.let_pass(3 * 3600)
    await bench.until(lambda: len(bench.scripted.delivered) == 20)
    await bench.until(lambda: bench.queue.available is True)


async def test_one_bad_file_does_not_hold_up_the_others(bench: Bench) -> None:
    """The oldest file brings the destination down each time it is tried, though every look is good."""
    bench.scripted.fails = lambda delivery: wide("destination_denied") if delivery.remote_path == "bad" else None
    bad, *_others = await bench.add("bad", *(f"a{number}" for number in range(5)))
    bench.clock.let_pass(3600)
    await bench.queue.start()
    await bench.until(lambda: len(bench.scripted.delivered) == 5)
    record = await bench.until_state(bad, UploadState.WAITING)
    assert record.error_key == "destination_denied"
    await bench.until(lambda: bench.queue.available is True)


async def test_a_person_does_not_want_to_wait(bench: Bench) -> None:
    bench.scripted.down = wide()
    await bench.add("a")
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is False)
    bench.queue.retry_now()
    await bench.until(lambda: len(bench.scripted.checks) == 2)
    bench.scripted.down = None
    bench.queue.retry_now()
    await bench.until(lambda: bench.scripted.delivered == ["a"])
    bench.queue.retry_now()
    assert bench.queue.next_try_at is None


async def test_it_comes_back_with_nothing_to_send(bench: Bench) -> None:
    bench.scripted.down = wide()
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is False)
    assert bench.events[0][1] == {
        "destination": "Scripted",
        "remote_path": None,
        "error": "destination_not_mounted",
        "placeholders": {"path": "/nas"},
        "quarantined": False,
    }
    bench.scripted.down = None
    bench.clock.let_pass(10)
    await bench.until(lambda: bench.queue.available is True)
    assert bench.queue.next_try_at is None


async def test_a_look_that_fails_by_our_own_fault(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.scripted.down = ZeroDivisionError("oops")
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is False)
    assert bench.queue.error is not None
    assert bench.queue.error.key == "destination_failed"
    assert "ZeroDivisionError" in caplog.text


async def test_a_file_fails_by_itself_while_the_destination_is_on_trial(bench: Bench) -> None:
    bench.scripted.down = wide()
    bench.scripted.fails = lambda delivery: DestinationError("source_missing", permanent=True) if delivery.remote_path == "gone" else None
    gone, good = await bench.add("gone", "good")
    await bench.queue.start()
    await bench.until(lambda: bench.queue.available is False)
    bench.scripted.down = None
    bench.clock.let_pass(10)
    await bench.until_state(gone, UploadState.QUARANTINED)
    await bench.until_state(good, UploadState.VERIFIED)
    await bench.until(lambda: bench.queue.available is True)


async def test_a_real_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    root, away = tmp_path / "nas", tmp_path / "away"
    root.mkdir()
    clock = SwiftClock()
    bench = Bench(tmp_path, clock, FolderDestination("d", "NAS", root, prepare_folder(root), clock=clock))
    await bench.catalogue.open()
    await bench.queue.start()
    await bench.add(*(f"day/{number}" for number in range(10)))
    await bench.until(lambda: len(bench.events) == 10)
    shutil.move(root, away)
    root.mkdir()  # the empty folder below the mount
    await bench.add(*(f"day/{number}" for number in range(10, 30)))
    await bench.until(lambda: bench.queue.available is False)
    assert list(root.iterdir()) == []
    root.rmdir()
    shutil.move(away, root)
    clock.let_pass(3600)
    await bench.until(lambda: len([kind for kind, _ in bench.events if kind is EventKind.VERIFIED]) == 30)
    assert sha256sum(root / "day").count(": OK") == 30
    await bench.queue.stop()
    await bench.destination.close()
    await bench.catalogue.close()
