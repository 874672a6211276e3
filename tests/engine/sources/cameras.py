"""Cameras as workers describe them."""

from typing import Any

from custom_components.skylapse.engine.sources.camera_probe import CameraProbe

HOST: dict[str, Any] = {
    "backend": "picamera2",
    "picamera2": "0.3.38",
    "libcamera": "v0.7.1",
    "rpicam": "1.10.0",
    "python": "3.13.5",
    "machine": "Raspberry Pi 5 Model B Rev 1.0",
    "os": "Debian GNU/Linux 13 (trixie)",
}

COMMON: dict[str, Any] = {
    "AeEnable": [False, True, True],
    "AwbEnable": [False, True, None],
    "AwbMode": [0, 7, 0],
    "AeMeteringMode": [0, 3, 0],
    "ExposureTime": [287, 120_729_139, 20_000],
    "AnalogueGain": [1.0, 16.0, 1.0],
    "ExposureValue": [-8.0, 8.0, 0.0],
    "ColourGains": [0.0, 32.0, None],
    "Brightness": [-1.0, 1.0, 0.0],
    "Contrast": [0.0, 32.0, 1.0],
    "Saturation": [0.0, 32.0, 1.0],
    "Sharpness": [0.0, 16.0, 1.0],
    "NoiseReductionMode": [0, 4, 0],
    "HdrMode": [0, 4, 0],
    "FrameDurationLimits": [111_111, 120_735_000, 111_111],
    "AfMode": [0, 2, 0],
    "AfTrigger": [0, 1, 0],
    "LensPosition": [0.0, 32.0, 1.0],
    "ScalerCrop": [[0, 0, 64, 64], [0, 0, 4656, 3496], [0, 0, 4656, 3496]],
}

IMX519: dict[str, Any] = {
    "index": 0,
    "id": "/base/axi/pcie@1000120000/rp1/i2c@88000/imx519@1a",
    "model": "imx519",
    "rotation": 180,
    "pixel_array": [4656, 3496],
    "modes": [
        {"size": [1280, 720], "bit_depth": 10, "fps": 80.0, "exposure_us": [287, 1_000_000]},
        {"size": [4656, 3496], "bit_depth": 10, "fps": 9.0, "exposure_us": [287, 120_729_139]},
        {"size": [2328, 1748], "bit_depth": 10, "fps": 30.0, "exposure_us": None},
        {"size": [2328, 1748], "bit_depth": 8, "fps": 30.0, "exposure_us": None},
    ],
    "controls": COMMON,
    "raw": True,
    "error": None,
}


def probe(
    *, backend: str = "picamera2", without: tuple[str, ...] = (), controls: dict[str, Any] | None = None, **camera: Any
) -> CameraProbe:
    """Return an imx519, changed: without some controls, with others, with other facts."""
    given = {name: limits for name, limits in {**COMMON, **(controls or {})}.items() if name not in without}
    return CameraProbe.from_reply({**HOST, "backend": backend}, {**IMX519, "controls": given, **camera})
