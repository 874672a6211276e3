"""Store and catalogue under SIGKILL at random moments."""

import hashlib
import os
from pathlib import Path
import random
import subprocess
import sys
import time

import pytest

from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.reconcile import reconcile
from custom_components.skylapse.engine.frames.store import FrameStore
from tests.engine.fakes import FakeClock
from tests.engine_only import ROOT

from .conftest import NOW

KILLS = min(30, int(os.environ.get("SKYLAPSE_KILLS", "30")))


def run_and_kill(folder: Path, run: int, delay_s: float) -> list[list[str]]:
    """Let the child work for a while, kill it, and return what it had promised."""
    command = [sys.executable, "-m", "tests.engine.frames.kill_child", str(folder), str(run)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(delay_s)
        finally:
            child.kill()
        return [line.decode().split() for line in child.stdout.read().splitlines()]


async def check(folder: Path, frames: dict[str, str], dngs: dict[str, str], verified: set[str]) -> None:
    """Bring it together as the next start does, then compare promises, rows, files and counters."""
    store = FrameStore(folder / "sky", "sky")
    catalogue = Catalogue(folder / "catalogue.db", FakeClock(NOW), folder=store.folder)
    await catalogue.open()
    report = await reconcile(store, catalogue, ["nas"], "sky", required=["nas"])
    assert (report.missing_count, report.damaged_count, report.strays_count) == (0, 0, 0)
    assert report.adopted <= 1
    assert report.adopted_dngs <= report.adopted
    await catalogue.check()

    rows = await catalogue.frames_page(0, 1_000_000)
    live = {file.relative_path: file for frame in rows for file in (frame.file, frame.dng) if file is not None}
    on_disk = {path.relative_to(store.folder).as_posix(): path for path in store.folder.rglob("*") if path.is_file()}
    assert live.keys() == on_disk.keys()
    for name, path in on_disk.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == live[name].sha256
    proven = {upload.remote_path.removeprefix("sky/") for upload in await catalogue.verified_page("nas", 0, 1_000_000)}
    for name, sha256 in frames.items():
        record = await catalogue.frame_by_path(name)
        assert record is not None
        assert record.file.sha256 == sha256
        assert name in live or name in proven, "deleted unproven"
    for name, sha256 in dngs.items():
        assert name in live or name in proven, "a DNG was deleted unproven"
        assert name not in live or live[name].sha256 == sha256
        assert name not in live or name.replace(".dng", ".jpg") in live, "of a deletion the DNG is the first to go"
    assert verified <= proven

    def recount(connection) -> tuple[int, ...]:
        return connection.execute(
            "SELECT (SELECT count(*) FROM frames), (SELECT count(*) FROM session_frames), (SELECT count(*) FROM uploads),"
            " (SELECT count(*) FROM uploads WHERE state = 4), (SELECT count(*) FROM dngs)"
        ).fetchone()

    count, in_session, uploads, done, raws = await catalogue._read(recount)
    slots, total = await catalogue.totals()
    counts = (await catalogue.counts())["nas"]
    assert count == total == uploads - raws
    assert len(dngs) <= raws
    assert slots.captured == in_session == sum([session.slots.captured for session in await catalogue.open_sessions()])
    assert len(frames) <= total
    assert (counts.verified, counts.queued) == (done, uploads - done)
    assert await catalogue.storage_used() == sum(path.stat().st_size for path in on_disk.values())
    await catalogue.close()


@pytest.mark.kill
@pytest.mark.timeout(600)
async def test_killed_at_random_moments_nothing_announced_is_lost_or_doubled(tmp_path: Path) -> None:
    rng = random.Random(20261123)
    frames: dict[str, str] = {}
    dngs: dict[str, str] = {}
    verified: set[str] = set()
    for run in range(KILLS):
        for promise in run_and_kill(tmp_path, run, rng.uniform(0, 0.3)):
            if promise[0] == "verified":
                verified.add(promise[1])
                continue
            told = frames if promise[0] == "frame" else dngs
            assert promise[1] not in told
            told[promise[1]] = promise[2]
        await check(tmp_path, frames, dngs, verified)
    assert len(frames) > KILLS
    assert len(dngs) > KILLS / 2
    assert any(name.endswith(".dng") for name in verified)
