"""Programs on another machine, over one SSH connection."""

import asyncio
from collections.abc import Coroutine, Sequence
import contextlib
import shlex
from typing import TYPE_CHECKING, Any, Final, override

from ..errors import SshError
from ..remote.ssh import CONNECT_S, KEEPALIVE_S, SshTarget, connect, reason
from .process import Process, Transport

if TYPE_CHECKING:
    import asyncssh

_WINDOW_BYTES: Final = 4 << 20
"""What may be under way without an acknowledgement: 4 MB keep a line with 50 ms of delay busy at 80 MB/s."""
_OPEN_S: Final = 15.0
_CLOSE_S: Final = 2.0


class SshTransport(Transport):
    """Starts programs over one connection, which is made when it is needed and again when it was lost."""

    name = "ssh"

    def __init__(
        self, target: SshTarget, *, connect_s: float = CONNECT_S, open_s: float = _OPEN_S, keepalive_s: float = KEEPALIVE_S
    ) -> None:
        """Set where to and how long to wait: for the connection, for a program's start, and between two signs of life."""
        self._target = target
        self._connect_s = connect_s
        self._open_s = open_s
        self._keepalive_s = keepalive_s
        self._connection: asyncssh.SSHClientConnection | None = None
        self._starting = asyncio.Lock()

    @override
    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a program through the account's login shell. Raises ``SshError``."""
        command = f"exec {shlex.join(argv)}"
        async with self._starting:
            if self._connection is not None and not self._connection.is_closed():
                with contextlib.suppress(SshError):  # it may have died unnoticed, then a new one will do
                    return await self._open(self._connection, command)
            self._connection = await connect(self._target, timeout_s=self._connect_s, keepalive_s=self._keepalive_s)
            return await self._open(self._connection, command)

    @override
    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await _wait_or_abort(connection, connection.wait_closed())

    async def _open(self, connection: asyncssh.SSHClientConnection, command: str) -> Process:
        """Start a program on a connection. If that fails, or is no longer wanted, the connection goes: with it surely the program."""
        import asyncssh

        try:
            async with asyncio.timeout(self._open_s):
                process = await connection.create_process(
                    command, encoding=None, window=_WINDOW_BYTES, request_pty=False, send_env=None, env=None
                )
        except BaseException as error:
            connection.abort()
            if isinstance(error, TimeoutError):
                raise SshError("ssh_timeout", host=self._target.host, port=self._target.port) from None
            if isinstance(error, (asyncssh.Error, OSError)):
                raise SshError("ssh_failed", error=reason(error)) from None
            raise
        return SshProcess(connection, process)


class SshProcess(Process):
    """A program at the other end of a connection."""

    pid = None

    def __init__(self, connection: asyncssh.SSHClientConnection, process: asyncssh.SSHClientProcess[bytes]) -> None:
        """Take over a program that was just started."""
        self._connection = connection
        self._process = process

    @override
    async def read(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes of its output, ``b""`` at the end."""
        return await self._read(self._process.stdout, most)

    @override
    async def read_error(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes of its error output, ``b""`` at the end."""
        return await self._read(self._process.stderr, most)

    @override
    async def write(self, data: bytes) -> None:
        """Give it input, and wait until it is under way. Raises ``ConnectionError``."""
        import asyncssh

        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except asyncssh.Error, OSError:
            raise BrokenPipeError from None

    @override
    def close_input(self) -> None:
        """Tell it that no more input comes."""
        self._process.stdin.write_eof()

    @override
    async def wait(self) -> int | None:
        """Wait for its end and return its exit code; None if the connection ended before it told one."""
        await self._process.wait_closed()
        return self._process.returncode

    @override
    def terminate(self) -> None:
        """Ask the server to send it SIGTERM."""
        with contextlib.suppress(OSError):  # the channel is closed
            self._process.terminate()

    @override
    def kill(self) -> None:
        """Ask the server to send it SIGKILL, and end its input for servers that do not do that."""
        self.close_input()
        with contextlib.suppress(OSError):
            self._process.kill()

    @override
    async def close(self) -> None:
        """Kill it if it still runs, and close its channel; a connection that does not even answer that is given up."""
        self.kill()
        self._process.channel.abort()
        await _wait_or_abort(self._connection, self._process.wait_closed())

    @staticmethod
    async def _read(stream: asyncssh.SSHReader[bytes], most: int) -> bytes:
        import asyncssh

        try:
            return await stream.read(most)
        except asyncssh.Error, OSError:
            return b""


async def _wait_or_abort(connection: asyncssh.SSHClientConnection, closed: Coroutine[Any, Any, None]) -> None:
    """Wait for an end, but not for long: who does not answer is hung up on."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await closed
    except TimeoutError:
        connection.abort()
