"""A network between a test and a server on loopback: slow, far away, frozen or cut."""

import asyncio
from collections.abc import Coroutine
import contextlib
import threading
from typing import Any

_CHUNK = 16 << 10


class Link:
    """Passes on what comes to ``host`` and ``port``. May be changed at any time, also while connections are open."""

    host = "127.0.0.1"

    def __init__(self, target_port: int, *, bytes_per_s: float | None = None, latency_s: float = 0.0) -> None:
        """Begin to listen for a server on a loopback port; each direction of each connection gets the whole bandwidth."""
        self.bytes_per_s = bytes_per_s
        self.latency_s = latency_s
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link")
        self._thread.start()
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.passed = 0
        """Bytes, both ways together."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._run(self._listen())

    def freeze(self) -> None:
        """Let nothing through any more, without telling anybody; new connections are taken, and hear nothing either."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """Let everything through again, also what came meanwhile."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Break all connections; new ones are refused until ``mend``."""
        self._run(self._cut())

    def mend(self) -> None:
        """Take connections again, on the same port."""
        self._run(self._listen())

    def close(self) -> None:
        """End it all."""
        self._run(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=_CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(self.host, self._target_port, limit=_CHUNK)
            self._writers.add(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back))
                group.create_task(self._pass_on(there, writer))
        except OSError, ExceptionGroup:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on: as fast as the bandwidth allows, each piece as late as the way is long."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

        async def arrive() -> None:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - self._loop.time())
                await self._flowing.wait()
                if not data:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(arrive())
            data = b" "
            while data:
                data = await reader.read(_CHUNK)
                self.passed += len(data)
                if self.bytes_per_s:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                await under_way.put((self._loop.time() + self.latency_s, data))
