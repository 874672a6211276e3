"""An SSH server in this process, and a wire to it that can be cut, frozen or slow."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
import signal
from typing import override

import asyncssh

from custom_components.skylapse.engine.remote.ssh import SshTarget

USER, PASSWORD = "pi", "correct horse"


@dataclass
class Rules:
    """What the server lets pass."""

    keys: set[str] = field(default_factory=set)
    """Public keys that may log in, as ``type base64``."""
    password: bool = True
    dialogue: bool = False
    """Ask for the password in a dialogue, in German."""
    programs: bool = True
    logins: list[str] = field(default_factory=list)
    """How who logged in."""
    asked: list[str] = field(default_factory=list)
    """Commands."""


class _Door(asyncssh.SSHServer):
    def __init__(self, rules: Rules, connections: set[asyncssh.SSHServerConnection]) -> None:
        self.rules = rules
        self.connections = connections

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connections.add(conn)

    @override
    def password_auth_supported(self) -> bool:
        return self.rules.password

    @override
    def validate_password(self, username: str, password: str) -> bool:
        self.rules.logins.append("password")
        return (username, password) == (USER, PASSWORD)

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.rules.logins.append("key")
        return username == USER and " ".join(key.export_public_key().decode().split()[:2]) in self.rules.keys

    @override
    def kbdint_auth_supported(self) -> bool:
        return self.rules.dialogue

    @override
    def get_kbdint_challenge(self, username: str, lang: str, submethods: str):
        self.rules.logins.append("dialogue")
        return "", "", "", [("Kennwort: ", False)]

    @override
    def validate_kbdint_response(self, username: str, responses):
        if responses == [PASSWORD]:
            return "", "", "", []  # as PAM does: one more round with nothing to answer
        if not responses:
            return True
        return "", "", "", [("Kennwort: ", False)]


class SshServer:
    """Runs commands as a real one does, through ``sh -c``."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_keys = [self.host_key]
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self.port = 0
        self._running: set[asyncio.subprocess.Process] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def host_key_line(self) -> str:
        return " ".join(self.host_key.export_public_key().decode().split()[:2])

    def target(self, port: int | None = None, **changes) -> SshTarget:
        return SshTarget(
            **{"host": "127.0.0.1", "port": port or self.port, "username": USER, "host_key": self.host_key_line, "password": PASSWORD}
            | changes
        )

    async def start(self) -> None:
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Door(self.rules, self._connections),
            server_host_keys=self.host_keys,
            process_factory=self._run,
            encoding=None,
            keepalive_interval=0,
        )
        self.port = self._acceptor.get_port()

    async def stop(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            for connection in self._connections:
                connection.abort()
            self._connections.clear()
            await self._acceptor.wait_closed()
            self._acceptor = None
        for process in list(self._running):
            with suppress(ProcessLookupError):
                process.kill()
        for handler in list(self._handlers):
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _run(self, session: asyncssh.SSHServerProcess[bytes]) -> None:
        self.rules.asked.append(session.command or "")
        if not self.rules.programs:
            session.exit(1)
            return
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", session.command or "", stdin=pipe, stdout=pipe, stderr=pipe)
        self._running.add(process)
        said = asyncio.gather(self._copy(process.stdout, session.stdout), self._copy(process.stderr, session.stderr), process.wait())
        left = asyncio.create_task(session.channel.wait_closed())
        listening = asyncio.create_task(self._listen(session, process))
        try:
            await asyncio.wait({said, left}, return_when=asyncio.FIRST_COMPLETED)
            if said.done():
                session.exit((await process.wait()) % 256)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            for task in (left, listening):
                task.cancel()
            await asyncio.gather(said, left, listening, return_exceptions=True)
            self._running.discard(process)

    @staticmethod
    async def _copy(source: asyncio.StreamReader | None, sink: asyncssh.SSHWriter[bytes]) -> None:
        assert source is not None
        with suppress(OSError, asyncssh.Error):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

    @staticmethod
    async def _listen(session: asyncssh.SSHServerProcess[bytes], process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with suppress(OSError, asyncssh.Error):
            while True:
                try:
                    if not (data := await session.stdin.read(65536)):
                        break
                except asyncssh.SignalReceived as received:
                    with suppress(ProcessLookupError):
                        process.send_signal(getattr(signal, f"SIG{received.signal}"))
                else:
                    process.stdin.write(data)
                    await process.stdin.drain()
        process.stdin.close()


class Wire:
    """A TCP relay."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.frozen = asyncio.Event()
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.bytes_per_s = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def freeze(self) -> None:
        """Let nothing pass any more, and tell nobody."""
        self.thawed.clear()

    def cut(self) -> None:
        """End all connections at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        for one, other in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(other)
            task = asyncio.create_task(self._relay(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(16384):
                    await self.thawed.wait()
                    if self.bytes_per_s:
                        await asyncio.sleep(len(data) / self.bytes_per_s)
                    writer.write(data)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()


@asynccontextmanager
async def ssh_server() -> AsyncGenerator[SshServer]:
    server = SshServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def wire(port: int) -> AsyncGenerator[Wire]:
    relay = Wire(port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
