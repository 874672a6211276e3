"""The catalogue's upkeep: which files may be deleted, which are gone, and what a day's folder should hold."""

# ruff: noqa: S608  - only constants of this file are joined into statements; every value is a parameter

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
import sqlite3
from typing import Final

from .catalogue_dngs import DngsPart, remove_dngs
from .catalogue_frames import COLUMNS, FROM, LIVE, FramesPart, frame_of
from .catalogue_queue import PENDING, enqueue_frame
from .instants import to_us
from .naming import dng_beside
from .proofs import DNG_LIVE, all_proven, dng_proven, frame_proven, judge_vanished
from .records import FrameRecord

_PAGE: Final = 2000
"""Rows that one job of a long search looks at, so that a frame to add never waits long behind it."""


class Whereabouts(StrEnum):
    """Where a catalogued file should be."""

    LIVE = "live"
    """In the folder."""
    DELETING = "deleting"
    """In the folder, or deleted on purpose just before a crash."""
    DELETED = "deleted"
    """Deleted on purpose."""
    MISSING = "missing"
    """It vanished unproven, and that was noted."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the catalogue knows of one file of a day."""

    frame_id: int
    """Of the frame, also where the file is its DNG."""
    size_bytes: int
    whereabouts: Whereabouts


class UpkeepPart(DngsPart, FramesPart):
    """Deleting frames, missing them, finding them again."""

    async def deletable(
        self,
        required: Collection[str],
        *,
        older_than: datetime | None,
        limit: int,
        allow_unproven: bool = False,
        after: FrameRecord | None = None,
        left_dngs: bool = False,
    ) -> list[FrameRecord]:
        """Return live frames that may be deleted, with their DNGs, oldest first; those behind ``after`` if given.

        Only those whose very bytes every required destination has proven, the DNG's as well; with ``allow_unproven`` all. Without a required
        destination nothing is proven, so nothing is returned. Never the frame added last: it is the one that a person sees.
        ``left_dngs`` asks instead for live DNGs whose frame is not: its record is returned, and the DNG's proofs decide.
        """
        if not allow_unproven and not required:
            return []
        names = () if allow_unproven else tuple(sorted(set(required)))
        proven, source = (dng_proven, f"{_FROM_DNGS} WHERE {_LEFT}") if left_dngs else (all_proven, f"{FROM} WHERE {LIVE}")
        sql = (
            f"SELECT {COLUMNS}, {proven(len(names))} AND f.frame_id <> ? {source}"
            f" AND (f.taken_at, f.frame_id) > (?, ?) AND f.taken_at < ? ORDER BY f.taken_at, f.frame_id LIMIT {_PAGE}"
        )
        before = _EVER if older_than is None else to_us(older_than)
        place = (-_EVER, 0) if after is None else (to_us(after.details.taken_at), after.frame_id)

        def page(connection: sqlite3.Connection) -> int:
            """Look at the next frames until there are enough; return how many that were."""
            nonlocal place
            shown = connection.execute(_SHOWN).fetchone() or (0,)
            looked_at = 0
            for row in connection.execute(sql, (*names, *shown, *place, before)):
                looked_at += 1
                place = row[4], row[0]
                if row[-1]:
                    found.append(frame_of(row))
                    if len(found) == limit:
                        break
            return looked_at

        found: list[FrameRecord] = []
        while await self._read(page) == _PAGE and len(found) < limit:
            pass
        return found

    async def mark_deleting(
        self, frame_ids: Sequence[int], *, proven_at: Collection[str] | None = None, left_dngs: bool = False
    ) -> list[int]:
        """Note that the files are about to be deleted on purpose: one that is then gone is no loss. Return which may be.

        Only those that ``proven_at`` (unless None) all have proven still, their DNGs as well: a proof may have been withdrawn a moment ago.
        ``left_dngs`` is as for ``deletable``.
        """
        names = tuple(sorted(set(proven_at or ())))
        proven, source = (dng_proven, f"{_FROM_DNGS} WHERE {_LEFT}") if left_dngs else (all_proven, f"{FROM} WHERE {LIVE}")
        may_go = f"SELECT 1 {source} AND f.frame_id = ? AND {proven(len(names))}"
        now = to_us(self._clock.now())

        def work(connection: sqlite3.Connection) -> list[int]:
            noted = [frame for frame in frame_ids if connection.execute(may_go, (frame, *names)).fetchone()]
            connection.executemany("UPDATE frames SET deleting_at = ? WHERE frame_id = ?", [(now, frame) for frame in noted])
            return noted

        return await self._write(work)

    async def keep(self, frame_ids: Sequence[int]) -> None:
        """Note that the files of frames that were about to be deleted are there, unless they have been deleted meanwhile."""
        rows = [(frame,) for frame in frame_ids]
        sql = "UPDATE frames SET deleting_at = NULL WHERE frame_id = ? AND deleted_at IS NULL"
        await self._write(lambda connection: connection.executemany(sql, rows).rowcount)

    async def remove_frames(self, frame_ids: Sequence[int]) -> None:
        """Note that the files, and those of live DNGs, were deleted.

        The rows and their proofs stay; uploads that had not ended are dropped with the file.
        """
        now = to_us(self._clock.now())
        beside = f"SELECT 1 FROM dngs g WHERE g.frame_id = ? AND {DNG_LIVE}"

        def work(connection: sqlite3.Connection) -> None:
            _remove(connection, frame_ids, now)
            remove_dngs(connection, [frame for frame in frame_ids if connection.execute(beside, (frame,)).fetchone()], now)

        await self._write(work)

    async def mark_missing(self, frame_ids: Sequence[int]) -> None:
        """Note that the files vanished although not every required destination had proven them."""
        now = to_us(self._clock.now())
        await self._write(lambda connection: _miss(connection, frame_ids, now))

    async def settle_vanished(self, frame_ids: Sequence[int], required: Collection[str]) -> tuple[list[int], list[int]]:
        """Judge live frames whose file is gone, whatever of their DNGs: return those taken for deleted and those noted as missing.

        Deleted is what was about to be, or what every required destination has proven; with no required destination nothing is proven.
        """
        names = tuple(sorted(set(required)))
        proven = f"{bool(names)} AND {frame_proven(len(names))}"
        sql = f"SELECT f.deleting_at IS NOT NULL OR ({proven}) FROM frames f WHERE f.frame_id = ? AND {LIVE}"
        now = to_us(self._clock.now())

        def work(connection: sqlite3.Connection) -> tuple[list[int], list[int]]:
            removed, missing = judge_vanished(connection, sql, names, frame_ids)
            _remove(connection, removed, now)
            _miss(connection, missing, now)
            return removed, missing

        return await self._write(work)

    async def mark_present(self, frame_ids: Sequence[int], *, destinations: Sequence[str] = (), remote_prefix: str) -> None:
        """Note that the files of missing or deleted frames are there again, and queue them where they have no row.

        What was quarantined because the file was gone is sent now.
        """

        def work(connection: sqlite3.Connection) -> None:
            for frame_id in frame_ids:
                connection.execute(
                    "UPDATE frames SET deleted_at = NULL, missing_at = NULL, deleting_at = NULL WHERE frame_id = ?", (frame_id,)
                )
                connection.execute(
                    f"UPDATE uploads SET {PENDING} WHERE frame_id = ? AND dng = 0 AND state = 3 AND error_key = 'source_missing'",
                    (frame_id,),
                )
                frame = frame_of(connection.execute(f"SELECT {COLUMNS} {FROM} WHERE f.frame_id = ?", (frame_id,)).fetchone())
                for destination_id in destinations:
                    enqueue_frame(
                        connection, destination_id, remote_prefix, frame_id, frame.file, frame.details.taken_at, self._clock.now()
                    )

        await self._write(work)

    async def forget_missing(self) -> int:
        """Take missing frames and DNGs for deleted, after a person has been told; return how many there were."""
        find = f"SELECT frame_id FROM frames WHERE missing_at IS NOT NULL LIMIT {_PAGE}"

        def work(connection: sqlite3.Connection) -> int:
            ids = [row[0] for row in connection.execute(find)]
            _remove(connection, ids, to_us(self._clock.now()))
            return len(ids)

        count = await self.forget_missing_dngs()
        while forgotten := await self._write(work):
            count += forgotten
        return count

    async def missing_frames(self, limit: int) -> list[FrameRecord]:
        """Return frames whose file vanished unproven, those found missing first coming first."""
        return await self._frames(f"{FROM} WHERE f.missing_at IS NOT NULL ORDER BY f.missing_at, f.frame_id LIMIT ?", (limit,))

    async def missing_paths(self, limit: int) -> list[str]:
        """Return the paths of frames and DNGs that vanished unproven, those found missing first coming first."""
        sql = (
            "SELECT relative_path, 0, missing_at, frame_id FROM frames WHERE missing_at IS NOT NULL UNION ALL"
            " SELECT f.relative_path, 1, g.missing_at, g.frame_id FROM dngs g JOIN frames f USING (frame_id) WHERE g.missing_at IS NOT NULL"
            " ORDER BY 3, 4, 2 LIMIT ?"
        )
        return [dng_beside(path) if dng else path for path, dng, *_ in await self._rows(sql, (limit,))]

    async def missing_count(self) -> int:
        """Return how many files, of frames and DNGs, vanished unproven."""
        return await self._read(lambda connection: int(connection.execute("SELECT missing FROM totals").fetchone()[0]))

    async def live_days(self) -> list[str]:
        """Return the days (``YYYY/MM/DD``) of live frames and DNGs, and maybe some since the first of them without; in order."""
        oldest = f"SELECT relative_path {FROM} WHERE {LIVE} ORDER BY f.taken_at LIMIT 1"
        following = "SELECT relative_path FROM frames WHERE relative_path >= ? ORDER BY relative_path LIMIT 1"
        left = f"SELECT f.relative_path {_FROM_DNGS} WHERE {_LEFT}"

        def work(connection: sqlite3.Connection) -> list[str]:
            days: list[str] = []
            row = connection.execute(oldest).fetchone()
            while row is not None:
                days.append(row[0].rpartition("/")[0])
                row = connection.execute(following, (days[-1] + _AFTER_SLASH,)).fetchone()
            return sorted({*days, *(path.rpartition("/")[0] for (path,) in connection.execute(left))})

        return await self._read(work)

    async def expected_files(self, day: str) -> dict[str, Expected]:
        """Return what the catalogue knows of the files in a day's folder, by their names there."""
        sql = (
            "SELECT f.relative_path, f.frame_id, f.size_bytes, f.deleting_at, f.deleted_at, f.missing_at, g.size_bytes, g.deleted_at, g.missing_at"
            " FROM frames f LEFT JOIN dngs g USING (frame_id) WHERE f.relative_path BETWEEN ? AND ?"
        )
        bounds = (f"{day}/", day + _AFTER_SLASH)

        def work(connection: sqlite3.Connection) -> dict[str, Expected]:
            found = {}
            for path, frame_id, size, deleting, deleted, missing, dng_size, *dng_marks in connection.execute(sql, bounds):
                name = path.rpartition("/")[2]
                found[name] = Expected(frame_id, size, _whereabouts(deleting, deleted, missing))
                if dng_size is not None:
                    found[dng_beside(name)] = Expected(frame_id, dng_size, _whereabouts(None, *dng_marks))
            return found

        return await self._read(work)


_SHOWN: Final = f"SELECT f.frame_id FROM frames f WHERE f.frame_id > 0 AND {LIVE} ORDER BY f.frame_id DESC LIMIT 1"
_EVER: Final = 1 << 62
"""Microseconds: further away than any instant."""
_FROM_DNGS: Final = "FROM dngs g JOIN frames f USING (frame_id) JOIN cameras c USING (camera_id)"
_LEFT: Final = f"{DNG_LIVE} AND NOT ({LIVE})"
"""Whether a DNG is in the folder while its frame is not: somebody's hand took that."""
_AFTER_SLASH: Final = "0"
"""The character behind the slash: a day's name and this is behind all paths of the day."""


def _remove(connection: sqlite3.Connection, frame_ids: Sequence[int], now: int) -> None:
    rows = [(now, frame) for frame in frame_ids]
    connection.executemany("UPDATE frames SET deleted_at = ?, deleting_at = NULL, missing_at = NULL WHERE frame_id = ?", rows)
    connection.executemany("DELETE FROM uploads WHERE frame_id = ? AND dng = 0 AND state < 4", [(frame,) for frame in frame_ids])


def _miss(connection: sqlite3.Connection, frame_ids: Sequence[int], now: int) -> None:
    connection.executemany("UPDATE frames SET missing_at = ? WHERE frame_id = ?", [(now, frame) for frame in frame_ids])


def _whereabouts(deleting_at: int | None, deleted_at: int | None, missing_at: int | None) -> Whereabouts:
    if missing_at is not None:
        return Whereabouts.MISSING
    if deleted_at is not None:
        return Whereabouts.DELETED
    return Whereabouts.LIVE if deleting_at is None else Whereabouts.DELETING
