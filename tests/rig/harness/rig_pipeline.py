"""Makes real picamera2 and libcamera's virtual pipeline fit together, and puts the model of a Pi's camera in between.

Each patch names what would happen without it. The program that uses picamera2 stays as it is.
"""

from collections.abc import Iterator, Mapping
import ctypes
import fcntl
import os
import sys
import types
from typing import Any, NamedTuple

import rig_picture
from rig_sensor import Frame, Sensor
from rig_settings import Settings, folder, model, write_virtual_yaml

_shim = ctypes.CDLL(None)
_shim.rig_pace.argtypes = [ctypes.c_long]
_shim.rig_frame_ns.argtypes, _shim.rig_frame_ns.restype = [ctypes.c_long], ctypes.c_longlong


_RAW = "raw"
"""Stands for the raw stream, which the virtual pipeline does not have."""


class _Property(NamedTuple):
    """A property's identifier, of which picamera2 reads the name."""

    name: str


def before_import() -> None:
    """Prepare what picamera2 and libcamera look for when they are loaded."""
    write_virtual_yaml(Settings.read())

    # picamera2 imports the display's bindings whether or not a display is used: "No module named 'kms'"
    class Names(type):
        def __getattr__(cls, name: str) -> str:
            if name.startswith("__"):
                raise AttributeError(name)
            return name

    kms = types.ModuleType("kms")
    kms.PixelFormats = Names("PixelFormats", (), {})  # type: ignore[attr-defined]
    sys.modules.setdefault("kms", kms)


def after_import() -> None:
    """Patch picamera2, which has just been loaded."""
    _two_planes()
    _a_pis_camera()
    _frames()
    _dng()


def _two_planes() -> None:
    """The Pi's pipelines take a buffer of one plane; the virtual one writes the second of NV12, and aborts if there is none."""
    import libcamera
    from picamera2.allocators import dmaallocator

    class FrameBuffer:
        Plane = libcamera.FrameBuffer.Plane

        def __new__(cls, planes: list[Any]) -> Any:
            (first,) = planes  # the allocator asks this very object for its descriptor again
            total, second = first.length, cls.Plane()
            first.offset, first.length = 0, total * 2 // 3
            second.fd, second.offset, second.length = first.fd, first.length, total - first.length
            return libcamera.FrameBuffer([first, second])

    patched = types.ModuleType("libcamera")
    patched.__dict__.update(libcamera.__dict__)
    patched.FrameBuffer = FrameBuffer  # type: ignore[attr-defined]
    dmaallocator.libcamera = patched


class _Camera:
    """libcamera's camera, with the controls, the lock and the pace that one has on a Pi."""

    def __init__(self, real: Any, index: int) -> None:
        self._real, self._index = real, index
        self._settings = Settings.read()
        self._model = model(self._settings.cameras[index])
        self._lock: int | None = None
        self._finished = 0
        self.sensor = Sensor(self._model, self._settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._real

    __hash__ = None  # type: ignore[assignment]

    @property
    def controls(self) -> Mapping[Any, Any]:
        """Limits by libcamera's identifiers, without those that this libcamera does not know yet."""
        found = {_identifier(name): limits for name, limits in self.sensor.limits.items()}
        return {
            known: types.SimpleNamespace(min=least, max=greatest, default=default)
            for known, (least, greatest, default) in found.items()
            if known is not None
        }

    @property
    def properties(self) -> Mapping[Any, Any]:
        extra = {
            "ColorFilterArrangement": 0,  # what picamera2 tells a Pi's camera by
            "PixelArraySize": self._model.size,
            "PixelArrayActiveAreas": [(0, 0, *self._model.size)],
            "Rotation": self._model.rotation,
            "UnitCellSize": (1220, 1220),
        }
        own = {key: value for key, value in self._real.properties.items() if key.name not in extra}
        return {**own, **{_Property(name): value for name, value in extra.items()}}

    def generate_configuration(self, roles: list[Any]) -> Any:
        """The virtual pipeline has no raw stream: "'NoneType' object has no attribute 'at'"."""
        import libcamera

        if roles == [libcamera.StreamRole.Raw]:
            sizes = [types.SimpleNamespace(width=mode.size[0], height=mode.size[1]) for mode in self._model.modes]
            formats = types.SimpleNamespace(pixel_formats=["SRGGB10_CSI2P"], sizes=lambda _: sizes)
            return types.SimpleNamespace(at=lambda _: types.SimpleNamespace(formats=formats))
        return self._real.generate_configuration(roles)

    def sensor_modes(self) -> Iterator[dict[str, Any]]:
        """Describe the modes as picamera2 does, which tries them one after the other."""
        from picamera2.sensor_format import SensorFormat

        form = SensorFormat("SRGGB10_CSI2P")
        for mode in self._model.modes:
            exposure = self._model.controls(mode)["ExposureTime"]
            yield {
                "format": form, "unpacked": form.unpacked, "bit_depth": form.bit_depth, "size": mode.size, "fps": mode.fps,
                "crop_limits": mode.crop, "exposure_limits": exposure,
            }  # fmt: skip

    def acquire(self) -> None:
        """A virtual camera has no device, and therefore no lock against other processes."""
        error = Settings.read().open_error
        if error and error != "busy":
            raise RuntimeError(error)
        path = folder() / "host" / "dev" / f"media{self._index}"  # where the device is that is locked on a Pi
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            if error:
                raise BlockingIOError
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            os.close(lock)
            sys.stderr.write("INFO Camera camera.cpp:1083 Pipeline handler in use by another process\n")
            raise RuntimeError("Failed to acquire camera: Device or resource busy") from busy
        self._lock = lock
        self._real.acquire()

    def release(self) -> None:
        self._real.release()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def start(self, controls: Mapping[Any, Any]) -> None:
        """Start the stream at the sensor's pace; without one, the virtual pipeline runs as fast as it can."""
        self._finished = 0
        _shim.rig_pace(self.sensor.pace_us)
        _shim.rig_stream(1)
        self._real.start(controls)

    def stop(self) -> None:
        """A Pi drops the frames that it waits for; the virtual pipeline would finish them, however long they take."""
        _shim.rig_stream(0)
        self._real.stop()

    def finish(self) -> Frame:
        """End a frame, with the metadata that this libcamera knows, and let the next take its time."""
        frame = self.sensor.finish(_shim.rig_frame_ns(self._finished))
        self._finished += 1
        _shim.rig_pace(self.sensor.pace_us)
        return frame._replace(metadata={name: value for name, value in frame.metadata.items() if _identifier(name)})


def _identifier(name: str) -> Any:
    import libcamera

    return getattr(libcamera.controls, name, None) or getattr(libcamera.controls.draft, name, None)


def _a_pis_camera() -> None:
    """Give picamera2 the camera above instead of the bare one, which knows next to no controls."""
    from picamera2.controls import Controls
    from picamera2.picamera2 import Picamera2

    grab, configure, information = Picamera2._grab_camera, Picamera2.configure_, Picamera2.global_camera_info
    make_config, get_controls = Picamera2._make_libcamera_config, Controls.get_libcamera_controls

    def _grab_camera(self: Any, index: int) -> _Camera:
        return _Camera(grab(self, index), index)

    def global_camera_info() -> list[Any]:
        settings = Settings.read()
        return [{**found, "Rotation": model(settings.cameras[found["Num"]]).rotation} for found in information()]

    def _make_libcamera_config(self: Any, camera_config: dict[str, Any]) -> Any:
        """Keep the raw stream from libcamera: it is made up further down."""
        return make_config(self, {**camera_config, "raw": None})

    def configure_(self: Any, camera_config: Any) -> None:
        configure(self, camera_config)
        raw = self.camera_config["raw"]
        mode = self.camera.sensor.configure((raw or self.camera_config["main"])["size"])
        if raw is not None:
            stride = mode.size[0] * (5 if "CSI2P" in raw["format"] else 8) // 4
            raw.update(size=mode.size, stride=stride, framesize=stride * mode.size[1])
            self.stream_map["raw"] = _RAW
        self.camera_ctrl_info = {key.name: (key, value) for key, value in self.camera.controls.items()}
        buffers = self.allocator.buffers(self.stream_map["main"])
        descriptors = [buffer.planes[0].fd for buffer in buffers]
        _shim.rig_lead((ctypes.c_int * len(descriptors))(*descriptors), len(descriptors))

    def sensor_modes(self: Any) -> list[dict[str, Any]]:
        if not self.sensor_modes_:
            self.configure(self.create_preview_configuration())  # as in reality: not while the stream runs, and what was configured is gone
            self.sensor_modes_ = list(self.camera.sensor_modes())
        return self.sensor_modes_

    def get_libcamera_controls(self: Any) -> dict[Any, Any]:
        """Called when the stream starts and when a frame goes back to the camera: what is given then goes to the model."""
        found = {key.name: value for key, value in get_controls(self).items()}
        found = {name: value.to_tuple() if hasattr(value, "to_tuple") else value for name, value in found.items()}
        picam2 = self._picam2
        if not picam2.started:
            picam2.camera.sensor.begin(found)
        elif found:
            picam2.camera.sensor.send(found)
        return {}

    Picamera2._grab_camera, Picamera2.configure_ = _grab_camera, configure_
    Picamera2._make_libcamera_config = _make_libcamera_config
    Picamera2.global_camera_info = staticmethod(global_camera_info)
    Picamera2.sensor_modes = property(sensor_modes)
    Controls.get_libcamera_controls = get_libcamera_controls


def _frames() -> None:
    """Give each frame the model's metadata, brightness and sharpness, and drop those that a Pi marks as unfit."""
    from picamera2 import request as requests
    from picamera2.picamera2 import Picamera2

    begin, get = requests.CompletedRequest.__init__, requests.CompletedRequest.get_metadata
    process, buffer = Picamera2.process_requests, requests._MappedBuffer
    remember, enter, leave = buffer.__init__, buffer.__enter__, buffer.__exit__

    def take(self: Any, request: Any, picam2: Any) -> None:
        begin(self, request, picam2)
        self._rig_frame, self._rig_drawn = picam2.camera.finish(), set()

    def get_metadata(self: Any) -> dict[str, Any]:
        return {**get(self), **self._rig_frame.metadata}

    def process_requests(self: Any, display: Any) -> None:
        with self._requestslock:
            unfit = [request for request in self._requests if not request._rig_frame.fit]
            self._requests = [request for request in self._requests if request._rig_frame.fit]
        for request in unfit:
            request.release()
        process(self, display)

    def open_buffer(self: Any, request: Any, stream: str, write: bool = True) -> None:
        if stream != _RAW:
            remember(self, request, stream, write=write)
        self._rig_request, self._rig_stream = request, stream

    def look(self: Any) -> Any:
        """Draw a frame when somebody looks at it, for the first time; there are many that nobody looks at."""
        request, stream = self._rig_request, self._rig_stream
        if stream == _RAW:
            return rig_picture.raw(request.config[_RAW], request._rig_frame.light)
        memory = enter(self)
        if stream not in request._rig_drawn:
            request._rig_drawn.add(stream)
            rig_picture.draw(memory, request.config[stream]["size"], request._rig_frame.light, request._rig_frame.blur)
        return memory

    def look_away(self: Any, *error: object) -> None:
        if self._rig_stream != _RAW:
            leave(self, *error)

    buffer.__init__, buffer.__enter__, buffer.__exit__ = open_buffer, look, look_away
    requests.CompletedRequest.__init__, requests.CompletedRequest.get_metadata = take, get_metadata
    Picamera2.process_requests = process_requests


def _dng() -> None:
    """Raspberry Pi OS's PiDNG takes the camera's model and a file; PyPI's does not: "takes 3 positional arguments but 4 were given"."""
    from picamera2 import request as requests
    from pidng.camdefs import Picamera2Camera
    from pidng.core import PICAM2DNG

    def camera(config: dict[str, Any], metadata: dict[str, Any], model: str) -> Any:
        return Picamera2Camera(config, metadata)

    class Writer(PICAM2DNG):  # type: ignore[misc]
        def convert(self, image: Any, *, file: Any) -> None:
            file.write(super().convert(image))

    requests.Picamera2Camera, requests.PICAM2DNG = camera, Writer
