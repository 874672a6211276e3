"""Fix flows: what a person can do about a problem from inside Home Assistant, which is to have the uploads tried again."""

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import voluptuous as vol

from .const import DOMAIN
from .engine.errors import SkylapseError
from .errors import describe
from .runtime import SkylapseConfigEntry


class RetryFlow(RepairsFlow):
    """Has the uploads to one destination tried again, now. If that does not help, the station raises the issue again."""

    def __init__(self, entry_id: str, destination_id: str) -> None:
        """Aim at one destination of one camera."""
        self._entry_id = entry_id
        self._destination_id = destination_id

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask, then try again."""
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
            await entry.runtime_data.station.retry_uploads(self._destination_id)
        except SkylapseError as error:
            message = describe(self.hass, error.key, error.placeholders)
            return self.async_abort(reason="retry_failed", description_placeholders={"error": message})
        return self.async_create_entry(data={})


async def async_create_fix_flow(hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None) -> RepairsFlow:
    """Return the flow for an issue that ``issues.py`` raised as fixable; only those have ``data`` with a destination."""
    data = data or {}
    return RetryFlow(str(data["entry_id"]), str(data["destination_id"]))
