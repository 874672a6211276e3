"""A camera behind a worker: what it asks for, when, and what it makes of the answers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import gc
import json
import logging
from typing import Any

import pytest

from custom_components.skylapse.engine.camera_host.replies import Reply
from custom_components.skylapse.engine.errors import BadPicture, Busy, CaptureTimeout, SkylapseError, SourceError, WorkerError
from custom_components.skylapse.engine.sources import worker_camera
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe
from custom_components.skylapse.engine.sources.camera_settings import CameraSettings
from custom_components.skylapse.engine.sources.live import Autofocus, CameraReading
from custom_components.skylapse.engine.sources.worker_camera import WorkerSource

from ..fakes import FakeClock, jpeg, run_for
from .cameras import probe

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PICTURE = jpeg(1, (64, 48))
METADATA = {
    "ExposureTime": 20_000,
    "AnalogueGain": 1.5,
    "Lux": 812.4,
    "ColourTemperature": 5123,
    "SensorTemperature": 38.0,
    "FocusFoM": 1800,
    "LensPosition": 1.0,
}


class FakeLink:
    """A supervisor whose worker answers as the test says; ``answers`` go before what it answers by itself."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.configure: Callable[[], Mapping[str, Any]] = dict
        self.on_change: Callable[[], None] = lambda: None
        self.connected = False
        self.restarts = 0
        self.configured: Mapping[str, Any] = {}
        self.next_configured: Mapping[str, Any] = {"limits": {}, "size": [4656, 3496]}
        self.hello: Mapping[str, Any] = {}
        self.error: SkylapseError | None = None
        self.backoff_s = 0.0
        self.stderr = ("a line",)
        self.requests: list[tuple[str, Mapping[str, Any], float]] = []
        self.at: list[float] = []
        self.answers: dict[str, list[Reply | Exception | float]] = {}
        """A number of seconds of the fake clock passes before the answer."""
        self.starts: list[SkylapseError] = []
        self.started = self.closed = self.recycled = 0
        self.close_error: Exception | None = None

    async def start(self) -> None:
        self.started += 1
        if self.starts:
            raise self.starts.pop(0)
        self.connect()

    def connect(self) -> None:
        self.connected = True
        self.hello = {"python": "3.13.5"}
        self.configure()
        self.configured = dict(self.next_configured)
        self.on_change()

    async def request(self, op: str, args: Mapping[str, Any] | None = None, *, deadline_s: float) -> Reply:
        json.dumps(args)
        self.requests.append((op, args or {}, deadline_s))
        self.at.append(self.clock.monotonic())
        script = self.answers.get(op, [])
        while script:
            answer = script.pop(0)
            if isinstance(answer, Reply):
                return answer
            if isinstance(answer, Exception):
                raise answer
            await self.clock.sleep(answer)
        return self.usual(op)

    def usual(self, op: str) -> Reply:
        if op == "capture":
            return captured()
        if op == "preview":
            return Reply({"size": [64, 48], "metadata": METADATA}, PICTURE)
        if op == "metrics":
            return Reply({"load_1m": 0.5})
        if op == "focus_sweep":
            return Reply({"steps": [{"position": 0, "sharpness": 1}, {"position": 2, "sharpness": 5}], "best": 2})
        if op == "autofocus":
            return Reply({"success": True, "lens_position": 0.75, "duration_ms": 900})
        return Reply({})

    async def recycle(self) -> bool:
        self.recycled += 1
        return False

    async def close(self) -> None:
        self.closed += 1
        self.connected = False
        if self.close_error:
            raise self.close_error

    def ops(self, *but: str) -> list[str]:
        return [op for op, _, _ in self.requests if op not in (but or ("metrics",))]

    def last(self, op: str) -> Mapping[str, Any]:
        return next(args for asked, args, _ in reversed(self.requests) if asked == op)


def captured(picture: bytes = PICTURE, *, raw: bytes = b"", **result: Any) -> Reply:
    parts = [["jpeg", len(picture)], *([["dng", len(raw)]] if raw else [])]
    return Reply({"taken_at": NOON.timestamp(), "metadata": METADATA, "parts": parts, **result}, picture + raw)


class Scene:
    """One camera on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOON)
        self.link = FakeLink(self.clock)
        self.source: WorkerSource = self.build()

    def build(self, camera: CameraProbe | None = None, **options: Any) -> WorkerSource:
        def make(configure: Callable[[], Mapping[str, Any]], on_change: Callable[[], None]) -> FakeLink:
            self.link.configure, self.link.on_change = configure, on_change
            return self.link

        self.source = WorkerSource(CameraSettings.from_options(options, camera or probe()), make, self.clock)
        return self.source

    async def started(self, camera: CameraProbe | None = None, **options: Any) -> WorkerSource:
        source = self.build(camera, **options)
        await source.start()
        await self.settled()
        return source

    async def settled(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def run(self, seconds: float) -> None:
        await run_for(self.clock, seconds, self.settled)

    async def shoot(self, exposure_us: int | None = None, gain: float | None = None) -> Shot:
        return await self.source.capture(CaptureRequest(self.clock.now(), 10.0, exposure_us, gain))

    def expect(self, seconds: float) -> None:
        self.source.expect(self.clock.now() + timedelta(seconds=seconds))


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    made = Scene()
    yield made
    made.link.close_error = None
    await made.source.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("skylapse")]


# -- frames


async def test_a_frame_comes_with_all_that_is_known_of_it(scene: Scene) -> None:
    source = await scene.started()
    shot = await scene.shoot()
    assert shot.jpeg == PICTURE
    assert replace(shot, jpeg=b"") == Shot(
        jpeg=b"",
        taken_at=NOON,
        exposure_us=20_000,
        gain=1.5,
        lux=812.4,
        colour_temperature_k=5123,
        width_px=64,
        height_px=48,
        sensor_temperature_c=38.0,
        focus_measure=1800,
        lens_position=1.0,
        dng=None,
    )
    op, args, deadline_s = scene.link.requests[-1]
    assert (op, deadline_s) == ("capture", 10.0)
    assert args["match"] == {"exposure_us": None, "gain": None}
    assert args["controls"] == source._settings.controls()
    reading = source.reading
    assert reading.connected
    assert reading.streaming
    assert (reading.lux, reading.lens_position, reading.exposure_us) == (812.4, 1.0, 20_000)


async def test_what_a_request_asks_for_has_to_be_proven(scene: Scene) -> None:
    await scene.started()
    await scene.shoot(5000, 2.0)
    args = scene.link.last("capture")
    assert args["match"] == {"exposure_us": 5000, "gain": 2.0}
    assert (args["controls"]["ExposureTime"], args["controls"]["AnalogueGain"]) == (5000, 2.0)


async def test_so_has_what_is_set(scene: Scene) -> None:
    source = await scene.started(exposure_mode="manual", exposure_ms=30_000, gain=4)
    assert source.capabilities.usual_exposure_us == 30_000_000
    await scene.shoot()
    assert scene.link.last("capture")["match"] == {"exposure_us": 30_000_000, "gain": 4.0}
    assert not source.reading.streaming  # the worker ends the stream after a long exposure


async def test_an_exposure_beyond_the_modes_limits_is_refused_at_once(scene: Scene) -> None:
    scene.link.next_configured = {"limits": {"ExposureTime": [100, 5000, 1000]}, "size": [2328, 1748]}
    source = await scene.started()
    assert source.capabilities.exposure_range_us == (100, 5000)
    assert (source.capabilities.width_px, source.capabilities.height_px) == (2328, 1748)
    with pytest.raises(SourceError) as caught:
        await scene.shoot(6000)
    assert caught.value.key == "exposure_out_of_range"
    assert scene.link.ops() == []


async def test_raw_data_comes_along(scene: Scene) -> None:
    source = await scene.started(dng=True)
    assert source.capabilities.dng
    assert scene.link.configure()["raw"] is True
    scene.link.answers["capture"] = [captured(raw=b"II*\0raw")]
    shot = await scene.shoot()
    assert (shot.jpeg, shot.dng, shot.dng_error) == (PICTURE, b"II*\0raw", None)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("MemoryError:\n no room", "MemoryError: no room"),
        ("x" * 999, "x" * 200),
        (" ", "the camera gave none"),
        (7, "the camera gave none"),
        ("\x1b[31mno\ud800room\x00", "no room"),
    ],
)
async def test_raw_data_that_does_not_come_is_told_and_costs_no_frame(scene: Scene, told: object, said: str) -> None:
    await scene.started(dng=True)
    scene.link.answers["capture"] = [captured(dng_error=told)]
    shot = await scene.shoot()
    assert (shot.jpeg, shot.dng, shot.dng_error) == (PICTURE, None, said)


async def test_raw_data_that_nobody_wants_is_not_missed(scene: Scene) -> None:
    await scene.started()
    assert (await scene.shoot()).dng_error is None


async def test_half_a_picture_is_none(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["capture"] = [captured(PICTURE[:-9]), captured(parts=[["jpeg", 3]])]
    with pytest.raises(BadPicture):
        await scene.shoot()
    with pytest.raises(WorkerError, match="makes no sense"):
        await scene.shoot()
    assert source.reading.lux is None
    assert source.reading.streaming


async def test_big_pictures_are_checked_off_the_loop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    to_thread = asyncio.to_thread

    async def noted(function: Callable[..., Any], *args: Any) -> Any:
        checked.append(function)
        return await to_thread(function, *args)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    await scene.started()
    await scene.shoot()
    assert checked == []
    scene.link.answers["capture"] = [captured(PICTURE + bytes(1_000_000))]
    await scene.shoot()
    assert checked == [worker_camera.check_jpeg]


async def test_a_host_with_a_wrong_clock_does_not_date_frames(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    await scene.started()
    wrong = captured(taken_at=NOON.timestamp() - 3600, timings_ms={"jpeg": 300.0})
    scene.link.answers["capture"] = [2.0, wrong, 2.0, wrong, 2.0, captured(taken_at=NOON.timestamp() + 4.5), 2.0, wrong]
    shots = []
    for _ in range(4):
        shoot = asyncio.create_task(scene.shoot())
        await scene.run(2)
        shots.append(await shoot)
    since = [(shot.taken_at - NOON).total_seconds() for shot in shots]
    assert since == pytest.approx([1.68, 3.68, 4.5, 7.68])
    assert caplog.text.count("clock of the camera's host is wrong") == 2  # once each time it goes wrong


async def test_a_failed_capture_is_told_and_the_sensor_may_run(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["capture"] = [CaptureTimeout("camera_timeout", deadline_s=10)]
    with pytest.raises(CaptureTimeout):
        await scene.shoot()
    assert source.reading.streaming
    await scene.run(1)
    assert scene.link.ops() == ["capture", "rest"]


# -- life


async def test_it_can_be_started_closed_and_started_again(scene: Scene) -> None:
    source = scene.build()
    with pytest.raises(SourceError, match="source_not_started"):
        await scene.shoot()
    await source.start()
    await source.start()
    assert source.reading.connected
    await source.close()
    assert scene.link.closed == 1
    assert source.reading.connected is False
    for ask in (scene.shoot, source.preview):
        with pytest.raises(SourceError, match="source_not_started"):
            await ask()
    await source.start()
    assert (await scene.shoot()).jpeg == PICTURE


async def test_a_camera_that_is_not_there_is_waited_for(scene: Scene) -> None:
    source = scene.build()
    scene.link.starts = [WorkerError("camera_missing")]
    with pytest.raises(WorkerError, match="camera_missing"):
        await source.start()
    assert not source.reading.connected
    scene.link.error = WorkerError("camera_missing")
    assert source.error is scene.link.error
    scene.link.connect()  # the link goes on trying
    assert source.reading.connected
    assert source.error is None
    assert (await scene.shoot()).jpeg == PICTURE


async def test_a_link_that_fails_to_close_is_only_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    source = await scene.started()
    scene.link.close_error = RuntimeError("oops")
    await source.close()
    assert "could not be ended" in caplog.text


async def test_listeners_hear_of_changes_until_they_do_not_want_to(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    source = await scene.started()
    heard: list[CameraReading] = []

    def broken() -> None:
        raise RuntimeError("oops")

    source.subscribe(broken)
    unsubscribe = source.subscribe(lambda: heard.append(source.reading))
    await scene.shoot()
    assert heard[-1].lux == 812.4
    assert "A listener of the camera failed" in caplog.text
    scene.link.connected = False
    scene.link.restarts = 2
    scene.link.on_change()
    assert (heard[-1].connected, heard[-1].streaming, heard[-1].restarts) == (False, False, 2)
    await scene.shoot()
    scene.link.connected = True
    scene.link.on_change()
    assert heard[-1].connected is True
    await source.close()
    assert heard[-1].connected is False
    await source.start()
    unsubscribe()
    unsubscribe()
    count = len(heard)
    await scene.shoot()
    assert len(heard) == count


async def test_a_new_worker_begins_at_rest_with_limits_of_its_own(scene: Scene) -> None:
    source = await scene.started()
    await scene.shoot()
    scene.link.next_configured = {"limits": {"AnalogueGain": [1.0, 8.0, 1.0]}, "size": "odd"}
    scene.link.connect()
    assert not source.reading.streaming
    assert source.capabilities.gain_range == (1.0, 8.0)
    assert source.capabilities.width_px == 4656


async def test_diagnostics_tell_what_is_wrong(scene: Scene) -> None:
    source = await scene.started(tuning_file="night.json")
    scene.link.error, scene.link.backoff_s = WorkerError("camera_missing"), 4.56789
    told = source.diagnostics()
    json.dumps(told)
    assert told["error"] == "camera_missing"
    assert told["backoff_s"] == 4.6
    assert told["stderr"] == ["a line"]
    assert told["hello"] == {"python": "3.13.5"}
    assert told["asked"]["tuning"] == "night.json"
    assert told["probe"]["model"] == "imx519"
    scene.link.error = None
    assert source.diagnostics()["error"] is None


async def test_a_thermometer_is_known_once_it_told(scene: Scene) -> None:
    source = await scene.started()
    assert source.capabilities.sensor_temperature is False
    await scene.shoot()
    assert source.capabilities.sensor_temperature is True
    assert source.identity == probe().identity


# -- how the host is doing


async def test_the_host_is_asked_twice_a_minute_also_while_the_sensor_rests(scene: Scene) -> None:
    source = await scene.started()
    assert source.reading.host is not None
    assert source.reading.host.load_1m == 0.5
    heard: list[CameraReading] = []
    source.subscribe(lambda: heard.append(source.reading))
    await scene.run(95)
    assert len(heard) == 3
    assert scene.link.ops("none") == ["metrics"] * 4
    scene.link.answers["metrics"] = [WorkerError("worker_busy"), SkylapseError("unexpected")]
    await scene.run(30)
    assert source.reading.host is None
    await scene.run(30)
    assert source.reading.host is None
    await scene.run(30)
    assert source.reading.host is not None


async def test_an_old_worker_is_replaced_only_when_there_is_time(scene: Scene) -> None:
    source = await scene.started()
    assert scene.link.recycled == 1
    scene.expect(59)
    await scene.run(31)
    assert scene.link.recycled == 1
    source.expect(None)
    await source.preview()
    await scene.run(29.5)
    assert scene.link.recycled == 1
    await scene.run(30)
    assert scene.link.recycled == 2
    scene.link.answers["capture"] = [40.0]
    shoot = asyncio.create_task(scene.shoot())
    await scene.run(40)
    assert scene.link.recycled == 2
    await shoot


# -- rest and wake


async def test_between_captures_that_are_close_the_sensor_runs(scene: Scene) -> None:
    await scene.started()
    for _ in range(3):
        scene.expect(60)
        await scene.shoot()
        await scene.run(60)
    assert scene.link.ops() == ["capture"] * 3


async def test_between_captures_that_are_far_apart_it_rests_and_is_woken(scene: Scene) -> None:
    source = await scene.started()
    await scene.shoot()
    scene.expect(600)
    await scene.run(1)
    assert scene.link.ops() == ["capture", "rest"]
    assert not source.reading.streaming
    begin = scene.clock.monotonic()
    await scene.run(598)
    assert scene.link.ops() == ["capture", "rest", "wake"]
    assert scene.link.at[scene.link.ops("none").index("wake")] == pytest.approx(begin + 591)
    assert scene.link.last("wake")["controls"]["ExposureTime"] == 0
    assert source.reading.streaming
    await scene.run(1)
    await scene.shoot()
    assert scene.link.ops() == ["capture", "rest", "wake", "capture"]


async def test_a_wall_clock_that_is_set_makes_it_miss_nothing(scene: Scene) -> None:
    await scene.started()
    scene.expect(3600)
    await scene.run(10)
    scene.clock.step(timedelta(seconds=3500))
    await scene.run(85)
    assert scene.link.ops() == ["wake"]


async def test_a_sensor_that_does_not_wake_is_left_to_the_capture(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["wake"] = [WorkerError("camera_failed", error="no")]
    scene.expect(5)
    await scene.run(4)
    assert scene.link.ops() == ["wake"]
    assert not source.reading.streaming
    await scene.shoot()
    assert source.reading.streaming


async def test_what_the_worker_says_of_its_stream_counts(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["wake"] = [Reply({"streaming": False})]
    scene.expect(5)
    await scene.run(1)
    assert not source.reading.streaming


async def test_a_sensor_that_says_it_does_not_rest_is_not_told_again_and_again(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["rest"] = [Reply({"streaming": True})] * 5
    await scene.shoot()
    await scene.settled()
    assert scene.link.ops() == ["capture", "rest"]
    assert not source.reading.streaming


@pytest.mark.parametrize("steps", range(4))
async def test_a_close_that_is_cancelled_ends_the_worker_all_the_same(scene: Scene, steps: int) -> None:
    source = await scene.started()
    closing = asyncio.create_task(source.close())
    for _ in range(steps + 1):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    assert scene.link.closed == 1


async def test_for_long_exposures_it_is_never_woken_ahead(scene: Scene) -> None:
    await scene.started(exposure_mode="manual", exposure_ms=1000)
    scene.expect(30)
    await scene.run(29)
    assert scene.link.ops() == []


async def test_rpicam_has_no_sensor_to_wake(scene: Scene) -> None:
    source = await scene.started(probe(backend="rpicam"))
    await scene.shoot()
    assert not source.reading.streaming
    scene.expect(5)
    await scene.run(100)
    assert scene.link.ops() == ["capture"]
    for ask, what in ((source.preview(), "preview"), (source.focus_sweep(None, 9), "focus_sweep"), (source.autofocus(9), "autofocus")):
        with pytest.raises(WorkerError) as caught:
            await ask
        assert (caught.value.key, caught.value.placeholders) == ("camera_cannot", {"what": what})


# -- looking


async def test_whoever_looks_keeps_the_sensor_awake_for_half_a_minute(scene: Scene) -> None:
    source = await scene.started()
    assert await source.preview() == PICTURE
    assert source.reading.lux == 812.4
    await scene.run(29)
    assert scene.link.ops() == ["preview"]
    await scene.run(2)
    assert scene.link.ops() == ["preview", "rest"]


async def test_captures_go_first(scene: Scene) -> None:
    source = await scene.started()
    scene.expect(4.5)
    scene.link.answers["capture"] = [3.0]
    shoot = asyncio.create_task(scene.shoot())
    await scene.settled()
    with pytest.raises(Busy):
        await source.preview()
    await scene.run(3)
    await shoot
    scene.expect(1.5)  # no news
    await source.preview()
    await scene.run(0.6)
    with pytest.raises(Busy):
        await source.preview()
    await scene.run(1)
    await source.preview()  # it was due and nobody took it


async def test_a_resting_sensor_is_not_started_for_a_look_just_before_a_capture(scene: Scene) -> None:
    source = await scene.started(exposure_mode="manual", exposure_ms=2000)
    scene.expect(4.9)
    with pytest.raises(Busy):
        await source.preview()


async def test_who_asks_meanwhile_gets_the_same_picture(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["preview"] = [0.5]
    asked = [asyncio.create_task(source.preview()) for _ in range(3)]
    await scene.settled()
    asked[0].cancel()
    await scene.run(1)
    assert await asked[1] == await asked[2] == PICTURE
    assert asked[0].cancelled()
    assert scene.link.ops() == ["preview"]


async def test_a_look_that_fails_is_told_to_who_asked(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["preview"] = [WorkerError("camera_failed", error="no"), Reply({}, b"")]
    with pytest.raises(WorkerError):
        await source.preview()
    await scene.settled()
    with pytest.raises(BadPicture):
        await source.preview()
    assert await source.preview() == PICTURE


async def test_a_look_that_fails_when_nobody_waits_any_more_is_no_bug(scene: Scene) -> None:
    source = await scene.started()
    told: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    scene.link.answers["preview"] = [0.5, WorkerError("camera_failed", error="no")]
    look = asyncio.create_task(source.preview())
    await scene.settled()
    look.cancel()
    await scene.run(1)
    del look
    gc.collect()
    await scene.settled()
    assert told == []


async def test_a_camera_that_is_closed_meanwhile_says_so(scene: Scene) -> None:
    source = await scene.started()
    scene.link.answers["preview"] = [5.0]
    look = asyncio.create_task(source.preview())
    await scene.settled()
    await source.close()
    with pytest.raises(SourceError, match="source_not_started"):
        await look


async def test_night_exposures_do_not_make_looking_slow(scene: Scene) -> None:
    source = await scene.started(exposure_mode="manual", exposure_ms=20_000, gain=8)
    await source.preview()
    controls = scene.link.last("preview")["controls"]
    assert (controls["ExposureTime"], controls["AnalogueGain"]) == (0, 0.0)
    await scene.shoot()
    assert scene.link.last("capture")["controls"]["ExposureTime"] == 20_000_000


# -- focus and adjustments


async def test_a_sweep_goes_over_the_whole_range_dense_where_it_is_far(scene: Scene) -> None:
    source = await scene.started()
    sweep = await source.focus_sweep(None, 60.0)
    assert sweep.best == 2
    op, args, deadline_s = scene.link.requests[-1]
    assert (op, deadline_s) == ("focus_sweep", 60.0)
    positions = args["positions"]
    assert (len(positions), positions[0], positions[-1]) == (16, 0.0, 32.0)
    assert positions[1] == 0.1422
    await source.focus_sweep([0, 1, 2], 60.0)
    assert scene.link.last("focus_sweep")["positions"] == [0.0, 1.0, 2.0]


async def test_a_sweep_that_is_none_is_refused(scene: Scene) -> None:
    source = await scene.started()
    for positions in ([], [1.0] * 101):
        with pytest.raises(SourceError, match="focus_positions_invalid"):
            await source.focus_sweep(positions, 60.0)
    with pytest.raises(SourceError, match="lens_position_out_of_range"):
        await source.focus_sweep([1, 33], 60.0)
    await source.close()
    without = await scene.started(probe(without=("LensPosition",)))
    with pytest.raises(WorkerError, match="camera_cannot"):
        await without.focus_sweep(None, 60.0)


async def test_autofocus_holds_what_it_found(scene: Scene) -> None:
    source = await scene.started()
    assert await source.autofocus(20.0) == Autofocus(True, 0.75)
    assert source.reading.lens_position == 0.75
    await scene.shoot()
    assert scene.link.last("capture")["controls"]["LensPosition"] == 0.75
    scene.link.answers["autofocus"] = [Reply({"success": False, "lens_position": 9.0})]
    assert await source.autofocus(20.0) == Autofocus(False, 9.0)
    await scene.shoot()
    assert scene.link.last("capture")["controls"]["LensPosition"] == 0.75


async def test_auto_once_focuses_before_the_first_frame_only(scene: Scene) -> None:
    source = await scene.started(focus_mode="auto_once")
    await scene.shoot()
    await scene.shoot()
    assert scene.link.ops() == ["autofocus", "capture", "capture"]
    assert scene.link.last("capture")["controls"]["LensPosition"] == 0.75
    await source.close()
    await source.start()
    await scene.shoot()
    assert scene.link.ops()[3:] == ["autofocus", "capture"]


@pytest.mark.parametrize("answer", [Reply({"success": False, "lens_position": 9.0}), CaptureTimeout("camera_timeout", deadline_s=5)])
async def test_at_night_there_is_nothing_to_focus_on(scene: Scene, caplog: pytest.LogCaptureFixture, answer: Reply | Exception) -> None:
    await scene.started(focus_mode="auto_once")
    scene.link.answers["autofocus"] = [answer]
    await scene.shoot()
    assert scene.link.ops() == ["autofocus", "capture"]
    assert scene.link.last("capture")["controls"]["LensPosition"] == 1.0
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_first_focus_leaves_time_for_the_frame(scene: Scene) -> None:
    await scene.started(focus_mode="auto_once")
    scene.link.answers["autofocus"] = [4.0]
    shoot = asyncio.create_task(scene.shoot())
    await scene.run(4)
    await shoot
    deadlines = {op: deadline_s for op, _, deadline_s in scene.link.requests}
    assert deadlines["autofocus"] == 5.0
    assert deadlines["capture"] == pytest.approx(6.0)


async def test_adjustments_hold_from_the_next_frame_on(scene: Scene) -> None:
    source = await scene.started(focus_mode="auto_once")
    await source.adjust(ev=1.5)
    await source.adjust(lens_position=2.5)
    await source.adjust()
    await scene.shoot()
    assert scene.link.ops() == ["capture"]  # a person's focus makes the first autofocus unneeded
    controls = scene.link.last("capture")["controls"]
    assert (controls["ExposureValue"], controls["LensPosition"]) == (1.5, 2.5)
    await source.preview()
    assert scene.link.last("preview")["controls"] == controls
    assert scene.link.configure()["controls"]["ExposureValue"] == 1.5
    scene.link.connect()
    await scene.shoot()
    assert scene.link.last("capture")["controls"]["ExposureValue"] == 1.5


async def test_adjustments_that_the_camera_cannot_take_are_refused(scene: Scene) -> None:
    source = await scene.started()
    for wrong, key in (({"ev": 9.0}, "ev_out_of_range"), ({"lens_position": -1.0}, "lens_position_out_of_range")):
        with pytest.raises(SourceError) as caught:
            await source.adjust(**wrong)
        assert caught.value.key == key
    await source.close()
    without = await scene.started(probe(without=("ExposureValue", "LensPosition")))
    for what in ("ev", "lens_position"):
        with pytest.raises(WorkerError) as caught:
            await without.adjust(**{what: 1.0})
        assert caught.value.placeholders == {"what": what}
