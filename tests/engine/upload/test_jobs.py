"""Blocking work that may hang."""

# ruff: noqa: ASYNC110  - what threads do is looked at, they know no events of the loop

import asyncio
import threading
import time

import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.upload import jobs
from custom_components.skylapse.engine.upload.jobs import Abandoned, Jobs, Watch


async def test_results_and_errors_come_back() -> None:
    work = Jobs("x", "/nas")
    assert await work.run(lambda _watch: threading.current_thread().name) == "skylapse-dest-x"
    assert await work.run(lambda _watch: threading.current_thread().daemon)

    def fail(_watch: Watch) -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await work.run(fail)
    assert await work.drain(5)


async def test_a_job_that_hangs_is_left_behind_and_no_other_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STEP_S", 0.05)
    work = Jobs("x", "/nas")
    release = threading.Event()
    ended: list[str] = []

    def hang(watch: Watch) -> None:
        release.wait(30)
        try:
            watch.step()
        except Abandoned:
            ended.append("abandoned")
            raise

    with pytest.raises(DestinationError) as raised:
        await work.run(hang)
    assert raised.value.key == "destination_hangs"
    assert raised.value.destination_wide
    assert work.hanging == 1
    with pytest.raises(DestinationError, match="destination_hangs"):
        await work.run(lambda _watch: pytest.fail("must not be started"))
    assert not await work.drain(0.02)
    release.set()
    assert await work.drain(5)
    while work.hanging:
        await asyncio.sleep(0.001)
    assert ended == ["abandoned"]
    assert await work.run(lambda _watch: 1) == 1


async def test_steps_give_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STEP_S", 0.2)
    work = Jobs("x", "/nas")

    def slow(watch: Watch) -> str:
        for _ in range(8):
            watch.step()
            time.sleep(0.05)
        return "done"

    assert await work.run(slow) == "done"
    watch = Watch()
    watch.step(jobs.SLOWEST_BYTES_PER_S * 100)
    assert watch.until > time.monotonic() + 99


async def test_cancelled_jobs_end_at_their_next_step() -> None:
    work = Jobs("x", "/nas")
    started = threading.Event()
    ended = threading.Event()

    def endless(watch: Watch) -> None:
        started.set()
        try:
            while True:
                watch.step()
                time.sleep(0.001)
        finally:
            ended.set()

    task = asyncio.create_task(work.run(endless))
    while not started.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await work.drain(5)
    assert ended.is_set()
    assert work.hanging == 0


async def test_cancelled_in_the_turn_in_which_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    work = Jobs("x", "/nas")

    def fail(_watch: Watch) -> None:
        raise ValueError("boom")

    task = asyncio.create_task(work.run(fail))
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251  the thread ends while the loop stands still
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises((ValueError, asyncio.CancelledError)):
        await task
    assert await work.drain(5)
    assert not [record for record in caplog.records if "never retrieved" in record.message]


def test_the_loop_is_gone_when_the_job_ends() -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []

    def hang(_watch: Watch) -> None:
        threads.append(threading.current_thread())
        release.wait(30)

    async def main() -> None:
        task = asyncio.create_task(Jobs("x", "/nas").run(hang))
        while not threads:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    release.set()
    threads[0].join(5)
    assert not threads[0].is_alive()
