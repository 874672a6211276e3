"""What it costs to keep a frame: bytes in memory until durable, hashed and catalogued, against a bare write, fsync, rename of the same bytes.

They take turns on the same disk with the same 4 MB, so that what else the machine does falls on all. Usage: ``scripts/bench store [rounds]``.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from io import BytesIO
import os
from pathlib import Path
import statistics
import sys
import tempfile
import time

from PIL import Image

from benchmarks.report import report
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import FrameDetails
from custom_components.skylapse.engine.frames.store import FrameStore
from custom_components.skylapse.engine.ports import SystemClock

ROUNDS = 200
WARM_UP = 6
PIECE = 512 * 1024
"""Some systems take a big write slower than several small ones; the faster way is what to be measured against."""
PAUSE_S = 0.03
"""Between two writes: a camera pauses, too, and disks that are pushed without a pause measure their own queue."""
FRAME_BYTES = 4_000_000
FIRST = datetime(2027, 1, 1, tzinfo=UTC)


def picture() -> bytes:
    """Return a JPEG of some 4 MB: noise, which compresses as badly as a photograph's detail."""
    out = BytesIO()
    Image.frombytes("RGB", (1400, 1200), os.urandom(1400 * 1200 * 3)).save(out, "JPEG", quality=95)
    return out.getvalue()[:-2].ljust(FRAME_BYTES - 2, b"\0") + b"\xff\xd9"


def bare(folder: Path, number: int, jpeg: bytes, stride: int) -> None:
    """Write, fsync, rename: what a program does that cares, but knows no catalogue."""
    partial = folder / f"{number}-{stride}.tmp"
    with partial.open("wb", buffering=0) as file:
        for start in range(0, len(jpeg), stride):
            file.write(memoryview(jpeg)[start : start + stride])
        os.fsync(file.fileno())
    partial.rename(folder / f"{number}-{stride}.jpg")


async def measure(folder: Path, rounds: int) -> None:
    """Take turns and print."""
    jpeg = picture()
    plain = folder / "plain"
    await asyncio.to_thread(plain.mkdir)
    store = FrameStore(folder / "sky", "sky")
    await asyncio.to_thread(store.prepare)
    catalogue = Catalogue(folder / "catalogue.db", SystemClock(), folder=store.folder)
    await catalogue.open()
    ours: list[float] = []
    written: list[float] = []
    at_once: list[float] = []
    in_pieces: list[float] = []

    async def keep(number: int) -> None:
        details = FrameDetails(FIRST + timedelta(seconds=number), 800, "Sky", exposure_us=1000, gain=1.5, sun_elevation_deg=3.2)
        start = time.perf_counter()
        file = await asyncio.to_thread(store.write, jpeg, details)
        written.append((time.perf_counter() - start) * 1000)
        await catalogue.add_frame(file, details, destinations=("nas",), remote_prefix="sky")
        ours.append((time.perf_counter() - start) * 1000)

    async def write_bare(number: int, stride: int, durations: list[float]) -> None:
        start = time.perf_counter()
        await asyncio.to_thread(bare, plain, number, jpeg, stride)
        durations.append((time.perf_counter() - start) * 1000)

    for number in range(-WARM_UP, rounds):
        if number == 0:
            for durations in (ours, written, at_once, in_pieces):
                durations.clear()
        turns = [keep(number), write_bare(number, len(jpeg), at_once), write_bare(number, PIECE, in_pieces)]
        first = number % len(turns)  # none always comes first
        for turn in turns[first:] + turns[:first]:
            await turn
            await asyncio.sleep(PAUSE_S)
    await catalogue.close()
    theirs = min(at_once, in_pieces, key=statistics.median)
    ratio = statistics.median(ours) / statistics.median(theirs)
    report(
        f"Keeping a frame of {len(jpeg) / 1e6:.1f} MB, {rounds} rounds in turns",
        [
            ("write, fsync, rename", f"median {statistics.median(at_once):.2f} ms, mean {statistics.mean(at_once):.2f} ms"),
            ("  written in pieces", f"median {statistics.median(in_pieces):.2f} ms, mean {statistics.mean(in_pieces):.2f} ms"),
            ("Skylapse: durable, hashed, catalogued", f"median {statistics.median(ours):.2f} ms, mean {statistics.mean(ours):.2f} ms"),
            ("  of which the file", f"median {statistics.median(written):.2f} ms"),
            ("ratio of the medians, to the faster of those", f"{ratio:.2f}"),
        ],
        {
            "ratio": ratio,
            "store_p50_ms": statistics.median(ours),
            "bare_p50_ms": statistics.median(theirs),
            "store_mean_ms": statistics.mean(ours),
            "bare_mean_ms": statistics.mean(theirs),
        },
    )


def main() -> None:
    """Measure in a folder of a real disk."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="skylapse-bench-", dir="/var/tmp") as folder:  # a real disk: /tmp may be memory
        asyncio.run(measure(Path(folder), rounds))


if __name__ == "__main__":
    main()
