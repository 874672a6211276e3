"""How long the link waits for what, in one place, so that tests can be quicker than a camera host may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Durations in seconds, and the counts that go with them."""

    hello_s: float = 30.0
    """From the interpreter's start to the worker's first word; a Pi Zero with a slow card needs several seconds."""
    ping_every_s: float = 10.0
    missed_pings: int = 3
    """As many pings in a row without one byte from the worker: it is given up."""
    last_words_s: float = 1.0
    """How long an ended worker's exit code and last lines are waited for."""
    bye_s: float = 0.5
    terminate_s: float = 1.0
    kill_s: float = 2.0
    """The three rungs of the ladder by which a worker is ended: asked, told, killed."""
    configure_s: float = 60.0
    """Importing picamera2, opening and configuring the camera."""
    restart_stream_s: float = 15.0
    backoff_s: tuple[float, ...] = (0.0, 2.0, 5.0, 15.0, 60.0, 300.0)
    """The waits before a new process, by how many in a row were needed before; the last one goes on for ever."""
    hopeless_s: float = 300.0
    """The wait where a restart alone cannot help."""
    good_captures: int = 10
    """So many captures without a failure, and all is forgiven."""
    oldest_s: float = 86400.0
    largest_rss_bytes: float = 1.5e9
    """A worker that is older or larger is replaced as soon as it rests."""
