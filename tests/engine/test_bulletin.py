"""The status is told when something changed, and now and then even if nothing did."""

import asyncio

import pytest

from custom_components.skylapse.engine import bulletin as room
from custom_components.skylapse.engine.bulletin import Bulletin
from custom_components.skylapse.engine.status import StationStatus


@pytest.fixture
def composed() -> list[StationStatus]:
    return []


@pytest.fixture
def bulletin(composed: list[StationStatus], monkeypatch: pytest.MonkeyPatch) -> Bulletin:
    monkeypatch.setattr(room, "CALM_S", 0.01)

    async def compose() -> StationStatus:
        composed.append(StationStatus(frames_total=len(composed)))
        return composed[-1]

    return Bulletin(compose)


async def test_a_burst_of_changes_is_told_once(bulletin: Bulletin, composed: list[StationStatus]) -> None:
    seen: list[StationStatus] = []
    bulletin.subscribe(seen.append)
    bulletin.start()
    for _ in range(100):
        bulletin.changed()
    await asyncio.sleep(0.1)
    assert seen == composed
    assert len(seen) == 1
    await bulletin.stop()


async def test_the_status_is_renewed_by_time_alone(
    bulletin: Bulletin, composed: list[StationStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REFRESH_S", 0.02)
    bulletin.start()
    await asyncio.sleep(0.2)
    await bulletin.stop()
    assert len(composed) >= 2


async def test_stop_before_start_is_nothing(bulletin: Bulletin) -> None:
    await bulletin.stop()
