"""The catalogue's sessions and its counts of slots: how often it was due, and what came of it."""

# ruff: noqa: S608  - only constants of this file are joined into statements; every value is a parameter

from collections.abc import Sequence
from datetime import datetime, timedelta
import sqlite3
from typing import Any, Final

from ..schedule.model import Window
from .database import Database
from .instants import from_us, maybe_instant, to_us
from .records import SessionRecord, SlotCounts

_BUCKET_US: Final = 5 * 60 * 1_000_000
_KEPT_BUCKETS: Final = 2016
"""A week of them. They are dropped by their number and not by their age, so that a clock that jumps ahead drops none that matters."""

_COLUMNS: Final = "session_id, schedule_id, schedule_name, window_start, window_end, started_at, ended_at, captured, failed, missed, first_frame_at, last_frame_at"


class SessionsPart(Database):
    """The frames of one window of one schedule, and slots over all."""

    async def open_session(self, schedule_id: str, schedule_name: str, window: Window) -> SessionRecord:
        """Begin a window's session, or go on with the one that is open for it.

        An open session of this schedule whose window overlaps (planned anew meanwhile, or before a restart) is continued
        with the new window.
        """
        start, end, now = to_us(window.start), to_us(window.end), to_us(self._clock.now())

        def work(connection: sqlite3.Connection) -> SessionRecord:
            row = connection.execute(
                "SELECT session_id FROM sessions WHERE schedule_id = ? AND ended_at IS NULL AND window_start < ? AND window_end > ?"
                " ORDER BY session_id DESC LIMIT 1",
                (schedule_id, end, start),
            ).fetchone()
            if row is None:
                row = connection.execute(
                    "INSERT INTO sessions (schedule_id, schedule_name, window_start, window_end, started_at) VALUES (?, ?, ?, ?, ?)"
                    " RETURNING session_id",
                    (schedule_id, schedule_name, start, end, now),
                ).fetchone()
            else:
                connection.execute(
                    "UPDATE sessions SET schedule_name = ?, window_start = ?, window_end = ? WHERE session_id = ?",
                    (schedule_name, start, end, row[0]),
                )
            return _one(connection, row[0])

        return await self._write(work)

    async def end_session(self, session_id: int, at: datetime) -> SessionRecord:
        """End a session; one that has ended keeps its end. Raises ``KeyError`` for one that never was."""

        def work(connection: sqlite3.Connection) -> SessionRecord:
            connection.execute("UPDATE sessions SET ended_at = ? WHERE session_id = ? AND ended_at IS NULL", (to_us(at), session_id))
            return _one(connection, session_id)

        return await self._write(work)

    async def open_sessions(self) -> list[SessionRecord]:
        """Return the sessions that have not ended, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM sessions WHERE ended_at IS NULL ORDER BY session_id"
        return await self._read(lambda connection: [_session(row) for row in connection.execute(sql)])

    async def get_session(self, session_id: int) -> SessionRecord:
        """Return one session. Raises ``KeyError`` for one that never was."""
        return await self._read(lambda connection: _one(connection, session_id))

    async def add_slots(
        self,
        at: datetime,
        *,
        failed_sessions: Sequence[int] = (),
        missed_sessions: Sequence[int] = (),
        failed: int = 0,
        missed: int = 0,
    ) -> None:
        """Count slots that gave no frame.

        Each id in ``failed_sessions`` and ``missed_sessions`` (repeat it for several) is one slot of that session *and* of the totals;
        ``failed`` and ``missed`` are further slots that belong to no session.
        """

        def work(connection: sqlite3.Connection) -> None:
            for column, sessions in (("failed", failed_sessions), ("missed", missed_sessions)):
                rows = [(session,) for session in sessions]
                connection.executemany(f"UPDATE sessions SET {column} = {column} + 1 WHERE session_id = ?", rows)
            add_to_tally(connection, at, failed=failed + len(failed_sessions), missed=missed + len(missed_sessions))

        await self._write(work)

    async def slots_since(self, at: datetime) -> SlotCounts:
        """Return the slots from then until now, to five minutes."""
        first, last = to_us(at) // _BUCKET_US, to_us(self._clock.now() + timedelta(minutes=5)) // _BUCKET_US
        sql = "SELECT total(captured), total(failed), total(missed) FROM tally WHERE bucket BETWEEN ? AND ?"
        row = await self._read(lambda connection: connection.execute(sql, (first, last)).fetchone())
        return _slots(*(int(value) for value in row))

    async def totals(self) -> tuple[SlotCounts, int]:
        """Return all slots ever and how many frames were ever added."""
        sql = "SELECT captured, failed, missed, frames FROM totals"
        captured, failed, missed, frames = await self._read(lambda connection: connection.execute(sql).fetchone())
        return _slots(captured, failed, missed), frames


def count_frame(connection: sqlite3.Connection, session_id: int, frame_id: int, taken_at: datetime) -> int:
    """Add a frame to a session, within the caller's transaction; return 1, or 0 if it was counted there before."""
    if not connection.execute("INSERT OR IGNORE INTO session_frames (session_id, frame_id) VALUES (?, ?)", (session_id, frame_id)).rowcount:
        return 0
    at = to_us(taken_at)
    connection.execute(
        "UPDATE sessions SET captured = captured + 1, first_frame_at = min(ifnull(first_frame_at, ?1), ?1),"
        " last_frame_at = max(ifnull(last_frame_at, ?1), ?1) WHERE session_id = ?2",
        (at, session_id),
    )
    return 1


def add_to_tally(connection: sqlite3.Connection, at: datetime, *, captured: int = 0, failed: int = 0, missed: int = 0) -> None:
    """Count slots in the totals and in their five minutes, within the caller's transaction."""
    if not captured and not failed and not missed:
        return
    values = (captured, failed, missed)
    connection.execute("UPDATE totals SET captured = captured + ?, failed = failed + ?, missed = missed + ?", values)
    cursor = connection.execute(
        "UPDATE tally SET captured = captured + ?, failed = failed + ?, missed = missed + ? WHERE bucket = ?",
        (*values, to_us(at) // _BUCKET_US),
    )
    if not cursor.rowcount:
        connection.execute("INSERT INTO tally (bucket, captured, failed, missed) VALUES (?, ?, ?, ?)", (to_us(at) // _BUCKET_US, *values))
        connection.execute("DELETE FROM tally WHERE tally_id <= (SELECT max(tally_id) FROM tally) - ?", (_KEPT_BUCKETS,))


def _one(connection: sqlite3.Connection, session_id: int) -> SessionRecord:
    row = connection.execute(f"SELECT {_COLUMNS} FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
    if row is None:
        raise KeyError(session_id)
    return _session(row)


def _session(row: tuple[Any, ...]) -> SessionRecord:
    session_id, schedule_id, name, start, end, started, ended, captured, failed, missed, first, last = row
    return SessionRecord(
        session_id=session_id,
        schedule_id=schedule_id,
        schedule_name=name,
        window_start=from_us(start),
        window_end=from_us(end),
        started_at=from_us(started),
        ended_at=maybe_instant(ended),
        slots=_slots(captured, failed, missed),
        first_frame_at=maybe_instant(first),
        last_frame_at=maybe_instant(last),
    )


def _slots(captured: int, failed: int, missed: int) -> SlotCounts:
    return SlotCounts(captured + failed + missed, captured, failed, missed)
