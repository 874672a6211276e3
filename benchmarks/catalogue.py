"""How fast the catalogue is when it is old: a million frames, a hundred thousand of them still queued.

Measured: opening after an unclean stop, the check of the whole file beside the work, adding a frame with one upload (durable), claiming 8
uploads, the counts, marking 8 verified, and how much memory all of that takes. Usage: ``scripts/bench catalogue [frames]``.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
import hashlib
from pathlib import Path
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.report import report
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import FrameDetails, StoredFile
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.upload.destination import Proof, ProofMethod
from tests.engine_only import ROOT

FRAMES = 1_000_000
QUEUED_SHARE = 10
ROUNDS = 2000
FIRST = datetime(2027, 1, 1, tzinfo=UTC)

FILL = """
INSERT INTO cameras (camera, manufacturer, model) VALUES ('Sky', 'Skylapse', 'Bench');
INSERT INTO destinations (destination_id) VALUES ('nas');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {frames})
INSERT INTO frames (relative_path, taken_at, size_bytes, sha256, camera_id, duration_ms, exposure_us, gain, sun_elevation_deg, sun_azimuth_deg, schedules)
SELECT strftime('%Y/%m/%d/', {first} + i * 30, 'unixepoch') || 'sky_' || strftime('%Y%m%dT%H%M%S', {first} + i * 30, 'unixepoch') || '.000Z.jpg',
    ({first} + i * 30) * 1000000, 4000000 + i % 9973, randomblob(32), 1, 800, 1000 + i % 997, 1.5, 12.345678, 234.56789, '["Daylight"]' FROM n;
INSERT INTO uploads (destination_key, frame_id, remote_path, size_bytes, sha256, day, state, created_at, verified_at, method)
SELECT 1, frame_id, 'sky/' || relative_path, size_bytes, sha256, taken_at / 86400000000, iif(frame_id > {frames} / {share}, 4, 0), taken_at, taken_at, 'read_back'
FROM frames;
UPDATE totals SET in_use = 1;
"""


def fill(path: Path, frames: int) -> None:
    """Fill a new catalogue's tables. Runs in a process of its own, so that its memory is not measured."""
    asyncio.run(_create(path))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000; BEGIN;")
    connection.executescript(FILL.format(frames=frames, first=int(FIRST.timestamp()), share=QUEUED_SHARE))
    connection.close()


async def _create(path: Path) -> None:
    catalogue = _catalogue(path)
    await catalogue.open()
    await catalogue.close()


def _catalogue(path: Path) -> Catalogue:
    return Catalogue(path, SystemClock(), folder=path.parent)


def rss_mb() -> float:
    """Return the memory of this process that is in RAM, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def timed[T](durations: list[float], call: Awaitable[T]) -> T:
    """Await a call and note its milliseconds."""
    start = time.perf_counter()
    result = await call
    durations.append((time.perf_counter() - start) * 1000)
    return result


def p99(durations: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(durations)[int(len(durations) * 0.99)]


async def measure(path: Path, frames: int, size_bytes: int) -> None:
    """Open the filled catalogue, use it, print what it cost."""
    before_mb = rss_mb()
    catalogue = _catalogue(path)
    opening: list[float] = []
    await timed(opening, catalogue.open())
    due = catalogue.check_due
    enqueue: list[float] = []
    claim: list[float] = []
    counts: list[float] = []
    verify: list[float] = []
    peak_mb = rss_mb()
    for number in range(ROUNDS):
        at = FIRST + timedelta(days=3650, seconds=number)
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        file = StoredFile(at.strftime("%Y/%m/%d/sky_%Y%m%dT%H%M%S.000Z.jpg"), 4_000_000, sha256)
        details = FrameDetails(at, 800, "Sky", "Skylapse", "Bench", exposure_us=1000, gain=1.5, schedules=("Daylight",))
        await timed(enqueue, catalogue.add_frame(file, details, destinations=("nas",), remote_prefix="sky"))
        uploads = await timed(claim, catalogue.claim("nas", 8, datetime.now(UTC)))
        proofs = [(u.upload_id, Proof(u.sha256, u.size_bytes, ProofMethod.READ_BACK, at)) for u in uploads]
        await timed(verify, catalogue.mark_verified(proofs))
        await timed(counts, catalogue.counts())
        peak_mb = max(peak_mb, rss_mb())
    checking: list[float] = []
    await timed(checking, catalogue.check())
    peak_mb = max(peak_mb, rss_mb())
    closing: list[float] = []
    await timed(closing, catalogue.close())
    figures = {
        "open_s": opening[0] / 1000,
        "enqueue_p50_ms": statistics.median(enqueue),
        "enqueue_p99_ms": p99(enqueue),
        "claim_p50_ms": statistics.median(claim),
        "claim_p99_ms": p99(claim),
        "verified_p99_ms": p99(verify),
        "counts_p99_ms": p99(counts),
        "check_s": checking[0] / 1000,
        "rss_growth_mb": peak_mb - before_mb,
    }
    report(
        f"Catalogue with {frames:,} frames, {frames // QUEUED_SHARE:,} queued, {size_bytes / 1e6:.0f} MB",
        [
            ("open after an unclean stop", f"{figures['open_s']:.3f} s (whole-file check {'deferred' if due else 'included'})"),
            ("whole-file check, beside the work", f"{figures['check_s']:.2f} s"),
            ("add a frame with one upload, durable", f"p50 {figures['enqueue_p50_ms']:.2f} ms, p99 {figures['enqueue_p99_ms']:.2f} ms"),
            ("claim 8 uploads", f"p50 {figures['claim_p50_ms']:.2f} ms, p99 {figures['claim_p99_ms']:.2f} ms"),
            ("mark 8 verified, durable", f"p50 {statistics.median(verify):.2f} ms, p99 {figures['verified_p99_ms']:.2f} ms"),
            ("counts", f"p50 {statistics.median(counts):.2f} ms, p99 {figures['counts_p99_ms']:.2f} ms"),
            ("close", f"{closing[0] / 1000:.2f} s"),
            ("memory added", f"{figures['rss_growth_mb']:.1f} MB"),
        ],
        figures,
    )


def main() -> None:
    """Fill a catalogue in a child process, measure it in this one."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    with tempfile.TemporaryDirectory(prefix="skylapse-bench-", dir="/var/tmp") as folder:  # a real disk: /tmp may be memory
        path = Path(folder) / "catalogue.db"
        code = f"from pathlib import Path; from benchmarks.catalogue import fill; fill(Path({str(path)!r}), {frames})"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        asyncio.run(measure(path, frames, path.stat().st_size))


if __name__ == "__main__":
    main()
