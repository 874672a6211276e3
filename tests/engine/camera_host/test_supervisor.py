"""Keeping a worker running: which rung of the ladder follows on which failure, and when."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
import logging
from pathlib import Path
import sys
from typing import Any, override

import pytest

from custom_components.skylapse.engine.camera_host.client import WorkerGone
from custom_components.skylapse.engine.camera_host.process import Process
from custom_components.skylapse.engine.camera_host.supervisor import Supervisor
from custom_components.skylapse.engine.errors import CaptureTimeout, SkylapseError, SshError, WorkerError
from tests.engine.fakes import FakeClock

from .conftest import QUICK, SpyTransport, ended, until
from .fake_worker import source

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


class Recorded(Supervisor):
    """Notes down each wait it decides on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waited: list[float] = []

    @override
    def _wait(self, error: SkylapseError, step: int) -> None:
        super()._wait(error, step)
        self.waited.append(self.backoff_s)


class Bench:
    """A supervisor with a clock that stands still, and a journal of what its workers were asked."""

    def __init__(self, journal: Path) -> None:
        self.clock = FakeClock(NOW)
        self.journal = journal
        self.transport: SpyTransport = SpyTransport()
        self.behaviour: dict[str, Any] = {}
        self.configuration: Callable[[], dict[str, Any]] = lambda: {"size": [4656, 3496]}
        self.changes = 0
        self.supervisor: Recorded
        self.patience = QUICK

    def make(self, transport: SpyTransport | None = None, name: str = "", **behaviour: Any) -> Recorded:
        self.transport = transport or self.transport
        self.behaviour = behaviour
        self.supervisor = Recorded(
            self.transport,
            sys.executable,
            lambda: self.configuration(),  # noqa: PLW0108  tests change it later
            clock=self.clock,
            on_change=self._changed,
            source=self._source,
            patience=self.patience,
            name=name,
        )
        return self.supervisor

    def _changed(self) -> None:
        self.changes += 1

    async def _source(self) -> bytes:
        return source(journal=str(self.journal), **self.behaviour)

    def asked(self, *leave_out: str) -> list[str]:
        """Return what the workers were asked, in order, without pings."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [op for line in lines if (op := line.split()[0]) not in {"ping", "process", *leave_out}]

    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.journal.read_text().splitlines() if line.startswith("start")]

    async def waits(self) -> float:
        """Return how long the keeper waits now, once it does."""
        await until(lambda: self.supervisor._retry_at is not None and self.clock.next_due() is not None)
        return self.supervisor.backoff_s

    async def pass_backoff(self) -> None:
        await self.waits()
        waited = len(self.supervisor.waited)
        self.clock.pass_time(self.clock.monotonic() + self.supervisor.backoff_s)
        await until(lambda: self.supervisor.connected or len(self.supervisor.waited) > waited)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    bench = Bench(tmp_path / "journal")
    yield bench
    await bench.supervisor.close()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the supervisor wrote into the log."""
    return [record.message for record in caplog.records if record.name.endswith("supervisor")]


# ---- the ordinary


async def test_it_starts_configures_and_answers(bench: Bench) -> None:
    supervisor = bench.make()
    assert (supervisor.connected, supervisor.hello, list(supervisor.stderr)) == (False, {}, [])
    await supervisor.start()
    assert supervisor.connected
    assert supervisor.configured["args"] == {"size": [4656, 3496]}
    assert supervisor.hello["protocol"] == 1
    assert supervisor.error is None
    assert bench.changes == 1
    reply = await supervisor.request("capture", {"controls": {}}, deadline_s=5)
    assert reply.result["op"] == "capture"
    await supervisor.start()  # it runs already
    assert (bench.asked(), supervisor.restarts, supervisor.backoff_s) == (["start", "configure", "capture"], 0, 0)
    await supervisor.close()
    assert not supervisor.connected
    assert bench.transport.closed == 1
    await until(lambda: ended(bench.pids()[0]))


async def test_a_request_starts_it(bench: Bench) -> None:
    assert (await bench.make().request("probe", deadline_s=5)).result["op"] == "probe"


async def test_it_can_be_started_again_after_it_was_closed(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.start()
    await supervisor.close()
    with pytest.raises(WorkerGone, match="worker_stopped"):
        await supervisor.request("capture", deadline_s=5)
    await supervisor.start()
    closing = asyncio.create_task(supervisor.close())
    await asyncio.sleep(0)
    await supervisor.start()
    await closing
    assert (await supervisor.request("capture", deadline_s=5)).result["op"] == "capture"
    assert supervisor.restarts == 0


async def test_what_a_worker_refuses_is_no_reason_for_another_one(bench: Bench) -> None:
    supervisor = bench.make()
    for key in ("camera_cannot", "exposure_not_reached", "worker_bad_request"):
        with pytest.raises(WorkerError, match=key):
            await supervisor.request("capture", {"error": {"key": key}}, deadline_s=5)
    assert supervisor.connected
    assert bench.asked() == ["start", "configure", "capture", "capture", "capture"]


# ---- a worker that dies


async def test_a_capture_that_kills_the_worker_costs_seconds_and_not_the_frame(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "custom_components.skylapse")
    supervisor = bench.make()
    reply = await supervisor.request("capture", {"once": str(tmp_path / "once"), "fault": "die"}, deadline_s=10)
    assert reply.result["op"] == "capture"
    assert bench.asked() == ["start", "configure", "capture", "start", "configure", "capture"]
    assert (supervisor.restarts, supervisor.connected, supervisor.error) == (1, True, None)
    assert told(caplog) == [
        "The camera's worker (local) does not work: worker_died (code: 7, last_words: ERROR the sky fell down)",
        "The camera's worker (local) is back",
    ]


async def test_what_is_no_capture_is_not_tried_again(bench: Bench) -> None:
    supervisor = bench.make()
    with pytest.raises(WorkerGone, match="worker_died"):
        await supervisor.request("autofocus", {"fault": "die"}, deadline_s=10)
    await until(lambda: supervisor.connected and supervisor.restarts == 1)


async def test_a_worker_that_dies_idle_is_replaced_without_being_asked(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.start()
    bench.transport.processes[0].kill()
    await until(lambda: not supervisor.connected)
    await until(lambda: supervisor.connected)
    assert supervisor.restarts == 1


async def test_waits_grow_with_the_deaths_in_a_row(bench: Bench) -> None:
    supervisor = bench.make()
    for deaths in range(1, 8):
        with pytest.raises(WorkerGone):
            await supervisor.request("wake", {"fault": "die"}, deadline_s=1000)
        await until(lambda deaths=deaths: len(supervisor.waited) == deaths)
        if supervisor.waited[-1]:
            await bench.pass_backoff()
        await until(lambda: supervisor.connected)
    assert supervisor.waited == [0, 2, 5, 15, 60, 300, 300]
    assert supervisor.restarts == 7


async def test_a_capture_that_always_kills_is_given_up_with_its_own_reason(bench: Bench) -> None:
    supervisor = bench.make()
    capture = asyncio.create_task(supervisor.request("capture", {"fault": "die"}, deadline_s=4))
    await bench.pass_backoff()  # 2 s, within the deadline
    with pytest.raises(WorkerGone, match="worker_died"):
        await capture  # 5 s, beyond it
    assert await bench.waits() == 5
    with pytest.raises(WorkerGone, match="worker_died"):
        await supervisor.request("capture", deadline_s=4)  # at once: no clock moves
    assert await bench.waits() == 5
    waiting = asyncio.create_task(supervisor.request("capture", deadline_s=6))
    await bench.pass_backoff()
    assert (await waiting).result["op"] == "capture"


async def test_a_capture_is_not_tried_again_beyond_its_deadline(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.start()
    capture = asyncio.create_task(supervisor.request("capture", {"sleep_s": 0.3, "fault": "die"}, deadline_s=4))
    await asyncio.sleep(0.1)
    bench.clock.pass_time(bench.clock.monotonic() + 5)
    with pytest.raises(WorkerGone, match="worker_died"):
        await capture
    assert bench.asked().count("capture") == 1


async def test_ten_good_captures_and_all_is_forgiven(bench: Bench) -> None:
    supervisor = bench.make()
    for good, wait in ((0, 0), (9, 2), (1, 5), (10, 0)):  # they have to be in a row
        for _ in range(good):
            await supervisor.request("capture", deadline_s=5)
        with pytest.raises(WorkerGone):
            await supervisor.request("wake", {"fault": "die"}, deadline_s=5)
        if wait:
            assert await bench.waits() == wait
            await bench.pass_backoff()
        await until(lambda: supervisor.connected)


# ---- a worker that does not start


async def test_waits_grow_with_the_starts_that_fail(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "custom_components.skylapse")
    unreachable = [SshError("ssh_unreachable", host="pi", port=22) for _ in range(7)]
    supervisor = bench.make(SpyTransport(*unreachable))
    with pytest.raises(SshError, match="ssh_unreachable"):
        await supervisor.start()
    for _ in unreachable:
        await bench.pass_backoff()
    assert supervisor.waited == [2, 5, 15, 60, 300, 300, 300]
    assert supervisor.connected
    assert supervisor.restarts == 0
    assert len(told(caplog)) == 2
    bench.transport.failures = [SshError("ssh_unreachable", host="pi", port=22)]
    bench.transport.processes[0].kill()
    await until(lambda: len(supervisor.waited) == 9)
    assert supervisor.waited[7:] == [0, 2]  # an outage that is over is forgotten


async def test_a_start_that_takes_longer_than_one_can_wait(bench: Bench) -> None:
    supervisor = bench.make(at_start="hang")
    with pytest.raises(CaptureTimeout, match="worker_busy"):
        await supervisor.request("capture", deadline_s=0.2)
    bench.transport.processes[0].kill()
    bench.clock.pass_time(bench.clock.monotonic() + await bench.waits())
    await until(lambda: len(bench.transport.argv) == 2)
    with pytest.raises(WorkerGone, match="worker_died"):  # what is known is told
        await supervisor.request("capture", deadline_s=0.2)


@pytest.mark.parametrize("key", ["picamera2_missing", "camera_denied", "tuning_missing", "camera_needs_reboot"])
async def test_what_a_restart_cannot_help_is_told_at_once(bench: Bench, key: str) -> None:
    supervisor = bench.make(configure_error={"key": key})
    with pytest.raises(WorkerError, match=key):
        await supervisor.start()
    for _ in range(3):
        with pytest.raises(WorkerError, match=key):
            await supervisor.request("capture", deadline_s=1000)
    assert await bench.waits() == 300
    assert len(bench.transport.argv) == 1
    assert not supervisor.connected
    assert supervisor.error is not None
    bench.behaviour = {}
    await bench.pass_backoff()
    await until(lambda: supervisor.connected)


async def test_a_mistake_of_ours_is_logged_and_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = bench.make()
    bench.configuration = lambda: {}["size"]
    with pytest.raises(SkylapseError) as caught:
        await supervisor.start()
    assert (caught.value.key, caught.value.placeholders) == ("unexpected", {"error": "KeyError"})
    assert "KeyError: 'size'" in caplog.text
    bench.configuration = dict
    await bench.pass_backoff()
    await until(lambda: supervisor.connected)


async def test_a_listener_that_fails_harms_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = bench.make()
    monkeypatch.setattr(supervisor, "_on_change", lambda: 1 / 0)
    await supervisor.start()
    assert supervisor.connected
    assert "ZeroDivisionError" in caplog.text


# ---- a camera that hangs


async def test_a_stalled_camera_gets_its_stream_restarted_then_a_new_process(bench: Bench, tmp_path: Path) -> None:
    supervisor = bench.make()
    await supervisor.start()
    with pytest.raises(CaptureTimeout, match="camera_timeout"):
        await supervisor.request("capture", {"fault": "hang"}, deadline_s=0.2)
    assert (await supervisor.request("capture", deadline_s=5)).result["pid"] == bench.pids()[0]
    assert supervisor.error is None
    once = {"once": str(tmp_path / "once"), "error": {"key": "camera_failed"}}
    assert (await supervisor.request("capture", once, deadline_s=5)).result["pid"] == bench.pids()[1]
    assert bench.asked("bye") == ["start", "configure", "capture", "restart_stream", "capture", "capture", "start", "configure", "capture"]
    assert supervisor.restarts == 1


async def test_a_capture_of_a_stalled_camera_is_tried_again_in_time(bench: Bench, tmp_path: Path) -> None:
    """A stream that stood still costs some seconds, and not the frame."""
    supervisor = bench.make()
    stalled = {"once": str(tmp_path / "once"), "error": {"key": "camera_timeout"}}
    assert (await supervisor.request("capture", stalled, deadline_s=30)).result["pid"] == bench.pids()[0]
    assert bench.asked() == ["start", "configure", "capture", "restart_stream", "capture"]
    assert supervisor.error is None


async def test_a_camera_that_hangs_on_is_told_once_and_back_with_its_first_picture(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Each new process lets itself be configured: that is no sign yet that the camera works."""
    caplog.set_level(logging.INFO, "custom_components.skylapse")
    supervisor = bench.make(name="garden_sky")
    for _ in range(4):
        with pytest.raises(WorkerError, match="camera_failed"):
            await supervisor.request("autofocus", {"error": {"key": "camera_failed"}}, deadline_s=5)
        if supervisor.restarts:
            await bench.pass_backoff()
        await until(lambda: supervisor._fit() is not None)
    assert supervisor.restarts == 3
    await supervisor.request("metrics", deadline_s=5)
    assert told(caplog) == ["The camera's worker (garden_sky, local) does not work: camera_failed (error: ?)"]
    for _ in range(2):
        await supervisor.request("preview", deadline_s=5)
    assert told(caplog)[1:] == ["The camera's worker (garden_sky, local) is back"]


async def test_ten_good_captures_forgive_a_stall(bench: Bench, tmp_path: Path) -> None:
    supervisor = bench.make()
    for number in range(2):
        await supervisor.request("capture", {"once": str(tmp_path / f"{number}"), "error": {"key": "camera_memory"}}, deadline_s=5)
        for _ in range(10):
            await supervisor.request("capture", deadline_s=5)
    assert bench.asked().count("restart_stream") == 2
    assert bench.asked().count("start") == 1


async def test_a_stream_that_does_not_restart_costs_the_process(bench: Bench) -> None:
    supervisor = bench.make(results={})
    await supervisor.start()
    supervisor_client = supervisor._client
    assert supervisor_client is not None
    request = supervisor_client.request

    async def stubborn(op: str, args: dict[str, Any] | None = None, *, deadline_s: float) -> Any:
        return await request(op, {"fault": "hang"} if op == "restart_stream" else args, deadline_s=deadline_s)

    supervisor_client.request = stubborn  # type: ignore[method-assign]
    with pytest.raises(CaptureTimeout):
        await supervisor.request("capture", {"fault": "hang"}, deadline_s=0.2)
    assert (await supervisor.request("capture", deadline_s=9)).result["pid"] == bench.pids()[1]
    assert supervisor.restarts == 1


async def test_pictures_to_look_at_say_nothing_of_the_camera(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.start()
    with pytest.raises(CaptureTimeout):
        await supervisor.request("preview", {"sleep_s": 0.3}, deadline_s=0.1)
    await supervisor.request("capture", deadline_s=5)
    assert "restart_stream" not in bench.asked()


async def test_a_worker_that_cannot_go_on_is_replaced_and_the_capture_made(bench: Bench, tmp_path: Path) -> None:
    supervisor = bench.make()
    error = {"key": "camera_timeout", "fatal": True}
    reply = await supervisor.request("capture", {"once": str(tmp_path / "once"), "error": error}, deadline_s=10)
    assert reply.result["pid"] == bench.pids()[1]
    assert (supervisor.restarts, supervisor.waited) == (1, [0])


async def test_where_no_process_can_help_the_capture_is_not_tried_again(bench: Bench) -> None:
    supervisor = bench.make()
    with pytest.raises(WorkerError, match="camera_denied"):
        await supervisor.request("capture", {"error": {"key": "camera_denied", "fatal": True}}, deadline_s=1000)
    assert await bench.waits() == 300
    with pytest.raises(WorkerError, match="camera_denied"):
        await supervisor.request("capture", deadline_s=1000)


async def test_an_answer_of_a_worker_that_is_replaced_already_changes_nothing(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.start()
    old = supervisor._client
    assert old is not None
    assert not supervisor._note_failure(old, "preview", WorkerError("camera_failed", error="x"))
    supervisor._client = None
    assert not supervisor._note_failure(old, "capture", WorkerError("camera_failed", error="x"))
    assert not supervisor._stalled
    supervisor._client = old


# ---- renewal


@pytest.mark.parametrize(
    ("age_s", "rss", "renewed"),
    [(86_000, 1e9, False), (86_401, 1e9, True), (10, 1.6e9, True), (10, None, False), pytest.param(10, 10**400, False, id="nonsense")],
)
async def test_a_worker_that_is_old_or_large_is_replaced_while_it_rests(
    bench: Bench, age_s: float, rss: float | None, renewed: bool
) -> None:
    supervisor = bench.make(results={"metrics": {"worker_rss_bytes": rss}})
    assert not await supervisor.recycle()
    await supervisor.start()
    await supervisor.request("metrics", deadline_s=5)
    bench.clock.pass_time(bench.clock.monotonic() + age_s)
    assert await supervisor.recycle() is renewed
    assert supervisor.connected
    reply = await supervisor.request("capture", deadline_s=5)
    assert (reply.result["pid"] != bench.pids()[0]) is renewed
    assert supervisor.restarts == 0
    assert supervisor.error is None


async def test_a_renewal_is_no_interruption_unless_it_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = bench.make()
    await supervisor.start()
    seen: list[bool] = []
    monkeypatch.setattr(supervisor, "_on_change", lambda: seen.append(supervisor.connected))
    for failures, expected in (((), {True}), ((SshError("ssh_unreachable", host="pi", port=22),), {True, False})):
        seen.clear()
        bench.transport.failures = list(failures)
        bench.clock.pass_time(bench.clock.monotonic() + 90_000)
        assert await supervisor.recycle()
        await until(lambda failures=failures: len(seen) >= 2 + len(failures) or supervisor.backoff_s)
        if failures:
            await bench.pass_backoff()
        assert set(seen) == expected
        assert supervisor.connected


async def test_a_worker_that_is_needed_is_not_replaced(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.start()
    bench.clock.pass_time(bench.clock.monotonic() + 90_000)
    capture = asyncio.create_task(supervisor.request("capture", {"sleep_s": 0.2}, deadline_s=5))
    await asyncio.sleep(0.1)
    assert not await supervisor.recycle()
    assert (await capture).result["pid"] == bench.pids()[0]
    bench.transport.processes[0].kill()
    await until(lambda: not supervisor.connected)
    assert not await supervisor.recycle()


# ---- closing


async def test_closing_breaks_off_a_start(bench: Bench) -> None:
    supervisor = bench.make(at_start="hang")
    start = asyncio.create_task(supervisor.start())
    capture = asyncio.create_task(supervisor.request("capture", deadline_s=50))
    await until(lambda: bench.journal.exists() and bench.journal.read_text())
    await supervisor.close()
    for task in (start, capture):
        with pytest.raises(WorkerGone, match="worker_stopped"):
            await task
    assert ended(bench.pids()[0])


async def test_a_cancelled_end_goes_on(bench: Bench) -> None:
    supervisor = bench.make(deaf=True)
    await supervisor.start()
    closing = asyncio.create_task(supervisor.close())
    await asyncio.sleep(0.1)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await until(lambda: ended(bench.pids()[0]) and bench.transport.closed)


async def test_closing_what_never_started(bench: Bench) -> None:
    supervisor = bench.make()
    await supervisor.close()
    await supervisor.close()
    assert bench.transport.closed == 1


# ---- what cannot be ended


async def test_a_camera_that_needs_a_reboot_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    states = {4242: "D"}
    for module in ("client", "supervisor"):
        monkeypatch.setattr(f"custom_components.skylapse.engine.camera_host.{module}.process_state", states.get)
    supervisor = bench.make()
    await supervisor.start()
    client = supervisor._client
    assert client is not None

    async def stuck() -> None:
        raise WorkerError("camera_needs_reboot", pid=4242)

    close = client.close
    monkeypatch.setattr(client, "close", stuck)
    bench.transport.processes[0].kill()
    await until(lambda: supervisor.error is not None and supervisor.backoff_s)
    await close()
    for _ in range(2):
        assert await bench.waits() == 300
        with pytest.raises(WorkerError, match=r"camera_needs_reboot \(pid: 4242\)"):
            await supervisor.request("capture", deadline_s=1000)
        assert len(bench.transport.argv) == 1  # nothing is started as long as it hangs on
        await bench.pass_backoff()
    states.clear()
    await bench.pass_backoff()
    await until(lambda: supervisor.connected)


async def test_an_end_that_fails_is_told_of(bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = bench.make()
    await supervisor.start()
    client = supervisor._client
    assert client is not None

    async def stuck() -> None:
        await close()
        raise WorkerError("camera_needs_reboot", pid=4242)

    close = client.close
    monkeypatch.setattr(client, "close", stuck)
    await supervisor.close()
    assert supervisor.error is not None
    assert supervisor.error.key == "camera_needs_reboot"
    assert "cannot be ended" in caplog.text


class Unseen(SpyTransport):
    """As over SSH when the connection breaks: how a program ended is not known."""

    @override
    async def spawn(self, argv) -> Process:
        process = await super().spawn(argv)
        wait = process.wait

        async def unseen() -> None:
            await wait()

        process.wait = unseen  # type: ignore[method-assign]
        return process


async def test_a_worker_whose_end_nobody_saw_must_make_way(bench: Bench) -> None:
    supervisor = bench.make(Unseen(), results={"process": {"state": "D"}})
    await supervisor.start()
    bench.transport.processes[0].kill()
    await until(lambda: supervisor.backoff_s)
    assert supervisor.error is not None
    assert (supervisor.error.key, supervisor.error.placeholders) == ("camera_needs_reboot", {"pid": str(bench.pids()[0])})
    assert bench.transport.argv[1][4:] == [str(bench.pids()[0])]
    bench.behaviour = {"results": {"process": {"state": None}}}
    await bench.pass_backoff()
    await until(lambda: supervisor.connected)
    assert bench.transport.argv[2][4:] == [str(pid) for pid in bench.pids()[:2]]
    bench.transport.processes[2].kill()
    await bench.pass_backoff()
    await until(lambda: len(bench.transport.argv) == 4)
    assert bench.transport.argv[3][4:] == [str(bench.pids()[2])]


async def test_of_a_start_and_a_close_the_later_one_wins(bench: Bench) -> None:
    supervisor = bench.make(bye_s=0.3)
    await supervisor.start()
    closing = asyncio.create_task(supervisor.close())
    await asyncio.sleep(0)
    starting = asyncio.create_task(supervisor.start())
    await asyncio.sleep(0)
    await supervisor.close()
    with pytest.raises(WorkerGone, match="worker_stopped"):
        await starting
    await closing
    assert len(bench.pids()) == 1
    await supervisor.start()
    assert supervisor.connected
