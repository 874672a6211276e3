"""One running worker: requests and replies, and every way in which it may end."""

import asyncio
from collections.abc import Callable
import contextlib
from datetime import UTC, datetime
import os
from pathlib import Path
import signal
import sys
from typing import override

import pytest

from custom_components.skylapse.engine.camera_host import client as client_module
from custom_components.skylapse.engine.camera_host.client import WorkerClient, WorkerGone
from custom_components.skylapse.engine.camera_host.framing import encode_frame
from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.camera_host.patience import Patience
from custom_components.skylapse.engine.camera_host.process import Process
from custom_components.skylapse.engine.errors import CaptureTimeout, SourceError, WorkerError
from tests.engine.fakes import FakeClock

from .conftest import QUICK, SpyTransport, StartWorker, ended, until
from .fake_worker import source

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


# ---- requests


async def test_it_says_hello_and_answers(start_worker: StartWorker) -> None:
    worker = await start_worker()
    assert worker.alive
    assert worker.hello["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert worker.pid is not None
    reply = await worker.request("capture", {"bytes": 800, "match": None}, deadline_s=8)
    assert reply.result["args"] == {"bytes": 800, "match": None}
    assert reply.result["deadline_s"] == pytest.approx(6.5, abs=0.2)  # it gives up a little before we do
    assert len(reply.blob) == 800
    assert (await worker.request("metrics", deadline_s=2)).result["args"] == {}


async def test_answers_come_in_any_order(start_worker: StartWorker) -> None:
    worker = await start_worker()
    order: list[str] = []

    async def ask(op: str, **args: object) -> None:
        reply = await worker.request(op, args, deadline_s=5)
        assert (reply.result["op"], reply.result["args"]) == (op, args)
        order.append(op)

    await asyncio.gather(ask("capture", sleep_s=0.3), ask("metrics", sleep_s=0.1), ask("process", pid=1))
    assert order == ["process", "metrics", "capture"]


async def test_the_camera_is_asked_for_one_thing_at_a_time_and_pictures_to_look_at_wait(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = await start_worker(journal=str(tmp_path / "journal"))
    ops = ["capture", "preview", "preview", "focus_sweep", "capture"]
    await asyncio.gather(*(worker.request(op, {"sleep_s": 0.05}, deadline_s=5) for op in ops))
    asked = [line.split()[0] for line in (tmp_path / "journal").read_text().splitlines()]
    assert [op for op in asked if op not in {"ping", "start"}] == ["capture", "focus_sweep", "capture", "preview", "preview"]


async def test_a_large_picture_does_not_hold_up_the_loop(start_worker: StartWorker) -> None:
    worker = await start_worker()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    reply = await worker.request("capture", {"bytes": 20 << 20}, deadline_s=20)
    counting.cancel()
    assert len(reply.blob) == 20 << 20
    assert reply.blob[-8:] == reply.blob[:8]
    assert turns > 40  # no step took more than half a megabyte


async def test_a_refusal_is_an_error_and_the_worker_goes_on(start_worker: StartWorker) -> None:
    worker = await start_worker()
    with pytest.raises(WorkerError) as caught:
        await worker.request(
            "capture", {"error": {"key": "camera_setting_refused", "placeholders": {"setting": "Sharpness"}}}, deadline_s=5
        )
    assert (caught.value.key, caught.value.placeholders) == ("camera_setting_refused", {"setting": "Sharpness"})
    assert (worker.alive, worker.spoilt) == (True, None)


async def test_a_fatal_error_spoils_it(start_worker: StartWorker) -> None:
    ends: list[bool] = []
    worker = await start_worker(on_end=lambda: ends.append(True))
    with pytest.raises(WorkerError, match="camera_failed"):
        await worker.request("capture", {"error": {"key": "camera_failed", "fatal": True}}, deadline_s=5)
    assert worker.spoilt is not None
    assert (worker.alive, worker.spoilt.key, ends) == (True, "camera_failed", [True])


async def test_a_result_that_is_none_is_empty(start_worker: StartWorker) -> None:
    worker = await start_worker(raw='{"id": 1, "ok": true, "result": [1]}')
    with contextlib.suppress(SourceError):
        await worker.request("capture", {"fault": "raw"}, deadline_s=5)
    # whichever request has the number 1 got it: a ping or this one; both are fine with it
    assert worker.alive


async def test_a_deadline_is_kept_and_a_late_answer_dropped(start_worker: StartWorker) -> None:
    worker = await start_worker()
    with pytest.raises(CaptureTimeout) as caught:
        await worker.request("capture", {"sleep_s": 0.4, "bytes": 4 << 20}, deadline_s=0.2)
    assert (caught.value.key, caught.value.placeholders) == ("camera_timeout", {"deadline_s": "0.2"})
    assert (await worker.request("capture", {"sleep_s": 0.4, "number": 2}, deadline_s=5)).result["args"]["number"] == 2
    assert not worker.spoilt


async def test_a_late_answer_that_it_cannot_go_on_is_heeded(start_worker: StartWorker) -> None:
    worker = await start_worker()
    with pytest.raises(CaptureTimeout):
        await worker.request("capture", {"sleep_s": 0.3, "error": {"key": "camera_timeout", "fatal": True}}, deadline_s=0.1)
    await until(lambda: worker.spoilt)


async def test_whose_turn_never_came_is_told_so(start_worker: StartWorker) -> None:
    worker = await start_worker()
    capture = asyncio.create_task(worker.request("capture", {"sleep_s": 0.5}, deadline_s=5))
    await asyncio.sleep(0)
    with pytest.raises(CaptureTimeout, match="worker_busy"):
        await worker.request("preview", deadline_s=0.1)
    assert (await capture).result["op"] == "capture"


async def test_a_cancelled_request_leaves_the_worker_usable(start_worker: StartWorker) -> None:
    worker = await start_worker()
    request = asyncio.create_task(worker.request("capture", {"sleep_s": 0.2}, deadline_s=5))
    await asyncio.sleep(0.05)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (await worker.request("capture", deadline_s=5)).result["op"] == "capture"


# ---- its end


@pytest.mark.parametrize(
    ("fault", "key", "placeholders"),
    [
        ("die", "worker_died", {"code": "7", "last_words": "ERROR the sky fell down"}),
        ("scream", "worker_died", {"code": "7", "last_words": "the very last"}),
        ("kill", "worker_died", {"code": "-11", "last_words": "-"}),
        ("half", "worker_died", {"code": "0", "last_words": "-"}),
        ("shut", "worker_died", {"code": "-9", "last_words": "-"}),
        ("babble", "worker_garbage", {"what": "not a frame: Hello, I am a sh"}),
        ("crc", "worker_garbage", {"what": "wrong checksum"}),
        ("long", "worker_garbage", {"what": "too long: 2 and 134217729 bytes"}),
    ],
)
async def test_faults(start_worker: StartWorker, fault: str, key: str, placeholders: dict[str, str]) -> None:
    ends: list[str] = []
    worker = await start_worker(on_end=lambda: ends.append("end"), patience=Patience(last_words_s=0.5))
    with pytest.raises(WorkerGone) as caught:
        await asyncio.gather(
            worker.request("capture", {"fault": fault}, deadline_s=10), worker.request("metrics", {"sleep_s": 9}, deadline_s=10)
        )
    assert (caught.value.key, caught.value.placeholders) == (key, placeholders)
    assert (worker.alive, ends) == (False, ["end"])
    assert worker.why is not None
    assert worker.why.key == key
    with pytest.raises(WorkerGone, match=key):
        await worker.request("capture", deadline_s=1)
    assert worker.pid is not None
    await until(lambda: ended(worker.pid))


async def test_what_was_answered_before_the_end_counts(start_worker: StartWorker) -> None:
    worker = await start_worker()
    assert (await worker.request("capture", {"fault": "last"}, deadline_s=5)).result == {"last": True}
    assert not worker.alive


@pytest.mark.parametrize("raw", ['{"id": "1"}', '{"hello": {}}', "[]", '{"ok": true}'])
async def test_a_frame_that_is_no_reply_is_garbage(start_worker: StartWorker, raw: str) -> None:
    worker = await start_worker(raw=raw)
    with pytest.raises(WorkerGone, match="worker_garbage"):
        await worker.request("capture", {"fault": "raw"}, deadline_s=5)


async def test_a_flood_of_words_does_no_harm(start_worker: StartWorker) -> None:
    worker = await start_worker()
    reply = await worker.request("capture", {"fault": "flood"}, deadline_s=60)
    assert reply.result["op"] == "capture"
    await until(lambda: worker.stderr and worker.stderr[-1] == "the last line")
    assert len(worker.stderr) == 50
    assert max(len(line) for line in worker.stderr) <= 300


async def pass_time(clock: FakeClock, seconds: float, watched: Callable[[], object]) -> float:
    """Let fake time pass, with a little real time after each second of it, until something happens; return how long it took."""
    for second in range(round(seconds)):
        if watched():
            return second
        clock.pass_time(clock.monotonic() + 1)
        await asyncio.sleep(0.02)
    return seconds


async def test_a_worker_that_is_silent_is_given_up(start_worker: StartWorker) -> None:
    clock = FakeClock(NOW)
    worker = await start_worker(clock=clock)
    assert await pass_time(clock, 60, lambda: not worker.alive) == 60  # pings are answered
    request = asyncio.create_task(worker.request("capture", {"fault": "mute"}, deadline_s=100))
    await asyncio.sleep(0.1)
    assert 29 <= await pass_time(clock, 60, lambda: not worker.alive) <= 41
    with pytest.raises(WorkerGone) as caught:
        await request
    assert (caught.value.key, caught.value.placeholders) == ("worker_silent", {"silence_s": "30"})


async def test_a_slow_line_is_not_taken_for_silence(start_worker: StartWorker) -> None:
    clock = FakeClock(NOW)
    worker = await start_worker(clock=clock)
    request = asyncio.create_task(worker.request("capture", {"fault": "drip"}, deadline_s=100))
    await pass_time(clock, 200, request.done)
    assert clock.monotonic() > 1050  # it took longer than silence may
    assert (await request).blob == b"x" * 40


async def test_a_worker_that_reads_nothing_holds_up_nobody(start_worker: StartWorker) -> None:
    clock = FakeClock(NOW)
    worker = await start_worker(clock=clock)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    for number in range(3):
        with pytest.raises(CaptureTimeout, match="camera_timeout"):
            await worker.request("metrics", {"fill": "x" * 900_000, "number": number}, deadline_s=0.1)
    await pass_time(clock, 60, lambda: not worker.alive)
    assert worker._outbox.qsize() == 2  # what waits does not grow with each ping
    assert worker.why is not None
    assert worker.why.key == "worker_silent"


# ---- starting


@pytest.mark.parametrize(
    ("behaviour", "key"),
    [
        ({"at_start": "die"}, "worker_died"),
        ({"at_start": "yell"}, "worker_garbage"),
        ({"at_start": "raw", "raw": '{"id": 1}'}, "worker_garbage"),
        ({"hello": {"protocol": 2}}, "worker_garbage"),
        ({"hello": {"source": "0123456789ab"}}, "worker_garbage"),
    ],
)
async def test_a_start_that_fails_leaves_nothing(start_worker: StartWorker, behaviour: dict[str, object], key: str) -> None:
    with pytest.raises(WorkerGone) as caught:
        await start_worker(**behaviour)
    assert caught.value.key == key


async def test_what_a_shell_prints_before_the_first_word_is_skipped_and_kept(start_worker: StartWorker) -> None:
    worker = await start_worker(at_start="babble")
    assert (await worker.request("ping", deadline_s=10)).result["op"] == "ping"
    assert set(worker.stderr) == {"Hello, I am a shell's greeting"}


async def test_a_shell_that_refuses_on_its_output_is_quoted(tmp_path: Path) -> None:
    shell = tmp_path / "python3"
    shell.write_text("#!/bin/sh\necho This account is currently not available.\nexit 1\n")
    shell.chmod(0o755)
    with pytest.raises(WorkerGone) as caught:
        await WorkerClient.start(LocalTransport(), str(shell), source())
    assert caught.value.key == "worker_died"
    assert caught.value.placeholders == {"code": "1", "last_words": "This account is currently not available."}


async def test_a_start_that_takes_too_long_is_given_up(start_worker: StartWorker) -> None:
    with pytest.raises(SourceError) as caught:
        await start_worker(at_start="hang", patience=Patience(hello_s=0.3))
    assert (caught.value.key, caught.value.placeholders) == ("worker_start_slow", {"seconds": "0.3"})


@pytest.mark.parametrize("code", [126, 127])
async def test_a_shell_that_finds_no_interpreter_is_understood(tmp_path: Path, code: int) -> None:
    shell = tmp_path / "python3"
    shell.write_text(f"#!/bin/sh\nexit {code}\n")
    shell.chmod(0o755)
    with pytest.raises(SourceError) as caught:
        await WorkerClient.start(LocalTransport(), str(shell), source())
    assert (caught.value.key, caught.value.placeholders) == ("interpreter_missing", {"python": str(shell)})


async def test_a_cancelled_start_leaves_no_process(start_worker: StartWorker, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    start = asyncio.create_task(start_worker(at_start="hang", journal=str(journal)))
    await until(lambda: journal.exists() and journal.read_text().endswith("\n"))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert ended(int(journal.read_text().split()[1]))


async def test_a_start_cancelled_at_any_instant_leaves_no_process() -> None:
    for steps in range(0, 60, 3):
        start = asyncio.create_task(WorkerClient.start(LocalTransport(), sys.executable, source(), patience=QUICK))
        for _ in range(steps):
            await asyncio.sleep(0.001)
        start.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await start).close()


@pytest.mark.parametrize(("pid", "believed"), [(7, 7), (1, None), ("7", None), (None, None)])
async def test_only_a_believable_id_is_believed(start_worker: StartWorker, pid: object, believed: int | None) -> None:
    worker = await start_worker(hello={"pid": pid})
    assert worker.pid == believed


# ---- closing


async def test_it_leaves_when_it_is_asked_to(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = await start_worker(journal=str(tmp_path / "journal"), on_end=lambda: pytest.fail("nobody ended it but us"))
    capture = asyncio.create_task(worker.request("capture", {"sleep_s": 5}, deadline_s=9))
    await asyncio.sleep(0.1)
    await asyncio.gather(worker.close(), worker.close())
    await worker.close()
    assert worker.code == 0
    assert not worker.alive
    assert "bye" in (tmp_path / "journal").read_text()
    with pytest.raises(WorkerGone):
        await capture


async def test_it_is_killed_if_it_does_not_leave(start_worker: StartWorker) -> None:
    worker = await start_worker(deaf=True)
    started = asyncio.get_running_loop().time()
    await worker.close()
    assert worker.code == -9
    assert 0.7 < asyncio.get_running_loop().time() - started < 3


async def test_a_cancelled_end_goes_on(start_worker: StartWorker) -> None:
    worker = await start_worker(bye_s=0.3)
    closing = asyncio.create_task(worker.close())
    await asyncio.sleep(0.1)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert worker.pid is not None
    await until(lambda: ended(worker.pid) and worker.code is not None)
    assert worker.code == 0  # it left as politely as if nobody had been in a hurry


async def test_an_end_that_the_loop_itself_breaks_off_kills(start_worker: StartWorker) -> None:
    worker = await start_worker(deaf=True)
    closing = asyncio.create_task(worker.close())
    await asyncio.sleep(0.1)
    assert worker._ladder is not None
    worker._ladder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert worker.pid is not None
    assert ended(worker.pid)


class Stuck(Process):
    """A process that nothing ends."""

    def __init__(self, pid: int | None, hello: bytes) -> None:
        self._pid = pid
        self._said = [hello]
        self.more = asyncio.Event()
        self.signals: list[str] = []

    @property
    @override
    def pid(self) -> int | None:
        return self._pid

    @override
    async def read(self, most: int) -> bytes:
        while not self._said:
            self.more.clear()
            await self.more.wait()
        piece, rest = self._said[0][:most], self._said[0][most:]
        self._said = [rest] if rest else []
        return piece

    @override
    async def read_error(self, most: int) -> bytes:
        return b""

    @override
    async def write(self, data: bytes) -> None:
        pass

    @override
    def close_input(self) -> None:
        self.signals.append("end of input")

    @override
    async def wait(self) -> int | None:
        await asyncio.Event().wait()
        return None

    @override
    def terminate(self) -> None:
        self.signals.append("TERM")

    @override
    def kill(self) -> None:
        self.signals.append("KILL")

    @override
    async def close(self) -> None:
        self.signals.append("close")


class StuckTransport(SpyTransport):
    def __init__(self, pid: int | None) -> None:
        super().__init__()
        self.process = Stuck(pid, b"")

    @override
    async def spawn(self, argv) -> Process:
        digest = client_module.hashlib.sha256(source()).hexdigest()[:12]
        self.process._said = [encode_frame({"hello": {"protocol": 1, "source": digest, "pid": 4343}})]
        return self.process


async def test_a_flood_of_small_frames_leaves_others_their_turn() -> None:
    transport = StuckTransport(None)
    worker = await WorkerClient.start(transport, "python3", source(), patience=Patience(bye_s=0.01, terminate_s=0.01, kill_s=0.01))
    transport.process._said = [encode_frame({"id": 999, "ok": True}) * 500]
    transport.process.more.set()
    turns = 0
    while transport.process._said:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
    await worker.close()


@pytest.mark.parametrize("pid", [True, 1, -4343, 1 << 40, "4343", None])
async def test_a_process_id_that_is_none_is_not_believed(start_worker: StartWorker, pid: object) -> None:
    assert (await start_worker(hello={"pid": pid})).pid is None


@pytest.mark.parametrize(
    ("pid", "states", "stuck"),
    [(4242, {4242: "D"}, "4242"), (4242, {4242: "S", 4343: "D"}, "4343"), (4242, {4242: "R"}, None), (None, {4343: "D"}, None)],
)
async def test_a_process_that_the_kernel_cannot_end_is_told_of(
    monkeypatch: pytest.MonkeyPatch, pid: int | None, states: dict[int, str], stuck: str | None
) -> None:
    monkeypatch.setattr(client_module, "process_state", states.get)
    transport = StuckTransport(pid)
    worker = await WorkerClient.start(transport, "python3", source(), patience=Patience(bye_s=0.05, terminate_s=0.05, kill_s=0.05))
    for _ in range(2):
        if stuck is None:
            await worker.close()
        else:
            with pytest.raises(WorkerError) as caught:
                await worker.close()
            assert (caught.value.key, caught.value.placeholders) == ("camera_needs_reboot", {"pid": stuck})
    assert transport.process.signals[:3] == ["end of input", "TERM", "KILL"]
    assert transport.process.signals[-1] == "close"
    assert worker.code is None
