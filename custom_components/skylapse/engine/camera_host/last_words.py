"""What a worker says on its error output: drained always, kept a little."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
import re
from typing import Final

from .replies import plain

LINES: Final = 50
LINE_LENGTH: Final = 300
_READ_BYTES: Final = 64 * 1024
_FLOOD_PAUSE_S: Final = 0.02
_BREAKS: Final = re.compile(rb"[\r\n]+")


class LastWords:
    """The last lines of an error output."""

    def __init__(self) -> None:
        """Nothing said yet."""
        self.lines: deque[str] = deque(maxlen=LINES)
        self._begun = b""

    @property
    def last(self) -> str:
        """Return the last line; empty if there is none."""
        return self.lines[-1] if self.lines else ""

    async def drain(self, read: Callable[[int], Awaitable[bytes]]) -> None:
        """Read until the end. A program that floods it is slowed down, so that it does not take the event loop's time."""
        while data := await read(_READ_BYTES):
            *whole, begun = _BREAKS.split(self._begun + data)
            self._begun = begun[: LINE_LENGTH * 4]  # of a line without an end, the beginning is kept
            self._keep(whole[-LINES:])
            if len(data) == _READ_BYTES:
                await asyncio.sleep(_FLOOD_PAUSE_S)
        self._keep([self._begun])

    def note(self, data: bytes) -> None:
        """Keep what was said elsewhere, such as on its output before that was a stream of frames."""
        self._keep(_BREAKS.split(data)[-LINES:])

    def _keep(self, lines: list[bytes]) -> None:
        self.lines.extend(text for line in lines if (text := plain(line[: LINE_LENGTH * 4].decode(errors="replace"), LINE_LENGTH)))
