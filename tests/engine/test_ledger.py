"""Writes stay in order, wait out a full disk, and never hold the line for ever."""

import asyncio
from datetime import UTC, datetime

from custom_components.skylapse.engine.errors import CatalogueError, StorageError
from custom_components.skylapse.engine.ledger import RETRY_S, TRIES, Ledger

from .fakes import FakeClock, run_for

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_writes_are_done_in_order() -> None:
    done: list[int] = []
    ledger = Ledger(FakeClock(NOW), lambda: None)
    ledger.start()
    for number in range(5):

        async def write(number: int = number) -> None:
            await asyncio.sleep(0)
            done.append(number)

        ledger.put(write)
    assert await ledger.stop(1) == 0
    assert done == [0, 1, 2, 3, 4]


async def test_a_full_disk_is_waited_out_and_nothing_overtakes() -> None:
    clock, changes, done = FakeClock(NOW), [], []
    full = True

    async def first() -> None:
        if full:
            raise StorageError("disk_full")
        done.append("first")

    async def second() -> None:
        done.append("second")

    ledger = Ledger(clock, lambda: changes.append(ledger.error))
    ledger.start()
    ledger.put(first)
    ledger.put(second)
    await run_for(clock, RETRY_S * (TRIES + 5), _settled)
    assert done == []
    assert ledger.error is not None
    assert ledger.error.key == "disk_full"
    assert ledger.backlog == 2
    assert len(changes) == 1, "the same error is told once"
    full = False
    await run_for(clock, RETRY_S, _settled)
    assert done == ["first", "second"]
    assert ledger.error is None
    assert len(changes) == 2
    await ledger.stop(1)


async def test_a_write_that_cannot_succeed_is_given_up_and_the_line_moves_on() -> None:
    clock, given_up, done = FakeClock(NOW), [], []

    async def bad() -> None:
        raise CatalogueError("catalogue_failed")

    async def good() -> None:
        done.append("good")

    ledger = Ledger(clock, lambda: None)
    ledger.start()
    ledger.put(bad, given_up.append)
    ledger.put(bad)
    ledger.put(good)
    await run_for(clock, RETRY_S * (2 * TRIES + 1), _settled)
    assert [err.key for err in given_up] == ["catalogue_failed"]
    assert done == ["good"]
    assert ledger.error is None
    await ledger.stop(1)


async def test_a_bug_in_a_write_is_given_up_like_any_other_failure() -> None:
    clock, given_up = FakeClock(NOW), []

    async def broken() -> None:
        raise ZeroDivisionError

    ledger = Ledger(clock, lambda: None)
    ledger.start()
    ledger.put(broken, given_up.append)
    await run_for(clock, RETRY_S * TRIES, _settled)
    assert [(err.key, err.placeholders) for err in given_up] == [("unexpected", {"error": "ZeroDivisionError"})]
    await ledger.stop(1)


async def test_stop_tells_what_was_left_undone_and_does_not_hang() -> None:
    clock = FakeClock(NOW)

    async def full() -> None:
        raise StorageError("disk_full")

    ledger = Ledger(clock, lambda: None)
    ledger.put(full)
    assert await ledger.stop(0.01) == 1, "a ledger that was never started has nothing to stop"
    ledger.start()
    assert await ledger.stop(0.01) == 1


async def test_a_write_that_no_try_can_help_does_not_hold_up_the_line() -> None:
    clock, given_up, done = FakeClock(NOW), [], []

    async def corrupt() -> None:
        raise CatalogueError("catalogue_corrupt")

    async def good() -> None:
        done.append("good")

    ledger = Ledger(clock, lambda: None)
    ledger.start()
    ledger.put(corrupt, given_up.append)
    ledger.put(good)
    await _settled()
    assert [err.key for err in given_up] == ["catalogue_corrupt"]
    assert done == ["good"]
    await ledger.stop(1)
