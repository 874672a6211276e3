"""The engine's errors: each carries a translation key, so that the shell can tell it in the person's language."""

import re
from typing import Final, override

HIDDEN: Final = "…"
"""Stands in texts where a secret would."""

_SECRET_NAME: Final = re.compile(r"pass(word|phrase|wd|code)|secret|token|private|credential", re.IGNORECASE)
_SECRETS: Final = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(://[^/\s:@]*):[^/\s]*@"), rf"\1:{HIDDEN}@"),
)
"""What gives itself away as a secret wherever it stands: a private key, and a password in an address."""


class SkylapseError(Exception):
    """Base of all errors the engine raises on purpose.

    ``key`` names the message under ``exceptions`` in the translations; ``placeholders`` fill it.
    Neither may ever hold a secret: both reach logs, events and diagnostics. A placeholder that is named like one, and what looks
    like one, is hidden, should it be given by mistake.
    """

    key = "unknown"

    def __init__(self, key: str | None = None, /, **placeholders: object) -> None:
        """Set the message's key (the class's own unless given) and what fills it."""
        self.key = key or type(self).key
        self.placeholders = {name: _shown(name, value) for name, value in placeholders.items()}
        super().__init__(self.key, self.placeholders)

    @override
    def __str__(self) -> str:
        """Return a plain English line for logs: the key and what fills it."""
        if not self.placeholders:
            return self.key
        return f"{self.key} ({', '.join(f'{k}: {v}' for k, v in self.placeholders.items())})"


def _shown(name: str, value: object) -> str:
    """Return what a message may show of a placeholder."""
    if _SECRET_NAME.search(name):
        return HIDDEN
    text = str(value)
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    return text


class SourceError(SkylapseError):
    """The camera gave no frame."""

    key = "source_failed"


class CaptureTimeout(SourceError):
    """The camera did not answer before its deadline. Placeholder: ``deadline_s``."""

    key = "capture_timeout"


class BadPicture(SourceError):
    """What the camera gave is no whole JPEG.

    Keys: ``picture_empty``, ``picture_not_jpeg``, ``picture_truncated``, ``picture_damaged``, ``picture_too_large``.
    """

    key = "picture_not_jpeg"


class WorkerError(SourceError):
    """The camera's worker, or the camera behind it, failed; the key says how."""

    key = "camera_failed"


class SshError(SourceError):
    """Another machine could not be reached or trusted over SSH; the key says why."""

    key = "ssh_failed"


class ScheduleError(SkylapseError):
    """A schedule's definition is wrong. ``field`` names the field of the form it belongs to."""

    key = "schedule_invalid"

    def __init__(self, key: str, /, *, field: str, **placeholders: object) -> None:
        """Set message and field; ``field`` is a placeholder of the message, too."""
        self.field = field
        super().__init__(key, field=field, **placeholders)


class StorageError(SkylapseError):
    """A frame could not be stored. Keys: ``disk_full``, ``read_only``, ``storage_failed``."""

    key = "storage_failed"


class CatalogueError(SkylapseError):
    """The catalogue cannot be used. Keys: ``catalogue_corrupt``, ``catalogue_newer``, ``catalogue_failed``."""

    key = "catalogue_failed"


class ClockNotSet(SkylapseError):
    """The host's clock is before Skylapse was written, so frames could not be dated."""

    key = "clock_not_set"


class Busy(SkylapseError):
    """The camera is taking another frame."""

    key = "camera_busy"


class DestinationError(SkylapseError):
    """A destination could not take or prove a file.

    ``destination_wide`` tells that the whole destination is down (back off all of it) and not just this file;
    ``permanent`` tells that trying again cannot help (the file goes to quarantine).
    """

    key = "destination_failed"

    def __init__(
        self, key: str | None = None, /, *, destination_wide: bool = False, permanent: bool = False, **placeholders: object
    ) -> None:
        """Set message and reach."""
        self.destination_wide = destination_wide
        self.permanent = permanent
        super().__init__(key, **placeholders)
