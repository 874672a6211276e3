"""Instants and hashes as the catalogue keeps them."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(at: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970, UTC; exact, unlike ``timestamp()``."""
    return (at - EPOCH) // _MICROSECOND


def from_us(value: int) -> datetime:
    """Return the instant of so many microseconds since 1970, UTC."""
    return EPOCH + timedelta(microseconds=value)


def maybe_instant(value: int | None) -> datetime | None:
    """Return what ``from_us`` does, None for None."""
    return None if value is None else from_us(value)


def day_number(at: datetime) -> int:
    """Return the UTC day as days since 1970-01-01."""
    return (at - EPOCH).days
