"""When a gate is open."""

import pytest

from custom_components.skylapse.engine.ports import EntityReading
from custom_components.skylapse.engine.schedule.gate import gate_open
from custom_components.skylapse.engine.schedule.model import Gate

LUX = "sensor.lux"


def _open(gate: Gate, state: str | None) -> bool:
    return gate_open(gate, EntityReading(LUX, state))


@pytest.mark.parametrize(
    ("state", "expected"), [("9.99", False), ("10", True), ("10.0", True), ("55", True), ("100", True), ("100.01", False), ("-5", False)]
)
def test_bounds_belong_to_the_range(state: str, expected: bool) -> None:
    assert _open(Gate(LUX, above=10.0, below=100.0), state) is expected


def test_one_bound_leaves_the_other_side_open() -> None:
    assert _open(Gate(LUX, above=1000.0), "1e9")
    assert not _open(Gate(LUX, above=1000.0), "999.9")
    assert _open(Gate(LUX, below=100.0), "-1e9")
    assert not _open(Gate(LUX, below=100.0), "100.1")
    assert _open(Gate(LUX, above=0.0, below=0.0), "0")


def test_states_are_compared_as_they_are() -> None:
    gate = Gate("weather.home", states=frozenset({"sunny", "clear-night"}), open_when_unavailable=True)
    assert _open(gate, "sunny")
    assert not _open(gate, "Sunny")
    assert not _open(gate, "rainy")


def test_a_range_is_compared_with_the_reading_s_number_where_it_has_one() -> None:
    gate = Gate("weather.home", below=40.0, open_when_unavailable=False)
    assert gate_open(gate, EntityReading("weather.home", "partlycloudy", 30.0))
    assert not gate_open(gate, EntityReading("weather.home", "cloudy", 90.0))
    assert not gate_open(gate, EntityReading("weather.home", "cloudy")), "without a cloud cover the state says nothing of it"


def test_either_condition_opens() -> None:
    gate = Gate(LUX, above=50.0, states=frozenset({"bright"}), open_when_unavailable=False)
    assert _open(gate, "bright")
    assert _open(gate, "60")
    assert not _open(gate, "40")
    assert not _open(gate, "dim")


@pytest.mark.parametrize("state", [None, "bright", "", "nan", "inf", "-inf"])
@pytest.mark.parametrize("open_when_unavailable", [True, False])
def test_what_is_no_number_counts_as_unavailable(state: str | None, open_when_unavailable: bool) -> None:
    assert _open(Gate(LUX, above=10.0, open_when_unavailable=open_when_unavailable), state) is open_when_unavailable
    assert _open(Gate(LUX, below=10.0, open_when_unavailable=open_when_unavailable), state) is open_when_unavailable


@pytest.mark.parametrize("open_when_unavailable", [True, False])
def test_a_gate_of_states_without_a_state_is_unavailable(open_when_unavailable: bool) -> None:
    gate = Gate("binary_sensor.rain", states=frozenset({"off"}), open_when_unavailable=open_when_unavailable)
    assert _open(gate, None) is open_when_unavailable
