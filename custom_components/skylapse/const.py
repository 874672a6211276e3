"""Names shared by the rooms of the shell."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

DOMAIN: Final = "skylapse"

SUBENTRY_SCHEDULE: Final = "schedule"
SUBENTRY_DESTINATION: Final = "destination"

CONF_SOURCE: Final = "source"
CONF_SLUG: Final = "slug"
CONF_SEED: Final = "seed"
CONF_TRANSPORT: Final = "transport"
CONF_PYTHON: Final = "python"
CONF_HOST_KEY: Final = "host_key"
CONF_PRIVATE_KEY: Final = "private_key"
CONF_PASSPHRASE: Final = "passphrase"  # noqa: S105  a field's name
CONF_CAMERA_ID: Final = "camera_id"
CONF_CAMERA_INDEX: Final = "camera_index"
CONF_CAMERA_MODEL: Final = "model"
CONF_PROBE: Final = "probe"

KIND_SIMULATED: Final = "simulated"
KIND_ENTITY: Final = "entity"
KIND_PICAMERA2: Final = "picamera2"
KIND_RPICAM: Final = "rpicam"
CAMERA_KINDS: Final = frozenset({KIND_PICAMERA2, KIND_RPICAM})
"""Cameras with a worker of Skylapse beside them."""

TRANSPORT_LOCAL: Final = "local"
TRANSPORT_SSH: Final = "ssh"
DEFAULT_PYTHON: Final = "/usr/bin/python3"
DEFAULT_SSH_PORT: Final = 22

OPT_EMBED_LOCATION: Final = "embed_location"
OPT_MIN_FREE_GB: Final = "min_free_gb"
OPT_MAX_DAYS: Final = "max_days"
OPT_DELETE_UNCOPIED: Final = "delete_uncopied"
OPT_DEADLINE_S: Final = "deadline_s"
OPT_WIDTH: Final = "width"
OPT_HEIGHT: Final = "height"
OPT_QUALITY: Final = "quality"
OPT_DELAY_MS: Final = "delay_ms"
OPT_FAILURE_PERCENT: Final = "failure_percent"
OPT_HANG_PERCENT: Final = "hang_percent"

OPT_EV: Final = "ev"
OPT_LENS_POSITION: Final = "lens_position"
OPT_FOCUS_MODE: Final = "focus_mode"
FOCUS_FIXED: Final = "fixed"

LIVE_OPTIONS: Final = frozenset({OPT_EV, OPT_LENS_POSITION})
"""What a running camera can be told; a change of the others starts the station anew."""

DEFAULT_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {OPT_EMBED_LOCATION: False, OPT_MIN_FREE_GB: 5.0, OPT_MAX_DAYS: None, OPT_DELETE_UNCOPIED: False, OPT_DEADLINE_S: 30}
)
"""What a new camera has; a limit that is None does not apply."""
DEFAULT_SIMULATION: Final[Mapping[str, Any]] = MappingProxyType(
    {OPT_WIDTH: 1920, OPT_HEIGHT: 1080, OPT_QUALITY: 90, OPT_DELAY_MS: 0, OPT_FAILURE_PERCENT: 0, OPT_HANG_PERCENT: 0}
)
"""What a new simulated camera has beside that."""

GIGABYTE: Final = 1_000_000_000
