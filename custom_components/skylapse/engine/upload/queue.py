"""One destination's queue: takes files from the catalogue, has them delivered, and notes how each of them fared.

pending → sending → verified; or waiting, with growing distance and for as long as it may heal; or quarantined, when it will
not. A destination that is down as a whole is left alone for growing times and then tried with one file; its files stay
pending, and none of them counts a failure that was not its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
import logging
from pathlib import Path
from random import Random
from typing import Any

from ..errors import DestinationError, SkylapseError
from ..frames.catalogue import Catalogue
from ..frames.records import UploadRecord
from ..ports import Clock
from ..status import EventKind
from .backoff import LONGEST_S, upload_backoff
from .destination import Delivery, Destination, Proof
from .outage import Outage

_LOGGER = logging.getLogger(__name__)

STOP_S = 10.0
"""How long running copies may take to finish when the queue stops; those that take longer are given up and sent again later."""
CATALOGUE_PAUSE_S = 10.0
SHORTEST_IDLE_S = 0.05
WRONG_HASHES = 5
"""A file that came back wrong so often in a row is quarantined: something is broken that time will not heal."""
SUSPICIOUS = 3
"""A file that brought the destination down so often in a row, each time after a good look at it, has to wait as if the fault were its own,
and the next one decides: one file must never hold up all others."""


class UploadQueue:
    """Delivers one destination's files."""

    def __init__(
        self,
        destination: Destination,
        catalogue: Catalogue,
        clock: Clock,
        *,
        on_change: Callable[[], None],
        on_event: Callable[[EventKind, dict[str, Any]], None],
        rng: Random,
        parallel: int = 3,
        batch: int = 8,
    ) -> None:
        """Deliver up to ``parallel`` files at once and claim up to ``batch``; the callbacks are called in the event loop."""
        self._destination = destination
        self._catalogue = catalogue
        self._clock = clock
        self._on_change = on_change
        self._on_event = on_event
        self._rng = rng
        self._parallel = parallel
        self._batch = batch
        self._outage = Outage(clock, rng)
        self._catalogue_error: SkylapseError | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._enabled = True
        self._dry = False
        """The catalogue had nothing more to send when last asked, and nobody has said otherwise since."""
        self._signal = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._ready: deque[UploadRecord] = deque()
        self._sending: dict[asyncio.Task[Proof], UploadRecord] = {}
        self._proofs: list[tuple[UploadRecord, Proof]] = []
        self._failures: list[tuple[UploadRecord, DestinationError | None]] = []
        """None: to be given back, for it was not this file's failure."""
        self._suspect = (0, 0)
        """The file that last brought the destination down after a good look, and how often in a row."""

    @property
    def available(self) -> bool | None:
        """Return whether the destination takes files; None until it was tried."""
        return self._outage.available

    @property
    def error(self) -> SkylapseError | None:
        """Return why nothing is delivered now."""
        return self._outage.error or self._catalogue_error

    @property
    def next_try_at(self) -> datetime | None:
        """Return when a destination that is down is tried again."""
        return self._outage.next_try_at

    async def start(self) -> None:
        """Begin to work; returns at once."""
        self._stopping = False
        self._dry = False
        self._task = asyncio.create_task(self._run(), name=f"skylapse upload {self._destination.destination_id}")

    async def stop(self) -> None:
        """Let running copies finish, for ``STOP_S`` at most, and give the rest back; afterwards no file is noted as being sent."""
        if self._task is not None:
            self._stopping = True
            self._signal.set()
            await asyncio.shield(self._task)
            self._task = None

    def wake(self) -> None:
        """Tell that there may be something new to send."""
        self._dry = False
        self._signal.set()

    def set_enabled(self, enabled: bool) -> None:
        """Work or rest; running copies are finished."""
        self._enabled = enabled
        self.wake()

    def retry_now(self) -> None:
        """Try a destination that is down at once."""
        self._outage.look_now()
        self.wake()

    async def _run(self) -> None:
        try:
            while not self._stopping:
                try:
                    pause = await self._turn()
                except SkylapseError as err:
                    if self._catalogue_error is None:
                        _LOGGER.warning("Uploads to %s wait for the catalogue: %s", self._destination.name, err)
                    self._catalogue_error = err
                    self._on_change()
                    pause = CATALOGUE_PAUSE_S
                except Exception:  # an error in our own code must not end all uploads silently
                    _LOGGER.exception("Uploads to %s failed unexpectedly", self._destination.name)
                    pause = CATALOGUE_PAUSE_S
                else:
                    if self._catalogue_error is not None:
                        _LOGGER.info("Uploads to %s go on", self._destination.name)
                        self._catalogue_error = None
                        self._on_change()
                await self._pause(pause)
        finally:
            await self._finish()

    async def _turn(self) -> float | None:
        """Do what can be done now; return for how many seconds at most nothing else will be to do (None: until something happens)."""
        self._send()  # before anything is noted: the disk copies while the catalogue commits
        await self._settle()
        if not self._enabled:
            await self._give_back()
            return None
        if self._outage.to_look:
            await self._give_back()
            if self._sending or self._looking:
                return None
            if wait_s := self._outage.wait_s:
                return wait_s
            self._looking = asyncio.create_task(self._look())
            return None
        await self._claim()
        self._send()
        return await self._idle_s()

    async def _claim(self) -> None:
        """Take the next files from the catalogue when none is left."""
        trial = self._outage.on_trial
        if self._ready or self._dry or (trial and self._sending):
            return
        limit = 1 if trial else self._batch
        self._dry = True  # before asking: what comes in meanwhile says otherwise
        records = await self._catalogue.claim(self._destination.destination_id, limit, self._clock.now())
        if len(records) == limit:
            self._dry = False
        # queued anew with other content while the old one is under way: its turn comes when that has ended
        under_way = {record.upload_id for record in (*self._sending.values(), *(kept for kept, _ in (*self._proofs, *self._failures)))}
        if again := [record.upload_id for record in records if record.upload_id in under_way]:
            await self._catalogue.release(again)
        self._ready.extend(record for record in records if record.upload_id not in under_way)
        if not self._ready and trial and await self._catalogue.next_try_at(self._destination.destination_id) is None:
            self._recover()  # with nothing to send, the look is all there is to go by

    def _send(self) -> None:
        """Begin to deliver as many of the claimed files as may be under way at once."""
        while self._ready and len(self._sending) < self._parallel and self._enabled and not self._outage.to_look:
            record = self._ready.popleft()
            task = asyncio.create_task(self._deliver(record))
            self._sending[task] = record
            task.add_done_callback(self._ended)

    async def _deliver(self, record: UploadRecord) -> Proof:
        delivery = Delivery(Path(record.local_path), record.remote_path, record.size_bytes, record.sha256)
        return await self._destination.deliver(delivery)

    def _ended(self, task: asyncio.Task[Proof]) -> None:
        """Keep a copy's result until the catalogue knows it; what it tells of the destination counts at once."""
        record = self._sending.pop(task)
        self._signal.set()
        if task.cancelled():
            self._failures.append((record, None))
        elif (error := task.exception()) is None:
            self._proofs.append((record, task.result()))
            if not self._outage.to_look:
                self._recover()
        else:
            told = self._told(error)
            own = not told.destination_wide or self._suspicious(record, told)
            self._failures.append((record, told if own else None))
            if not own and not self._outage.to_look:  # else it is known, and this copy was under way before
                self._down(told, record)

    def _told(self, error: BaseException) -> DestinationError:
        """Return what a destination raised as an error to show."""
        if isinstance(error, DestinationError):
            return error
        _LOGGER.error("%s failed unexpectedly", self._destination.name, exc_info=error)
        return DestinationError("destination_failed", reason=type(error).__name__)

    async def _look(self) -> None:
        """Look whether the destination is there."""
        try:
            await self._destination.check()
        except Exception as err:  # noqa: BLE001  whatever it is, the destination is not usable; _told logs the unexpected
            self._down(self._told(err), None)
        else:
            self._outage.looked()
            self._dry = False
            self._on_change()
        finally:
            self._looking = None
            self._signal.set()

    async def _settle(self) -> None:
        """Tell the catalogue how the copies fared that have ended."""
        if proofs := list(self._proofs):
            verified = set(await self._catalogue.mark_verified([(record.upload_id, proof) for record, proof in proofs]))
            del self._proofs[: len(proofs)]
            for record, proof in proofs:
                if record.upload_id in verified:
                    self._emit(EventKind.VERIFIED, record, sha256=proof.sha256, method=proof.method.value, frame_path=record.local_path)
                else:  # queued anew with other content while it was sent
                    self._dry = False
        while self._failures:
            await self._note(*self._failures[0])
            del self._failures[0]

    async def _note(self, record: UploadRecord, error: DestinationError | None) -> None:
        """Note a failure."""
        now = await self._catalogue.uploads([record.upload_id])
        if error is None or not now or now[0].sha256 != record.sha256:  # or: it was queued anew meanwhile, and that has not failed yet
            await self._catalogue.release([record.upload_id])
            self._dry = False
            return
        placeholders = dict(error.placeholders)
        wrong = 0
        if error.key == "wrong_hash":
            before = record.error_placeholders.get("times", "0") if record.error_key == "wrong_hash" else "0"
            wrong = int(before) + 1
            placeholders["times"] = str(wrong)
        if error.permanent or wrong >= WRONG_HASHES:
            await self._catalogue.mark_quarantined(record.upload_id, error.key, placeholders)
            _LOGGER.warning("%s will not be sent to %s: %s", record.remote_path, self._destination.name, error)
            self._emit(EventKind.UPLOAD_FAILED, record, error=error.key, placeholders=placeholders, quarantined=True)
        else:
            at = self._clock.now() + upload_backoff(record.attempts + 1, self._rng)
            await self._catalogue.mark_waiting(record.upload_id, at, error.key, placeholders)
            self._emit(EventKind.UPLOAD_FAILED, record, error=error.key, placeholders=placeholders, quarantined=False)

    def _suspicious(self, record: UploadRecord, error: DestinationError) -> bool:
        """Tell whether it may be this file that brings the destination down again and again."""
        if record.error_key == error.key:  # it was before
            return True
        if not self._outage.on_trial:
            return False
        upload_id, times = self._suspect
        self._suspect = record.upload_id, times + 1 if upload_id == record.upload_id else 1
        return self._suspect[1] >= SUSPICIOUS

    def _down(self, error: DestinationError, record: UploadRecord | None) -> None:
        """Note that the destination is down."""
        if self._outage.fail(error):
            _LOGGER.debug("%s is not available: %s", self._destination.name, error)  # the shell tells it, with the camera's name
            self._emit(EventKind.UPLOAD_FAILED, record, error=error.key, placeholders=dict(error.placeholders), quarantined=False)
        self._on_change()

    def _recover(self) -> None:
        """Note that the destination takes files."""
        self._suspect = (0, 0)
        if self._outage.recover():
            _LOGGER.debug("%s is available again", self._destination.name)
            self._on_change()

    def _emit(self, kind: EventKind, record: UploadRecord | None, **data: object) -> None:
        remote_path = None if record is None else record.remote_path
        self._on_event(kind, {"destination": self._destination.name, "remote_path": remote_path, **data})
        self._on_change()

    async def _give_back(self) -> None:
        """Give back what was claimed and not begun."""
        if self._ready:
            await self._catalogue.release([record.upload_id for record in self._ready])
            self._ready.clear()
            self._dry = False

    async def _idle_s(self) -> float | None:
        """Return the seconds until the next waiting file is due, when nothing else is to do."""
        if self._sending or self._ready or not self._dry:
            return None if self._sending else 0.0
        due = await self._catalogue.next_try_at(self._destination.destination_id)
        if due is None:
            return None
        return min(LONGEST_S, max(SHORTEST_IDLE_S, (due - self._clock.now()).total_seconds()))

    async def _pause(self, seconds: float | None) -> None:
        """Wait until something happens, at most so many seconds."""
        if not self._signal.is_set():
            waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._signal.wait())]
            if seconds is not None:
                waits.append(asyncio.create_task(self._clock.sleep(seconds)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if not self._signal.is_set():
                self._dry = False
        self._signal.clear()

    async def _finish(self) -> None:
        """End what runs and leave nothing noted as being sent."""
        tasks: set[asyncio.Task[Any]] = set(self._sending)
        if self._looking is not None:
            self._looking.cancel()
            tasks.add(self._looking)
        if tasks:
            _done, late = await asyncio.wait(tasks, timeout=STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._settle()
            await self._give_back()
        except SkylapseError as err:  # when it is opened next, the catalogue makes them pending by itself
            _LOGGER.warning("Uploads to %s could not be given back: %s", self._destination.name, err)
