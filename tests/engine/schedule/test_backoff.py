"""How long a failing camera is left alone."""

import pytest

from custom_components.skylapse.engine.schedule.backoff import capture_backoff


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (2, 0), (3, 60), (4, 120), (5, 240), (6, 300), (7, 300), (11, 300), (12, 300), (1_000_000, 300)],
)
def test_back_off_after_failures_in_a_row(failures: int, seconds: int) -> None:
    assert capture_backoff(failures).total_seconds() == seconds
