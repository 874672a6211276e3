"""Waiting after failed uploads."""

from datetime import timedelta
import random

from hypothesis import given, strategies as st

from custom_components.skylapse.engine.upload.backoff import upload_backoff


@given(st.integers(min_value=-1, max_value=10**9), st.integers())
def test_it_stays_between_5_s_and_1_h(attempts: int, seed: int) -> None:
    assert timedelta(seconds=5) <= upload_backoff(attempts, random.Random(seed)) <= timedelta(hours=1)


def test_it_doubles_with_jitter() -> None:
    rng = random.Random(1)
    for attempts, seconds in ((2, 10), (3, 20), (6, 160), (9, 1280)):
        waits = [upload_backoff(attempts, rng).total_seconds() for _ in range(200)]
        assert seconds * 0.8 <= min(waits) < seconds * 0.85
        assert seconds * 1.15 < max(waits) <= seconds * 1.2
    assert upload_backoff(20, rng) >= timedelta(seconds=2880)
