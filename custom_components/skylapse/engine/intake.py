"""A frame on its way from the camera's memory to disk and catalogue. Announced is what both hold."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
import logging

from .capture import Exposure, Taken
from .errors import SkylapseError, SourceError
from .frames.catalogue import Catalogue
from .frames.records import FrameDetails, FrameRecord
from .frames.store import FrameStore, StoredPair
from .ledger import Ledger
from .ports import Site
from .schedule.model import Schedule, Tick
from .sessions import Sessions
from .sources.base import Shot, SourceIdentity
from .station_config import StationConfig
from .sun_position import solar_azimuth, solar_elevation

_LOGGER = logging.getLogger(__name__)

UNWRITTEN_FRAMES = 8
"""Frames held in memory while the disk is slow or full; beyond that no exposure is begun."""

UNWRITTEN_BYTES = 128 * 1024 * 1024
"""No exposure is begun either whose frame, if it is as big as the latest, would make them more than this: a DNG has some 30 MB."""


class Intake:
    """Writes frames, in the order they were taken, and holds them while the disk cannot take them."""

    def __init__(
        self,
        config: StationConfig,
        *,
        ledger: Ledger,
        store: FrameStore,
        catalogue: Catalogue,
        sessions: Sessions,
        schedules: dict[str, Schedule],
        destinations: Sequence[str],
        announce: Callable[[FrameRecord, Sequence[Tick], SkylapseError | None], None],
        lost: Callable[[Exposure, SkylapseError], None],
    ) -> None:
        """Call ``announce`` with each frame that is durable and catalogued, ``lost`` for one that was given up.

        The error that ``announce`` gets is why the frame's DNG was lost; None if it was not, or there was none.
        """
        self._config = config
        self._ledger = ledger
        self._store = store
        self._catalogue = catalogue
        self._sessions = sessions
        self._schedules = schedules
        self._destinations = tuple(destinations)
        self._announce = announce
        self._lost = lost
        self._latest_bytes = 0
        self._dng_lost = False
        """Whether the latest DNG was lost: told in the log when it begins and when it ends."""
        self.unwritten = 0
        """Frames that are not catalogued yet."""
        self.unwritten_bytes = 0
        """Of frames and DNGs that are only in memory."""

    @property
    def full(self) -> bool:
        """Return whether no further frame can be held."""
        too_many_bytes = self.unwritten_bytes > 0 and self.unwritten_bytes + self._latest_bytes > UNWRITTEN_BYTES
        return self.unwritten >= UNWRITTEN_FRAMES or too_many_bytes

    def take(self, taken: Taken, identity: SourceIdentity, site: Site) -> asyncio.Future[FrameRecord]:
        """Put a frame in the line for the disk; the future has its record, or the error that made it be given up."""
        details = self._details(taken, identity, site)
        done: asyncio.Future[FrameRecord] = asyncio.get_running_loop().create_future()
        exposure = taken.exposure
        held: Shot | StoredPair = taken.shot
        size = self._latest_bytes = len(taken.shot.jpeg) + len(taken.shot.dng or b"")
        self.unwritten += 1
        self.unwritten_bytes += size

        async def write() -> None:
            nonlocal held
            if isinstance(held, Shot):  # not for the second time, if it was the catalogue that failed at the first
                held = await self._store_shot(held, details)  # its bytes need not be in memory any more, however long the catalogue takes
                self.unwritten_bytes -= size
            record = await self._catalogue.add_frame(
                held.file,
                details,
                dng=held.dng,
                session_ids=[await self._sessions.session_of(self._schedules[tick.schedule_id], tick) for tick in exposure.ticks],
                destinations=self._destinations,
                remote_prefix=self._config.slug,
            )
            self.unwritten -= 1
            done.set_result(record)
            self._announce(record, exposure.ticks, held.dng_error)

        def given_up(err: SkylapseError) -> None:
            self.unwritten -= 1
            if isinstance(held, Shot):
                self.unwritten_bytes -= size
            done.set_exception(err)
            self._lost(exposure, err)

        self._ledger.put(write, given_up)
        return done

    async def _store_shot(self, shot: Shot, details: FrameDetails) -> StoredPair:
        """Bring what came from the camera to the disk, and tell in the log of DNGs that could not be."""
        if shot.dng is None:
            error = None if shot.dng_error is None else SourceError("dng_lost", error=shot.dng_error)
            stored = StoredPair(await asyncio.to_thread(self._store.write, shot.jpeg, details), None, error)
        else:
            stored = await asyncio.to_thread(self._store.write_pair, shot.jpeg, shot.dng, details)
        lost = stored.dng_error is not None
        if lost and not self._dng_lost:
            _LOGGER.warning("The DNG of %s was lost; the frame itself was kept: %s", stored.file.relative_path, stored.dng_error)
        elif self._dng_lost and stored.dng is not None:
            _LOGGER.info("DNGs are kept again, from that of %s on", stored.file.relative_path)
        self._dng_lost = lost
        return stored

    def _details(self, taken: Taken, identity: SourceIdentity, site: Site) -> FrameDetails:
        shot = taken.shot
        details = FrameDetails(
            taken_at=shot.taken_at,
            duration_ms=taken.duration_ms,
            camera=self._config.camera,
            manufacturer=identity.manufacturer,
            model=identity.model,
            exposure_us=shot.exposure_us,
            gain=shot.gain,
            lux=shot.lux,
            colour_temperature_k=shot.colour_temperature_k,
            sun_elevation_deg=round(solar_elevation(site, shot.taken_at), 3),
            sun_azimuth_deg=round(solar_azimuth(site, shot.taken_at), 3),
            schedules=tuple(dict.fromkeys(self._schedules[tick.schedule_id].name for tick in taken.exposure.ticks)),
        )
        if not self._config.embed_location:
            return details
        return replace(details, latitude_deg=site.latitude_deg, longitude_deg=site.longitude_deg, altitude_m=site.elevation_m)
