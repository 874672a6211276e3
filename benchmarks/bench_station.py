"""A whole station on temporary folders, for the benchmarks that need one running."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from pathlib import Path

from custom_components.skylapse.engine.frames.retention import RetentionRule
from custom_components.skylapse.engine.ports import Clock, EntityReading, Site
from custom_components.skylapse.engine.schedule.model import Always, Schedule
from custom_components.skylapse.engine.sources.base import FrameSource
from custom_components.skylapse.engine.station import Station
from custom_components.skylapse.engine.station_config import StationConfig
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder

SITE = Site(latitude_deg=52.37, longitude_deg=4.89, elevation_m=2.0, timezone=UTC)


@asynccontextmanager
async def running_station(folder: Path, source: FrameSource, clock: Clock, *, interval: timedelta) -> AsyncGenerator[Station]:
    """Run a station that photographs every ``interval`` and delivers to one folder, both below ``folder``."""
    nas = folder / "nas"
    nas.mkdir()
    config = StationConfig(
        station_id="bench",
        camera="Bench",
        slug="bench",
        folder=folder / "media" / "bench",
        catalogue_path=folder / "bench.db",
        schedules=(Schedule("always", "Always", Always(), interval),),
        required=frozenset({"nas"}),
        retention=RetentionRule(min_free_bytes=0, max_age=None, without_copy=False),
    )
    destination = FolderDestination("nas", "NAS", nas, prepare_folder(nas))
    station = Station(config, source, [destination], clock=clock, site=lambda: SITE, read_entity=lambda entity: EntityReading(entity, None))
    await station.start()
    try:
        yield station
    finally:
        await station.stop()
