"""A client that is killed: opens the camera of the entry's data on its standard input, takes frames, and tells of each.

Run as a program, ``python -P tests/hardware/client.py``. Home Assistant is not needed for it.
"""

import asyncio
from datetime import UTC, datetime
import importlib
import json
from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


async def main() -> None:
    """Take frames until killed."""
    importlib.import_module("tests.engine_only").install()
    from custom_components.skylapse.engine.ports import Site, SystemClock
    from custom_components.skylapse.engine.sources.base import CaptureRequest
    from custom_components.skylapse.engine.sources.build import build_source

    async def no_image(entity_id: str, timeout_s: float) -> bytes:
        raise AssertionError(entity_id)

    data = json.loads(sys.stdin.readline())
    source = build_source(data, {}, site=lambda: Site(0, 0, 0, UTC), clock=SystemClock(), fetch_image=no_image)
    await source.start()
    while True:
        shot = await source.capture(CaptureRequest(datetime.now(UTC), 60.0))
        print(len(shot.jpeg), flush=True)


asyncio.run(main())
