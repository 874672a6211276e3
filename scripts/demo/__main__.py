"""Runs the demo (``scripts/develop``): starts Home Assistant, sets Skylapse up in it, tells where everything is."""

import argparse
import asyncio
import contextlib
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from tests.rig.machine import Rig, RigImpossible, make

from . import cameras, dashboard
from .api import PASSWORD, USER, ApiError, connect
from .home import ROOT, Folders, HomeAssistant, port_is_free

_FIRST_COPY_S = 120


def main() -> int:
    """Run until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/develop", description="A real Home Assistant with a demo of Skylapse.")
    parser.add_argument("--port", type=int, default=8123, help="where it listens, on this machine only (default 8123)")
    parser.add_argument("--dir", type=Path, default=ROOT / ".skylapse" / "develop", help="where everything lies")
    parser.add_argument("--fresh", action="store_true", help="forget what is there, and start anew")
    parser.add_argument("--rig", action="store_true", help="add a virtual Raspberry Pi camera: real picamera2 on real libcamera")
    wanted = parser.parse_args()
    folders = Folders(wanted.dir.resolve())
    if not port_is_free(wanted.port):
        return _fail(f"something listens on port {wanted.port} already; name another one with --port")
    if wanted.fresh and folders.top.exists():
        if not (folders.config / "configuration.yaml").exists() and any(folders.top.iterdir()):
            return _fail(f"{folders.top} holds something else; it is left alone")
        shutil.rmtree(folders.top)
    home = HomeAssistant(folders, wanted.port)
    home.prepare()
    photos = _photos(folders)
    try:
        rig = Rig(make(), folders.top / "pi") if wanted.rig else None
    except RigImpossible as error:
        return _fail(str(error))
    # Also where a shell started it in the background, which ignores Ctrl-C, and when its terminal is closed
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.default_int_handler)
    began = time.monotonic()
    print("develop: starting Home Assistant", flush=True)
    home.start()
    try:
        asyncio.run(_set_up(home, photos, rig, began))
        code = home.wait()
        return _fail(f"Home Assistant ended by itself ({code}); its log: {folders.log}")
    except KeyboardInterrupt:
        print("\ndevelop: stopping Home Assistant", flush=True)
        return 0
    except ApiError as error:
        return _fail(f"{error}; Home Assistant's log: {folders.log}")
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C while it stops
            home.stop()


async def _set_up(home: HomeAssistant, photos: list[Path], rig: Rig | None, began: float) -> None:
    """Set the cameras up, tell where everything is, wait for the first verified copy."""
    folders = home.folders
    async with connect(home.url, lambda: home.running) as api:
        print(f"develop: Home Assistant is up after {time.monotonic() - began:.0f} s; setting Skylapse up", flush=True)
        await cameras.add_sky(api, folders.nas)
        if photos:
            await cameras.add_photographs(api, folders.nas, photos)
        if rig is not None:
            await cameras.add_virtual(api, folders.nas, rig.python)
        found = await cameras.cameras(api)
        await dashboard.save(api, found)
        print(_told(home, [camera.name for camera in found]), flush=True)
        await _first_copy(home, began)


def _told(home: HomeAssistant, names: list[str]) -> str:
    """Return what the person needs to know."""
    folders = home.folders
    return f"""
  Dashboard         {home.url}/{dashboard.PATH}
  Log in as         {USER} / {PASSWORD}
  Cameras           {", ".join(names)}
  Frames            {folders.media / "skylapse"}
  Verified copies   {folders.nas}
  Check them        cd {folders.nas}/…/YYYY/MM/DD && sha256sum -c SHA256SUMS
  Log               {folders.log}

  Ctrl-C ends it. What it made is kept; scripts/develop --fresh starts anew.
"""


async def _first_copy(home: HomeAssistant, began: float) -> None:
    """Wait until a frame has been copied and proven, and tell so."""
    end = time.monotonic() + _FIRST_COPY_S
    while home.running and time.monotonic() < end:
        if sums := await asyncio.to_thread(lambda: next(home.folders.nas.rglob("SHA256SUMS"), None)):
            print(
                f"develop: the first verified copy was there {time.monotonic() - began:.0f} s after the start ({sums.parent})", flush=True
            )
            return
        await asyncio.sleep(0.5)
    print(f"develop: no verified copy yet after {_FIRST_COPY_S} s; the dashboard and the log tell why", flush=True)


def _photos(folders: Folders) -> list[Path]:
    """Return real photographs to show, fetched where they are not there yet; none where they cannot be had."""
    if not list(folders.photos.glob("*.jpg")):
        done = subprocess.run([ROOT / "scripts" / "get-photos"], stdout=subprocess.PIPE, text=True, check=False, env=dict(os.environ))
        if done.returncode:
            print("develop: no real photographs could be fetched, so there is no second camera", flush=True)
            return []
        for photo in Path(done.stdout.strip()).glob("*.jpg"):
            shutil.copy(photo, folders.photos)
    return sorted(folders.photos.glob("*.jpg"))


def _fail(message: str) -> int:
    """Say what went wrong; return the exit code."""
    print(f"develop: {message}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
