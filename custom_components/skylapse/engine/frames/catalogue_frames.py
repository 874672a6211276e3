"""The catalogue's frames: adding, finding, deleting, missing."""

# ruff: noqa: S608  - only constants of this file are joined into statements; every value is a parameter

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
import json
import sqlite3
from typing import Any, Final

from ..errors import CatalogueError
from .catalogue_queue import enqueue_frame
from .catalogue_sessions import add_to_tally, count_frame
from .database import Database
from .instants import from_us, to_us
from .records import FrameDetails, FrameRecord, StoredFile

_COLUMNS: Final = (
    "f.frame_id, f.relative_path, f.size_bytes, f.sha256, f.taken_at, f.duration_ms, c.camera, c.manufacturer, c.model, f.exposure_us, f.gain,"
    " f.lux, f.colour_temperature_k, f.sun_elevation_deg, f.sun_azimuth_deg, f.latitude_deg, f.longitude_deg, f.altitude_m, f.schedules"
)
_FROM: Final = "FROM frames f JOIN cameras c USING (camera_id)"
_LIVE: Final = "f.deleted_at IS NULL AND f.missing_at IS NULL"
_PAGE: Final = 2000
"""Rows that one job of a long search looks at, so that a frame to add never waits long behind it."""


class FramesPart(Database):
    """What was photographed. *Live* is a frame whose file should be in the folder: neither deleted nor missing."""

    async def add_frame(
        self,
        file: StoredFile,
        details: FrameDetails,
        *,
        session_ids: Sequence[int] = (),
        destinations: Sequence[str] = (),
        remote_prefix: str,
    ) -> FrameRecord:
        """Add a frame whose file is durable: its row, one captured slot per session, one pending upload per destination, the counters.

        One transaction, on the disk when this returns. Safe to repeat, if it is not known whether it went through: what is there of the same
        file is counted once. Raises ``CatalogueError("frame_exists")`` if the path is catalogued with other content.
        """

        def work(connection: sqlite3.Connection) -> FrameRecord:
            known = connection.execute("SELECT frame_id, sha256 FROM frames WHERE relative_path = ?", (file.relative_path,)).fetchone()
            if known is not None and known[1].hex() != file.sha256:
                raise CatalogueError("frame_exists", path=file.relative_path)
            frame_id = _insert(connection, file, details) if known is None else int(known[0])
            captured = sum(count_frame(connection, session_id, frame_id, details.taken_at) for session_id in session_ids)
            add_to_tally(connection, details.taken_at, captured=captured)
            for destination_id in destinations:
                enqueue_frame(connection, destination_id, remote_prefix, frame_id, file, details.taken_at, self._clock.now())
            return FrameRecord(frame_id, file, details)

        return await self._write(work)

    async def last_frame(self) -> FrameRecord | None:
        """Return the live frame that was added last."""
        frames = await self.recent_frames(1)
        return frames[0] if frames else None

    async def recent_frames(self, limit: int, session_id: int | None = None) -> list[FrameRecord]:
        """Return the live frames added last, newest first; of one session if given."""
        if session_id is None:
            return await self._frames(f"{_FROM} WHERE {_LIVE} ORDER BY f.frame_id DESC LIMIT ?", (limit,))
        source = f"FROM session_frames s JOIN frames f USING (frame_id) JOIN cameras c USING (camera_id) WHERE s.session_id = ? AND {_LIVE}"
        return await self._frames(f"{source} ORDER BY s.frame_id DESC LIMIT ?", (session_id, limit))

    async def frame_by_path(self, relative_path: str) -> FrameRecord | None:
        """Return the frame of that path, also if it was deleted or is missing."""
        frames = await self._frames(f"{_FROM} WHERE f.relative_path = ?", (relative_path,))
        return frames[0] if frames else None

    async def frames_page(self, after_frame_id: int, limit: int) -> list[FrameRecord]:
        """Return the next live frames in the order they were added; begin with 0, go on with the last one's id."""
        return await self._frames(f"{_FROM} WHERE f.frame_id > ? AND {_LIVE} ORDER BY f.frame_id LIMIT ?", (after_frame_id, limit))

    async def missing_frames(self, limit: int) -> list[FrameRecord]:
        """Return frames whose file vanished unproven, those found missing first coming first."""
        return await self._frames(f"{_FROM} WHERE f.missing_at IS NOT NULL ORDER BY f.missing_at, f.frame_id LIMIT ?", (limit,))

    async def missing_count(self) -> int:
        """Return how many frames vanished unproven."""
        return await self._read(lambda connection: int(connection.execute("SELECT missing FROM totals").fetchone()[0]))

    async def storage_used(self) -> int:
        """Return the bytes of all live frames."""
        return await self._read(lambda connection: int(connection.execute("SELECT stored_bytes FROM totals").fetchone()[0]))

    async def deletable(
        self,
        required: Collection[str],
        *,
        older_than: datetime | None,
        limit: int,
        allow_unproven: bool = False,
    ) -> list[FrameRecord]:
        """Return live frames that may be deleted, oldest first.

        Only those whose very bytes every required destination has proven; with ``allow_unproven`` all. Without a required
        destination nothing is proven, so nothing is returned.
        """
        if not allow_unproven and not required:
            return []
        proven = "" if allow_unproven else _proven_at(len(set(required)))
        names = () if allow_unproven else tuple(sorted(set(required)))
        sql = (
            f"SELECT {_COLUMNS}, {proven or 'TRUE'} {_FROM} WHERE {_LIVE} AND (f.taken_at, f.frame_id) > (?, ?) AND f.taken_at < ?"
            f" ORDER BY f.taken_at, f.frame_id LIMIT {_PAGE}"
        )
        before = to_us(older_than) if older_than is not None else 1 << 62
        place = (-(1 << 62), 0)
        found: list[FrameRecord] = []
        while len(found) < limit:
            rows = await self._read(_query(sql, (*names, *place, before)))
            found += [_frame(row) for row in rows if row[-1]]
            if len(rows) < _PAGE:
                break
            place = rows[-1][4], rows[-1][0]
        return found[:limit]

    async def mark_deleting(self, frame_ids: Sequence[int]) -> None:
        """Note that the files are about to be deleted on purpose: one that is then gone is no loss."""
        now = to_us(self._clock.now())
        await self._write(_for_each("UPDATE frames SET deleting_at = ? WHERE frame_id = ?", [(now, frame) for frame in frame_ids]))

    async def remove_frames(self, frame_ids: Sequence[int]) -> None:
        """Note that the files were deleted. The rows and their proofs stay; uploads that had not ended are dropped with the file."""
        now = to_us(self._clock.now())

        def work(connection: sqlite3.Connection) -> None:
            _for_each(
                "UPDATE frames SET deleted_at = ?, deleting_at = NULL, missing_at = NULL WHERE frame_id = ?",
                [(now, frame) for frame in frame_ids],
            )(connection)
            _for_each("DELETE FROM uploads WHERE frame_id = ? AND state < 4", [(frame,) for frame in frame_ids])(connection)

        await self._write(work)

    async def mark_missing(self, frame_ids: Sequence[int]) -> None:
        """Note that the files vanished although not every required destination had proven them."""
        now = to_us(self._clock.now())
        await self._write(_for_each("UPDATE frames SET missing_at = ? WHERE frame_id = ?", [(now, frame) for frame in frame_ids]))

    async def mark_present(self, frame_ids: Sequence[int], *, destinations: Sequence[str] = (), remote_prefix: str) -> None:
        """Note that the files of missing or deleted frames are there again, and queue them where they have no row."""

        def work(connection: sqlite3.Connection) -> None:
            for frame_id in frame_ids:
                connection.execute(
                    "UPDATE frames SET deleted_at = NULL, missing_at = NULL, deleting_at = NULL WHERE frame_id = ?", (frame_id,)
                )
                frame = _frame(connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE frame_id = ?", (frame_id,)).fetchone())
                for destination_id in destinations:
                    enqueue_frame(
                        connection, destination_id, remote_prefix, frame_id, frame.file, frame.details.taken_at, self._clock.now()
                    )

        await self._write(work)

    async def forget_missing(self) -> int:
        """Take missing frames for deleted, after a person has been told; return how many there were."""
        count = 0
        while frames := await self.missing_frames(_PAGE):
            await self.remove_frames([frame.frame_id for frame in frames])
            count += len(frames)
        return count

    async def _frames(self, source: str, parameters: tuple[object, ...]) -> list[FrameRecord]:
        return [_frame(row) for row in await self._read(_query(f"SELECT {_COLUMNS} {source}", parameters))]


def _proven_at(destinations: int) -> str:
    """Return the SQL that tells whether so many destinations hold a proof of exactly the frame's bytes."""
    names = ", ".join("?" * destinations)
    return (
        "(SELECT count(*) FROM uploads u JOIN destinations d USING (destination_key) WHERE u.frame_id = f.frame_id AND u.state = 4"
        f" AND u.sha256 = f.sha256 AND d.destination_id IN ({names})) = {destinations}"
    )


def _insert(connection: sqlite3.Connection, file: StoredFile, details: FrameDetails) -> int:
    """Insert the frame's row and return its id."""
    camera = (details.camera, details.manufacturer, details.model)
    find = "SELECT camera_id FROM cameras WHERE camera = ? AND manufacturer = ? AND model = ?"
    row = connection.execute(find, camera).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO cameras (camera, manufacturer, model) VALUES (?, ?, ?) RETURNING camera_id", camera
        ).fetchone()
    cursor = connection.execute(
        "INSERT INTO frames (relative_path, size_bytes, sha256, taken_at, duration_ms, camera_id, exposure_us, gain, lux, colour_temperature_k,"
        " sun_elevation_deg, sun_azimuth_deg, latitude_deg, longitude_deg, altitude_m, schedules)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file.relative_path,
            file.size_bytes,
            bytes.fromhex(file.sha256),
            to_us(details.taken_at),
            details.duration_ms,
            row[0],
            details.exposure_us,
            details.gain,
            details.lux,
            details.colour_temperature_k,
            details.sun_elevation_deg,
            details.sun_azimuth_deg,
            details.latitude_deg,
            details.longitude_deg,
            details.altitude_m,
            json.dumps(details.schedules, ensure_ascii=False),
        ),
    )
    return int(cursor.lastrowid or 0)


def _frame(row: tuple[Any, ...]) -> FrameRecord:
    (frame_id, path, size, sha256, taken_at, duration, camera, manufacturer, model, exposure, gain, lux, kelvin) = row[:13]
    elevation, azimuth, latitude, longitude, altitude, schedules = row[13:19]
    details = FrameDetails(
        taken_at=from_us(taken_at),
        duration_ms=duration,
        camera=camera,
        manufacturer=manufacturer,
        model=model,
        exposure_us=exposure,
        gain=gain,
        lux=lux,
        colour_temperature_k=kelvin,
        sun_elevation_deg=elevation,
        sun_azimuth_deg=azimuth,
        latitude_deg=latitude,
        longitude_deg=longitude,
        altitude_m=altitude,
        schedules=tuple(json.loads(schedules)),
    )
    return FrameRecord(frame_id, StoredFile(path, size, sha256.hex()), details)


def _query(sql: str, parameters: Sequence[object]) -> Callable[[sqlite3.Connection], list[tuple[Any, ...]]]:
    return lambda connection: connection.execute(sql, parameters).fetchall()


def _for_each(sql: str, rows: Sequence[tuple[object, ...]]) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(sql, rows)

    return work
