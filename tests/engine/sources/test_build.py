"""From a config entry to a source."""

from datetime import UTC, datetime
import math

import pytest

from custom_components.skylapse.engine.errors import SourceError
from custom_components.skylapse.engine.ports import Site, SystemClock
from custom_components.skylapse.engine.sources.base import CaptureRequest, FrameSource
from custom_components.skylapse.engine.sources.build import build_source
from custom_components.skylapse.engine.sources.entity import EntitySource
from custom_components.skylapse.engine.sources.simulated import SimulatedSource

SITE = Site(52.0, 5.0, 10.0, UTC)


async def fetch(entity_id: str, timeout_s: float) -> bytes:
    return f"{entity_id} {timeout_s}".encode()


def build(data: dict[str, object], options: dict[str, object] | None = None) -> FrameSource:
    return build_source(data, options or {}, site=lambda: SITE, clock=SystemClock(), fetch_image=fetch)


def test_a_simulated_camera_by_default_sees_full_hd() -> None:
    source = build({"source": "simulated", "slug": "sky", "seed": 7})
    assert isinstance(source, SimulatedSource)
    assert source.identity.serial == "7"
    assert (source.capabilities.width_px, source.capabilities.height_px) == (1920, 1080)


async def test_every_option_arrives() -> None:
    options = {"width": 320.0, "height": 200, "quality": 30.0, "delay_ms": 0, "failure_percent": 0.0, "hang_percent": 0}
    source = build({"source": "simulated", "seed": 7}, options)
    await source.start()
    request = CaptureRequest(due_at=datetime.now(UTC), deadline_s=10, exposure_us=100, gain=1)
    coarse = await source.capture(request)
    assert (coarse.width_px, coarse.height_px) == (320, 200)
    await source.close()

    fine = build({"source": "simulated", "seed": 7}, options | {"quality": 95})
    await fine.start()
    assert len((await fine.capture(request)).jpeg) > len(coarse.jpeg)
    await fine.close()

    for option, key in (("failure_percent", "simulated_failure"), ("hang_percent", "capture_timeout")):
        bad = build({"source": "simulated", "seed": 7}, options | {option: 100})
        await bad.start()
        with pytest.raises(SourceError) as caught:
            await bad.capture(CaptureRequest(due_at=datetime.now(UTC), deadline_s=0.02))
        assert caught.value.key == key
        await bad.close()

    slow = build({"source": "simulated", "seed": 7}, options | {"delay_ms": 600_000})
    await slow.start()
    with pytest.raises(SourceError, match="capture_timeout"):
        await slow.capture(CaptureRequest(due_at=datetime.now(UTC), deadline_s=0.02))
    await slow.close()


async def test_an_entity_is_fetched_by_what_was_given() -> None:
    source = build({"source": "entity", "slug": "sky", "entity_id": "camera.garden"})
    assert isinstance(source, EntitySource)
    assert source.identity.serial == "camera.garden"
    with pytest.raises(SourceError) as caught:
        await source.capture(CaptureRequest(due_at=datetime.now(UTC), deadline_s=1))
    assert caught.value.placeholders == {"found": b"came".hex(" ").upper()}


@pytest.mark.parametrize("data", [{}, {"source": None}, {"source": "raspistill"}])
def test_an_unknown_kind_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(SourceError) as caught:
        build(data)
    assert caught.value.key == "source_unknown"
    assert caught.value.placeholders == {"source": str(data.get("source"))}


@pytest.mark.parametrize("entity_id", [None, 5, "", "camera", "camera.", ".garden", "a.b.c"])
def test_an_entity_without_a_proper_id_is_refused(entity_id: object) -> None:
    with pytest.raises(SourceError) as caught:
        build({"source": "entity", "entity_id": entity_id})
    assert caught.value.key == "source_option_invalid"
    assert caught.value.placeholders == {"field": "entity_id", "value": str(entity_id)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 63),
        ("width", 7681),
        ("width", 1920.5),
        ("width", "1920"),
        ("width", None),
        ("quality", True),
        ("width", math.nan),
        ("height", 47),
        ("height", 4321),
        ("height", math.inf),
        ("quality", 0),
        ("quality", 101),
        ("delay_ms", -1),
        ("delay_ms", 600_001),
        ("failure_percent", -0.1),
        ("failure_percent", 100.1),
        ("hang_percent", -1),
        ("hang_percent", 101),
        ("seed", 2**63),
        ("seed", 0.5),
        ("seed", math.inf),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    data: dict[str, object] = {"source": "simulated", "seed": 1}
    options: dict[str, object] = {}
    (data if field == "seed" else options)[field] = value
    with pytest.raises(SourceError) as caught:
        build(data, options)
    assert caught.value.key == "source_option_invalid"
    assert caught.value.placeholders == {"field": field, "value": str(value)}


@pytest.mark.parametrize(("field", "value"), [("width", 64), ("width", 7680), ("height", 48), ("height", 4320), ("quality", 1)])
def test_both_ends_of_a_range_are_taken(field: str, value: int) -> None:
    build({"source": "simulated", "seed": -(2**63)}, {field: value})
