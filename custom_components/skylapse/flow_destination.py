"""Adds or changes a folder that frames are copied to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentry, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME, CONF_PATH
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers.selector import TextSelector
import voluptuous as vol

from .const import SUBENTRY_DESTINATION
from .engine.errors import DestinationError
from .flow_common import LONGEST_NAME, clean_name, destination_data, free_name, name_error, prepare_destination, resolve_destination, titles
from .selectors import SwitchField

CONF_REQUIRED: Final = "required"
CONF_RENEW: Final = "renew"


class DestinationFlow(ConfigSubentryFlow):
    """Adds a folder destination, or changes one."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add a destination."""
        return await self.async_step_folder()

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a destination."""
        return await self.async_step_folder()

    async def async_step_folder(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask which folder, under which name, and whether frames have to be there before they may be deleted here."""
        old = self._get_reconfigure_subentry() if self.source == SOURCE_RECONFIGURE else None
        errors: dict[str, str] = {}
        placeholders: Mapping[str, str] = {}
        if user_input is not None:
            taken = titles(self._get_entry(), SUBENTRY_DESTINATION, but=old.subentry_id if old else None)
            name = clean_name(user_input.get(CONF_NAME, ""))
            if name and (error := name_error(name, taken)):
                errors[CONF_NAME] = error
            else:
                try:
                    path, marker_id = await self._prepare(user_input, old)
                except DestinationError as err:
                    errors[CONF_PATH], placeholders = err.key, err.placeholders
                else:
                    data = destination_data(path, marker_id, required=user_input[CONF_REQUIRED])
                    return self._finish(old, name or free_name(path.name[:LONGEST_NAME], taken), data)
        return self._form(old, user_input, errors, placeholders)

    async def _prepare(self, user_input: Mapping[str, Any], old: ConfigSubentry | None) -> tuple[Path, str]:
        """Return the folder's resolved path and its marker.

        The folder a destination has already is left alone unless the person asks for a new start in it: it may not be
        mounted right now, and the marker must never be written into the empty folder below the mount.
        """
        path = await resolve_destination(self.hass, user_input[CONF_PATH])
        others = [item for item in self._get_entry().get_subentries_of_type(SUBENTRY_DESTINATION) if item != old]
        if any(item.unique_id == str(path) for item in others):
            raise AbortFlow("already_configured")
        if old is not None and old.unique_id == str(path) and not user_input[CONF_RENEW]:
            return path, old.data["marker_id"]
        return await prepare_destination(self.hass, str(path))

    def _finish(self, old: ConfigSubentry | None, name: str, data: Mapping[str, Any]) -> SubentryFlowResult:
        """Keep the destination; the entry's update listener starts the station anew."""
        unique_id = data[CONF_PATH]
        if old is None:
            return self.async_create_entry(title=name, data=data, unique_id=unique_id)
        return self.async_update_and_abort(self._get_entry(), old, title=name, data=data, unique_id=unique_id)

    def _form(
        self,
        old: ConfigSubentry | None,
        user_input: Mapping[str, Any] | None,
        errors: dict[str, str],
        placeholders: Mapping[str, str],
    ) -> SubentryFlowResult:
        """Show the form, filled with what was typed, else with what the destination has."""
        schema = vol.Schema(
            {
                vol.Required(CONF_PATH): TextSelector(),
                vol.Optional(CONF_NAME): TextSelector(),
                vol.Required(CONF_REQUIRED, default=True): SwitchField(),
            }
        )
        values: Mapping[str, Any] = {}
        if old is not None:
            schema = schema.extend({vol.Required(CONF_RENEW, default=False): SwitchField()})
            values = {**old.data, CONF_NAME: old.title}
        return self.async_show_form(
            step_id="folder",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or values),
            errors=errors,
            description_placeholders=placeholders,
        )
