"""How fast a camera is, measured: the figures of a run of captures, and what they mean against an earlier run.

A speed-up over a baseline can be computed in two ways, and they differ: the *mean of the ratios* averages how many times faster each
capture was, so a few very fast ones lift it; the *ratio of the means* is how much sooner the whole work is done. The second is the
honest one, and both are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, quantiles, stdev
from typing import Final

MEASURED: Final = "from asking the camera until the whole JPEG was in Home Assistant's memory"
NOT_MEASURED: Final = ("writing to disk", "uploading", "starting the camera's worker")


@dataclass(frozen=True, slots=True)
class Timings:
    """Figures of a run, milliseconds. Percentiles lie between neighbours linearly."""

    mean_ms: float
    stdev_ms: float | None
    """Of the sample; None for a single capture."""
    min_ms: float
    max_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times faster than a baseline."""

    baseline_ms: float
    baseline_from: str
    """``given`` by the caller or ``stored`` by an earlier run."""
    mean_of_ratios: float
    ratio_of_means: float


@dataclass(frozen=True, slots=True)
class BaselineReport:
    """One run of captures; failed ones count in the success rate alone."""

    at: datetime
    count: int
    succeeded: int
    success_percent: float
    timings: Timings | None
    """None if no capture succeeded: there is nothing to tell then."""
    speedup: Speedup | None
    """None without a baseline, or without a success."""
    errors: tuple[str, ...]
    """Keys of the errors that occurred, each once."""
    stored: bool
    """Whether the mean was kept as the baseline of later runs."""
    measured: str = MEASURED
    not_measured: tuple[str, ...] = NOT_MEASURED


def timings(durations_ms: Sequence[float]) -> Timings | None:
    """Return the figures of a run, None for an empty one."""
    if not durations_ms:
        return None
    cuts = quantiles(durations_ms, n=100, method="inclusive") if len(durations_ms) > 1 else [durations_ms[0]] * 99
    return Timings(
        mean_ms=fmean(durations_ms),
        stdev_ms=stdev(durations_ms) if len(durations_ms) > 1 else None,
        min_ms=min(durations_ms),
        max_ms=max(durations_ms),
        p50_ms=cuts[49],
        p95_ms=cuts[94],
        p99_ms=cuts[98],
    )


def speedups(baseline_ms: float, durations_ms: Sequence[float], weights: Sequence[float] | None = None) -> tuple[float, float]:
    """Return the mean of the ratios and the ratio of the means of ``durations_ms`` (at least one, all above 0) to ``baseline_ms``.

    ``weights`` says how often each duration occurs; equally often if it is not given.
    """
    ratios = [baseline_ms / duration for duration in durations_ms]
    return fmean(ratios, weights), baseline_ms / fmean(durations_ms, weights)
