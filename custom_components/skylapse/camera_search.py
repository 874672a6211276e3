"""Looks for cameras where a flow says they may be, and tries to log in there; nothing of it outlives the call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .const import CONF_PYTHON, KIND_RPICAM
from .engine.errors import SkylapseError, SourceError
from .engine.ports import SystemClock
from .engine.sources.build import build_transport
from .engine.sources.camera_probe import CameraProbe
from .engine.sources.discover import Found, FoundCamera, find_cameras


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to: at least one camera that can be used."""

    cameras: tuple[CameraProbe, ...]
    unusable: tuple[FoundCamera, ...]
    """Others, and why they cannot be used now."""
    basic_because: SkylapseError | None
    """Why the cameras are used by way of ``rpicam-still``; None if they are not."""


async def search(place: Mapping[str, Any]) -> Search:
    """Return the cameras of a place: an entry's transport, interpreter and, for SSH, machine and credentials.

    Raises ``SkylapseError`` with the reason if none can be used.
    """
    transport = build_transport(place)
    try:
        found = await find_cameras(transport, place[CONF_PYTHON], clock=SystemClock())
    finally:
        await transport.close()
    cameras = tuple(camera.probe for camera in found.cameras if camera.error is None)
    if not cameras:
        raise _reason(found)
    basic = cameras[0].backend == KIND_RPICAM
    return Search(cameras, tuple(camera for camera in found.cameras if camera.error is not None), _refusal(found) if basic else None)


async def log_in(place: Mapping[str, Any]) -> None:
    """See that the machine lets us in and lets us start programs. Raises ``SourceError``."""
    transport = build_transport(place)
    try:
        process = await transport.spawn(["true"])
        await process.close()
    finally:
        await transport.close()


def _reason(found: Found) -> SkylapseError:
    """Return why no camera can be used: what is wrong with the first, else that there is none, else why nobody could tell."""
    if broken := [camera.error for camera in found.cameras if camera.error is not None]:
        return broken[0]
    return SourceError("camera_missing") if () in found.backends.values() else _refusal(found)


def _refusal(found: Found) -> SkylapseError:
    """Return why the preferred way to the cameras could not be used; where it could, it saw none."""
    return next((answer for answer in found.backends.values() if isinstance(answer, SkylapseError)), SourceError("camera_missing"))
