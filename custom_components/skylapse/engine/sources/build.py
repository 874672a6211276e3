"""Makes the source that a config entry describes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..camera_host.local import LocalTransport
from ..camera_host.over_ssh import SshTransport
from ..camera_host.process import Transport
from ..camera_host.supervisor import Supervisor
from ..errors import HIDDEN, SourceError, WorkerError
from ..ports import Clock, FetchImage, Site
from ..remote.ssh import SshTarget
from .base import FrameSource
from .camera_probe import BACKENDS, CameraProbe
from .camera_settings import CameraSettings
from .entity import EntitySource
from .simulated import SimulatedSource
from .worker_camera import WorkerSource

WIDTH_RANGE: Final = (64, 7680)
HEIGHT_RANGE: Final = (48, 4320)
QUALITY_RANGE: Final = (1, 100)
DELAY_RANGE_MS: Final = (0, 600_000)
PERCENT_RANGE: Final = (0, 100)
PORT_RANGE: Final = (1, 65535)
INDEX_RANGE: Final = (0, 63)
LONGEST_TEXT: Final = 255
LONGEST_KEY: Final = 100_000
SEED_RANGE: Final = (-(2**63), 2**63 - 1)

_ENTITY_ID_PARTS: Final = 2


def build_source(
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    site: Callable[[], Site],
    clock: Clock,
    fetch_image: FetchImage,
) -> FrameSource:
    """Return the source of a config entry's data and options; options that are not there have their defaults.

    Raises ``SourceError``: ``source_unknown`` for a kind that this version does not know, ``source_option_invalid`` with
    the field's name for a value it cannot work with.
    """
    kind = data.get("source")
    if kind == "simulated":
        return SimulatedSource(
            site,
            clock,
            _whole(data, "seed", 0, SEED_RANGE),
            width=_whole(options, "width", 1920, WIDTH_RANGE),
            height=_whole(options, "height", 1080, HEIGHT_RANGE),
            quality=_whole(options, "quality", 90, QUALITY_RANGE),
            delay_ms=_whole(options, "delay_ms", 0, DELAY_RANGE_MS),
            failure_percent=_number(options, "failure_percent", 0, PERCENT_RANGE),
            hang_percent=_number(options, "hang_percent", 0, PERCENT_RANGE),
        )
    if kind == "entity":
        entity_id = data.get("entity_id")
        if not isinstance(entity_id, str) or len([part for part in entity_id.split(".") if part]) != _ENTITY_ID_PARTS:
            raise SourceError("source_option_invalid", field="entity_id", value=entity_id)
        return EntitySource(entity_id, fetch_image, clock)
    if kind in BACKENDS:
        return _worker_source(data, options, clock)
    raise SourceError("source_unknown", source=kind)


def _worker_source(data: Mapping[str, Any], options: Mapping[str, Any], clock: Clock) -> WorkerSource:
    """Return a camera behind a worker. Nothing is reached for before it is started."""
    probe = stored_probe(data)
    transport, python = build_transport(data), _text(data, "python")
    name = str(data.get("slug") or probe.model)  # a camera that is only being tried has no folder yet
    return WorkerSource(
        CameraSettings.from_options(options, probe),
        lambda configure, on_change: Supervisor(transport, python, configure, clock=clock, on_change=on_change, name=name),
        clock,
    )


def stored_probe(data: Mapping[str, Any]) -> CameraProbe:
    """Return what is known of a config entry's camera. Raises ``SourceError`` (``source_option_invalid``)."""
    probe = data.get("probe")
    try:
        return CameraProbe.from_dict(
            {
                **(probe if isinstance(probe, Mapping) else {}),
                "backend": data.get("source"),
                "id": _text(data, "camera_id"),
                "index": _whole(data, "camera_index", 0, INDEX_RANGE),
                "model": _text(data, "model"),
            }
        )
    except WorkerError as err:
        raise SourceError("source_option_invalid", field="probe", value=err.placeholders["field"]) from None


def build_transport(data: Mapping[str, Any]) -> Transport:
    """Return the way to the machine of a config entry's camera; it is not gone yet.

    Raises ``SourceError`` (``source_option_invalid``); a secret is never told.
    """
    transport = data.get("transport")
    if transport == "local":
        return LocalTransport()
    if transport != "ssh":
        raise SourceError("source_option_invalid", field="transport", value=transport)
    password, private_key = _secret(data, "password", LONGEST_TEXT), _secret(data, "private_key", LONGEST_KEY)
    if password is None and private_key is None:
        raise SourceError("source_option_invalid", field="private_key", value=HIDDEN)
    return SshTransport(
        SshTarget(
            host=_text(data, "host"),
            port=_whole(data, "port", 22, PORT_RANGE),
            username=_text(data, "username"),
            host_key=_text(data, "host_key", LONGEST_KEY),
            password=password,
            private_key=private_key,
            passphrase=_secret(data, "passphrase", LONGEST_TEXT),
        )
    )


def _text(values: Mapping[str, Any], field: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text of one line that says something."""
    value = values.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > longest or not value.isprintable():
        raise SourceError("source_option_invalid", field=field, value=str(value)[:LONGEST_TEXT])
    return value


def _secret(values: Mapping[str, Any], field: str, longest: int) -> str | None:
    """Return a secret; None if it is not there or empty."""
    value = values.get(field)
    if value is not None and (not isinstance(value, str) or len(value) > longest):
        raise SourceError("source_option_invalid", field=field, value=HIDDEN)
    return value or None


def _number(values: Mapping[str, Any], field: str, default: float, allowed: tuple[int, int]) -> float:
    """Return a number of a form within its range, both ends included."""
    value = values.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not allowed[0] <= value <= allowed[1]:
        raise SourceError("source_option_invalid", field=field, value=value)
    return value


def _whole(values: Mapping[str, Any], field: str, default: int, allowed: tuple[int, int]) -> int:
    """Return a whole number of a form, which may come as 1920.0."""
    value = _number(values, field, default, allowed)
    if value != int(value):
        raise SourceError("source_option_invalid", field=field, value=value)
    return int(value)
