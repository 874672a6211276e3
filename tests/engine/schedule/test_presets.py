"""What the ready-made schedules do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from custom_components.skylapse.engine.ports import EntityReading
from custom_components.skylapse.engine.schedule.codec import schedule_from_dict
from custom_components.skylapse.engine.schedule.gate import gate_open
from custom_components.skylapse.engine.schedule.model import AroundEvent, Schedule, SunEvent
from custom_components.skylapse.engine.schedule.planner import Planner
from custom_components.skylapse.engine.schedule.presets import PRESETS, classic
from custom_components.skylapse.engine.schedule.windows import windows
from custom_components.skylapse.engine.sun_position import solar_elevation

from .places import PLACES

SITE = PLACES["amsterdam_52n"]
DAY = timedelta(days=1)
LUX = "sensor.sky_lux"


def _classic(lux_entity: str | None) -> list[Schedule]:
    return [schedule_from_dict(name, name, data) for name, data in classic(lux_entity)]


def _when_at(elevation_deg: float) -> datetime:
    """Return an instant of an afternoon or evening in April at which the sun is within 0.1 degree of an elevation."""
    at = datetime(2026, 4, 21, 12, tzinfo=UTC)
    while abs(solar_elevation(SITE, at) - elevation_deg) > 0.1:
        at += timedelta(seconds=20)
    return at


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_whole_schedule(name: str) -> None:
    preset = PRESETS[name]
    schedule = schedule_from_dict(name, preset.name_key, preset.data)
    start = datetime(2026, 3, 20, tzinfo=UTC)
    assert windows(schedule, SITE, start, start + DAY)


def test_the_presets_are_those_a_person_picks_from() -> None:
    assert set(PRESETS) == {"sunrise", "sunset", "golden_hours", "blue_hours", "daylight", "night", "all_day"}
    around = schedule_from_dict("s", "s", PRESETS["sunset"].data).when
    assert around == AroundEvent(SunEvent.SUNSET, timedelta(minutes=45), timedelta(minutes=45))


@pytest.mark.parametrize(
    ("elevation_deg", "running"),
    [
        (5.9, {"golden_hours", "daylight", "all_day"}),
        (-3.9, {"golden_hours", "all_day"}),
        (-5.0, {"blue_hours", "all_day"}),
        (-8.0, {"all_day"}),
        (-14.0, {"night", "all_day"}),
        (30.0, {"daylight", "all_day"}),
    ],
)
def test_presets_by_elevation(elevation_deg: float, running: set[str]) -> None:
    at = _when_at(elevation_deg)
    schedules = [schedule_from_dict(name, name, preset.data) for name, preset in PRESETS.items() if preset.data["kind"] != "around_event"]
    planner = Planner(schedules)
    planner.replan(SITE, at)
    assert {active.window.schedule_id for active in planner.active(at, lambda _: True)} == running


RULES = [
    # sun, lux, rule, seconds; the lux "none" is a sensor that died
    (4.0, "20000", "classic_golden", 30),
    (4.0, "3", "classic_golden", 30),
    (-5.5, "50", "classic_golden", 30),
    (-8.0, "5", "classic_blue", 60),
    (-8.0, "2000", "classic_blue", 60),
    (30.0, "20000", "classic_daylight", 300),
    (30.0, "1000", "classic_daylight", 300),
    (30.0, "999", "classic_fallback", 300),
    (30.0, "100", "classic_low_light", 600),
    (-20.0, "0", "classic_low_light", 600),
    (-20.0, "101", "classic_fallback", 300),
    (4.0, None, "classic_golden", 30),
    (-8.0, None, "classic_blue", 60),
    (30.0, None, "classic_daylight", 300),
    (-20.0, None, "classic_low_light", 600),
]


@pytest.mark.parametrize(("elevation_deg", "lux", "rule", "interval_s"), RULES)
def test_the_right_classic_rule_wins(elevation_deg: float, lux: str | None, rule: str, interval_s: int) -> None:
    _check_rule(_classic(LUX), elevation_deg, lux, rule, interval_s)


@pytest.mark.parametrize(
    ("elevation_deg", "rule", "interval_s"),
    [
        (4.0, "classic_golden", 30),
        (-8.0, "classic_blue", 60),
        (30.0, "classic_daylight", 300),
        (-20.0, "classic_low_light", 600),
    ],
)
def test_the_right_classic_rule_wins_without_a_light_sensor(elevation_deg: float, rule: str, interval_s: int) -> None:
    schedules = _classic(None)
    assert all(schedule.gate is None for schedule in schedules)
    _check_rule(schedules, elevation_deg, None, rule, interval_s)


def _check_rule(schedules: list[Schedule], elevation_deg: float, lux: str | None, rule: str, interval_s: int) -> None:
    def is_open(schedule: Schedule) -> bool:
        assert schedule.gate is not None
        return gate_open(schedule.gate, EntityReading(schedule.gate.entity_id, lux))

    at = _when_at(elevation_deg)
    planner = Planner(schedules)
    planner.replan(SITE, at)
    active = planner.active(at, is_open)
    assert active[0].window.schedule_id == rule
    assert [entry.waiting_for for entry in active] == [None] + [rule] * (len(active) - 1)
    assert planner.schedule(rule).interval.total_seconds() == interval_s
    tick = planner.next_tick(at, is_open)
    assert tick is not None
    assert tick.schedule_id == rule


def test_the_edge_that_golden_and_blue_share_is_golden() -> None:
    at = datetime(2026, 4, 21, 18, tzinfo=UTC)
    while solar_elevation(SITE, at) > -6.0:
        at += timedelta(seconds=1)
    planner = Planner(_classic(None))
    planner.replan(SITE, at - DAY)
    before, after = planner.active(at - timedelta(seconds=1), lambda _: True), planner.active(at, lambda _: True)
    assert before[0].window.schedule_id == "classic_golden"
    assert after[0].window.schedule_id == "classic_blue"
    assert before[0].window.end == after[0].window.start == at


def test_classic_always_photographs() -> None:
    """Whatever sun and light do, one rule applies, and only one has ticks."""
    planner = Planner(_classic(None))
    for name in ("amsterdam_52n", "tromso", "north_pole"):
        start = datetime(2026, 10, 20, tzinfo=UTC)
        planner.replan(PLACES[name], start)
        ticks = planner.ticks(start, start + 4 * DAY, lambda _: True)
        assert max(b.at - a.at for a, b in pairwise(ticks)) <= timedelta(seconds=600 + 300)
        assert all(len([a for a in planner.active(tick.at, lambda _: True) if a.waiting_for is None]) == 1 for tick in ticks[::97])
