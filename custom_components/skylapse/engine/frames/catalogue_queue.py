"""The catalogue's queue: every file on its way to every destination, as rows that change state."""

# ruff: noqa: S608  - only constants of this file are joined into statements; every value is a parameter

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
import json
from pathlib import Path
import sqlite3
from typing import Any, Final

from ..errors import CatalogueError
from ..ports import Clock
from ..upload.destination import Proof
from .database import Database
from .instants import EPOCH, day_number, from_us, maybe_instant, to_us
from .naming import dng_beside
from .records import QueueCounts, StoredFile, UploadRecord, UploadState
from .schema import CODES, STATES

LONGEST_WAIT: Final = timedelta(minutes=90)
"""Backing off never takes longer (an hour and jitter). A row that waits longer was put off by a clock that has jumped back since: it is due."""

_COLUMNS: Final = (
    "u.upload_id, d.destination_id, u.frame_id, u.local_path, f.relative_path, u.remote_path, u.size_bytes, u.sha256, u.state, u.attempts,"
    " u.created_at, u.next_try_at, u.verified_at, u.method, u.error_key, u.error_placeholders, u.dng"
)
_FROM: Final = "FROM uploads u JOIN destinations d USING (destination_key) LEFT JOIN frames f USING (frame_id)"
PENDING: Final = "state = 0, next_try_at = 0, attempts = 0, verified_at = NULL, method = NULL, error_key = NULL, error_placeholders = NULL"
_KEY: Final = "(SELECT destination_key FROM destinations WHERE destination_id = ?)"
_KEYS: Final = "(SELECT destination_key FROM destinations)"
_BATCH: Final = 2000
"""Rows that one job of a long change touches, so that a frame to add never waits long behind it."""
_LOOKED_AT: Final = 20_000
"""Rows that one job of a long search looks at, for the same reason."""

type _Outside = tuple[str, str, int, str]


class QueuePart(Database):
    """Files on their way. Every change of state is one transaction; the counts are exact at any instant."""

    def __init__(self, path: Path, clock: Clock, *, folder: Path) -> None:
        """Set the file, the time, and the camera's folder, which the frames' paths are below."""
        super().__init__(path, clock)
        self.folder = folder

    async def enqueue_files(self, items: Sequence[_Outside], destination_ids: Sequence[str]) -> list[UploadRecord]:
        """Queue files (absolute local path, remote path, bytes, SHA-256) for each destination; return their rows.

        A remote path that is known already with the same content keeps its row (tried again if it was quarantined); with other content it is
        queued anew. Raises ``CatalogueError("remote_path_taken")`` if the other content is a frame's: its proof must not be lost.
        """
        now = self._clock.now()

        def work(connection: sqlite3.Connection) -> list[int]:
            return [_enqueue_outside(connection, key, item, now) for key in _keys(connection, destination_ids) for item in items]

        return await self.uploads(await self._write(work))

    async def claim(self, destination_id: str, limit: int, now: datetime) -> list[UploadRecord]:
        """Take the oldest files that are due and note them as being sent.

        Not made durable: after a crash they are pending again anyway.
        """
        lower, upper = to_us(now), to_us(now + LONGEST_WAIT)

        def work(connection: sqlite3.Connection) -> list[UploadRecord]:
            due: list[int] = []
            for condition, parameters in (
                ("state = 0", ()),
                ("state = 2 AND next_try_at <= ?", (lower,)),
                ("state = 2 AND next_try_at > ?", (upper,)),
            ):
                sql = f"SELECT upload_id FROM uploads WHERE destination_key = {_KEY} AND state < 4 AND {condition} ORDER BY next_try_at, upload_id LIMIT ?"
                due += [row[0] for row in connection.execute(sql, (destination_id, *parameters, limit))]
            ids = sorted(due)[:limit]
            connection.executemany("UPDATE uploads SET state = 1, next_try_at = 0 WHERE upload_id = ?", [(upload,) for upload in ids])
            return self._select(connection, ids)

        return await self._write(work, durable=False)

    async def next_try_at(self, destination_id: str) -> datetime | None:
        """Return when the first waiting file is due (now, if a clock that jumped back put it off too far); None if none waits."""
        sql = f"SELECT min(next_try_at) FROM uploads WHERE destination_key = {_KEY} AND state < 4 AND state = 2"
        earliest = maybe_instant(await self._read(lambda connection: connection.execute(sql, (destination_id,)).fetchone()[0]))
        now = self._clock.now()
        return now if earliest is not None and earliest > now + LONGEST_WAIT else earliest

    async def mark_verified(self, proofs: Sequence[tuple[int, Proof]]) -> list[int]:
        """Note proofs; return the ids that are verified now.

        A proof of other bytes than the row's (it was queued anew meanwhile) proves nothing: the row is pending again.
        """

        def work(connection: sqlite3.Connection) -> list[int]:
            verified = []
            for upload_id, proof in proofs:
                values = (to_us(proof.proven_at), proof.method, upload_id, bytes.fromhex(proof.sha256), proof.size_bytes)
                cursor = connection.execute(
                    "UPDATE uploads SET state = 4, next_try_at = 0, error_key = NULL, error_placeholders = NULL, verified_at = ?, method = ?"
                    " WHERE upload_id = ? AND sha256 = ? AND size_bytes = ?",
                    values,
                )
                if cursor.rowcount:
                    verified.append(upload_id)
                else:
                    connection.execute(f"UPDATE uploads SET {PENDING} WHERE upload_id = ?", (upload_id,))
            return verified

        return await self._write(work)

    async def mark_waiting(self, upload_id: int, next_try_at: datetime, key: str, placeholders: dict[str, str]) -> None:
        """Note a failure that may heal: one more attempt was in vain, the next is due then."""
        values = (to_us(next_try_at), key, json.dumps(placeholders), upload_id)
        sql = "UPDATE uploads SET state = 2, attempts = attempts + 1, next_try_at = ?, error_key = ?, error_placeholders = ? WHERE upload_id = ?"
        await self._write(lambda connection: connection.execute(sql, values).rowcount)

    async def mark_quarantined(self, upload_id: int, key: str, placeholders: dict[str, str]) -> None:
        """Note a failure that will not heal by itself."""
        values = (key, json.dumps(placeholders), upload_id)
        sql = "UPDATE uploads SET state = 3, attempts = attempts + 1, next_try_at = 0, error_key = ?, error_placeholders = ? WHERE upload_id = ?"
        await self._write(lambda connection: connection.execute(sql, values).rowcount)

    async def release(self, upload_ids: Sequence[int]) -> None:
        """Give claimed files back untried: pending, attempts untouched. Not made durable, as ``claim`` is not."""
        rows = [(upload,) for upload in upload_ids]
        sql = "UPDATE uploads SET state = 0, next_try_at = 0 WHERE upload_id = ? AND state = 1"
        await self._write(lambda connection: connection.executemany(sql, rows).rowcount, durable=False)

    async def retry(self, destination_id: str | None) -> int:
        """Make waiting and quarantined files of one destination, or of all, pending now; return how many."""
        keys = _KEYS if destination_id is None else _KEY
        sql = (
            f"UPDATE uploads SET {PENDING} WHERE upload_id IN (SELECT upload_id FROM uploads"
            f" WHERE destination_key IN {keys} AND state < 4 AND state IN (2, 3) LIMIT {_BATCH})"
        )
        return await self._repeat(sql, () if destination_id is None else (destination_id,))

    async def withdraw(self, upload_id: int) -> None:
        """Withdraw the proof of a copy that is not there, although there is nothing here either that could be sent again.

        Where the file may come back (its drive is away), it waits for that. Of a frame that was deleted here because it was proven
        there, nothing is left to wait for: the row goes, and nothing calls the copy verified any more.
        """

        def work(connection: sqlite3.Connection) -> None:
            waits = connection.execute(
                f"UPDATE uploads SET {PENDING} WHERE upload_id = ? AND NOT EXISTS (SELECT 1 FROM frames f LEFT JOIN dngs g USING (frame_id)"
                " WHERE f.frame_id = uploads.frame_id AND iif(uploads.dng, g.deleted_at, f.deleted_at) IS NOT NULL)",
                (upload_id,),
            ).rowcount
            if not waits:
                connection.execute("DELETE FROM uploads WHERE upload_id = ?", (upload_id,))

        await self._write(work)

    async def requeue(self, upload_ids: Sequence[int]) -> None:
        """Send files again whose copy was found missing or different: pending, proof withdrawn, their frames no longer deletable."""

        def work(connection: sqlite3.Connection) -> None:
            rows = [(upload,) for upload in upload_ids]
            connection.executemany(f"UPDATE uploads SET {PENDING} WHERE upload_id = ?", rows)
            connection.executemany(
                "UPDATE frames SET deleting_at = NULL WHERE frame_id = (SELECT frame_id FROM uploads WHERE upload_id = ?)", rows
            )

        await self._write(work)

    async def uploads(self, ids: Sequence[int]) -> list[UploadRecord]:
        """Return these rows in this order; those that are gone are left out."""
        return await self._read(lambda connection: self._select(connection, ids))

    async def quarantined(self, limit: int) -> list[UploadRecord]:
        """Return quarantined files of all destinations."""
        sql = f"SELECT {_COLUMNS} {_FROM} WHERE u.destination_key IN {_KEYS} AND u.state < 4 AND u.state = 3 LIMIT ?"
        return [self._record(row) for row in await self._read(lambda connection: connection.execute(sql, (limit,)).fetchall())]

    async def verified_page(
        self, destination_id: str, after_upload_id: int, limit: int, day_from: date | None = None, day_to: date | None = None
    ) -> list[UploadRecord]:
        """Return the next proven files, day by day; begin with 0, go on with the last one's id.

        ``day_from`` and ``day_to`` (UTC, both included) are the days the frames were taken, of other files the days they were queued.
        """
        first = -(1 << 62) if day_from is None else (day_from - EPOCH.date()).days
        last = 1 << 62 if day_to is None else (day_to - EPOCH.date()).days
        sql = (
            f"SELECT {_COLUMNS} {_FROM} WHERE u.destination_key = {_KEY} AND u.state = 4 AND u.day <= ? AND (u.day, u.upload_id) > (?, ?)"
            " ORDER BY u.day, u.upload_id LIMIT ?"
        )

        def work(connection: sqlite3.Connection) -> list[UploadRecord]:
            place = connection.execute("SELECT day, upload_id FROM uploads WHERE upload_id = ?", (after_upload_id,)).fetchone() or (
                first,
                0,
            )
            return [self._record(row) for row in connection.execute(sql, (destination_id, last, *place, limit))]

        return await self._read(work)

    async def counts(self) -> dict[str, QueueCounts]:
        """Return each destination's queue in numbers; takes the same time for one row and for a million."""
        sql = (
            "SELECT destination_id, pending, sending, waiting, quarantined, verified, queued_bytes,"
            " (SELECT min(created_at) FROM uploads u WHERE u.destination_key = d.destination_key AND u.state < 3), last_verified_at"
            " FROM destinations d ORDER BY destination_key"
        )
        rows = await self._read(lambda connection: connection.execute(sql).fetchall())
        return {
            destination_id: QueueCounts(pending, sending, waiting, quarantined, verified, size, maybe_instant(oldest), maybe_instant(last))
            for destination_id, pending, sending, waiting, quarantined, verified, size, oldest, last in rows
        }

    async def keep_destinations(self, ids: Collection[str]) -> None:
        """Drop the rows of all destinations but these; make those known that are new."""
        known = list(await self.counts())
        for gone in [known_id for known_id in known if known_id not in ids]:
            await self._repeat(
                f"DELETE FROM uploads WHERE upload_id IN (SELECT upload_id FROM uploads WHERE destination_key = {_KEY} LIMIT {_BATCH})",
                (gone,),
            )
            await self._repeat("DELETE FROM destinations WHERE destination_id = ?", (gone,))
        if not set(ids) <= set(known):
            await self._write(lambda connection: _keys(connection, sorted(ids)))

    async def backfill(self, destination_id: str, remote_prefix: str) -> int:
        """Queue all live frames, and then all live DNGs, that this destination does not know yet; return how many files."""
        count = await self._backfill("frames", destination_id, remote_prefix, dng=False)
        return count + await self._backfill("dngs", destination_id, remote_prefix, dng=True)

    async def _backfill(self, table: str, destination_id: str, remote_prefix: str, *, dng: bool) -> int:
        last = f"SELECT ifnull(max(frame_id), 0) FROM {table}"
        count, after, end = 0, 0, await self._read(lambda connection: int(connection.execute(last).fetchone()[0]))
        find = (
            f"SELECT o.frame_id, f.relative_path, o.size_bytes, o.sha256, f.taken_at FROM {table} o JOIN frames f USING (frame_id)"
            " WHERE o.deleted_at IS NULL AND o.missing_at IS NULL AND o.frame_id > ? AND o.frame_id <= ?"
            " AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.frame_id = o.frame_id"
            f" AND u.destination_key = ? AND u.dng = {dng:d}) ORDER BY o.frame_id LIMIT ?"
        )

        def work(connection: sqlite3.Connection) -> list[int]:
            (key,) = _keys(connection, (destination_id,))
            rows = connection.execute(find, (after, after + _LOOKED_AT, key, _BATCH)).fetchall()
            for frame_id, path, size, sha256, taken_at in rows:
                file = StoredFile(dng_beside(path) if dng else path, size, sha256.hex())
                enqueue_frame(connection, destination_id, remote_prefix, frame_id, file, from_us(taken_at), self._clock.now(), dng=dng)
            return [row[0] for row in rows]

        while after < end:
            ids = await self._write(work)
            count += len(ids)
            after = ids[-1] if len(ids) == _BATCH else after + _LOOKED_AT
        return count

    async def _repeat(self, sql: str, parameters: tuple[str, ...]) -> int:
        """Run a statement that changes a batch until nothing is left to change; return how many rows it changed."""
        total = 0
        while changed := await self._write(lambda connection: connection.execute(sql, parameters).rowcount):
            total += changed
        return total

    def _select(self, connection: sqlite3.Connection, ids: Sequence[int]) -> list[UploadRecord]:
        sql = f"SELECT {_COLUMNS} {_FROM} WHERE u.upload_id = ?"
        rows = (connection.execute(sql, (upload,)).fetchone() for upload in ids)
        return [self._record(row) for row in rows if row is not None]

    def _record(self, row: tuple[Any, ...]) -> UploadRecord:
        upload_id, destination_id, frame_id, local, relative, remote, size, sha256, code, attempts, created = row[:11]
        next_try, verified, method, error_key, placeholders, dng = row[11:]
        if relative is not None:
            local = str(self.folder / (dng_beside(relative) if dng else relative))
        return UploadRecord(
            upload_id=upload_id,
            destination_id=destination_id,
            frame_id=frame_id,
            local_path=local,
            remote_path=remote,
            size_bytes=size,
            sha256=sha256.hex(),
            state=STATES[code],
            attempts=attempts,
            created_at=from_us(created),
            next_try_at=from_us(next_try) if next_try else None,
            verified_at=maybe_instant(verified),
            method=method,
            error_key=error_key,
            error_placeholders=json.loads(placeholders) if placeholders else {},
        )


def enqueue_frame(
    connection: sqlite3.Connection,
    destination_id: str,
    remote_prefix: str,
    frame_id: int,
    file: StoredFile,
    taken_at: datetime,
    now: datetime,
    *,
    dng: bool = False,
) -> None:
    """Queue a frame, or its DNG, for a destination, within the caller's transaction.

    A row that has this remote path already becomes the frame's: with its state if it is of the same content, else to be sent again.
    """
    (key,) = _keys(connection, (destination_id,))
    remote_path = f"{remote_prefix}/{file.relative_path}"
    connection.execute(
        "INSERT INTO uploads (destination_key, frame_id, remote_path, size_bytes, sha256, day, created_at, dng) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (destination_key, remote_path)"
        " DO UPDATE SET frame_id = excluded.frame_id, local_path = NULL, day = excluded.day, dng = excluded.dng",
        (key, frame_id, remote_path, file.size_bytes, bytes.fromhex(file.sha256), day_number(taken_at), to_us(now), dng),
    )
    connection.execute(
        f"UPDATE uploads SET {PENDING}, size_bytes = ?, sha256 = ? WHERE destination_key = ? AND remote_path = ? AND sha256 <> ?",
        (file.size_bytes, bytes.fromhex(file.sha256), key, remote_path, bytes.fromhex(file.sha256)),
    )


def _enqueue_outside(connection: sqlite3.Connection, key: int, item: _Outside, now: datetime) -> int:
    """Queue a file that is no frame and return its row's id."""
    local_path, remote_path, size_bytes, sha256 = item
    content = bytes.fromhex(sha256)
    known = connection.execute(
        "SELECT upload_id, frame_id, sha256, state FROM uploads WHERE destination_key = ? AND remote_path = ?", (key, remote_path)
    ).fetchone()
    if known is None:
        cursor = connection.execute(
            "INSERT INTO uploads (destination_key, local_path, remote_path, size_bytes, sha256, day, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, local_path, remote_path, size_bytes, content, day_number(now), to_us(now)),
        )
        return int(cursor.lastrowid or 0)
    upload_id, frame_id, known_content, code = known
    if frame_id is not None and known_content != content:
        raise CatalogueError("remote_path_taken", remote_path=remote_path)
    if frame_id is None:
        connection.execute("UPDATE uploads SET local_path = ? WHERE upload_id = ?", (local_path, upload_id))
    if known_content != content or code == CODES[UploadState.QUARANTINED]:
        connection.execute(
            f"UPDATE uploads SET {PENDING}, size_bytes = ?, sha256 = ?, created_at = ? WHERE upload_id = ?",
            (size_bytes, content, to_us(now), upload_id),
        )
    return int(upload_id)


def _keys(connection: sqlite3.Connection, destination_ids: Sequence[str]) -> list[int]:
    """Return the destinations' short keys, making those known that are new."""
    keys = []
    for destination_id in destination_ids:
        row = connection.execute("SELECT destination_key FROM destinations WHERE destination_id = ?", (destination_id,)).fetchone()
        if row is None:
            cursor = connection.execute("INSERT INTO destinations (destination_id) VALUES (?)", (destination_id,))
            row = (cursor.lastrowid,)
        keys.append(row[0])
    return keys
