"""What it costs to keep a frame: bytes in memory until durable, hashed and catalogued, against a bare write, fsync, rename of the same bytes.

Both take turns on the same disk with the same 4 MB, so that what else the machine does falls on both. Usage: ``scripts/bench store [rounds]``.
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

from tests.engine_only import install

install()

from benchmarks.report import report  # noqa: E402  the engine has to be importable first
from custom_components.skylapse.engine.frames.catalogue import Catalogue  # noqa: E402
from custom_components.skylapse.engine.frames.records import FrameDetails  # noqa: E402
from custom_components.skylapse.engine.frames.store import FrameStore  # noqa: E402
from custom_components.skylapse.engine.ports import SystemClock  # noqa: E402

ROUNDS = 200
WARM_UP = 5
PAUSE_S = 0.03
"""Between two writes: a camera pauses, too, and disks that are pushed without a pause measure their own queue."""
FRAME_BYTES = 4_000_000
FIRST = datetime(2027, 1, 1, tzinfo=UTC)


def picture() -> bytes:
    """Return a JPEG of some 4 MB: noise, which compresses as badly as a photograph's detail."""
    out = BytesIO()
    Image.frombytes("RGB", (1400, 1200), os.urandom(1400 * 1200 * 3)).save(out, "JPEG", quality=95)
    return out.getvalue()[:-2].ljust(FRAME_BYTES - 2, b"\0") + b"\xff\xd9"


def bare(folder: Path, number: int, jpeg: bytes) -> None:
    """Write, fsync, rename: what a program does that cares, but knows no catalogue."""
    partial = folder / f"{number}.tmp"
    with partial.open("wb", buffering=0) as file:
        file.write(jpeg)
        os.fsync(file.fileno())
    partial.rename(folder / f"{number}.jpg")


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
    theirs: list[float] = []

    async def keep(number: int) -> None:
        details = FrameDetails(FIRST + timedelta(seconds=number), 800, "Sky", exposure_us=1000, gain=1.5, sun_elevation_deg=3.2)
        start = time.perf_counter()
        file = await asyncio.to_thread(store.write, jpeg, details)
        written.append((time.perf_counter() - start) * 1000)
        await catalogue.add_frame(file, details, destinations=("nas",), remote_prefix="sky")
        ours.append((time.perf_counter() - start) * 1000)

    async def write_bare(number: int) -> None:
        start = time.perf_counter()
        await asyncio.to_thread(bare, plain, number, jpeg)
        theirs.append((time.perf_counter() - start) * 1000)

    for number in range(-WARM_UP, rounds):
        if number == 0:
            for durations in (ours, written, theirs):
                durations.clear()
        for turn in (keep, write_bare) if number % 2 else (write_bare, keep):  # neither always comes first
            await turn(number)
            await asyncio.sleep(PAUSE_S)
    await catalogue.close()
    ratio = statistics.median(ours) / statistics.median(theirs)
    report(
        f"Keeping a frame of {len(jpeg) / 1e6:.1f} MB, {rounds} rounds in turns",
        [
            ("write, fsync, rename", f"median {statistics.median(theirs):.2f} ms, mean {statistics.mean(theirs):.2f} ms"),
            ("Skylapse: durable, hashed, catalogued", f"median {statistics.median(ours):.2f} ms, mean {statistics.mean(ours):.2f} ms"),
            ("  of which the file", f"median {statistics.median(written):.2f} ms"),
            ("ratio of the medians", f"{ratio:.2f}"),
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
