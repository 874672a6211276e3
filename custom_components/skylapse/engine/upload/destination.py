"""What a destination is: a place that takes a file and proves, from what it then holds, that it arrived."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class ProofMethod(StrEnum):
    """How the far side's bytes were hashed."""

    READ_BACK = "read_back"
    """Every byte was read back from the destination, past the page cache, and hashed."""
    READ_BACK_CACHED = "read_back_cached"
    """Read back and hashed, but the system would not drop its cache: proves the destination's file, not yet its disk."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The far side's SHA-256 of one file and how it was had."""

    sha256: str
    size_bytes: int
    method: ProofMethod
    proven_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file to deliver."""

    local_path: Path
    remote_path: str
    """POSIX path below the destination's root; no part may be empty, ``.``, ``..`` or hold a control character."""
    size_bytes: int
    sha256: str


class Destination(Protocol):
    """Where frames go. All methods may be called concurrently for different files."""

    destination_id: str
    name: str

    async def check(self) -> None:
        """Tell whether it can take files now. Raises ``DestinationError(destination_wide=True)``: not mounted, read-only, full, ..."""

    async def deliver(self, delivery: Delivery) -> Proof:
        """Bring one file there and prove it.

        Idempotent: a file that is there already with the same content is proven, not sent again; one with other
        content is never overwritten unnoticed. Raises ``DestinationError``; on return the file is durable and listed
        in its day's ``SHA256SUMS``.
        """

    async def prove(self, remote_path: str) -> Proof | None:
        """Hash what the destination holds at that path; None if it holds nothing there. Raises ``DestinationError``."""

    async def close(self) -> None:
        """Let go of what it holds. Never raises."""
