"""The whole camera source on the virtual camera: from the entry's data to the frame, here and over a real SSH server."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
import sys
import time
from typing import Any

from PIL import Image
import pytest

from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.camera_host.replies import Reply
from custom_components.skylapse.engine.errors import Busy, SkylapseError, SourceError, WorkerError
from custom_components.skylapse.engine.ports import Site, SystemClock
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot
from custom_components.skylapse.engine.sources.build import build_source, build_transport
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe
from custom_components.skylapse.engine.sources.discover import find_cameras
from custom_components.skylapse.engine.sources.worker_camera import WorkerSource
from tests.rig.fixtures import MakeRig
from tests.rig.machine import Rig
from tests.rig.sshd import Sshd

pytestmark = pytest.mark.rig

SMALL = {"resolution": "1280x720", "quality": 60}


async def no_image(entity_id: str, timeout_s: float) -> bytes:
    raise AssertionError


async def probe_of(rig: Rig) -> CameraProbe:
    (camera,) = (await find_cameras(LocalTransport(), rig.python, clock=SystemClock())).cameras
    assert camera.error is None
    return camera.probe


def entry(rig: Rig, probe: CameraProbe, **data: Any) -> dict[str, Any]:
    return {
        "source": probe.backend,
        "transport": "local",
        "python": rig.python,
        "camera_id": probe.id,
        "camera_index": probe.index,
        "model": probe.model,
        "probe": probe.to_dict(),
        **data,
    }


def over_ssh(sshd: Sshd) -> dict[str, Any]:
    return {
        "transport": "ssh",
        "host": sshd.host,
        "port": sshd.port,
        "username": sshd.username,
        "host_key": sshd.host_key,
        "private_key": sshd.private_key,
    }


def build(data: Mapping[str, Any], options: Mapping[str, Any]) -> WorkerSource:
    source = build_source(data, options, site=lambda: Site(0, 0, 0, UTC), clock=SystemClock(), fetch_image=no_image)
    assert isinstance(source, WorkerSource)
    return source


@asynccontextmanager
async def camera(rig: Rig, options: Mapping[str, Any] | None = None, **data: Any) -> AsyncGenerator[WorkerSource]:
    """A started camera, which is closed in the end and leaves nothing running."""
    source = build(entry(rig, await probe_of(rig), **data), {**SMALL, **(options or {})})
    try:
        await source.start()
        yield source
    finally:
        await source.close()
    assert not source.reading.connected


async def shoot(source: WorkerSource, exposure_us: int | None = None, gain: float | None = None, deadline_s: float = 20.0) -> Shot:
    return await source.capture(CaptureRequest(datetime.now(UTC), deadline_s, exposure_us, gain))


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        await asyncio.sleep(0.02)


def brightness(shot: Shot) -> float:
    with Image.open(BytesIO(shot.jpeg)) as picture:
        histogram = picture.convert("L").histogram()
    return sum(level * count for level, count in enumerate(histogram)) / sum(histogram)


def replies(source: WorkerSource, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what the worker is asked from now on and answers, as a list that grows; not how its host is doing."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    request = source._link.request

    async def noted(op: str, args: Mapping[str, Any] | None = None, *, deadline_s: float) -> Reply:
        reply = await request(op, args, deadline_s=deadline_s)
        if op != "metrics":
            found.append((op, reply.result))
        return reply

    monkeypatch.setattr(source._link, "request", noted)
    return found


# -- from a machine to a frame


async def test_a_camera_is_found_and_photographs(rigs: MakeRig) -> None:
    rig = rigs()
    found = await find_cameras(LocalTransport(), rig.python, clock=SystemClock())
    assert list(found.backends) == ["picamera2"]
    assert found.host.picamera2 is not None
    (one,) = found.cameras
    assert one.probe.name == "Arducam 16 MP (imx519)"
    assert one.probe.resolutions[0] == (4656, 3496)
    assert one.probe.capabilities.autofocus
    async with camera(rig, {"resolution": "4656x3496"}) as source:
        asked = datetime.now(UTC)
        shot = await shoot(source)
        assert (shot.width_px, shot.height_px) == (4656, 3496)
        assert asked <= shot.taken_at <= datetime.now(UTC)
        assert shot.lux == pytest.approx(1000, rel=0.1)
        assert None not in (shot.exposure_us, shot.gain, shot.colour_temperature_k, shot.focus_measure, shot.lens_position)
        assert source.reading.connected
        assert source.reading.streaming
        await until(lambda: source.reading.host is not None)
        assert source.reading.host is not None
        assert source.reading.host.memory_used_percent is not None


async def test_machines_without_a_camera_or_without_picamera2_say_so(rig: MakeRig) -> None:
    found = await find_cameras(LocalTransport(), rig(cameras=[]).python, clock=SystemClock())
    assert found.cameras == ()
    error = found.backends["picamera2"]
    assert isinstance(error, SkylapseError)
    assert error.key == "camera_missing"
    found = await find_cameras(LocalTransport(), sys.executable, clock=SystemClock())
    error = found.backends["picamera2"]
    assert isinstance(error, SkylapseError)
    assert error.key == "picamera2_missing"


async def test_a_camera_over_ssh_photographs_as_well(rig: MakeRig, sshd: Sshd) -> None:
    machine = rig()
    data = entry(machine, await probe_of(machine), **over_ssh(sshd))
    transport = build_transport(data)
    found = await find_cameras(transport, machine.python, clock=SystemClock())
    await transport.close()
    assert found.cameras[0].probe.id == data["camera_id"]
    async with camera(machine, **over_ssh(sshd)) as source:
        shot = await shoot(source, 5000, 2.0)
        assert shot.exposure_us == pytest.approx(5000, rel=0.05)
        assert shot.gain == pytest.approx(2.0, rel=0.05)
        assert await source.preview()
        sshd.stop()
        sshd.start()
        assert (await shoot(source, 4000, 2.0)).exposure_us == pytest.approx(4000, rel=0.05)


async def test_a_camera_that_is_used_elsewhere_says_so(rig: MakeRig) -> None:
    machine = rig()
    async with camera(machine):
        (other,) = (await find_cameras(LocalTransport(), machine.python, clock=SystemClock())).cameras
        assert other.error is not None
        assert other.error.key == "camera_busy_elsewhere"


# -- exposure


async def test_exposure_and_gain_are_proven(rigs: MakeRig) -> None:
    async with camera(rigs()) as source:
        for exposure_us, gain in ((2000, 1.0), (40_000, 4.0), (500, 8.0), (10_000, None), (None, 3.0)):
            shot = await shoot(source, exposure_us, gain)
            if exposure_us:
                assert shot.exposure_us == pytest.approx(exposure_us, rel=0.05)
            if gain:
                assert shot.gain == pytest.approx(gain, rel=0.05)
        with pytest.raises(SourceError) as caught:
            await shoot(source, 10**9)
        assert caught.value.key == "exposure_out_of_range"


async def test_manual_settings_hold_until_they_are_automatic_again(rig: MakeRig) -> None:
    async with camera(rig(), {"exposure_mode": "manual", "exposure_ms": 4, "gain": 2}) as source:
        assert source.capabilities.usual_exposure_us == 4000
        shot = await shoot(source)
        assert (shot.exposure_us, shot.gain) == (pytest.approx(4000, rel=0.05), pytest.approx(2.0, rel=0.05))
    async with camera(rig()) as source:
        automatic = await shoot(source)
        await shoot(source, 2000, 1.0)
        again = await shoot(source)
        assert again.exposure_us == pytest.approx(automatic.exposure_us, rel=0.1)


async def test_a_long_exposure_is_the_first_frame_of_its_stream(rigs: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with camera(rigs(), {"exposure_mode": "manual", "exposure_ms": 2000, "gain": 4}) as source:
        await shoot(source)
        found = replies(source, monkeypatch)
        assert (await shoot(source)).exposure_us == pytest.approx(2_000_000, rel=0.05)
        assert [(op, result["frames"]) for op, result in found] == [("capture", 1)]  # one exposure, never two
        assert not source.reading.streaming


async def test_a_correction_of_the_exposure_is_seen(rig: MakeRig) -> None:
    machine = rig()
    async with camera(machine) as source:
        before = await shoot(source)
        await source.adjust(ev=1.0)
        after = await shoot(source)
        assert after.exposure_us is not None
        assert before.exposure_us is not None
        assert after.exposure_us * (after.gain or 1) == pytest.approx(2 * before.exposure_us * (before.gain or 1), rel=0.15)
        assert brightness(after) > brightness(before) * 1.2


async def test_pictures_are_turned_by_the_sensor_or_by_their_exif(rig: MakeRig) -> None:
    machine = rig()
    for rotation, orientation in (("0", 1), ("90", 6), ("270", 8)):
        async with camera(machine, {"rotation": rotation}) as source, asyncio.timeout(30):
            shot = await shoot(source)
        with Image.open(BytesIO(shot.jpeg)) as picture:
            assert picture.getexif()[274] == orientation
            assert (picture.getexif()[271], picture.getexif()[272]) == ("Arducam", "16 MP (imx519)")


async def test_every_option_is_taken_by_the_camera(rigs: MakeRig) -> None:
    options = {
        "exposure_mode": "manual",
        "exposure_ms": 20,
        "gain": 2,
        "ev": 0.5,
        "metering": "matrix",
        "white_balance": "fixed",
        "gain_red": 2.4,
        "gain_blue": 1.6,
        "focus_mode": "fixed",
        "lens_position": 2.0,
        "noise_reduction": "fast",
        "sharpness": 2,
        "contrast": 1.2,
        "saturation": 0.8,
        "brightness": 0.1,
        "roi_left": 25,
        "roi_top": 25,
        "roi_width": 50,
        "roi_height": 50,
        "hflip": True,
    }
    async with camera(rigs(), options) as source:
        shot = await shoot(source)
        assert shot.lens_position == pytest.approx(2.0)
        assert shot.gain == pytest.approx(2.0, rel=0.05)


# -- rest and wake


async def test_woken_ahead_a_frame_begins_when_it_is_due(rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.skylapse.engine.sources.sensor_rest.REST_AFTER_S", 5.0)
    monkeypatch.setattr("custom_components.skylapse.engine.sources.sensor_rest.WAKE_LEAD_S", 3.0)
    async with camera(rig()) as source:
        await shoot(source)
        found = replies(source, monkeypatch)
        due = datetime.now(UTC) + timedelta(seconds=7)
        source.expect(due)
        await until(lambda: not source.reading.streaming)
        await until(lambda: source.reading.streaming)
        await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
        assert (await shoot(source)).taken_at >= due
        assert [op for op, _ in found] == ["rest", "wake", "capture"]
        source.expect(None)
        await until(lambda: not source.reading.streaming)


async def test_a_capture_waits_for_one_look_at_most(rig: MakeRig) -> None:
    async with camera(rig()) as source:
        assert len(await source.preview()) > 1000
        ending = False
        looks = refused = 0

        async def look() -> None:
            nonlocal looks, refused
            while not ending:
                try:
                    await source.preview()
                    looks += 1
                except Busy:
                    refused += 1
                    await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        for count in range(1, 6):
            await until(lambda: looks >= count)  # noqa: B023
            before = looks
            await shoot(source)
            assert looks <= before + 1  # the one that was being taken
        ending = True
        await looking
        assert looks >= 5
        assert refused > 0


async def test_what_is_adjusted_shows_while_looking(rig: MakeRig) -> None:
    async with camera(rig()) as source:
        await source.preview()
        await source.adjust(lens_position=4.0, ev=-2)
        end = time.monotonic() + 30
        while source.reading.lens_position != pytest.approx(4.0):
            assert time.monotonic() < end
            await source.preview()
        assert (await shoot(source)).lens_position == pytest.approx(4.0)


async def test_looking_at_night_takes_no_exposure_of_the_night(rig: MakeRig) -> None:
    async with camera(rig(), {"exposure_mode": "manual", "exposure_ms": 5000, "gain": 8}) as source:
        await source.preview()
        assert source.reading.exposure_us is not None
        assert source.reading.exposure_us < 500_000


# -- focus


async def test_a_sweep_finds_where_it_is_sharp(rigs: MakeRig) -> None:
    async with camera(rigs(focus_peak=2.0)) as source:
        before = await shoot(source)
        sweep = await source.focus_sweep([0, 1, 1.5, 2, 2.5, 3, 6], 60.0)
        assert sweep.best == 2.0
        assert [step.position for step in sweep.steps] == [0, 1, 1.5, 2, 2.5, 3, 6]
        assert (await shoot(source)).lens_position == before.lens_position


async def test_autofocus_finds_it_by_itself_and_stays_there(rig: MakeRig) -> None:
    machine = rig(focus_peak=3.0)
    async with camera(machine) as source:
        found = await source.autofocus(20.0)
        assert found.success
        assert found.lens_position == pytest.approx(3.0)
        assert (await shoot(source)).lens_position == pytest.approx(3.0)
        await source.adjust(lens_position=1.0)
        assert (await shoot(source)).lens_position == pytest.approx(1.0)
    async with camera(machine, {"focus_mode": "auto_once"}) as source:
        assert (await shoot(source)).lens_position == pytest.approx(3.0)


async def test_a_camera_without_a_lens_motor_cannot(rig: MakeRig) -> None:
    async with camera(rig(without=["lens"])) as source:
        assert source.capabilities.lens_range is None
        with pytest.raises(WorkerError, match="camera_cannot"):
            await source.focus_sweep(None, 30.0)
        assert (await shoot(source)).lens_position is None


# -- when things go wrong


@pytest.mark.parametrize("fault", ["abort once", "exit once", "stall once"])
async def test_a_worker_that_fails_is_replaced_and_tells_it(rig: MakeRig, fault: str) -> None:
    machine = rig()
    async with camera(machine) as source:
        await shoot(source)
        machine.control(0, fault)
        for _ in range(4):
            try:
                await shoot(source, deadline_s=8.0)
                break
            except SourceError:
                await asyncio.sleep(0.2)
        assert (await shoot(source, deadline_s=8.0)).width_px == 1280
        assert source.reading.restarts == (0 if fault == "stall once" else 1)
        assert source.reading.connected
