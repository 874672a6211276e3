"""How late a frame is begun: a station at 2 s intervals while the machine is busy.

The load is what a station meets: full-size frames rendered, hashed, stored and delivered, and beside them processes
that keep every core busy. For comparison the same number of rounds of what an automation would do, take a picture
and then wait two seconds, and how far that has drifted from its grid by the end.
"""

import argparse
import asyncio
from datetime import timedelta
import multiprocessing
import os
from pathlib import Path
from statistics import median, quantiles
import tempfile
from typing import override

from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot
from custom_components.skylapse.engine.sources.simulated import SimulatedSource

from .bench_station import SITE, running_station
from .report import report

INTERVAL = timedelta(seconds=2)


class TimedSource(SimulatedSource):
    """The simulated camera, noting how late each exposure begins."""

    lateness_ms: list[float]

    @override
    async def capture(self, request: CaptureRequest) -> Shot:
        late = self._clock.now() - request.due_at
        self.lateness_ms.append(late.total_seconds() * 1000)
        return await super().capture(request)


def _burn() -> None:
    while True:
        sum(range(10_000))


async def _station(folder: Path, seconds: float) -> list[float]:
    clock = SystemClock()
    source = TimedSource(lambda: SITE, clock, seed=1)
    source.lateness_ms = []
    async with running_station(folder, source, clock, interval=INTERVAL):
        await asyncio.sleep(seconds)
    return source.lateness_ms


async def _naive(rounds: int) -> float:
    """Return by how many ms "photograph, then wait" is off its grid after that many rounds."""
    clock = SystemClock()
    source = SimulatedSource(lambda: SITE, clock, seed=1)
    await source.start()
    began = clock.monotonic()
    for _ in range(rounds):
        await source.capture(CaptureRequest(due_at=clock.now(), deadline_s=30))
        await asyncio.sleep(INTERVAL.total_seconds())
    await source.close()
    return (clock.monotonic() - began - rounds * INTERVAL.total_seconds()) * 1000


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long the station runs")
    seconds = parser.parse_args().seconds
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(os.cpu_count() or 1)]
    for burner in burners:
        burner.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            lateness = asyncio.run(_station(Path(folder), seconds))
        rounds = min(10, len(lateness))
        drift = asyncio.run(_naive(rounds))
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()
    p99 = quantiles(lateness, n=100, method="inclusive")[98]
    report(
        f"Lateness of {len(lateness)} frames at 2 s intervals, {len(burners)} busy processes beside",
        [
            ("median", f"{median(lateness):.2f} ms"),
            ("99th percentile", f"{p99:.2f} ms"),
            ("latest", f"{max(lateness):.2f} ms"),
            (f"'photograph, then wait' is off its grid after {rounds} rounds by", f"{drift:.0f} ms"),
        ],
        {"p50_ms": round(median(lateness), 3), "p99_ms": round(p99, 3), "frames": len(lateness), "naive_drift_ms": round(drift, 1)},
    )


if __name__ == "__main__":
    main()
