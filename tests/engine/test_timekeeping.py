"""A clock that is stepped is noticed; one that merely runs is not."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.skylapse.engine.timekeeping import ClockWatch

from .fakes import FakeClock


def test_time_passing_is_no_jump() -> None:
    clock = FakeClock(datetime(2026, 11, 23, tzinfo=UTC))
    watch = ClockWatch(clock)
    clock.pass_time(clock.monotonic() + 3600)
    clock.step(timedelta(milliseconds=900))
    assert watch.jump() is None


@pytest.mark.parametrize("step", [timedelta(hours=5), timedelta(seconds=-2), timedelta(days=-400)])
def test_a_step_is_told_once(step: timedelta) -> None:
    clock = FakeClock(datetime(2026, 11, 23, tzinfo=UTC))
    watch = ClockWatch(clock)
    clock.step(step)
    assert watch.jump() == pytest.approx(step, abs=timedelta(milliseconds=1))
    assert watch.jump() is None


def test_a_clock_without_battery_is_not_believed() -> None:
    clock = FakeClock(datetime(1970, 1, 1, tzinfo=UTC))
    watch = ClockWatch(clock)
    assert not watch.is_set
    clock.step(datetime(2026, 11, 23, tzinfo=UTC) - clock.now())
    assert watch.is_set
