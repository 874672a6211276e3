"""The engine's end of one running worker: requests out, replies in, and an end that is certain."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import contextlib
import hashlib
import itertools
from typing import Any, Final, Self

from ..errors import CaptureTimeout, SourceError, WorkerError
from ..ports import Clock, SystemClock
from .framing import Frame, FrameError, encode_frame, read_frame, skip_noise
from .last_words import LastWords
from .loader import LOADER, command, parcel, worker_source
from .patience import Patience
from .process import Process, Transport, process_state
from .replies import PROTOCOL, Reply, plain, told
from .turns import Turns

__all__ = ["LOADER", "Reply", "WorkerClient", "WorkerGone", "worker_source"]

_AT_ONCE: Final = frozenset({"bye", "metrics", "ping", "process"})
"""What needs no turn: the worker answers it beside whatever the camera does."""
_HIGHEST_PID: Final = 1 << 22
"""Linux gives no higher ones."""
_NOT_FOUND: Final = (126, 127)
"""Exit codes of a shell that could not start the program."""


class WorkerGone(SourceError):
    """The worker ended, or had to be ended.

    Keys: ``worker_died`` (code, last_words), ``worker_disconnected``, ``worker_silent`` (silence_s),
    ``worker_garbage`` (what), ``worker_stopped``.
    """

    key = "worker_died"


class OutOfTime(CaptureTimeout):
    """Whoever asked has no more time. The worker's own ``camera_timeout`` comes earlier, and leaves some."""


class WorkerClient:
    """One running worker. It is made by ``start`` and is of no use any more once ``alive`` is False; ``close`` it in any case."""

    def __init__(self, process: Process, clock: Clock, patience: Patience, on_end: Callable[[], None]) -> None:
        """Take over a process; use ``start``."""
        self._process = process
        self._clock = clock
        self._patience = patience
        self._on_end = on_end
        self._said = LastWords()
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._turns = Turns()
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._heard = False
        self._gone: WorkerGone | None = None
        self._ladder: asyncio.Task[SourceError | None] | None = None
        self._greeting: Mapping[str, Any] | None = None
        self._started = asyncio.Event()
        self.hello: Mapping[str, Any] = {}
        """What it said of itself first: ``protocol``, ``source``, ``python``, ``pid``."""
        self.code: int | None = None
        """Its exit code, once it ended; None also if only the connection's end is known."""
        self.spoilt: SourceError | None = None
        """The error after which it cannot go on, as it said itself, maybe when nobody waited any more: it is to be replaced."""
        self._draining = asyncio.create_task(self._said.drain(process.read_error))
        self._tasks = [self._draining, *(asyncio.create_task(work) for work in (self._listen(), self._speak(), self._watch()))]

    @classmethod
    async def start(
        cls,
        transport: Transport,
        python: str,
        source: bytes,
        *,
        predecessors: Sequence[int] = (),
        clock: Clock | None = None,
        patience: Patience | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> Self:
        """Start a worker and wait for its first word.

        ``predecessors`` are the ids, on the camera host, of workers that may still hang on there; ``on_end`` is called when it ends
        by itself or becomes ``spoilt``.
        Raises ``SourceError``: what ``spawn`` raises, ``interpreter_missing``, ``worker_start_slow`` or a ``WorkerGone``.
        """
        patience = patience or Patience()
        client = cls(await transport.spawn(command(python, predecessors)), clock or SystemClock(), patience, on_end)
        try:
            async with asyncio.timeout(patience.hello_s):
                client._outbox.put_nowait(parcel(source))
                client.hello = await client._greeted(hashlib.sha256(source).hexdigest()[:12])
        except TimeoutError:
            await client._abandon()
            raise SourceError("worker_start_slow", seconds=f"{patience.hello_s:g}") from None
        except WorkerGone:
            await client._abandon()
            if client.code in _NOT_FOUND:
                raise SourceError("interpreter_missing", python=python) from None
            raise
        except BaseException:
            await client._abandon()
            raise
        return client

    @property
    def alive(self) -> bool:
        """Return whether it takes requests."""
        return self._gone is None and self._ladder is None

    @property
    def why(self) -> WorkerGone | None:
        """Return what ended it, or None."""
        return self._gone

    @property
    def pid(self) -> int | None:
        """Return the worker's process id on the camera host, as far as it told a believable one."""
        pid = self.hello.get("pid")
        return pid if isinstance(pid, int) and 1 < pid <= _HIGHEST_PID else None

    @property
    def stderr(self) -> Sequence[str]:
        """Return the last lines it wrote on its error output, or before its first word, at most 50."""
        return tuple(self._said.lines)

    async def request(self, op: str, args: Mapping[str, Any] | None = None, *, deadline_s: float) -> Reply:
        """Ask for something and wait for the answer, queueing included.

        Several may ask at once: what needs the camera goes one by one, previews last. Raises ``WorkerError`` (the worker said no),
        ``CaptureTimeout`` (``camera_timeout``; ``worker_busy`` if its turn never came) or ``WorkerGone``.
        A late answer is dropped.
        """
        sent = False
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(deadline_s):
                if op in _AT_ONCE:
                    sent = True
                    return await self._ask(op, args, deadline_s)
                async with self._turns.turn(1 if op == "preview" else 0):
                    sent = True
                    return await self._ask(op, args, deadline_s - (self._clock.monotonic() - started))
        except TimeoutError:
            raise OutOfTime("camera_timeout" if sent else "worker_busy", deadline_s=f"{deadline_s:g}") from None

    async def close(self) -> None:
        """End it: asked, told, killed. Returns within about 5 s, and goes on in the background if it is cancelled.

        Raises ``SourceError`` (``camera_needs_reboot``) if not even the kernel can end it.
        """
        if self._ladder is None:
            self._ladder = asyncio.create_task(self._climb_down())
        if (error := await asyncio.shield(self._ladder)) is not None:
            raise error

    # Asking

    async def _ask(self, op: str, args: Mapping[str, Any] | None, deadline_s: float) -> Reply:
        """Send a request and wait for its reply, for as long as one likes."""
        self._check()
        number = next(self._ids)
        # the worker gives up a little before we do, so that its own, better informed error arrives in time
        message = _message(number, op, args, deadline_s - min(1.5, deadline_s / 4))
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._outbox.put_nowait(message)
            frame = await answer
        finally:
            del self._pending[number]
        if frame.header.get("ok") is True:
            result = frame.header.get("result")
            return Reply(result if isinstance(result, dict) else {}, frame.blob)
        raise told(frame.header.get("error"))[0]

    async def _greeted(self, digest: str) -> Mapping[str, Any]:
        """Wait for the first word and see that it is ours. Raises ``WorkerGone``."""
        await self._started.wait()
        hello = self._greeting or {}
        if hello.get("protocol") != PROTOCOL or hello.get("source") != digest:
            self._give_up(WorkerGone("worker_garbage", what=plain(hello)))  # counts only if it did not end before
        self._check()
        return hello

    def _check(self) -> None:
        """Raise ``WorkerGone`` if it is gone; a fresh one each time, for each carries the trace of who asked."""
        if self._gone is not None:
            raise WorkerGone(self._gone.key, **self._gone.placeholders)

    # The four tasks of a running worker

    async def _listen(self) -> None:
        """Take its frames until it ends."""
        try:
            noise, read = await skip_noise(self._hear)
            self._said.note(noise)  # a shell that refuses to start programs says why on its output
            while (frame := await read_frame(read)) is not None:
                if not self._take(frame):
                    await asyncio.sleep(0)  # thousands of small ones may have come at once: others have their turn between them
        except FrameError as error:
            self._give_up(WorkerGone("worker_garbage", what=plain(error)))
        else:
            await self._note_end()

    async def _hear(self, most: int) -> bytes:
        data = await self._process.read(most)
        self._heard = True
        return data

    def _take(self, frame: Frame) -> bool:
        """Give a frame to who waits for it; return whether anybody did. Raises ``FrameError``."""
        if self._greeting is None:
            hello = frame.header.get("hello")
            if not isinstance(hello, dict):
                raise FrameError("it did not say hello")
            self._greeting = hello
            self._started.set()
            return True
        number = frame.header.get("id")
        if not isinstance(number, int):
            raise FrameError("a reply without a number")
        if frame.header.get("ok") is not True:
            error, fatal = told(frame.header.get("error"))
            if fatal:
                self.spoilt = error
                self._on_end()
        answer = self._pending.get(number)
        if answer is None or answer.done():  # nobody waits for it any more
            return False
        answer.set_result(frame)
        return True

    async def _speak(self) -> None:
        """Write what is to be sent, in order; a worker that does not read must not hold up those who wait for it."""
        with contextlib.suppress(ConnectionError):  # its end is told by its output
            while True:
                await self._process.write(await self._outbox.get())

    async def _watch(self) -> None:
        """See that it lives: any byte counts, for on a slow line a picture holds up the answers to pings."""
        missed = 0
        while missed < self._patience.missed_pings:
            self._heard = False
            if self.hello and self._outbox.empty():  # nobody waits for the answer: that something comes is enough
                self._outbox.put_nowait(_message(next(self._ids), "ping", None, self._patience.ping_every_s))
            await self._clock.sleep(self._patience.ping_every_s)
            missed = 0 if self._heard or not self.hello else missed + 1
        self._give_up(WorkerGone("worker_silent", silence_s=f"{missed * self._patience.ping_every_s:g}"))

    # Its end

    async def _note_end(self) -> None:
        """Its output ended: learn why, and end what may be left of it."""
        if not await self._exits(self._patience.last_words_s):
            self._process.kill()  # it closed its output and lives on
            await self._exits(self._patience.last_words_s)
        await asyncio.wait([self._draining], timeout=self._patience.last_words_s)
        if self.code is None:
            self._end(WorkerGone("worker_disconnected"))
        else:
            self._end(WorkerGone("worker_died", code=self.code, last_words=self._said.last or "-"))

    async def _exits(self, within_s: float) -> bool:
        """Return whether it ends in time."""
        try:
            async with asyncio.timeout(within_s):
                self.code = await self._process.wait()
        except TimeoutError:
            return False
        return True

    def _give_up(self, gone: WorkerGone) -> None:
        """Kill it for what it did."""
        self._process.kill()
        self._end(gone)

    def _end(self, gone: WorkerGone) -> None:
        """Tell all who wait. Only the first reason counts."""
        if self._gone is not None:
            return
        self._gone = gone
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(WorkerGone(gone.key, **gone.placeholders))
        self._started.set()
        if self._ladder is None:
            self._on_end()

    async def _abandon(self) -> None:
        """End what never became a worker, first of all the process: whatever becomes of the rest of this."""
        self._process.kill()
        with contextlib.suppress(SourceError):
            await self.close()

    async def _climb_down(self) -> SourceError | None:
        """End it rung by rung, then let go of all of it; return what there is to tell."""
        try:
            return None if await self._ends() else await self._stuck()
        finally:
            self._process.kill()
            await self._process.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._end(WorkerGone("worker_stopped"))

    async def _ends(self) -> bool:
        if self._gone is None:
            self._outbox.put_nowait(_message(next(self._ids), "bye", None, self._patience.bye_s))
            if await self._exits(self._patience.bye_s):
                return True
        self._process.close_input()
        self._process.terminate()
        if await self._exits(self._patience.terminate_s):
            return True
        self._process.kill()
        return await self._exits(self._patience.kill_s)

    async def _stuck(self) -> SourceError | None:
        """Return the error for a process that the kernel itself cannot end; None over SSH, where only its successor can tell."""
        if self._process.pid is not None:
            for pid in {self._process.pid, self.pid or self._process.pid}:
                if await asyncio.to_thread(process_state, pid) == "D":
                    return WorkerError("camera_needs_reboot", pid=pid)
        return None


def _message(number: int, op: str, args: Mapping[str, Any] | None, deadline_s: float) -> bytes:
    return encode_frame({"id": number, "op": op, "deadline_s": round(deadline_s, 3), "args": args or {}})
