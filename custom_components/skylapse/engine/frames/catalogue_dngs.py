"""The catalogue's DNGs: the raw files beside frames. Each goes the way of its frame, but has its own hash, proofs and whereabouts."""

# ruff: noqa: S608  - only constants of this room are joined into statements; every value is a parameter

from collections.abc import Collection, Sequence
from datetime import datetime
import sqlite3
from typing import Final

from ..errors import CatalogueError
from .catalogue_queue import PENDING, enqueue_frame
from .database import Database
from .instants import from_us, to_us
from .naming import dng_beside
from .proofs import DNG_LIVE, dng_proven, judge_vanished
from .records import StoredFile

_BATCH: Final = 2000


class DngsPart(Database):
    """DNGs that come, go missing and come back without their frames. All take the ids of the frames."""

    async def add_dng(self, frame_id: int, dng: StoredFile, *, destinations: Sequence[str] = (), remote_prefix: str) -> None:
        """Add the DNG of a frame that was catalogued without, and queue it."""

        def work(connection: sqlite3.Connection) -> None:
            taken_at = from_us(connection.execute("SELECT taken_at FROM frames WHERE frame_id = ?", (frame_id,)).fetchone()[0])
            insert_dng(connection, frame_id, dng, taken_at, destinations, remote_prefix, self._clock.now())

        await self._write(work)

    async def remove_dngs(self, frame_ids: Sequence[int]) -> None:
        """Note that DNGs, whose frames were gone before, were deleted. Their proofs stay; uploads that had not ended are dropped with the file."""

        def work(connection: sqlite3.Connection) -> None:
            remove_dngs(connection, frame_ids, to_us(self._clock.now()))
            connection.executemany("UPDATE frames SET deleting_at = NULL WHERE frame_id = ?", [(frame,) for frame in frame_ids])

        await self._write(work)

    async def settle_vanished_dngs(self, frame_ids: Sequence[int], required: Collection[str]) -> tuple[list[int], list[int]]:
        """Judge live DNGs whose file is gone, as ``settle_vanished`` does frames: return those taken for deleted and those noted as missing."""
        names = tuple(sorted(set(required)))
        proven = f"{bool(names)} AND {dng_proven(len(names))}"
        sql = (
            f"SELECT f.deleting_at IS NOT NULL OR ({proven}) FROM frames f JOIN dngs g USING (frame_id) WHERE f.frame_id = ? AND {DNG_LIVE}"
        )
        now = to_us(self._clock.now())

        def work(connection: sqlite3.Connection) -> tuple[list[int], list[int]]:
            removed, missing = judge_vanished(connection, sql, names, frame_ids)
            remove_dngs(connection, removed, now)
            connection.executemany("UPDATE dngs SET missing_at = ? WHERE frame_id = ?", [(now, frame) for frame in missing])
            return removed, missing

        return await self._write(work)

    async def mark_dngs_present(self, frame_ids: Sequence[int], *, destinations: Sequence[str] = (), remote_prefix: str) -> None:
        """Note that missing or deleted DNGs are there again, as ``mark_present`` does of frames."""

        def work(connection: sqlite3.Connection) -> None:
            for frame_id in frame_ids:
                connection.execute("UPDATE dngs SET deleted_at = NULL, missing_at = NULL WHERE frame_id = ?", (frame_id,))
                connection.execute(
                    f"UPDATE uploads SET {PENDING} WHERE frame_id = ? AND dng = 1 AND state = 3 AND error_key = 'source_missing'",
                    (frame_id,),
                )
                path, size, sha256, taken_at = connection.execute(
                    "SELECT f.relative_path, g.size_bytes, g.sha256, f.taken_at FROM frames f JOIN dngs g USING (frame_id) WHERE f.frame_id = ?",
                    (frame_id,),
                ).fetchone()
                dng, at = StoredFile(dng_beside(path), size, sha256.hex()), from_us(taken_at)
                for destination_id in destinations:
                    enqueue_frame(connection, destination_id, remote_prefix, frame_id, dng, at, self._clock.now(), dng=True)

        await self._write(work)

    async def forget_missing_dngs(self) -> int:
        """Take missing DNGs for deleted; return how many there were."""

        def work(connection: sqlite3.Connection) -> int:
            rows = connection.execute("SELECT frame_id FROM dngs WHERE missing_at IS NOT NULL LIMIT ?", (_BATCH,)).fetchall()
            remove_dngs(connection, [row[0] for row in rows], to_us(self._clock.now()))
            return len(rows)

        count = 0
        while forgotten := await self._write(work):
            count += forgotten
        return count


def insert_dng(
    connection: sqlite3.Connection,
    frame_id: int,
    dng: StoredFile,
    taken_at: datetime,
    destinations: Sequence[str],
    remote_prefix: str,
    now: datetime,
) -> None:
    """Add a frame's DNG and queue it, within the caller's transaction; one that is known is left as it is.

    Raises ``CatalogueError("frame_exists")`` if another one is known.
    """
    known = connection.execute("SELECT sha256 FROM dngs WHERE frame_id = ?", (frame_id,)).fetchone()
    if known is not None and known[0].hex() != dng.sha256:
        raise CatalogueError("frame_exists", path=dng.relative_path)
    if known is None:
        connection.execute(
            "INSERT INTO dngs (frame_id, size_bytes, sha256) VALUES (?, ?, ?)", (frame_id, dng.size_bytes, bytes.fromhex(dng.sha256))
        )
    for destination_id in destinations:
        enqueue_frame(connection, destination_id, remote_prefix, frame_id, dng, taken_at, now, dng=True)


def remove_dngs(connection: sqlite3.Connection, frame_ids: Sequence[int], now: int) -> None:
    """Note that DNGs were deleted, within the caller's transaction; frames without one are passed over."""
    rows = [(now, frame) for frame in frame_ids]
    connection.executemany("UPDATE dngs SET deleted_at = ?, missing_at = NULL WHERE frame_id = ?", rows)
    connection.executemany("DELETE FROM uploads WHERE frame_id = ? AND dng = 1 AND state < 4", [(frame,) for frame in frame_ids])
