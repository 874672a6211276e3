"""Stands in for a package that has no wheel for Python 3.14, so that it would need a compiler on every machine.

Home Assistant's front end does not open unless its voice assistant can be imported, which imports this. The demo has no
microphone, so that nothing of it is ever used.
"""


class MicroVad:
    """Would tell speech from noise."""

    def __init__(self) -> None:
        """Refuse."""
        raise NotImplementedError("the demo has no voice assistant")
