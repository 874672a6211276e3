"""The power is cut in the middle of work, on a real file system: what was announced must be there afterwards.

An ext4 file system on a loop device is shut down without its journal flushed, which drops all that was not made durable. Then it is
mounted again and compared with what a child process announced. Needs root and loop devices; SKYLAPSE_CUTS sets how often.
"""

import asyncio
from collections.abc import Generator
import contextlib
from dataclasses import dataclass, field
import fcntl
import hashlib
import os
from pathlib import Path
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import time

import pytest

from custom_components.skylapse.engine.frames.reconcile import ReconcileReport, reconcile

from .powercut_child import DESTINATION, SLUG, build

CUTS = int(os.environ.get("SKYLAPSE_CUTS", "20"))
IMAGE_BYTES = 1 << 30
FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.powercut, pytest.mark.timeout(300)]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=60)


@dataclass
class Disk:
    """A file system whose power can be cut."""

    device: str
    folder: Path
    frames: dict[str, str] = field(default_factory=dict)
    """Announced as stored: SHA-256 by path."""
    dngs: dict[str, str] = field(default_factory=dict)
    """The same of DNGs."""
    copies: dict[str, str] = field(default_factory=dict)
    """Announced as verified: SHA-256 by remote path."""

    def mount(self) -> None:
        done = run("mount", self.device, self.folder)
        assert done.returncode == 0, done.stderr

    def unmount(self) -> None:
        until = time.monotonic() + 20
        while (done := run("umount", self.folder)).returncode:
            assert time.monotonic() < until, done.stderr
            time.sleep(0.02)

    def work_until_cut(self, seconds: float, *options: str) -> None:
        """Let a child work, cut the power, end the child, and mount what is left."""
        command = [sys.executable, "-m", "tests.engine.powercut_child", str(self.folder), *options]
        said = self.folder.parent / "said"
        with said.open("wb") as out, (self.folder.parent / "errors").open("wb") as errors:
            child = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=errors)
        try:
            until = time.monotonic() + 30
            while not said.stat().st_size:
                assert child.poll() is None, (self.folder.parent / "errors").read_text()
                assert time.monotonic() < until
                time.sleep(0.005)
            time.sleep(seconds)
            assert child.poll() is None, (self.folder.parent / "errors").read_text()
            fd = os.open(self.folder, os.O_RDONLY)
            announced = said.read_bytes()
            # what is said from here on does not count: an fsync that is under way when this journal is dropped may return as if all
            # were well, while a machine without power says nothing
            try:
                fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
            except OSError as err:
                pytest.skip(f"this kernel cannot cut the power of a file system: {err}")
            finally:
                os.close(fd)
            time.sleep(0.02)
        finally:
            child.kill()
            child.wait(20)
        for line in announced.decode().splitlines():
            what, path, sha256 = line.split()
            {"frame": self.frames, "dng": self.dngs, "verified": self.copies}[what][path] = sha256
        self.unmount()
        self.mount()

    def losses(self) -> list[str]:
        """Return announced frames that are not there as they were."""
        found = []
        for path, sha256 in (self.frames | self.dngs).items():
            try:
                content = (self.folder / "media" / SLUG / path).read_bytes()
            except FileNotFoundError:
                found.append(f"{path} is gone")
            else:
                if hashlib.sha256(content).hexdigest() != sha256:
                    found.append(f"{path} has other content ({len(content)} bytes)")
        return found


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Disk]:
    """Make a file system in a file; all of it is gone afterwards, whatever happens."""
    if os.geteuid():
        pytest.skip("cutting the power of a file system needs root")
    if missing := [tool for tool in ("mkfs.ext4", "losetup", "mount", "umount") if shutil.which(tool) is None]:
        pytest.skip(f"cutting the power of a file system needs {', '.join(missing)}")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    loop = run("losetup", "--find", "--show", image)
    if loop.returncode:
        pytest.skip(f"this machine forbids loop devices: {loop.stderr.strip()}")
    made = Disk(loop.stdout.strip(), folder)
    try:
        if (done := run("mount", made.device, folder)).returncode:
            pytest.skip(f"this machine forbids mounting: {done.stderr.strip()}")
        yield made
    finally:
        run("umount", folder)
        if os.path.ismount(folder):
            run("umount", "-l", folder)
        run("losetup", "--detach", made.device)
        with contextlib.suppress(FileNotFoundError):
            image.unlink()


def check_lists(root: Path, *, torn: int = 0) -> int:
    """Let the real ``sha256sum`` check every list of the destination; returns how many files they list.

    Right after a cut a list may end in ``torn`` lines at most: of an upload that was not announced, and mended when that is sent again.
    """
    listed = 0
    for sums in root.rglob("SHA256SUMS"):
        strict = [] if torn else ["--strict"]
        done = subprocess.run(["sha256sum", *strict, "-c", "SHA256SUMS"], cwd=sums.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = sums.read_text(errors="replace").splitlines()
        assert len(lines) == len(set(lines))
        assert 0 <= len(lines) - done.stdout.count(": OK\n") <= torn
        listed += len(lines)
    return listed


async def check(disk: Disk) -> None:
    """Compare catalogue, frames and copies with what was announced."""
    integrity = sqlite3.connect(disk.folder / "config" / "cam.db")
    assert integrity.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    integrity.close()
    store, catalogue, _destination, _queue = build(disk.folder, None)
    await catalogue.open()
    try:
        for path, sha256 in disk.frames.items():
            frame = await catalogue.frame_by_path(path)
            assert frame is not None, f"{path} is not catalogued"
            assert frame.file.sha256 == sha256
        for path, sha256 in disk.dngs.items():
            frame = await catalogue.frame_by_path(path.replace(".dng", ".jpg"))
            assert frame is not None
            assert frame.dng is not None, f"{path} is not catalogued"
            assert frame.dng.sha256 == sha256
        report = await reconcile(store, catalogue, [DESTINATION], SLUG)
        assert report.missing_count == 0, report.missing
        assert report.damaged_count == 0, report.damaged
        assert report.strays_count == 0, report.strays
        again = await reconcile(store, catalogue, [DESTINATION], SLUG)
        assert again == ReconcileReport()
        verified: dict[str, str] = {}
        after = 0
        while page := await catalogue.verified_page(DESTINATION, after, 1000):
            verified |= {record.remote_path: record.sha256 for record in page}
            after = page[-1].upload_id
        assert disk.copies.items() <= verified.items()
        for path, sha256 in verified.items():
            assert hashlib.sha256((disk.folder / "nas" / path).read_bytes()).hexdigest() == sha256
    finally:
        await catalogue.close()


async def drain(disk: Disk) -> int:
    """Deliver what is left; return how many files are verified."""
    _store, catalogue, destination, queue = build(disk.folder, lambda kind, data: None)
    await catalogue.open()
    try:
        await queue.start()
        async with asyncio.timeout(60):
            while (counts := (await catalogue.counts())[DESTINATION]).queued:  # noqa: ASYNC110  the catalogue is what is to be looked at
                await asyncio.sleep(0.02)
        assert counts.quarantined == 0
        return counts.verified
    finally:
        await queue.stop()
        await destination.close()
        await catalogue.close()


def test_nothing_announced_is_lost(disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int.from_bytes(os.urandom(4))
    rng = random.Random(seed)
    for _ in range(CUTS):
        disk.work_until_cut(rng.uniform(0.02, 2.0))
        assert disk.losses() == [], f"seed {seed}"
        check_lists(disk.folder / "nas", torn=1)
        asyncio.run(check(disk))
    verified = asyncio.run(drain(disk))
    assert check_lists(disk.folder / "nas") == verified >= len(disk.frames) + len(disk.dngs)
    assert disk.dngs
    assert not list((disk.folder / "nas").rglob("*.part"))
    with capsys.disabled():
        print(
            f"\n{CUTS} power cuts: {len(disk.frames)} frames, {len(disk.dngs)} DNGs and {len(disk.copies)} proofs had been announced, none was lost"
        )


def test_the_cut_is_real(disk: Disk) -> None:
    """Without fsync the same cut loses frames: the test above would notice."""
    disk.work_until_cut(0.7, "careless")
    assert disk.losses()
