"""Which camera is tried, and where what was found is written down.

``SKYLAPSE_HARDWARE`` is "local", or "user@host" or "user@host:port"; for the latter there is the file ``SKYLAPSE_SSH_KEY`` (with
``SKYLAPSE_SSH_PASSPHRASE``) or ``SKYLAPSE_SSH_PASSWORD``. ``SKYLAPSE_HARDWARE_PYTHON`` is the interpreter there that has picamera2.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import logging
import os
from pathlib import Path
import platform
import time
from typing import Any

import pytest
import pytest_socket

from custom_components.skylapse.engine.ports import Site, SystemClock
from custom_components.skylapse.engine.remote.ssh import fetch_host_key, fingerprint
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot
from custom_components.skylapse.engine.sources.build import build_source, build_transport
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe
from custom_components.skylapse.engine.sources.discover import Found, find_cameras
from custom_components.skylapse.engine.sources.worker_camera import WorkerSource

FOLDER = Path(os.environ.get("SKYLAPSE_HARDWARE_FOLDER") or ".skylapse/hardware")
PATIENCE_S = 120.0


class Report:
    """What a person sees, and sends us: ``report.txt`` with the pictures beside it."""

    def __init__(self, test: str) -> None:
        """Begin the part of one test."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._file = FOLDER / "report.txt"
        self.say(f"\n{test.removeprefix('test_').replace('_', ' ')}")

    def say(self, line: str) -> None:
        """Write a line."""
        print(line, flush=True)
        with self._file.open("a") as file:
            file.write(f"{line}\n")

    def tell(self, **found: object) -> None:
        """Write values down."""
        for name, value in found.items():
            self.say(f"  {name.replace('_', ' ')}: {value}")

    def keep(self, name: str, shot: Shot | bytes) -> None:
        """Keep a picture."""
        content = shot if isinstance(shot, bytes) else shot.jpeg
        (FOLDER / f"{name}.jpg").write_bytes(content)
        self.tell(**{f"{name}.jpg": f"{len(content):,} bytes"})


@dataclass(frozen=True)
class Target:
    """The machine, and its first camera that can be used."""

    data: Mapping[str, Any]
    """An entry's data."""
    found: Found
    took_s: float

    @property
    def probe(self) -> CameraProbe:
        """The camera."""
        return CameraProbe.from_dict(self.data["probe"])


type Open = Callable[..., AbstractAsyncContextManager[WorkerSource]]


def pytest_sessionstart() -> None:
    """Begin a new report."""
    if os.environ.get("SKYLAPSE_HARDWARE"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "report.txt").write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, tried from {platform.platform()}\n")


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """The camera may be on another machine: Home Assistant's test plugin forbids all but this one. It also turns the log up."""
    logging.disable(logging.INFO)
    pytest_socket.enable_socket()
    pytest_socket._remove_restrictions()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """The report's part of this test."""
    return Report(request.node.name)


_target: list[Target] = []


@pytest.fixture
async def target(network: None) -> Target:
    """The camera; looked for once. A test fails with the reason if there is none that can be used."""
    if not _target:
        data = await way()
        transport = build_transport(data)
        begun = time.monotonic()
        found = await find_cameras(transport, data["python"], clock=SystemClock())
        await transport.close()
        took_s = time.monotonic() - begun
        usable = [camera for camera in found.cameras if camera.error is None]
        reasons = [str(camera.error) for camera in found.cameras] or [str(error) for error in found.backends.values()]
        if not usable:
            pytest.fail(f"no camera can be used there: {'; '.join(reasons)}", pytrace=False)
        probe = usable[0].probe
        camera = {"camera_id": probe.id, "camera_index": probe.index, "model": probe.model, "probe": probe.to_dict()}
        _target.append(Target({"source": probe.backend, **data, **camera}, found, took_s))
    return _target[0]


async def way() -> dict[str, Any]:
    """Return how the machine is reached, as an entry's data have it."""
    where = os.environ["SKYLAPSE_HARDWARE"]
    python = os.environ.get("SKYLAPSE_HARDWARE_PYTHON") or "/usr/bin/python3"
    if where == "local":
        return {"transport": "local", "python": python}
    username, _, place = where.rpartition("@")
    host, _, port = place.partition(":")
    host_key = await fetch_host_key(host, int(port or 22))
    Report("the host key").tell(fingerprint=fingerprint(host_key))
    data = {"transport": "ssh", "python": python, "host": host, "port": int(port or 22), "username": username, "host_key": host_key}
    if password := os.environ.get("SKYLAPSE_SSH_PASSWORD"):
        return {**data, "password": password}
    key = Path(os.environ["SKYLAPSE_SSH_KEY"]).read_text()
    return {**data, "private_key": key, "passphrase": os.environ.get("SKYLAPSE_SSH_PASSPHRASE", "")}


async def _no_image(entity_id: str, timeout_s: float) -> bytes:
    raise AssertionError(entity_id)


def build(data: Mapping[str, Any], options: Mapping[str, Any]) -> WorkerSource:
    """Return the source that Skylapse itself would make of an entry."""
    source = build_source(data, options, site=lambda: Site(0, 0, 0, UTC), clock=SystemClock(), fetch_image=_no_image)
    assert isinstance(source, WorkerSource)
    return source


@pytest.fixture
def camera(target: Target) -> Open:
    """Open the camera with options, and close it again."""

    @asynccontextmanager
    async def open_camera(**options: Any) -> AsyncGenerator[WorkerSource]:
        source = build(target.data, options)
        try:
            await source.start()
            yield source
        finally:
            await source.close()

    return open_camera


async def shoot(source: WorkerSource, exposure_us: int | None = None, gain: float | None = None) -> tuple[Shot, float]:
    """Take a frame; return it and the seconds that it took."""
    begun = time.monotonic()
    shot = await source.capture(CaptureRequest(datetime.now(UTC), PATIENCE_S, exposure_us, gain))
    return shot, time.monotonic() - begun


def soon(seconds: float) -> datetime:
    """Return the instant in so many seconds."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
