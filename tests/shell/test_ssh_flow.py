"""Adding a camera of another machine, and logging in there again."""

from collections.abc import Generator
import logging
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.engine.errors import SkylapseError, SshError, WorkerError

from .flow_rig import no_station, start, suggested, texts
from .machine_rig import HAWK, OTHER, PINNED, Machine, camera_entry, cameras, made_up, step

ADDRESS = {"host": "pi.local", "port": 22, "username": "sky"}
MENU, FORM, ABORT = FlowResultType.MENU, FlowResultType.FORM, FlowResultType.ABORT
METHODS = ["auth_key_new", "auth_password", "auth_key_own"]


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


@pytest.fixture
def machine() -> Generator[Machine]:
    with made_up() as machine:
        yield machine


async def begin(hass: HomeAssistant, machine: Machine) -> dict[str, Any]:
    """Find nothing on this machine, and ask for another one."""
    found, machine.found = machine.found, WorkerError("picamera2_missing")
    result = await step(hass, await step(hass, await start(hass), "camera"), "ssh")
    machine.found = found
    machine.asked.clear()
    assert (result["type"], result["step_id"], suggested(result)) == (FORM, "ssh", {"port": 22})
    return result


async def to_auth(hass: HomeAssistant, machine: Machine) -> dict[str, Any]:
    """Go as far as the question of how to log in."""
    result = await step(hass, await step(hass, await begin(hass, machine), ADDRESS), {})
    assert (result["type"], result["step_id"], result["menu_options"]) == (MENU, "auth", METHODS)
    return result


async def told(hass: HomeAssistant, result: dict[str, Any]) -> str:
    """Return what a dialog says, with all of its placeholders filled."""
    text = (await texts(hass, "config"))[f"step.{result['step_id']}.description"]
    return text.format(**result["description_placeholders"])


async def finish(hass: HomeAssistant, result: dict[str, Any]) -> MockConfigEntry:
    """Take the camera that was found."""
    assert (result["type"], result["step_id"]) == (FORM, "pick")
    result = await step(hass, result, {"camera": HAWK.id, "name": "Hawk"})
    result = await step(hass, await step(hass, result, "schedules"), {"presets": []})
    return result["result"]


# -- the machine -------------------------------------------------------------------------------------------------------


async def test_a_camera_over_ssh_with_a_new_key(hass: HomeAssistant, machine: Machine) -> None:
    result = await step(hass, await begin(hass, machine), {**ADDRESS, "host": " Pi.local ", "username": " sky "})
    assert (result["type"], result["step_id"]) == (FORM, "host_key")
    shown = await told(hass, result)
    assert "SHA256:pinned" in shown
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in shown
    result = await step(hass, result, {})
    assert "sky on Pi.local" in await told(hass, result)
    assert machine.asked == [("key", "Pi.local", 22)]

    result = await step(hass, result, "auth_key_new")
    assert (
        "mkdir -p -m 700 ~/.ssh && echo 'restrict ssh-ed25519 AAAAnew skylapse' >> ~/.ssh/authorized_keys "
        "&& chmod 600 ~/.ssh/authorized_keys" in await told(hass, result)
    )
    assert "PRIVATE" not in str(result)
    machine.admits = [{"private_key": "NEW PRIVATE"}]
    entry = await finish(hass, await step(hass, result, {}))

    assert entry.unique_id == f"camera:pi.local:{HAWK.id}"
    assert entry.data == {
        "source": "picamera2",
        "slug": "hawk",
        "transport": "ssh",
        "python": "/usr/bin/python3",
        "host": "Pi.local",
        "port": 22,
        "username": "sky",
        "host_key": PINNED,
        "private_key": "NEW PRIVATE",
        "camera_id": HAWK.id,
        "camera_index": 0,
        "model": "imx708",
        "probe": HAWK.to_dict(),
    }


@pytest.mark.parametrize(
    ("typed", "field", "key"),
    [
        ({"host": ""}, "host", "host_unusable"),
        ({"host": "sky@pi.local"}, "host", "host_unusable"),
        ({"host": "ssh://pi.local"}, "host", "host_unusable"),
        ({"host": "pi local"}, "host", "host_unusable"),
        ({"host": "x" * 254}, "host", "host_unusable"),
        ({"username": "  "}, "username", "username_unusable"),
        ({"username": "sky\x00"}, "username", "username_unusable"),
        ({"username": "x" * 65}, "username", "username_unusable"),
    ],
)
async def test_a_bad_address_is_told_and_nothing_typed_is_lost(
    hass: HomeAssistant, machine: Machine, typed: dict[str, str], field: str, key: str
) -> None:
    result = await step(hass, await begin(hass, machine), {**ADDRESS, **typed})
    assert result["errors"] == {field: key}
    assert suggested(result) == {**ADDRESS, **typed}
    assert machine.asked == []
    assert (await step(hass, result, ADDRESS))["step_id"] == "host_key"


@pytest.mark.parametrize("port", [0, 65_536, 22.5])
async def test_a_bad_port_is_refused(hass: HomeAssistant, machine: Machine, port: float) -> None:
    result = await begin(hass, machine)
    with pytest.raises(InvalidData):
        await step(hass, result, {**ADDRESS, "port": port})


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (SshError("ssh_unreachable", host="pi.local", port=22), "host"),
        (SshError("ssh_timeout", host="pi.local", port=22), "host"),
        (SshError("ssh_not_ssh", host="pi.local", port=22), "port"),
        (SshError("ssh_failed", error="gone"), "base"),
    ],
)
async def test_a_machine_that_does_not_answer_is_told_at_its_field(
    hass: HomeAssistant, machine: Machine, error: SshError, field: str
) -> None:
    machine.host_key = error
    result = await step(hass, await begin(hass, machine), ADDRESS)
    assert (result["step_id"], result["errors"]) == ("ssh", {field: error.key})
    assert error.placeholders.items() <= result["description_placeholders"].items()
    assert suggested(result) == ADDRESS
    machine.host_key = OTHER
    result = await step(hass, result, ADDRESS)
    assert "ssh_host_ecdsa_key.pub" in await told(hass, result)


# -- logging in --------------------------------------------------------------------------------------------------------


async def test_a_password(hass: HomeAssistant, machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong one is told at its field, and none is in any text or log."""
    caplog.set_level(logging.DEBUG)
    machine.admits = [{"password": "right-secret"}]
    result = await step(hass, await to_auth(hass, machine), "auth_password")
    await told(hass, result)
    result = await step(hass, result, {"password": "wrong-secret"})
    assert (result["step_id"], result["errors"]) == ("auth_password", {"password": "ssh_denied"})
    assert "secret" not in str(result["description_placeholders"])
    entry = await finish(hass, await step(hass, result, {"password": "right-secret"}))
    assert entry.data["password"] == "right-secret"
    assert "private_key" not in entry.data
    assert not [record.name for record in caplog.records if "-secret" in record.getMessage()]


async def test_a_new_key_that_was_not_let_in_yet(hass: HomeAssistant, machine: Machine) -> None:
    """The command is shown once more, for the same key."""
    machine.admits = [{"private_key": "NEW PRIVATE"}]
    result = await step(hass, await to_auth(hass, machine), "auth_key_new")
    machine.admits = [{"password": "only"}]
    again = await step(hass, result, {})
    assert (again["step_id"], again["errors"]) == ("auth_key_new", {"base": "ssh_denied"})
    assert again["description_placeholders"]["command"] == result["description_placeholders"]["command"]
    machine.admits = [{"private_key": "NEW PRIVATE"}]
    await finish(hass, await step(hass, again, {}))
    assert machine.asked.count(("generate",)) == 1


async def test_a_key_of_ones_own(hass: HomeAssistant, machine: Machine) -> None:
    own = {"private_key": "OWN", "passphrase": "open"}
    result = await step(hass, await to_auth(hass, machine), "auth_key_own")
    for error, field in (("ssh_key_invalid", "private_key"), ("ssh_passphrase_wrong", "passphrase"), ("ssh_failed", "base")):
        machine.key_error = SshError(error, error="?")
        result = await step(hass, result, own)
        assert (result["step_id"], result["errors"], suggested(result)) == ("auth_key_own", {field: error}, own)
    machine.key_error = None
    machine.admits = [{"private_key": "OWN\n", "passphrase": "open"}]
    result = await step(hass, result, {"private_key": "OWN"})
    assert (result["errors"], suggested(result)) == ({"private_key": "ssh_denied"}, {"private_key": "OWN"})
    entry = await finish(hass, await step(hass, result, own))
    assert (entry.data["private_key"], entry.data["passphrase"]) == ("OWN\n", "open")


async def test_another_way_to_log_in_replaces_the_first(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = WorkerError("picamera2_missing")
    result = await step(hass, await step(hass, await to_auth(hass, machine), "auth_key_own"), {"private_key": "OWN", "passphrase": "open"})
    assert (result["type"], result["step_id"]) == (MENU, "none_there")
    assert result["menu_options"] == ["look_again", "ssh", "auth", "interpreter"]
    result = await step(hass, result, "auth")
    assert result["menu_options"] == ["auth_kept", *METHODS]
    machine.found = cameras(HAWK)
    result = await step(hass, await step(hass, result, "auth_password"), {"password": "secret"})
    entry = await finish(hass, result)
    assert entry.data["password"] == "secret"
    assert not {"private_key", "passphrase"} & entry.data.keys()


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        (WorkerError("picamera2_missing"), "sudo apt install -y --no-install-recommends python3-picamera2"),
        (WorkerError("camera_denied"), "sudo usermod -aG video sky"),
        (WorkerError("camera_needs_reboot", pid=7), "sudo reboot"),
        (SshError("ssh_unreachable", host="pi.local", port=22), ""),
    ],
)
async def test_no_camera_there(hass: HomeAssistant, machine: Machine, problem: SkylapseError, remedy: str) -> None:
    machine.found = problem
    result = await step(hass, await step(hass, await to_auth(hass, machine), "auth_password"), {"password": "secret"})
    assert (result["type"], result["step_id"]) == (MENU, "none_there")
    assert remedy in await told(hass, result)
    assert "secret" not in str(result)
    machine.found = cameras(HAWK)
    await finish(hass, await step(hass, result, "look_again"))


async def test_another_address_keeps_what_was_typed(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = WorkerError("picamera2_missing")
    result = await step(hass, await step(hass, await to_auth(hass, machine), "auth_password"), {"password": "secret"})
    result = await step(hass, await step(hass, result, "interpreter"), {"python": "/opt/python"})
    result = await step(hass, result, "ssh")
    assert suggested(result) == ADDRESS
    result = await step(hass, result, {**ADDRESS, "host": "10.0.0.7"})
    assert result["step_id"] == "host_key"
    machine.found = cameras(HAWK)
    entry = await finish(hass, await step(hass, await step(hass, result, {}), "auth_kept"))
    assert (entry.data["host"], entry.data["password"], entry.data["python"]) == ("10.0.0.7", "secret", "/opt/python")


# -- changing ----------------------------------------------------------------------------------------------------------


async def test_a_key_that_was_confirmed_is_not_asked_for_again(hass: HomeAssistant, machine: Machine) -> None:
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    result = await step(hass, await entry.start_reconfigure_flow(hass), "ssh")
    assert suggested(result) == ADDRESS
    result = await step(hass, result, {**ADDRESS, "username": "moon"})
    assert (result["step_id"], result["menu_options"]) == ("auth", ["auth_kept", *METHODS])
    result = await step(hass, await step(hass, result, "auth_kept"), {"camera": HAWK.id, "name": "Hawk"})
    assert (await step(hass, result, "save"))["reason"] == "reconfigure_successful"
    assert (entry.data["username"], entry.data["password"]) == ("moon", "secret")


async def test_a_key_that_is_not_the_confirmed_one_is_warned_of(hass: HomeAssistant, machine: Machine) -> None:
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    machine.host_key = OTHER
    result = await step(hass, await step(hass, await entry.start_reconfigure_flow(hass), "ssh"), ADDRESS)
    assert (result["type"], result["step_id"]) == (FORM, "host_key_other")
    shown = await told(hass, result)
    assert "SHA256:pinned" in shown
    assert "SHA256:other" in shown
    result = await step(hass, await step(hass, result, {}), "auth_kept")
    result = await step(hass, result, {"camera": HAWK.id, "name": "Hawk"})
    await step(hass, result, "save")
    assert entry.data["host_key"] == OTHER


async def test_kept_credentials_that_are_refused(hass: HomeAssistant, machine: Machine) -> None:
    """There is no form for them, so it is said in words."""
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    machine.admits = [{"password": "other"}]
    result = await step(hass, await step(hass, await entry.start_reconfigure_flow(hass), "auth"), "auth_kept")
    assert (result["type"], result["step_id"]) == (MENU, "none_there")
    result = await step(hass, await step(hass, await step(hass, result, "auth"), "auth_password"), {"password": "other"})
    result = await step(hass, result, {"camera": HAWK.id, "name": "Hawk"})
    await step(hass, result, "save")
    assert entry.data["password"] == "other"


# -- logging in again --------------------------------------------------------------------------------------------------


async def reauth(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    entry.add_to_hass(hass)
    result = await entry.start_reauth_flow(hass)
    assert (result["type"], result["step_id"]) == (MENU, "reauth_confirm")
    assert result["menu_options"] == [*METHODS, "auth_kept"]
    assert "pi.local does not let sky in" in await told(hass, result)
    assert "secret" not in str(result)
    return result


async def test_a_new_password_is_tried_before_it_is_kept(hass: HomeAssistant, machine: Machine) -> None:
    entry = camera_entry(HAWK, private_key="OLD", passphrase="old")
    entry.mock_state(hass, ConfigEntryState.LOADED)
    before = dict(entry.data)
    machine.admits = [{"password": "right"}]
    result = await step(hass, await step(hass, await reauth(hass, entry), "auth_password"), {"password": "wrong"})
    assert (result["step_id"], result["errors"]) == ("auth_password", {"password": "ssh_denied"})
    assert entry.data == before
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        result = await step(hass, result, {"password": "right"})
    assert (result["type"], result["reason"]) == (ABORT, "reauth_successful")
    assert entry.data == {key: value for key, value in before.items() if key not in {"private_key", "passphrase"}} | {"password": "right"}
    assert machine.asked[-4:] == [("log in", PINNED), ("run", "true"), ("closed",), ("closed",)]
    reload.assert_not_called()  # the update listener does it


@pytest.mark.parametrize(
    ("method", "typed", "credentials"),
    [("auth_key_new", {}, {"private_key": "NEW PRIVATE"}), ("auth_key_own", {"private_key": "OWN"}, {"private_key": "OWN\n"})],
)
async def test_a_new_key_in_place_of_a_password(
    hass: HomeAssistant, machine: Machine, method: str, typed: dict[str, str], credentials: dict[str, str]
) -> None:
    entry = camera_entry(HAWK, password="secret")
    machine.admits = [credentials]
    result = await step(hass, await step(hass, await reauth(hass, entry), method), typed)
    assert result["reason"] == "reauth_successful"
    assert credentials.items() <= entry.data.items()
    assert "password" not in entry.data


async def test_the_present_credentials_may_be_taken_again(hass: HomeAssistant, machine: Machine) -> None:
    """Nothing changed then, so no update listener would start the station."""
    entry = camera_entry(HAWK, password="secret")
    entry.mock_state(hass, ConfigEntryState.LOADED)
    machine.admits = [{"password": "other"}]
    result = await step(hass, await reauth(hass, entry), "auth_kept")
    assert (result["type"], result["step_id"]) == (MENU, "reauth_failed")
    assert result["menu_options"] == ["auth_kept", *METHODS]
    assert "sky on pi.local" in await told(hass, result)
    machine.admits = [{"password": "secret"}]
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        result = await step(hass, result, "auth_kept")
    assert result["reason"] == "reauth_successful"
    reload.assert_called_once_with(entry.entry_id)


async def test_a_machine_that_is_away_does_not_cost_the_dialog(hass: HomeAssistant, machine: Machine) -> None:
    machine.host_key = OTHER
    result = await step(hass, await reauth(hass, camera_entry(HAWK, password="secret")), "auth_password")
    result = await step(hass, result, {"password": "new"})
    assert (result["type"], result["step_id"]) == (MENU, "reauth_failed")
    machine.host_key = PINNED
    assert (await step(hass, result, "auth_kept"))["reason"] == "reauth_successful"


async def test_progress_is_shown_while_logging_in(hass: HomeAssistant, machine: Machine) -> None:
    machine.waits = True
    result = await reauth(hass, camera_entry(HAWK, password="secret"))
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {"next_step_id": "auth_kept"})
    for _ in range(2):
        assert (result["type"], result["step_id"]) == (FlowResultType.SHOW_PROGRESS, "log_in")
        assert f"progress.{result['progress_action']}" in await texts(hass, "config")
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    machine.go_on.set()
    await hass.async_block_till_done()
    assert (await hass.config_entries.flow.async_configure(result["flow_id"]))["reason"] == "reauth_successful"
