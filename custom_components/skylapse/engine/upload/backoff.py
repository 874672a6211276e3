"""How long to wait after a failed upload."""

from datetime import timedelta
from random import Random

SHORTEST_S = 5.0
LONGEST_S = 3600.0


def upload_backoff(attempts: int, rng: Random) -> timedelta:
    """Return the wait after the given number of failures in a row (1 or more): 5 s, doubling up to an hour, ±20 %.

    The jitter keeps many stations from hitting a server that comes back all at once; the result never leaves 5 s to 1 h.
    """
    seconds = SHORTEST_S * 2.0 ** min(max(attempts, 1) - 1, 12)
    return timedelta(seconds=min(LONGEST_S, max(SHORTEST_S, min(LONGEST_S, seconds) * rng.uniform(0.8, 1.2))))
