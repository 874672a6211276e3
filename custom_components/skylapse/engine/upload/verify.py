"""Prove anew what a destination holds."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
import logging
from pathlib import Path

from ..errors import DestinationError
from ..frames.catalogue import Catalogue
from ..frames.records import UploadRecord
from .destination import Destination

_LOGGER = logging.getLogger(__name__)

PAGE = 100


@dataclass(slots=True)
class VerifyReport:
    """What was found. The lists hold remote paths."""

    destination_id: str
    destination: str
    """Its name."""
    checked: int = 0
    proven: int = 0
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Those of ``missing`` and ``differing`` that cannot be sent again, because the local file is gone or has changed its size."""
    requeued: int = 0
    after_upload_id: int = 0
    """The last one checked: where to go on."""


class VerifyStopped(DestinationError):
    """The destination went away meanwhile. ``report`` tells what was found until then; go on with its ``after_upload_id``."""

    def __init__(self, error: DestinationError, report: VerifyReport) -> None:
        """Take over the destination's error."""
        super().__init__(error.key, destination_wide=True)
        self.placeholders = error.placeholders
        self.report = report


async def verify(
    destination: Destination,
    catalogue: Catalogue,
    *,
    day_from: date | None = None,
    day_to: date | None = None,
    after_upload_id: int = 0,
    on_progress: Callable[[VerifyReport], None] | None = None,
) -> VerifyReport:
    """Hash every file again that the catalogue calls verified, of these days (UTC, both included), one at a time.

    What is missing or differs is queued to be sent again; wake the queue afterwards. Cancelled or stopped, all that was
    found until then is queued already. Raises ``VerifyStopped``, and ``CatalogueError``.
    """
    report = VerifyReport(destination.destination_id, destination.name, after_upload_id=after_upload_id)
    while records := await catalogue.verified_page(destination.destination_id, report.after_upload_id, PAGE, day_from, day_to):
        for record in records:
            await _check(destination, catalogue, record, report)
            if on_progress is not None:
                on_progress(report)
    return report


async def _check(destination: Destination, catalogue: Catalogue, record: UploadRecord, report: VerifyReport) -> None:
    """Check one file and queue it again if need be."""
    found = report.differing
    try:
        proof = await destination.prove(record.remote_path)
    except DestinationError as err:
        if err.destination_wide:
            raise VerifyStopped(err, report) from err
        intact = False  # such as a folder in the file's place
    else:
        intact = proof is not None and proof.sha256 == record.sha256
        if proof is None:
            found = report.missing
    if intact:
        report.proven += 1
    else:
        found.append(record.remote_path)
        if await asyncio.to_thread(_can_be_sent, record):
            await catalogue.requeue([record.upload_id])
            report.requeued += 1
        else:
            report.lost.append(record.remote_path)
            _LOGGER.error("%s is not as it was proven at %s, and its file here is gone", record.remote_path, destination.name)
            await catalogue.withdraw(record.upload_id)
    report.checked += 1
    report.after_upload_id = record.upload_id


def _can_be_sent(record: UploadRecord) -> bool:
    """Tell whether the local file is still there."""
    try:
        return Path(record.local_path).stat().st_size == record.size_bytes
    except OSError:
        return False
