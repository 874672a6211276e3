"""From asking for a frame to its JPEG in Home Assistant's process: the worker, here and over SSH, against a process per frame.

All use the same virtual camera (real picamera2 on real libcamera: tests/rig), a 16 megapixel sensor at its nine frames a
second. They take turns, because a camera has one owner: each round the one that has it lets it go. A process per frame is
what users of ``rpicam-still`` and most scripts do, with automatic exposure: libcamera then drops the first frames after each
start, seven on a Raspberry Pi, because nothing is measured yet. With exposure, gain and colours all set by hand it drops none;
that, the best case for a process per frame, is measured, too. The floor is what no program can beat: one whole frame period, since the exposure has to begin after the
request, and encoding the JPEG.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path
from statistics import median
import tempfile
import time
from typing import Any

from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources.base import CaptureRequest, FrameSource
from custom_components.skylapse.engine.sources.build import build_source
from custom_components.skylapse.engine.sources.discover import find_cameras
from tests.rig import machine
from tests.rig.sshd import Sshd, missing

from .bench_station import SITE
from .report import report

ROUNDS = 5
FRAMES = 20
"""Frames a round from each worker; one of a process of its own."""
FRAME_US = 111_111
EXPOSURE_US = 20_000
QUALITY = 93
DEADLINE_S = 60.0

STARTUP_FRAMES = 7
BY_HAND = {"ExposureTime": EXPOSURE_US, "AnalogueGain": 1.0, "ColourGains": [2.0, 1.8]}

ONE_FRAME = f"""
import io, json, sys
from picamera2 import Picamera2
camera = Picamera2()
camera.configure(camera.create_still_configuration(
    main={{"format": "YUV420"}}, raw=None, buffer_count=2, controls=json.loads(sys.argv[1])
))
camera.options["quality"] = {QUALITY}
camera.start()
out = io.BytesIO()
camera.capture_file(out, format="jpeg")
sys.stdout.buffer.write(out.getvalue())
camera.close()
"""
"""What a script does that takes one picture and ends: the leanest form of it."""

ENCODING = f"""
import io, os, statistics, sys, time
from picamera2 import Picamera2
camera = Picamera2()
camera.configure(camera.create_still_configuration(main={{"format": "YUV420"}}, raw=None, buffer_count=3))
camera.options["quality"] = {QUALITY}
camera.start()
took = []
with camera.captured_request() as request:
    for _ in range(20):
        began = time.perf_counter()
        request.save("main", io.BytesIO(), format="jpeg")
        took.append((time.perf_counter() - began) * 1000)
print(statistics.median(took), flush=True)
os._exit(0)
"""


@dataclass
class Way:
    """One way to a frame, and how long each took."""

    name: str
    take: Callable[[], Awaitable[int]]
    """Takes one frame; returns its bytes."""
    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    frames: int
    took_ms: list[float] = field(default_factory=list)
    size_bytes: int = 0


async def _nothing() -> None:
    """Begin or end nothing."""


def _process_per_frame(name: str, python: str, controls: Mapping[str, Any]) -> Way:
    async def take() -> int:
        process = await asyncio.create_subprocess_exec(
            python, "-c", ONE_FRAME, json.dumps(controls), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        jpeg, _ = await process.communicate()
        assert process.returncode == 0, "the script took no picture"
        assert jpeg.endswith(b"\xff\xd9"), "the picture is not whole"
        return len(jpeg)

    return Way(name, take, _nothing, _nothing, 1)


def _worker(name: str, source: FrameSource, clock: SystemClock) -> Way:
    async def take() -> int:
        request = CaptureRequest(due_at=clock.now(), deadline_s=DEADLINE_S)
        return len((await source.capture(request)).jpeg)

    async def start() -> None:
        await source.start()
        await take()  # starts the stream

    return Way(name, take, start, source.close, FRAMES)


async def _no_picture(entity_id: str, timeout_s: float) -> bytes:
    raise NotImplementedError


async def _sources(python: str, sshd: Sshd, clock: SystemClock) -> tuple[FrameSource, FrameSource]:
    """Return the same camera by both ways."""
    transport = LocalTransport()
    found = await find_cameras(transport, python, clock=clock)
    await transport.close()
    probe = found.cameras[0].probe
    camera = {
        "source": "picamera2", "python": python, "camera_id": probe.id, "camera_index": 0, "model": probe.model, "probe": probe.to_dict(),
    }  # fmt: skip
    ssh: dict[str, Any] = {
        "transport": "ssh", "host": sshd.host, "port": sshd.port, "username": sshd.username, "host_key": sshd.host_key,
        "private_key": sshd.private_key,
    }  # fmt: skip
    options = {"quality": QUALITY}
    local, remote = (
        build_source({**camera, **way}, options, site=lambda: SITE, clock=clock, fetch_image=_no_picture)
        for way in ({"transport": "local"}, ssh)
    )
    return local, remote


async def _encoding_ms(python: str) -> float:
    """Return what encoding one frame takes the camera's own library, while the sensor runs on."""
    process = await asyncio.create_subprocess_exec(
        python, "-c", ENCODING, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    return float(told)


async def _measure(folder: Path, rounds: int) -> tuple[list[Way], float]:
    clock = SystemClock()
    rig = machine.Rig(machine.make(), folder / "camera", frame_us=FRAME_US, startup_frames=STARTUP_FRAMES)
    sshd = Sshd(folder / "sshd")
    try:
        local, remote = await _sources(rig.python, sshd, clock)
        encoding_ms = await _encoding_ms(rig.python)
        ways = [
            _process_per_frame("a process per frame", rig.python, {}),
            _process_per_frame("the same with all set by hand", rig.python, BY_HAND),
            _worker("the worker, local", local, clock),
            _worker("the worker, over SSH", remote, clock),
        ]
        for number in range(rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:  # none always comes first
                await way.start()
                for _ in range(way.frames):
                    began = time.perf_counter()
                    way.size_bytes = await way.take()
                    way.took_ms.append((time.perf_counter() - began) * 1000)
                await way.close()
    finally:
        sshd.stop()
    return ways, encoding_ms


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each way")
    rounds = parser.parse_args().rounds
    if reason := missing():
        parser.exit(1, f"scripts/bench capture: {reason}\n")
    with tempfile.TemporaryDirectory(prefix="skylapse-bench-") as folder:
        ways, encoding_ms = asyncio.run(_measure(Path(folder), rounds))
    alone, by_hand, local, remote = (median(way.took_ms) for way in ways)
    floor_ms = FRAME_US / 1000 + encoding_ms
    report(
        f"A fresh 16 megapixel frame, a JPEG of {ways[-1].size_bytes / 1e6:.1f} MB, in Home Assistant's process",
        [
            *((way.name, f"median {median(way.took_ms):.0f} ms, longest {max(way.took_ms):.0f} ms, of {len(way.took_ms)}") for way in ways),
            ("floor: frame period + JPEG encoding", f"{FRAME_US / 1000:.0f} + {encoding_ms:.0f} ms"),
            ("speed-up, local / over SSH", f"{alone / local:.1f} / {alone / remote:.1f}"),
            ("speed-up over one with all set by hand", f"{by_hand / local:.1f} / {by_hand / remote:.1f}"),
            ("ratio to the floor, local / over SSH", f"{local / floor_ms:.2f} / {remote / floor_ms:.2f}"),
        ],
        {
            "speedup_local": alone / local,
            "speedup_ssh": alone / remote,
            "floor_ratio": local / floor_ms,
            "floor_ratio_ssh": remote / floor_ms,
            "speedup_local_by_hand": by_hand / local,
            "process_per_frame_ms": alone,
            "process_by_hand_ms": by_hand,
            "local_ms": local,
            "ssh_ms": remote,
            "encoding_ms": encoding_ms,
        },
    )


if __name__ == "__main__":
    main()
