"""The catalogue's tables, indices and counters, as SQL, and how an older file becomes a newer one.

Instants are integer microseconds since 1970, UTC. Hashes are 32-byte blobs. Counters that the status asks
for all the time are kept by triggers, so that they are exact after a crash and cost nothing to read.
"""

from typing import Final

from .records import UploadState

APPLICATION_ID: Final = 0x736B796C
"""``skyl``: tells a catalogue from any other SQLite file."""

STATES: Final = (UploadState.PENDING, UploadState.SENDING, UploadState.WAITING, UploadState.QUARANTINED, UploadState.VERIFIED)
"""A state's place is its code in the table: below 3 is queued, below 4 is not yet proven; the partial indices rest on that."""
CODES: Final = {state: code for code, state in enumerate(STATES)}

_FIRST: Final = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    in_use INTEGER NOT NULL DEFAULT 0,
    captured INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO totals (id) VALUES (1);

CREATE TABLE tally (
    tally_id INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL UNIQUE,
    captured INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE cameras (
    camera_id INTEGER PRIMARY KEY,
    camera TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    model TEXT NOT NULL,
    UNIQUE (camera, manufacturer, model)
) STRICT;

CREATE TABLE frames (
    frame_id INTEGER PRIMARY KEY AUTOINCREMENT,
    relative_path TEXT NOT NULL UNIQUE,
    taken_at INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    camera_id INTEGER NOT NULL REFERENCES cameras,
    duration_ms INTEGER NOT NULL,
    exposure_us INTEGER,
    gain REAL,
    lux REAL,
    colour_temperature_k INTEGER,
    sun_elevation_deg REAL,
    sun_azimuth_deg REAL,
    latitude_deg REAL,
    longitude_deg REAL,
    altitude_m REAL,
    schedules TEXT NOT NULL,
    deleting_at INTEGER,
    deleted_at INTEGER,
    missing_at INTEGER
) STRICT;
CREATE INDEX frames_live ON frames (taken_at) WHERE deleted_at IS NULL AND missing_at IS NULL;
CREATE INDEX frames_missing ON frames (missing_at) WHERE missing_at IS NOT NULL;
CREATE INDEX frames_deleting ON frames (deleting_at) WHERE deleting_at IS NOT NULL;
CREATE TRIGGER frames_added AFTER INSERT ON frames BEGIN
    UPDATE totals SET frames = frames + 1, stored_bytes = stored_bytes + NEW.size_bytes;
END;
CREATE TRIGGER frames_changed AFTER UPDATE OF deleted_at, missing_at ON frames BEGIN
    UPDATE totals SET
        missing = missing + (NEW.missing_at IS NOT NULL) - (OLD.missing_at IS NOT NULL),
        stored_bytes = stored_bytes
            + iif(NEW.deleted_at IS NULL AND NEW.missing_at IS NULL, NEW.size_bytes, 0)
            - iif(OLD.deleted_at IS NULL AND OLD.missing_at IS NULL, OLD.size_bytes, 0);
END;

CREATE TABLE sessions (
    session_id INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule_id TEXT NOT NULL,
    schedule_name TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    captured INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    first_frame_at INTEGER,
    last_frame_at INTEGER
) STRICT;
CREATE INDEX sessions_open ON sessions (schedule_id) WHERE ended_at IS NULL;

CREATE TABLE session_frames (
    session_id INTEGER NOT NULL REFERENCES sessions,
    frame_id INTEGER NOT NULL REFERENCES frames,
    PRIMARY KEY (session_id, frame_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE destinations (
    destination_key INTEGER PRIMARY KEY,
    destination_id TEXT NOT NULL UNIQUE,
    pending INTEGER NOT NULL DEFAULT 0,
    sending INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    quarantined INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0,
    queued_bytes INTEGER NOT NULL DEFAULT 0,
    last_verified_at INTEGER
) STRICT;

CREATE TABLE uploads (
    upload_id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination_key INTEGER NOT NULL REFERENCES destinations,
    frame_id INTEGER REFERENCES frames,
    local_path TEXT CHECK (local_path IS NOT NULL OR frame_id IS NOT NULL),
    remote_path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    day INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    next_try_at INTEGER NOT NULL DEFAULT 0,
    verified_at INTEGER,
    method TEXT,
    error_key TEXT,
    error_placeholders TEXT,
    UNIQUE (destination_key, remote_path)
) STRICT;
CREATE INDEX uploads_of_frame ON uploads (frame_id) WHERE frame_id IS NOT NULL;
CREATE INDEX uploads_unproven ON uploads (destination_key, state, next_try_at, upload_id) WHERE state < 4;
CREATE INDEX uploads_age ON uploads (destination_key, created_at) WHERE state < 3;
CREATE INDEX uploads_proven ON uploads (destination_key, day, upload_id) WHERE state = 4;
CREATE TRIGGER uploads_added AFTER INSERT ON uploads BEGIN
    UPDATE destinations SET
        pending = pending + (NEW.state = 0),
        sending = sending + (NEW.state = 1),
        waiting = waiting + (NEW.state = 2),
        quarantined = quarantined + (NEW.state = 3),
        verified = verified + (NEW.state = 4),
        queued_bytes = queued_bytes + iif(NEW.state < 3, NEW.size_bytes, 0)
    WHERE destination_key = NEW.destination_key;
END;
CREATE TRIGGER uploads_changed AFTER UPDATE OF state, size_bytes, verified_at ON uploads BEGIN
    UPDATE destinations SET
        pending = pending + (NEW.state = 0) - (OLD.state = 0),
        sending = sending + (NEW.state = 1) - (OLD.state = 1),
        waiting = waiting + (NEW.state = 2) - (OLD.state = 2),
        quarantined = quarantined + (NEW.state = 3) - (OLD.state = 3),
        verified = verified + (NEW.state = 4) - (OLD.state = 4),
        queued_bytes = queued_bytes + iif(NEW.state < 3, NEW.size_bytes, 0) - iif(OLD.state < 3, OLD.size_bytes, 0),
        last_verified_at = iif(NEW.state = 4, NEW.verified_at, last_verified_at)
    WHERE destination_key = NEW.destination_key;
END;
CREATE TRIGGER uploads_removed AFTER DELETE ON uploads BEGIN
    UPDATE destinations SET
        pending = pending - (OLD.state = 0),
        sending = sending - (OLD.state = 1),
        waiting = waiting - (OLD.state = 2),
        quarantined = quarantined - (OLD.state = 3),
        verified = verified - (OLD.state = 4),
        queued_bytes = queued_bytes - iif(OLD.state < 3, OLD.size_bytes, 0)
    WHERE destination_key = OLD.destination_key;
END;
"""

_DNGS: Final = """
CREATE TABLE dngs (
    frame_id INTEGER PRIMARY KEY REFERENCES frames,
    size_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    deleted_at INTEGER,
    missing_at INTEGER
) STRICT;
CREATE INDEX dngs_missing ON dngs (missing_at) WHERE missing_at IS NOT NULL;
CREATE TRIGGER dngs_added AFTER INSERT ON dngs BEGIN
    UPDATE totals SET stored_bytes = stored_bytes + NEW.size_bytes;
END;
CREATE TRIGGER dngs_changed AFTER UPDATE OF deleted_at, missing_at ON dngs BEGIN
    UPDATE totals SET
        missing = missing + (NEW.missing_at IS NOT NULL) - (OLD.missing_at IS NOT NULL),
        stored_bytes = stored_bytes
            + iif(NEW.deleted_at IS NULL AND NEW.missing_at IS NULL, NEW.size_bytes, 0)
            - iif(OLD.deleted_at IS NULL AND OLD.missing_at IS NULL, OLD.size_bytes, 0);
END;

ALTER TABLE uploads ADD COLUMN dng INTEGER NOT NULL DEFAULT 0;
"""
"""A frame's DNG has a row of its own, because it may go missing, and come back, without its frame; its path follows from the frame's.
``uploads.dng`` tells which of the two files a frame's upload is of."""

MIGRATIONS: Final = (_FIRST, _DNGS)
"""``MIGRATIONS[n]`` makes version n + 1 of a file of version n. A released one is never changed, only followed by another."""

VERSION: Final = len(MIGRATIONS)


def migration_script(version: int) -> str:
    """Return the SQL that lifts a file of ``version`` by one, as one transaction."""
    return f"BEGIN IMMEDIATE;{MIGRATIONS[version]};PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {version + 1};COMMIT;"
