"""A stand-in for libcamera's Python bindings."""


class Transform:
    """How a picture is flipped."""

    def __init__(self, hflip: int = 0, vflip: int = 0) -> None:
        self.flips = (hflip, vflip)

    def __str__(self) -> str:
        return f"flips {self.flips}"
