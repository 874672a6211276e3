"""Whether a schedule's gate is open."""

from math import isfinite

from ..ports import EntityReading
from .model import Gate


def gate_open(gate: Gate, reading: EntityReading) -> bool:
    """Return whether ``reading`` lets the schedule photograph: its state is one of the gate's, or its number in the gate's range.

    Bounds belong to the range. A state that is no number, where the gate asks for one, says as little as no state at all:
    then ``open_when_unavailable`` decides.
    """
    if reading.state is None:
        return gate.open_when_unavailable
    if reading.state in gate.states:
        return True
    if gate.above is None and gate.below is None:
        return False
    try:
        number = float(reading.state) if reading.number is None else reading.number
    except ValueError:
        return gate.open_when_unavailable
    if not isfinite(number):
        return gate.open_when_unavailable
    return (gate.above is None or number >= gate.above) and (gate.below is None or number <= gate.below)
