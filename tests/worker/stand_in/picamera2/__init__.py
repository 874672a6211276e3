"""A stand-in for picamera2 where the virtual camera cannot go: raw data, other ways to fail, other things told of a frame.

``STAND_IN`` names a folder: ``behaviour.json`` in it says what to do, ``calls`` lists what was asked for.
"""

from concurrent.futures import Future
import errno
import importlib
import io
import json
import os
from pathlib import Path
import threading
import time
from types import SimpleNamespace
from typing import Any, ClassVar

FOLDER = Path(os.environ["STAND_IN"])
JPEG = b"\xff\xd8\xff" + bytes(1000) + b"\xff\xd9"


def behaviour(name: str, default: Any = None) -> Any:
    """Return what a test chose."""
    return json.loads((FOLDER / "behaviour.json").read_text()).get(name, default)


def note(name: str, value: Any = None) -> None:
    """Tell the test what was asked for."""
    with (FOLDER / "calls").open("a") as file:
        file.write(json.dumps([name, value], default=str) + "\n")


class SensorFormat:
    """A raw format."""

    def __init__(self, name: str) -> None:
        self.unpacked = name.removesuffix("_CSI2P")


class Job:
    """A request for a frame."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()

    def get_result(self) -> Any:
        return self.future.result(0)


class Request:
    """A finished frame."""

    def __init__(self, camera: Picamera2) -> None:
        self._camera = camera
        camera.out += 1

    def get_metadata(self) -> dict[str, Any]:
        camera = self._camera
        camera.frames += 1
        clock = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if behaviour("boottime") else time.monotonic_ns()
        exposure = (camera.controls.get("ExposureTime") or 2_000) * (1 + camera.frames % 2 if behaviour("hunting") else 1)
        return {
            "ExposureTime": exposure,
            "AnalogueGain": camera.controls.get("AnalogueGain") or 1.0,
            "SensorTimestamp": clock,
            "ScalerCrop": SimpleNamespace(x=1, y=2, width=3, height=4),
            "Odd": float("nan"),
            **behaviour("metadata", {}),
        }

    def save(self, stream: str, buffer: io.BytesIO, format: str, exif_data: Any) -> None:  # noqa: A002
        note("save", [stream, format, self._camera.options["quality"], exif_data])
        buffer.write(JPEG[: behaviour("jpeg_bytes", len(JPEG))])

    def make_array(self, stream: str) -> Any:
        """Return a picture that is grey above and green below, with rows that are longer than needed."""
        numpy = importlib.import_module("numpy")
        width, height = self._camera.configuration[stream]["size"]
        array = numpy.full((height * 3 // 2, width + 32), 99, "uint8")
        array[:height, :width] = 128
        colours = array[height:].reshape(height, (width + 32) // 2)
        for first in (0, height // 2):
            colours[first : first + height // 4, : width // 2] = 128
            colours[first + height // 4 : first + height // 2, : width // 2] = 60
        return array

    def save_dng(self, file_output: io.BytesIO) -> None:
        if behaviour("dng") == "broken":
            raise ValueError("the raw data is upside down")
        file_output.write(b"II*\0raw" if behaviour("dng") != "nothing" else b"")

    def release(self) -> None:
        self._camera.out -= 1
        note("out", self._camera.out)


class Controls(dict[str, Any]):
    """What the next frame is told."""


class Picamera2:
    """One camera."""

    platform = SimpleNamespace(name=behaviour("platform", "VC4"))
    _cm = SimpleNamespace(reset=lambda: note("reset", os.environ.get("LIBCAMERA_RPI_TUNING_FILE")))
    sensor_format = "SRGGB10_CSI2P"
    sensor_modes: ClassVar[list[dict[str, Any]]] = [
        {"format": "MJPEG"},
        {"size": (2304, 1296), "bit_depth": 10, "fps": 56.03, "exposure_limits": (9, 77193582, 20000)},
        {"size": (4608, 2592), "bit_depth": 10, "fps": 14.35, "exposure_limits": (13,)},
        {"size": (2304, 1296), "bit_depth": 12, "fps": 30.0, "exposure_limits": (9, None)},
    ]

    def __init__(self, index: int, tuning: str | None = None) -> None:
        note("open", [index, tuning])
        if error := behaviour("open_error"):
            raise {"IndexError": IndexError, "PermissionError": PermissionError}.get(error, RuntimeError)(error)
        self.camera_properties = {"ColorFilterArrangement": 0, "PixelArraySize": SimpleNamespace(width=4608, height=2592)}
        self.camera_controls = {
            "ExposureTime": (9, 112_000_000, 20_000),
            "AnalogueGain": (1.0, 16.0, None),
            "AwbEnable": (False, True, None),
            "ColourGains": (0.0, 32.0, None),
            "AfMode": (0, 2, 0),
            "AfTrigger": (0, 1, 0),
            "LensPosition": (0.0, 15.0, 1.0),
            "ScalerCrop": ((0, 0, 64, 64), (0, 0, 4608, 2592), (0, 0, 4608, 2592)),
        }
        self.sensor_resolution = tuple(behaviour("resolution", (4608, 2592)))
        self.options: dict[str, int] = {}
        self.controls = Controls()
        self.started = False
        self.out = self.frames = 0
        self.request_lock = threading.Lock()
        self.lock, self._job_list = threading.Lock(), []
        self._preview = SimpleNamespace(thread=threading.Thread())

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [{"Id": "/base/imx708@1a", "Num": 7, "Model": "imx708", "Rotation": 180, "Location": 2}]

    def create_still_configuration(self, **more: Any) -> dict[str, Any]:
        note("configuration", more)
        return more

    def configure(self, config: dict[str, Any]) -> None:
        if config["lores"] and behaviour("no_lores"):
            raise RuntimeError("Invalid camera configuration")
        note("configure")
        if behaviour("short") == "always" or (behaviour("short") and (FOLDER / "calls").read_text().count('"configure"') == 1):
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        taken = {"format": behaviour("format", "NV12")}
        self.configuration = {
            "controls": {},
            "main": {**config["main"], **taken},
            "lores": config["lores"] and {**config["lores"], **taken},
        }

        if config["lores"]:
            self.controls.ScalerCrops = [(0, 0, 4608, 2592)] * 2  # type: ignore[attr-defined]

    def camera_configuration(self) -> dict[str, Any]:
        return self.configuration

    def set_controls(self, controls: dict[str, Any]) -> None:
        note("controls", controls)
        self.controls.update(controls)

    def start(self) -> None:
        if error := behaviour("start_error"):
            raise RuntimeError(error)
        self.started = True
        self.controls = Controls({name: value for name, value in self.controls.items() if name != "ScalerCrops"})

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        note("close")

    def capture_request(self, wait: bool, signal_function: Any) -> Job:
        assert wait is False
        job = Job()
        self._job_list.append(job)
        note("waiting", len(self._job_list))

        def finish() -> None:
            if not behaviour("silent"):
                self._job_list.remove(job)
                job.future.set_result(Request(self))
                signal_function(job)

        threading.Timer(behaviour("late_s", 0.005), finish).start()
        return job

    def cancel_all_and_flush(self) -> None:
        note("cancel")


class AncientRequest(Request):
    """A finished frame of a picamera2 of 2023."""

    def save(self, stream: str, buffer: io.BytesIO, format: str) -> None:  # type: ignore[override]  # noqa: A002
        raise RuntimeError("Stream format YUV420 not supported for PIL images")

    def save_dng(self, filename: str) -> None:  # type: ignore[override]
        note("file", str(filename))


if behaviour("ancient"):
    Request = AncientRequest  # type: ignore[misc]
    del Picamera2.cancel_all_and_flush, SensorFormat
