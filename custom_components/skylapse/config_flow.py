"""Adds a camera: its source, a test picture, its first schedules and, if wanted, a folder to copy to."""

import asyncio
from collections.abc import Mapping
import secrets
from typing import Any, Final, override

from homeassistant.components.camera import DOMAIN as CAMERA_DOMAIN
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentryData,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_ENTITY_ID, CONF_NAME
from homeassistant.core import callback, split_entity_id
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import EntitySelector, EntitySelectorConfig, TextSelector
import voluptuous as vol

from .camera_form import fitting
from .const import (
    CAMERA_KINDS,
    CONF_PROBE,
    CONF_SEED,
    CONF_SLUG,
    CONF_SOURCE,
    DEFAULT_OPTIONS,
    DEFAULT_SIMULATION,
    DOMAIN,
    KIND_ENTITY,
    KIND_SIMULATED,
    SUBENTRY_DESTINATION,
    SUBENTRY_SCHEDULE,
)
from .engine.errors import DestinationError, SkylapseError
from .engine.schedule.presets import PRESETS, classic
from .engine.sources.camera_probe import CameraProbe
from .flow_camera import CONF_CAMERA, CameraSteps
from .flow_common import (
    LONGEST_NAME,
    clean_name,
    destination_data,
    lent_camera,
    name_error,
    prepare_destination,
    preset_names,
    unique_slug,
)
from .flow_destination import DestinationFlow
from .flow_options import SkylapseOptionsFlow
from .flow_schedule import ScheduleFlow, complete
from .selectors import NumberField, choice
from .test_shot import TestShot, forget, keep, take_test_shot

CONF_FOLDER: Final = "folder"
CONF_PRESETS: Final = "presets"
SECTION_MORE: Final = "more"

LARGEST_SEED: Final = 2**31 - 1
FIRST_PRESETS: Final = ("sunrise", "sunset")
UNKNOWN: Final = "–"

_SIMULATED_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_NAME): TextSelector(),
        vol.Required(SECTION_MORE): section(vol.Schema({vol.Optional(CONF_SEED): NumberField(0, LARGEST_SEED)}), {"collapsed": True}),
    }
)


class SkylapseConfigFlow(CameraSteps, domain=DOMAIN):
    """Adds a camera, or changes what its frames come from."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Start with nothing known."""
        super().__init__()
        self._unique_id = ""
        self._task: asyncio.Task[TestShot] | None = None
        self._picture: dict[str, str] = {}
        """The latest test picture: where the dialog finds it, and what is known of it."""
        self._tokens: list[str] = []

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the flow for the options."""
        return SkylapseOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added to a camera."""
        return {SUBENTRY_SCHEDULE: ScheduleFlow, SUBENTRY_DESTINATION: DestinationFlow}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the frames come from."""
        return self.async_show_menu(step_id="user", menu_options=[CONF_CAMERA, KIND_ENTITY, KIND_SIMULATED])

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change the source of a camera; its kind, folder and frames stay."""
        entry = self._get_reconfigure_entry()
        self._name = entry.title
        self._source = {key: value for key, value in entry.data.items() if key != CONF_SLUG}
        if self._source[CONF_SOURCE] in CAMERA_KINDS:
            return await self._reconfigure_camera(entry)
        return await self._ask_again()

    async def async_step_entity(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which camera of Home Assistant is photographed."""
        errors: dict[str, str] = {}
        if user_input is not None:
            entity_id = user_input[CONF_ENTITY_ID]
            registered = er.async_get(self.hass).async_get(entity_id)
            if registered is not None:
                entity_id = registered.entity_id
            if split_entity_id(entity_id)[0] != CAMERA_DOMAIN:
                errors[CONF_ENTITY_ID] = "entity_no_camera"
            elif registered is None and self.hass.states.get(entity_id) is None:
                errors[CONF_ENTITY_ID] = "entity_missing"
            elif registered is not None and registered.platform == DOMAIN:
                errors[CONF_ENTITY_ID] = "entity_own"
            if self._accept_name(user_input, errors):
                self._source = {CONF_SOURCE: KIND_ENTITY, CONF_ENTITY_ID: entity_id}
                return await self._claim(f"{KIND_ENTITY}:{registered.id if registered else entity_id}")
        schema = vol.Schema(
            {
                vol.Required(CONF_NAME): TextSelector(),
                vol.Required(CONF_ENTITY_ID): EntitySelector(
                    EntitySelectorConfig(filter={"domain": CAMERA_DOMAIN}, exclude_entities=self._own_cameras())
                ),
            }
        )
        known = {CONF_NAME: self._name, CONF_ENTITY_ID: self._source.get(CONF_ENTITY_ID)}
        return self._source_form(KIND_ENTITY, schema, user_input or known, errors)

    async def async_step_simulated(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the name of a simulated camera."""
        errors: dict[str, str] = {}
        if user_input is not None and self._accept_name(user_input, errors):
            seed = user_input[SECTION_MORE].get(CONF_SEED)
            if seed is None:
                seed = secrets.randbelow(LARGEST_SEED + 1)
            self._source = {CONF_SOURCE: KIND_SIMULATED, CONF_SEED: seed}
            return await self._claim(f"{KIND_SIMULATED}:{seed}")
        known = {CONF_NAME: self._name, SECTION_MORE: {CONF_SEED: self._source.get(CONF_SEED)}}
        return self._source_form(KIND_SIMULATED, _SIMULATED_SCHEMA, user_input or known, errors)

    async def async_step_shot(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take a test picture while the dialog waits."""
        if self._task is None:
            self._task = self.hass.async_create_task(self._take_test_shot(), "skylapse test shot")
        if not self._task.done():
            return self.async_show_progress(step_id="shot", progress_action="shot", progress_task=self._task)
        task, self._task = self._task, None
        try:
            shot = await task
        except SkylapseError as err:
            self._failure = err
            # not the form's own step: where the camera refused without waiting, Home Assistant goes there with what was
            # sent last, which would take the next picture, and the next, and let the event loop do nothing else
            return self.async_show_progress_done(next_step_id="shot_failed")
        token, path = keep(self.hass, shot)
        self._tokens.append(token)
        self._picture = {
            "image": path,
            "width": str(shot.width_px),
            "height": str(shot.height_px),
            "size_kb": f"{shot.size_bytes / 1000:.0f}",
            "duration_s": f"{shot.duration_s:.1f}",
            "exposure": exposure_text(shot.exposure_us),
            "gain": UNKNOWN if shot.gain is None else f"{shot.gain:.1f}",
        }
        return self.async_show_progress_done(next_step_id="test_shot")

    async def _take_test_shot(self) -> TestShot:
        """Take a test picture. A running station has to let go of the camera meanwhile."""
        async with lent_camera(self._own_entry()):
            return await take_test_shot(self.hass, self._source, self._options())

    async def async_step_shot_failed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go back to the source's settings, which tell what went wrong."""
        return await self._ask_again()

    async def async_step_test_shot(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the test picture, and ask whether this is the camera that was meant."""
        finish = "save" if self.source == SOURCE_RECONFIGURE else "schedules"
        return self.async_show_menu(step_id="test_shot", menu_options=[finish, "again", "change"], description_placeholders=self._picture)

    async def async_step_again(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take another test picture."""
        return await self.async_step_shot()

    async def async_step_change(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go back to the source's settings."""
        return await self._ask_again()

    async def async_step_save(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Keep the changed source; the options that it cannot take go back to their defaults."""
        entry = self._get_reconfigure_entry()
        data = {**self._source, CONF_SLUG: entry.data[CONF_SLUG]}
        return self._keep(entry, data, title=self._name, unique_id=self._unique_id, options=self._options())

    async def async_step_schedules(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask when to photograph and where to copy to; both can be changed and added to later."""
        errors: dict[str, str] = {}
        placeholders: Mapping[str, str] = {}
        if user_input is not None:
            try:
                destinations = await self._destinations(user_input.get(CONF_FOLDER, ""))
            except DestinationError as err:
                errors[CONF_FOLDER], placeholders = err.key, err.placeholders
            else:
                schedules = await self._schedules(user_input[CONF_PRESETS])
                slug = await unique_slug(self.hass, self._name)
                return self.async_create_entry(
                    title=self._name,
                    data={**self._source, CONF_SLUG: slug},
                    options=self._options(),
                    subentries=[*schedules, *destinations],
                )
        schema = vol.Schema(
            {
                vol.Required(CONF_PRESETS): choice([*PRESETS, "classic"], "preset", multiple=True),
                vol.Optional(CONF_FOLDER): TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="schedules",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or {CONF_PRESETS: list(FIRST_PRESETS)}),
            errors=errors,
            description_placeholders=placeholders,
            last_step=True,
        )

    @callback
    @override
    def async_remove(self) -> None:
        """Drop the pictures when the dialog is closed."""
        for token in self._tokens:
            forget(self.hass, token)

    @override
    def _accept_name(self, user_input: Mapping[str, Any], errors: dict[str, str]) -> bool:
        """Take the name over; return whether the form has no error."""
        self._name = clean_name(user_input[CONF_NAME])
        if error := name_error(self._name):
            errors[CONF_NAME] = error
        return not errors

    @override
    async def _claim(self, unique_id: str) -> ConfigFlowResult:
        """Make sure that no other entry has this camera, then take a test picture."""
        self._unique_id = unique_id
        if self.source == SOURCE_RECONFIGURE:
            own = self._get_reconfigure_entry()
            if any(entry.unique_id == unique_id for entry in self._async_current_entries() if entry is not own):
                return self.async_abort(reason="already_configured")
        else:
            await self.async_set_unique_id(unique_id)
            self._abort_if_unique_id_configured()
        return await self.async_step_shot()

    async def _ask_again(self) -> ConfigFlowResult:
        """Show the form of the source that is being set up."""
        if self._source[CONF_SOURCE] in CAMERA_KINDS:
            return await self._show_cameras()
        if self._source[CONF_SOURCE] == KIND_ENTITY:
            return await self.async_step_entity()
        return await self.async_step_simulated()

    @override
    def _source_form(
        self,
        step_id: str,
        schema: vol.Schema,
        values: Mapping[str, Any],
        errors: dict[str, str],
        placeholders: Mapping[str, str] | None = None,
    ) -> ConfigFlowResult:
        """Show the form of a source, with what went wrong with the latest test picture if nothing else is wrong."""
        failure, self._failure = self._failure, None
        if failure is not None:
            errors["base"] = failure.key
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, values),
            errors=errors,
            description_placeholders={**(failure.placeholders if failure else {}), **(placeholders or {})},
            last_step=False,
        )

    def _own_cameras(self) -> list[str]:
        """Return the cameras that show Skylapse's own frames: a camera must not photograph itself."""
        entities = er.async_get(self.hass).entities.values()
        return [entity.entity_id for entity in entities if entity.platform == DOMAIN and entity.domain == CAMERA_DOMAIN]

    def _options(self) -> dict[str, Any]:
        """Return the options that go with the source: those of its kind, or the entry's as far as the source takes them."""
        kind, own = self._source[CONF_SOURCE], self._own_entry()
        options = {**DEFAULT_OPTIONS, **(DEFAULT_SIMULATION if kind == KIND_SIMULATED else {}), **(own.options if own else {})}
        return fitting(options, CameraProbe.from_dict(self._source[CONF_PROBE])) if kind in CAMERA_KINDS else options

    async def _destinations(self, folder: str) -> list[ConfigSubentryData]:
        """Return the destination for a folder, none for an empty one. Raises ``DestinationError``."""
        if not folder.strip():
            return []
        path, marker_id = await prepare_destination(self.hass, folder)
        data = destination_data(path, marker_id, required=True)
        return [ConfigSubentryData(data=data, subentry_type=SUBENTRY_DESTINATION, title=path.name[:LONGEST_NAME], unique_id=str(path))]

    async def _schedules(self, chosen: list[str]) -> list[ConfigSubentryData]:
        """Return the schedules of the presets that were chosen."""
        names = await preset_names(self.hass)
        schedules: list[tuple[str, Mapping[str, Any]]] = [
            (preset.name_key, preset.data) for key, preset in PRESETS.items() if key in chosen
        ]
        if "classic" in chosen:
            schedules += classic(None)
        return [
            ConfigSubentryData(data=complete(data), subentry_type=SUBENTRY_SCHEDULE, title=names[key], unique_id=None)
            for key, data in schedules
        ]


def exposure_text(exposure_us: int | None) -> str:
    """Return an exposure as photographers write it; a dash if it is not known."""
    if exposure_us is None:
        return UNKNOWN
    if 0 < exposure_us < 300_000:
        return f"1/{1e6 / exposure_us:.0f} s"
    return f"{exposure_us / 1e6:.1f} s"
