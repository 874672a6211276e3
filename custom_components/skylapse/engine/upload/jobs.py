"""Blocking work of one destination, in threads of its own, watched.

A network share that hangs keeps a thread in the kernel for as long as it likes, and nothing can end that thread. So each
job gets a daemon thread (it never holds up the interpreter's exit, nor anybody else's pool), tells how long its next step may
take, and is left behind when it exceeds that. While one is left behind, no further thread is spent on that destination.
"""

import asyncio
from collections.abc import Callable
import contextlib
import threading
import time

from ..errors import DestinationError

STEP_S = 60.0
"""For one step on files: sleeping disks of a NAS take up to 20 s to spin up."""
SLOWEST_BYTES_PER_S = 256 * 1024


class Abandoned(Exception):
    """Raised inside a job that was given up, at its next step."""


class Watch:
    """A job's side of its watch."""

    def __init__(self) -> None:
        """Start with the time of one step."""
        self.cancelled = False
        self.until = time.monotonic() + STEP_S

    def step(self, size_bytes: int = 0) -> None:
        """Begin a step, which may take ``STEP_S`` and the time of that many bytes on a slow network. Raises ``Abandoned``."""
        if self.cancelled:
            raise Abandoned
        self.until = time.monotonic() + STEP_S + size_bytes / SLOWEST_BYTES_PER_S


class Jobs:
    """Runs the jobs of one destination."""

    def __init__(self, name: str, place: str) -> None:
        """Name the threads, and the place that the person is told of when it hangs."""
        self._name = f"skylapse-dest-{name}"
        self._place = place
        self._threads: set[threading.Thread] = set()
        self._hanging: set[threading.Thread] = set()

    @property
    def hanging(self) -> int:
        """Return how many threads have been left behind and have not come back."""
        return len(self._hanging)

    async def run[T](self, job: Callable[[Watch], T]) -> T:
        """Run a job and return its result, or raise what it raises.

        Raises ``DestinationError("destination_hangs", destination_wide=True)`` when a step takes too long, and at once while an
        earlier job hangs. On cancellation the job ends at its next step; nobody waits for that.
        """
        if self._hanging:
            raise self._hangs()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        watch = Watch()

        def finish(result: T | None, error: BaseException | None) -> None:
            self._hanging.discard(thread)
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # it is the job's own result when there is no error

        def work() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = job(watch)
            except BaseException as err:  # noqa: BLE001  handed to whoever waits
                error = err
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(finish, result, error)

        thread = threading.Thread(target=work, name=self._name, daemon=True)
        thread.start()
        self._threads = {other for other in self._threads if other.is_alive()} | {thread}
        try:
            while (left := watch.until - time.monotonic()) > 0 and not done.done():
                await asyncio.wait([done], timeout=left)
            if done.done():
                return done.result()
        finally:
            watch.cancelled = True
            if not done.cancel() and not done.cancelled():
                done.exception()  # or asyncio logs it as never retrieved when the waiter was cancelled in the same turn
        self._hanging.add(thread)
        raise self._hangs()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all threads have ended; returns False if some have not by then."""
        until = time.monotonic() + timeout_s
        while any(thread.is_alive() for thread in self._threads):
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(0.005)
        return True

    def _hangs(self) -> DestinationError:
        return DestinationError("destination_hangs", destination_wide=True, path=self._place)
