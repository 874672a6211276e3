"""SQL that tells whether destinations hold proofs of what lies in the folder: of exactly these bytes, at each of them."""

from collections.abc import Sequence
import sqlite3
from typing import Final

DNG_LIVE: Final = "g.deleted_at IS NULL AND g.missing_at IS NULL"
"""Whether a DNG's file should be in the folder."""


def frame_proven(destinations: int) -> str:
    """Return the condition that so many destinations, whose ids are the next parameters, have proven the frame ``f``, whatever of its DNG."""
    return _proven("u.dng = 0 AND u.sha256 = f.sha256", destinations, str(destinations))


def dng_proven(destinations: int) -> str:
    """Return the same condition for the DNG ``g``, whatever of its frame."""
    return _proven("u.dng = 1 AND u.sha256 = g.sha256", destinations, str(destinations))


def all_proven(destinations: int) -> str:
    """Return the same condition for the frame ``f`` together with its live DNG ``g``, where it has one."""
    return _proven(
        "u.sha256 = iif(u.dng, g.sha256, f.sha256)", destinations, f"iif(g.frame_id IS NULL, {destinations}, {2 * destinations})"
    )


def judge_vanished(connection: sqlite3.Connection, sql: str, names: Sequence[str], frame_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return which frames' vanished files count as deleted, and which are missing.

    ``sql`` tells, for ``names`` and a frame, whether its file may be gone; no row says that it was deleted while the folder was read.
    """
    removed: list[int] = []
    missing: list[int] = []
    for frame_id in frame_ids:
        row = connection.execute(sql, (*names, frame_id)).fetchone()
        if row is not None:
            (removed if row[0] else missing).append(frame_id)
    return removed, missing


def _proven(of: str, destinations: int, wanted: str) -> str:
    names = ", ".join("?" * destinations)
    return (
        "(SELECT count(*) FROM uploads u JOIN destinations d USING (destination_key) WHERE u.frame_id = f.frame_id AND u.state = 4"  # noqa: S608
        f" AND {of} AND d.destination_id IN ({names})) = {wanted}"
    )
