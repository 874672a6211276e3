"""Every due tick becomes an exposure, a shared exposure or a counted missed slot; the clock may do what it likes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.skylapse.engine.capture import Exposure, Photographer
from custom_components.skylapse.engine.ports import EntityReading, Site
from custom_components.skylapse.engine.schedule.model import Always, Gate, Schedule, Tick, TimeOfDay
from custom_components.skylapse.engine.schedule.planner import Planner
from custom_components.skylapse.engine.scheduler import Missed, Scheduler

from .fakes import AMSTERDAM, TROMSO, FakeClock, FakeSource, run_for

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEN = Schedule("ten", "Every ten", Always(), timedelta(seconds=10))


class Rig:
    """A scheduler and what it hands on."""

    def __init__(self, *schedules: Schedule, now: datetime = NOON) -> None:
        self.clock = FakeClock(now)
        self.source = FakeSource(self.clock)
        self.photographer = Photographer(self.source, self.clock, deadline_s=30, on_change=lambda: None)
        self.site: Site = AMSTERDAM
        self.states: dict[str, str | None] = {}
        self.exposed: list[Exposure] = []
        self.missed: list[tuple[str, Missed]] = []
        self.wakes: list[datetime] = []
        self.refusal: Missed | None = None
        self.tasks: list[asyncio.Future[object]] = []
        self.planner = Planner(schedules)
        self.scheduler = Scheduler(
            self.planner,
            self.photographer,
            clock=self.clock,
            site=lambda: self.site,
            read_entity=lambda entity_id: EntityReading(entity_id, self.states.get(entity_id)),
            expose=self._expose,
            missed=self._missed,
            refusal=lambda: self.refusal,
            on_wake=self.wakes.append,
        )

    def _expose(self, exposure: Exposure) -> None:
        self.exposed.append(exposure)
        self.tasks.append(asyncio.ensure_future(self.photographer.expose(exposure)))

    def _missed(self, ticks: Sequence[Tick], reason: Missed) -> None:
        self.missed += [(tick.schedule_id, reason) for tick in ticks]

    async def run(self, seconds: float) -> None:
        await run_for(self.clock, seconds, self.settled)

    async def settled(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self.scheduler.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def due(self) -> list[str]:
        return [exposure.due_at.strftime("%H:%M:%S") for exposure in self.exposed]


@pytest.fixture
async def rig():
    rigs: list[Rig] = []

    def make(*schedules: Schedule, now: datetime = NOON) -> Rig:
        rigs.append(Rig(*schedules, now=now))
        return rigs[-1]

    yield make
    for made in rigs:
        await made.close()


async def test_ticks_sit_on_a_fixed_grid(rig) -> None:
    station = rig(TEN)
    station.source.exposure_s = 3.3
    station.scheduler.start()
    await station.run(60)
    assert station.due == ["12:00:10", "12:00:20", "12:00:30", "12:00:40", "12:00:50", "12:01:00"]
    assert station.missed == []


async def test_an_exposure_that_still_runs_makes_the_tick_a_missed_slot(rig) -> None:
    station = rig(TEN)
    station.source.exposure_s = 14.0
    station.scheduler.start()
    await station.run(60)
    assert station.due == ["12:00:10", "12:00:30", "12:00:50"]
    assert station.missed == [("ten", Missed.BUSY)] * 3


async def test_overlapping_schedules_share_an_exposure(rig) -> None:
    station = rig(TEN, Schedule("five", "Every five", Always(), timedelta(seconds=5)))
    station.source.exposure_s = 1.0
    station.scheduler.start()
    await station.run(20)
    shared = [sorted(tick.schedule_id for tick in exposure.ticks) for exposure in station.exposed]
    assert shared == [["five"], ["five", "ten"], ["five"], ["five", "ten"]]
    assert station.missed == []


async def test_a_tick_joins_the_running_exposure_of_another_schedule(rig) -> None:
    late = Schedule("late", "Late", TimeOfDay(NOON.time().replace(hour=13, second=12), NOON.time().replace(hour=14)), timedelta(seconds=10))
    station = rig(TEN, late)
    station.source.exposure_s = 4.0
    station.scheduler.start()
    await station.run(25)
    assert [[tick.schedule_id for tick in exposure.ticks] for exposure in station.exposed] == [["ten", "late"], ["ten", "late"]]


async def test_nothing_is_taken_or_counted_while_switched_off(rig) -> None:
    station = rig(TEN)
    station.scheduler.enabled = False
    station.scheduler.start()
    await station.run(60)
    assert station.exposed == []
    assert station.missed == []
    assert station.scheduler.next_capture() is None
    station.scheduler.enabled = True
    station.scheduler.wake()
    await station.run(11)
    assert len(station.exposed) == 1


async def test_a_refusal_is_a_missed_slot_with_its_reason(rig) -> None:
    station = rig(TEN)
    station.refusal = Missed.STORAGE_FULL
    station.scheduler.start()
    await station.run(20)
    assert station.missed == [("ten", Missed.STORAGE_FULL)] * 2
    assert station.exposed == []


async def test_a_gate_decides_without_counting(rig) -> None:
    gate = Gate("sensor.lux", above=100, open_when_unavailable=False)
    station = rig(replace(TEN, gate=gate))
    station.scheduler.start()
    await station.run(20)
    assert station.exposed == []
    assert station.missed == []
    station.states["sensor.lux"] = "250"
    station.scheduler.wake()
    await station.run(20)
    assert len(station.exposed) == 2


@pytest.mark.parametrize("step", [timedelta(hours=3), -timedelta(hours=3), timedelta(days=-9000), timedelta(seconds=45)])
async def test_a_stepped_clock_neither_counts_nor_repeats_slots(rig, step: timedelta) -> None:
    station = rig(TEN)
    station.scheduler.start()
    await station.run(20)
    station.clock.step(step)
    if not station.scheduler.clock_is_set:
        await station.run(60)
        assert len(station.exposed) == 2, "a clock that cannot be right dates no frame"
        assert station.scheduler.next_capture() is None
        return
    await station.run(30)
    assert station.missed == []
    later = station.exposed[2:]
    assert 2 <= len(later) <= 3
    assert all(exposure.due_at.second % 10 == 0 for exposure in later)
    assert all(exposure.due_at > NOON + timedelta(seconds=20) + step for exposure in later)


async def test_a_clock_that_starts_in_1970_waits_for_the_time_server(rig) -> None:
    station = rig(TEN, now=datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    station.scheduler.start()
    await station.run(60)
    assert station.exposed == []
    assert station.missed == []
    station.clock.step(NOON - station.clock.now())
    await station.run(21)
    assert station.due == ["12:00:10", "12:00:20"]


async def test_a_loop_that_was_held_up_takes_the_newest_and_counts_the_rest(rig) -> None:
    station = rig(TEN)
    station.scheduler.start()
    await station.run(10)
    station.clock.pass_time(station.clock.monotonic() + 32)
    await station.settled()
    assert station.missed == [("ten", Missed.LATE)] * 2
    assert station.due == ["12:00:10", "12:00:40"]
    station.clock.pass_time(station.clock.monotonic() + 16)
    await station.settled()
    assert station.missed == [("ten", Missed.LATE)] * 3, "eight seconds late is too late for an interval of ten"
    assert len(station.exposed) == 2


async def test_a_place_that_changes_is_planned_for_anew(rig) -> None:
    station = rig(TEN)
    station.scheduler.start()
    await station.run(1)
    planned = []
    station.planner.replan = lambda site, now: planned.append(site)
    station.scheduler.replan("sun.sun changed")
    assert planned == [], "the sun moved along its way: no window is another"
    station.site = TROMSO
    station.scheduler.replan("the location changed")
    assert planned == [TROMSO]


async def test_next_capture_is_the_next_tick(rig) -> None:
    station = rig(TEN)
    station.scheduler.start()
    await station.run(3)
    assert station.scheduler.next_capture() == NOON + timedelta(seconds=10)


async def test_without_schedules_it_only_watches(rig) -> None:
    station = rig()
    station.scheduler.start()
    await station.run(10)
    assert station.exposed == []
    assert station.scheduler.next_capture() is None
    assert len(station.wakes) >= 5


async def test_stop_before_start_is_nothing(rig) -> None:
    await rig(TEN).scheduler.stop()


async def test_an_error_of_our_own_does_not_stop_the_camera_for_good(
    rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = rig(TEN)
    station.scheduler.start()
    await station.run(10)
    with monkeypatch.context() as broken:
        broken.setattr(station.planner, "ticks", lambda *args: 1 / 0)
        await station.run(19)
        assert station.scheduler.broken
    await station.run(31)
    assert not station.scheduler.broken
    assert caplog.text.count("The schedules failed unexpectedly") == 1, "however often it failed"
    assert station.due == ["12:00:10", "12:00:30", "12:00:40", "12:00:50", "12:01:00"]
    assert station.missed == [("ten", Missed.LATE)], "the slot that nobody saw is counted later"
