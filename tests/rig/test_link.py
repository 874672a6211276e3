"""The link with the real worker and a virtual camera, here and through a real SSH server: everything that can fail, fails."""

import asyncio
from collections.abc import AsyncGenerator, Callable
import contextlib
from contextlib import asynccontextmanager
import os
from pathlib import Path
import signal
import sys
from typing import Any

import pytest

from custom_components.skylapse.engine.camera_host.client import Reply, WorkerClient, worker_source
from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.camera_host.over_ssh import SshTransport
from custom_components.skylapse.engine.camera_host.patience import Patience
from custom_components.skylapse.engine.camera_host.process import Transport
from custom_components.skylapse.engine.camera_host.supervisor import Supervisor
from custom_components.skylapse.engine.errors import SourceError, SshError
from custom_components.skylapse.engine.remote.ssh import SshTarget
from tests.engine.camera_host.conftest import nothing_left, until
from tests.rig.fixtures import MakeRig
from tests.rig.link import Link
from tests.rig.link_child import CONFIGURATION
from tests.rig.sshd import Sshd, runs

__all__ = ["nothing_left"]

ROOT = Path(__file__).resolve().parents[2]
SENSIBLE = Patience(ping_every_s=1.0, restart_stream_s=4.0, backoff_s=(0.0, 0.2, 0.5, 1.0))
FULL = {**CONFIGURATION, "size": [4656, 3496]}


def target(sshd: Sshd, **changes: Any) -> SshTarget:
    return SshTarget(
        **{"host": sshd.host, "port": sshd.port, "username": sshd.username, "host_key": sshd.host_key, "private_key": sshd.private_key}
        | changes
    )


@pytest.fixture(params=["here", "over SSH"])
def way(request: pytest.FixtureRequest) -> Callable[[], Transport]:
    """Make transports to the machine with the camera."""
    if request.param == "here":
        return LocalTransport
    sshd: Sshd = request.getfixturevalue("sshd")
    return lambda: SshTransport(target(sshd))


@asynccontextmanager
async def supervised(transport: Transport, python: str, configuration: dict[str, Any] | None = None) -> AsyncGenerator[Supervisor]:
    supervisor = Supervisor(transport, python, lambda: configuration or CONFIGURATION, patience=SENSIBLE)
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.close()


async def capture(supervisor: Supervisor, deadline_s: float = 30, **args: Any) -> Reply:
    reply = await supervisor.request("capture", {"controls": {}, **args}, deadline_s=deadline_s)
    assert reply.blob.startswith(b"\xff\xd8")
    assert reply.blob.endswith(b"\xff\xd9")
    assert sum(size for _, size in reply.result["parts"]) == len(reply.blob)
    return reply


# ---- the ordinary


async def test_a_worker_photographs(rigs: MakeRig, way: Callable[[], Transport]) -> None:
    async with supervised(way(), rigs().python) as supervisor:
        assert supervisor.configured["size"] == [1280, 720]
        assert (await capture(supervisor)).result["metadata"]["ExposureTime"] > 0
        still, preview, metrics = await asyncio.gather(
            capture(supervisor), supervisor.request("preview", {"quality": 70}, deadline_s=10), supervisor.request("metrics", deadline_s=10)
        )
        assert len(preview.blob) < len(still.blob)
        assert metrics.result["worker_rss_bytes"] > 10_000_000
        assert (await supervisor.request("rest", deadline_s=10)).result == {"streaming": False}
        pid = supervisor.hello["pid"]
    assert not runs(pid)


async def test_another_worker_finds_the_camera_free(rig: MakeRig, way: Callable[[], Transport]) -> None:
    machine = rig()
    for _ in range(3):
        async with supervised(way(), machine.python) as supervisor:
            await capture(supervisor)


# ---- faults of the camera's software


@pytest.mark.parametrize("fault", ["abort", "segv", "exit"])
async def test_a_crash_does_not_cost_the_frame(rigs: MakeRig, way: Callable[[], Transport], fault: str) -> None:
    machine = rigs()
    async with supervised(way(), machine.python) as supervisor:
        await capture(supervisor)
        machine.control(0, f"{fault} once")
        await capture(supervisor)
        assert machine.faults_left == ""
        assert supervisor.restarts == 1


@pytest.mark.parametrize(("fault", "restarts"), [("stall", 0), ("hang", 1), ("stuck", 1)])
async def test_a_camera_that_hangs_is_got_going_again(rigs: MakeRig, way: Callable[[], Transport], fault: str, restarts: int) -> None:
    machine = rigs()
    async with supervised(way(), machine.python) as supervisor:
        await capture(supervisor)
        machine.control(0, f"{fault} once" if restarts else fault)
        with contextlib.suppress(SourceError):  # a stalled stream is restarted in time even so
            await capture(supervisor, deadline_s=3)
        for _ in range(3):  # the stream is restarted first, and if that did not help, the process
            try:
                await capture(supervisor, deadline_s=15)
                break
            except SourceError:
                continue
        await capture(supervisor)
        assert (supervisor.restarts > 0) is (restarts > 0)


async def test_a_camera_that_comes_and_goes(rig: MakeRig, way: Callable[[], Transport]) -> None:
    machine = rig(cameras=[])
    supervisor = Supervisor(way(), machine.python, lambda: CONFIGURATION, patience=SENSIBLE)
    try:
        with pytest.raises(SourceError, match="camera_missing"):
            await supervisor.start()
        machine.change(cameras=["imx519"])
        await capture(supervisor)
    finally:
        await supervisor.close()


# ---- faults of what is said


@pytest.mark.parametrize("word", ["garbage", "half", "checksum", "magic", "length", "twice", "stranger", "mute", "noise", "crumbs"])
async def test_a_reply_that_is_spoilt_costs_no_frame(rig: MakeRig, way: Callable[[], Transport], word: str) -> None:
    machine = rig()
    async with supervised(way(), machine.evil(word, after=2)) as supervisor:  # after hello and the answer to configure
        await capture(supervisor)
        assert supervisor.restarts == (0 if word in {"twice", "stranger", "noise", "crumbs"} else 1)
        await capture(supervisor)
        assert supervisor.connected


# ---- faults of the way


async def test_a_slow_way_is_no_fault(rig: MakeRig, sshd: Sshd, slow_link: Link) -> None:
    slow_link.bytes_per_s, slow_link.latency_s = 60_000, 0.05
    async with supervised(SshTransport(target(sshd, port=slow_link.port)), rig().python, FULL) as supervisor:
        reply = await capture(supervisor, deadline_s=60)
        assert len(reply.blob) / 60_000 > 4  # longer than a worker may be silent
        assert supervisor.restarts == 0


async def test_a_way_that_is_cut_is_found_again(rig: MakeRig, sshd: Sshd, slow_link: Link) -> None:
    async with supervised(SshTransport(target(sshd, port=slow_link.port)), rig().python) as supervisor:
        await capture(supervisor)
        pid = supervisor.hello["pid"]
        await asyncio.to_thread(slow_link.cut)
        await until(lambda: not supervisor.connected)
        await until(lambda: not runs(pid))
        await asyncio.to_thread(slow_link.mend)
        await capture(supervisor)
        assert supervisor.restarts == 1


async def test_a_worker_that_a_frozen_way_left_behind_makes_way(rig: MakeRig, sshd: Sshd, slow_link: Link) -> None:
    transport = SshTransport(target(sshd, port=slow_link.port), keepalive_s=0.3)
    async with supervised(transport, rig().python) as supervisor:
        await capture(supervisor)
        pid = supervisor.hello["pid"]
        slow_link.freeze()
        transport._target = target(sshd)  # another way to the same machine; the server never hears of the first one's end
        await until(lambda: not supervisor.connected)
        assert runs(pid)
        await capture(supervisor)
        assert not runs(pid)


async def test_a_server_that_stops_starts_and_changes(rig: MakeRig, sshd: Sshd) -> None:
    async with supervised(SshTransport(target(sshd)), rig().python) as supervisor:
        await capture(supervisor)
        await asyncio.to_thread(sshd.stop)
        await until(lambda: not supervisor.connected)
        await asyncio.to_thread(sshd.start)
        await capture(supervisor)
        await asyncio.to_thread(sshd.rotate_host_key)
        await until(lambda: supervisor.error is not None and supervisor.error.key == "ssh_host_key_changed")
        with pytest.raises(SshError, match="ssh_host_key_changed"):
            await capture(supervisor)


async def test_a_key_that_is_no_longer_let_in(rig: MakeRig, sshd: Sshd) -> None:
    sshd.refuse()
    supervisor = Supervisor(SshTransport(target(sshd)), rig().python, lambda: CONFIGURATION, patience=SENSIBLE)
    with pytest.raises(SshError, match="ssh_denied"):
        await supervisor.start()
    await supervisor.close()


# ---- ends


async def test_the_death_of_home_assistant_frees_the_camera(rigs: MakeRig) -> None:
    machine = rigs()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.rig.link_child", machine.python, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    pid = int(await asyncio.wait_for(child.stdout.readline(), 30))
    assert runs(pid)
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    await until(lambda: not runs(pid))
    async with supervised(LocalTransport(), machine.python) as supervisor:
        await capture(supervisor)


async def test_starts_cancelled_at_any_instant_leave_the_camera_free(rig: MakeRig, way: Callable[[], Transport]) -> None:
    machine = rig()
    transport = way()
    source = await worker_source()
    for step in range(8):
        start = asyncio.create_task(WorkerClient.start(transport, machine.python, source))
        await asyncio.sleep(0.05 * step)
        start.cancel()
        try:
            await (await start).close()
        except asyncio.CancelledError:
            continue
    await transport.close()
    async with supervised(way(), machine.python) as supervisor:
        await capture(supervisor)


async def test_an_end_in_the_middle_of_a_frame(rig: MakeRig, way: Callable[[], Transport]) -> None:
    machine = rig(time_scale=1)
    supervisor = Supervisor(way(), machine.python, lambda: CONFIGURATION, patience=SENSIBLE)
    await supervisor.start()
    pid = supervisor.hello["pid"]
    exposing = asyncio.create_task(capture(supervisor, match={"exposure_us": 5_000_000, "gain": 1.0}))
    await asyncio.sleep(0.5)
    await supervisor.close()
    with pytest.raises(SourceError):
        await exposing
    assert not runs(pid)
