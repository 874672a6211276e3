"""Tells the engine's errors in the person's language."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN
from .engine.errors import ScheduleError, SkylapseError

INPUT_ERRORS = frozenset(
    {
        "camera_cannot",
        "ev_out_of_range",
        "exposure_out_of_range",
        "focus_positions_invalid",
        "gain_out_of_range",
        "lens_position_out_of_range",
        "no_destinations",
        "nothing_to_upload",
        "path_missing",
        "path_not_file",
        "remote_path_taken",
        "unknown_destination",
        "unknown_schedule",
        "uploads_off",
    }
)
"""Keys of errors that what a person or an automation asked for is the reason of."""


def translated(error: SkylapseError) -> HomeAssistantError:
    """Return the error as Home Assistant shows it: bad input as a validation error, the rest as a failure."""
    asked_wrongly = isinstance(error, ScheduleError) or error.key in INPUT_ERRORS
    kind = ServiceValidationError if asked_wrongly else HomeAssistantError
    return kind(translation_domain=DOMAIN, translation_key=error.key, translation_placeholders=error.placeholders)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn engine errors that leave the block into Home Assistant's."""
    try:
        yield
    except SkylapseError as error:
        raise translated(error) from error


@callback
def invalid(key: str, **placeholders: object) -> ServiceValidationError:
    """Return the error for input that a person can put right."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={name: str(value) for name, value in placeholders.items()}
    )


@callback
def describe(hass: HomeAssistant, key: str, placeholders: Mapping[str, str]) -> str:
    """Return an engine error's message in Home Assistant's language; its key where the translations have none."""
    messages = async_get_cached_translations(hass, hass.config.language, "exceptions", DOMAIN)
    message = messages.get(f"component.{DOMAIN}.exceptions.{key}.message", key)
    with suppress(KeyError):  # a translation that asks for what the error does not carry is shown as it stands
        message = message.format(**placeholders)
    return message
