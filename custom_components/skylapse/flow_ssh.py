"""The steps of the config flow that lead to another machine: its address, its host key, and how to be let in."""

from abc import abstractmethod
from typing import Any, Final

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
import voluptuous as vol

from .const import (
    CONF_HOST_KEY,
    CONF_PASSPHRASE,
    CONF_PRIVATE_KEY,
    CONF_PYTHON,
    CONF_TRANSPORT,
    DEFAULT_PYTHON,
    DEFAULT_SSH_PORT,
    TRANSPORT_SSH,
)
from .engine.errors import SkylapseError, SshError
from .engine.remote.ssh import KeyPair, fetch_host_key, fingerprint, generate_key, public_half
from .engine.sources.build import PORT_RANGE
from .selectors import NumberField, secret

FETCH_TIMEOUT_S: Final = 10.0
SECRETS: Final = (CONF_PASSWORD, CONF_PRIVATE_KEY, CONF_PASSPHRASE)

AUTH_NEW: Final = "auth_key_new"
AUTH_PASSWORD: Final = "auth_password"  # noqa: S105  a step's name
AUTH_OWN: Final = "auth_key_own"
AUTH_KEPT: Final = "auth_kept"

_LONGEST_HOST: Final = 253
_LONGEST_USERNAME: Final = 64
_ADDRESS_FIELD: Final = {"ssh_unreachable": CONF_HOST, "ssh_timeout": CONF_HOST, "ssh_not_ssh": CONF_PORT}
_CREDENTIAL_FIELD: Final = {
    AUTH_NEW: {"ssh_denied": "base"},
    AUTH_PASSWORD: {"ssh_denied": CONF_PASSWORD},
    AUTH_OWN: {"ssh_denied": CONF_PRIVATE_KEY, "ssh_key_invalid": CONF_PRIVATE_KEY, "ssh_passphrase_wrong": CONF_PASSPHRASE},
}
"""Where each form tells why the credentials that were typed into it are of no use."""

_ADDRESS: Final = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_PORT): NumberField(*PORT_RANGE),
        vol.Required(CONF_USERNAME): TextSelector(),
    }
)
_PASSWORD: Final = vol.Schema({vol.Required(CONF_PASSWORD): secret()})
_OWN_KEY: Final = vol.Schema(
    {
        vol.Required(CONF_PRIVATE_KEY): TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, multiline=True)),
        vol.Optional(CONF_PASSPHRASE): secret(),
    }
)


class SshSteps(ConfigFlow):
    """Asks for a machine, has its host key confirmed, and asks how to log in; then it is tried."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._place: dict[str, Any] = {}
        """Where the camera is, as it goes into the entry's data: transport, interpreter and, for SSH, all of the machine."""
        self._offered_key = ""
        """The host key that the machine showed, until it is confirmed."""
        self._new_key: KeyPair | None = None
        self._typed: dict[str, str] = {}
        """The credentials of the latest form, so that they need not be typed again; never those of an entry."""
        self._auth_step = ""
        """The form whose credentials are being tried; empty for those that are kept."""
        self._refusal: SkylapseError | None = None
        """Why they were of no use; told in the form they came from."""

    @abstractmethod
    async def _try_credentials(self) -> ConfigFlowResult:
        """Go on with the machine and the credentials in ``_place``."""

    async def async_step_ssh(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the machine."""
        errors: dict[str, str] = {}
        placeholders = {"field": "", "value": ""}
        if user_input is not None:
            host, port, username = user_input[CONF_HOST].strip(), user_input[CONF_PORT], user_input[CONF_USERNAME].strip()
            if not _is_word(host, _LONGEST_HOST) or "@" in host or "/" in host:
                errors[CONF_HOST] = "host_unusable"
            if not _is_word(username, _LONGEST_USERNAME):
                errors[CONF_USERNAME] = "username_unusable"
            if not errors:
                try:
                    self._offered_key = await fetch_host_key(host, port, timeout_s=FETCH_TIMEOUT_S)
                except SshError as err:
                    errors[_ADDRESS_FIELD.get(err.key, "base")] = err.key
                    placeholders |= err.placeholders
                else:
                    return await self._have_key_confirmed({CONF_HOST: host, CONF_PORT: port, CONF_USERNAME: username})
        known = {CONF_PORT: DEFAULT_SSH_PORT, **self._place}
        return self.async_show_form(
            step_id="ssh",
            data_schema=self.add_suggested_values_to_schema(_ADDRESS, user_input or known),
            errors=errors,
            description_placeholders=placeholders,
            last_step=False,
        )

    async def _have_key_confirmed(self, address: dict[str, Any]) -> ConfigFlowResult:
        """Take the machine over; its host key has to be confirmed unless it is the one that was."""
        same = all(self._place.get(key) == address[key] for key in (CONF_HOST, CONF_PORT))
        pinned = self._place.get(CONF_HOST_KEY) if same else None
        kept = {key: value for key, value in self._place.items() if key in {CONF_PYTHON, *SECRETS}}
        self._place = {CONF_PYTHON: DEFAULT_PYTHON, **kept, CONF_TRANSPORT: TRANSPORT_SSH, **address}
        if pinned is not None:
            self._place[CONF_HOST_KEY] = pinned
        if pinned == self._offered_key:
            return await self.async_step_auth()
        return await (self.async_step_host_key() if pinned is None else self.async_step_host_key_other())

    async def async_step_host_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Let a person compare the machine's host key."""
        if user_input is not None:
            return await self._confirmed()
        return self.async_show_form(
            step_id="host_key",
            data_schema=vol.Schema({}),
            description_placeholders={
                "host": self._place[CONF_HOST],
                "fingerprint": fingerprint(self._offered_key),
                "command": compare_command(self._offered_key),
            },
            last_step=False,
        )

    async def async_step_host_key_other(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Let a person compare a host key that is not the one confirmed before."""
        if user_input is not None:
            return await self._confirmed()
        return self.async_show_form(
            step_id="host_key_other",
            data_schema=vol.Schema({}),
            description_placeholders={
                "host": self._place[CONF_HOST],
                "pinned": fingerprint(self._place[CONF_HOST_KEY]),
                "found": fingerprint(self._offered_key),
                "command": compare_command(self._offered_key),
            },
            last_step=False,
        )

    async def _confirmed(self) -> ConfigFlowResult:
        """Trust the key that was shown, and only that one."""
        self._place[CONF_HOST_KEY] = self._offered_key
        return await self.async_step_auth()

    async def async_step_auth(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how to log in."""
        kept = [AUTH_KEPT] if any(key in self._place for key in SECRETS) else []
        return self.async_show_menu(
            step_id="auth", menu_options=[*kept, AUTH_NEW, AUTH_PASSWORD, AUTH_OWN], description_placeholders=self._who()
        )

    async def async_step_auth_kept(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Log in with what is known already."""
        self._auth_step = ""
        return await self._try_credentials()

    async def async_step_auth_key_new(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Make a key, and have its public half put on the machine."""
        if self._new_key is None:
            self._new_key = await generate_key()
        if user_input is not None:
            return await self._log_in(AUTH_NEW, {}, {CONF_PRIVATE_KEY: self._new_key.private})
        return self._credentials_form(AUTH_NEW, vol.Schema({}), {"command": authorize_command(self._new_key.public)})

    async def async_step_auth_password(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the user's password."""
        if user_input is not None:
            return await self._log_in(AUTH_PASSWORD, user_input, {CONF_PASSWORD: user_input[CONF_PASSWORD]})
        return self._credentials_form(AUTH_PASSWORD, _PASSWORD)

    async def async_step_auth_key_own(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a private key that the machine takes already."""
        if user_input is not None:
            credentials = {CONF_PRIVATE_KEY: f"{user_input[CONF_PRIVATE_KEY].strip()}\n"}
            if passphrase := user_input.get(CONF_PASSPHRASE):
                credentials[CONF_PASSPHRASE] = passphrase
            try:
                await public_half(credentials[CONF_PRIVATE_KEY], passphrase or None)
            except SshError as err:
                self._refusal, self._typed = err, user_input
                return self._credentials_form(AUTH_OWN, _OWN_KEY)
            return await self._log_in(AUTH_OWN, user_input, credentials)
        return self._credentials_form(AUTH_OWN, _OWN_KEY)

    def _credentials_form(self, step_id: str, schema: vol.Schema, placeholders: dict[str, str] | None = None) -> ConfigFlowResult:
        """Show a form for credentials, with why the latest ones were of no use."""
        refusal, self._refusal = self._refusal, None
        errors: dict[str, str] = {}
        if refusal is not None:
            errors[_CREDENTIAL_FIELD[step_id].get(refusal.key, "base")] = refusal.key
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, self._typed),
            errors=errors,
            description_placeholders={**(refusal.placeholders if refusal else {}), **self._who(), **(placeholders or {})},
            last_step=False,
        )

    async def _log_in(self, step_id: str, typed: dict[str, str], credentials: dict[str, str]) -> ConfigFlowResult:
        """Take credentials over in place of all others, and try them."""
        self._auth_step, self._typed = step_id, typed
        self._place = {key: value for key, value in self._place.items() if key not in SECRETS} | credentials
        return await self._try_credentials()

    async def _ask_credentials_again(self, error: SkylapseError) -> ConfigFlowResult | None:
        """Return the form that refused credentials came from, None if the error is none of theirs."""
        if error.key not in _CREDENTIAL_FIELD.get(self._auth_step, ()):
            return None
        self._refusal = error
        if self._auth_step == AUTH_NEW:
            return await self.async_step_auth_key_new()
        return await (self.async_step_auth_password() if self._auth_step == AUTH_PASSWORD else self.async_step_auth_key_own())

    def _who(self) -> dict[str, str]:
        """Return what the texts call the account."""
        return {"host": self._place.get(CONF_HOST, "–"), "username": self._place.get(CONF_USERNAME, "–")}


def compare_command(host_key: str) -> str:
    """Return the command that shows, on the machine itself, the fingerprint of its host key of this type."""
    kind = host_key.partition(" ")[0]
    name = "ecdsa" if kind.startswith("ecdsa") else "rsa" if kind == "ssh-rsa" else "ed25519"
    return f"ssh-keygen -lf /etc/ssh/ssh_host_{name}_key.pub"


def authorize_command(public_key: str) -> str:
    """Return the command with which a person lets a key in: it may run programs, and neither forward ports nor open terminals."""
    return f"mkdir -p -m 700 ~/.ssh && echo 'restrict {public_key.strip()}' >> ~/.ssh/authorized_keys && chmod 600 ~/.ssh/authorized_keys"


def _is_word(text: str, longest: int) -> bool:
    """Return whether a text is one word that can be shown."""
    return 0 < len(text) <= longest and text.isprintable() and not any(sign.isspace() for sign in text)
