"""A destination folder and files to deliver to it."""

from collections.abc import AsyncGenerator, Callable
import hashlib
import os
from pathlib import Path
import subprocess

import pytest

from custom_components.skylapse.engine.upload.destination import Delivery
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder

MakeDelivery = Callable[..., Delivery]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder for the destination."""
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


@pytest.fixture
async def destination(root: Path) -> AsyncGenerator[FolderDestination]:
    """Return a destination that is ready."""
    made = FolderDestination("dest1", "NAS", root, prepare_folder(root))
    yield made
    await made.close()


@pytest.fixture
def make_delivery(tmp_path: Path) -> MakeDelivery:
    """Return a function that makes a file to deliver."""
    source = tmp_path / "media"
    source.mkdir()
    number = 0

    def make(remote_path: str = "cam/2026/11/23/a.jpg", content: bytes | None = None) -> Delivery:
        nonlocal number
        number += 1
        data = os.urandom(300_000) if content is None else content
        path = source / f"{number}.jpg"
        path.write_bytes(data)
        return Delivery(path, remote_path, len(data), hashlib.sha256(data).hexdigest())

    return make


def sha256sum(folder: Path) -> str:
    """Run the real ``sha256sum -c`` in a folder; returns what it prints, fails unless it is satisfied."""
    run = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def leftovers(root: Path) -> list[str]:
    """Return temporary files anywhere below a folder."""
    return [path.name for path in root.rglob("*.part")]
