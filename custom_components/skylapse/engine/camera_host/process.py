"""Running programs where the camera is: the two protocols by which the link sees them, whether they run here or elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Process(Protocol):
    """One running program, here or over SSH. One task reads its output, one its errors, one writes."""

    @property
    def pid(self) -> int | None:
        """Return its id on this machine; None over SSH."""

    async def read(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes of its output; ``b""`` at the end, which a lost connection is, too."""

    async def read_error(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes of what it says on its error output; ``b""`` at the end."""

    async def write(self, data: bytes) -> None:
        """Give it input, and wait until it is taken. Raises ``ConnectionError`` when it takes none any more."""

    def close_input(self) -> None:
        """Tell it that no more input comes."""

    async def wait(self) -> int | None:
        """Wait for its end and return its exit code (-9 for signal 9); None if only the connection's end is known."""

    def terminate(self) -> None:
        """Send it SIGTERM, if it still runs."""

    def kill(self) -> None:
        """Send it SIGKILL, if it still runs."""

    async def close(self) -> None:
        """Kill it if it still runs, and let go of pipes and connection. Takes a bounded time and never raises."""


class Transport(Protocol):
    """The way to the camera host."""

    @property
    def name(self) -> str:
        """Return ``local`` or ``ssh``."""

    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a program. Raises ``SourceError``: ``interpreter_missing``, ``worker_start_failed``, ``ssh_*``."""

    async def close(self) -> None:
        """Let go of the way itself. It may be used again afterwards. Never raises."""


def process_state(pid: int) -> str | None:
    """Return the kernel's letter for a process of this machine (``R``, ``S``, ``D`` unkillable, ``Z``, ...); None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return stat.rpartition(b")")[2].split()[0].decode("ascii")  # the name before it may hold anything, brackets too
