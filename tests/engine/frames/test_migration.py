"""Catalogues of earlier versions, as the code of that time left them, are lifted and go on to be used."""

from datetime import timedelta
import lzma
from pathlib import Path
import sqlite3

import pytest

from custom_components.skylapse.engine.errors import CatalogueError
from custom_components.skylapse.engine.frames import schema
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import QueueCounts, SlotCounts, StoredFile
from tests.engine.fakes import FakeClock

from .conftest import NOW, details_at

FIRST = Path(__file__).with_name("version_1.db.xz")
"""Six frames: deleted, about to be, live, live, missing, live; uploads to two destinations in every state; a session, slots, a setting."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.db"
    path.write_bytes(lzma.decompress(FIRST.read_bytes()))
    return path


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


async def test_a_catalogue_from_before_dngs(old: Path, clock: FakeClock) -> None:
    assert version_of(old) == 1
    catalogue = Catalogue(old, clock, folder=Path("/media/sky"))
    await catalogue.open()
    assert await catalogue.settings() == {"capture_enabled": "off"}
    assert await catalogue.totals() == (SlotCounts(due=9, captured=6, failed=1, missed=2), 6)
    assert (await catalogue.storage_used(), await catalogue.missing_count()) == (4011, 1)
    assert (await catalogue.counts())["nas"] == QueueCounts(
        pending=2, waiting=1, quarantined=1, verified=3, queued_bytes=2085, oldest_queued_at=NOW, last_verified_at=NOW
    )
    live = await catalogue.frames_page(0, 9)
    assert [(frame.frame_id, frame.dng) for frame in live] == [(2, None), (3, None), (4, None), (6, None)]
    assert [frame.frame_id for frame in await catalogue.deletable(["nas"], older_than=None, limit=9)] == [2, 3]
    assert [upload.local_path for upload in await catalogue.verified_page("nas", 0, 1)] == [
        "/media/sky/2026/11/23/sky_20261123T120000.000Z.jpg"
    ]
    assert await catalogue.missing_paths(9) == ["2026/11/23/sky_20261123T120004.000Z.jpg"]

    file, raw = (
        StoredFile(f"2026/11/23/sky_20261123T120100.000Z.{kind}", size, f"{size:064x}") for kind, size in (("jpg", 10), ("dng", 90))
    )
    at = NOW + timedelta(minutes=1)
    frame = await catalogue.add_frame(file, details_at(at), dng=raw, destinations=["nas"], remote_prefix="sky")
    assert await catalogue.last_frame() == frame
    assert frame.dng == raw
    assert await catalogue.storage_used() == 4011 + 100
    assert (await catalogue.counts())["nas"].pending == 4
    assert (await catalogue.totals())[1] == 7
    await catalogue.close()
    assert version_of(old) == schema.VERSION


async def test_a_lifted_catalogue_has_the_tables_of_a_new_one(old: Path, tmp_path: Path, clock: FakeClock) -> None:
    tables = []
    for path in (old, tmp_path / "new.db"):
        catalogue = Catalogue(path, clock, folder=tmp_path)
        await catalogue.open()
        await catalogue.close()
        connection = sqlite3.connect(path)
        tables.append(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall())
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
    assert tables[0] == tables[1]


async def test_lifting_that_is_interrupted_is_done_again(
    old: Path, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], schema.MIGRATIONS[1] + "SELECT no_such_function();"))
        with pytest.raises(CatalogueError):
            await Catalogue(old, clock, folder=tmp_path).open()
    assert version_of(old) == 1
    catalogue = Catalogue(old, clock, folder=tmp_path)
    await catalogue.open()
    assert (await catalogue.totals())[1] == 6
    await catalogue.close()
