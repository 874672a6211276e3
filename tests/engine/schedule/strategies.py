"""Any schedule there may be, for property tests."""

from datetime import time, timedelta

from hypothesis import strategies as st

from custom_components.skylapse.engine.schedule.model import (
    Always,
    AroundEvent,
    BetweenEvents,
    Direction,
    ElevationBand,
    Gate,
    Schedule,
    SunEvent,
    TimeOfDay,
    When,
)

DAY_S = 86_400


def _around(event: SunEvent, total: int, before: float) -> AroundEvent:
    part = int(total * before)
    return AroundEvent(event, timedelta(seconds=part), timedelta(seconds=total - part))


def _gate(entity_id: str, bounds: list[float], states: frozenset[str], kind: int, unavailable: bool) -> Gate:
    low, high = sorted(bounds)
    above, below = ((low, high), (low, None), (None, high), (None, None))[kind]
    return Gate(entity_id, above, below, states or frozenset({"on"}) if kind == 3 else states, unavailable)


_events = st.sampled_from(SunEvent)
_offsets = st.integers(-43_200, 43_200).map(lambda seconds: timedelta(seconds=seconds))
_clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))

whens: st.SearchStrategy[When] = st.one_of(
    st.builds(_around, _events, st.integers(1, DAY_S), st.floats(0, 1)),
    st.builds(
        ElevationBand,
        st.floats(-90, 0),
        st.floats(0.01, 90),
        st.sampled_from(Direction),
    ),
    st.builds(BetweenEvents, _events, _events, _offsets, _offsets).filter(
        lambda when: when.start is not when.end or when.start_offset != when.end_offset
    ),
    st.builds(TimeOfDay, _clocks, _clocks),
    st.just(Always()),
)

gates = st.builds(
    _gate,
    st.from_regex(r"[a-z][a-z0-9]{0,8}\.[a-z0-9]{1,8}(_[a-z0-9]{1,5})?", fullmatch=True),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2),
    st.frozensets(st.text(min_size=1, max_size=10), max_size=3),
    st.integers(0, 3),
    st.booleans(),
)

schedules = st.builds(
    Schedule,
    schedule_id=st.text("abcdef", min_size=1, max_size=6),
    name=st.text(min_size=1, max_size=64).map(str.strip).filter(bool),
    when=whens,
    interval=st.integers(1_000_000, 86_400_000_000).map(lambda microseconds: timedelta(microseconds=microseconds)),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    gate=st.none() | gates,
    exclusive=st.booleans(),
    rank=st.integers(1, 99),
    enabled=st.booleans(),
)
