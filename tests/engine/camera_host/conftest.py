"""What tests of the link share: workers that behave badly, and a look at what was left behind."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
import sys
from typing import override

import pytest

from custom_components.skylapse.engine.camera_host.client import WorkerClient
from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.camera_host.patience import Patience
from custom_components.skylapse.engine.camera_host.process import Process
from custom_components.skylapse.engine.errors import SourceError

from .fake_worker import source

QUICK = Patience(hello_s=10.0, last_words_s=2.0, bye_s=0.5, terminate_s=0.3, kill_s=2.0, configure_s=10.0, restart_stream_s=0.5)

type StartWorker = Callable[..., Awaitable[WorkerClient]]


def children() -> set[int]:
    """Return the ids of this process's children, those that ended and were not fetched too."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(condition: Callable[[], object], within_s: float = 10) -> None:
    """Wait for something that other tasks or processes bring about."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.005)


def ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncGenerator[None]:
    """No task, process, zombie or open file may be left when a test is over."""
    await asyncio.to_thread(lambda: None)  # the executor's first thread is none of the test's leaks
    before = asyncio.all_tasks(), children(), descriptors()
    yield
    with suppress(TimeoutError):
        await until(
            lambda: asyncio.all_tasks() <= before[0] | {asyncio.current_task()} and children() <= before[1] and descriptors() <= before[2],
            2,
        )
    assert asyncio.all_tasks() <= before[0] | {asyncio.current_task()}
    assert children() <= before[1]
    assert descriptors() <= before[2], [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.exists()]


@pytest.fixture
async def start_worker() -> AsyncGenerator[StartWorker]:
    """Return ``start(patience=..., clock=..., transport=..., on_end=..., **behaviour)``, whose workers are closed in the end."""
    clients: list[WorkerClient] = []

    async def start(*, transport=None, patience=QUICK, clock=None, on_end=lambda: None, **behaviour) -> WorkerClient:
        client = await WorkerClient.start(
            transport or LocalTransport(), sys.executable, source(**behaviour), patience=patience, clock=clock, on_end=on_end
        )
        clients.append(client)
        return client

    yield start
    for client in clients:
        with suppress(SourceError, asyncio.CancelledError):
            await client.close()


class SpyTransport(LocalTransport):
    """Starts programs here, unless told to fail; remembers what it started."""

    def __init__(self, *failures: SourceError) -> None:
        self.failures = list(failures)
        self.argv: list[list[str]] = []
        self.processes: list[Process] = []
        self.closed = 0

    @override
    async def spawn(self, argv: Sequence[str]) -> Process:
        self.argv.append(list(argv))
        if self.failures:
            raise self.failures.pop(0)
        process = await super().spawn(argv)
        self.processes.append(process)
        return process

    @override
    async def close(self) -> None:
        self.closed += 1
