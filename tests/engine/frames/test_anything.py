"""Frames, with DNGs and without, through anything that cameras, destinations, hands and crashes do, in any order."""

from collections.abc import AsyncGenerator
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
import hashlib
import os
from pathlib import Path
import sqlite3
import tempfile

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.errors import StorageError
from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.reconcile import ReconcileReport, reconcile
from custom_components.skylapse.engine.frames.retention import RetentionRule, apply
from custom_components.skylapse.engine.frames.store import FrameStore
from custom_components.skylapse.engine.upload.destination import Proof, ProofMethod
from tests.engine.fakes import FakeClock, dng

from .conftest import NOW, details_at, picture

PLACES = ("nas", "attic")


@dataclass
class World:
    """One camera's folder and catalogue, and what has to be true of them."""

    store: FrameStore
    catalogue: Catalogue
    taken: int = 0
    announced: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every frame and DNG that was told of."""
    taken_away: dict[str, bytes] = field(default_factory=dict)
    """By somebody's hand."""

    async def take(self, number: int, *, killed: bool = False) -> None:
        details = details_at(NOW + timedelta(seconds=self.taken))
        self.taken += 1
        jpeg = picture((self.taken % 256, number, 7))
        if number % 3:
            stored = self.store.write_pair(jpeg, dng(number), details)
            assert stored.dng is not None
            files = [stored.file, stored.dng]
        else:
            files = [self.store.write(jpeg, details)]
        if not killed:
            raw = files[1] if len(files) > 1 else None
            await self.catalogue.add_frame(files[0], details, dng=raw, destinations=PLACES, remote_prefix="sky")
            self.announced |= {file.relative_path: file.sha256 for file in files}

    async def half(self, number: int) -> None:
        """Be killed, or run out of space, at some system call of a write."""
        left = number * 2
        error: BaseException = KeyboardInterrupt() if number % 2 else OSError(28, "full")

        def counted(real: object) -> object:
            def count(*arguments: object, **more: object) -> object:
                nonlocal left
                left -= 1
                if left < 0 and (number % 2 or real not in (unlink, rmdir)):
                    raise error
                return real(*arguments, **more)

            return count

        unlink, rmdir = os.unlink, os.rmdir
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt, StorageError):
            for call in ("open", "write", "fsync", "link", "unlink", "mkdir"):
                patch.setattr(os, call, counted(getattr(os, call)))
            await self.take(number, killed=True)

    async def prove(self, number: int) -> None:
        """Deliver all to one place, or to both; or only some of it."""
        for place in (PLACES[number % 2 :][:1]) if number < 2 else PLACES:
            uploads = await self.catalogue.claim(place, 2 if number == 4 else 99, NOW + timedelta(days=1))
            chosen = {5: uploads[1:], 6: [u for u in uploads if u.remote_path.endswith("jpg")], 7: uploads[::2]}.get(number, uploads)
            proofs = [(upload.upload_id, Proof(upload.sha256, upload.size_bytes, ProofMethod.READ_BACK, NOW)) for upload in chosen]
            await self.catalogue.mark_verified(proofs)
            await self.catalogue.release([upload.upload_id for upload in uploads])

    async def withdraw(self, number: int) -> None:
        uploads = await self.catalogue.verified_page(PLACES[number % 2], 0, 99)
        for upload in uploads[number : number + 2]:
            await (
                self.catalogue.requeue([upload.upload_id])
                if Path(upload.local_path).exists()
                else self.catalogue.withdraw(upload.upload_id)
            )

    async def clean(self, number: int) -> None:
        await self.reconciled()
        here = self.on_disk()
        proven = {place: await self.proven(place) for place in PLACES}
        missing = set(await self.catalogue.missing_paths(999))
        free = self.store.free_bytes()
        report = await apply(
            self.store, self.catalogue, RetentionRule(free + number * 3000, None, without_copy=False), PLACES, now=NOW + timedelta(days=9)
        )
        gone = here.keys() - self.on_disk().keys()
        assert gone == {*report.deleted, *report.dngs}
        for path in gone:
            assert all(path in proven[place] for place in PLACES), f"{path} was deleted unproven"
        for path in report.deleted:
            raw = path.replace(".jpg", ".dng")
            assert raw not in self.on_disk() or raw not in self.announced
            assert raw in gone or raw not in here
        assert report.freed_bytes == sum(len(here[path]) for path in gone)
        assert missing == set(await self.catalogue.missing_paths(999))

    async def take_away(self, number: int) -> None:
        for path in sorted(self.on_disk())[number : number + 2]:
            file = self.store.folder / path
            self.taken_away[path] = file.read_bytes()
            file.unlink()

    async def bring_back(self, number: int) -> None:
        for path in sorted(self.taken_away)[: number + 1]:
            file = self.store.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.taken_away.pop(path))

    async def forget(self, number: int) -> None:
        await self.catalogue.forget_missing()

    async def reconcile(self, number: int) -> None:
        before = self.on_disk()
        await self.reconciled()
        for path in before.keys() - self.on_disk().keys():
            assert path not in self.announced
        for path in set(await self.catalogue.missing_paths(999)):
            assert not (self.store.folder / path).exists()
        live = {file.relative_path for frame in await self.catalogue.frames_page(0, 999) for file in (frame.file, frame.dng) if file}
        assert live <= self.on_disk().keys()

    async def restart(self, number: int) -> None:
        """Lose the catalogue, at times, and begin anew."""
        await self.catalogue.close()
        if number == 5:
            self.catalogue.path.unlink()
        await self.catalogue.open()
        await self.reconciled()
        for place in PLACES:
            await self.catalogue.backfill(place, "sky")

    async def reconciled(self) -> ReconcileReport:
        report = await reconcile(self.store, self.catalogue, PLACES, "sky", required=PLACES)
        again = await reconcile(self.store, self.catalogue, PLACES, "sky", required=PLACES)
        assert again == ReconcileReport(
            missing=report.missing, missing_count=report.missing_count, strays=report.strays, strays_count=report.strays_count
        ), "the second look finds nothing to do"
        return report

    def on_disk(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.store.folder).as_posix(): path.read_bytes() for path in self.store.folder.rglob("*.*g") if path.is_file()
        }

    async def proven(self, place: str) -> set[str]:
        return {upload.remote_path.removeprefix("sky/") for upload in await self.catalogue.verified_page(place, 0, 999)}

    async def check(self) -> None:
        """What has to be true at any time after the folder was looked through."""
        report = await self.reconciled()
        files = self.on_disk()
        frames = await self.catalogue.frames_page(0, 999)
        for frame in frames:
            for file in filter(None, (frame.file, frame.dng)):
                assert hashlib.sha256(files[file.relative_path]).hexdigest() == file.sha256
        known = {file.relative_path for frame in frames for file in (frame.file, frame.dng) if file}
        left = {
            frame.dng.relative_path
            for frame in await self.catalogue.deletable([], older_than=None, limit=999, allow_unproven=True, left_dngs=True)
        }
        assert {path for path in files if path.endswith(".jpg")} <= known, "no frame is unknown"
        assert known | left | set(report.strays) == files.keys()
        assert await self.catalogue.storage_used() == sum(len(files[path]) for path in known | left)
        assert await self.catalogue.missing_count() == len(report.missing) == len(set(report.missing))
        for path, sha256 in self.announced.items():
            assert path not in files or hashlib.sha256(files[path]).hexdigest() == sha256

        def recount(connection: sqlite3.Connection) -> tuple[int, ...]:
            return connection.execute("SELECT (SELECT count(*) FROM frames), (SELECT count(*) FROM uploads)").fetchone()

        rows, uploads = await self.catalogue._read(recount)
        assert (await self.catalogue.totals())[1] == rows, "DNGs are no frames"
        counts = (await self.catalogue.counts()).values()
        assert sum(count.queued + count.verified + count.quarantined for count in counts) == uploads
        await self.catalogue.check()


@contextlib.asynccontextmanager
async def world() -> AsyncGenerator[World]:
    with tempfile.TemporaryDirectory() as name:
        store = FrameStore(Path(name, "sky"), "sky")
        store.prepare()
        catalogue = Catalogue(Path(name, "sky.db"), FakeClock(NOW), folder=store.folder)
        await catalogue.open()
        try:
            yield World(store, catalogue)
        finally:
            await catalogue.close()


ACTIONS = (
    World.take,
    World.take,
    World.take,
    World.half,
    World.prove,
    World.prove,
    World.withdraw,
    World.clean,
    World.take_away,
    World.bring_back,
    World.forget,
    World.reconcile,
    World.restart,
)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), max_size=25))
@settings(max_examples=60, deadline=None)
async def test_nothing_is_lost_doubled_or_called_what_it_is_not(actions: list) -> None:
    async with world() as here:
        for action, number in actions:
            await action(here, number)
        await here.check()
