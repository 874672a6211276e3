"""Keeps one worker running and configured, whatever becomes of its process, its camera or the way to it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
import logging
from typing import Any, Final

from ..errors import CaptureTimeout, SkylapseError, SourceError, WorkerError
from ..ports import Clock, SystemClock
from .client import OutOfTime, WorkerClient, WorkerGone
from .loader import worker_source
from .patience import Patience
from .process import Transport, process_state
from .replies import Reply

_LOGGER = logging.getLogger(__name__)

HOPELESS: Final = frozenset(
    {
        "camera_cannot",
        "camera_denied",
        "camera_needs_reboot",
        "camera_setting_refused",
        "interpreter_missing",
        "picamera2_missing",
        "rpicam_missing",
        "source_option_invalid",
        "ssh_denied",
        "ssh_host_key_changed",
        "ssh_key_invalid",
        "ssh_passphrase_wrong",
        "tuning_missing",
        "worker_bad_request",
    }
)
"""What a restart cannot help: told at once, and tried again only now and then, in case somebody mended it."""

_STALLS: Final = frozenset({"camera_timeout", "camera_failed", "camera_memory"})
"""After these the camera's stream is restarted, and if that did not help, its process."""
_PATIENT: Final = frozenset({"preview", "metrics", "process"})
"""What says nothing of the camera's health when it fails: a preview may have been too slow for who wanted it."""
_MOST_BYTES: Final = 1 << 62
"""A process that says it holds more talks nonsense."""
_PROOFS: Final = frozenset({"capture", "preview", "focus_sweep", "autofocus"})
"""What succeeds only if the camera gives pictures."""


class Supervisor:
    """Starts, configures, watches and replaces the worker; requests go through it and wait while it does so.

    What it does when something fails, in this order: restart the camera's stream, a new process at once, a new process after
    growing waits. ``on_change`` is called whenever ``connected``, ``restarts`` or ``error`` may have changed.
    """

    def __init__(
        self,
        transport: Transport,
        python: str,
        configure: Callable[[], Mapping[str, Any]],
        *,
        clock: Clock | None = None,
        on_change: Callable[[], None] = lambda: None,
        source: Callable[[], Awaitable[bytes]] = worker_source,
        patience: Patience | None = None,
        name: str = "",
    ) -> None:
        """Set how the worker is reached; ``configure`` gives the arguments of its ``configure`` each time one starts.

        ``name`` is what the log calls the camera.
        """
        self._transport = transport
        self._name = ", ".join(filter(None, (name, transport.name)))
        self._python = python
        self._configure = configure
        self._clock = clock or SystemClock()
        self._on_change = on_change
        self._source = source
        self._patience = patience or Patience()
        self._keeper: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._closes = 0
        self._nudge = asyncio.Event()
        self._news = asyncio.Event()
        self._client: WorkerClient | None = None
        self._last: WorkerClient | None = None
        self._started_at = 0.0
        self._rss_bytes = 0.0
        self._busy = 0
        self._stale = False
        self._renewing = False
        self._predecessors: tuple[int, ...] = ()
        self._stuck: int | None = None
        self._retry_at: float | None = None
        self._crashes = 0
        self._failures = 0
        self._stalls = 0
        self._stalled = False
        self._reason: SourceError | None = None
        self._good = 0
        self._crashed = False
        self._broken = False
        self._unproven = False
        self.restarts = 0
        """How often a worker was replaced because of a failure."""
        self.error: SkylapseError | None = None
        """Why there is no working worker, or what its predecessor died of; None when all is well."""
        self.configured: Mapping[str, Any] = {}
        """What the camera answered when it was configured last: size, format, limits, ..."""

    # What can be seen

    @property
    def connected(self) -> bool:
        """Return whether a worker runs whose camera is configured; a planned replacement is no interruption."""
        return self._renewing or (self._client is not None and self._client.alive)

    @property
    def backoff_s(self) -> float:
        """Return the seconds until the next try; 0 when none is waited for."""
        return 0.0 if self._retry_at is None else max(0.0, self._retry_at - self._clock.monotonic())

    @property
    def hello(self) -> Mapping[str, Any]:
        """Return what the last worker said of itself."""
        return self._last.hello if self._last else {}

    @property
    def stderr(self) -> Sequence[str]:
        """Return the last lines of the last worker's error output."""
        return self._last.stderr if self._last else ()

    # What can be asked for

    async def start(self) -> None:
        """Start a worker and configure its camera. Raises why that did not work; it goes on trying until ``close``."""
        closes = self._closes
        if self._closing is not None:
            await asyncio.shield(self._closing)
            if closes != self._closes:  # meanwhile again: nobody would end what is started now
                raise WorkerGone("worker_stopped")
            self._closing = None
        while self._fit() is None:
            self._begin()
            if self.error is not None and self._retry_at is not None:
                raise _again(self.error)
            await self._wait_for_news()

    async def request(self, op: str, args: Mapping[str, Any] | None = None, *, deadline_s: float) -> Reply:
        """Ask the worker, and wait for it to be there if it is not. A capture that kills it is tried again in time.

        Raises ``SourceError``: what the worker said, ``camera_timeout``, or why there is no worker, at once if the next try is
        not within the deadline.
        """
        until = self._clock.monotonic() + deadline_s
        failed: SourceError | None = None
        while True:
            client = await self._worker(until, deadline_s, failed)
            self._busy += 1
            try:
                reply = await client.request(op, args, deadline_s=until - self._clock.monotonic())
            except SourceError as error:
                if not self._note_failure(client, op, error) or op != "capture" or until <= self._clock.monotonic():
                    raise
                failed = error
            else:
                self._note_success(op, reply)
                return reply
            finally:
                self._busy -= 1

    async def recycle(self) -> bool:
        """Replace a worker that is old or large, if nobody needs it now; return whether. Call it while the camera rests."""
        client = self._client
        if client is None or not client.alive or self._busy:
            return False
        age_s = self._clock.monotonic() - self._started_at
        if age_s <= self._patience.oldest_s and self._rss_bytes <= self._patience.largest_rss_bytes:
            return False
        _LOGGER.debug("The camera's worker is replaced after %.0f s, it holds %.0f MB", age_s, self._rss_bytes / 1e6)
        self._stale = self._renewing = True
        self._nudge.set()
        return True

    async def close(self) -> None:
        """End worker and way. Takes a few seconds at most, never raises, and goes on if it is cancelled."""
        self._closes += 1
        if self._closing is None:
            self._closing = asyncio.create_task(self._shut())
        await asyncio.shield(self._closing)

    # Requests

    def _fit(self) -> WorkerClient | None:
        """Return the worker if it can be asked now."""
        client = self._client
        if client is None or not client.alive or client.spoilt is not None or self._stalled or self._stale:
            return None
        return client

    async def _worker(self, until: float, deadline_s: float, failed: SourceError | None) -> WorkerClient:
        """Wait for a worker. Raises ``SourceError``; what ``failed`` before, if there is not enough time for another one."""
        try:
            async with asyncio.timeout(until - self._clock.monotonic()):
                while (client := self._fit()) is None:
                    self._begin()
                    if self.error is not None and self._retry_at is not None:
                        if self.error.key in HOPELESS:
                            raise _again(self.error)
                        if self._retry_at >= until:
                            raise failed or _again(self.error)
                    await self._wait_for_news()
        except TimeoutError:
            raise failed or (_again(self.error) if self.error else CaptureTimeout("worker_busy", deadline_s=f"{deadline_s:g}")) from None
        return client

    def _begin(self) -> None:
        """Have the keeper at work. Raises ``WorkerGone`` after ``close``."""
        if self._closing is not None:
            raise WorkerGone("worker_stopped")
        if self._keeper is None:
            self.error = None
            self._retry_at = None
            self._keeper = asyncio.create_task(self._keep())

    def _note_success(self, op: str, reply: Reply) -> None:
        if op in _PROOFS:
            self._unproven = False
            self._note_back()
        if op == "metrics":
            rss = reply.result.get("worker_rss_bytes")
            self._rss_bytes = float(rss) if isinstance(rss, int | float) and 0 <= rss < _MOST_BYTES else 0.0
        elif op == "capture":
            self._good += 1
            if self._good >= self._patience.good_captures:
                self._crashes = self._stalls = 0

    def _note_failure(self, client: WorkerClient, op: str, error: SourceError) -> bool:
        """Put the ladder to work; return whether the same may succeed once it has done so."""
        if isinstance(error, WorkerGone) or client.spoilt is not None:
            self._nudge.set()
            return True
        if client is not self._client:
            return False
        if error.key in _STALLS and op not in _PATIENT and not self._stalled:
            self._good = 0
            self._stalls += 1
            self._stalled = True
            self._reason = error
            self._nudge.set()
            return not isinstance(error, OutOfTime)
        return False

    # The keeper

    async def _keep(self) -> None:
        """Do what is to be done, one thing after the other, for ever."""
        while True:
            self._nudge.clear()
            client = self._client
            if client is None:
                await self._wait_for_retry()
                await self._bring_up()
            elif not client.alive or client.spoilt is not None:
                await self._replace(client, client.why or client.spoilt)
            elif self._stale:
                await self._put_down(client)
            elif self._stalled:
                await self._restart_stream(client)
            else:
                await self._nudge.wait()

    async def _wait_for_retry(self) -> None:
        if self._retry_at is not None:
            await self._clock.sleep(self._retry_at - self._clock.monotonic())
            self._retry_at = None

    async def _bring_up(self) -> None:
        """Start and configure a worker, or note why that did not work."""
        client: WorkerClient | None = None
        try:
            if self._stuck is not None and await asyncio.to_thread(process_state, self._stuck) == "D":
                raise WorkerError("camera_needs_reboot", pid=self._stuck)
            self._stuck = None
            client = await WorkerClient.start(
                self._transport,
                self._python,
                await self._source(),
                predecessors=self._predecessors,
                clock=self._clock,
                patience=self._patience,
                on_end=self._nudge.set,
            )
            self._last = client
            await self._ask_for_predecessors(client)
            reply = await client.request("configure", self._configure(), deadline_s=self._patience.configure_s)
        except BaseException as unexpected:
            stuck = await self._put_down(client)
            if not isinstance(unexpected, Exception):
                raise
            error = unexpected if isinstance(unexpected, SkylapseError) else SkylapseError("unexpected", error=type(unexpected).__name__)
            if error is not unexpected:
                _LOGGER.exception("The camera's worker failed to start unexpectedly")
            self._failures += 1
            self._wait(stuck or error, max(0, self._crashes - 1) + self._failures)
        else:
            self._note_up(client, reply)

    async def _ask_for_predecessors(self, client: WorkerClient) -> None:
        """See whether a worker whose end was never seen is stuck. Raises ``WorkerError`` (``camera_needs_reboot``)."""
        waiting = self._predecessors
        for pid in waiting:
            reply = await client.request("process", {"pid": pid}, deadline_s=self._patience.ping_every_s)
            if reply.result.get("state") == "D":
                raise WorkerError("camera_needs_reboot", pid=pid)
            self._predecessors = tuple(other for other in self._predecessors if other != pid)

    def _note_up(self, client: WorkerClient, reply: Reply) -> None:
        self._client = client
        self._renewing = False
        self.configured = reply.result
        self.error = self._reason = None
        self._failures = 0
        self._rss_bytes = 0.0
        self._started_at = self._clock.monotonic()
        if self._crashed:
            self._crashed = False
            self.restarts += 1
        self._note_back()
        self._tell()

    def _note_back(self) -> None:
        """Tell once that all is well again."""
        if self._broken and not self._unproven:
            self._broken = False
            _LOGGER.info("The camera's worker (%s) is back", self._name)

    async def _replace(self, client: WorkerClient, reason: SkylapseError | None) -> None:
        """End a worker that failed; the next one follows at once, or after a while if many failed."""
        self._crashes += 1
        self._good = 0
        self._crashed = True
        # a camera that hangs lets itself be configured all the same: told each time, that would fill the log
        self._unproven = self._crashes > 1 or (reason is not None and reason.key in _STALLS)
        stuck = await self._put_down(client)
        self._wait(stuck or reason or WorkerGone("worker_disconnected"), self._crashes - 1)

    async def _restart_stream(self, client: WorkerClient) -> None:
        """Restart the camera's stream; replace the worker if that fails, or was done not long ago."""
        if self._stalls == 1:
            try:
                await client.request("restart_stream", deadline_s=self._patience.restart_stream_s)
            except SourceError as error:
                _LOGGER.debug("The camera's stream could not be restarted: %s", error)
            else:
                self._stalled = False
                self._tell()
                return
        await self._replace(client, self._reason)

    async def _put_down(self, client: WorkerClient | None) -> SourceError | None:
        """End a worker; return the error if it cannot be ended."""
        self._client = None
        self._stalled = self._stale = False
        if client is None:
            return None
        self._tell()
        try:
            await client.close()
        except SourceError as error:
            self._stuck = int(error.placeholders["pid"])
            return error
        if client.code is None and client.pid is not None:  # over SSH its end may go unseen
            self._predecessors = (*self._predecessors, client.pid)
        return None

    def _wait(self, error: SkylapseError, step: int) -> None:
        """Note what is wrong, and when the next try is due."""
        waits = self._patience.backoff_s
        self._renewing = False
        self.error = error
        self._retry_at = self._clock.monotonic() + (
            self._patience.hopeless_s if error.key in HOPELESS else waits[min(step, len(waits) - 1)]
        )
        if not self._broken:
            self._broken = True
            _LOGGER.warning("The camera's worker (%s) does not work: %s", self._name, error)
        self._tell()

    async def _shut(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        self._renewing = False
        if (stuck := await self._put_down(self._client)) is not None:
            self.error = stuck
            _LOGGER.error("The camera's worker (%s) cannot be ended: %s", self._name, stuck)
        await self._transport.close()
        self._tell()

    # Telling

    def _tell(self) -> None:
        self._news.set()
        try:
            self._on_change()
        except Exception:
            _LOGGER.exception("A listener of the camera's worker failed")

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()


def _again(error: SkylapseError) -> SkylapseError:
    """Return a fresh error of the same kind: each that is raised carries the trace of who asked."""
    fresh = type(error)(error.key)
    fresh.placeholders = dict(error.placeholders)
    return fresh
