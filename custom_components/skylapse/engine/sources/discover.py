"""Finds the cameras of a machine, for whoever sets one up."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ..camera_host.client import WorkerClient, worker_source
from ..camera_host.process import Transport
from ..camera_host.replies import told
from ..errors import CaptureTimeout, SkylapseError, SourceError
from ..ports import Clock
from .camera_probe import BACKENDS, Backend, CameraProbe, bounded_text

TIMEOUT_S: Final = 60.0
"""Seconds that looking for cameras takes at most, worker's start included: importing picamera2 from a slow card takes many."""

_MOST_CAMERAS: Final = 16


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """One camera."""

    probe: CameraProbe
    error: SkylapseError | None = None
    """Why it cannot be used now, such as that another program has it; what it can do is not known then."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of a machine; None is not known, for software: not there."""

    machine: str | None = None
    os: str | None = None
    python: str | None = None
    picamera2: str | None = None
    libcamera: str | None = None
    rpicam: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The cameras of a machine."""

    host: HostFacts
    backends: Mapping[Backend, tuple[FoundCamera, ...] | SkylapseError]
    """By each backend that was tried, in the order of preference: its cameras, of which there may be none, or why it could not be asked."""

    @property
    def cameras(self) -> tuple[FoundCamera, ...]:
        """Return the cameras of the first backend that has any."""
        return next((found for found in self.backends.values() if isinstance(found, tuple) and found), ())


async def find_cameras(transport: Transport, python: str, *, clock: Clock) -> Found:
    """Ask a machine for its cameras: picamera2 first, and where that is missing or finds none, rpicam-still.

    ``python`` is the interpreter there that has picamera2. The transport stays open, the worker is ended. Raises ``SourceError``
    if no worker could be started (what the transport and ``WorkerClient.start`` raise) and ``CaptureTimeout`` after 60 s.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            client = await WorkerClient.start(transport, python, await worker_source(), clock=clock)
            try:
                return await _ask(client)
            finally:
                await _close(client)
    except TimeoutError:
        raise CaptureTimeout("camera_timeout", deadline_s=f"{TIMEOUT_S:g}") from None


async def _ask(client: WorkerClient) -> Found:
    backends: dict[Backend, tuple[FoundCamera, ...] | SkylapseError] = {}
    facts: dict[str, Any] = {"python": client.hello.get("python")}
    for backend in BACKENDS:
        try:
            reply = await client.request("probe", {"backend": backend}, deadline_s=TIMEOUT_S)
        except SourceError as err:
            backends[backend] = err
            continue
        facts |= {name: value for name, value in reply.result.items() if value is not None}
        backends[backend] = cameras = tuple(_cameras({**reply.result, "backend": backend}))
        if cameras:
            break
    return Found(HostFacts(**{name: bounded_text(facts.get(name)) for name in HostFacts.__slots__}), backends)


def _cameras(reply: Mapping[str, Any]) -> list[FoundCamera]:
    """Return the cameras of an answer to ``probe``; those that make no sense are left out."""
    cameras = []
    told_cameras = reply.get("cameras")
    for camera in told_cameras[:_MOST_CAMERAS] if isinstance(told_cameras, list) else ():
        if not isinstance(camera, dict):
            continue
        try:
            probe = CameraProbe.from_reply(reply, camera)
        except SourceError:
            continue
        error = camera.get("error")
        cameras.append(FoundCamera(probe, told(error)[0] if error is not None else None))
    return cameras


async def _close(client: WorkerClient) -> None:
    """End the worker; that it hangs on is no reason to hide what it found."""
    with suppress(SourceError):
        await client.close()
