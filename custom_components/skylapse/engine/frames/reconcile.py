"""Bring catalogue and folder together after a crash, a lost catalogue or somebody's hand in the folder.

Day by day, so that a big archive never lies in memory; what is in order is told by name and size, and only
what the catalogue does not know is read.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import hashlib
from itertools import batched
from typing import Final

from ..errors import BadPicture
from ..sources.jpeg import check_jpeg
from . import exif
from .catalogue import Catalogue
from .catalogue_upkeep import Expected, Whereabouts
from .folder import DayListing
from .naming import DNG, PARTIAL, dng_beside, frame_beside, parse_instant
from .records import FrameDetails, StoredFile
from .store import FrameStore

_MOST_NAMED: Final = 1000
"""Paths a report names; it counts all."""
_BATCH: Final = 500
_MEANWHILE: Final = timedelta(days=1)
"""Longer than any comparison takes."""


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What was found. The tuples name at most a thousand paths, the numbers count all."""

    adopted: int = 0
    """Whole frames that the catalogue did not know, now added and queued."""
    returned: int = 0
    """Frames noted as missing or deleted whose files are there after all."""
    removed_partials: int = 0
    """Half-written files, and DNGs of half-written frames, never announced, removed."""
    removed: int = 0
    """Frames whose files are gone, after a deletion that a crash interrupted, or proven at every required destination."""
    missing: tuple[str, ...] = ()
    """Frames and DNGs, now and from before, whose files vanished unproven."""
    missing_count: int = 0
    damaged: tuple[str, ...] = ()
    """Files that are no whole JPEG, or no DNG, or whose size is not the one catalogued. They are left where they are."""
    damaged_count: int = 0
    adopted_dngs: int = 0
    """DNGs that the catalogue did not know, beside frames that it knows by now."""
    returned_dngs: int = 0
    removed_dngs: int = 0
    strays: tuple[str, ...] = ()
    """DNGs that the catalogue does not know, without a frame beside them. They are left where they are, for each may be all that is left of one."""
    strays_count: int = 0


async def reconcile(
    store: FrameStore,
    catalogue: Catalogue,
    destinations: Sequence[str],
    remote_prefix: str,
    *,
    required: Collection[str] = (),
    before: datetime | None = None,
) -> ReconcileReport:
    """Make the catalogue tell what the folder holds; no frame's file is changed or removed.

    ``destinations`` get what is adopted; ``required`` are those whose proofs let a vanished file count as deleted. Files of
    the day from ``before`` on are left to the station that is running meanwhile; what is dated later is of a clock that was wrong. Raises ``StorageError`` or ``CatalogueError``.
    """
    work = _Reconciliation(store, catalogue, destinations, remote_prefix, required, before)
    for day in sorted({*await asyncio.to_thread(store.days), *await catalogue.live_days()}):
        await work.settle(day)
    missing = await catalogue.missing_paths(_MOST_NAMED)
    return ReconcileReport(
        adopted=work.adopted,
        returned=work.returned,
        removed_partials=work.removed_partials,
        removed=work.removed,
        missing=tuple(missing),
        missing_count=await catalogue.missing_count(),
        damaged=tuple(work.damaged),
        damaged_count=work.damaged_count,
        adopted_dngs=work.adopted_dngs,
        returned_dngs=work.returned_dngs,
        removed_dngs=work.removed_dngs,
        strays=tuple(work.strays),
        strays_count=work.strays_count,
    )


class _Reconciliation:
    """One run."""

    def __init__(
        self,
        store: FrameStore,
        catalogue: Catalogue,
        destinations: Sequence[str],
        remote_prefix: str,
        required: Collection[str],
        before: datetime | None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._destinations = destinations
        self._remote_prefix = remote_prefix
        self._required = required
        self._before = before
        self.adopted = 0
        self.returned = 0
        self.removed_partials = 0
        self.removed = 0
        self.damaged: list[str] = []
        self.damaged_count = 0
        self.adopted_dngs = 0
        self.returned_dngs = 0
        self.removed_dngs = 0
        self.strays: list[str] = []
        self.strays_count = 0

    async def settle(self, day: str) -> None:
        """Bring one day together."""
        # The catalogue first: a frame that is added meanwhile then shows as unknown, never as vanished
        expected = await self._catalogue.expected_files(day)
        listing = await asyncio.to_thread(self._store.list_day, day)
        found = await asyncio.to_thread(_compare, expected, listing)
        if listing.partials:
            self.removed_partials += await asyncio.to_thread(self._store.remove_partials, day, listing.partials, found.left_dngs)
        for name in found.unknown:
            await self._adopt(f"{day}/{name}", name)
        for name, frame_id in found.unknown_dngs.items():
            await self._adopt_dng(f"{day}/{name}", frame_id)
        for name in found.strays:
            self._stray(f"{day}/{name}", name)
        for name in found.damaged:
            self._damaged(f"{day}/{name}")
        for batch in batched(found.vanished_dngs, _BATCH, strict=False):  # before what was about to be deleted with its frame is forgotten
            removed, _ = await self._catalogue.settle_vanished_dngs(batch, self._required)
            self.removed_dngs += len(removed)
        for batch in batched(found.spared, _BATCH, strict=False):
            await self._catalogue.keep(batch)
        for batch in batched(found.returned, _BATCH, strict=False):
            await self._catalogue.mark_present(batch, destinations=self._destinations, remote_prefix=self._remote_prefix)
        self.returned += len(found.returned)
        for batch in batched(found.returned_dngs, _BATCH, strict=False):
            await self._catalogue.mark_dngs_present(batch, destinations=self._destinations, remote_prefix=self._remote_prefix)
        self.returned_dngs += len(found.returned_dngs)
        for batch in batched(found.vanished, _BATCH, strict=False):
            removed, _ = await self._catalogue.settle_vanished(batch, self._required)
            self.removed += len(removed)

    async def _adopt(self, path: str, name: str) -> None:
        """Add a frame that the catalogue does not know, if it is whole, with the DNG that may lie beside it."""
        at = parse_instant(name)
        if at is None or self._is_left_to_the_station(at):
            return
        jpeg = await self._store.read(path)
        if jpeg is None:  # deleted since it was listed
            return
        try:
            file, details = await asyncio.to_thread(_examine, path, jpeg, at, self._store.slug)
        except BadPicture:
            self._damaged(path)
            return
        dng = await self._examine_dng(dng_beside(path))
        await self._catalogue.add_frame(file, details, dng=dng, destinations=self._destinations, remote_prefix=self._remote_prefix)
        self.adopted += 1
        self.adopted_dngs += dng is not None

    async def _adopt_dng(self, path: str, frame_id: int) -> None:
        """Add a DNG that the catalogue does not know, of a frame that it knows."""
        dng = await self._examine_dng(path)
        if dng is not None:
            await self._catalogue.add_dng(frame_id, dng, destinations=self._destinations, remote_prefix=self._remote_prefix)
            self.adopted_dngs += 1

    async def _examine_dng(self, path: str) -> StoredFile | None:
        """Return what is to be known of a DNG; None if there is none, or it is damaged, which is told."""
        try:
            return await asyncio.to_thread(self._store.examine_dng, path)
        except BadPicture:
            self._damaged(path)
            return None

    def _is_left_to_the_station(self, at: datetime) -> bool:
        return self._before is not None and self._before <= at < self._before + _MEANWHILE

    def _stray(self, path: str, name: str) -> None:
        at = parse_instant(frame_beside(name))
        if at is None or self._is_left_to_the_station(at):
            return
        self.strays_count += 1
        if len(self.strays) < _MOST_NAMED:
            self.strays.append(path)

    def _damaged(self, path: str) -> None:
        self.damaged_count += 1
        if len(self.damaged) < _MOST_NAMED:
            self.damaged.append(path)


@dataclass(slots=True)
class _Differences:
    """How one day's folder and what the catalogue knows of it differ: names of files, ids of frames."""

    unknown: list[str] = field(default_factory=list)
    """Frames; a DNG beside one goes with it."""
    unknown_dngs: dict[str, int] = field(default_factory=dict)
    """Beside frames that are known, whose ids these are."""
    left_dngs: list[str] = field(default_factory=list)
    """Of frames that a crash kept from getting their names."""
    strays: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    spared: list[int] = field(default_factory=list)
    """About to be deleted, and there."""
    returned: list[int] = field(default_factory=list)
    returned_dngs: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    vanished_dngs: list[int] = field(default_factory=list)


def _compare(expected: dict[str, Expected], listing: DayListing) -> _Differences:
    """Compare a day's files; it may have a hundred thousand, so not in the event loop."""
    found = _Differences()
    partials = frozenset(listing.partials)
    for name, size in sorted(listing.sizes.items()):
        known = expected.get(name)
        is_dng = name.endswith(DNG)
        if known is None and is_dng:
            _sort_dng(name, expected, listing, partials, found)
        elif known is None:
            found.unknown.append(name)
        elif known.size_bytes != size:
            found.damaged.append(name)
        elif known.whereabouts is Whereabouts.DELETING:
            found.spared.append(known.frame_id)
        elif known.whereabouts is not Whereabouts.LIVE:
            (found.returned_dngs if is_dng else found.returned).append(known.frame_id)
    for name, known in expected.items():
        if name not in listing.sizes and known.whereabouts in (Whereabouts.LIVE, Whereabouts.DELETING):
            (found.vanished_dngs if name.endswith(DNG) else found.vanished).append(known.frame_id)
    return found


def _sort_dng(name: str, expected: dict[str, Expected], listing: DayListing, partials: frozenset[str], found: _Differences) -> None:
    """Tell what a DNG is that the catalogue does not know."""
    frame = frame_beside(name)
    known = expected.get(frame)
    if frame in listing.sizes:
        if known is not None:
            found.unknown_dngs[name] = known.frame_id
    elif known is None and frame + PARTIAL in partials:
        found.left_dngs.append(name)
    else:
        found.strays.append(name)


def _examine(path: str, jpeg: bytes, at: datetime, camera: str) -> tuple[StoredFile, FrameDetails]:
    """Return file and details of a whole frame. Raises ``BadPicture``."""
    check_jpeg(jpeg)
    return StoredFile(path, len(jpeg), hashlib.sha256(jpeg).hexdigest()), exif.read(jpeg, taken_at=at, camera=camera)
