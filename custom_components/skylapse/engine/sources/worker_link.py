"""What a source needs of the link to its camera's worker."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..camera_host.replies import Reply
from ..errors import SkylapseError


class Link(Protocol):
    """What keeps the worker running: ``camera_host.supervisor.Supervisor``."""

    @property
    def connected(self) -> bool:
        """Return whether a worker runs and is configured."""

    @property
    def restarts(self) -> int:
        """Return how often the worker had to be replaced."""

    @property
    def configured(self) -> Mapping[str, Any]:
        """Return what the newest worker answered to ``configure``: another object for each worker, empty before the first."""

    @property
    def hello(self) -> Mapping[str, Any]:
        """Return the newest worker's first words."""

    @property
    def error(self) -> SkylapseError | None:
        """Return why there is no worker."""

    @property
    def backoff_s(self) -> float:
        """Return for how many seconds none is started because the last ones failed."""

    @property
    def stderr(self) -> Sequence[str]:
        """Return the last lines of the worker's error output."""

    async def start(self) -> None:
        """Have a worker started and configured. Raises why there is none, and goes on trying until ``close``."""

    async def request(self, op: str, args: Mapping[str, Any] | None = None, *, deadline_s: float) -> Reply:
        """Ask the worker for something. Raises ``SourceError``."""

    async def recycle(self) -> bool:
        """Replace the worker if it is old or large. Return whether it is."""

    async def close(self) -> None:
        """End the worker, and let the way to it go."""


type MakeLink = Callable[[Callable[[], Mapping[str, Any]], Callable[[], None]], Link]
"""``make(configure, on_change)``: ``configure`` gives what the worker is to be configured with."""
