"""Missed slots are counted one by one, but told and written in bundles."""

import asyncio
from datetime import timedelta

import pytest

from custom_components.skylapse.engine.errors import CatalogueError, StorageError
from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.ledger import RETRY_S
from custom_components.skylapse.engine.schedule.model import Schedule
from custom_components.skylapse.engine.scheduler import Missed
from custom_components.skylapse.engine.status import EventKind, Problem

from .conftest import NOON, TEN, World

FULL = RetentionRule(min_free_bytes=2**62, max_age=None, without_copy=False)


async def test_a_long_pause_is_told_once_a_minute_and_counted_to_the_slot(world: World) -> None:
    station = await world.started((Schedule("one", "Every second", TEN.when, timedelta(seconds=1)),), retention=FULL)
    await world.until(lambda: Problem.STORAGE_FULL in station.status.problems)
    await world.run(200)
    events = [event for event in world.of_kind(EventKind.MISSED) if event.data["reason"] == "storage_full"]
    assert 3 <= len(events) <= 5
    await station.stop()
    events = [event for event in world.of_kind(EventKind.MISSED) if event.data["reason"] == "storage_full"]
    assert sum(event.data["count"] for event in events) == 200
    assert station.status.slots_24h.missed == 200
    assert station.status.next_capture_at is None


async def test_missed_slots_wait_for_the_disk_in_one_entry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started((Schedule("one", "Every second", TEN.when, timedelta(seconds=1)),), retention=FULL)
    await world.until(lambda: Problem.STORAGE_FULL in station.status.problems)
    add_slots = station._catalogue.add_slots

    async def refuse(*args: object, **kwargs: object) -> None:
        raise StorageError("disk_full", path="x")

    monkeypatch.setattr(station._catalogue, "add_slots", refuse)
    await world.run(100)
    assert station._ledger.backlog == 1
    monkeypatch.setattr(station._catalogue, "add_slots", add_slots)
    await world.run(RETRY_S)
    await world.until(lambda: station.status.slots_24h.missed >= 100)


async def test_slots_missed_while_earlier_ones_are_written_are_written_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started((TEN,), retention=FULL)
    await world.until(lambda: Problem.STORAGE_FULL in station.status.problems)
    add_slots, gate = station._catalogue.add_slots, asyncio.Event()

    async def slow(*args: object, **kwargs: object) -> None:
        await gate.wait()
        await add_slots(*args, **kwargs)

    monkeypatch.setattr(station._catalogue, "add_slots", slow)
    window = station._planner.window_at("ten", NOON)
    assert window is not None
    for seconds in (10, 20):
        ticks = station._planner.ticks(NOON + timedelta(seconds=seconds - 5), NOON + timedelta(seconds=seconds), lambda _: True)
        station._misses.note(ticks, Missed.BUSY, NOON + timedelta(seconds=seconds))
        await asyncio.sleep(0.05)
    gate.set()
    await world.until(lambda: station._ledger.backlog == 0)
    totals, _ = await station._catalogue.totals()
    assert totals.missed == 2


async def test_missed_slots_that_were_given_up_go_with_the_next_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started((TEN,), retention=FULL)
    await world.until(lambda: Problem.STORAGE_FULL in station.status.problems)

    async def refuse(*args: object, **kwargs: object) -> None:
        raise CatalogueError("catalogue_failed")

    with monkeypatch.context() as broken:
        broken.setattr(station._catalogue, "add_slots", refuse)
        await world.run(60)
    await world.run(60)
    totals, _ = await station._catalogue.totals()
    assert totals.missed == 12
