"""A catalogue and a store in a temporary folder, and frames to put in them."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image
import pytest

from custom_components.skylapse.engine.frames.catalogue import Catalogue
from custom_components.skylapse.engine.frames.records import FrameDetails, FrameRecord, StoredFile
from custom_components.skylapse.engine.frames.store import FrameStore
from custom_components.skylapse.engine.upload.destination import Proof, ProofMethod
from tests.engine.fakes import FakeClock, dng

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def picture(colour: tuple[int, int, int] = (90, 120, 200), **options: object) -> bytes:
    """A small whole JPEG."""
    out = BytesIO()
    Image.new("RGB", (32, 24), colour).save(out, "JPEG", **options)
    return out.getvalue()


def details_at(at: datetime, **more: object) -> FrameDetails:
    return FrameDetails(at, 800, "Sky", **more)


class Frames:
    """Store and catalogue together, as the station uses them."""

    def __init__(self, store: FrameStore, catalogue: Catalogue) -> None:
        self.store = store
        self.catalogue = catalogue

    async def take(self, at: datetime, destinations: tuple[str, ...] = ("nas",), sessions: tuple[int, ...] = ()) -> FrameRecord:
        details = details_at(at)
        file = self.store.write(picture((at.second, at.minute, at.hour)), details)
        return await self.catalogue.add_frame(file, details, session_ids=sessions, destinations=destinations, remote_prefix="sky")

    async def take_pair(self, at: datetime, destinations: tuple[str, ...] = ("nas",)) -> FrameRecord:
        """A frame with a DNG."""
        details = details_at(at)
        stored = self.store.write_pair(picture((at.second, at.minute, at.hour)), dng(at.second), details)
        assert stored.dng is not None
        return await self.catalogue.add_frame(stored.file, details, dng=stored.dng, destinations=destinations, remote_prefix="sky")

    async def take_pairs(self, count: int, destinations: tuple[str, ...] = ("nas",)) -> list[FrameRecord]:
        return [await self.take_pair(NOW + timedelta(seconds=number), destinations) for number in range(count)]

    async def prove_files(self, files: list[StoredFile | None], destination_id: str = "nas") -> None:
        """Verify exactly these files at a destination."""
        wanted = {f"sky/{file.relative_path}" for file in files if file is not None}
        uploads = await self.catalogue.claim(destination_id, 10_000, NOW + timedelta(days=400))
        chosen = [upload for upload in uploads if upload.remote_path in wanted]
        assert len(chosen) == len(wanted)
        proofs = [(upload.upload_id, Proof(upload.sha256, upload.size_bytes, ProofMethod.READ_BACK, NOW)) for upload in chosen]
        assert len(await self.catalogue.mark_verified(proofs)) == len(wanted)
        await self.catalogue.release([upload.upload_id for upload in uploads])

    async def prove_pairs(self, frames: list[FrameRecord], destination_id: str = "nas") -> None:
        await self.prove_files([file for frame in frames for file in (frame.file, frame.dng)], destination_id)

    async def take_many(self, count: int, first: datetime = NOW, destinations: tuple[str, ...] = ("nas",)) -> list[FrameRecord]:
        return [await self.take(first + timedelta(seconds=number), destinations) for number in range(count)]

    async def prove(self, frames: list[FrameRecord], destination_id: str = "nas") -> None:
        """Verify exactly these frames at a destination."""
        wanted = {frame.frame_id for frame in frames}
        uploads = await self.catalogue.claim(destination_id, 10_000, NOW + timedelta(days=400))
        chosen = [upload for upload in uploads if upload.frame_id in wanted]
        assert len(chosen) == len(wanted)
        proofs = [(upload.upload_id, Proof(upload.sha256, upload.size_bytes, ProofMethod.READ_BACK, NOW)) for upload in chosen]
        assert len(await self.catalogue.mark_verified(proofs)) == len(wanted)
        await self.catalogue.release([upload.upload_id for upload in uploads])

    def path(self, frame: FrameRecord) -> Path:
        return self.store.folder / frame.file.relative_path

    def dng_path(self, frame: FrameRecord) -> Path:
        return self.path(frame).with_suffix(".dng")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    store = FrameStore(tmp_path / "sky", "sky")
    store.prepare()
    return store


@pytest.fixture
async def catalogue(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Catalogue]:
    catalogue = Catalogue(tmp_path / "db" / "catalogue.db", clock, folder=tmp_path / "sky")
    await catalogue.open()
    yield catalogue
    await catalogue.close()


@pytest.fixture
def frames(store: FrameStore, catalogue: Catalogue) -> Frames:
    return Frames(store, catalogue)
