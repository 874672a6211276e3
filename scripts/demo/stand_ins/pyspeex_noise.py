"""Stands in for a package that has no wheel for Python 3.14; see ``pymicro_vad`` beside it."""


class AudioProcessor:
    """Would take noise out of speech."""

    def __init__(self, *_settings: float) -> None:
        """Refuse."""
        raise NotImplementedError("the demo has no voice assistant")
