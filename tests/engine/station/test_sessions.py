"""Sessions through windows that move and restarts that come late."""

from dataclasses import replace
from datetime import time, timedelta

from custom_components.skylapse.engine.schedule.model import TimeOfDay
from custom_components.skylapse.engine.status import EventKind

from .conftest import TEN, World

MINUTE = replace(TEN, when=TimeOfDay(time(13, 0), time(13, 1)))


async def test_a_session_that_ended_while_it_was_away_is_closed_with_its_own_end(world: World) -> None:
    station = await world.started((MINUTE,))
    await world.run(25)
    await station.stop()
    assert world.of_kind(EventKind.SESSION_ENDED) == []
    world.clock.step(timedelta(hours=5))
    await world.started((MINUTE,))
    await world.run(3)
    await world.until(lambda: len(world.of_kind(EventKind.SESSION_ENDED)) == 1)
    ended = world.of_kind(EventKind.SESSION_ENDED)[0].data
    assert ended["frames"] == 2
    assert ended["window_end"].startswith("2026-11-23T12:01:00")


async def test_a_window_that_moves_continues_its_session(world: World) -> None:
    station = await world.started((MINUTE,))
    await world.run(25)
    await station.stop()
    later = replace(MINUTE, when=TimeOfDay(time(13, 0), time(13, 2)))
    station = await world.started((later,))
    await world.run(15)
    await world.until(lambda: station.status.frames_total == 4)
    assert len(world.of_kind(EventKind.SESSION_STARTED)) == 1


async def test_a_window_that_is_another_one_begins_a_session_of_its_own(world: World) -> None:
    station = await world.started((MINUTE,))
    await world.run(25)
    await station.stop()
    station = await world.started((replace(MINUTE, when=TimeOfDay(time(13, 0, 30), time(13, 2))),))
    await world.run(20)
    await world.until(lambda: len(world.of_kind(EventKind.SESSION_STARTED)) + len(world.of_kind(EventKind.SESSION_ENDED)) >= 1)
    await world.until(lambda: station.status.frames_total >= 3)


async def test_frames_held_back_across_a_windows_end_go_to_their_own_sessions(world: World, monkeypatch: object) -> None:
    station = await world.started((TEN,))
    tick = station._planner.next_tick(world.clock.now(), lambda _: True)
    assert tick is not None
    await station._sessions.session_of(TEN, tick)
    tomorrow = replace(tick, window=replace(tick.window, start=tick.window.end, end=tick.window.end + timedelta(days=1)))
    await station._sessions.session_of(TEN, tomorrow)
    assert len(world.of_kind(EventKind.SESSION_ENDED)) == 1
    assert len(world.of_kind(EventKind.SESSION_STARTED)) == 2
