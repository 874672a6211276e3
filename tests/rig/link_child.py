"""Holds the virtual camera through a worker until it is killed: ``link_child.py PYTHON``."""

import asyncio
import sys

from tests import engine_only

engine_only.install()

from custom_components.skylapse.engine.camera_host.local import LocalTransport  # noqa: E402
from custom_components.skylapse.engine.camera_host.supervisor import Supervisor  # noqa: E402

CONFIGURATION = {
    "backend": "picamera2",
    "camera": {"index": 0},
    "size": [1280, 720],
    "preview_size": [320, 240],
    "quality": 80,
    "controls": {},
}


async def main(python: str) -> None:
    """Photograph for ever, after telling the worker's process id."""
    supervisor = Supervisor(LocalTransport(), python, lambda: CONFIGURATION)
    await supervisor.start()
    await supervisor.request("capture", {"controls": {}}, deadline_s=30)
    print(supervisor.hello["pid"], flush=True)
    while True:
        await supervisor.request("capture", {"controls": {}}, deadline_s=30)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
