"""How long a camera that keeps failing is left alone."""

from datetime import timedelta

_FIRST_FAILURES = 3
_LONGEST_S = 300


def capture_backoff(consecutive_failures: int) -> timedelta:
    """Return how long after the last attempt the next may be made: none for up to 2 failures in a row, then 60, 120, 240, 300 s."""
    if consecutive_failures < _FIRST_FAILURES:
        return timedelta()
    doublings = min(consecutive_failures - _FIRST_FAILURES, 8)  # far beyond the longest; 2**n of a week of failures is a huge number
    return timedelta(seconds=min(_LONGEST_S, 60 * 2**doublings))
