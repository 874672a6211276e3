"""A station killed with SIGKILL at random moments while it photographs, delivers and deletes loses nothing it announced."""

from collections import Counter
from dataclasses import dataclass, field
import hashlib
import json
import os
from pathlib import Path
import queue
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tests.engine_only import ROOT

KILLS = int(os.environ.get("SKYLAPSE_KILLS", "200"))
PATIENCE_S = 30.0


@dataclass
class Announced:
    """What the stations said before they were killed."""

    captured: dict[str, str] = field(default_factory=dict)
    """Absolute path → SHA-256."""
    dngs: dict[str, str] = field(default_factory=dict)
    """Absolute path of a frame → that of its DNG."""
    verified: dict[str, str] = field(default_factory=dict)
    """Remote path → SHA-256."""
    said: Counter[str] = field(default_factory=Counter)


class Zygote:
    """The process that forks the stations; its lines, read by a thread."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.engine.kill.zygote", str(folder)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._errors: list[bytes] = []
        self._station: int | None = None
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)

    def _read_errors(self) -> None:
        self._errors.extend(self._process.stderr)

    def fork(self) -> None:
        """Start a station."""
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        self._station = int(self.until("pid", Announced()))

    def kill(self, announced: Announced) -> None:
        """Kill the station, and note what it had said until then."""
        os.kill(self._station, signal.SIGKILL)
        self._station = None
        self.until("dead", announced)

    def until(self, word: str, announced: Announced, patience_s: float = PATIENCE_S) -> str:
        """Note announcements until a line begins with ``word``; return its rest."""
        while True:
            try:
                line = self._lines.get(timeout=patience_s).decode()
            except queue.Empty:
                pytest.fail(f"no {word!r} came; the station said: {b''.join(self._errors[-30:]).decode()}")
            kind, _, rest = line.partition(" ")
            if kind == "captured":
                data = json.loads(rest)
                announced.captured[data["path"]] = data["sha256"]
                announced.said[data["path"]] += 1
                if data["dng_path"] is not None:
                    announced.dngs[data["path"]] = data["dng_path"]
            elif kind == "verified":
                data = json.loads(rest)
                announced.verified[data["remote_path"]] = data["sha256"]
            if kind == word:
                return rest

    def close(self) -> None:
        if self._station is not None:
            os.kill(self._station, signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_S)
        for thread in self._threads:
            thread.join()
        self._process.stdout.close()
        self._process.stderr.close()


def sha256(path: Path) -> str | None:
    """Hash of a file, None if it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def check_sums(nas: Path) -> int:
    """Let coreutils check every day's list; return how many files it passed."""
    passed = 0
    for sums in nas.rglob("SHA256SUMS"):
        result = subprocess.run(["sha256sum", "-c", "--strict", sums.name], cwd=sums.parent, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{sums}: {result.stdout[-500:]} {result.stderr[-500:]}"
        passed += len(result.stdout.splitlines())
    return passed


@pytest.mark.kill
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("kill")
def test_nothing_announced_is_lost_however_often_the_station_is_killed(tmp_path: Path) -> None:
    rng = random.Random(20261123)
    media, nas, catalogue = tmp_path / "media" / "kill", tmp_path / "nas", tmp_path / "kill.db"
    announced = Announced()
    zygote = Zygote(tmp_path)
    try:
        for kill in range(KILLS):
            zygote.fork()
            # One kill in four strikes during the start itself, the others among captures, copies and deletions.
            if kill % 4 == 0:
                time.sleep(rng.uniform(0.0, 0.15))
            else:
                ready = json.loads(zygote.until("ready", announced))
                assert ready["problems"] == [], ready
                assert ready["quarantined"] == 0
                assert ready["frames_total"] >= len(announced.captured), "an announced frame is not counted"
                time.sleep(rng.uniform(0.0, 0.25))
            zygote.kill(announced)
            _check(announced, media, nas, catalogue)
        zygote.fork()
        zygote.until("ready", announced)
        zygote.kill(announced)
    finally:
        zygote.close()
    _check(announced, media, nas, catalogue)
    assert len(announced.captured) > KILLS, "the stations hardly photographed: this proves nothing"
    assert len(announced.verified) > KILLS / 2, "the stations hardly delivered: this proves nothing"
    assert check_sums(nas) >= len(announced.verified)
    assert len(announced.dngs) > KILLS / 2
    assert any(path.endswith(".dng") for path in announced.verified)
    gone = [path for path in announced.captured if not Path(path).exists()]
    assert gone, "nothing was ever deleted: the rule against deleting the unproven was not tried"


def _check(announced: Announced, media: Path, nas: Path, catalogue: Path) -> None:
    """Nothing announced is lost, nothing is counted twice, nothing unproven was deleted."""
    for path, digest in announced.captured.items():
        here = sha256(Path(path))
        if here is None:
            there = sha256(nas / "kill" / Path(path).relative_to(media))
            assert there == digest, f"{path} was deleted and the destination does not hold it"
        else:
            assert here == digest, f"{path} changed"
    for path, dng in announced.dngs.items():
        here = sha256(Path(dng))
        if here is None:  # deleted with its frame, or just before it
            remote_path = f"kill/{Path(dng).relative_to(media)}"
            assert sha256(nas / remote_path) is not None, f"{path} lacks its DNG, and the destination does not hold it"
        else:
            assert Path(path).exists(), f"{dng} is left without its frame"
            assert announced.verified.get(f"kill/{Path(dng).relative_to(media)}", here) == here, f"{dng} changed"
    for remote_path, digest in announced.verified.items():
        assert sha256(nas / remote_path) == digest, f"{remote_path} was called verified"
    assert max(announced.said.values(), default=1) == 1, "a frame was announced twice"
    if not catalogue.exists():
        return
    connection = sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        made = connection.execute("PRAGMA user_version").fetchone() != (0,)  # a kill during the very first start
        paths = [row[0] for row in connection.execute("SELECT relative_path FROM frames")] if made else []
        rows = connection.execute("SELECT relative_path, hex(g.sha256) FROM dngs g JOIN frames USING (frame_id)") if made else []
        catalogued = {str(media / path): digest.lower() for path, digest in rows}
    finally:
        connection.close()
    assert len(paths) == len(set(paths))
    known = {str(media / path) for path in paths}
    assert announced.captured.keys() <= known, "an announced frame is not in the catalogue"
    for path, dng in announced.dngs.items():
        there = nas / "kill" / Path(dng).relative_to(media)
        held = sha256(Path(dng)) or sha256(there)
        assert held == catalogued.get(path), f"{dng} is not what was announced"
