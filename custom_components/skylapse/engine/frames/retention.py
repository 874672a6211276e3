"""How long frames stay: as long as there is room, and never shorter than until their copies are proven."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from .catalogue import Catalogue
from .records import FrameRecord, StoredFile
from .store import FrameStore

_BATCH: Final = 50
"""Frames deleted at a time: few enough to stop soon after there is room, many enough to share the waiting for the disk."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What a person wants kept."""

    min_free_bytes: int
    """This much is to stay free on the disk that holds the frames."""
    max_age: timedelta | None
    """Older frames go; None keeps them as long as there is room."""
    without_copy: bool
    """Frames that are not proven elsewhere may go, too: those that are go first."""


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What was deleted, or of a dry run: what would be."""

    deleted: tuple[str, ...]
    """Frames' paths below the camera's folder, in the order they went."""
    freed_bytes: int
    """Of frames and DNGs."""
    blocked: bool
    """Less than wanted is free and nothing more may be deleted."""
    free_bytes: int
    """What is free afterwards."""
    dngs: tuple[str, ...] = ()
    """Paths of the DNGs that went, each with its frame unless that was gone before."""


async def apply(
    store: FrameStore,
    catalogue: Catalogue,
    rule: RetentionRule,
    required: Sequence[str],
    *,
    dry_run: bool = False,
    now: datetime,
) -> CleanupReport:
    """Delete frames that are too old, then the oldest until enough is free.

    Only frames whose bytes every destination in ``required`` has proven; if there is none, nothing, unless the rule says ``without_copy``.
    A frame's DNG goes with it, and must be proven as well; one whose frame vanished goes alone. Raises ``StorageError`` or ``CatalogueError``; what was deleted until then is noted.
    """
    cleanup = _Cleanup(store, catalogue, required, await asyncio.to_thread(store.free_bytes), dry_run=dry_run)
    proofs = (True, False) if rule.without_copy else (True,)
    if rule.max_age is not None:
        for proven in proofs:
            await cleanup.sweep(now - rule.max_age, None, proven=proven)
    for proven in proofs:
        await cleanup.sweep(None, rule.min_free_bytes, proven=proven)
    return CleanupReport(
        deleted=tuple(cleanup.deleted),
        freed_bytes=cleanup.freed_bytes,
        blocked=cleanup.free_bytes < rule.min_free_bytes,
        free_bytes=cleanup.free_bytes,
        dngs=tuple(cleanup.dngs),
    )


class _Cleanup:
    """One run; a dry one deletes nothing and tells the same."""

    def __init__(self, store: FrameStore, catalogue: Catalogue, required: Sequence[str], free_bytes: int, *, dry_run: bool) -> None:
        self._store = store
        self._catalogue = catalogue
        self._required = required
        self._dry_run = dry_run
        self._free_at_start = free_bytes
        self._gone: set[int] = set()
        """Of a dry run: what would be gone by now."""
        self.free_bytes = free_bytes
        self.freed_bytes = 0
        self.deleted: list[str] = []
        self.dngs: list[str] = []

    async def sweep(self, older_than: datetime | None, wanted_free: int | None, *, proven: bool) -> None:
        """Delete, oldest first, all that is older, or until so many bytes are free; before whole frames, DNGs that are left of some."""
        for left_dngs in (True, False):
            after: FrameRecord | None = None
            while wanted_free is None or self.free_bytes < wanted_free:
                batch = await self._catalogue.deletable(
                    self._required, older_than=older_than, limit=_BATCH, allow_unproven=not proven, after=after, left_dngs=left_dngs
                )
                if not batch:
                    break
                after = batch[-1]
                await self._delete(self._enough(batch, wanted_free, left_dngs=left_dngs), proven=proven, left_dngs=left_dngs)

    def _enough(self, batch: list[FrameRecord], wanted_free: int | None, *, left_dngs: bool) -> list[FrameRecord]:
        """Return the first of the batch, as many as are needed."""
        chosen: list[FrameRecord] = []
        free = self.free_bytes
        for frame in batch:
            if wanted_free is not None and free >= wanted_free:
                break
            if frame.frame_id not in self._gone:
                chosen.append(frame)
                free += sum(file.size_bytes for file in _files(frame, left_dngs=left_dngs))
        return chosen

    async def _delete(self, frames: list[FrameRecord], *, proven: bool, left_dngs: bool) -> None:
        if not self._dry_run:
            # Noted first: a crash in between then leaves frames that are known to have been deleted on purpose
            noted = set(
                await self._catalogue.mark_deleting(
                    [frame.frame_id for frame in frames], proven_at=self._required if proven else None, left_dngs=left_dngs
                )
            )
            frames = [frame for frame in frames if frame.frame_id in noted]
        ids = [frame.frame_id for frame in frames]
        files = [file for frame in frames for file in _files(frame, left_dngs=left_dngs)]
        if self._dry_run:
            self._gone.update(ids)
        else:
            await asyncio.to_thread(self._store.delete, [file.relative_path for file in files])
            await (self._catalogue.remove_dngs(ids) if left_dngs else self._catalogue.remove_frames(ids))
        self.deleted += [] if left_dngs else [frame.file.relative_path for frame in frames]
        self.dngs += [frame.dng.relative_path for frame in frames if frame.dng is not None]
        self.freed_bytes += sum(file.size_bytes for file in files)
        # Some file systems give space back only later: what was deleted counts as free, or too much would go
        measured = self._free_at_start if self._dry_run else await asyncio.to_thread(self._store.free_bytes)
        self.free_bytes = max(measured, self._free_at_start + self.freed_bytes)


def _files(frame: FrameRecord, *, left_dngs: bool) -> list[StoredFile]:
    """Return what is to be deleted of a frame, its DNG first: a crash in between then leaves no DNG without its frame."""
    dng = [] if frame.dng is None else [frame.dng]
    return dng if left_dngs else [*dng, frame.file]
