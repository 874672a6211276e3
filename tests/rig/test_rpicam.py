"""A camera of a machine that has rpicam-still and no picamera2: found, and photographed with, here and through a real SSH server."""

from datetime import UTC
import os
from pathlib import Path
import sys
from typing import Any

import pytest

from custom_components.skylapse.engine.errors import SourceError, WorkerError
from custom_components.skylapse.engine.ports import Site, SystemClock
from custom_components.skylapse.engine.sources.base import CaptureRequest
from custom_components.skylapse.engine.sources.build import build_source, build_transport
from custom_components.skylapse.engine.sources.discover import find_cameras
from custom_components.skylapse.engine.sources.worker_camera import WorkerSource
from tests.rig.sshd import Sshd
from tests.worker.rpicam_still import METADATA, StandIn

pytestmark = pytest.mark.rig


@pytest.fixture
def machine(tmp_path: Path) -> StandIn:
    """Return a machine with the program on its path."""
    folder = tmp_path / "pi"
    folder.mkdir()
    made = StandIn(folder)
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nPATH="{folder}:{os.defpath}" exec "{sys.executable}" -IS "$@"\n')
    python.chmod(0o755)
    return made


@pytest.fixture(params=["here", "over SSH"])
def place(request: pytest.FixtureRequest, machine: StandIn) -> dict[str, Any]:
    """Return where the machine is, as a config entry says it."""
    python = str(machine.folder / "python3")
    if request.param == "here":
        return {"transport": "local", "python": python}
    sshd: Sshd = request.getfixturevalue("sshd")
    return {
        "transport": "ssh",
        "python": python,
        "host": sshd.host,
        "port": sshd.port,
        "username": sshd.username,
        "host_key": sshd.host_key,
        "private_key": sshd.private_key,
    }


async def no_image(entity_id: str, timeout_s: float) -> bytes:
    raise AssertionError


@pytest.fixture
async def source(place: dict[str, Any]) -> WorkerSource:
    """Return the camera that is found there, as the dialogs would add it."""
    transport = build_transport(place)
    found = await find_cameras(transport, place["python"], clock=SystemClock())
    await transport.close()
    assert isinstance(found.backends["picamera2"], WorkerError)
    assert found.backends["picamera2"].key == "picamera2_missing"
    probe = found.cameras[0].probe
    data = {
        "source": probe.backend,
        **place,
        "camera_id": probe.id,
        "camera_index": probe.index,
        "model": probe.model,
        "probe": probe.to_dict(),
    }
    assert data["source"] == "rpicam"
    made = build_source(data, {}, site=lambda: Site(0, 0, 0, UTC), clock=SystemClock(), fetch_image=no_image)
    assert isinstance(made, WorkerSource)
    return made


async def shoot(source: WorkerSource, **wanted: Any) -> Any:
    return await source.capture(CaptureRequest(due_at=SystemClock().now(), deadline_s=20, **wanted))


async def test_it_photographs(source: WorkerSource, machine: StandIn) -> None:
    await source.start()
    try:
        shot = await shoot(source)
        assert shot.jpeg == machine.picture
        assert (shot.exposure_us, shot.gain, shot.lux) == (METADATA["ExposureTime"], METADATA["AnalogueGain"], METADATA["Lux"])
        assert "--immediate" in machine.arguments
        assert not {"-t", "--timeout"} & set(machine.arguments)
        with pytest.raises(WorkerError, match="camera_cannot"):
            await source.preview()
    finally:
        await source.close()
    assert not machine.running()


async def test_a_program_that_hangs_costs_one_frame_and_leaves_nothing_behind(source: WorkerSource, machine: StandIn) -> None:
    await source.start()
    try:
        machine.do("hang")
        with pytest.raises(SourceError):
            await source.capture(CaptureRequest(due_at=SystemClock().now(), deadline_s=3))
        machine.do("ok")
        assert (await shoot(source)).jpeg == machine.picture
    finally:
        await source.close()
    assert not machine.running()
