"""Which sessions are open: the frames of one window of one schedule, through restarts and re-planned windows."""

from collections.abc import Callable
from datetime import datetime

from .frames.catalogue import Catalogue
from .frames.records import SessionRecord
from .schedule.model import Schedule, Tick
from .status import EventKind

Emit = Callable[[EventKind, dict[str, object]], None]


class Sessions:
    """The open session of each schedule. Called from the ledger only, hence one call at a time."""

    def __init__(self, catalogue: Catalogue, emit: Emit) -> None:
        """Keep sessions in ``catalogue`` and tell their start and end through ``emit``."""
        self._catalogue = catalogue
        self._emit = emit
        self._open: dict[str, SessionRecord] = {}

    async def resume(self) -> None:
        """Load the sessions that were open when the station last stopped."""
        self._open = {session.schedule_id: session for session in await self._catalogue.open_sessions()}

    async def session_of(self, schedule: Schedule, tick: Tick) -> int:
        """Return the id of the session a tick belongs to, opening it if this is its first tick."""
        known = self._open.get(schedule.schedule_id)
        if known is not None and known.window_start == tick.window.start and known.window_end == tick.window.end:
            return known.session_id
        if known is not None and not (known.window_start < tick.window.end and tick.window.start < known.window_end):
            await self._end(known, known.window_end)
            known = None
        session = await self._catalogue.open_session(schedule.schedule_id, schedule.name, tick.window)
        self._open[schedule.schedule_id] = session
        if known is None:
            self._emit(
                EventKind.SESSION_STARTED,
                {
                    "schedule": session.schedule_name,
                    "window_start": session.window_start.isoformat(),
                    "window_end": session.window_end.isoformat(),
                },
            )
        return session.session_id

    def over(self, now: datetime, running: frozenset[str]) -> bool:
        """Return whether a session is open whose window is over, or whose schedule is not in ``running``."""
        return any(session.window_end <= now or session.schedule_id not in running for session in self._open.values())

    async def close_over(self, now: datetime, running: frozenset[str]) -> None:
        """End the sessions whose window is over, and those of schedules that were switched off or removed."""
        for session in list(self._open.values()):
            if session.window_end <= now or session.schedule_id not in running:
                await self._end(session, min(now, session.window_end))

    async def _end(self, session: SessionRecord, at: datetime) -> None:
        ended = await self._catalogue.end_session(session.session_id, at)
        del self._open[session.schedule_id]
        self._emit(
            EventKind.SESSION_ENDED,
            {
                "schedule": ended.schedule_name,
                "frames": ended.slots.captured,
                "due": ended.slots.due,
                "missed": ended.slots.missed,
                "failed": ended.slots.failed,
                "window_start": ended.window_start.isoformat(),
                "window_end": ended.window_end.isoformat(),
            },
        )
