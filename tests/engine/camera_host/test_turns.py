"""Whose turn it is with the camera."""

import asyncio

import pytest

from custom_components.skylapse.engine.camera_host.turns import Turns


class Queue:
    """People at a camera; ``went`` tells who had it, in order."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.went: list[str] = []

    def join(self, name: str, rank: int) -> asyncio.Task[None]:
        async def go() -> None:
            async with self.turns.turn(rank):
                self.went.append(name)
                await asyncio.sleep(0)

        return asyncio.create_task(go())


async def test_stills_go_first_and_equals_in_order() -> None:
    queue = Queue()
    names = [("first", 1), ("preview a", 1), ("preview b", 1), ("still a", 0), ("still b", 0)]
    await asyncio.gather(*(queue.join(name, rank) for name, rank in names))
    assert queue.went == ["first", "still a", "still b", "preview a", "preview b"]


async def test_who_gave_up_is_passed_over() -> None:
    queue = Queue()
    tasks = [queue.join(name, 0) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    await queue.join("d", 0)
    assert queue.went == ["a", "c", "d"]


async def test_a_turn_is_not_lost_with_who_is_cancelled_when_called_up() -> None:
    queue = Queue()
    first, second = queue.join("a", 0), queue.join("b", 0)
    await asyncio.sleep(0)
    first.add_done_callback(lambda _: None)
    await asyncio.sleep(0)  # a is done and has called b, which did not run yet
    second.cancel()
    await asyncio.wait([first, second])
    assert second.cancelled()
    async with asyncio.timeout(1):
        await queue.join("c", 0)
    assert queue.went == ["a", "c"]


async def test_a_failure_ends_the_turn() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError):
        async with turns.turn(0):
            raise RuntimeError
    async with asyncio.timeout(1), turns.turn(0):
        pass
