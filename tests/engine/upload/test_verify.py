"""Proving anew what a destination holds."""

from collections.abc import AsyncGenerator
from datetime import date
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.frames.records import UploadState
from custom_components.skylapse.engine.upload import verify as verify_module
from custom_components.skylapse.engine.upload.folder import FolderDestination, prepare_folder
from custom_components.skylapse.engine.upload.verify import VerifyReport, VerifyStopped, verify

from .conftest import sha256sum
from .scripted import Bench, SwiftClock


@pytest.fixture
async def bench(tmp_path: Path, root: Path) -> AsyncGenerator[Bench]:
    clock = SwiftClock()
    made = Bench(tmp_path, clock, FolderDestination("d", "NAS", root, prepare_folder(root), clock=clock))
    await made.catalogue.open()
    await made.add(*(f"day/{number}" for number in range(8)))
    await made.queue.start()
    await made.until(lambda: len(made.events) == 8)
    await made.queue.stop()
    yield made
    await made.queue.stop()
    await made.destination.close()
    await made.catalogue.close()


async def test_all_is_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module, "PAGE", 3)
    progress: list[int] = []
    report = await verify(bench.destination, bench.catalogue, on_progress=lambda report: progress.append(report.checked))
    assert (report.destination_id, report.destination) == ("d", "NAS")
    assert (report.checked, report.proven, report.requeued) == (8, 8, 0)
    assert report.missing == report.differing == report.lost == []
    assert progress == list(range(1, 9))
    assert await bench.states() == {"verified": 8}


async def test_what_is_missing_or_differs_is_sent_again(bench: Bench, root: Path) -> None:
    (root / "day" / "1").unlink()
    data = bytearray((root / "day" / "2").read_bytes())
    data[50] ^= 1
    (root / "day" / "2").write_bytes(data)
    (root / "day" / "3").unlink()
    (root / "day" / "3").mkdir()
    (root / "day" / "4").unlink()
    (bench.folder / "day_4").unlink()
    (root / "day" / "5").write_bytes(b"short")
    (bench.folder / "day_5").write_bytes(b"other")
    report = await verify(bench.destination, bench.catalogue)
    assert (report.checked, report.proven, report.requeued) == (8, 3, 3)
    assert report.missing == ["day/1", "day/4"]
    assert report.differing == ["day/2", "day/3", "day/5"]
    assert report.lost == ["day/4", "day/5"]
    assert await bench.states() == {"pending": 5, "verified": 3}, "what is not there is not called verified"
    await bench.queue.start()
    bench.queue.wake()
    await bench.until(lambda: len(bench.events) == 13)
    (root / "day" / "3").rmdir()
    await bench.catalogue.retry("d")
    bench.queue.wake()
    await bench.until(lambda: len(bench.events) == 16)
    assert (root / "day" / "2.damaged-1").read_bytes() == data
    (root / "day" / "SHA256SUMS").write_text("".join(line for line in (root / "day" / "SHA256SUMS").open() if line[-2] not in "45"))
    assert sha256sum(root / "day").count(": OK") == 6
    assert await bench.states() == {"verified": 6, "quarantined": 2}
    report = await verify(bench.destination, bench.catalogue)
    assert (report.checked, report.proven) == (6, 6)


async def test_only_some_days(bench: Bench) -> None:
    today = date(2026, 11, 23)
    assert (await verify(bench.destination, bench.catalogue, day_from=today, day_to=today)).checked == 8
    assert (await verify(bench.destination, bench.catalogue, day_from=date(2026, 11, 24))).checked == 0
    assert (await verify(bench.destination, bench.catalogue, day_to=date(2026, 11, 22))).checked == 0


async def test_it_goes_away_and_verifying_goes_on_later(bench: Bench, root: Path) -> None:
    (root / "day" / "1").unlink()
    marker = (root / ".skylapse-destination").read_bytes()

    def unmount(report: VerifyReport) -> None:
        if report.checked == 4:
            (root / ".skylapse-destination").unlink()

    with pytest.raises(VerifyStopped) as raised:
        await verify(bench.destination, bench.catalogue, on_progress=unmount)
    error = raised.value
    assert isinstance(error, DestinationError)
    assert (error.key, error.destination_wide) == ("destination_not_mounted", True)
    assert error.placeholders == {"path": str(root)}
    assert (error.report.checked, error.report.proven, error.report.missing) == (4, 3, ["day/1"])
    (root / ".skylapse-destination").write_bytes(marker)
    rest = await verify(bench.destination, bench.catalogue, after_upload_id=error.report.after_upload_id)
    assert (rest.checked, rest.proven) == (4, 4)
    record = await bench.until_state(2, UploadState.PENDING)
    assert record.remote_path == "day/1"
