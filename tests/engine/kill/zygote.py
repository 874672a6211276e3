"""Forks stations that photograph and deliver as fast as they can, to be killed.

Started once (``python -m tests.engine.kill.zygote FOLDER``) so that two hundred stations do not each import the engine.
For every line on standard input it forks a station on FOLDER and prints ``pid N``; the station prints

- ``ready {json}`` when catalogue and folder are reconciled after its start, with what it counts then,
- ``captured {json}`` and ``verified {json}`` for each event, after the fact: these are the announcements it is held to.

When the station is dead, however it died, the zygote prints ``dead``.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, timedelta
import json
import os
from pathlib import Path
import sys
from typing import Any

from tests.engine_only import install

install()

from custom_components.skylapse.engine.errors import SkylapseError  # noqa: E402  the stand-in for the package comes first
from custom_components.skylapse.engine.frames.retention import RetentionRule  # noqa: E402
from custom_components.skylapse.engine.ports import EntityReading, Site, SystemClock  # noqa: E402
from custom_components.skylapse.engine.schedule.model import Always, Schedule  # noqa: E402
from custom_components.skylapse.engine.station import Station  # noqa: E402
from custom_components.skylapse.engine.station_config import StationConfig  # noqa: E402
from custom_components.skylapse.engine.status import EventKind, StationEvent  # noqa: E402
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder  # noqa: E402
from tests.engine.fakes import TinySource  # noqa: E402

SITE = Site(latitude_deg=52.37, longitude_deg=4.89, elevation_m=2.0, timezone=UTC)


def say(word: str, data: object) -> None:
    """Write one line at once; a line is shorter than a pipe's atomic write."""
    os.write(1, f"{word} {json.dumps(data)}\n".encode())


def announce(event: StationEvent) -> None:
    """Announce what the station will be held to."""
    if event.kind in {EventKind.CAPTURED, EventKind.VERIFIED}:
        say(event.kind.value, dict(event.data))


def build(folder: Path) -> Station:
    """Return a station whose frames may be deleted as soon as they are proven."""
    nas = folder / "nas"
    nas.mkdir(exist_ok=True)
    config = StationConfig(
        station_id="kill",
        camera="Kill",
        slug="kill",
        folder=folder / "media" / "kill",
        catalogue_path=folder / "kill.db",
        schedules=(Schedule("always", "Always", Always(), timedelta(seconds=1)),),
        required=frozenset({"nas"}),
        retention=RetentionRule(min_free_bytes=0, max_age=timedelta(seconds=1), without_copy=False),
    )
    clock = SystemClock()
    destination = FolderDestination("nas", "NAS", nas, prepare_folder(nas))
    source = TinySource(clock)
    source.dng_bytes = 100_000
    return Station(config, source, [destination], clock=clock, site=lambda: SITE, read_entity=lambda entity: EntityReading(entity, None))


async def live(folder: Path) -> None:
    """Photograph, deliver and delete until killed."""
    station = build(folder)
    station.subscribe_events(announce)
    await station.start()
    await station.reconciled()
    say("ready", await summary(station))
    for number in range(10_000):
        try:
            await station.capture()
        except SkylapseError:
            await asyncio.sleep(0.01)
        if number % 10 == 9:
            await station.cleanup(dry_run=False)


async def summary(station: Station) -> Mapping[str, Any]:
    """Return what the station counts."""
    status = station.status
    return {"frames_total": status.frames_total, "problems": sorted(status.problems), "quarantined": status.queue.quarantined}


def main() -> None:
    """Fork a station per line of standard input."""
    folder = Path(sys.argv[1])
    for _line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(live(folder))
            finally:
                os._exit(1)
        say("pid", pid)
        os.waitpid(pid, 0)
        say("dead", pid)


if __name__ == "__main__":
    main()
