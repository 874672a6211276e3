"""When a sensor rests and when it is awake."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.skylapse.engine.sources.sensor_rest import SensorRest

from ..fakes import FakeClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def rest(due_s: float | None) -> tuple[SensorRest, FakeClock]:
    clock = FakeClock(NOON)
    made = SensorRest(clock)
    made.expect(None if due_s is None else NOON + timedelta(seconds=due_s))
    return made, clock


@pytest.mark.parametrize(
    ("due_s", "streaming", "expected"),
    [
        (None, True, ("rest", None)),
        (60.5, True, ("rest", None)),
        (60, True, (None, 120)),
        (-59, True, (None, 1)),
        (-60, True, ("rest", None)),  # it should have come a minute ago: nobody knows of a next one
        (None, False, (None, None)),
        (600, False, (None, 592)),
        (60, False, (None, 52)),
        (8, False, ("wake", None)),
        (0.1, False, ("wake", None)),
        (0, False, (None, None)),
    ],
)
def test_it_rests_between_captures_that_are_far_apart(
    due_s: float | None, streaming: bool, expected: tuple[str | None, float | None]
) -> None:
    assert rest(due_s)[0].next_step(streaming=streaming, ahead=True) == expected


def test_it_is_woken_once_for_each_capture() -> None:
    sensor, _ = rest(5)
    assert sensor.next_step(streaming=False, ahead=True) == ("wake", None)
    assert sensor.next_step(streaming=False, ahead=True) == (None, None)
    assert sensor.expect(NOON + timedelta(seconds=5)) is False
    assert sensor.next_step(streaming=False, ahead=True) == (None, None)
    assert sensor.expect(NOON + timedelta(seconds=6)) is True
    assert sensor.next_step(streaming=False, ahead=True) == ("wake", None)


def test_it_is_not_woken_for_what_starts_it_anyway() -> None:
    assert rest(5)[0].next_step(streaming=False, ahead=False) == (None, None)


def test_it_stays_awake_for_whoever_looks() -> None:
    sensor, clock = rest(None)
    sensor.look()
    assert sensor.looked_at
    assert sensor.next_step(streaming=True, ahead=True) == (None, 30)
    clock.pass_time(clock.monotonic() + 29)
    assert sensor.next_step(streaming=True, ahead=True) == (None, 1)
    clock.pass_time(clock.monotonic() + 1)
    assert not sensor.looked_at
    assert sensor.next_step(streaming=True, ahead=True) == ("rest", None)
