"""Programs for the rig: what a user of picamera2 would write."""

import json
import subprocess
from typing import Any, NamedTuple

from tests.rig.machine import Rig

BEGIN = """
import io, json, os, sys, time
def tell(**found): print("TOLD", json.dumps(found), flush=True)
from picamera2 import Picamera2
def still(size=(640, 480), **more):
    camera.configure(camera.create_still_configuration({"size": size, "format": "YUV420"}, buffer_count=2, **more))
    camera.start()
def frame(flush=True, wait=10):
    with camera.captured_request(flush=flush, wait=wait) as request:
        return request.get_metadata()
"""
OPEN = f"{BEGIN}\ncamera = Picamera2(0)\n"


class Done(NamedTuple):
    """How a program ended."""

    code: int
    told: dict[str, Any]
    error: str


def run(rig: Rig, program: str, *, begin: str = OPEN, timeout_s: float = 60) -> Done:
    """Run a program on the rig, in an empty environment, as an SSH server would."""
    done = subprocess.run([rig.python, "-u", "-c", begin + program], capture_output=True, text=True, timeout=timeout_s, check=False, env={})
    return Done(done.returncode, told(done.stdout), done.stderr)


def told(output: str) -> dict[str, Any]:
    """Return what a program told."""
    found: dict[str, Any] = {}
    for line in output.splitlines():
        if line.startswith("TOLD "):
            found |= json.loads(line.removeprefix("TOLD "))
    return found
