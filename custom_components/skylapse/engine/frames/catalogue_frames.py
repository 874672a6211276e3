"""The catalogue's frames: adding and finding them."""

from collections.abc import Sequence
import json
import sqlite3
from typing import Any, Final

from ..errors import CatalogueError
from .catalogue_dngs import insert_dng
from .catalogue_queue import enqueue_frame
from .catalogue_sessions import add_to_tally, count_frame
from .database import Database
from .instants import from_us, to_us
from .naming import dng_beside
from .proofs import DNG_LIVE
from .records import FrameDetails, FrameRecord, StoredFile

COLUMNS: Final = (
    "f.frame_id, f.relative_path, f.size_bytes, f.sha256, f.taken_at, f.duration_ms, c.camera, c.manufacturer, c.model, f.exposure_us, f.gain,"
    " f.lux, f.colour_temperature_k, f.sun_elevation_deg, f.sun_azimuth_deg, f.latitude_deg, f.longitude_deg, f.altitude_m, f.schedules,"
    " g.size_bytes, g.sha256"
)
_BESIDE: Final = f"JOIN cameras c USING (camera_id) LEFT JOIN dngs g ON g.frame_id = f.frame_id AND {DNG_LIVE}"
FROM: Final = f"FROM frames f {_BESIDE}"
LIVE: Final = "f.deleted_at IS NULL AND f.missing_at IS NULL"


class FramesPart(Database):
    """What was photographed. *Live* is a frame whose file should be in the folder: neither deleted nor missing; so is a DNG."""

    async def add_frame(
        self,
        file: StoredFile,
        details: FrameDetails,
        *,
        dng: StoredFile | None = None,
        session_ids: Sequence[int] = (),
        destinations: Sequence[str] = (),
        remote_prefix: str,
    ) -> FrameRecord:
        """Add a frame whose file is durable: its row, one captured slot per session, one pending upload per destination, the counters.

        ``dng`` lies beside it and is as durable: it gets a row and pending uploads of its own, and counts for nothing but its bytes.
        One transaction, on the disk when this returns. Safe to repeat, if it is not known whether it went through: what is there of the same
        file is counted once. Raises ``CatalogueError("frame_exists")`` if the path of either is catalogued with other content.
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
            if dng is not None:
                insert_dng(connection, frame_id, dng, details.taken_at, destinations, remote_prefix, self._clock.now())
            return FrameRecord(frame_id, file, details, dng)

        return await self._write(work)

    async def last_frame(self) -> FrameRecord | None:
        """Return the live frame that was added last."""
        frames = await self.recent_frames(1)
        return frames[0] if frames else None

    async def recent_frames(self, limit: int, session_id: int | None = None) -> list[FrameRecord]:
        """Return the live frames added last, newest first; of one session if given."""
        if session_id is None:
            return await self._frames(f"{FROM} WHERE {LIVE} ORDER BY f.frame_id DESC LIMIT ?", (limit,))
        source = f"FROM session_frames s JOIN frames f USING (frame_id) {_BESIDE} WHERE s.session_id = ? AND {LIVE}"
        return await self._frames(f"{source} ORDER BY s.frame_id DESC LIMIT ?", (session_id, limit))

    async def frame_by_path(self, relative_path: str) -> FrameRecord | None:
        """Return the frame of that path, also if it was deleted or is missing."""
        frames = await self._frames(f"{FROM} WHERE f.relative_path = ?", (relative_path,))
        return frames[0] if frames else None

    async def frames_page(self, after_frame_id: int, limit: int) -> list[FrameRecord]:
        """Return the next live frames in the order they were added; begin with 0, go on with the last one's id."""
        return await self._frames(f"{FROM} WHERE f.frame_id > ? AND {LIVE} ORDER BY f.frame_id LIMIT ?", (after_frame_id, limit))

    async def storage_used(self) -> int:
        """Return the bytes of all live frames and DNGs."""
        return await self._read(lambda connection: int(connection.execute("SELECT stored_bytes FROM totals").fetchone()[0]))

    async def _frames(self, source: str, parameters: tuple[object, ...]) -> list[FrameRecord]:
        return [frame_of(row) for row in await self._rows(f"SELECT {COLUMNS} {source}", parameters)]

    async def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return await self._read(lambda connection: connection.execute(sql, parameters).fetchall())


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


def frame_of(row: tuple[Any, ...]) -> FrameRecord:
    """Return the frame of a row of ``COLUMNS``."""
    (frame_id, path, size, sha256, taken_at, duration, camera, manufacturer, model, exposure, gain, lux, kelvin) = row[:13]
    elevation, azimuth, latitude, longitude, altitude, schedules, dng_size, dng_sha256 = row[13:21]
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
    dng = None if dng_sha256 is None else StoredFile(dng_beside(path), dng_size, dng_sha256.hex())
    return FrameRecord(frame_id, StoredFile(path, size, sha256.hex()), details, dng)
