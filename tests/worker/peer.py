"""The other end of a worker's pipes, as plain as can be: what it sends and how it takes what comes is not shared with the engine."""

from collections.abc import Mapping, Sequence
import hashlib
import json
import os
from pathlib import Path
import select
import signal
import struct
import subprocess
import time
from typing import Any, Self
import zlib

from custom_components.skylapse.engine.camera_host.loader import LOADER

WORKER = Path(__file__).parents[2] / "custom_components" / "skylapse" / "worker" / "worker.py"
PREFIX = struct.Struct(">4sIII")
START_S = 30.0


class Refused(Exception):
    """The worker said no."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.key: str = error["key"]
        self.placeholders: dict[str, Any] = error["placeholders"]
        self.fatal: bool = error["fatal"]


class Ended(Exception):
    """The worker's output ended."""


def frame(header: object, blob: bytes = b"") -> bytes:
    """Return a frame, also of a header that is none."""
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(b"SKY1", len(body), len(blob), zlib.crc32(body + blob)) + body + blob


class Peer:
    """One worker under test. Ends with the ``with`` block."""

    def __init__(
        self,
        python: str | Path,
        *,
        env: Mapping[str, str] | None = None,
        source: bytes | None = None,
        parcel: bytes | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        source = WORKER.read_bytes() if source is None else source
        self.digest = hashlib.sha256(source).hexdigest()
        self.process = subprocess.Popen(
            [str(python), *arguments, "-u", "-c", LOADER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), **(env or {})},
            bufsize=0,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)
        self._id = 0
        self.stderr = b""
        self.noise = b""
        """What came before the first frame."""
        self.send(parcel if parcel is not None else b"%d %s\n" % (len(source), self.digest.encode()) + source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert file is not None
            file.close()

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.process.stdin.fileno(), rest) :]

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _take(self, length: int, until: float) -> bytes:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        data = b""
        while len(data) < length:
            ready, _, _ = select.select([self.process.stdout, self.process.stderr], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError(self.stderr.decode(errors="replace"))
            if self.process.stderr in ready:
                more = os.read(self.process.stderr.fileno(), 65536)
                self.stderr += more
                if not more and self.process.stdout not in ready:
                    time.sleep(0.01)
            if self.process.stdout in ready:
                more = os.read(self.process.stdout.fileno(), length - len(data))
                if not more:
                    raise Ended(self.stderr.decode(errors="replace"))
                data += more
        return data

    def receive(self, timeout_s: float = 30.0) -> tuple[dict[str, Any], bytes]:
        """Return the next frame's header and blob."""
        until = time.monotonic() + timeout_s
        magic, header_length, blob_length, check = PREFIX.unpack(self._take(PREFIX.size, until))
        assert magic == b"SKY1"
        body = self._take(header_length + blob_length, until)
        assert zlib.crc32(body) == check
        header = json.loads(body[:header_length], parse_constant=_no_constant)
        return header, body[header_length:]

    def hello(self) -> dict[str, Any]:
        """Return what the worker says first; what was printed before it is kept in ``noise``."""
        until = time.monotonic() + START_S
        start = self._take(4, until)
        while start != b"SKY1":
            self.noise += start[:1]
            start = start[1:] + self._take(1, until)
        _, header_length, blob_length, _ = PREFIX.unpack(start + self._take(PREFIX.size - 4, until))
        assert blob_length == 0
        return json.loads(self._take(header_length, until))["hello"]

    def ask(self, op: str, args: object = None, deadline_s: float = 20.0) -> int:
        """Send a request, and return its number."""
        self._id += 1
        self.send(frame({"id": self._id, "op": op, "deadline_s": deadline_s, "args": {} if args is None else args}))
        return self._id

    def answer(self, number: int, timeout_s: float = 30.0) -> tuple[dict[str, Any], bytes]:
        """Return result and blob of the next reply, which has to be to this request. Raises ``Refused``."""
        header, blob = self.receive(timeout_s)
        assert header["id"] == number
        if not header["ok"]:
            raise Refused(header["error"])
        return header["result"], blob

    def request(self, op: str, args: object = None, deadline_s: float = 20.0) -> tuple[dict[str, Any], bytes]:
        """Send a request and return result and blob."""
        return self.answer(self.ask(op, args, deadline_s), deadline_s + 10)

    def exit_code(self, timeout_s: float = 10.0) -> int:
        """Return the exit code of a worker that ends by itself."""
        return self.process.wait(timeout_s)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
