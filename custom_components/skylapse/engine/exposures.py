"""The exposures that run: each in a task of its own, from asking the camera until the frame is on its way to the disk."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .capture import Exposure, Photographer
from .errors import SkylapseError
from .frames.records import FrameRecord
from .intake import Intake
from .ports import Site
from .schedule.model import Tick
from .sources.base import FrameSource


class Exposures:
    """Lets exposures run in tasks: schedules may come to share one, and whoever asked for it may go away meanwhile."""

    def __init__(
        self,
        source: FrameSource,
        photographer: Photographer,
        intake: Intake,
        *,
        site: Callable[[], Site],
        failed: Callable[[Exposure, SkylapseError], None],
        stopped: Callable[[Sequence[Tick]], None],
    ) -> None:
        """Call ``failed`` with an exposure that gave no frame, ``stopped`` with the ticks of one that was ended by ``cancel``."""
        self._source = source
        self._photographer = photographer
        self._intake = intake
        self._site = site
        self._failed = failed
        self._stopped = stopped
        self._tasks: set[asyncio.Task[asyncio.Future[FrameRecord]]] = set()

    def begin(
        self, exposure: Exposure, *, exposure_us: int | None = None, gain: float | None = None
    ) -> asyncio.Task[asyncio.Future[FrameRecord]]:
        """Run an exposure that was begun with the photographer; the task has a future with the frame's record."""
        task = asyncio.create_task(self._run(exposure, exposure_us, gain), name="skylapse exposure")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_retrieve)
        return task

    async def cancel(self) -> None:
        """End what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, exposure: Exposure, exposure_us: int | None, gain: float | None) -> asyncio.Future[FrameRecord]:
        try:
            taken = await self._photographer.expose(exposure, exposure_us=exposure_us, gain=gain)
        except SkylapseError as err:
            self._failed(exposure, err)
            raise
        except asyncio.CancelledError:
            self._stopped(exposure.ticks)
            raise
        pending = self._intake.take(taken, self._source.identity, self._site())
        pending.add_done_callback(_retrieve)
        return pending


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Take note of the outcome of a future nobody waits for, so that asyncio does not complain of it."""
    if not future.cancelled():
        future.exception()
