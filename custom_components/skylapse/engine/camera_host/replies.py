"""What a worker says, judged: nothing of it reaches a person unbounded, and no error key that has no text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import re
from typing import Any, Final

from ..errors import CaptureTimeout, SourceError, WorkerError

PROTOCOL: Final = 1

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "camera_busy_elsewhere": ("holder", "pid"),
    "camera_cannot": ("what",),
    "camera_denied": (),
    "camera_failed": ("error",),
    "camera_memory": ("cma_free_mb", "cma_total_mb"),
    "camera_missing": (),
    "camera_needs_reboot": ("pid",),
    "camera_setting_refused": ("setting",),
    "camera_timeout": ("deadline_s",),
    "exposure_not_reached": ("wanted", "got"),
    "picamera2_missing": (),
    "rpicam_missing": (),
    "tuning_missing": ("file",),
    "worker_bad_request": ("error",),
    "worker_queue_full": (),
}
"""The errors a worker may name, and what fills their messages."""

_LONGEST: Final = 200
_GAPS: Final = re.compile(r"\x00+")
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answered."""

    result: dict[str, Any]
    blob: bytes = field(default=b"", repr=False)


def plain(value: object, longest: int = _LONGEST) -> str:
    """Return a text of bounded length, without colours and whatever else cannot be shown.

    That is controls, marks that turn a line around, and halves of characters, of which no JSON can be made.
    """
    text = _ANSI.sub("", str(value)[: longest * 4])
    if not text.isprintable():
        text = _GAPS.sub(" ", "".join(letter if letter.isprintable() else "\0" for letter in text))
    return text.strip()[:longest]


def told(error: object) -> tuple[SourceError, bool]:
    """Return the error to raise for what a worker told, and whether that worker cannot go on; so it is if it makes no sense."""
    said: Mapping[str, Any] = error if isinstance(error, dict) else {}
    key, given = said.get("key"), said.get("placeholders")
    if not isinstance(key, str) or key not in KNOWN:
        return WorkerError("camera_failed", error=plain(error)), True
    filled = {name: plain(given.get(name, "?")) if isinstance(given, dict) else "?" for name in KNOWN[key]}
    return (CaptureTimeout if key == "camera_timeout" else WorkerError)(key, **filled), said.get("fatal") is True
