"""A worker for a long time, and through every fault: what grows, and how long the frames stay away.

First thousands of captures through one worker, with its memory, threads and open files, and those of this process, looked
at now and then. Then faults, one after the other, of the camera, the worker's process, what it says, and the network to it,
while captures go on: how long after a fault's end the first good frame came. Faults that nothing but a new stream or process ends
have no end of their own: for these the time counts from when they struck, and so has the camera's deadline in it.
Meanwhile a task that sleeps a millisecond at a time notes how long the event loop stood still. asyncssh is loaded beforehand:
that takes some 30 ms of the loop's time in one piece, once, when Home Assistant starts with a camera over SSH.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
import itertools
import logging
import multiprocessing
from multiprocessing.connection import Connection
import os
from pathlib import Path
from statistics import median
import tempfile
import time
from typing import Any

import asyncssh  # noqa: F401  loaded beforehand, as the docstring says

from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.errors import SkylapseError
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources.base import CaptureRequest, FrameSource
from custom_components.skylapse.engine.sources.build import build_source
from custom_components.skylapse.engine.sources.discover import find_cameras
from custom_components.skylapse.engine.sources.live import LiveCamera
from tests.rig import machine
from tests.rig.link import Link
from tests.rig.sshd import Sshd, missing

from .bench_station import SITE
from .report import report

CAPTURES = 2000
FAULTS = 44
WARM_UP = 300
SAMPLES = 20
BETWEEN = 12
"""Good frames between two faults: a camera that fails all the time is left alone for longer and longer."""
FRAME_US = 5_000
DEADLINE_S = 30.0
GONE_S = 90.0
"""A fault that no frame comes after for so long counts as not recovered."""


@dataclass
class Faults:
    """What was found of one kind of fault."""

    recoveries_s: list[float] = field(default_factory=list)
    lost: int = 0


async def _no_picture(entity_id: str, timeout_s: float) -> bytes:
    raise NotImplementedError


class FarLink:
    """The bad network, in a process of its own: as a thread of this one it would hold up the event loop that is measured."""

    def __init__(self, target_port: int) -> None:
        """Begin to pass on what comes for a port."""
        self._calls, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_serve_link, args=(theirs, target_port), daemon=True)
        self._process.start()
        self.port: int = self._calls.recv()

    def call(self, name: str, *values: float | None) -> None:
        """Call a method of ``Link``, or set its ``bytes_per_s``; return when it is done."""
        self._calls.send((name, values))
        self._calls.recv()

    def close(self) -> None:
        """End it."""
        self.call("close")
        self._process.join(10)


def _serve_link(calls: Connection, target_port: int) -> None:
    link = Link(target_port)
    calls.send(link.port)
    while True:
        name, values = calls.recv()
        if name == "bytes_per_s":
            (link.bytes_per_s,) = values
        else:
            getattr(link, name)(*values)
        calls.send(None)
        if name == "close":
            return


class Bench:
    """A machine with a camera, a server on it, and a bad network between."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Set the machine up; ``stack`` ends it."""
        self.clock = SystemClock()
        self.rig = machine.Rig(machine.make(), folder / "camera", frame_us=FRAME_US)
        self.evil = self.rig.evil("crumbs")
        self.sshd = Sshd(folder / "sshd")
        stack.callback(self.sshd.stop)
        self.link = FarLink(self.sshd.port)
        stack.callback(self.link.close)

    async def data(self) -> dict[str, Any]:
        """Return what a config entry would hold of the camera."""
        transport = LocalTransport()
        found = await find_cameras(transport, self.rig.python, clock=self.clock)
        await transport.close()
        probe = found.cameras[0].probe
        return {
            "source": "picamera2", "camera_id": probe.id, "camera_index": 0, "model": probe.model, "probe": probe.to_dict(),
            "transport": "local", "python": self.rig.python,
        }  # fmt: skip

    def over_ssh(self) -> dict[str, Any]:
        """Return what differs for the same camera over the bad network."""
        return {
            "transport": "ssh", "host": self.sshd.host, "port": self.link.port, "username": self.sshd.username,
            "host_key": self.sshd.host_key, "private_key": self.sshd.private_key,
        }  # fmt: skip

    def source(self, data: dict[str, Any]) -> LiveCamera:
        """Return a camera that is not started."""
        source = build_source(data, {"resolution": "1280x720"}, site=lambda: SITE, clock=self.clock, fetch_image=_no_picture)
        assert isinstance(source, LiveCamera)
        return source


def _usage(process: int | str) -> tuple[float, int, int]:
    """Return a process's memory in MB, its threads and its open files."""
    place = Path("/proc") / str(process)
    pages = int((place / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6, len(list((place / "task").iterdir())), len(list((place / "fd").iterdir()))


class Camera:
    """A camera that is photographed with all the time; remembers when good frames came."""

    def __init__(self, source: FrameSource, clock: SystemClock) -> None:
        """Take over a source that is started."""
        self._source = source
        self._clock = clock
        self._good = asyncio.Condition()
        self.good_at: list[float] = []
        self.failed = 0

    async def run(self) -> None:
        """Photograph until cancelled."""
        while True:
            try:
                await self._source.capture(CaptureRequest(due_at=self._clock.now(), deadline_s=DEADLINE_S))
            except SkylapseError:
                self.failed += 1
                await asyncio.sleep(0.01)  # some errors come at once
            else:
                async with self._good:
                    self.good_at.append(time.monotonic())
                    self._good.notify_all()

    async def good_since(self, instant: float, count: int = 1) -> float:
        """Return when the first good frame came that was there after an instant; wait for ``count`` of them."""
        async with asyncio.timeout(GONE_S), self._good:
            while True:
                later = [at for at in self.good_at if at > instant]
                if len(later) >= count:
                    return later[0]
                await self._good.wait()


@asynccontextmanager
async def photographing(source: FrameSource, clock: SystemClock) -> AsyncGenerator[Camera]:
    """Have a source started and photographed with."""
    await source.start()
    camera = Camera(source, clock)
    task = asyncio.create_task(camera.run())
    try:
        yield camera
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()


type Strike = Callable[[], Awaitable[float]]
"""Has a fault strike; returns the instant of the monotonic clock from which a good frame can be hoped for."""


def _faults_of_the_camera(bench: Bench) -> dict[str, tuple[Strike, bool]]:
    """Return what may befall a worker on the same machine; whether the fault ends by itself comes with it."""
    rig = bench.rig

    def deadly(word: str) -> Strike:
        async def strike() -> float:
            rig.control(FRAME_US, f"{word} once")
            while rig.faults_left:  # noqa: ASYNC110  a file tells
                await asyncio.sleep(0.002)
            return time.monotonic()

        return strike

    def lasting(word: str, seconds: float) -> Strike:
        async def strike() -> float:
            rig.control(FRAME_US, word)
            await asyncio.sleep(seconds)
            rig.control(FRAME_US)
            return time.monotonic()

        return strike

    def at_the_next_start(begin: Callable[[], None], end: Callable[[], None], seconds: float) -> Strike:
        async def strike() -> float:
            begin()
            rig.control(FRAME_US, "exit once")
            await asyncio.sleep(seconds)
            end()
            return time.monotonic()

        return strike

    return {
        "abort": (deadly("abort"), True),
        "segmentation fault": (deadly("segv"), True),
        "exit": (deadly("exit"), True),
        "hang": (lasting("hang", 2.0), True),
        "camera busy": (at_the_next_start(lambda: rig.change(open_error="busy"), lambda: rig.change(open_error=None), 2.0), True),
        "out of camera memory": (at_the_next_start(lambda: rig.heap(1), lambda: rig.heap(None), 2.0), True),
        "stream stalled": (deadly("stall"), False),
        "stream stuck": (deadly("stuck"), False),
    }


def _faults_of_the_words(bench: Bench) -> dict[str, tuple[Strike, bool]]:
    def spoil(word: str) -> Strike:
        async def strike() -> float:
            bench.rig.evil(word)
            while (bench.rig.folder / "evil").read_text():  # noqa: ASYNC110  a file tells
                await asyncio.sleep(0.002)
            return time.monotonic()

        return strike

    words = ["garbage", "half", "checksum", "magic", "length", "twice", "stranger", "noise", "crumbs", "mute"]
    return {f"output: {word}": (spoil(word), word != "mute") for word in words}


def _faults_of_the_network(bench: Bench) -> dict[str, tuple[Strike, bool]]:
    link = bench.link

    def for_a_while(begin: Callable[[], None], end: Callable[[], None], seconds: float) -> Strike:
        async def strike() -> float:
            await asyncio.to_thread(begin)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(end)
            return time.monotonic()

        return strike

    return {
        "network: cut": (for_a_while(partial(link.call, "cut"), partial(link.call, "mend"), 1.0), True),
        "network: frozen": (for_a_while(partial(link.call, "freeze"), partial(link.call, "thaw"), 3.0), True),
        "network: slow": (for_a_while(partial(link.call, "bytes_per_s", 100_000), partial(link.call, "bytes_per_s", None), 2.0), True),
        "server restarted": (for_a_while(bench.sshd.stop, bench.sshd.start, 0.5), True),
    }


async def _strike_all(camera: Camera, faults: dict[str, tuple[Strike, bool]], count: int, found: dict[str, Faults]) -> None:
    """Let ``count`` faults strike, of each kind in turn."""
    for name, (strike, _) in itertools.islice(itertools.cycle(faults.items()), count):
        await camera.good_since(time.monotonic(), BETWEEN)
        over = await strike()
        kind = found.setdefault(name, Faults())
        try:
            kind.recoveries_s.append(await camera.good_since(over) - over)
        except TimeoutError:
            kind.lost += 1


async def _grow(source: LiveCamera, clock: SystemClock, captures: int) -> list[tuple[float, int, int, float, int, int]]:
    """Take captures; return samples of memory in MB, threads and open files, of the worker and of this process."""
    samples = []
    await source.start()
    worker = source.diagnostics()["hello"]["pid"]
    for number in range(-WARM_UP, captures + 1):
        await source.capture(CaptureRequest(due_at=clock.now(), deadline_s=DEADLINE_S))
        if number >= 0 and number % (captures // SAMPLES) == 0:
            samples.append((*_usage(worker), *_usage("self")))
    assert source.diagnostics()["hello"]["pid"] == worker, "the worker was replaced meanwhile"
    await source.close()
    return samples


async def _stalls(found: list[float]) -> None:
    """Note by how many ms each sleep of a millisecond was overslept, until cancelled."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        found.append((time.perf_counter() - before - 0.001) * 1000)


async def _watched[T](work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Return what the work returns, and the longest stall of the loop meanwhile, ms."""
    found: list[float] = []
    watching = asyncio.create_task(_stalls(found))
    try:
        return await work, max(found)
    finally:
        watching.cancel()


async def _faults(bench: Bench, data: dict[str, Any], count: int) -> dict[str, Faults]:
    """Let all faults strike, those of each place through the source they concern."""
    found: dict[str, Faults] = {}
    places = (
        (data, _faults_of_the_camera(bench)),
        ({**data, "python": bench.evil}, _faults_of_the_words(bench)),
        ({**data, **bench.over_ssh()}, _faults_of_the_network(bench)),
    )
    kinds = sum(len(faults) for _, faults in places)
    for entry, faults in places:
        async with photographing(bench.source(entry), bench.clock) as camera:
            await _strike_all(camera, faults, round(count * len(faults) / kinds), found)
    return found


async def _measure(
    folder: Path, captures: int, faults: int
) -> tuple[list[tuple[float, int, int, float, int, int]], dict[str, Faults], float, float]:
    with ExitStack() as stack:
        bench = Bench(folder, stack)
        data = await bench.data()
        _, idle_ms = await _watched(asyncio.sleep(5))
        samples = await _grow(bench.source(data), bench.clock, captures)
        found, longest_ms = await _watched(_faults(bench, data, faults))
    return samples, found, longest_ms, idle_ms


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=CAPTURES, help="captures through one worker")
    parser.add_argument("--faults", type=int, default=FAULTS, help="faults of all kinds")
    wanted = parser.parse_args()
    if reason := missing():
        parser.exit(1, f"scripts/bench endurance: {reason}\n")
    logging.disable(logging.ERROR)  # each fault is told, as it should be
    with tempfile.TemporaryDirectory(prefix="skylapse-bench-") as folder:
        samples, found, longest_ms, idle_ms = asyncio.run(_measure(Path(folder), wanted.captures, wanted.faults))
    half = len(samples) // 2

    def growth(index: int) -> float:
        """Return by how much the second half's median is above the first half's."""
        return median(sample[index] for sample in samples[half:]) - median(sample[index] for sample in samples[:half])

    own_end = {"stream stalled", "stream stuck", "output: mute"}
    ending = [second for name, kind in found.items() if name not in own_end for second in kind.recoveries_s]
    endless = [second for name, kind in found.items() if name in own_end for second in kind.recoveries_s]
    report(
        f"{wanted.captures} captures through one worker, then {sum(len(kind.recoveries_s) + kind.lost for kind in found.values())} faults",
        [
            (
                "worker: memory, threads, files",
                f"{samples[-1][0]:.0f} MB ({growth(0):+.1f}), {samples[-1][1]} ({growth(1):+.0f}), {samples[-1][2]} ({growth(2):+.0f})",
            ),
            (
                "this process: memory, threads, files",
                f"{samples[-1][3]:.0f} MB ({growth(3):+.1f}), {samples[-1][4]} ({growth(4):+.0f}), {samples[-1][5]} ({growth(5):+.0f})",
            ),
            *(
                (
                    name,
                    f"{len(kind.recoveries_s)} × recovered in median {median(kind.recoveries_s):.2f}, longest {max(kind.recoveries_s):.2f} s",
                )
                for name, kind in found.items()
                if kind.recoveries_s
            ),
            ("not recovered", ", ".join(f"{name} ({kind.lost})" for name, kind in found.items() if kind.lost) or "none"),
            ("longest stall of the event loop", f"{longest_ms:.1f} ms (idle {idle_ms:.1f} ms)"),
        ],
        {
            "captures": wanted.captures,
            "worker_rss_growth_mb": growth(0),
            "worker_threads_growth": growth(1),
            "worker_files_growth": growth(2),
            "rss_growth_mb": growth(3),
            "threads_growth": growth(4),
            "files_growth": growth(5),
            "faults": sum(len(kind.recoveries_s) + kind.lost for kind in found.values()),
            "not_recovered": sum(kind.lost for kind in found.values()),
            "longest_recovery_s": max(ending, default=0.0),
            "longest_recovery_by_restart_s": max(endless, default=0.0),
            "longest_stall_ms": longest_ms,
            "idle_longest_stall_ms": idle_ms,
        },
    )


if __name__ == "__main__":
    main()
