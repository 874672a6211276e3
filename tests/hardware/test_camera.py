"""What Skylapse asks of a camera, asked of a real one, with the worker as it is shipped."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
import json
from pathlib import Path
import statistics
import sys
import time
from typing import Any

from PIL import Image
import pytest

from custom_components.skylapse.engine.errors import Busy
from custom_components.skylapse.engine.sources.base import Shot
from custom_components.skylapse.engine.sources.worker_camera import WorkerSource

from .conftest import PATIENCE_S, Open, Report, Target, shoot, soon

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(900)]

FRAMES = 50
LONG_US = 10_000_000


def facts(shot: Shot) -> str:
    """Describe a frame in a line."""
    parts: list[tuple[str, Any, str]] = [
        ("", None if shot.exposure_us is None else shot.exposure_us / 1000, "ms"), ("gain ", shot.gain, ""), ("", shot.lux, "lux"),
        ("", shot.colour_temperature_k, "K"), ("lens ", shot.lens_position, "dpt"), ("focus ", shot.focus_measure, ""),
        ("sensor ", shot.sensor_temperature_c, "°C"),
    ]  # fmt: skip
    told = [f"{before}{value:.6g} {after}".strip() for before, value, after in parts if value is not None]
    return ", ".join([f"{shot.width_px}×{shot.height_px}", f"{len(shot.jpeg) / 1e6:.2f} MB", *told])


def spread(seconds: Sequence[float]) -> str:
    """Describe how long something took."""
    ordered = sorted(seconds)
    middle, late = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    return f"median {middle * 1000:.0f} ms, 95 % within {late * 1000:.0f} ms, longest {ordered[-1] * 1000:.0f} ms"


def check(shot: Shot) -> None:
    """See that a frame is a whole picture of the size that it says."""
    with Image.open(BytesIO(shot.jpeg)) as picture:
        picture.load()
        assert picture.size == (shot.width_px, shot.height_px)


async def until(source: WorkerSource, *, streaming: bool, within_s: float) -> None:
    """Wait until the sensor runs, or rests."""
    async with asyncio.timeout(within_s):
        while source.reading.streaming is not streaming:  # noqa: ASYNC110  the reading is all there is
            await asyncio.sleep(0.05)


def manual(source: WorkerSource) -> tuple[int, int]:
    """Return the shortest and longest exposure; skip the test if the camera cannot be told any."""
    allowed = source.capabilities.exposure_range_us
    if not source.capabilities.exposure or allowed is None:
        pytest.skip("the camera takes no exposure time")
    return allowed


def lowest_gain(source: WorkerSource) -> float | None:
    """Return the lowest gain that can be asked for."""
    return source.capabilities.gain_range[0] if source.capabilities.gain_range else None


def test_the_camera_is_found(target: Target, report: Report) -> None:
    report.tell(**asdict(target.found.host), found_within=f"{target.took_s:.1f} s")
    for backend, cameras in target.found.backends.items():
        listed = cameras if isinstance(cameras, tuple) else ()
        report.tell(**{backend: ", ".join(camera.probe.name for camera in listed) or str(cameras) or "none"})
    probe = target.probe
    report.tell(id=probe.id, model=probe.model, rotation=probe.rotation, pixels=probe.pixel_array, raw=probe.raw)
    for mode in probe.modes:
        report.say(f"    {mode.size[0]}×{mode.size[1]}, {mode.bit_depth} bits, {mode.fps} frames/s, exposure {mode.exposure_us} µs")
    for name, control in sorted(probe.controls.items()):
        report.say(f"    {name}: {control.minimum} to {control.maximum}, default {control.default}")


async def test_automatic_exposure(camera: Open, report: Report) -> None:
    begun = time.monotonic()
    async with camera() as source:
        report.tell(started_within=f"{time.monotonic() - begun:.2f} s")
        for number in range(1, 4):
            shot, took_s = await shoot(source)
            check(shot)
            report.tell(**{f"frame_{number}": f"{facts(shot)}, took {took_s:.2f} s"})
        report.keep("automatic", shot)


async def test_manual_exposure_is_proven(camera: Open, report: Report) -> None:
    async with camera() as source:
        shortest, longest = manual(source)
        gain = lowest_gain(source)
        for wanted_us in (shortest * 4, 1_000, 20_000, 200_000):
            if not shortest <= wanted_us <= longest:
                continue
            shot, took_s = await shoot(source, wanted_us, gain)
            report.tell(**{f"asked_for_{wanted_us / 1000:g}_ms": f"{facts(shot)}, took {took_s:.2f} s"})
            if source.capabilities.reports_exposure:
                assert shot.exposure_us == pytest.approx(wanted_us, rel=0.05)
                assert gain is None or shot.gain == pytest.approx(gain, rel=0.05)
        before, _ = await shoot(source)
        after, took_s = await shoot(source)
        report.tell(automatic_again=f"{facts(after)}, took {took_s:.2f} s")
        assert before.exposure_us is None or after.exposure_us != 200_000


async def test_a_long_exposure(camera: Open, report: Report) -> None:
    async with camera() as source:
        _, longest = manual(source)
        wanted_us = min(LONG_US, longest)
        gain = lowest_gain(source)
        for number in range(1, 3):
            shot, took_s = await shoot(source, wanted_us, gain)
            report.tell(**{f"exposure_{number}": f"{facts(shot)}, took {took_s:.2f} s"})
            if source.capabilities.reports_exposure:
                assert shot.exposure_us == pytest.approx(wanted_us, rel=0.05)
        report.keep("long", shot)
        shot, took_s = await shoot(source)
        report.tell(then_automatic=f"{facts(shot)}, took {took_s:.2f} s")
        assert took_s < 30


async def test_the_live_view(camera: Open, report: Report) -> None:
    async with camera() as source:
        if not source.capabilities.preview:
            pytest.skip("the camera gives no small pictures")
        await shoot(source)
        took, sizes, picture = [], [], b""
        end = time.monotonic() + 8
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                picture = await source.preview()
            except Busy:
                await asyncio.sleep(0.05)
                continue
            took.append(time.monotonic() - begun)
            sizes.append(len(picture))
        report.tell(pictures=len(took), each=spread(took), bytes=round(statistics.mean(sizes)))
        report.keep("live", picture)
        assert len(took) > 4
        captured = [(await shoot(source))[1] for _ in range(3)]
        report.tell(captures_in_between=spread(captured))


async def test_rest_and_wake(camera: Open, report: Report) -> None:
    async with camera() as source:
        await shoot(source)
        if source.reading.streaming:
            source.expect(soon(600))
            begun = time.monotonic()
            await until(source, streaming=False, within_s=30)
            report.tell(rests_after=f"{time.monotonic() - begun:.2f} s")
        due = soon(20)
        source.expect(due)
        await asyncio.sleep((due - soon(0)).total_seconds())
        shot, took_s = await shoot(source)
        late_s = (shot.taken_at - due).total_seconds()
        report.tell(woken_for_a_frame=f"began {late_s * 1000:.0f} ms after it was due, took {took_s:.2f} s; {facts(shot)}")
        assert late_s < 5


async def test_autofocus(camera: Open, report: Report) -> None:
    async with camera() as source:
        if not source.capabilities.autofocus:
            pytest.skip("the camera has no autofocus")
        begun = time.monotonic()
        found = await source.autofocus(60.0)
        report.tell(found=found.success, lens_position=found.lens_position, took=f"{time.monotonic() - begun:.2f} s")
        shot, _ = await shoot(source)
        report.tell(frame=facts(shot))
        report.keep("focused", shot)
        begun = time.monotonic()
        sweep = await source.focus_sweep(None, PATIENCE_S)
        report.tell(sweep_took=f"{time.monotonic() - begun:.2f} s", sharpest_at=f"{sweep.best:g} dpt")
        for step in sweep.steps:
            report.say(f"    {step.position:g} dpt: sharpness {step.sharpness:.6g} (lens at {step.lens_position})")


async def test_how_the_machine_is_doing(camera: Open, report: Report) -> None:
    async with camera() as source:
        await shoot(source)
        async with asyncio.timeout(45):
            while (host := source.reading.host) is None:  # noqa: ASYNC110  the reading is all there is
                await asyncio.sleep(0.1)
        report.tell(**asdict(host))
        assert host.memory_available_bytes


async def test_fifty_frames(camera: Open, report: Report) -> None:
    async with camera() as source:
        await shoot(source)
        took, sizes = [], []
        begun = time.monotonic()
        for _ in range(FRAMES):
            shot, took_s = await shoot(source)
            took.append(took_s)
            sizes.append(len(shot.jpeg))
        each_s = (time.monotonic() - begun) / FRAMES
        report.tell(each=spread(took), frames_per_minute=f"{60 / each_s:.1f}", megabytes=f"{statistics.mean(sizes) / 1e6:.2f}")
        report.tell(restarts=source.reading.restarts)
        assert source.reading.restarts == 0


async def test_a_client_that_is_killed_frees_the_camera(target: Target, camera: Open, report: Report) -> None:
    command = (sys.executable, "-P", str(Path(__file__).with_name("client.py")))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{json.dumps(dict(target.data))}\n".encode())
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert int(await process.stdout.readline()) > 1000
    finally:
        process.kill()
        await process.wait()
    begun = time.monotonic()
    async with camera() as source:
        opened_s = time.monotonic() - begun
        check((await shoot(source))[0])
    report.tell(opened_again_within=f"{opened_s:.2f} s")
    assert opened_s < 30
