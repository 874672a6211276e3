"""The worker: runs where the camera is, under that machine's own Python (3.9 or newer), and takes pictures on request.

Its source travels over the connection and is executed as ``__main__``, so nothing is installed and the versions always match.
It needs the standard library, and the camera host's picamera2 or rpicam-still once it is asked for a camera. Both ways go
frames: ``SKY1``, three big-endian u32 (header's length, blob's length, CRC 32 of both), header (a JSON object), blob.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import ctypes
import gc
import importlib
import importlib.metadata
import inspect
import io
import json
import math
import os
from pathlib import Path
import platform
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Any, NamedTuple, NoReturn
import zlib

PROTOCOL = 1
MAGIC = b"SKY1"
PREFIX = struct.Struct(">4sIII")
LONGEST_HEADER = 1 << 20
LONGEST_BLOB = 128 << 20
PIPE_BYTES = 1 << 20
MOST_QUEUED = 2

LONG_US = 1_000_000
"""Exposures from here on get a stream of their own: queued frames of the old exposure would cost their full time."""
WITHIN = 0.05
"""Metadata this close proves what was wanted."""
LINE_US = 40
"""Sensors expose whole lines of up to so many microseconds, as many as fit into what is wanted: of 250 µs an imx477 makes 229."""
GAIN_STEP = 1 / 16
"""The same for gains, as an ov5647 knows them."""
MOST_FRAMES = 12
FRAMES_UNTIL_RESENT = 8
FIRST_FRAME_S = (0.2, 3.0)
"""What frames are expected to take before one was seen, and where somebody's own tuning lets the automatic expose for long."""
BUSY_RETRY_S = 5.0
STIFF_S = (5.0, 15.0)
"""How long Python may stand still: at least, and at most."""
SILENCE_S = 60.0
"""The client pings every 10 s. A network that was cut may leave it gone for hours before anybody here is told, and the camera taken."""
GONE = 0
BROKEN = 3

HDR_SENSOR = "imx708"
AE_CONTROLS = frozenset(
    ["AeEnable", "AeMeteringMode", "AeConstraintMode", "AeExposureMode", "AnalogueGain", "ExposureTime", "ExposureValue", "HdrMode"]
)
STAY = frozenset(["AfMode", "AfTrigger", "AfPause", "LensPosition", "FrameDurationLimits"])
"""Controls that keep their value when a frame does not name them: a lens that was focused stays where it is."""

Json = dict[str, Any]


# ---- errors -------------------------------------------------------------------------------------------------------------


class Failure(Exception):
    """What the client is told instead of a result. ``fatal``: only another process can do better."""

    def __init__(self, key: str, fatal: bool = False, **placeholders: object) -> None:
        super().__init__(key, placeholders)
        self.key = key
        self.fatal = fatal
        self.placeholders = placeholders

    def as_json(self) -> Json:
        """Return it for a reply."""
        return {"key": self.key, "placeholders": self.placeholders, "fatal": self.fatal}


class Garbage(Exception):
    """What arrived is no frame; nothing after it can be trusted."""


def bad(error: str) -> Failure:
    """Return the answer to a request that makes no sense."""
    return Failure("worker_bad_request", error=error)


def first_line(error: BaseException) -> str:
    """Return class and first line of a message, at most 200 characters."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, outermost first."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def explain(error: BaseException) -> Failure:
    """Return what a failure of picamera2 or libcamera means to a person."""
    chain = list(causes(error))
    for link in chain:
        if isinstance(link, Failure):
            return link
    text = " / ".join(str(link) for link in chain).lower()
    numbers = {link.errno for link in chain if isinstance(link, OSError)}
    if any(isinstance(link, ImportError) for link in chain):
        return Failure("picamera2_missing", fatal=True, error=first_line(error))
    if any(isinstance(link, PermissionError) for link in chain) or "permission denied" in text or "dmaheap device" in text:
        return Failure("camera_denied", fatal=True)
    if isinstance(error, MemoryError) or 12 in numbers or "cannot allocate memory" in text or "failed to allocate" in text:
        memory = meminfo()
        free, total = memory.get("CmaFree"), memory.get("CmaTotal")
        return Failure("camera_memory", fatal=True, cma_free_mb=megabytes(free), cma_total_mb=megabytes(total))
    if "device or resource busy" in text or "in use by another process" in text or "failed to acquire camera" in text:
        return Failure("camera_busy_elsewhere", holder="?", pid="?")
    if "no camera number" in text or "camera(s) not found" in text or "no cameras available" in text:
        return no_camera()
    if "is not advertised by libcamera" in text:
        return Failure("camera_setting_refused", setting=str(chain[-1]).replace("Control ", "").split(" is not ")[0])
    return Failure("camera_failed", error=first_line(chain[-1]))  # picamera2 itself only says that something did not complete


def no_camera() -> Failure:
    """Return why there is no camera: libcamera is silent about devices that it may not open."""
    if not all(os.access(f"/dev/{name}", os.R_OK | os.W_OK) for name in media_devices()):
        return Failure("camera_denied", fatal=True)
    return Failure("camera_missing", fatal=True)  # libcamera looks for cameras once in a process


# ---- wire ---------------------------------------------------------------------------------------------------------------


class Wire:
    """Frames over two file descriptors. Raw reads and writes: nothing is buffered, nothing else can get in between."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._writing = threading.Lock()
        self._expects_more = False
        for descriptor in (source, sink):
            os.set_blocking(descriptor, True)
            with contextlib.suppress(OSError):
                fcntl = importlib.import_module("fcntl")
                fcntl.fcntl(descriptor, 1031, PIPE_BYTES)  # F_SETPIPE_SZ: a picture in a few large pieces

    def receive(self) -> Json | None:
        """Return the next frame's header; None at the end. Raises ``Garbage``."""
        prefix = self._read(PREFIX.size)
        if not prefix:
            return None
        magic, header_length, blob_length, check = PREFIX.unpack(prefix)
        if magic != MAGIC or header_length > LONGEST_HEADER or blob_length > LONGEST_BLOB:
            raise Garbage
        body = self._read(header_length + blob_length)
        if body is None or zlib.crc32(body) != check:
            raise Garbage
        try:
            header = json.loads(body[:header_length].decode())
        except (ValueError, RecursionError):
            raise Garbage from None
        if not isinstance(header, dict):
            raise Garbage
        self._expects_more = True
        return header

    def _read(self, length: int) -> bytes | None:
        """Return exactly so many bytes; None at the end, and where a client that spoke before is silent. Raises ``Garbage`` for an end in the middle."""
        parts: list[bytes] = []
        missing = length
        while missing:
            if self._expects_more and not select.select([self._source], [], [], SILENCE_S)[0]:
                return None
            part = os.read(self._source, min(missing, PIPE_BYTES))
            if not part:
                if missing == length and length == PREFIX.size:
                    return None
                raise Garbage
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def send(self, header: Json, blob: bytes = b"") -> None:
        """Write one frame. A client that is gone ends this process."""
        body = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        check = zlib.crc32(blob, zlib.crc32(body))
        try:
            with self._writing:
                for part in (PREFIX.pack(MAGIC, len(body), len(blob), check) + body, blob):
                    rest = memoryview(part)
                    while rest:
                        rest = rest[os.write(self._sink, rest) :]
        except OSError:
            os._exit(GONE)


# ---- host ---------------------------------------------------------------------------------------------------------------


def read(path: str) -> str | None:
    """Return a small file's text; None if that cannot be had."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16).strip("\0\n ")
    except OSError:
        return None


def whole(text: str | None, base: int = 10) -> int | None:
    """Return a number from text; None if it is none."""
    try:
        return int(text or "", base)
    except ValueError:
        return None


def megabytes(size: int | None) -> int | None:
    """Return bytes as whole megabytes."""
    return None if size is None else size >> 20


def run(command: Sequence[str], timeout_s: float) -> str | None:
    """Return what a program prints; None if it is not there, fails or takes too long."""
    try:
        done = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def meminfo() -> dict[str, int]:
    """Return /proc/meminfo in bytes."""
    found = re.findall(r"^(\w+):\s+(\d+) kB", read("/proc/meminfo") or "", re.MULTILINE)
    return {name: int(size) * 1024 for name, size in found}


def process_state(pid: int) -> str | None:
    """Return a process's state letter; ``D`` also where its leader is dead but a thread hangs in the kernel. None: not there."""
    states = []
    for stat in [f"/proc/{pid}/stat", *(f"/proc/{pid}/task/{task}/stat" for task in listed(f"/proc/{pid}/task"))]:
        fields = (read(stat) or "").rpartition(") ")[2]
        if fields:
            states.append(fields[0])
    if not states:
        return None
    return "D" if states[0] in "ZX" and "D" in states else states[0]


def holder_of() -> tuple[int, str] | None:
    """Return pid and name of the other process that holds a camera: by its lock, else by its open devices. None: cannot be seen.

    Who only lists cameras (a desktop's media server) has media devices open, too, but no lock on them. In a container the devices
    may be others by name only, so locks on what seems to be somebody else's camera come second.
    """
    locks = {(int(found[1]), int(found[2])) for found in re.finditer(r" WRITE (\d+) \w+:\w+:(\d+) ", read("/proc/locks") or "")}
    ours = {inode(f"/dev/{name}") for name in media_devices()}
    everybody = [int(entry) for entry in listed("/proc") if entry.isdigit()]
    for pids, among in (
        ([pid for pid, locked in locks if locked in ours], locks),
        ([pid for pid, _ in locks], locks),
        (everybody, None),
    ):
        held = {pid: _devices_held(pid, among) for pid in pids if pid != os.getpid()}
        pid = max(held, key=lambda found: held[found], default=0)
        if pid and held[pid]:
            return pid, read(f"/proc/{pid}/comm") or "?"
    return None


def _devices_held(pid: int, locks: set[tuple[int, int]] | None) -> int:
    """Return how many camera devices a process has locked, or open where no locks are given."""
    held = 0
    for descriptor in listed(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{descriptor}"
        with contextlib.suppress(OSError):
            if re.search(r"/dev/(media|video)\d+$", os.readlink(path)):
                held += locks is None or (pid, inode(path)) in locks
    return held


def inode(path: str) -> int:
    """Return a file's number, 0 if it is not there."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def media_devices() -> list[str]:
    """Return the names of the devices through which libcamera finds cameras."""
    return [name for name in listed("/dev") if re.match(r"media\d", name)]


def listed(path: str) -> list[str]:
    """Return the names in a folder; none where it cannot be read."""
    try:
        return os.listdir(path)
    except OSError:
        return []


class Host:
    """Figures of the machine the camera is attached to; each None where it cannot be had."""

    def __init__(self) -> None:
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/bin", "/opt/vc/bin"])
        self._vcgencmd = shutil.which("vcgencmd", path=places)

    def metrics(self) -> Json:
        """Return all of them."""
        memory, bits = meminfo(), self._throttling()
        load = (read("/proc/loadavg") or "").split()
        uptime = (read("/proc/uptime") or "").split()
        threads = re.search(r"^Threads:\s+(\d+)", read("/proc/self/status") or "", re.MULTILINE)
        resident = (read("/proc/self/statm") or "").split()
        disk: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            disk = tuple(shutil.disk_usage("/"))

        def bit(number: int) -> bool | None:
            return None if bits is None else bool(bits >> number & 1)

        return {
            "cpu_temperature_c": self._temperature(),
            "throttled": bit(2),
            "under_voltage": bit(0) if bits is not None else self._under_voltage(),
            "frequency_capped": bit(1),
            "soft_temperature_limit": bit(3),
            "throttled_since_boot": bit(18),
            "under_voltage_since_boot": bit(16),
            "memory_total_bytes": memory.get("MemTotal"),
            "memory_available_bytes": memory.get("MemAvailable"),
            "cma_total_bytes": memory.get("CmaTotal"),
            "cma_free_bytes": memory.get("CmaFree"),
            "swap_free_bytes": memory.get("SwapFree"),
            "load_1m": float(load[0]) if load else None,
            "cpu_count": os.cpu_count(),
            "disk_total_bytes": disk[0] if disk else None,
            "disk_free_bytes": disk[2] if disk else None,
            "uptime_s": float(uptime[0]) if uptime else None,
            "worker_rss_bytes": int(resident[1]) * os.sysconf("SC_PAGE_SIZE") if resident else None,
            "worker_threads": int(threads[1]) if threads else None,
            "worker_fds": len(listed("/proc/self/fd")) or None,
        }

    def _throttling(self) -> int | None:
        """Return the firmware's bits."""
        if self._vcgencmd:
            told = run([self._vcgencmd, "get_throttled"], 2.0) or ""
            found = re.search(r"throttled=0x([0-9a-fA-F]+)", told)
            if found:
                return int(found[1], 16)
        return whole(read("/sys/devices/platform/soc/soc:firmware/get_throttled"), 16)

    @staticmethod
    def _under_voltage() -> bool | None:
        for name in Path("/sys/class/hwmon").glob("*/name"):
            if read(str(name)) == "rpi_volt":
                alarm = whole(read(str(name.parent / "in0_lcrit_alarm")))
                return None if alarm is None else bool(alarm)
        return None

    @staticmethod
    def _temperature() -> float | None:
        for kind in sorted(Path("/sys/class/thermal").glob("thermal_zone*/type")):
            if "cpu" in (read(str(kind)) or "") or read(str(kind)) == "x86_pkg_temp":
                degrees = whole(read(str(kind.parent / "temp")))
                return None if degrees is None else degrees / 1000
        return None


def picamera2_version() -> str | None:
    """Return the version of picamera2; None where it is missing."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("picamera2")
    return None


def about(backend: str, picamera2: str | None, libcamera: str | None, rpicam: str | None) -> Json:
    """Return what is known of the machine and its camera software."""
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release") or "", re.MULTILINE)
    return {
        "backend": backend,
        "picamera2": picamera2,
        "libcamera": libcamera,
        "rpicam": rpicam,
        "python": platform.python_version(),
        "machine": read("/proc/device-tree/model"),
        "os": system[1] if system else None,
    }


# ---- requests -----------------------------------------------------------------------------------------------------------


class Deadline:
    """The instant by which a request has to be answered."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, never negative."""
        return max(0.0, self.at - time.monotonic())


class Reply(NamedTuple):
    """What an operation gives; ``after`` runs when the client has it."""

    result: Json
    blob: bytes = b""
    after: Callable[[], None] | None = None


class Args:
    """A request's arguments. All getters raise ``Failure`` ``worker_bad_request`` for what makes no sense."""

    def __init__(self, values: object, name: str = "args") -> None:
        if not isinstance(values, dict):
            raise bad(f"{name} has to be an object")
        self._values: Json = values

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """Return a number."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise bad(f"{name} has to be a number from {low:g} to {high:g}")
        return value

    def optional(self, name: str, low: float, high: float) -> float | None:
        """Return a number, or None."""
        return None if self._values.get(name) is None else self.number(name, low, high)

    def flag(self, name: str) -> bool:
        """Return a boolean; False unless given."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise bad(f"{name} has to be true or false")
        return value

    def text(self, name: str) -> str | None:
        """Return text, or None."""
        value = self._values.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > 1000 or "\0" in value):
            raise bad(f"{name} has to be text")
        return value or None

    def size(self, name: str) -> tuple[int, int] | None:
        """Return width and height in pixels, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(isinstance(side, int) and 16 <= side <= 65536 for side in value):
            raise bad(f"{name} has to be width and height")
        return value[0] & ~1, value[1] & ~1  # the camera's formats have half the colours, so sides are even

    def numbers(self, name: str, most: int) -> list[float]:
        """Return a list of numbers, at least one."""
        value = self._values.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise bad(f"{name} has to be a list of 1 to {most} numbers")
        if any(isinstance(part, bool) or not is_number(part) for part in value):
            raise bad(f"{name} has to be a list of numbers")
        return value

    def part(self, name: str) -> Args:
        """Return arguments within; empty unless given."""
        return Args(self._values.get(name) or {}, name)

    def choice(self, name: str, values: Sequence[Any]) -> Any:
        """Return one of these; the first unless given."""
        value = self._values.get(name, values[0])
        if isinstance(value, bool) or value not in values:
            raise bad(f"{name} has to be one of {', '.join(str(known) for known in values)}")
        return value

    def controls(self) -> Json:
        """Return controls by name: numbers, booleans, or lists of numbers."""
        value = self._values.get("controls") or {}
        if not isinstance(value, dict) or len(value) > 100:
            raise bad("controls has to be an object")
        for name, setting in value.items():
            parts = setting if isinstance(setting, list) else [setting]
            if not parts or len(parts) > 16 or not all(is_number(part) for part in parts):
                raise bad(f"control {name[:50]} has to be a number, a boolean or a list of numbers")
        return dict(value)


class Match(NamedTuple):
    """The exposure and gain that a frame's metadata has to prove."""

    exposure_us: float | None
    gain: float | None

    @classmethod
    def of(cls, args: Args, controls: Mapping[str, Any]) -> Match:
        """Return what a request wants; what its controls set is meant as well."""
        match = args.part("match")
        exposure, gain = match.optional("exposure_us", 1, 1e10), match.optional("gain", 0.01, 1e4)
        return cls(exposure or controls.get("ExposureTime") or None, gain or controls.get("AnalogueGain") or None)

    def proven_by(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a frame is what was wanted."""
        pairs = ((self.exposure_us, metadata.get("ExposureTime"), LINE_US), (self.gain, metadata.get("AnalogueGain"), GAIN_STEP))
        return all(wanted is None or (got is not None and _is_close(got, wanted, step)) for wanted, got, step in pairs)

    def failure(self, metadata: Mapping[str, Any]) -> Failure:
        """Return that the camera did not get there."""
        got = _setting(metadata.get("ExposureTime"), metadata.get("AnalogueGain"))
        return Failure("exposure_not_reached", wanted=_setting(self.exposure_us, self.gain), got=got)


def _is_close(got: float, wanted: float, step: float) -> bool:
    return abs(got - wanted) <= WITHIN * wanted or 0 <= wanted - got <= step


def _setting(exposure_us: float | None, gain: float | None) -> str:
    return ", ".join(text for text in (exposure_us and f"{exposure_us / 1000:.6g} ms", gain and f"gain {gain:.4g}") if text) or "?"


def is_number(value: object) -> bool:
    """Return whether this is a number that fits; JSON's may have thousands of digits."""
    return isinstance(value, (int, float)) and -1e15 <= value <= 1e15


def plain(value: Any) -> Any:
    """Return a libcamera value for JSON: rectangles as [x, y, width, height], anything unknown as a number or text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if hasattr(value, "width"):
        names = ("x", "y", "width", "height") if hasattr(value, "x") else ("width", "height")
        return [int(getattr(value, name)) for name in names]
    for kind in (int, float):
        with contextlib.suppress(TypeError, ValueError):
            return kind(value)
    return str(value)


def exposure_began(metadata: Mapping[str, Any]) -> int:
    """Return when a frame's exposure began, nanoseconds of the monotonic clock.

    A frame is stamped at its end with one of two clocks, which differ after a suspend; only one of them gives an age.
    """
    now = time.monotonic_ns()
    stamp = metadata.get("SensorTimestamp") or now
    age = min((clock - stamp for clock in (now, time.clock_gettime_ns(time.CLOCK_BOOTTIME))), key=abs)
    return now - age - int(metadata.get("ExposureTime") or 0) * 1000


def wall_time(monotonic_ns: int) -> float:
    """Return the Unix time of an instant of the monotonic clock."""
    return time.time() - (time.monotonic_ns() - monotonic_ns) / 1e9


def checked(controls: Mapping[str, Any], limits: Mapping[str, list[Any]]) -> Json:
    """Return controls in the types libcamera takes. Raises ``Failure`` for one that is unknown or beyond its limits."""
    return {name: _checked(name, value, limits.get(name)) for name, value in controls.items()}


def _checked(name: str, value: Any, limit: list[Any] | None) -> Any:
    if limit is None:
        raise Failure("camera_setting_refused", setting=name)
    low, high, _ = limit
    refused = Failure("camera_setting_refused", setting=f"{name} = {value}")
    bounded = is_number(low) and is_number(high)
    if isinstance(high, bool):
        if value not in (0, 1):
            raise refused
        return bool(value)
    if isinstance(high, list):  # a rectangle
        if not isinstance(value, list) or len(value) != 4 or (name == "ScalerCrop" and not _inside(value, high)):
            raise refused
        return tuple(int(part) for part in value)
    if name == "FrameDurationLimits" and isinstance(value, list):
        return tuple(int(part) for part in value)  # those of picamera2 itself are beyond the sensor's: libcamera cuts them
    if isinstance(value, list):
        if bounded and not all(low <= part <= high for part in value):
            raise refused
        return tuple(float(part) for part in value)
    automatic = value == 0 and name in ("ExposureTime", "AnalogueGain")
    if isinstance(value, bool) or (bounded and not automatic and not low <= value <= high):
        raise refused
    if isinstance(high, float) or not bounded:
        return float(value)
    if value != round(value):
        raise refused
    return round(value)


def _inside(inner: Sequence[float], outer: Sequence[float]) -> bool:
    return all(
        outer[axis] <= inner[axis] and inner[axis + 2] > 0 and inner[axis] + inner[axis + 2] <= outer[axis] + outer[axis + 2]
        for axis in (0, 1)
    )


def pick(cameras: Sequence[Mapping[str, Any]], wanted: Args) -> Mapping[str, Any]:
    """Return the camera that was meant, of those that are there (each with id, index and model)."""
    identity, index, model = wanted.text("id"), wanted.optional("index", 0, 63), wanted.text("model")
    if not cameras:
        raise no_camera()
    tests: list[Callable[[Mapping[str, Any]], bool]] = [lambda camera: camera["index"] == (index or 0)]
    if identity is not None:
        last = identity.rpartition("/")[2]
        tests = [
            lambda camera: camera["id"] == identity,
            lambda camera: str(camera["id"]).rpartition("/")[2] == last,  # kernels have renamed the buses in front
            lambda camera: camera["index"] == index and camera["model"] == model,
        ]
    for test in tests:
        found = [camera for camera in cameras if test(camera)]
        if len(found) == 1:
            return found[0]
    raise Failure("camera_missing", fatal=True)


# ---- cameras ------------------------------------------------------------------------------------------------------------


class Picamera2Camera:
    """A camera through picamera2: opened and configured once, its stream running between frames."""

    name = "picamera2"

    def __init__(self) -> None:
        self._module: Any = None
        self._camera: Any = None
        self._opened: tuple[Any, ...] = ()
        self._tuning: str | None = None
        self._ready = False
        self._limits: dict[str, list[Any]] = {}
        self._base: Json = {}
        self._held: Json = {}
        self._exif: dict[int, Any] = {}
        self._preview = False
        self._raw = False
        self._depth = 2
        self._quality = 93
        self._colour_gains: tuple[float, ...] | None = None
        self._frame_s = 0.2
        self._least = 0
        """Frames to look at before what was changed can be trusted to hold."""
        self._settling = False
        """The automatic exposure is on its way."""

    # -- opening

    def _load(self) -> Any:
        if self._module is None:
            os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
            os.environ["LIBCAMERA_LOG_NO_COLOR"] = "1"
            self._module = importlib.import_module("picamera2")
        return self._module

    def _found(self, tuning: str | None = None) -> list[Json]:
        """Return id, index, model and rotation of all cameras; libcamera reads the tuning when it looks for them."""
        module = self._load()
        if tuning != self._tuning:
            manager = getattr(module.Picamera2, "_cm", None)
            if manager is not None and hasattr(manager, "reset"):
                self._set_tuning(tuning)
                manager.reset()
        self._set_tuning(tuning)
        return [
            {
                "id": str(info["Id"]),
                "index": index,
                "number": plain(info.get("Num", index)),
                "model": str(info.get("Model", "?")),
                "rotation": plain(info.get("Rotation")),
            }
            for index, info in enumerate(module.Picamera2.global_camera_info())
        ]

    def _set_tuning(self, tuning: str | None) -> None:
        self._tuning = tuning
        os.environ.pop("LIBCAMERA_RPI_TUNING_FILE", None)
        if tuning:
            os.environ["LIBCAMERA_RPI_TUNING_FILE"] = tuning

    def _tuning_path(self, name: str | None) -> str | None:
        if name is None:
            return None
        kind = "pisp" if getattr(getattr(self._load().Picamera2, "platform", None), "name", "VC4") == "PISP" else "vc4"
        places = [Path("/usr/local/share/libcamera/ipa/rpi", kind), Path("/usr/share/libcamera/ipa/rpi", kind)]
        for place in [Path(), Path.home()] if os.sep in name else places:
            path = place / name
            if path.is_file():
                return str(path.absolute())
        raise Failure("tuning_missing", file=name)

    def _open(self, index: int, tuning: str | None, deadline: Deadline) -> Any:
        """Return an open camera; another program that is just letting it go is waited for."""
        give_up = time.monotonic() + min(BUSY_RETRY_S, deadline.left() / 2)
        while True:
            try:
                return self._load().Picamera2(index, tuning=tuning)
            except IndexError:
                raise no_camera() from None
            except Exception as error:  # noqa: BLE001 - libcamera's bindings raise anything; it is explained
                failure = explain(error)
            gc.collect()
            if failure.key != "camera_busy_elsewhere":
                raise failure
            if time.monotonic() + 0.5 > give_up:
                raise busy(failure)
            time.sleep(0.5)

    def probe(self, args: Args, deadline: Deadline) -> Reply:
        """Say which cameras there are; each is opened for a moment unless it is in use."""
        found = self._found(self._tuning)
        if not found:
            raise no_camera()
        cameras = [self._describe(info, deadline) for info in found]
        program = rpicam_program()
        versions = rpicam_versions(program) if program else {}
        return Reply({**about(self.name, picamera2_version(), self._libcamera_version(), versions.get("rpicam")), "cameras": cameras})

    def _describe(self, info: Json, deadline: Deadline) -> Json:
        described: Json = {name: info[name] for name in ("id", "index", "model", "rotation")}
        described.update({"pixel_array": None, "modes": [], "controls": {}, "raw": False, "error": None})
        camera = self._camera if self._opened[:1] == (info["index"],) else None
        mine = camera is None
        try:
            if camera is None:
                camera = self._open(info["index"], self._tuning, deadline)
            array = plain(camera.camera_properties.get("PixelArraySize"))
            if mine and str(info["model"]).startswith(HDR_SENSOR) and array and array > list(camera.sensor_resolution):
                camera.close()  # somebody has left its HDR on, which has fewer modes; switched off only now that nobody else has it
                camera = None
                gc.collect()
                self._sensor_hdr(info, False)
                camera = self._open(info["index"], self._tuning, deadline)
            described["controls"] = {name: plain(limits) for name, limits in camera.camera_controls.items()}
            described["raw"] = "ColorFilterArrangement" in camera.camera_properties
            described["pixel_array"] = array
            described["modes"] = self._modes(camera, ask=mine)
        except Exception as error:  # noqa: BLE001 - libcamera's bindings raise anything; it is explained
            described["error"] = explain(error).as_json()
        finally:
            if mine and camera is not None:
                with contextlib.suppress(Exception):
                    camera.close()
                gc.collect()  # picamera2's objects refer to each other; until they are collected, so are their files open
        return described

    @staticmethod
    def _modes(camera: Any, *, ask: bool) -> list[Json]:
        modes: dict[tuple[int, int], Json] = {}
        try:
            for mode in camera.sensor_modes if ask else ():  # configures the camera once for each
                if "size" in mode:
                    size = (int(mode["size"][0]), int(mode["size"][1]))
                    exposure = plain(mode.get("exposure_limits")) or []
                    described = {
                        "size": list(size),
                        "bit_depth": plain(mode.get("bit_depth")),
                        "fps": plain(mode.get("fps")),
                        "exposure_us": exposure[:2] if len(exposure) >= 2 and None not in exposure[:2] else None,
                    }
                    if size not in modes or (described["bit_depth"] or 0) > (modes[size]["bit_depth"] or 0):
                        modes[size] = described
        except Exception as error:  # noqa: BLE001 - a camera is as usable without
            print(f"skylapse: no modes: {first_line(error)}", file=sys.stderr)
        if not modes:
            modes[0, 0] = {"size": plain(camera.sensor_resolution), "bit_depth": None, "fps": None, "exposure_us": None}
        return list(modes.values())

    @staticmethod
    def _libcamera_version() -> str | None:
        try:
            return str(importlib.import_module("libcamera").CameraManager.singleton().version)
        except Exception:  # noqa: BLE001 - old bindings have none, and it is only to be shown
            return None

    # -- configuring

    def configure(self, args: Args, deadline: Deadline) -> Reply:
        """Open the camera if need be, and give it one still configuration that stays."""
        size, preview_size = args.size("size"), args.size("preview_size")
        controls, exif = args.controls(), args.part("exif")
        quality, orientation = round(args.number("quality", 1, 100, 93)), args.choice("orientation", (1, 3, 6, 8))
        flips, hdr, raw = (args.flag("hflip"), args.flag("vflip")), args.flag("sensor_hdr"), args.flag("raw")
        make, model = exif.text("make"), exif.text("model")
        self._load()
        tuning = self._tuning_path(args.text("tuning"))
        if self._camera is not None and self._tuning != tuning:
            self.close()
        info = pick(self._found(tuning), args.part("camera"))
        wanted = (info["index"], tuning, hdr)
        if self._opened != wanted:
            self.close()
        self._ready = False
        for again in (True, False):
            try:
                if self._camera is None:
                    self._sensor_hdr(info, hdr)
                    self._camera = self._open(info["index"], tuning, deadline)
                    self._opened = wanted
                elif self._camera.started:
                    self._camera.stop()
                self._configure(size, preview_size, flips, raw)
                break
            except Exception as error:  # noqa: BLE001 - libcamera's bindings raise anything; it is explained
                failure = explain(error)
            # memory in one piece may be there once all that is ours has been given back
            self.close()
            if failure.key != "camera_memory" or not again:
                raise failure
        self._quality = self._camera.options["quality"] = quality
        self._exif = {271: make or "Raspberry Pi", 272: model or info["model"], 274: orientation, 305: "Skylapse"}
        self._limits = {name: plain(limits) for name, limits in self._camera.camera_controls.items()}
        defaults = self._camera.camera_configuration().get("controls") or {}
        defaults = defaults if isinstance(defaults, dict) else defaults.make_dict()
        self._base = {**defaults, **checked(controls, self._limits)}
        self._held, self._colour_gains = dict(self._base), None
        self._ready = True
        stream = self._camera.camera_configuration()
        return Reply(
            {
                "size": plain(stream["main"]["size"]),
                "format": str(stream["main"]["format"]),
                "preview_size": plain(stream["lores"]["size"]) if self._preview else None,
                "limits": self._limits,
                "raw": self._raw,
                "camera": {name: info[name] for name in ("id", "index", "model")},
                "versions": {"picamera2": picamera2_version(), "libcamera": self._libcamera_version()},
            }
        )

    def _sensor_hdr(self, info: Mapping[str, Any], wanted: bool) -> None:
        """Switch the sensor's own HDR, which stays switched in its driver."""
        if not str(info["model"]).startswith(HDR_SENSOR):
            if wanted:
                raise Failure("camera_cannot", what="sensor_hdr")
            return
        try:
            with importlib.import_module("picamera2.devices.imx708").IMX708(info["number"]) as sensor:
                sensor.set_sensor_hdr_mode(wanted)
        except Exception as error:
            if wanted:
                raise Failure("camera_cannot", what="sensor_hdr") from error

    def _configure(self, size: tuple[int, int] | None, preview_size: tuple[int, int] | None, flips: tuple[bool, bool], raw: bool) -> None:
        camera = self._camera
        main: Json = {"format": "YUV420", "size": size or tuple(camera.sensor_resolution)}  # half of RGB's memory, and faster
        transform = importlib.import_module("libcamera").Transform(hflip=int(flips[0]), vflip=int(flips[1]))
        self._raw = raw and "ColorFilterArrangement" in camera.camera_properties
        raw_stream: Json | None = {} if self._raw else None
        if self._raw and getattr(getattr(self._load().Picamera2, "platform", None), "name", "") == "PISP":
            # what is packed here would have to be unpacked in Python for each frame
            raw_stream = {"format": self._load().SensorFormat(camera.sensor_format).unpacked}
        lores = None
        if preview_size is not None:
            lores = {"format": "YUV420", "size": tuple(min(pair) for pair in zip(preview_size, main["size"]))}
        for stream in [lores, None] if lores else [None]:
            config = camera.create_still_configuration(
                main=main, lores=stream, raw=raw_stream, transform=transform, buffer_count=3 if stream else 2
            )
            try:
                camera.configure(config)
                self._preview = stream is not None
                break
            except Exception as error:
                if stream is None or explain(error).key == "camera_memory":
                    raise
                print(f"skylapse: no preview: {first_line(error)}", file=sys.stderr)
        try:
            self._depth = int(camera.libcamera_config.at(0).buffer_count)
        except Exception:  # noqa: BLE001 - not part of picamera2's interface
            self._depth = 4

    # -- streaming

    def _need(self) -> Any:
        if not self._ready:
            raise bad("the camera is not configured")
        return self._camera

    def _start(self, controls: Json) -> None:
        """Start the stream; controls given before hold from its first frame on."""
        goes_on = automatic(self._held) and automatic(controls)  # where it was, perhaps with frames of many seconds
        self._frame_s = max(self._frame_s if goes_on else 0.0, FIRST_FRAME_S[self._tuning is not None and automatic(controls)])
        crops = getattr(self._camera.controls, "ScalerCrops", None)  # of both streams, left there by configure; they would win
        self._set({**controls, "ScalerCrops": [controls["ScalerCrop"]] * len(crops)} if crops and "ScalerCrop" in controls else controls)
        self._camera.start()
        self._held, self._least, self._settling = controls, 1, automatic(controls)

    def _stop(self) -> None:
        if self._camera is not None and self._camera.started:
            self._camera.stop()

    def _set(self, controls: Json) -> None:
        # a frame that goes back to the camera takes the controls with it under this lock; without it, some would be lost
        with getattr(self._camera, "request_lock", None) or contextlib.nullcontext():
            self._camera.set_controls(controls)

    def _wish(self, given: Mapping[str, Any]) -> Json:
        """Return all that shall hold for a frame: what it names, what configure set, and the defaults of what it no longer names."""
        wish = {**self._base, **checked(given, self._limits)}
        if wish.get("ExposureTime") and wish.get("AnalogueGain") and wish.get("AeEnable"):
            del wish["AeEnable"]  # the older libcamera takes that as an order to forget both
        if "ColourGains" in wish:
            wish.pop("AwbEnable", None)  # as above, for the white balance
        elif "ColourGains" in self._held and "AwbEnable" in self._limits:
            wish.setdefault("AwbEnable", True)
        for name in self._held:
            if name in wish or name == "ColourGains" or name not in self._limits:
                continue
            if name in STAY:
                wish[name] = self._held[name]
            elif name in ("ExposureTime", "AnalogueGain"):
                wish[name] = 0
            elif name == "AwbEnable":
                wish.update({} if "ColourGains" in wish else {name: True})
            elif self._limits[name][2] is not None:
                wish[name] = self._limits[name][2]
        return wish

    def _wanted(self, args: Args) -> Json:
        """Return the controls that a request names, with all that goes with them; those in force if it names none."""
        controls = args.controls()
        return self._wish(controls) if controls else dict(self._held)

    def _look_through(self, args: Args) -> Json:
        """Let the stream run for looking; nobody looks through a long exposure. Return the controls in force."""
        wish = self._wanted(args)
        if is_long(wish):
            wish.update(ExposureTime=0, AnalogueGain=0)
        self._apply(wish)
        return wish

    def _apply(self, wish: Json) -> None:
        """Let controls hold: from the first frame on where the stream starts, else from some frame on."""
        if not self._camera.started:
            self._start(wish)
            return
        changed = {name: value for name, value in wish.items() if self._held.get(name) != value}
        if changed:
            self._set(changed)
            proven = {name for name in ("ExposureTime", "AnalogueGain") if wish.get(name)}
            if (wish.get("ExposureTime") or 0) * WITHIN < LINE_US:
                proven.discard("ExposureTime")  # what was before may look as close
            if changed.keys() - proven:
                self._least = min(self._depth + 4, MOST_FRAMES - 2)  # as many are queued, and the sensor needs its own
            if changed.keys() & AE_CONTROLS and automatic(wish):
                self._settling = True
        self._held = wish

    def _next(self, deadline: Deadline, patience_s: float | None = None) -> Any:
        """Return the next finished request, which has to be released. Raises ``Failure`` ``camera_timeout``."""
        done = threading.Event()
        # cancelled requests never arrive, so a stream that is stuck is known by its silence
        exposure_s = (self._held.get("ExposureTime") or 0) / 1e6
        patience = min(deadline.left(), patience_s or 5 + 8 * max(self._frame_s, exposure_s))
        began = time.monotonic()
        job = self._camera.capture_request(wait=False, signal_function=lambda _job: done.set())
        if not done.wait(patience):
            self._forget_jobs()
            if not done.is_set():
                thread = getattr(getattr(self._camera, "_preview", None), "thread", None)
                dead = thread is not None and not thread.is_alive()
                raise Failure("camera_timeout", fatal=dead, deadline_s=round(time.monotonic() - began, 1))
        return job.get_result()

    def _forget_jobs(self) -> None:
        """Let nobody wait for a frame any more: one that came later would never be given back, and the stream stand still for it."""
        cancel = getattr(self._camera, "cancel_all_and_flush", None)
        if cancel is not None:
            cancel()
        else:  # before 0.3.22
            with self._camera.lock:
                self._camera._job_list.clear()  # noqa: SLF001 - old ones have no call for it

    def _look(self, deadline: Deadline, match: Match, asked_ns: int) -> tuple[Any, Json, int]:
        """Return a request whose exposure began after ``asked_ns`` and is as wanted, its metadata, and how many were looked at."""
        looked = fresh = 0
        before = 0.0
        while True:
            request = self._next(deadline)
            keep = False
            try:
                metadata = plain_metadata(request.get_metadata())
                looked += 1
                self._note(metadata)
                total = float(metadata.get("ExposureTime") or 0) * float(metadata.get("AnalogueGain") or 1)
                steady, before = abs(total - before) <= WITHIN * before, total
                if exposure_began(metadata) >= asked_ns:
                    fresh += 1
                    if match.proven_by(metadata) and looked >= self._least:
                        last = fresh >= MOST_FRAMES or deadline.left() < 2 * self._frame_s + 2  # there is no time for another
                        if not self._settling or last or (looked > 1 and steady and converged(metadata)):
                            self._settling, self._least, keep = False, 0, True
                            return request, metadata, looked
                if fresh >= MOST_FRAMES:
                    raise match.failure(metadata)
            finally:
                if not keep:
                    request.release()
            if looked % FRAMES_UNTIL_RESENT == 0:
                self._set(self._held)

    def _note(self, metadata: Json) -> None:
        """Remember what the next frames are like."""
        duration = metadata.get("FrameDuration")
        if isinstance(duration, (int, float)):
            self._frame_s = duration / 1e6
        gains = metadata.get("ColourGains")
        if "ColourGains" not in self._held and isinstance(gains, list) and len(gains) == 2 and all(gains):
            self._colour_gains = tuple(gains)

    def _for_long(self, wish: Json, deadline: Deadline) -> Json:
        """Return the controls for a long exposure: with fixed colours, so that no frame is spent on finding them."""
        if "ColourGains" in wish or "ColourGains" not in self._limits or wish.get("AwbEnable") is False:
            return wish
        exposure_s = wish["ExposureTime"] / 1e6
        if self._colour_gains is None and deadline.left() > exposure_s + 10:
            with contextlib.suppress(Failure):
                self._start({**wish, "ExposureTime": round(min(100_000, self._limits["ExposureTime"][1]))})
                for _ in range(3):
                    request = self._next(deadline, 5.0)
                    try:
                        self._note(plain_metadata(request.get_metadata()))
                    finally:
                        request.release()
            self._stop()
        if self._colour_gains is None:
            return wish
        fixed = {**wish, "ColourGains": self._colour_gains}
        fixed.pop("AwbEnable", None)
        return fixed

    def wake(self, args: Args, deadline: Deadline) -> Reply:
        """Start the stream and let the automatic exposure settle; a long exposure needs a start of its own anyway."""
        self._need()
        wish = self._wanted(args)
        if is_long(wish):
            return Reply({"streaming": False})
        self._apply(wish)
        request, _, _ = self._look(deadline, Match(None, None), 0)
        request.release()
        return Reply({"streaming": True})

    def rest(self, args: Args, deadline: Deadline) -> Reply:
        """Stop the stream."""
        self._need()
        self._stop()
        return Reply({"streaming": False})

    def restart_stream(self, args: Args, deadline: Deadline) -> Reply:
        """Drop what is under way, stop the stream and start it."""
        camera = self._need()
        self._forget_jobs()
        self._stop()
        if not is_long(self._held):
            self._start(dict(self._held))
        return Reply({"streaming": camera.started})

    # -- pictures

    def capture(self, args: Args, deadline: Deadline) -> Reply:
        """Take one fresh frame; a long exposure has a stream of its own, which ends after the reply."""
        camera = self._need()
        wish = self._wish(args.controls())
        match = Match.of(args, wish)
        began = time.monotonic()
        long = is_long(wish)
        if long:
            self._stop()
            wish = self._for_long(wish, deadline)
        asked_ns = time.monotonic_ns()
        if long:
            asked_ns -= wish["ExposureTime"] * 10  # 1 %: its stream starts now, and sensors' clocks are not as exact as 200 s need it
        self._apply(wish)
        request, metadata, looked = self._look(deadline, match, asked_ns)
        framed = time.monotonic()
        dng, note = b"", {}
        try:
            taken_at = wall_time(exposure_began(metadata))
            jpeg = self._encode(request, "main", self._quality, self._tags(metadata, taken_at))
            encoded = time.monotonic()
            size = plain(camera.camera_configuration()["main"]["size"])
            if self._raw:
                try:
                    dng = self._dng(request)
                except Exception as error:  # noqa: BLE001 - the picture is there, and is not given up for it
                    note = {"dng_error": first_line(error)}
        finally:
            request.release()
        timings = {"wait": framed - began, "frame": self._frame_s, "jpeg": encoded - framed, "total": time.monotonic() - began}
        if dng:
            timings["dng"] = time.monotonic() - encoded
        result = {
            "taken_at": taken_at,
            "size": size,
            "metadata": metadata,
            "frames": looked,
            "streaming": not long,
            "timings_ms": {name: round(value * 1000, 1) for name, value in timings.items()},
            "parts": [["jpeg", len(jpeg)], *([["dng", len(dng)]] if dng else [])],
            **note,
        }
        return Reply(result, jpeg + dng, self._stop if long else None)

    def _tags(self, metadata: Json, taken_at: float) -> Json:
        """Return EXIF as picamera2 takes it: whole directories, since what is given replaces its own."""
        local = time.strftime("%Y:%m:%d %H:%M:%S", time.localtime(taken_at))
        exif: dict[int, Any] = {36867: local}
        if metadata.get("ExposureTime"):
            exif[33434] = (int(metadata["ExposureTime"]), 1_000_000)
        if metadata.get("AnalogueGain"):
            exif[34855] = min(65535, round(100 * metadata["AnalogueGain"] * (metadata.get("DigitalGain") or 1)))
        return {"0th": {**self._exif, 306: local}, "Exif": exif}

    def _encode(self, request: Any, stream: str, quality: int, tags: Json) -> bytes:
        """Return a whole JPEG. It goes through memory: picamera2 hides that a file could not be written."""
        taken = self._camera.camera_configuration()[stream]
        if str(taken["format"]) == "YUV420":
            data = planar_jpeg(request.make_array(stream), tuple(taken["size"]), quality, tags)
        else:
            self._camera.options["quality"] = quality
            buffer = io.BytesIO()
            request.save(stream, buffer, format="jpeg", exif_data=tags)
            data = buffer.getvalue()
        if not whole_jpeg(data):
            raise Failure("camera_failed", error="picamera2 gave no whole JPEG")
        return data

    @staticmethod
    def _dng(request: Any) -> bytes:
        if "file_output" not in inspect.signature(request.save_dng).parameters:  # it would go into a file with a strange name
            raise ValueError("this picamera2 is too old for raw data")
        buffer = io.BytesIO()
        request.save_dng(buffer)
        data = buffer.getvalue()
        if data[:4] not in (b"II*\0", b"MM\0*"):
            raise ValueError("picamera2 gave no DNG")
        return data

    def preview(self, args: Args, deadline: Deadline) -> Reply:
        """Return the newest small picture; where frames are exposed long, one that is automatically exposed."""
        camera = self._need()
        quality = round(args.number("quality", 1, 100, 75))
        if not self._preview:
            raise Failure("camera_cannot", what="preview")
        self._look_through(args)
        request = self._next(deadline)
        try:
            metadata = plain_metadata(request.get_metadata())
            self._note(metadata)
            jpeg = self._encode(request, "lores", quality, {"0th": self._exif, "Exif": {}})
        finally:
            request.release()
        size = plain(camera.camera_configuration()["lores"]["size"])
        return Reply({"size": size, "metadata": metadata, "streaming": True}, jpeg)

    # -- focus

    def _lens(self, *names: str) -> Any:
        camera = self._need()
        if not all(name in self._limits for name in names):
            raise Failure("camera_cannot", what="autofocus" if "AfTrigger" in names else "focus_sweep")
        return camera

    def focus_sweep(self, args: Args, deadline: Deadline) -> Reply:
        """Measure sharpness over lens positions; the lens is afterwards where it was."""
        positions = args.numbers("positions", 100)
        self._lens("LensPosition")
        manual: Json = {"AfMode": 0} if "AfMode" in self._limits else {}
        settings = [checked({**manual, "LensPosition": position}, self._limits) for position in positions]
        before = self._look_through(args)
        lens_before = before.get("LensPosition")
        steps: list[Json] = []
        try:
            for setting in settings:
                if lens_before is None:
                    lens_before = self._watch(deadline, 1).get("LensPosition")
                self._set(setting)
                steps.append(self._sharpness(setting["LensPosition"], deadline))
        finally:
            back = {name: before[name] for name in ("AfMode",) if name in before}
            if lens_before is not None:
                back["LensPosition"] = float(lens_before)
            self._set(back)
            self._held.update(back)
            self._least = self._depth + 4
        best = max(steps, key=lambda step: float(step["sharpness"]))
        return Reply({"steps": steps, "best": best["position"], "streaming": True})

    def _watch(self, deadline: Deadline, frames: int, until: Callable[[int, Json], bool] | None = None, measure: bool = False) -> Json:
        """Return metadata of the frame after so many, or of the first for which ``until`` holds; with ``Sharpness`` if asked for."""
        looked = 0
        while True:
            request = self._next(deadline)
            try:
                looked += 1
                metadata = plain_metadata(request.get_metadata())
                self._note(metadata)
                if looked >= frames or (until is not None and until(looked, metadata)):
                    return {**metadata, "Sharpness": self._measure(request, metadata)} if measure else metadata
            finally:
                request.release()

    def _sharpness(self, position: float, deadline: Deadline) -> Json:
        def arrived(looked: int, metadata: Json) -> bool:
            reported = metadata.get("LensPosition")
            return reported is not None and looked > 2 and abs(reported - position) <= max(0.05, 0.02 * position)

        # a lens that tells where it is still swings for a frame, one that does not is given the time controls take
        self._watch(deadline, self._depth + 4, arrived)
        metadata = self._watch(deadline, 2, measure=True)
        return {
            "position": position,
            "lens_position": metadata.get("LensPosition"),
            "sharpness": metadata["Sharpness"],
            "focus_fom": metadata.get("FocusFoM"),
        }

    def _measure(self, request: Any, metadata: Json) -> float:
        """Return how sharp a frame is: as libcamera measured it, else by the contrast between neighbours in its middle."""
        if metadata.get("FocusFoM") is not None:
            return float(metadata["FocusFoM"])
        stream = "lores" if self._preview else "main"
        width, height = self._camera.camera_configuration()[stream]["size"]
        luma = request.make_array(stream)[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4].astype("int32")
        across = luma[:, 1:] - luma[:, :-1]
        return round(float((across * across).mean()), 3)

    def autofocus(self, args: Args, deadline: Deadline) -> Reply:
        """Focus once, and hold the lens there."""
        self._lens("AfMode", "AfTrigger", "LensPosition")
        began = time.monotonic()
        self._look_through(args)
        self._set({"AfMode": 1, "AfTrigger": 0})
        scanning = False

        def finished(looked: int, metadata: Json) -> bool:
            nonlocal scanning
            state = metadata.get("AfState")
            scanning = scanning or state == 1
            # states from before the trigger are still on their way; a lens whose tuning knows no autofocus never gets to one
            return looked > self._depth + (4 if state in (2, 3) else 20) if not scanning else state in (2, 3)

        state, position = None, None
        try:
            metadata = self._watch(deadline, 10_000, finished)
            state, position = metadata.get("AfState"), metadata.get("LensPosition")
        finally:
            hold: Json = {"AfMode": 0}
            if position is not None:
                hold["LensPosition"] = float(position)
            self._set(hold)
            self._held.update(hold)
        if state not in (2, 3):
            raise Failure("camera_cannot", what="autofocus")
        milliseconds = round((time.monotonic() - began) * 1000)
        return Reply({"success": state == 2, "lens_position": position, "duration_ms": milliseconds, "streaming": True})

    def close(self) -> None:
        """Let the camera go."""
        camera, self._camera, self._opened, self._ready = self._camera, None, (), False
        if camera is not None:
            with contextlib.suppress(Exception):
                camera.close()
        del camera
        gc.collect()


def busy(failure: Failure) -> Failure:
    """Return who holds the camera: a program to be closed, or one that only a restart of the machine ends."""
    found = holder_of()
    if found is None:
        return failure
    pid, name = found
    if process_state(pid) == "D":
        time.sleep(0.2)  # anybody is in this state for a moment
        if process_state(pid) == "D":
            return Failure("camera_needs_reboot", pid=pid)
    return Failure("camera_busy_elsewhere", holder=name, pid=pid)


def automatic(controls: Mapping[str, Any]) -> bool:
    """Return whether the camera chooses exposure or gain."""
    return not (controls.get("ExposureTime") and controls.get("AnalogueGain")) and controls.get("AeEnable") is not False


def is_long(controls: Mapping[str, Any]) -> bool:
    """Return whether these controls make a long exposure."""
    return bool((controls.get("ExposureTime") or 0) >= LONG_US)


def converged(metadata: Mapping[str, Any]) -> bool:
    """Return whether the automatic exposure says that it is where it wants to be; yes where it says nothing."""
    state = metadata.get("AeState")
    return bool(state in (2, 3) if state is not None else metadata.get("AeLocked", True))


def plain_metadata(metadata: Mapping[Any, Any]) -> Json:
    """Return a frame's metadata for JSON."""
    return {str(name): plain(value) for name, value in metadata.items()}


def planar_jpeg(planes: Any, size: tuple[int, int], quality: int, tags: Json) -> bytes:
    """Return a JPEG of a YUV420 array as picamera2 gives it: rows of brightness, then those of both colours in half the size.

    picamera2 itself does not know how before 0.3.27, and takes it from the wrong stream before 0.3.31.
    """
    width, height = size
    colours = planes.reshape(planes.shape[0] * 2, planes.shape[1] // 2)[2 * height :, : width // 2]
    parts = planes[:height, :width], colours[: height // 2], colours[height // 2 :]
    encode = None
    with contextlib.suppress(ImportError):
        encode = getattr(importlib.import_module("simplejpeg"), "encode_jpeg_yuv_planes", None)  # since 1.8
    if encode is not None:
        return with_exif(encode(*map(importlib.import_module("numpy").ascontiguousarray, parts), quality), tags)
    image = importlib.import_module("PIL.Image")
    bands = [image.fromarray(part).resize(size) for part in parts]
    buffer = io.BytesIO()
    image.merge("YCbCr", bands).save(buffer, "JPEG", quality=quality)
    return with_exif(buffer.getvalue(), tags)


def with_exif(jpeg: bytes, tags: Json) -> bytes:
    """Return a JPEG with its EXIF put in front."""
    exif = importlib.import_module("piexif").dump(tags)
    return b"".join([jpeg[:2], b"\xff\xe1", (len(exif) + 2).to_bytes(2, "big"), exif, jpeg[2:]])


def whole_jpeg(data: bytes) -> bool:
    """Return whether a JPEG has both of its ends."""
    return data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9"


# ---- rpicam-still -------------------------------------------------------------------------------------------------------


def rpicam_program() -> str | None:
    """Return the path of rpicam-still, or of libcamera-still as it was called before."""
    return shutil.which("rpicam-still") or shutil.which("libcamera-still")


def rpicam_versions(program: str) -> Json:
    """Return the versions of the program and of its libcamera."""
    told = run([program, "--version"], 10.0) or ""
    found = dict(re.findall(r"^(\S+) build: (\S+)", told, re.MULTILINE))
    return {"libcamera": found.pop("libcamera", None), "rpicam": next(iter(found.values()), None)}


RPICAM_NUMBERS = {
    "ExposureValue": ("--ev", -8.0, 8.0, 0.0),
    "Brightness": ("--brightness", -1.0, 1.0, 0.0),
    "Contrast": ("--contrast", 0.0, 15.99, 1.0),
    "Saturation": ("--saturation", 0.0, 15.99, 1.0),
    "Sharpness": ("--sharpness", 0.0, 15.99, 1.0),
    "LensPosition": ("--lens-position", 0.0, 32.0, 1.0),
}
RPICAM_NAMES = {
    "AeMeteringMode": ("--metering", ("centre", "spot", "average")),
    "AeExposureMode": ("--exposure", ("normal", "sport", "long")),
    "AwbMode": ("--awb", ("auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy")),
    "NoiseReductionMode": ("--denoise", ("off", "cdn_fast", "cdn_hq", "cdn_off")),
    "AfMode": ("--autofocus-mode", ("manual", "auto", "continuous")),
}
RPICAM_FOCUSING = ("imx708", "arducam_64mp", "ov64a40")
RPICAM_LONGEST_US = {"ov5647": 6_000_000, "imx219": 11_760_000, "imx477": 670_740_000, "imx708": 112_000_000}
"""What is published, for programs that do not list it."""


class RpicamCamera:
    """A camera through rpicam-still: one process for each frame, nothing running in between."""

    name = "rpicam"

    def __init__(self) -> None:
        self._program: str | None = None
        self._camera: Json | None = None
        self._limits: dict[str, list[Any]] = {}
        self._base: Json = {}
        self._fixed: list[str] = []
        self._size: list[int] = []
        self._colour_gains: list[float] | None = None

    def _need_program(self) -> str:
        self._program = self._program or rpicam_program()
        if self._program is None:
            raise Failure("rpicam_missing", fatal=True)
        return self._program

    def _listed(self, deadline: Deadline) -> list[Json]:
        """Return the cameras that the program lists."""
        program = self._need_program()
        # newer programs add the controls to a verbose list
        listing, errors, code, _ = self._run([program, "--list-cameras", "-v", "2"], deadline)
        if code:
            listing, errors, code, _ = self._run([program, "--list-cameras"], deadline)
        if code:
            raise self._failed(errors)
        return list(self._parsed(listing.decode(errors="replace")))

    def _parsed(self, listing: str) -> Iterator[Json]:
        for block in re.split(r"^(?=\d+ : )", listing, flags=re.MULTILINE):
            head = re.match(r"(\d+) : (\S+) \[(?:(\d+)x(\d+))?[^\]]*\] \((.+)\)", block)
            if head is None:
                continue
            modes: dict[tuple[int, int], Json] = {}
            for kind, sizes in re.findall(r"'(\w+)' : ((?:(?!').)*)", block, re.DOTALL):
                depth = whole((re.search(r"\d+", kind) or [None])[0])
                for width, height, fps in re.findall(r"(\d+)x(\d+) \[([\d.]+) fps", sizes):
                    size = (int(width), int(height))
                    if size not in modes or (depth or 0) > (modes[size]["bit_depth"] or 0):
                        modes[size] = {"size": list(size), "bit_depth": depth, "fps": float(fps), "exposure_us": None}
            array = [int(head[3]), int(head[4])] if head[3] else None
            yield {
                "index": int(head[1]),
                "id": head[5],
                "model": head[2],
                "rotation": None,
                "pixel_array": array,
                "modes": list(modes.values()) or ([{"size": array, "bit_depth": None, "fps": None, "exposure_us": None}] if array else []),
                "controls": self._controls(head[2], array, dict(re.findall(r"^\s+(\w+) : \[(\S+\.\.\S+?)\]", block, re.MULTILINE))),
                "raw": False,
                "error": None,
            }

    def _controls(self, model: str, array: list[int] | None, told: Mapping[str, str]) -> dict[str, list[Any]]:
        """Return the limits of what the program has options for: as it lists them, else as they are published."""
        kind = model.partition("_")[0]
        limits: dict[str, list[Any]] = {
            "ExposureTime": [100, RPICAM_LONGEST_US.get(kind, 200_000_000), 20_000],
            "AnalogueGain": [1.0, 16.0, 1.0],
            "AwbEnable": [False, True, True],
            "ColourGains": [0.0, 32.0, None],
            **{name: list(limit) for name, (_, *limit) in RPICAM_NUMBERS.items()},
            **{name: [0, len(names) - 1, 0] for name, (_, names) in RPICAM_NAMES.items()},
        }
        if array:
            limits["ScalerCrop"] = [[0, 0, 64, 64], [0, 0, *array], [0, 0, *array]]
        for name in ("ExposureTime", "AnalogueGain"):
            low, _, high = told.get(name, "").partition("..")
            with contextlib.suppress(ValueError):
                number = type(limits[name][0])
                limits[name][:2] = [number(float(low)), number(float(high))]
        lens = "LensPosition" in told if told else model.startswith(RPICAM_FOCUSING)
        if not lens:
            del limits["LensPosition"], limits["AfMode"]
        return limits

    def probe(self, args: Args, deadline: Deadline) -> Reply:
        """Say which cameras there are."""
        cameras = self._listed(deadline)
        if not cameras:
            raise no_camera()
        versions = rpicam_versions(self._need_program())
        known = about(self.name, picamera2_version(), versions.get("libcamera"), versions.get("rpicam"))
        return Reply({**known, "cameras": cameras})

    def configure(self, args: Args, deadline: Deadline) -> Reply:
        """Check what frames shall be like; nothing runs yet."""
        size, controls, exif = args.size("size"), args.controls(), args.part("exif")
        quality, orientation = round(args.number("quality", 1, 100, 93)), args.choice("orientation", (1, 3, 6, 8))
        tuning, make, model = args.text("tuning"), exif.text("make"), exif.text("model")
        self._camera = None
        camera = dict(pick(self._listed(deadline), args.part("camera")))
        if tuning and os.sep in tuning and not Path(tuning).is_file():
            raise Failure("tuning_missing", file=tuning)
        self._limits = camera["controls"]
        self._options(checked(controls, self._limits), camera)
        self._base = controls
        modes = [mode["size"] for mode in camera["modes"]] or [[0, 0]]
        self._size = list(size) if size else max(modes, key=lambda mode: int(mode[0] * mode[1]))
        width, height = self._size
        self._fixed = ["--width", str(width), "--height", str(height), "-q", str(quality), "--exif", f"IFD0.Orientation={orientation}"]
        for tag, text in (("Make", make), ("Model", model)):
            self._fixed += ["--exif", f"IFD0.{tag}={text}"] if text else []
        self._fixed += [f"--{flip}" for flip in ("hflip", "vflip") if args.flag(flip)]
        self._fixed += ["--tuning-file", self._tuning_path(tuning)] if tuning else []
        self._fixed += ["--hdr", "sensor"] if args.flag("sensor_hdr") else []
        self._camera = camera
        versions = rpicam_versions(self._need_program())
        taken = {name: camera[name] for name in ("id", "index", "model")}
        result = {"size": self._size, "format": "JPEG", "preview_size": None, "limits": self._limits, "raw": False, "camera": taken}
        return Reply({**result, "versions": versions})

    @staticmethod
    def _tuning_path(name: str) -> str:
        for kind in ("pisp", "vc4") if "Raspberry Pi 5" in (read("/proc/device-tree/model") or "") else ("vc4", "pisp"):
            for place in ("/usr/local/share/libcamera/ipa/rpi", "/usr/share/libcamera/ipa/rpi"):
                path = Path(place, kind, name)  # an absolute name stays what it is
                if path.is_file():
                    return str(path)
        raise Failure("tuning_missing", file=name)

    def _options(self, controls: Mapping[str, Any], camera: Mapping[str, Any]) -> list[str]:
        """Return the program's options for controls. Raises ``Failure`` for what it has no option for."""
        options: list[str] = []
        gains = controls.get("ColourGains")
        for name, value in controls.items():
            if name in RPICAM_NUMBERS:
                options += [RPICAM_NUMBERS[name][0], f"{value:g}"]
            elif name in RPICAM_NAMES:
                option, names = RPICAM_NAMES[name]
                options += [option, names[value]]
            elif name == "ExposureTime" and value:
                options += ["--shutter", str(value)]
            elif name == "AnalogueGain" and value:
                options += ["--gain", f"{value:g}"]
            elif name == "ColourGains":
                options += ["--awbgains", ",".join(f"{gain:g}" for gain in value)]
            elif name == "ScalerCrop":
                width, height = camera["pixel_array"]
                parts = (value[0] / width, value[1] / height, value[2] / width, value[3] / height)
                options += ["--roi", ",".join(f"{part:.6f}" for part in parts)]
            elif name == "AwbEnable" and not value and gains is None:
                raise Failure("camera_setting_refused", setting="AwbEnable without ColourGains")
        return options

    def capture(self, args: Args, deadline: Deadline) -> Reply:
        """Take one frame."""
        if self._camera is None:
            raise bad("the camera is not configured")
        controls = checked({**self._base, **args.controls()}, self._limits)
        match = Match.of(args, controls)
        began = time.monotonic()
        if is_long(controls) and "ColourGains" not in controls and controls.get("AwbEnable") is not False:
            # else several frames of the full time go into finding them
            gains = self._colour_gains or self._find_colour_gains(self._camera, controls, deadline)
            controls.update({"ColourGains": gains} if gains else {})
        command = self._command(self._camera, controls)
        frames = 1
        jpeg, metadata = self._shoot(command, deadline)
        if not match.proven_by(metadata):
            frames = 2
            jpeg, metadata = self._shoot(command, deadline)
            if not match.proven_by(metadata):
                raise match.failure(metadata)
        if "ColourGains" not in controls:
            self._note_colour_gains(metadata)
        result = {
            "taken_at": wall_time(exposure_began(metadata)),
            "size": self._size,
            "metadata": metadata,
            "frames": frames,
            "streaming": False,
            "timings_ms": {"total": round((time.monotonic() - began) * 1000, 1)},
            "parts": [["jpeg", len(jpeg)]],
        }
        return Reply(result, jpeg)

    def _command(self, camera: Json, controls: Mapping[str, Any]) -> list[str]:
        command = [self._need_program(), "-n", "--immediate", "--camera", str(camera["index"]), "-o", "-"]
        return [*command, "--metadata-format", "json", "--thumb", "none", *self._fixed, *self._options(controls, camera)]

    def _find_colour_gains(self, camera: Json, controls: Json, deadline: Deadline) -> list[float] | None:
        """Return what the automatic white balance makes of a short frame; None if there is no time for one, or it fails."""
        if deadline.left() > controls["ExposureTime"] / 1e6 + 15:
            with contextlib.suppress(Failure):
                short = {**controls, "ExposureTime": min(100_000, self._limits["ExposureTime"][1])}
                self._note_colour_gains(self._shoot(self._command(camera, short), deadline)[1])
        return self._colour_gains

    def _note_colour_gains(self, metadata: Json) -> None:
        gains = metadata.get("ColourGains")
        if isinstance(gains, list) and len(gains) == 2 and all(gains):
            self._colour_gains = gains

    def _shoot(self, command: list[str], deadline: Deadline) -> tuple[bytes, Json]:
        """Return one whole JPEG and its metadata; another program that is just letting the camera go is waited for."""
        give_up = time.monotonic() + min(BUSY_RETRY_S, deadline.left() / 2)
        while True:
            jpeg, errors, code, told = self._run(command, deadline)
            if not code:
                break
            failure = self._failed(errors)
            if failure.key != "camera_busy_elsewhere":
                raise failure
            if time.monotonic() + 0.5 > give_up:
                raise busy(failure)
            time.sleep(0.5)
        if not whole_jpeg(jpeg):
            raise Failure("camera_failed", error=f"{Path(command[0]).name} gave no whole JPEG")
        return jpeg, self._metadata(told)

    @staticmethod
    def _metadata(told: bytes) -> Json:
        try:
            found = json.loads(told.decode(errors="replace") or "{}")
        except ValueError:
            return {}
        found = found[-1] if isinstance(found, list) and found else found
        return plain_metadata(found) if isinstance(found, dict) else {}

    def _run(self, command: list[str], deadline: Deadline) -> tuple[bytes, str, int, bytes]:
        """Run the program; return what it printed, its last errors, its exit code and the metadata. It never outlives the deadline."""
        parent = os.getpid()
        prctl = ctypes.CDLL(None, use_errno=True).prctl

        def with_us() -> None:
            prctl(1, int(signal.SIGKILL))
            if os.getppid() != parent:
                os._exit(1)

        with scratch() as picture, scratch() as errors, scratch() as metadata:
            if "--immediate" in command:
                command = [*command, "--metadata", f"/proc/self/fd/{metadata.fileno()}"]
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=picture,
                    stderr=errors,
                    pass_fds=[metadata.fileno()],
                    env={**os.environ, "LIBCAMERA_LOG_LEVELS": "*:ERROR", "LIBCAMERA_LOG_NO_COLOR": "1"},
                    start_new_session=True,
                    preexec_fn=with_us,  # noqa: PLW1509 - calls the kernel only
                )
            except OSError as error:
                raise Failure("camera_failed", error=first_line(error)) from error
            try:
                code = process.wait(deadline.left())
            except subprocess.TimeoutExpired:
                self._end(process)
                raise Failure("camera_timeout", deadline_s=round(deadline.seconds, 1)) from None
            told = []
            for file in (picture, errors, metadata):
                file.seek(0)
                told.append(file.read(LONGEST_BLOB))
        return told[0], told[1].decode(errors="replace")[-20_000:], code, told[2]

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """Kill a program with all that it started. Raises ``Failure`` if the kernel does not let it go."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            raise Failure("camera_needs_reboot", fatal=True, pid=process.pid) from None

    @staticmethod
    def _failed(errors: str) -> Failure:
        """Return what the program's errors mean."""
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        failure = explain(RuntimeError(errors))
        if failure.key == "camera_failed":
            told = next((line for line in reversed(lines) if "error" in line.lower() or line.startswith("***")), lines[-1:])
            return Failure("camera_failed", error=str(told if isinstance(told, str) else "".join(told))[:200])
        return failure

    def wake(self, args: Args, deadline: Deadline) -> Reply:
        """There is no stream."""
        return Reply({"streaming": False})

    def rest(self, args: Args, deadline: Deadline) -> Reply:
        """There is no stream."""
        return Reply({"streaming": False})

    def restart_stream(self, args: Args, deadline: Deadline) -> Reply:
        """There is no stream."""
        return Reply({"streaming": False})

    def close(self) -> None:
        """Nothing runs between frames."""


def scratch() -> IO[bytes]:
    """Return a file in memory: no disk that may be full, no pipe that may run over."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("skylapse"), "w+b")
    return tempfile.TemporaryFile()


# ---- the worker ---------------------------------------------------------------------------------------------------------


class Job:
    """A request that is not answered yet."""

    def __init__(self, identity: int, op: str, args: Args, deadline: Deadline) -> None:
        self.identity = identity
        self.op = op
        self.args = args
        self.deadline = deadline
        self.running = False
        self.answered = False


class Worker:
    """Each has its thread: the requests, the camera, the host's figures, the deadlines and the heart.

    So a camera that hangs still has its requests answered. Where libcamera hangs with Python's own lock in its hands (as in
    stopping a stream), nothing here can answer any more: then the kernel ends the process, and the next one has the camera.
    """

    CAMERA_OPS = ("probe", "configure", "wake", "rest", "capture", "preview", "focus_sweep", "autofocus", "restart_stream")

    def __init__(self, wire: Wire, source: str) -> None:
        self._wire = wire
        self._source = source
        self._host = Host()
        self._changed = threading.Condition()
        self._jobs: list[Job] = []
        self._asked_metrics: list[Job] = []
        self._busy: tuple[str, float] | None = None
        self._running: Job | None = None
        self._leaving = False
        self._left = threading.Event()
        self._cameras: dict[str, Picamera2Camera | RpicamCamera] = {"picamera2": Picamera2Camera(), "rpicam": RpicamCamera()}
        self._camera: Picamera2Camera | RpicamCamera | None = None

    def run(self) -> NoReturn:
        """Say hello and answer requests until the client is gone."""
        for work in (self._own_camera, self._watch, self._look_after_host, self._beat):
            threading.Thread(target=self._or_die, args=(work,), name=work.__name__.strip("_"), daemon=True).start()
        python = platform.python_version()
        self._wire.send({"hello": {"protocol": PROTOCOL, "source": self._source[:12], "python": python, "pid": os.getpid()}})
        while True:
            try:
                header = self._wire.receive()
            except Garbage:
                os._exit(BROKEN)
            except OSError:
                os._exit(GONE)
            if header is None:
                os._exit(GONE)
            self._take(header)

    @staticmethod
    def _or_die(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a thread less would look like a camera that hangs
            print(f"skylapse: {first_line(error)}", file=sys.stderr)
            os._exit(BROKEN)

    def _take(self, header: Json) -> None:
        """Answer at once, or queue."""
        identity = header.get("id")
        if isinstance(identity, bool) or not isinstance(identity, int):
            self._wire.send({"id": None, "ok": False, "error": bad("id has to be a number").as_json()})
            return
        try:
            op = header.get("op")
            deadline_s = Args(header).number("deadline_s", 0.05, 7200, 30.0)
            job = Job(identity, str(op), Args(header.get("args") or {}), Deadline(deadline_s))
            if op == "ping":
                busy_op = self._busy
                result = {"busy_op": busy_op and busy_op[0], "busy_s": round(time.monotonic() - busy_op[1], 3) if busy_op else 0.0}
                self._answer(job, Reply(result))
            elif op == "metrics":
                with self._changed:
                    self._asked_metrics.append(job)
                    self._changed.notify_all()
            elif op == "process":
                pid = round(job.args.number("pid", 1, 2**31))
                self._answer(job, Reply({"state": process_state(pid)}))
            elif op == "bye":
                self._leave(job)
            elif op in self.CAMERA_OPS:
                self._queue(job)
            else:
                raise bad(f"there is no operation {str(op)[:50]}")
        except Failure as failure:
            self._wire.send({"id": identity, "ok": False, "error": failure.as_json()})

    def _queue(self, job: Job) -> None:
        with self._changed:
            if sum(not other.answered or other.running for other in self._jobs) > MOST_QUEUED:
                raise Failure("worker_queue_full")
            self._jobs.append(job)
            self._changed.notify_all()

    def _leave(self, job: Job) -> NoReturn:
        """Close the camera if that is soon done, and end."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        self._left.wait(2.0)
        self._answer(job, Reply({}))
        os._exit(0)

    def _answer(self, job: Job, reply: Reply | Failure) -> None:
        """Answer a request that nobody has answered yet."""
        with self._changed:
            if job.answered:
                return
            job.answered = True
        if isinstance(reply, Failure):
            self._wire.send({"id": job.identity, "ok": False, "error": reply.as_json()})
        else:
            self._wire.send({"id": job.identity, "ok": True, "result": reply.result}, reply.blob)

    # -- the camera's thread

    def _own_camera(self) -> None:
        while True:
            job = self._next_job()
            if job is None:
                if self._camera is not None:
                    self._camera.close()
                self._left.set()
                return
            self._busy, self._running = (job.op, time.monotonic()), job
            self._wind_up()
            after = None
            try:
                reply: Reply | Failure = self._do(job)
                after = reply.after if isinstance(reply, Reply) else None
            except Exception as error:  # noqa: BLE001 - whatever happens is told
                reply = explain(error)
                if reply.key == "camera_failed":
                    reply.fatal = reply.fatal or job.op in ("probe", "configure")
                    print(f"skylapse: {job.op}: {first_line(error)}", file=sys.stderr)
            try:
                self._answer(job, reply)
            except ValueError as error:
                self._answer_unsendable(job, error)
            self._running = None
            with contextlib.suppress(Exception):  # a stream that does not stop shows at the next request
                if after is not None:
                    after()
            with self._changed:
                self._jobs.remove(job)
                self._busy = None
            del reply, after

    def _answer_unsendable(self, job: Job, error: ValueError) -> None:
        job.answered = False
        self._answer(job, Failure("camera_failed", error=first_line(error)))

    def _next_job(self) -> Job | None:
        """Return what is to be done next; None to leave. Pictures that are only looked at wait."""
        with self._changed:
            while True:
                if self._leaving:
                    return None
                self._jobs = [job for job in self._jobs if not job.answered]
                waiting = sorted(self._jobs, key=lambda job: job.op == "preview")
                if waiting:
                    waiting[0].running = True
                    self._changed.notify_all()
                    return waiting[0]
                self._changed.wait()

    def _do(self, job: Job) -> Reply:
        if job.op in ("probe", "configure"):
            wanted = self._cameras[job.args.choice("backend", tuple(self._cameras))]
            if self._camera is not None and self._camera is not wanted:
                self._camera.close()
            self._camera = wanted
        if self._camera is None:
            raise bad("the camera is not configured")
        operation: Callable[[Args, Deadline], Reply] | None = getattr(self._camera, job.op, None)
        if operation is None:
            raise Failure("camera_cannot", what=job.op)
        return operation(job.args, job.deadline)

    # -- the other threads

    def _watch(self) -> None:
        """Answer for a camera that does not come back."""
        while True:
            with self._changed:
                # what runs gives up by itself at its deadline, and knows more than we do
                grace = {job: min(0.5, job.deadline.seconds / 20) if job.running else 0.0 for job in self._jobs if not job.answered}
                due = {job: job.deadline.at + extra for job, extra in grace.items()}
                late = [job for job in due if due[job] <= time.monotonic()]
                if not late:
                    self._changed.wait(min(due.values()) - time.monotonic() if due else None)
                    continue
            for job in late:
                self._answer(job, Failure("camera_timeout", fatal=job.running, deadline_s=round(job.deadline.seconds, 1)))

    def _beat(self) -> None:
        while True:
            self._wind_up()
            time.sleep(STIFF_S[0] / 5)

    def _wind_up(self) -> None:
        """Wind up the kernel's timer, which ends this process when nobody does so any more. Takes no lock, and never writes."""
        job = self._running
        left = STIFF_S[1] if job is None else job.deadline.left() + 1.0
        signal.setitimer(signal.ITIMER_REAL, max(STIFF_S[0], min(left, STIFF_S[1])))

    def _look_after_host(self) -> None:
        while True:
            with self._changed:
                while not self._asked_metrics:
                    self._changed.wait()
                jobs, self._asked_metrics = self._asked_metrics, []
            metrics = self._host.metrics()
            for job in jobs:
                self._answer(job, Reply(metrics))


def main(source: str) -> NoReturn:
    """Take standard output for the wire, and work until the client is gone."""
    sink = os.dup(1)
    os.dup2(2, 1)  # whatever prints, prints to standard error from here on
    sys.stdout = sys.stderr
    for number in (signal.SIGTERM, signal.SIGALRM):  # end the process in the kernel, also where Python cannot run a handler
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    with contextlib.suppress(Exception):
        ctypes.CDLL(None, use_errno=True).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(GONE)
    Worker(Wire(0, sink), source).run()


if __name__ == "__main__":
    main(str(globals().get("SOURCE_SHA256", "")))
