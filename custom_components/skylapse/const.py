"""Names shared by the rooms of the shell."""

from typing import Final

DOMAIN: Final = "skylapse"

SUBENTRY_SCHEDULE: Final = "schedule"
SUBENTRY_DESTINATION: Final = "destination"

CONF_SOURCE: Final = "source"
CONF_SLUG: Final = "slug"
CONF_SEED: Final = "seed"

OPT_EMBED_LOCATION: Final = "embed_location"
OPT_MIN_FREE_GB: Final = "min_free_gb"
OPT_MAX_DAYS: Final = "max_days"
OPT_DELETE_UNCOPIED: Final = "delete_uncopied"
OPT_DEADLINE_S: Final = "deadline_s"
