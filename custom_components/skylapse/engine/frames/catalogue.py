"""The catalogue: the one place that knows every frame, session and upload of a camera."""

from .catalogue_queue import QueuePart
from .catalogue_sessions import SessionsPart
from .catalogue_upkeep import UpkeepPart


class Catalogue(UpkeepPart, QueuePart, SessionsPart):
    """What was photographed and where it is, in one SQLite file (``Database`` tells how, the parts tell what).

    All methods are coroutines; each is one transaction in the catalogue's own thread, in the order of the calls, and what
    they change is on the disk when they return. Errors: ``StorageError`` (``disk_full``, ``read_only``) when the
    file cannot grow, with nothing half done and the catalogue usable again once it can; ``CatalogueError`` else.
    """

    async def get_setting(self, key: str) -> str | None:
        """Return what is kept under this key."""
        row = await self._read(lambda connection: connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone())
        return None if row is None else str(row[0])

    async def set_setting(self, key: str, value: str) -> None:
        """Keep a value under this key."""
        sql = "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        await self._write(lambda connection: connection.execute(sql, (key, value)).rowcount)

    async def settings(self) -> dict[str, str]:
        """Return all that is kept."""
        return dict(await self._read(lambda connection: connection.execute("SELECT key, value FROM settings").fetchall()))
