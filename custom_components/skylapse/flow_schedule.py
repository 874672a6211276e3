"""Adds or changes a schedule: a preset or one's own, in a form that shows all of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentry, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import EntitySelector, EntitySelectorConfig
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import SUBENTRY_SCHEDULE
from .engine.errors import ScheduleError
from .engine.ports import Site
from .engine.schedule.codec import schedule_from_dict, schedule_to_dict
from .engine.schedule.model import Schedule
from .engine.schedule.planner import Planner
from .engine.schedule.presets import PRESETS, classic
from .flow_common import clean_name, free_name, name_error, preset_names, titles
from .host import site
from .schedule_form import SCHEMA, form_field, form_values, schedule_data

CONF_ILLUMINANCE: Final = "illuminance"
_WINDOWS_SHOWN: Final = 3
_FORM: Final = "form"
"""Stands for the id and the name of a schedule that is still being made."""


class ScheduleFlow(ConfigSubentryFlow):
    """Adds a schedule, or changes one."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what to start from."""
        return self.async_show_menu(step_id="user", menu_options=[*PRESETS, "classic", "custom"])

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a schedule."""
        old = self._get_reconfigure_subentry()
        return await self._form(form_values(old.title, old.data))

    async def async_step_sunrise(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("sunrise")

    async def async_step_sunset(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("sunset")

    async def async_step_golden_hours(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("golden_hours")

    async def async_step_blue_hours(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("blue_hours")

    async def async_step_daylight(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("daylight")

    async def async_step_night(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("night")

    async def async_step_all_day(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from the preset."""
        return await self._preset("all_day")

    async def async_step_custom(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start from a plain schedule without a name."""
        return await self._form(form_values("", {}))

    async def async_step_classic(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the light sensor of the original's five rules, then add them all."""
        if user_input is None:
            schema = vol.Schema(
                {
                    vol.Optional(CONF_ILLUMINANCE): EntitySelector(
                        EntitySelectorConfig(filter={"domain": "sensor", "device_class": SensorDeviceClass.ILLUMINANCE})
                    )
                }
            )
            return self.async_show_form(step_id="classic", data_schema=schema)
        entry = self._get_entry()
        names = await preset_names(self.hass)
        taken = titles(entry, SUBENTRY_SCHEDULE)
        *others, last = [(free_name(names[key], taken), complete(data)) for key, data in classic(user_input.get(CONF_ILLUMINANCE))]
        for title, data in others:
            subentry = ConfigSubentry(data=MappingProxyType(data), subentry_type=SUBENTRY_SCHEDULE, title=title, unique_id=None)
            self.hass.config_entries.async_add_subentry(entry, subentry)
        return self.async_create_entry(title=last[0], data=last[1])

    async def async_step_schedule(self, user_input: dict[str, Any]) -> SubentryFlowResult:
        """Check what was typed in, and keep it."""
        old = self._get_reconfigure_subentry() if self.source == SOURCE_RECONFIGURE else None
        entry = self._get_entry()
        errors: dict[str, str] = {}
        placeholders: Mapping[str, str] = {}
        name = clean_name(user_input[CONF_NAME])
        if error := name_error(name, titles(entry, SUBENTRY_SCHEDULE, but=old.subentry_id if old else None)):
            errors[CONF_NAME] = error
        try:
            data = complete(schedule_data(user_input))
        except ScheduleError as err:
            errors[form_field(err.field)], placeholders = err.key, err.placeholders
        else:
            if not errors and old is None:
                return self.async_create_entry(title=name, data=data)
            if not errors and old is not None:
                return self.async_update_and_abort(entry, old, title=name, data=data)
        return await self._form(user_input, errors, placeholders)

    async def _preset(self, preset: str) -> SubentryFlowResult:
        """Show the form filled with a preset, under a name that is free."""
        names = await preset_names(self.hass)
        chosen = PRESETS[preset]
        return await self._form(form_values(free_name(names[chosen.name_key], titles(self._get_entry(), SUBENTRY_SCHEDULE)), chosen.data))

    async def _form(
        self, values: Mapping[str, Any], errors: dict[str, str] | None = None, placeholders: Mapping[str, str] | None = None
    ) -> SubentryFlowResult:
        """Show the form, and when such a schedule would photograph next."""
        return self.async_show_form(
            step_id="schedule",
            data_schema=self.add_suggested_values_to_schema(SCHEMA, values),
            errors=errors,
            description_placeholders={**(placeholders or {}), "next": await self._next_windows(values)},
        )

    async def _next_windows(self, values: Mapping[str, Any]) -> str:
        """Return the next windows of the schedule in the form in civil time; a dash if it has none or is not a valid one."""
        try:
            schedule = schedule_from_dict(_FORM, _FORM, schedule_data(values))
        except ScheduleError:
            return "–"
        return await self.hass.async_add_executor_job(_windows_text, schedule, site(self.hass))


def complete(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schedule's data with all its fields in their plain form. Raises ``ScheduleError``."""
    return schedule_to_dict(schedule_from_dict(_FORM, _FORM, data))


def _windows_text(schedule: Schedule, place: Site) -> str:
    """Return the running and the next windows in civil time, one behind the other."""
    now = dt_util.utcnow()
    planner = Planner([schedule])
    planner.replan(place, now)
    window = planner.window_at(schedule.schedule_id, now) or planner.next_window(schedule.schedule_id, now)
    shown: list[str] = []
    while window is not None and len(shown) < _WINDOWS_SHOWN:
        start, end = (at.astimezone(place.timezone) for at in (window.start, window.end))
        shown.append(f"{start:%Y-%m-%d %H:%M}–{end:%H:%M}")
        window = planner.next_window(schedule.schedule_id, window.start)
    return ", ".join(shown) or "–"
