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
    """Return the kernel's letter for a process of this machine (``R``, ``S``, ``D`` unkillable, ``Z`` ended, ...); None if there is none.

    A process whose first thread has ended counts as ``D`` while another one is stuck in the kernel: it still holds what is open.
    """
    process = Path(f"/proc/{pid}")
    states = [state for path in (process / "stat", *process.glob("task/*/stat")) if (state := _letter(path)) is not None]
    if not states:
        return None
    return "D" if states[0] in "ZX" and "D" in states else states[0]


def _letter(stat: Path) -> str | None:
    try:
        fields = stat.read_bytes().rpartition(b")")[2].split()  # the name before it may hold anything, brackets too
    except OSError:
        return None
    return fields[0].decode("ascii") if fields else None
