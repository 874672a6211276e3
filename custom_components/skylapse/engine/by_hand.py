"""A frame that a person or an automation asks for now: kept, catalogued and delivered as the schedules' own are."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from .capture import Photographer
from .errors import Busy, ClockNotSet, StorageError
from .exposures import Exposures
from .frames.records import FrameRecord
from .intake import Intake
from .keeper import Keeper
from .ledger import Ledger
from .ports import Clock
from .scheduler import Scheduler
from .sources.base import FrameSource
from .station_config import StationConfig


@dataclass(frozen=True, slots=True)
class CaptureOutcome:
    """A frame taken by hand, announced: durable and catalogued."""

    record: FrameRecord
    path: Path
    destinations: tuple[str, ...]
    """Ids of the destinations it is queued for."""
    dng_path: Path | None = None
    """Of its raw file; None if there is none, or it was lost."""


class ByHand:
    """Takes frames that no schedule asked for."""

    def __init__(
        self,
        config: StationConfig,
        source: FrameSource,
        *,
        photographer: Photographer,
        exposures: Exposures,
        scheduler: Scheduler,
        keeper: Keeper,
        intake: Intake,
        ledger: Ledger,
        clock: Clock,
        destinations: tuple[str, ...],
    ) -> None:
        """Use the rooms of a station; frames are queued for ``destinations``."""
        self._config = config
        self._source = source
        self._photographer = photographer
        self._exposures = exposures
        self._scheduler = scheduler
        self._keeper = keeper
        self._intake = intake
        self._ledger = ledger
        self._clock = clock
        self._destinations = destinations
        self.enabled = False
        """While the station runs."""

    async def capture(self, *, exposure_us: int | None = None, gain: float | None = None) -> CaptureOutcome:
        """Take one frame, now, and wait until it is durable and catalogued.

        ``exposure_us`` in microseconds and ``gain`` (1.0 = base) overrule the camera's automatic, where it takes them.
        Raises ``ClockNotSet``, ``Busy``, ``SourceError``, ``StorageError`` or ``CatalogueError``.
        """
        if not self._scheduler.clock_is_set:
            raise ClockNotSet
        if self._keeper.storage_full:
            raise StorageError("storage_full")
        if self._intake.full:
            raise StorageError("storage_slow")
        # a wrong wish is no failure of the camera: three of them must not pause the schedules
        self._source.capabilities.check(exposure_us=exposure_us, gain=gain)
        await self._photographer.wait_idle(self._config.deadline_s)
        if not self.enabled:
            raise Busy
        plain = exposure_us is None and gain is None
        exposure = self._photographer.begin(self._clock.now(), shared=plain)
        task = self._exposures.begin(exposure, exposure_us=exposure_us, gain=gain)
        await asyncio.wait([task])
        if task.cancelled():  # it was stopped meanwhile: nothing was announced
            raise Busy
        pending = task.result()
        try:
            async with asyncio.timeout(self._config.deadline_s):
                record = await asyncio.shield(pending)
        except TimeoutError:
            raise (self._ledger.error or StorageError("storage_slow")) from None
        folder = self._config.folder
        dng = None if record.dng is None else folder / record.dng.relative_path
        return CaptureOutcome(record, folder / record.file.relative_path, self._destinations, dng)
