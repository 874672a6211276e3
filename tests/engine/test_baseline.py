"""The figures of a run of captures."""

import pytest

from custom_components.skylapse.engine.baseline import speedups, timings

BASELINE_MS = 7103.649298350017
"""What rpicam-still with its default wait was once measured at."""


def test_figures_of_a_run() -> None:
    figures = timings([float(ms) for ms in range(1, 102)])
    assert figures is not None
    assert (figures.mean_ms, figures.min_ms, figures.max_ms) == (51, 1, 101)
    assert (figures.p50_ms, figures.p95_ms, figures.p99_ms) == pytest.approx((51, 96, 100))
    assert figures.stdev_ms == pytest.approx(29.3002, abs=1e-4)


def test_a_single_capture_has_no_spread() -> None:
    figures = timings([400.0])
    assert figures is not None
    assert figures.stdev_ms is None
    assert {figures.mean_ms, figures.min_ms, figures.max_ms, figures.p50_ms, figures.p95_ms, figures.p99_ms} == {400.0}


def test_no_capture_has_no_figures() -> None:
    assert timings([]) is None


def test_a_speedup_is_told_both_ways() -> None:
    """Averaging ratios flatters: of these four ways to capture, 17 times faster on average means done 14.6 times sooner."""
    mean_of_ratios, ratio_of_means = speedups(BASELINE_MS, [350, 700, 1100, 2250], [0.70, 0.25, 0.04, 0.01])
    assert mean_of_ratios == pytest.approx(17.034202497852945, rel=1e-12)
    assert ratio_of_means == pytest.approx(14.601540181603323, rel=1e-12)


@pytest.mark.parametrize(("duration_ms", "expected"), [(350, 20.30), (700, 10.15), (1100, 6.46), (2250, 3.16)])
def test_a_single_duration_gives_the_same_either_way(duration_ms: float, expected: float) -> None:
    mean_of_ratios, ratio_of_means = speedups(BASELINE_MS, [duration_ms])
    assert mean_of_ratios == pytest.approx(ratio_of_means) == pytest.approx(expected, abs=0.005)
