"""How the station tells the world: events at once, the status at most a few times a second."""

import asyncio
from collections.abc import Awaitable, Callable
import logging

from .errors import SkylapseError
from .status import StationEvent, StationStatus

_LOGGER = logging.getLogger(__name__)

StatusListener = Callable[[StationStatus], None]
EventListener = Callable[[StationEvent], None]
Unsubscribe = Callable[[], None]

CALM_S = 0.2
"""Shortest distance of two statuses: a burst of changes is told once."""

REFRESH_S = 30.0
"""Longest distance: some figures (the last 24 hours) change by time passing alone."""


class Bulletin:
    """Composes the status when something changed, and hands it to whoever listens."""

    def __init__(self, compose: Callable[[], Awaitable[StationStatus]]) -> None:
        """Build each status with ``compose``."""
        self._compose = compose
        self._listeners: list[StatusListener] = []
        self._event_listeners: list[EventListener] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.status = StationStatus()

    def subscribe(self, listener: StatusListener) -> Unsubscribe:
        """Call ``listener`` with each new status until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe_events(self, listener: EventListener) -> Unsubscribe:
        """Call ``listener`` with each event until the returned function is called."""
        self._event_listeners.append(listener)
        return lambda: self._event_listeners.remove(listener)

    def changed(self) -> None:
        """Say that the status is no longer true."""
        self._changed.set()

    def emit(self, event: StationEvent) -> None:
        """Tell an event, and that the status changed with it."""
        for listener in list(self._event_listeners):
            _tell(listener, event)
        self.changed()

    async def publish(self) -> None:
        """Compose and tell the status now."""
        self._changed.clear()
        try:
            self.status = await self._compose()
        except SkylapseError as err:
            _LOGGER.debug("The status could not be read: %s", err)
            return
        for listener in list(self._listeners):
            _tell(listener, self.status)

    def start(self) -> None:
        """Begin to tell changes."""
        self._task = asyncio.create_task(self._run(), name="skylapse bulletin")

    async def stop(self) -> None:
        """Stop telling, and tell once more how things stand."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            try:
                await self.publish()
            except Exception:  # an error in our own code must not end all telling silently
                _LOGGER.exception("The status failed unexpectedly")
            await asyncio.sleep(CALM_S)


def _tell[T](listener: Callable[[T], None], news: T) -> None:
    """Call a listener; what fails in it is its own affair and must not reach the frames on their way."""
    try:
        listener(news)
    except Exception:
        _LOGGER.exception("A listener of the station failed")
