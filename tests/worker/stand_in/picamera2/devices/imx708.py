"""The sensor's own HDR."""

from typing import Self

from picamera2 import behaviour, note


class IMX708:
    """The switch."""

    def __init__(self, number: int) -> None:
        if behaviour("no_hdr"):
            raise RuntimeError("IMX708: Requested camera v4l2 device node not found")
        note("hdr of", number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_sensor_hdr_mode(self, enable: bool) -> None:
        note("hdr", enable)
