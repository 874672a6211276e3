"""Looks for cameras where a flow says they may be, and tries to log in there; nothing of it outlives the call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME

from .const import CONF_HOST_KEY, CONF_PASSPHRASE, CONF_PRIVATE_KEY, CONF_PYTHON, CONF_TRANSPORT, KIND_RPICAM, TRANSPORT_SSH
from .engine.camera_host.local import LocalTransport
from .engine.camera_host.over_ssh import SshTransport
from .engine.camera_host.process import Transport
from .engine.errors import SkylapseError, SourceError
from .engine.ports import SystemClock
from .engine.remote.ssh import SshTarget
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
    transport: Transport = SshTransport(_target(place)) if place[CONF_TRANSPORT] == TRANSPORT_SSH else LocalTransport()
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
    """See that the machine lets us in and lets us start programs. Raises ``SshError``."""
    transport = SshTransport(_target(place))
    try:
        process = await transport.spawn(["true"])
        await process.close()
    finally:
        await transport.close()


def _target(place: Mapping[str, Any]) -> SshTarget:
    return SshTarget(
        host=place[CONF_HOST],
        port=place[CONF_PORT],
        username=place[CONF_USERNAME],
        host_key=place[CONF_HOST_KEY],
        password=place.get(CONF_PASSWORD),
        private_key=place.get(CONF_PRIVATE_KEY),
        passphrase=place.get(CONF_PASSPHRASE),
    )


def _reason(found: Found) -> SkylapseError:
    """Return why no camera can be used: what is wrong with the first, else that there is none, else why nobody could tell."""
    if broken := [camera.error for camera in found.cameras if camera.error is not None]:
        return broken[0]
    return SourceError("camera_missing") if () in found.backends.values() else _refusal(found)


def _refusal(found: Found) -> SkylapseError:
    """Return why the preferred way to the cameras could not be used; where it could, it saw none."""
    return next((answer for answer in found.backends.values() if isinstance(answer, SkylapseError)), SourceError("camera_missing"))
