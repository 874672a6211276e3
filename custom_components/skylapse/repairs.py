"""Fix flows: what a person can do about a problem from inside Home Assistant."""

from abc import abstractmethod
from typing import override

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import voluptuous as vol

from .const import CONF_HOST_KEY, DOMAIN
from .engine.errors import SkylapseError, SshError
from .engine.remote.ssh import fetch_host_key, fingerprint
from .engine.station import Station
from .engine.status import Problem
from .errors import describe
from .flow_ssh import FETCH_TIMEOUT_S, compare_command
from .runtime import SkylapseConfigEntry


class StationFlow(RepairsFlow):
    """Asks, then does one thing with a station. If that does not help, the station raises the issue again."""

    def __init__(self, entry_id: str) -> None:
        """Aim at one camera."""
        self._entry_id = entry_id

    @abstractmethod
    async def act(self, station: Station) -> None:
        """Do what the person confirmed. Raises ``SkylapseError``."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask, then act."""
        if user_input is None:
            issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders=issue.translation_placeholders if issue else None,
            )
        entry: SkylapseConfigEntry | None = next(
            (entry for entry in self.hass.config_entries.async_loaded_entries(DOMAIN) if entry.entry_id == self._entry_id), None
        )
        if entry is None:
            return self.async_abort(reason="not_loaded")
        try:
            await self.act(entry.runtime_data.station)
        except SkylapseError as error:
            message = describe(self.hass, error.key, error.placeholders)
            return self.async_abort(reason="retry_failed", description_placeholders={"error": message})
        return self.async_create_entry(data={})


class RetryFlow(StationFlow):
    """Has the uploads to one destination tried again, now."""

    def __init__(self, entry_id: str, destination_id: str) -> None:
        """Aim at one destination of one camera."""
        super().__init__(entry_id)
        self._destination_id = destination_id

    @override
    async def act(self, station: Station) -> None:
        """Try again."""
        await station.retry_uploads(self._destination_id)


class ForgetFlow(StationFlow):
    """Accepts that frames whose files vanished are gone."""

    @override
    async def act(self, station: Station) -> None:
        """Stop looking for them."""
        await station.forget_missing()


class HostKeyFlow(RepairsFlow):
    """Shows the host key that was confirmed and the one there is now, and has the new one trusted if a person says so."""

    def __init__(self, entry_id: str) -> None:
        """Aim at one camera."""
        self._entry_id = entry_id
        self._shown = ""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Fetch the key; there is nothing to decide if it is the one that was confirmed."""
        if (entry := self._entry()) is None:
            return self.async_abort(reason="entry_gone")
        host = entry.data[CONF_HOST]
        try:
            self._shown = await fetch_host_key(host, entry.data[CONF_PORT], timeout_s=FETCH_TIMEOUT_S)
        except SshError as error:
            message = describe(self.hass, error.key, error.placeholders)
            return self.async_abort(reason="retry_failed", description_placeholders={"error": message})
        if self._shown == entry.data[CONF_HOST_KEY]:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
            return self.async_abort(reason="host_key_same", description_placeholders={"camera": entry.title, "host": host})
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Trust the key that was shown, and only that one."""
        if (entry := self._entry()) is None:
            return self.async_abort(reason="entry_gone")
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders={
                    "camera": entry.title,
                    "host": entry.data[CONF_HOST],
                    "pinned": fingerprint(entry.data[CONF_HOST_KEY]),
                    "found": fingerprint(self._shown),
                    "command": compare_command(self._shown),
                },
            )
        self.hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_HOST_KEY: self._shown})
        if entry.state is not ConfigEntryState.LOADED:  # else its update listener starts the station anew
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_create_entry(data={})

    def _entry(self) -> ConfigEntry | None:
        return self.hass.config_entries.async_get_entry(self._entry_id)


async def async_create_fix_flow(hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None) -> RepairsFlow:
    """Return the flow for an issue that ``issues.py`` raised as fixable; those of a destination have it in ``data``."""
    data = data or {}
    entry_id = str(data["entry_id"])
    if data["destination_id"] is not None:
        return RetryFlow(entry_id, str(data["destination_id"]))
    return HostKeyFlow(entry_id) if data["problem"] == Problem.HOST_KEY_CHANGED else ForgetFlow(entry_id)
