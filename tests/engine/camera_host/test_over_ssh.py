"""Workers on another machine: the same link over a wire that can be cut, frozen or slow."""

import asyncio
from collections.abc import AsyncGenerator
import contextlib
from datetime import UTC, datetime
import sys

import asyncssh
import pytest

from custom_components.skylapse.engine.camera_host import over_ssh
from custom_components.skylapse.engine.camera_host.client import WorkerClient, WorkerGone
from custom_components.skylapse.engine.camera_host.over_ssh import SshTransport
from custom_components.skylapse.engine.camera_host.patience import Patience
from custom_components.skylapse.engine.camera_host.supervisor import Supervisor
from custom_components.skylapse.engine.errors import SourceError, SshError, WorkerError
from tests.engine.fakes import FakeClock
from tests.engine.remote.servers import SshServer, Wire, ssh_server, wire

from .conftest import QUICK, ended, until
from .fake_worker import source

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


@pytest.fixture
async def server(socket_enabled: None) -> AsyncGenerator[SshServer]:
    async with ssh_server() as running:
        yield running


@pytest.fixture
async def line(server: SshServer) -> AsyncGenerator[Wire]:
    async with wire(server.port) as running:
        yield running


@pytest.fixture
async def transport(server: SshServer, line: Wire) -> AsyncGenerator[SshTransport]:
    transport = SshTransport(server.target(line.port), connect_s=5, open_s=2)
    yield transport
    await transport.close()


async def start(transport: SshTransport, *, patience: Patience = QUICK, **behaviour: object) -> WorkerClient:
    return await WorkerClient.start(transport, sys.executable, source(**behaviour), patience=patience)


async def test_it_works_as_it_does_here(transport: SshTransport, server: SshServer) -> None:
    worker = await start(transport)
    assert worker.hello["protocol"] == 1
    reply = await worker.request("capture", {"bytes": 16 << 20}, deadline_s=20)
    assert len(reply.blob) == 16 << 20
    with pytest.raises(WorkerError, match="camera_missing"):
        await worker.request("capture", {"error": {"key": "camera_missing"}}, deadline_s=5)
    await worker.close()
    assert worker.code == 0
    assert worker.pid is not None
    await until(lambda: ended(worker.pid))
    assert server.rules.asked[0].startswith(f"exec {sys.executable} -u -c 'exec(")
    assert transport.name == "ssh"


async def test_one_connection_serves_all(transport: SshTransport, server: SshServer) -> None:
    for _ in range(3):
        await (await start(transport)).close()
    assert server.rules.logins == ["password"]
    await transport.close()
    await transport.close()
    await (await start(transport)).close()
    assert server.rules.logins == ["password", "password"]


async def test_two_at_once_share_it(transport: SshTransport, server: SshServer) -> None:
    for worker in await asyncio.gather(start(transport), start(transport)):
        await worker.close()
    assert server.rules.logins == ["password"]


async def test_death_and_its_reason_are_seen(transport: SshTransport) -> None:
    worker = await start(transport)
    with pytest.raises(WorkerGone) as caught:
        await worker.request("capture", {"fault": "die"}, deadline_s=5)
    assert caught.value.placeholders == {"code": "7", "last_words": "ERROR the sky fell down"}
    await worker.close()


async def test_a_missing_interpreter_is_seen(transport: SshTransport) -> None:
    with pytest.raises(SourceError) as caught:
        await WorkerClient.start(transport, "/no/python", source(), patience=QUICK)
    assert (caught.value.key, caught.value.placeholders) == ("interpreter_missing", {"python": "/no/python"})


async def test_who_lets_us_in_and_runs_nothing(transport: SshTransport, server: SshServer) -> None:
    server.rules.programs = False
    with pytest.raises(WorkerGone, match="worker_died"):
        await start(transport)


async def test_a_cut_line_is_seen_at_once(transport: SshTransport, line: Wire) -> None:
    worker = await start(transport)
    capture = asyncio.create_task(worker.request("capture", {"sleep_s": 30}, deadline_s=30))
    await asyncio.sleep(0.1)
    line.cut()
    with pytest.raises(WorkerGone) as caught:
        await capture
    assert caught.value.key == "worker_disconnected"
    with pytest.raises(WorkerGone, match="worker_disconnected"):
        await worker.request("metrics", deadline_s=1)
    await worker.close()
    assert worker.code is None
    await (await start(transport)).close()


async def test_input_to_a_cut_line_is_refused(transport: SshTransport, line: Wire) -> None:
    process = await transport.spawn(["cat"])
    line.cut()
    assert await process.read(10) == b""
    with pytest.raises(ConnectionError):
        await process.write(b"x" * 100)
    assert await process.read_error(10) == b""
    assert await process.wait() is None
    process.terminate()
    process.kill()
    process.close_input()
    await process.close()


async def test_a_cut_in_the_middle_of_writing(transport: SshTransport, line: Wire) -> None:
    process = await transport.spawn(["sleep", "20"])
    writing = asyncio.create_task(process.write(b"x" * (16 << 20)))
    await asyncio.sleep(0.2)
    assert not writing.done()
    line.cut()
    with pytest.raises(ConnectionError):
        await writing
    await process.close()


async def test_a_frozen_line_is_noticed_by_its_keepalives(server: SshServer, line: Wire) -> None:
    transport = SshTransport(server.target(line.port), keepalive_s=0.1)
    worker = await start(transport)
    line.freeze()
    with pytest.raises(WorkerGone, match="worker_disconnected"):  # and not that the time was up
        await worker.request("capture", {"sleep_s": 30}, deadline_s=30)
    await worker.close()
    await transport.close()


async def test_closing_on_a_frozen_line_takes_a_bounded_time(transport: SshTransport, line: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_ssh, "_CLOSE_S", 0.2)
    worker = await start(transport, patience=Patience(bye_s=0.1, terminate_s=0.1, kill_s=0.1))
    connection = transport._connection
    assert connection is not None
    line.freeze()
    async with asyncio.timeout(20):
        await worker.close()
        await until(connection.is_closed)  # who does not answer is hung up on, so that the next start makes a new one
        await transport.close()
    assert worker.code is None


async def test_what_a_program_leaves_running_does_not_hold_up_its_end(transport: SshTransport) -> None:
    process = await transport.spawn(["sh", "-c", "sleep 1.5 & echo on; wait"])
    assert await process.read(10) == b"on\n"
    async with asyncio.timeout(20):
        await process.close()
    assert transport._connection is not None
    assert not transport._connection.is_closed()


async def test_a_connection_that_died_unnoticed_is_made_again(server: SshServer, line: Wire) -> None:
    transport = SshTransport(server.target(line.port), open_s=0.5)
    await (await start(transport)).close()
    line.freeze()
    async with wire(server.port) as other:
        transport._target = server.target(other.port)
        await (await start(transport)).close()
        await transport.close()


async def test_a_line_that_freezes_while_a_program_starts(server: SshServer, line: Wire, transport: SshTransport) -> None:
    real = over_ssh.connect

    async def connect(*args, **options):
        connection = await real(*args, **options)
        line.freeze()
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(over_ssh, "connect", connect)
        transport._open_s = 0.2
        with pytest.raises(SshError) as caught:
            await start(transport)
    assert (caught.value.key, caught.value.placeholders) == ("ssh_timeout", {"host": "127.0.0.1", "port": str(line.port)})


async def test_a_start_that_is_cancelled_hangs_up(transport: SshTransport, server: SshServer, line: Wire) -> None:
    await (await start(transport)).close()
    line.freeze()
    starting = asyncio.create_task(start(transport))
    await asyncio.sleep(0.1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert transport._connection is not None
    await until(transport._connection.is_closed)


async def test_a_server_that_allows_no_sessions(server: SshServer, transport: SshTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no sessions here")

    monkeypatch.setattr(asyncssh.SSHClientConnection, "create_process", refuse)
    with pytest.raises(SshError) as caught:
        await start(transport)
    assert (caught.value.key, caught.value.placeholders) == ("ssh_failed", {"error": "ChannelOpenError: no sessions here"})


async def test_a_start_cancelled_at_any_instant_leaves_no_process(server: SshServer) -> None:
    transport = SshTransport(server.target())
    for steps in range(0, 80, 4):
        starting = asyncio.create_task(start(transport))
        for _ in range(steps):
            await asyncio.sleep(0.001)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await starting).close()
    await transport.close()
    await until(lambda: not server._running)


async def test_a_deaf_worker_ends_with_its_channel(transport: SshTransport, server: SshServer) -> None:
    worker = await start(transport, deaf=True, patience=Patience(bye_s=0.1, terminate_s=0.1, kill_s=0.1))
    await worker.close()
    assert worker.pid is not None
    await until(lambda: ended(worker.pid))


async def test_it_comes_back_when_the_line_does(server: SshServer, line: Wire) -> None:
    clock = FakeClock(NOW)

    async def fake() -> bytes:
        return source()

    supervisor = Supervisor(SshTransport(server.target(line.port)), sys.executable, dict, clock=clock, source=fake, patience=QUICK)
    await supervisor.start()
    first = supervisor.hello["pid"]
    await line.stop()
    await until(lambda: supervisor.backoff_s)
    assert supervisor.error is not None
    assert supervisor.error.key == "ssh_unreachable"
    await line.start()
    clock.pass_time(clock.monotonic() + supervisor.backoff_s)
    await until(lambda: supervisor.connected)
    assert supervisor.restarts == 1
    assert server.rules.asked[-1].endswith(f" {first}")  # whose end nobody saw
    await supervisor.close()


async def test_a_changed_key_is_no_reason_to_try_again_and_again(server: SshServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()

    async def fake() -> bytes:
        return source()

    supervisor = Supervisor(SshTransport(server.target(host_key=other)), sys.executable, dict, source=fake, patience=QUICK)
    with pytest.raises(SshError, match="ssh_host_key_changed"):
        await supervisor.start()
    with pytest.raises(SshError, match="ssh_host_key_changed"):
        await supervisor.request("capture", deadline_s=1000)
    assert supervisor.backoff_s > 290
    await supervisor.close()
