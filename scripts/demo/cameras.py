"""The demo's cameras, set up as a person would: through the dialogs of Home Assistant."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astral import Observer, sun

from .api import Api, until
from .home import ELEVATION_M, LATITUDE, LONGITUDE

SKY, PHOTOGRAPHS, VIRTUAL = "Garden sky", "Photographs", "Virtual Pi camera"
NOW = "The sun now"
"""The schedule that is active whatever the time: a band around the elevation which the sun has just then."""
_BAND_DEG = 8.0
_ROTATION = "skylapse_demo_photographs"


@dataclass(frozen=True)
class Entity:
    """An entity of a camera; ``part`` is the schedule or destination it belongs to."""

    entity_id: str
    key: str
    name: str
    """Its own name; that of its device where it has none."""
    part: str | None


@dataclass(frozen=True)
class Camera:
    """A camera that is set up."""

    name: str
    entities: tuple[Entity, ...]


async def add_sky(api: Api, nas: Path) -> None:
    """Add the simulated camera, unless it is there, and see that it photographs now."""
    if await _entry_id(api, SKY) is None:
        flow = await api.config_flow("skylapse")
        await flow.choose("simulated")
        await flow.fill(name=SKY)
        await flow.choose("schedules")
        await flow.fill(presets=["sunrise", "sunset"], folder=str(nas))
        flow.finish()
    await _photograph_now(api, SKY, interval_s=5)


async def add_photographs(api: Api, nas: Path, photos: list[Path]) -> None:
    """Add a camera of Home Assistant that shows real photographs, and Skylapse's on top of it; see that it photographs now."""
    source = await _local_camera(api, photos)
    if await _entry_id(api, PHOTOGRAPHS) is None:
        flow = await api.config_flow("skylapse")
        await flow.choose("entity")
        await flow.fill(name=PHOTOGRAPHS, entity_id=source)
        await flow.choose("schedules")
        await flow.fill(presets=[], folder=str(nas))
        flow.finish()
    await _photograph_now(api, PHOTOGRAPHS, interval_s=15)


async def add_virtual(api: Api, nas: Path, python: str) -> None:
    """Add the virtual camera of a Raspberry Pi, which ``python`` finds, by the way a real one is added; see that it photographs now."""
    if await _entry_id(api, VIRTUAL) is None:
        flow = await api.config_flow("skylapse")
        await flow.choose("camera")
        if flow.step["step_id"] == "none_here":
            await flow.choose("interpreter")
            await flow.fill(python=python)
        await flow.fill(name=VIRTUAL)
        await flow.choose("schedules")
        await flow.fill(presets=["sunrise"], folder=str(nas))
        flow.finish()
    await _photograph_now(api, VIRTUAL, interval_s=5)


async def cameras(api: Api) -> list[Camera]:
    """Return what is set up, each camera with all its entities."""
    found = []
    registry = await api.call("config/entity_registry/list")
    for entry in await api.call("config_entries/get", domain="skylapse"):
        subentries = await api.call("config_entries/subentries/list", entry_id=entry["entry_id"])
        parts = {part["subentry_id"]: part["title"] for part in subentries}
        entities = [
            Entity(
                item["entity_id"],
                item["translation_key"] or "",
                item["original_name"] or parts.get(item["config_subentry_id"], entry["title"]),
                parts.get(item["config_subentry_id"]),
            )
            for item in registry
            if item["config_entry_id"] == entry["entry_id"] and not item["disabled_by"]
        ]
        found.append(
            Camera(entry["title"], tuple(sorted(entities, key=lambda entity: (entity.part or "", entity.name != entity.part, entity.name))))
        )
    return found


def sun_band() -> tuple[float, float]:
    """Return a band of elevations, in degrees, in which the sun stands now and for a while."""
    height = sun.elevation(Observer(LATITUDE, LONGITUDE, ELEVATION_M), datetime.now(UTC))
    return max(-90.0, round(height - _BAND_DEG)), min(90.0, round(height + _BAND_DEG))


async def _photograph_now(api: Api, name: str, interval_s: int) -> None:
    """Add the schedule that is active now; where it is left from an earlier day, move its band to today's sun."""
    low, high = sun_band()
    when: dict[str, Any] = {"kind": "elevation", "min_deg": low, "max_deg": high, "direction": "both"}
    when["interval"] = {"hours": 0, "minutes": 0, "seconds": interval_s}
    entry_id = await _entry_id(api, name)
    assert entry_id is not None
    parts = await api.call("config_entries/subentries/list", entry_id=entry_id)
    old = next((part["subentry_id"] for part in parts if part["title"] == NOW), None)
    flow = await api.subentry_flow(entry_id, "schedule", old)
    if old is None:
        await flow.choose("custom")
    await flow.fill(name=NOW, **when)
    flow.finish()


async def _local_camera(api: Api, photos: list[Path]) -> str:
    """Return Home Assistant's camera that shows the photographs in turn; add it where there is none."""
    if not await api.call("config_entries/get", domain="local_file"):
        flow = await api.config_flow("local_file")
        await flow.fill(file_path=str(photos[0]))
        flow.finish()

    async def there() -> bool:
        return await _entity_of(api, "local_file") is not None

    await until(there, 30)
    camera = await _entity_of(api, "local_file")
    assert camera is not None
    every = f"{{{{ {[str(photo) for photo in photos]}[(now().timestamp() // 15) | int % {len(photos)}] }}}}"
    automation = {
        "alias": "Show the photographs in turn",
        "triggers": [{"trigger": "time_pattern", "seconds": "/15"}],
        "actions": [{"action": "local_file.update_file_path", "target": {"entity_id": camera}, "data": {"file_path": every}}],
    }
    await api.post(f"/api/config/automation/config/{_ROTATION}", automation)
    return camera


async def _entry_id(api: Api, name: str) -> str | None:
    """Return the config entry of a camera of this name."""
    entries = await api.call("config_entries/get", domain="skylapse")
    return next((entry["entry_id"] for entry in entries if entry["title"] == name), None)


async def _entity_of(api: Api, platform: str) -> str | None:
    """Return the first entity of an integration."""
    registry = await api.call("config/entity_registry/list")
    return next((item["entity_id"] for item in registry if item["platform"] == platform), None)
