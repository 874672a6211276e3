"""One camera, many who want it: one operation at a time, stills before previews."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import heapq
import itertools


class Turns:
    """A lock whose waiters have ranks: the lowest rank goes first, among equals who came first."""

    def __init__(self) -> None:
        """Nobody's turn yet."""
        self._taken = False
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @asynccontextmanager
    async def turn(self, rank: int) -> AsyncGenerator[None]:
        """Wait for one's turn and keep it for the block."""
        if self._taken:
            called = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (rank, next(self._order), called))
            try:
                await called
            except asyncio.CancelledError:
                if called.done() and not called.cancelled():  # called up and cancelled at once: the turn must not be lost
                    self._pass_on()
                raise
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        """Call up the next one."""
        while self._waiting:
            _, _, called = heapq.heappop(self._waiting)
            if not called.done():
                called.set_result(None)
                return
        self._taken = False
