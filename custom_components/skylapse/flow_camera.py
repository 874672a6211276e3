"""The steps of the config flow for a Raspberry Pi's own camera: where it is, which one, and how it is reached from now on."""

from abc import abstractmethod
import asyncio
from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigEntry, ConfigEntryState, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_USERNAME
from homeassistant.helpers.selector import SelectOptionDict, SelectSelector, SelectSelectorConfig, SelectSelectorMode, TextSelector
import voluptuous as vol

from .camera_search import Search, log_in, search
from .const import (
    CONF_CAMERA_ID,
    CONF_CAMERA_INDEX,
    CONF_CAMERA_MODEL,
    CONF_PROBE,
    CONF_PYTHON,
    CONF_SLUG,
    CONF_SOURCE,
    CONF_TRANSPORT,
    DEFAULT_PYTHON,
    TRANSPORT_LOCAL,
    TRANSPORT_SSH,
)
from .engine.errors import SkylapseError
from .engine.sources.build import LONGEST_TEXT
from .engine.sources.camera_probe import CameraProbe
from .engine.sources.discover import FoundCamera
from .errors import describe
from .flow_common import lent_camera
from .flow_ssh import AUTH_KEPT, AUTH_NEW, AUTH_OWN, AUTH_PASSWORD, SshSteps

CONF_CAMERA: Final = "camera"

LOOK_AGAIN: Final = "look_again"
INTERPRETER: Final = "interpreter"

_INSTALL: Final = "sudo apt install -y --no-install-recommends"
_REMEDIES: Final[Mapping[str, str]] = {
    "picamera2_missing": f"{_INSTALL} python3-picamera2",
    "rpicam_missing": f"{_INSTALL} python3-picamera2",
    "camera_missing": "rpicam-hello --list-cameras",
    "camera_denied": "sudo usermod -aG video {username}",
    "camera_needs_reboot": "sudo reboot",
}
"""What a person runs on the camera's machine; the message says what it is for."""


class CameraSteps(SshSteps):
    """Finds the cameras of a machine and has one chosen."""

    def __init__(self) -> None:
        """Start with nothing known."""
        super().__init__()
        self._name = ""
        self._source: dict[str, Any] = {}
        """What goes into the entry's data: the kind of source and its settings."""
        self._failure: SkylapseError | None = None
        """Why the latest test picture failed; told in the form it came from."""
        self._search: asyncio.Task[Search] | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._cameras: tuple[CameraProbe, ...] = ()
        """Those that were found and that no other entry has."""
        self._unusable: tuple[FoundCamera, ...] = ()
        self._basic_because: SkylapseError | None = None
        """Why these cameras are used by way of ``rpicam-still``; None if they are not."""
        self._problem = SkylapseError()
        """Why no camera was found, or why the machine did not let us in."""
        self._asked_interpreter = False
        """The Python being tried was just typed in."""

    # -- where it is -------------------------------------------------------------------------------------------------------

    async def async_step_camera(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Look at the machine that Home Assistant runs on."""
        self._place = {CONF_TRANSPORT: TRANSPORT_LOCAL, CONF_PYTHON: DEFAULT_PYTHON}
        return await self.async_step_look()

    async def async_step_look_again(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Look at the same place once more."""
        return await self.async_step_look()

    async def async_step_interpreter(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for another Python than the system's."""
        if user_input is not None:
            python = user_input[CONF_PYTHON].strip()
            if python.startswith("/") and python.isprintable() and len(python) <= LONGEST_TEXT:
                self._place[CONF_PYTHON], self._asked_interpreter = python, True
                return await self.async_step_look()
            return self._interpreter_form(user_input, SkylapseError("python_unusable"))
        return self._interpreter_form(self._place)

    def _interpreter_form(self, values: Mapping[str, Any], error: SkylapseError | None = None) -> ConfigFlowResult:
        schema = vol.Schema({vol.Required(CONF_PYTHON): TextSelector()})
        return self.async_show_form(
            step_id=INTERPRETER,
            data_schema=self.add_suggested_values_to_schema(schema, values),
            errors={CONF_PYTHON: error.key} if error else {},
            description_placeholders=error.placeholders if error else {},
            last_step=False,
        )

    @override
    async def _try_credentials(self) -> ConfigFlowResult:
        """See who lets us in: for a new password or key that alone, else what cameras there are, too."""
        return await (self.async_step_log_in() if self.source == SOURCE_REAUTH else self.async_step_look())

    # -- looking for cameras -----------------------------------------------------------------------------------------------

    async def async_step_look(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Look for cameras while the dialog waits."""
        if self._search is None:
            self._search = self.hass.async_create_task(self._look(), "skylapse camera search")
        if not self._search.done():
            return self.async_show_progress(step_id="look", progress_action="look", progress_task=self._search)
        task, self._search = self._search, None
        try:
            found = await task
        except SkylapseError as err:
            self._problem = err
            return self.async_show_progress_done(next_step_id="not_found")
        self._asked_interpreter = False
        taken = self._taken_unique_ids()
        self._basic_because = found.basic_because
        self._unusable = tuple(camera for camera in found.unusable if self._camera_unique_id(camera.probe) not in taken)
        self._cameras = tuple(camera for camera in found.cameras if self._camera_unique_id(camera) not in taken)
        return self.async_show_progress_done(next_step_id="found")

    async def _look(self) -> Search:
        """Return the cameras of the place. A running station has to let go of its camera meanwhile."""
        async with lent_camera(self._own_entry()):
            return await search(self._place)

    # not the steps they show: where the search ended at once, Home Assistant goes there with what was sent last

    async def async_step_found(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what was found."""
        if not self._cameras:
            return self.async_abort(reason="already_configured")
        return await self._show_cameras()

    async def async_step_not_found(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Tell why there is no camera: in the form where that can be put right, else with what can be done."""
        asked, self._asked_interpreter = self._asked_interpreter, False
        if asked and self._problem.key == "interpreter_missing":
            return self._interpreter_form(self._place, self._problem)
        if form := await self._ask_credentials_again(self._problem):
            return form
        return await (self.async_step_none_there() if self._is_remote else self.async_step_none_here())

    async def async_step_none_here(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say why this machine has no camera for us."""
        return self.async_show_menu(
            step_id="none_here",
            menu_options=["ssh", INTERPRETER, LOOK_AGAIN],
            description_placeholders={"python": self._place[CONF_PYTHON], "reason": self._reason()},
        )

    async def async_step_none_there(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say why the other machine has no camera for us."""
        return self.async_show_menu(
            step_id="none_there",
            menu_options=[LOOK_AGAIN, "ssh", "auth", INTERPRETER],
            description_placeholders={**self._who(), "python": self._place[CONF_PYTHON], "reason": self._reason()},
        )

    def _words(self, error: SkylapseError) -> str:
        return describe(self.hass, error.key, error.placeholders)

    def _reason(self) -> str:
        """Return what went wrong in words, with the command that puts it right if there is one."""
        words = self._words(self._problem)
        remedy = _REMEDIES.get(self._problem.key)
        if remedy is None:
            return words
        return f"{words}\n\n```\n{remedy.format(username=self._place.get(CONF_USERNAME, '$USER'))}\n```"

    # -- which camera ------------------------------------------------------------------------------------------------------

    async def async_step_pick(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Take the chosen camera over."""
        return await self._pick(user_input)

    async def async_step_pick_basic(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Take the chosen camera over, which is photographed by ``rpicam-still``."""
        return await self._pick(user_input)

    async def _pick(self, user_input: Mapping[str, Any]) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        camera = next(camera for camera in self._cameras if camera.id == user_input[CONF_CAMERA])
        if not self._accept_name(user_input, errors):
            return await self._show_cameras(user_input, errors)
        self._source = {
            CONF_SOURCE: camera.backend,
            **self._place,
            CONF_CAMERA_ID: camera.id,
            CONF_CAMERA_INDEX: camera.index,
            CONF_CAMERA_MODEL: camera.model,
            CONF_PROBE: camera.to_dict(),
        }
        return await self._claim(self._camera_unique_id(camera))

    async def _show_cameras(self, values: Mapping[str, Any] | None = None, errors: dict[str, str] | None = None) -> ConfigFlowResult:
        """Show the cameras that were found, with what went wrong with the latest test picture if nothing else is wrong."""
        first = self._cameras[0]
        chosen = self._source.get(CONF_CAMERA_ID)
        known = {CONF_NAME: self._name, CONF_CAMERA: chosen if any(camera.id == chosen for camera in self._cameras) else first.id}
        schema = vol.Schema(
            {
                vol.Required(CONF_CAMERA): SelectSelector(
                    SelectSelectorConfig(options=[_option(camera) for camera in self._cameras], mode=SelectSelectorMode.LIST)
                ),
                vol.Required(CONF_NAME): TextSelector(),
            }
        )
        unusable = [f"- {camera.probe.name}: {self._words(camera.error)}" for camera in self._unusable if camera.error]
        placeholders = {
            "machine": first.machine or self._machine(),
            "system": first.os or "–",
            "others": "\n".join(["\n", *unusable]) if unusable else "",
        }
        if self._basic_because is not None:
            placeholders["reason"] = self._words(self._basic_because)
            return self._source_form("pick_basic", schema, values or known, errors or {}, placeholders)
        return self._source_form("pick", schema, values or known, errors or {}, placeholders)

    # -- changing it -------------------------------------------------------------------------------------------------------

    async def _reconfigure_camera(self, entry: ConfigEntry) -> ConfigFlowResult:
        """Ask what is to be changed of where the camera is."""
        camera = {CONF_SOURCE, CONF_CAMERA_ID, CONF_CAMERA_INDEX, CONF_CAMERA_MODEL, CONF_PROBE, CONF_SLUG}
        self._place = {key: value for key, value in entry.data.items() if key not in camera}
        options = [LOOK_AGAIN, "ssh", "auth", INTERPRETER, CONF_CAMERA] if self._is_remote else [LOOK_AGAIN, INTERPRETER, "ssh"]
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=options,
            description_placeholders={"machine": self._machine(), "python": self._place[CONF_PYTHON]},
        )

    # -- a new password or key ---------------------------------------------------------------------------------------------

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask for a new password or key: the machine does not take the one it took."""
        self._place = dict(entry_data)
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how to log in from now on."""
        return self.async_show_menu(
            step_id="reauth_confirm", menu_options=[AUTH_NEW, AUTH_PASSWORD, AUTH_OWN, AUTH_KEPT], description_placeholders=self._who()
        )

    async def async_step_log_in(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Try to log in while the dialog waits."""
        if self._attempt is None:
            self._attempt = self.hass.async_create_task(log_in(self._place), "skylapse log in")
        if not self._attempt.done():
            return self.async_show_progress(step_id="log_in", progress_action="log_in", progress_task=self._attempt)
        task, self._attempt = self._attempt, None
        try:
            await task
        except SkylapseError as err:
            self._problem = err
            return self.async_show_progress_done(next_step_id="refused")
        return self.async_show_progress_done(next_step_id="accepted")

    async def async_step_refused(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go to the form where it can be put right, if there is one."""
        if form := await self._ask_credentials_again(self._problem):
            return form
        return await self.async_step_reauth_failed()

    async def async_step_reauth_failed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Tell why it did not work, and what can be tried."""
        return self.async_show_menu(
            step_id="reauth_failed",
            menu_options=[AUTH_KEPT, AUTH_NEW, AUTH_PASSWORD, AUTH_OWN],
            description_placeholders={**self._who(), "reason": self._reason()},
        )

    async def async_step_accepted(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Keep what let us in."""
        return self._keep(self._get_reauth_entry(), self._place)

    # -- what the other sources share --------------------------------------------------------------------------------------

    @abstractmethod
    def _accept_name(self, user_input: Mapping[str, Any], errors: dict[str, str]) -> bool:
        """Take the name over; return whether the form has no error."""

    @abstractmethod
    async def _claim(self, unique_id: str) -> ConfigFlowResult:
        """Make sure that no other entry has this camera, then take a test picture."""

    @abstractmethod
    def _source_form(
        self,
        step_id: str,
        schema: vol.Schema,
        values: Mapping[str, Any],
        errors: dict[str, str],
        placeholders: Mapping[str, str] | None = None,
    ) -> ConfigFlowResult:
        """Show the form of a source, with what went wrong with the latest test picture."""

    # -- helpers -----------------------------------------------------------------------------------------------------------

    def _keep(self, entry: ConfigEntry, data: Mapping[str, Any], **changes: Any) -> ConfigFlowResult:
        """Change the entry, and have its station start anew.

        That is what the entry's update listener does if there is one and anything changed. A station that waits to try again
        has to be started even if nothing did: a person just saw that it would work.
        """
        before = entry.as_dict()
        result = self.async_update_and_abort(entry, data=data, **changes)
        if entry.state is not ConfigEntryState.LOADED or entry.as_dict() == before:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    @property
    def _is_remote(self) -> bool:
        return bool(self._place[CONF_TRANSPORT] == TRANSPORT_SSH)

    def _machine(self) -> str:
        """Return what the texts call the machine where it does not tell its name."""
        return self._place[CONF_HOST] if self._is_remote else "Home Assistant"

    def _camera_unique_id(self, camera: CameraProbe) -> str:
        """Return what no two entries may share."""
        host = self._place[CONF_HOST].lower() if self._is_remote else TRANSPORT_LOCAL
        return f"camera:{host}:{camera.id}"

    def _own_entry(self) -> ConfigEntry | None:
        """Return the entry that is being changed, None for a new camera."""
        return self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None

    def _taken_unique_ids(self) -> set[str | None]:
        """Return what other entries have."""
        own = self._own_entry()
        return {entry.unique_id for entry in self._async_current_entries() if entry is not own}


def _option(camera: CameraProbe) -> SelectOptionDict:
    """Return a camera as the form offers it: what it is, how large its pictures are, and in how many ways it can be read."""
    sizes = ", ".join(f"{width} × {height}" for width, height in camera.resolutions[:4])
    return SelectOptionDict(value=camera.id, label=f"{camera.name}: {sizes}" if sizes else camera.name)
