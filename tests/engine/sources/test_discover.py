"""Finding the cameras of a machine."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from custom_components.skylapse.engine.camera_host.client import WorkerClient
from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.camera_host.replies import Reply
from custom_components.skylapse.engine.errors import CaptureTimeout, SourceError, WorkerError
from custom_components.skylapse.engine.ports import SystemClock
from custom_components.skylapse.engine.sources import discover
from custom_components.skylapse.engine.sources.discover import Found, HostFacts, find_cameras

from .cameras import HOST, IMX519, probe


class Worker:
    """A worker whose answers to ``probe`` are given, by backend."""

    hello: Mapping[str, Any] = {"python": "3.11.2"}

    def __init__(self, **answers: dict[str, Any] | SourceError) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.closed = 0
        self.close_error: SourceError | None = None
        self.slow = False

    async def start(self, *args: object, **kwargs: object) -> Worker:
        if "start" in self.answers:
            raise self.answers["start"]
        return self

    async def request(self, op: str, args: Mapping[str, Any], *, deadline_s: float) -> Reply:
        assert op == "probe"
        self.asked.append(args["backend"])
        if self.slow:
            await asyncio.Event().wait()
        answer = self.answers[args["backend"]]
        if isinstance(answer, SourceError):
            raise answer
        return Reply(answer)

    async def close(self) -> None:
        self.closed += 1
        if self.close_error:
            raise self.close_error


async def find(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Found:
    async def source() -> bytes:
        return b"worker"

    monkeypatch.setattr(WorkerClient, "start", worker.start)
    monkeypatch.setattr(discover, "worker_source", source)
    return await find_cameras(LocalTransport(), "/usr/bin/python3", clock=SystemClock())


async def test_picamera2_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(picamera2={**HOST, "cameras": [IMX519, {**IMX519, "index": 1, "id": "other"}]})
    found = await find(worker, monkeypatch)
    assert worker.asked == ["picamera2"]
    assert worker.closed == 1
    assert list(found.backends) == ["picamera2"]
    assert [camera.probe.id for camera in found.cameras] == [IMX519["id"], "other"]
    assert found.cameras[0].probe == probe()
    assert found.cameras[0].error is None
    assert found.host == HostFacts(
        machine="Raspberry Pi 5 Model B Rev 1.0",
        os="Debian GNU/Linux 13 (trixie)",
        python="3.13.5",
        picamera2="0.3.38",
        libcamera="v0.7.1",
        rpicam="1.10.0",
    )


async def test_without_picamera2_there_is_rpicam(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = WorkerError("picamera2_missing")
    worker = Worker(picamera2=missing, rpicam={"rpicam": "1.5.0", "machine": "Pi\x00", "cameras": [IMX519]})
    found = await find(worker, monkeypatch)
    assert found.backends["picamera2"] is missing
    assert [camera.probe.backend for camera in found.cameras] == ["rpicam"]
    assert found.host == HostFacts(machine="Pi", python="3.11.2", rpicam="1.5.0")


async def test_that_there_is_no_camera_is_told_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(picamera2={"cameras": "none"}, rpicam=WorkerError("rpicam_missing"))
    worker.close_error = WorkerError("camera_needs_reboot", pid=7)
    found = await find(worker, monkeypatch)
    assert found.cameras == ()
    assert found.backends["picamera2"] == ()
    assert isinstance(found.backends["rpicam"], WorkerError)
    assert worker.closed == 1


async def test_a_camera_that_is_in_use_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"key": "camera_busy_elsewhere", "placeholders": {"holder": "motion", "pid": 812}, "fatal": False}
    cameras = [{**IMX519, "controls": {}, "modes": [], "error": busy}, {"id": "no more"}, "camera"]
    found = await find(Worker(picamera2={"cameras": cameras}), monkeypatch)
    (camera,) = found.cameras
    assert camera.probe.model == "imx519"
    assert camera.error is not None
    assert (camera.error.key, camera.error.placeholders) == ("camera_busy_elsewhere", {"holder": "motion", "pid": "812"})


async def test_a_machine_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(start=SourceError("interpreter_missing", python="python3"))
    with pytest.raises(SourceError, match="interpreter_missing"):
        await find(worker, monkeypatch)
    assert worker.closed == 0


async def test_it_takes_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "TIMEOUT_S", 0.05)
    worker = Worker()
    worker.slow = True
    with pytest.raises(CaptureTimeout) as caught:
        await find(worker, monkeypatch)
    assert (caught.value.key, caught.value.placeholders) == ("camera_timeout", {"deadline_s": "0.05"})
    assert worker.closed == 1
