"""A frame on its way from the camera's memory to disk and catalogue. Announced is what both hold."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from .capture import Exposure, Taken
from .errors import SkylapseError
from .frames.catalogue import Catalogue
from .frames.records import FrameDetails, FrameRecord, StoredFile
from .frames.store import FrameStore
from .ledger import Ledger
from .ports import Site
from .schedule.model import Schedule, Tick
from .sessions import Sessions
from .sources.base import SourceIdentity
from .station_config import StationConfig
from .sun_position import solar_azimuth, solar_elevation

UNWRITTEN_FRAMES = 8
"""Frames held in memory while the disk is slow or full; beyond that no exposure is begun."""


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
        announce: Callable[[FrameRecord, Sequence[Tick]], None],
        lost: Callable[[Exposure, SkylapseError], None],
    ) -> None:
        """Call ``announce`` with each frame that is durable and catalogued, ``lost`` for one that was given up."""
        self._config = config
        self._ledger = ledger
        self._store = store
        self._catalogue = catalogue
        self._sessions = sessions
        self._schedules = schedules
        self._destinations = tuple(destinations)
        self._announce = announce
        self._lost = lost
        self.unwritten = 0
        """Frames that are only in memory."""

    @property
    def full(self) -> bool:
        """Return whether no further frame can be held."""
        return self.unwritten >= UNWRITTEN_FRAMES

    def take(self, taken: Taken, identity: SourceIdentity, site: Site) -> asyncio.Future[FrameRecord]:
        """Put a frame in the line for the disk; the future has its record, or the error that made it be given up."""
        details = self._details(taken, identity, site)
        done: asyncio.Future[FrameRecord] = asyncio.get_running_loop().create_future()
        stored: StoredFile | None = None
        self.unwritten += 1

        async def write() -> None:
            nonlocal stored
            if stored is None:  # not for the second time, if it was the catalogue that failed at the first
                stored = await asyncio.to_thread(self._store.write, taken.shot.jpeg, details)
            ticks = taken.exposure.ticks
            record = await self._catalogue.add_frame(
                stored,
                details,
                session_ids=[await self._sessions.session_of(self._schedules[tick.schedule_id], tick) for tick in ticks],
                destinations=self._destinations,
                remote_prefix=self._config.slug,
            )
            self.unwritten -= 1
            done.set_result(record)
            self._announce(record, ticks)

        def given_up(err: SkylapseError) -> None:
            self.unwritten -= 1
            done.set_exception(err)
            self._lost(taken.exposure, err)

        self._ledger.put(write, given_up)
        return done

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
