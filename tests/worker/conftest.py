"""Workers under test, on a machine whose camera is virtual."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.rig.machine import Rig

from .peer import Peer

SIZE = [1280, 720]

type Start = Callable[..., Peer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start workers that end with the test: ``start(python)`` returns one that has said hello."""
    with ExitStack() as stack:

        def begin(python: object, **more: Any) -> Peer:
            peer = stack.enter_context(Peer(str(python), **more))
            peer.hello()
            return peer

        yield begin


@pytest.fixture
def pi(rig: Callable[..., Rig]) -> Rig:
    """A machine whose time passes five times as fast."""
    return rig(time_scale=0.2)


@pytest.fixture
def camera(pi: Rig, start: Start) -> Peer:
    """A worker with a configured camera."""
    return configured(start(pi.python))


def configured(peer: Peer, **more: Any) -> Peer:
    """Configure a worker's camera, and return the worker."""
    configure(peer, **more)
    return peer


def configure(peer: Peer, **more: Any) -> dict[str, Any]:
    """Configure a worker's camera, and return what it says."""
    args = {"backend": "picamera2", "camera": {"index": 0}, "size": SIZE, "preview_size": [320, 240], "quality": 90, "controls": {}, **more}
    return peer.request("configure", args)[0]
