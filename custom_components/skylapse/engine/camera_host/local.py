"""Programs on this machine."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
import contextlib
import errno
import fcntl
import os
import signal
from typing import Final, cast, override

from ..errors import SourceError
from .process import Process, Transport

_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR")
_OURS: Final = {"LIBCAMERA_LOG_LEVELS": "*:WARN", "LIBCAMERA_LOG_NO_COLOR": "1"}
_PIPE_BYTES: Final = 1 << 20
"""What the kernel allows everyone; it halves the time that a picture takes through the pipe."""
_HELD_BYTES: Final = 1 << 20
"""As much of a program's output is held here before the program has to wait."""
_CLOSE_S: Final = 1.0
_NOT_A_PROGRAM: Final = {errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}


class LocalTransport(Transport):
    """Starts programs as children of this process."""

    name = "local"

    @override
    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a program in a session of its own, so that a Ctrl-C meant for Home Assistant does not reach it.

        It is started from the event loop's own thread: the worker asks to be killed when the thread that started it ends.
        Raises ``SourceError``: ``interpreter_missing``, ``worker_start_failed``.
        """
        try:
            _, process = await asyncio.get_running_loop().subprocess_exec(
                LocalProcess, *argv, env=environment(os.environ), cwd="/", start_new_session=True, close_fds=True
            )
        except OSError as error:
            if error.errno in _NOT_A_PROGRAM:
                raise SourceError("interpreter_missing", python=argv[0]) from None
            raise SourceError("worker_start_failed", error=error.strerror or type(error).__name__) from None
        except ValueError:  # a zero byte in a path
            raise SourceError("interpreter_missing", python=ascii(argv[0])) from None
        return process

    @override
    async def close(self) -> None:
        """Do nothing: there is no connection."""


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return what of our environment a program of the system's own Python may see.

    Home Assistant's virtual environment and libraries would break it, and our secrets are none of its business.
    """
    return {name: value for name, value in ours.items() if name in _PASSED_ON or name.startswith("LC_")} | _OURS


class LocalProcess(Process, asyncio.SubprocessProtocol):
    """A child of this process.

    Reads hand over the very chunks that came out of the pipe: a picture is not copied once more by a stream's buffer.
    """

    def __init__(self) -> None:
        """Wait to be connected."""
        self._program: asyncio.SubprocessTransport  # set before ``spawn`` returns
        self._output = {1: _Output(), 2: _Output()}
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()
        self._input_taken = asyncio.Event()
        self._input_taken.set()

    # What the event loop tells

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the pipes, and enlarge them where that is allowed."""
        self._program = cast("asyncio.SubprocessTransport", transport)
        self._input().set_write_buffer_limits(high=0)  # so that written means taken
        for number, output in self._output.items():
            pipe = cast("asyncio.ReadTransport", self._program.get_pipe_transport(number))
            output.connect(pipe)
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe.get_extra_info("pipe").fileno(), getattr(fcntl, "F_SETPIPE_SZ", 1031), _PIPE_BYTES)

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Hold what came until it is read."""
        self._output[fd].feed(data)

    @override
    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note a pipe's end."""
        if fd == 0:
            self._input_taken.set()
        else:
            self._output[fd].end()

    @override
    def process_exited(self) -> None:
        """Note the program's end; its output may still hold something."""
        self._exited.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Note that program and pipes are all gone."""
        self._gone.set()

    @override
    def pause_writing(self) -> None:
        """Note that the pipe is full."""
        self._input_taken.clear()

    @override
    def resume_writing(self) -> None:
        """Note that all is taken."""
        self._input_taken.set()

    # What the link asks for

    @property
    @override
    def pid(self) -> int:
        """Return its id."""
        return self._program.get_pid() or 0

    @override
    async def read(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes of its output, ``b""`` at the end."""
        return await self._output[1].read(most)

    @override
    async def read_error(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes of its error output, ``b""`` at the end."""
        return await self._output[2].read(most)

    @override
    async def write(self, data: bytes) -> None:
        """Give it input, and wait until it is in the pipe. Raises ``ConnectionError``."""
        pipe = self._input()
        if not pipe.is_closing():
            pipe.write(data)
            await self._input_taken.wait()
        if pipe.is_closing():
            raise BrokenPipeError

    @override
    def close_input(self) -> None:
        """Tell it that no more input comes."""
        self._input().close()

    @override
    async def wait(self) -> int | None:
        """Wait for its end and return its exit code."""
        await self._exited.wait()
        return self._program.get_returncode()

    @override
    def terminate(self) -> None:
        """Send SIGTERM to it and what it started."""
        self._signal(signal.SIGTERM)

    @override
    def kill(self) -> None:
        """Send SIGKILL to it and what it started."""
        self._signal(signal.SIGKILL)

    @override
    async def close(self) -> None:
        """Kill it if it still runs, and close the pipes."""
        self.kill()
        for event, act in ((self._exited, self._program.close), (self._gone, None)):
            with contextlib.suppress(TimeoutError):  # what the kernel does not let go of is not waited for
                async with asyncio.timeout(_CLOSE_S):
                    await event.wait()
            if act is not None:
                act()

    def _signal(self, number: int) -> None:
        """Signal its whole group: the interpreter may be a script that started the real one.

        The group cannot be another's: as long as no exit code was fetched, the kernel keeps the id.
        """
        if self._program.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _input(self) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", self._program.get_pipe_transport(0))


class _Output:
    """One of a program's outputs: what came out of the pipe and was not read yet."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._ended = False
        self._news = asyncio.Event()
        self._pipe: asyncio.ReadTransport | None = None

    def connect(self, pipe: asyncio.ReadTransport) -> None:
        self._pipe = pipe

    def feed(self, data: bytes) -> None:
        """Hold a chunk; stop the pipe when too much is held."""
        self._chunks.append(data)
        self._held_bytes += len(data)
        self._news.set()
        if self._held_bytes >= _HELD_BYTES and self._pipe is not None:
            self._pipe.pause_reading()

    def end(self) -> None:
        """Note that no more comes."""
        self._ended = True
        self._news.set()

    async def read(self, most: int) -> bytes:
        """Return the next bytes as soon as there are any, ``b""`` at the end."""
        while not self._chunks:
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        chunk = self._chunks.popleft()
        if len(chunk) > most:
            self._chunks.appendleft(chunk[most:])
            chunk = chunk[:most]
        self._held_bytes -= len(chunk)
        if self._held_bytes < _HELD_BYTES and self._pipe is not None:
            self._pipe.resume_reading()
        return chunk
