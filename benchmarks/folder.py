"""Verified megabytes per second into a folder: the real queue, catalogue and destination, against ``cp`` followed by ``sha256sum``.

All take turns on the same disk with the same files, which are in the page cache for all. The commands promise less: ``cp`` and
``sha256sum`` make nothing durable and hash what the page cache remembers. So a second row adds what it takes to hash what is on the
disk: ``sync`` of every file, and its pages dropped. Usage: ``scripts/bench folder [rounds]``.
"""

import asyncio
from collections.abc import Awaitable, Callable
import hashlib
import os
from pathlib import Path
from random import Random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.report import report
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder
from custom_components.skylapse.engine.upload.queue import UploadQueue

FILES = 200
FILE_BYTES = 4_000_000
ROUNDS = 5
MEGABYTES = FILES * FILE_BYTES / 1e6


def run(*command: str | Path) -> None:
    """Run a command to its end."""
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def copy_and_hash(sources: list[Path], target: Path, *, durable: bool) -> None:
    """What a person types; ``durable`` adds what makes it comparable."""
    run("cp", *sources, target)
    copies = [target / source.name for source in sources]
    if durable:
        run("sync", *copies, target)
        for copy in copies:
            fd = os.open(copy, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
    run("sha256sum", *copies)


async def deliver(items: list[tuple[str, str, int, str]], target: Path, methods: set[str | None]) -> float:
    """Deliver all through the queue and return the seconds from the first claim until the last one is verified in the catalogue."""
    clock = SystemClock()
    catalogue = Catalogue(target / "catalogue.db", clock, folder=target)
    root = target / "destination"
    root.mkdir()
    destination = FolderDestination("disk", "Disk", root, prepare_folder(root))
    await catalogue.open()
    records = await catalogue.enqueue_files(items, ["disk"])
    done = asyncio.Event()
    left = len(items)

    def verified(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    queue = UploadQueue(destination, catalogue, clock, on_change=lambda: None, on_event=verified, rng=Random(1))
    start = time.perf_counter()
    await queue.start()
    await done.wait()
    seconds = time.perf_counter() - start
    await queue.stop()
    await destination.close()
    states = await catalogue.uploads([record.upload_id for record in records])
    if {record.state for record in states} != {"verified"}:
        raise SystemExit("not all files were verified")
    methods |= {record.method for record in states}
    await catalogue.close()
    return seconds


async def measure(folder: Path, rounds: int) -> None:
    """Take turns and print."""
    source = folder / "source"
    source.mkdir()
    items = []
    for number in range(FILES):
        path, data = source / f"{number:03}.jpg", os.urandom(FILE_BYTES)
        path.write_bytes(data)
        items.append((str(path), f"sky/2026/11/23/{path.name}", FILE_BYTES, hashlib.sha256(data).hexdigest()))
    run("sync", "-f", folder)
    paths = [Path(item[0]) for item in items]
    methods: set[str | None] = set()

    async def timed(durable: bool, target: Path) -> float:
        start = time.perf_counter()
        await asyncio.to_thread(copy_and_hash, paths, target, durable=durable)
        return time.perf_counter() - start

    contenders: dict[str, Callable[[Path], Awaitable[float]]] = {
        "plain": lambda target: timed(False, target),
        "durable": lambda target: timed(True, target),
        "ours": lambda target: deliver(items, target, methods),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            target = folder / name
            target.mkdir()
            seconds = await contender(target)
            shutil.rmtree(target)
            run("sync", "-f", folder)
            if number:  # the first round warms up
                speeds[name].append(MEGABYTES / seconds)
    plain, durable, ours = (statistics.median(speeds[name]) for name in ("plain", "durable", "ours"))
    report(
        f"{FILES} files of {FILE_BYTES / 1e6:.0f} MB to a folder of the same disk, medians of {rounds} rounds in turns",
        [
            ("cp; sha256sum (page cache, nothing durable)", f"{plain:.0f} MB/s"),
            ("cp; sync; drop the cache; sha256sum", f"{durable:.0f} MB/s"),
            (f"Skylapse: durable, proven by {', '.join(sorted(map(str, methods)))}, listed, catalogued", f"{ours:.0f} MB/s"),
            ("ratio to cp; sha256sum", f"{ours / plain:.2f}"),
            ("ratio to the durable one", f"{ours / durable:.2f}"),
        ],
        {"ratio": ours / plain, "durable_ratio": ours / durable, "ours_mb_s": ours, "plain_mb_s": plain, "durable_mb_s": durable},
    )


def main() -> None:
    """Measure in a temporary folder (``TMPDIR`` chooses the disk)."""
    with tempfile.TemporaryDirectory(prefix="skylapse-bench-") as folder:
        asyncio.run(measure(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))


if __name__ == "__main__":
    main()
