"""All destinations of a station: one queue each, what a person puts into them, and proving anew."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
import hashlib
from itertools import batched
from pathlib import Path
import random
from typing import Any

from .errors import SkylapseError
from .frames.catalogue import Catalogue
from .frames.records import UploadRecord, UploadState
from .ports import Clock
from .status import EventKind
from .upload.destination import Destination
from .upload.queue import UploadQueue
from .upload.verify import VerifyReport, verify

EXTRA_FOLDER = "files"
"""Folder at the destination, below the camera's, for files that are no frames of it."""

CALM_S = 0.2
"""Shortest distance of two looks of one who waits: with thousands of files each of them changes something."""

ASKED_AT_ONCE = 500
"""Files that one look asks the catalogue for at once, so that a frame to add never waits long behind it."""

SETTLED = frozenset({UploadState.VERIFIED, UploadState.QUARANTINED})

Emit = Callable[[EventKind, dict[str, Any]], None]


class Outbox:
    """The queues of one station."""

    def __init__(
        self,
        catalogue: Catalogue,
        destinations: Sequence[Destination],
        clock: Clock,
        *,
        folder: Path,
        slug: str,
        on_change: Callable[[], None],
        emit: Emit,
        rng: random.Random,
    ) -> None:
        """Deliver the catalogue's queued files to ``destinations``; ``folder`` and ``slug`` are the camera's."""
        self._catalogue = catalogue
        self._folder = folder
        self._slug = slug
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._enabled = True
        self.destinations = {destination.destination_id: destination for destination in destinations}
        self.queues = {
            destination.destination_id: UploadQueue(destination, catalogue, clock, on_change=self._queue_changed, on_event=emit, rng=rng)
            for destination in destinations
        }

    @property
    def destination_ids(self) -> tuple[str, ...]:
        """Return the ids of all destinations."""
        return tuple(self.destinations)

    @property
    def enabled(self) -> bool:
        """Return whether files are delivered."""
        return self._enabled

    async def start(self) -> None:
        """Let all queues run."""
        for queue in self.queues.values():
            await queue.start()

    async def stop(self) -> None:
        """Stop all queues at once and let the destinations go."""
        await asyncio.gather(*(queue.stop() for queue in self.queues.values()))
        await asyncio.gather(*(destination.close() for destination in self.destinations.values()))

    def wake(self) -> None:
        """Tell the queues that there is something new."""
        for queue in self.queues.values():
            queue.wake()

    def set_enabled(self, enabled: bool) -> None:
        """Let the queues work or rest."""
        self._enabled = enabled
        for queue in self.queues.values():
            queue.set_enabled(enabled)

    async def retry(self, destination_id: str | None) -> int:
        """Make waiting and quarantined files due now; return how many. Raises ``SkylapseError`` for an unknown destination."""
        chosen = self._chosen(None if destination_id is None else [destination_id])
        count = await self._catalogue.retry(destination_id)
        for known in chosen:
            self.queues[known].retry_now()
        self._queue_changed()
        return count

    async def enqueue(self, paths: Sequence[Path], destination_ids: Sequence[str] | None) -> list[UploadRecord]:
        """Put files and all files of folders in the queues of the destinations, hashed. Raises ``SkylapseError``."""
        chosen = self._chosen(destination_ids)
        items = await asyncio.to_thread(self._survey, paths)
        uploads = await self._catalogue.enqueue_files(items, chosen)
        self.wake()
        self._queue_changed()
        return uploads

    async def wait_for(self, upload_ids: Sequence[int], timeout_s: float) -> list[UploadRecord]:
        """Wait until each is verified or quarantined, at most ``timeout_s`` seconds; return them as they then are."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    changed = self._changed
                    uploads = await self._uploads(upload_ids)
                    if all(upload.state in SETTLED for upload in uploads):
                        return uploads
                    await changed.wait()
                    await asyncio.sleep(CALM_S)
        except TimeoutError:
            return await self._uploads(upload_ids)

    async def _uploads(self, upload_ids: Sequence[int]) -> list[UploadRecord]:
        return [upload for ids in batched(upload_ids, ASKED_AT_ONCE, strict=False) for upload in await self._catalogue.uploads(ids)]

    async def verify(self, destination_ids: Sequence[str] | None, day_from: date | None, day_to: date | None) -> list[VerifyReport]:
        """Hash anew what the destinations hold of those days (UTC, both included; None is open). Raises ``DestinationError``."""
        reports = []
        for destination_id in self._chosen(destination_ids):
            destination = self.destinations[destination_id]
            reports.append(await verify(destination, self._catalogue, day_from=day_from, day_to=day_to))
            self.queues[destination_id].wake()
        self._queue_changed()
        return reports

    def _chosen(self, destination_ids: Sequence[str] | None) -> list[str]:
        if not self.destinations:
            raise SkylapseError("no_destinations")
        if destination_ids is None:
            return list(self.destinations)
        for destination_id in destination_ids:
            if destination_id not in self.destinations:
                known = ", ".join(destination.name for destination in self.destinations.values())
                raise SkylapseError("unknown_destination", destination=destination_id, known=known)
        return list(dict.fromkeys(destination_ids))

    def _queue_changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()  # a fresh one, so that several may wait and none takes the news from another
        self._on_change()

    def _survey(self, paths: Sequence[Path]) -> list[tuple[str, str, int, str]]:
        """Return (local path, remote path, size, SHA-256) of every file; runs in a thread."""
        found: dict[Path, str] = {}
        for path in paths:
            if path.is_dir():
                for file in sorted(path.rglob("*")):
                    hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
                    if file.is_file() and not file.is_symlink() and not hidden:
                        found.setdefault(file, self._remote_path(file, path))
            elif path.is_file():
                found.setdefault(path, self._remote_path(path, path.parent, folder_name=False))
            else:
                raise SkylapseError("path_not_file" if path.exists() else "path_missing", path=path)
        if not found:
            raise SkylapseError("nothing_to_upload")
        items = []
        for file, remote_path in found.items():
            with file.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
                items.append((str(file), remote_path, handle.tell(), digest))
        return items

    def _remote_path(self, file: Path, below: Path, *, folder_name: bool = True) -> str:
        """Return where a file goes: frames of this camera to their own place, others to ``files``."""
        if file.is_relative_to(self._folder):
            return f"{self._slug}/{file.relative_to(self._folder).as_posix()}"
        relative = file.relative_to(below.parent if folder_name else below)
        return f"{self._slug}/{EXTRA_FOLDER}/{relative.as_posix()}"
