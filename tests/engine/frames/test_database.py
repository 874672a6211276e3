"""The catalogue's file: opening, damage, newer versions, full disks, recovery."""

import asyncio
from datetime import timedelta
import os
from pathlib import Path
import sqlite3
import threading

import pytest

from custom_components.skylapse.engine.errors import CatalogueError, StorageError
from custom_components.skylapse.engine.frames import database, schema
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import UploadState
from tests.engine.fakes import FakeClock

from .conftest import NOW, Frames, details_at

FILE = "catalogue.db"


def catalogue_at(path: Path, clock: FakeClock) -> Catalogue:
    return Catalogue(path, clock, folder=path.parent)


async def filled(path: Path, clock: FakeClock, frames: int = 300) -> None:
    """A catalogue of several pages, closed properly."""
    catalogue = catalogue_at(path, clock)
    await catalogue.open()
    await catalogue.set_setting("capture", "on")
    items = [(f"/a/{number}.jpg", f"x/{number}.jpg", number, f"{number:064x}") for number in range(frames)]
    await catalogue.enqueue_files(items, ["nas"])
    await catalogue.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("skylapse")]


async def test_open_is_idempotent_and_close_ends_the_thread(tmp_path: Path, clock: FakeClock) -> None:
    catalogue = catalogue_at(tmp_path / "deep" / "er" / FILE, clock)
    await catalogue.open()
    await catalogue.open()
    await catalogue.set_setting("a", "1")
    assert threads()
    await catalogue.close()
    await catalogue.close()
    assert not threads()
    assert [path.name for path in catalogue.path.parent.iterdir()] == [FILE]


async def test_closed_it_says_so(tmp_path: Path, clock: FakeClock) -> None:
    catalogue = catalogue_at(tmp_path / FILE, clock)
    with pytest.raises(CatalogueError, match="closed") as caught:
        await catalogue.get_setting("a")
    assert caught.value.key == "catalogue_failed"


async def test_durability_is_what_was_promised(catalogue: Catalogue) -> None:
    def pragmas(connection: sqlite3.Connection) -> tuple[str, int]:
        return connection.execute("PRAGMA journal_mode").fetchone()[0], connection.execute("PRAGMA synchronous").fetchone()[0]

    assert await catalogue._read(pragmas) == ("wal", 2)
    await catalogue.claim("nas", 1, NOW)  # the one that does not wait for the disk
    assert await catalogue._read(pragmas) == ("wal", 2)
    with pytest.raises(ZeroDivisionError):
        await catalogue._write(lambda connection: 1 / 0, durable=False)
    assert await catalogue._read(pragmas) == ("wal", 2)


async def test_what_was_being_sent_is_pending_after_a_restart(frames: Frames) -> None:
    catalogue = frames.catalogue
    await frames.take_many(3)
    claimed = await catalogue.claim("nas", 2, NOW)
    assert {upload.state for upload in claimed} == {UploadState.SENDING}
    await catalogue.close()
    await catalogue.open()
    counts = (await catalogue.counts())["nas"]
    assert (counts.pending, counts.sending) == (3, 0)


async def test_a_job_that_began_is_carried_through_when_its_task_is_cancelled(catalogue: Catalogue) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(10)
        connection.execute("INSERT INTO settings VALUES ('slow', 'done')")

    task = asyncio.create_task(catalogue._write(slow))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await catalogue.get_setting("slow") == "done"


async def test_an_error_within_leaves_nothing_half_done(catalogue: Catalogue) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO settings VALUES ('half', '1')")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await catalogue._write(half)
    assert await catalogue.settings() == {}


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_not_a_database(tmp_path: Path, clock: FakeClock, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    catalogue = catalogue_at(path, clock)
    with pytest.raises(CatalogueError) as caught:
        await catalogue.open()
    assert caught.value.key == "catalogue_corrupt"
    assert path.read_bytes() == content
    assert not threads()


async def test_another_programs_database(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / FILE
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE states (id)")
    connection.close()
    with pytest.raises(CatalogueError, match="another program") as caught:
        await catalogue_at(path, clock).open()
    assert caught.value.key == "catalogue_corrupt"
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()


async def test_a_newer_version_is_left_alone(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / FILE
    await filled(path, clock, 1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CatalogueError) as caught:
        await catalogue_at(path, clock).open()
    assert caught.value.key == "catalogue_newer"
    assert caught.value.placeholders["version"] == "99"


async def test_truncated(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / FILE
    await filled(path, clock)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CatalogueError) as caught:
        await catalogue_at(path, clock).open()
    assert caught.value.key == "catalogue_corrupt"


async def test_a_page_overwritten(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / FILE
    await filled(path, clock)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\x5a" * 4096
    path.write_bytes(data)
    with pytest.raises(CatalogueError) as caught:
        await catalogue_at(path, clock).open()
    assert caught.value.key == "catalogue_corrupt"


async def test_a_big_file_is_checked_beside_the_work_after_an_unclean_stop(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    await filled(path, clock)
    monkeypatch.setattr(database, "_CHECK_AT_OPEN_BYTES", 1)
    catalogue = catalogue_at(path, clock)
    await catalogue.open()
    assert not catalogue.check_due
    await catalogue.close()

    connection = sqlite3.connect(path)
    connection.execute("UPDATE totals SET in_use = 1")  # as a killed process leaves it
    connection.commit()
    connection.close()
    await catalogue.open()
    assert catalogue.check_due
    await catalogue.check()
    assert not catalogue.check_due
    await catalogue.close()


async def test_check_finds_damage_that_opening_did_not(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE
    await filled(path, clock)
    monkeypatch.setattr(database, "_CHECK_AT_OPEN_BYTES", 1)
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_tally_1'").fetchone()[0]
    connection.close()
    data = bytearray(path.read_bytes())
    data[(root - 1) * 4096 : root * 4096] = b"\x5a" * 4096
    path.write_bytes(data)
    catalogue = catalogue_at(path, clock)
    await catalogue.open()
    with pytest.raises(CatalogueError) as caught:
        await catalogue.check()
    assert caught.value.key == "catalogue_corrupt"
    with pytest.raises(CatalogueError) as caught:
        await catalogue.slots_since(NOW)
    assert caught.value.key == "catalogue_corrupt"
    await catalogue.close()


async def test_check_of_a_vanished_file(catalogue: Catalogue) -> None:
    catalogue.path.rename(catalogue.path.with_name("elsewhere"))
    with pytest.raises(CatalogueError) as caught:
        await catalogue.check()
    assert caught.value.key == "catalogue_failed"


async def test_recover_moves_aside_and_never_deletes(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / FILE
    catalogue = catalogue_at(path, clock)
    asides = []
    for number in range(3):
        path.write_bytes(b"broken %d" % number * 1000)
        with pytest.raises(CatalogueError):
            await catalogue.open()
        path.with_name(FILE + "-wal").write_bytes(b"log %d" % number)
        asides.append(await catalogue.recover())
        assert await catalogue.settings() == {}
        await catalogue.set_setting("works", "again")
        await catalogue.close()
    assert [aside.read_bytes() for aside in asides] == [b"broken %d" % number * 1000 for number in range(3)]
    assert [aside.with_name(aside.name + "-wal").read_bytes() for aside in asides] == [b"log 0", b"log 1", b"log 2"]
    assert asides[0].name == "catalogue.db.corrupt-20261123T120000Z"


async def test_an_open_catalogue_can_be_recovered_too(catalogue: Catalogue) -> None:
    await catalogue.set_setting("a", "1")
    aside = await catalogue.recover()
    assert aside.exists()
    assert await catalogue.settings() == {}


async def test_a_full_disk_leaves_nothing_half_done_and_works_again_with_space(frames: Frames) -> None:
    catalogue = frames.catalogue

    # SQLite's own limit stands for the disk's: the same error in the same places
    record = await frames.take(NOW)
    await catalogue._read(
        lambda connection: connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    )
    taken = 1
    with pytest.raises(StorageError) as caught:  # noqa: PT012  which one is the first that does not fit is the page layout's business
        for number in range(1, 500):
            await frames.take(NOW + timedelta(seconds=number))
            taken += 1
    assert caught.value.key == "disk_full"
    assert (await catalogue.totals())[1] == taken
    assert (await catalogue.counts())["nas"].pending == taken
    await catalogue._read(lambda connection: connection.execute("PRAGMA max_page_count = 1000000"))
    await frames.take(NOW + timedelta(hours=1))
    assert (await catalogue.totals())[1] == taken + 1
    assert (await catalogue.frame_by_path(record.file.relative_path)) == record


async def test_read_only(catalogue: Catalogue) -> None:
    await catalogue._read(lambda connection: connection.execute("PRAGMA query_only = 1"))
    with pytest.raises(StorageError) as caught:
        await catalogue.set_setting("a", "1")
    assert caught.value.key == "read_only"
    await catalogue._read(lambda connection: connection.execute("PRAGMA query_only = 0"))
    await catalogue.set_setting("a", "1")
    assert await catalogue.get_setting("a") == "1"


async def test_a_folder_that_cannot_be(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CatalogueError) as caught:
        await catalogue_at(tmp_path / "file" / FILE, clock).open()
    assert caught.value.key == "catalogue_failed"


async def test_a_folder_in_the_files_place(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(CatalogueError) as caught:
        await catalogue_at(tmp_path / FILE, clock).open()
    assert caught.value.key == "catalogue_failed"


@pytest.mark.parametrize(("free", "key"), [(0, "disk_full"), (10_000_000, "catalogue_failed")])
async def test_an_input_output_error_on_a_full_disk_is_told_as_such(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, free: int, key: str
) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 19 << 8
        raise error

    class Space:
        f_bavail, f_frsize = free, 1

    monkeypatch.setattr(os, "statvfs", lambda _: Space)
    with pytest.raises((StorageError, CatalogueError)) as caught:
        await catalogue._write(fail)
    assert caught.value.key == key

    def gone(_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(os, "statvfs", gone)
    with pytest.raises(CatalogueError) as caught:
        await catalogue._write(fail)
    assert caught.value.key == "catalogue_failed"


async def test_a_rollback_that_sqlite_made_itself_is_not_made_again(catalogue: Catalogue) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("as on some full disks")

    with pytest.raises(CatalogueError, match="full disks"):
        await catalogue._write(fail)
    await catalogue.set_setting("a", "1")


async def test_close_on_a_broken_disk_still_closes(catalogue: Catalogue) -> None:
    await catalogue._read(lambda connection: connection.execute("PRAGMA query_only = 1"))
    await catalogue.close()
    assert not threads()


async def test_older_versions_are_lifted(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE
    await filled(path, clock, 3)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE films (film_id INTEGER PRIMARY KEY) STRICT;"))
    monkeypatch.setattr(database, "VERSION", schema.VERSION + 1)
    catalogue = catalogue_at(path, clock)
    await catalogue.open()
    assert await catalogue._read(lambda connection: connection.execute("PRAGMA user_version").fetchone()[0]) == schema.VERSION + 1
    assert await catalogue._read(lambda connection: connection.execute("SELECT count(*) FROM films").fetchone()[0]) == 0
    assert await catalogue.get_setting("capture") == "on"
    await catalogue.close()


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE
    await filled(path, clock, 3)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE films (film_id) STRICT;"))  # no type: refused
    monkeypatch.setattr(database, "VERSION", schema.VERSION + 1)
    with pytest.raises(CatalogueError):
        await catalogue_at(path, clock).open()
    monkeypatch.undo()
    catalogue = catalogue_at(path, clock)
    await catalogue.open()
    assert await catalogue.get_setting("capture") == "on"
    await catalogue.close()


async def test_settings(catalogue: Catalogue) -> None:
    assert await catalogue.get_setting("a") is None
    await catalogue.set_setting("a", "1")
    await catalogue.set_setting("a", "2")
    await catalogue.set_setting("b", "")
    assert await catalogue.get_setting("a") == "2"
    assert await catalogue.settings() == {"a": "2", "b": ""}


async def test_a_clock_of_1970_breaks_nothing(catalogue: Catalogue, clock: FakeClock) -> None:
    clock.step(timedelta(days=-365 * 57))
    details = details_at(clock.now())
    assert details.taken_at.year < 1970
    await catalogue.enqueue_files([("/a", "a", 1, "00" * 32)], ["nas"])
    uploads = await catalogue.claim("nas", 5, clock.now())
    assert [upload.created_at for upload in uploads] == [clock.now()]
    assert (await catalogue.counts())["nas"].oldest_queued_at == clock.now()
