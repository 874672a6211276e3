"""Photographs, keeps, announces and delivers as fast as it can, until the power is cut. Run by ``test_powercut``.

Usage: ``python -m tests.engine.powercut_child FOLDER [careless]``; ``careless`` leaves out every fsync of files and folders, to show that the cut is real.
Every second frame has a DNG. Prints ``dng PATH SHA256`` and ``frame PATH SHA256`` once a frame is stored and catalogued, ``verified REMOTE_PATH SHA256`` once a copy is proven and noted.
"""

import asyncio
from datetime import UTC, datetime
from io import BytesIO
import os
from pathlib import Path
from random import Random
import sys
from typing import Any

from PIL import Image

from tests.engine_only import install

install()

from custom_components.skylapse.engine.frames.catalogue import Catalogue  # noqa: E402  the engine has to be importable first
from custom_components.skylapse.engine.frames.records import FrameDetails  # noqa: E402
from custom_components.skylapse.engine.frames.store import FrameStore  # noqa: E402
from custom_components.skylapse.engine.ports import SystemClock  # noqa: E402
from custom_components.skylapse.engine.status import EventKind  # noqa: E402
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder  # noqa: E402
from custom_components.skylapse.engine.upload.queue import UploadQueue  # noqa: E402

SLUG = "cam"
DESTINATION = "nas"


def announce(*words: str) -> None:
    """Say that something is safe now."""
    os.write(1, f"{' '.join(words)}\n".encode())


def build(folder: Path, verified: Any) -> tuple[FrameStore, Catalogue, FolderDestination, UploadQueue]:
    """Return a station's rooms below a folder."""
    root = folder / "nas"
    root.mkdir(exist_ok=True)
    (folder / "config").mkdir(exist_ok=True)
    clock = SystemClock()
    store = FrameStore(folder / "media" / SLUG, SLUG)
    store.prepare()
    catalogue = Catalogue(folder / "config" / "cam.db", clock, folder=store.folder)
    destination = FolderDestination(DESTINATION, "NAS", root, prepare_folder(root))
    queue = UploadQueue(destination, catalogue, clock, on_change=lambda: None, on_event=verified, rng=Random(1))
    return store, catalogue, destination, queue


async def work(folder: Path) -> None:
    """Never return."""

    def verified(kind: EventKind, data: dict[str, Any]) -> None:
        if kind is EventKind.VERIFIED:
            announce("verified", data["remote_path"], data["sha256"])

    out = BytesIO()
    Image.frombytes("RGB", (160, 120), os.urandom(160 * 120 * 3)).save(out, "JPEG", quality=90)
    jpeg, raw = out.getvalue(), b"II\x2a\x00\x08\x00\x00\x00" + os.urandom(200_000)
    store, catalogue, _destination, queue = build(folder, verified)
    await catalogue.open()
    await queue.start()
    number = 0
    while True:
        details = FrameDetails(datetime.now(UTC), 1, "Cam")
        number += 1
        if number % 2:
            stored = await asyncio.to_thread(store.write_pair, jpeg, raw, details)
            file, dng = stored.file, stored.dng
        else:
            file, dng = await asyncio.to_thread(store.write, jpeg, details), None
        await catalogue.add_frame(file, details, dng=dng, destinations=(DESTINATION,), remote_prefix=SLUG)
        if dng is not None:
            announce("dng", dng.relative_path, dng.sha256)
        announce("frame", file.relative_path, file.sha256)
        queue.wake()


if __name__ == "__main__":
    if "careless" in sys.argv[2:]:
        os.fsync = lambda _fd: None
        os.posix_fadvise = lambda *_: None  # it begins to write, too
    asyncio.run(work(Path(sys.argv[1])))
