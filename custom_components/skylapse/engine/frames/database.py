"""The catalogue's file: one SQLite connection in one thread of its own, opened with care and closed for good."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import contextlib
import os
from pathlib import Path
import sqlite3
from typing import Final

from ..errors import CatalogueError, SkylapseError, StorageError
from ..ports import Clock
from .durable import make_folder, sync_folder
from .schema import APPLICATION_ID, VERSION, migration_script

_CHECK_AT_OPEN_BYTES: Final = 64 * 1024 * 1024
"""A file up to this size is checked page by page at every opening (some 0.1 s); a greater one by ``check``, beside the work."""
_CHECKPOINT_PAGES: Final = 4000
"""Write-ahead log of 16 MB before its pages move to the file: rare enough that a commit hardly ever waits for it."""
_CACHE_KIB: Final = 8192
_NO_SPACE_BYTES: Final = 1024 * 1024


class Database:
    """One SQLite file. All its work runs in one thread, job by job, each job one transaction.

    A job that has begun is carried through even if the task that awaits it is cancelled.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Set where the file is (need not exist) and what tells the time."""
        self.path = path
        self.check_due = False
        """The station was not shut down properly and the file is too big to check at opening: await ``check`` once."""
        self._clock = clock
        self._opened: tuple[ThreadPoolExecutor, sqlite3.Connection] | None = None

    async def open(self) -> None:
        """Create or open the file, lift it to this version, take up what a crash left.

        Raises ``CatalogueError`` (``catalogue_corrupt``, ``catalogue_newer``, ``catalogue_failed``) or ``StorageError`` (``disk_full``,
        ``read_only``); the file is then as it was.
        """
        if self._opened is not None:
            return
        executor = ThreadPoolExecutor(1, "skylapse-catalogue")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(executor, self._open)
        except BaseException:
            await asyncio.to_thread(executor.shutdown)
            raise
        self._opened = executor, connection

    async def close(self) -> None:
        """Finish the jobs that wait, close the file, end the thread. Does nothing when closed already."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        executor, connection = opened
        try:
            await asyncio.get_running_loop().run_in_executor(executor, _put_away, connection)
        finally:
            await asyncio.to_thread(executor.shutdown)

    async def check(self) -> None:
        """Read the whole file and raise ``CatalogueError("catalogue_corrupt")`` if it is damaged.

        Runs beside the other work on a connection of its own; seconds for a file of some hundred megabytes.
        """
        await asyncio.to_thread(self._check_beside)
        self.check_due = False

    async def recover(self) -> Path:
        """Move a damaged file aside, never delete it, and open a fresh one; return where the old one is now.

        Afterwards ``reconcile`` fills the fresh one from the frames' folder.
        """
        await self.close()
        stamp = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
        aside = await asyncio.to_thread(self._move_aside, stamp)
        await self.open()
        return aside

    async def _read[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in the thread, outside a transaction."""
        return await self._submit(work)

    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Run ``work`` as one transaction in the thread.

        ``durable=False`` leaves out waiting for the disk: only for what ``open`` would undo anyway.
        """
        return await self._submit(lambda connection: _transaction(connection, work, durable=durable))

    async def _submit[T](self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._opened is None:
            raise CatalogueError("catalogue_failed", path=self.path.name, reason="it is closed")
        executor, connection = self._opened
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, job, connection)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _open(self) -> sqlite3.Connection:
        try:
            make_folder(self.path.parent)
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=10, cached_statements=256)
        except (OSError, sqlite3.Error) as error:
            raise self._translated(error) from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._translated(error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version, application = _pragma(connection, "user_version"), _pragma(connection, "application_id")
        objects = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if application != APPLICATION_ID and (objects or version):
            raise CatalogueError("catalogue_corrupt", path=self.path.name, reason="it is another program's database")
        if version > VERSION:
            raise CatalogueError("catalogue_newer", path=self.path.name, version=version, known=VERSION)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        small = _pragma(connection, "page_count") * _pragma(connection, "page_size") <= _CHECK_AT_OPEN_BYTES
        if small:
            self._quick_check(connection)
        for step in range(version, VERSION):
            connection.executescript(migration_script(step))
        in_use = connection.execute("SELECT in_use FROM totals").fetchone()[0]
        self.check_due = bool(in_use) and not small
        _transaction(connection, _take_up)

    def _check_beside(self) -> None:
        try:
            with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
                self._quick_check(connection)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _quick_check(self, connection: sqlite3.Connection) -> None:
        finding = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if finding != "ok":
            raise CatalogueError("catalogue_corrupt", path=self.path.name, reason=finding.splitlines()[0])

    def _move_aside(self, stamp: str) -> Path:
        number = 0
        while (aside := self.path.with_name(f"{self.path.name}.corrupt-{stamp}{f'-{number}' if number else ''}")).exists():
            number += 1
        for suffix in ("-wal", "-shm", ""):
            old = self.path.with_name(self.path.name + suffix)
            if old.exists():
                old.rename(aside.with_name(aside.name + suffix))
        sync_folder(self.path.parent)
        return aside

    def _translated(self, error: OSError | sqlite3.Error) -> SkylapseError:
        """Return the engine's error for one of SQLite or the system."""
        name = self.path.name
        if isinstance(error, OSError):
            return CatalogueError("catalogue_failed", path=name, reason=error.strerror or type(error).__name__)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind; the rest tells more of the same
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(self.path.parent)):
            return StorageError("disk_full", path=name)
        if code == sqlite3.SQLITE_READONLY:
            return StorageError("read_only", path=name)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return CatalogueError("catalogue_corrupt", path=name, reason=str(error))
        return CatalogueError("catalogue_failed", path=name, reason=str(error))


def _transaction[T](connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
    """Run ``work`` as one transaction: all of it or, on any error, nothing."""
    if not durable:
        connection.execute("PRAGMA synchronous = NORMAL")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite rolls back by itself on some errors
                connection.execute("ROLLBACK")
            raise
    finally:
        if not durable:
            connection.execute("PRAGMA synchronous = FULL")
    return result


def _put_away(connection: sqlite3.Connection) -> None:
    """Close, and leave word that it was done properly."""
    try:
        with contextlib.suppress(sqlite3.Error):  # a full disk must not keep it open; the next opening then merely checks more
            _transaction(connection, lambda c: c.execute("UPDATE totals SET in_use = 0"))
    finally:
        connection.close()


def _take_up(connection: sqlite3.Connection) -> None:
    """Mark the file as in use; what a crash left half sent waits to be sent again."""
    connection.execute("UPDATE totals SET in_use = 1")
    connection.execute(
        "UPDATE uploads SET state = 0 WHERE state = 1 AND state < 4 AND destination_key IN (SELECT destination_key FROM destinations)"
    )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _is_full(folder: Path) -> bool:
    try:
        space = os.statvfs(folder)
    except OSError:
        return False
    return space.f_bavail * space.f_frsize < _NO_SPACE_BYTES
