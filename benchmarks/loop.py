"""The longest stall of the event loop while a station photographs once a second and delivers.

A task that sleeps a millisecond at a time notes by how much it overslept: whatever ran on the loop meanwhile held up
Home Assistant for that long. The same probe on an idle loop tells what the machine itself adds.
"""

import argparse
import asyncio
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
import tempfile
import time

from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources.simulated import SimulatedSource

from .bench_station import SITE, running_station
from .report import report

PROBE_S = 0.001


async def _probe(seconds: float) -> list[float]:
    """Return by how many ms each sleep of 1 ms was overslept."""
    stalls = []
    end = time.perf_counter() + seconds
    while (before := time.perf_counter()) < end:
        await asyncio.sleep(PROBE_S)
        stalls.append((time.perf_counter() - before - PROBE_S) * 1000)
    return stalls


async def _station(folder: Path, seconds: float) -> tuple[list[float], int, int]:
    clock = SystemClock()
    source = SimulatedSource(lambda: SITE, clock, seed=1)
    async with running_station(folder, source, clock, interval=timedelta(seconds=1)) as station:
        await asyncio.sleep(2)
        stalls = await _probe(seconds)
        await station.wait_for([], 0)
        status = station.status
    return stalls, status.frames_total, status.queue.verified


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long the loop is watched")
    seconds = parser.parse_args().seconds
    idle = asyncio.run(_probe(5))
    with tempfile.TemporaryDirectory() as folder:
        stalls, frames, verified = asyncio.run(_station(Path(folder), seconds))
    p99 = quantiles(stalls, n=100)[98]
    report(
        f"Event loop over {seconds:.0f} s: a 1920×1080 frame a second, each stored, delivered and proven",
        [
            ("frames stored / proven", f"{frames} / {verified}"),
            ("longest stall", f"{max(stalls):.2f} ms"),
            ("99th percentile", f"{p99:.2f} ms"),
            ("longest stall of an idle loop", f"{max(idle):.2f} ms"),
        ],
        {
            "longest_stall_ms": round(max(stalls), 3),
            "p99_stall_ms": round(p99, 3),
            "idle_longest_stall_ms": round(max(idle), 3),
            "frames": frames,
            "verified": verified,
        },
    )


if __name__ == "__main__":
    main()
