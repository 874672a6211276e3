"""A process that stores, catalogues, verifies and deletes frames as fast as it can, until it is killed.

Two of three have a DNG. Usage: ``python -m tests.engine.frames.kill_child FOLDER RUN``. Each line it prints is a promise: ``frame PATH SHA256``,
and ``dng PATH SHA256``, once a frame is catalogued, ``verified PATH`` once a proof is. ``ready`` comes first.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from io import BytesIO
import os
from pathlib import Path
import sys

from PIL import Image

from tests.engine_only import install

install()

from custom_components.skylapse.engine.frames.catalogue import Catalogue  # noqa: E402  has to be importable first
from custom_components.skylapse.engine.frames.reconcile import reconcile  # noqa: E402
from custom_components.skylapse.engine.frames.records import FrameDetails  # noqa: E402
from custom_components.skylapse.engine.frames.retention import RetentionRule, apply  # noqa: E402
from custom_components.skylapse.engine.frames.store import FrameStore  # noqa: E402
from custom_components.skylapse.engine.ports import SystemClock  # noqa: E402
from custom_components.skylapse.engine.schedule.model import Window  # noqa: E402
from custom_components.skylapse.engine.upload.destination import Proof, ProofMethod  # noqa: E402

FIRST = datetime(2027, 1, 1, 23, 55, tzinfo=UTC)
KEPT = timedelta(seconds=40)


def promise(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


async def work(folder: Path, run: int) -> None:
    out = BytesIO()
    Image.frombytes("RGB", (200, 150), os.urandom(90_000)).save(out, "JPEG")
    jpeg, raw = out.getvalue(), b"II\x2a\x00\x08\x00\x00\x00" + os.urandom(400_000)
    store = FrameStore(folder / "sky", "sky")
    store.prepare()
    catalogue = Catalogue(folder / "catalogue.db", SystemClock(), folder=store.folder)
    await catalogue.open()
    await reconcile(store, catalogue, ["nas"], "sky", required=["nas"])
    promise("ready")
    start = FIRST + timedelta(hours=run)
    session = await catalogue.open_session("s1", "All day", Window(FIRST, FIRST + timedelta(days=400), "s1"))
    number = 0
    while True:
        details = FrameDetails(start + timedelta(seconds=number), 5, "Sky")
        if number % 3:
            stored = await asyncio.to_thread(store.write_pair, jpeg, raw, details)
            file, dng = stored.file, stored.dng
        else:
            file, dng = await asyncio.to_thread(store.write, jpeg, details), None
        record = await catalogue.add_frame(
            file, details, dng=dng, session_ids=[session.session_id], destinations=["nas"], remote_prefix="sky"
        )
        if dng is not None:  # in the same breath: told of together, or not at all
            promise("dng", dng.relative_path, dng.sha256, "\nframe", file.relative_path, file.sha256)
        else:
            promise("frame", file.relative_path, file.sha256)
        number += 1
        if number % 3 == 0:
            uploads = await catalogue.claim("nas", 3, details.taken_at)
            await catalogue.mark_verified(
                [(upload.upload_id, Proof(upload.sha256, upload.size_bytes, ProofMethod.READ_BACK, details.taken_at)) for upload in uploads]
            )
            for upload in uploads:
                promise("verified", upload.remote_path.removeprefix("sky/"))
        if number % 7 == 0:
            await apply(store, catalogue, RetentionRule(0, KEPT, False), ["nas"], now=record.details.taken_at)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
