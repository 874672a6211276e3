"""A dashboard that shows all of the demo's cameras."""

from collections.abc import Iterable
from typing import Any

from .api import Api
from .cameras import Camera, Entity

PATH = "sky-lapse"
_TITLE = "Skylapse"
_FIRST = (
    "capturing",
    "active_schedule",
    "last_capture",
    "next_capture",
    "frames_captured",
    "capture_success",
    "captures_failed",
    "slots_missed",
    "verified",
    "last_verified",
    "queue_length",
    "queue_size",
    "oldest_queued",
)
"""What a person looks for first, in that order; the rest follows by name."""


async def save(api: Api, cameras: Iterable[Camera]) -> None:
    """Make the dashboard, or bring it up to date."""
    if not any(board["url_path"] == PATH for board in await api.call("lovelace/dashboards/list")):
        await api.call("lovelace/dashboards/create", url_path=PATH, title=_TITLE, icon="mdi:weather-sunset", show_in_sidebar=True)
    views = [_view(camera) for camera in cameras]
    await api.call("lovelace/config/save", url_path=PATH, config={"title": _TITLE, "views": views})


def _view(camera: Camera) -> dict[str, Any]:
    """Return one camera's page."""
    sections = [
        _section("The sky", [*_pictures(camera), *_tiles(camera, "button"), *_tiles(camera, "switch"), *_history(camera)]),
        _section("Now", _list(sorted(_of(camera, ("sensor", "binary_sensor"), part=False), key=_place))),
        _section("Schedules and destinations", _list(_of(camera, ("switch", "button", "sensor", "binary_sensor"), part=True))),
    ]
    path = camera.name.lower().replace(" ", "-")
    return {"type": "sections", "title": camera.name, "path": path, "max_columns": 3, "sections": sections}


def _section(heading: str, cards: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a column of cards below a heading."""
    return {"type": "grid", "cards": [{"type": "heading", "heading": heading}, *cards]}


def _of(camera: Camera, domains: tuple[str, ...], *, part: bool | None = None) -> list[Entity]:
    """Return the camera's entities of these domains; with ``part``, only those of its schedules and destinations, or only the others."""
    return [
        entity
        for entity in camera.entities
        if entity.entity_id.partition(".")[0] in domains and (part is None or (entity.part is not None) == part)
    ]


def _place(entity: Entity) -> int:
    """Return where in a list an entity belongs."""
    return _FIRST.index(entity.key) if entity.key in _FIRST else len(_FIRST)


def _pictures(camera: Camera) -> list[dict[str, Any]]:
    """Return a card for the last frame."""
    return [
        {"type": "picture-entity", "entity": entity.entity_id, "camera_image": entity.entity_id, "grid_options": {"columns": "full"}}
        for entity in _of(camera, ("camera",))
    ]


def _tiles(camera: Camera, domain: str) -> list[dict[str, Any]]:
    """Return a tile for each of the camera's own entities of a domain."""
    bare = {"hide_state": True} if domain == "button" else {}  # when it was pressed last is of no interest
    return [{"type": "tile", "entity": entity.entity_id, "name": entity.name, **bare} for entity in _of(camera, (domain,), part=False)]


def _list(entities: list[Entity]) -> list[dict[str, Any]]:
    """Return a card that lists entities, none for an empty list."""
    if not entities:
        return []
    rows = [
        {"entity": entity.entity_id, "name": entity.name if entity.part in {None, entity.name} else f"{entity.part}: {entity.name}"}
        for entity in entities
    ]
    return [{"type": "entities", "entities": rows, "grid_options": {"columns": "full"}}]


def _history(camera: Camera) -> list[dict[str, Any]]:
    """Return the queue's curve, and the list of events."""
    cards: list[dict[str, Any]] = []
    if queue := [entity.entity_id for entity in _of(camera, ("sensor",), part=False) if entity.key == "queue_length"]:
        cards.append({"type": "history-graph", "entities": queue, "hours_to_show": 1})
    if events := [entity.entity_id for entity in _of(camera, ("event",))]:
        cards.append({"type": "logbook", "target": {"entity_id": events}, "hours_to_show": 1})
    return [{**card, "grid_options": {"columns": "full"}} for card in cards]
