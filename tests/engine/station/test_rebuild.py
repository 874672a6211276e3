"""A catalogue that turns out to be corrupt while the station runs is rebuilt by a new start, which the station asks for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import CatalogueError
from custom_components.skylapse.engine.station import Station
from custom_components.skylapse.engine.status import EventKind

from .conftest import World

CORRUPT = CatalogueError("catalogue_corrupt", path="garden.db", reason="malformed")


async def corrupt(*args: object, **kwargs: object) -> None:
    raise CORRUPT


def writing(station: Station) -> Callable[[], None]:
    return lambda: setattr(station._catalogue, "add_frame", corrupt)


def reading(station: Station) -> Callable[[], None]:
    return lambda: setattr(station._catalogue, "counts", corrupt)


@pytest.mark.parametrize("where", [writing, reading])
async def test_it_is_rebuilt_and_no_frame_is_lost(world: World, where: Callable[[Station], Callable[[], None]]) -> None:
    station = await world.started()
    await world.run(21)
    await world.until(lambda: len(world.of_kind(EventKind.VERIFIED)) == 2)
    where(station)()
    await world.run(35)
    await world.until(lambda: world.restarts != [])
    await station.stop()
    assert len(world.restarts) == 1, "asked once, however often it fails"
    on_disk = len(list(world.media.rglob("*.jpg")))
    assert on_disk >= 3
    station = await world.started()
    assert station.rebuilt_from is not None
    assert station.rebuilt_from.exists()
    await world.until(lambda: station.status.queue.verified >= on_disk)
    await station.stop()
    station = await world.started()
    assert station.rebuilt_from is None, "once is enough"


async def test_a_big_catalogue_is_checked_while_the_station_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = world.build()
    await station.start()
    await station.reconciled()
    assert world.restarts == []
    await station.stop()
    station = world.build()
    opened = station._catalogue.open

    async def open_big() -> None:
        await opened()
        station._catalogue.check_due = True

    monkeypatch.setattr(station._catalogue, "open", open_big)
    monkeypatch.setattr(station._catalogue, "check", corrupt)
    await station.start()
    assert await station.reconciled() is None
    await world.until(lambda: len(world.restarts) == 1)


async def test_a_mark_that_cannot_be_left_does_not_keep_it_from_trying(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await world.started()

    def refuse(self: Path, *args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(station._catalogue, "counts", corrupt)
    await station._bulletin.publish()
    await world.until(lambda: len(world.restarts) == 1)
