"""The status is told when something changed, and now and then even if nothing did."""

import asyncio
from datetime import UTC, datetime

import pytest

from custom_components.skylapse.engine import bulletin as room
from custom_components.skylapse.engine.bulletin import Bulletin
from custom_components.skylapse.engine.status import EventKind, StationEvent, StationStatus

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


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


async def test_a_listener_that_fails_stops_nobody_else(
    bulletin: Bulletin, composed: list[StationStatus], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[StationStatus | StationEvent] = []

    def broken(_news: StationStatus | StationEvent) -> None:
        raise ZeroDivisionError

    bulletin.subscribe(broken)
    bulletin.subscribe(seen.append)
    bulletin.subscribe_events(broken)
    bulletin.subscribe_events(seen.append)
    event = StationEvent(EventKind.FAILED, NOW, {})
    bulletin.emit(event)
    await bulletin.publish()
    assert seen == [event, *composed]
    assert caplog.text.count("A listener of the station failed") == 2


async def test_a_status_that_fails_unexpectedly_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(room, "CALM_S", 0.01)
    monkeypatch.setattr(room, "REFRESH_S", 0.01)
    tries = 0

    async def compose() -> StationStatus:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ZeroDivisionError
        return StationStatus(frames_total=7)

    bulletin = Bulletin(compose)
    bulletin.start()
    await asyncio.sleep(0.1)
    await bulletin.stop()
    assert bulletin.status.frames_total == 7
    assert caplog.text.count("The status failed unexpectedly") == 1
