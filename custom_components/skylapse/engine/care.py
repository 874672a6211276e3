"""The catalogue's care: opened, compared with the folder, and rebuilt from the frames when it turns out to be corrupt."""

import asyncio
from collections.abc import Callable, Sequence
import logging
from pathlib import Path

from .errors import CatalogueError, SkylapseError
from .frames.catalogue import Catalogue
from .frames.reconcile import ReconcileReport, reconcile
from .frames.store import FrameStore
from .ports import Clock
from .station_config import StationConfig

_LOGGER = logging.getLogger(__name__)

NAMED_IN_LOG = 5

CORRUPT = "catalogue_corrupt"


class CatalogueCare:
    """Keeps one station's catalogue true and whole."""

    def __init__(self, config: StationConfig, catalogue: Catalogue, store: FrameStore, clock: Clock, restart: Callable[[], None]) -> None:
        """Care for ``catalogue``; ``restart`` is called when only a new start can mend it."""
        self._config = config
        self._catalogue = catalogue
        self._store = store
        self._clock = clock
        self._restart = restart
        self._mark = config.catalogue_path.with_name(f"{config.catalogue_path.name}.rebuild")
        """A file that says that the catalogue was found corrupt: the next start, which may be one after a power cut, rebuilds it."""
        self._asking: asyncio.Task[None] | None = None
        self.rebuilt_from: Path | None = None
        """Where a corrupt catalogue was moved to at this start; None if it was sound."""
        self.report: ReconcileReport | None = None
        """What the latest comparison with the folder found."""

    async def open(self) -> None:
        """Open the catalogue; one that is corrupt is moved aside first. Raises ``CatalogueError`` or ``StorageError``."""
        if not await asyncio.to_thread(self._mark.exists):
            try:
                await self._catalogue.open()
            except CatalogueError as err:
                if err.key != CORRUPT:
                    raise
            else:
                return
        self.rebuilt_from = await self._catalogue.recover()
        await asyncio.to_thread(self._mark.unlink, missing_ok=True)
        _LOGGER.error(
            "The catalogue was corrupt. It was moved to %s and is rebuilt from the frames; counters start anew", self.rebuilt_from
        )

    def consider(self, err: SkylapseError) -> None:
        """Have the catalogue rebuilt by a new start if that is what an error calls for."""
        if err.key == CORRUPT and self._asking is None:
            _LOGGER.error("The catalogue is corrupt (%s); starting anew to rebuild it from the frames", err)
            self._asking = asyncio.create_task(self._ask(), name="skylapse rebuild")

    async def _ask(self) -> None:
        try:
            await asyncio.to_thread(self._mark.touch)
        except OSError as err:
            _LOGGER.warning("The mark for rebuilding the catalogue could not be left: %s", err)
        self._restart()

    async def settle(self, destination_ids: Sequence[str]) -> bool:
        """Bring catalogue and folder together, then queue for each destination what it has never been offered.

        Returns whether that was possible; why not is logged.
        """
        try:
            if self._catalogue.check_due:
                await self._catalogue.check()
            await self._catalogue.keep_destinations(destination_ids)
            self.report = await reconcile(
                self._store,
                self._catalogue,
                destinations=destination_ids,
                remote_prefix=self._config.slug,
                required=sorted(self._config.required),
                before=self._clock.now(),
            )
            for destination_id in destination_ids:
                await self._catalogue.backfill(destination_id, self._config.slug)
        except SkylapseError as err:
            _LOGGER.error("Catalogue and frames could not be compared: %s", err)
            self.consider(err)
            return False
        _tell(self.report)
        return True


def _tell(found: ReconcileReport) -> None:
    """Log what a comparison found, if there was anything."""
    if found.adopted or found.returned or found.removed_partials:
        _LOGGER.info(
            "%d frames that were not catalogued were adopted, %d came back, %d half-written files were removed",
            found.adopted,
            found.returned,
            found.removed_partials,
        )
    if found.adopted_dngs or found.returned_dngs:
        _LOGGER.info("%d DNGs that were not catalogued were adopted, %d came back", found.adopted_dngs, found.returned_dngs)
    if found.strays_count:
        _LOGGER.warning(
            "%d DNGs lie in the folder without their frames, and are left there (%s)",
            found.strays_count,
            ", ".join(found.strays[:NAMED_IN_LOG]),
        )
    if found.missing_count or found.damaged_count:
        _LOGGER.warning(
            "%d frames or DNGs are gone without a proven copy (%s), %d files are damaged (%s)",
            found.missing_count,
            ", ".join(found.missing[:NAMED_IN_LOG]),
            found.damaged_count,
            ", ".join(found.damaged[:NAMED_IN_LOG]),
        )
