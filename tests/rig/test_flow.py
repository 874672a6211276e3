"""The dialogs with nothing made up: a real worker, real picamera2 on the virtual camera, a real SSH server."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.engine.remote.ssh import fingerprint
from custom_components.skylapse.repairs import async_create_fix_flow
from tests.rig.fixtures import MakeRig
from tests.rig.sshd import Sshd
from tests.shell.flow_rig import no_station, start

pytestmark = pytest.mark.rig

FORM, MENU = FlowResultType.FORM, FlowResultType.MENU


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


async def step(hass: HomeAssistant, result: Mapping[str, Any], user_input: Mapping[str, Any] | str) -> dict[str, Any]:
    """Send a form or choose from a menu, and wait for as long as that takes."""
    sent = {"next_step_id": user_input} if isinstance(user_input, str) else dict(user_input)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], sent)
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await hass.async_block_till_done()
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    return dict(result)


def shown(result: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return which dialog is open, and what is wrong in it."""
    return result["type"], result.get("step_id"), result.get("errors") or {}


async def test_a_camera_of_this_machine(hass: HomeAssistant, rig: MakeRig) -> None:
    result = await step(hass, await start(hass), "camera")
    assert shown(result) == (MENU, "none_here", {}), "this machine has a camera?"
    result = await step(hass, result, "interpreter")
    result = await step(hass, result, {"python": "/nowhere/python3"})
    assert shown(result) == (FORM, "interpreter", {"python": "interpreter_missing"})
    result = await step(hass, result, {"python": str(rig().python)})
    assert shown(result) == (FORM, "pick", {})
    result = await step(hass, result, {"camera": "/base/soc/i2c0mux/i2c@1/imx519@1a", "name": "Roof"})
    assert shown(result) == (MENU, "test_shot", {})
    assert (result["description_placeholders"]["width"], result["description_placeholders"]["height"]) == ("4656", "3496")
    result = await step(hass, await step(hass, result, "schedules"), {"presets": []})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].data["source"] == "picamera2"
    assert result["result"].unique_id == "camera:local:/base/soc/i2c0mux/i2c@1/imx519@1a"


async def test_a_camera_over_ssh(hass: HomeAssistant, rig: MakeRig, sshd: Sshd) -> None:
    result = await step(hass, await step(hass, await start(hass), "camera"), "ssh")
    address = {"host": sshd.host, "port": sshd.port, "username": sshd.username}
    result = await step(hass, result, {**address, "port": sshd.port + 1})
    assert shown(result) == (FORM, "ssh", {"host": "ssh_unreachable"})
    result = await step(hass, result, address)
    assert shown(result) == (FORM, "host_key", {})
    result = await step(hass, result, {})
    assert shown(result) == (MENU, "auth", {})
    result = await step(hass, await step(hass, result, "auth_key_new"), {})
    assert shown(result) == (FORM, "auth_key_new", {"base": "ssh_denied"})
    hass.config_entries.flow.async_abort(result["flow_id"])

    result = await step(hass, await step(hass, await step(hass, await start(hass), "camera"), "ssh"), address)
    result = await step(hass, await step(hass, result, {}), "auth_key_own")
    result = await step(hass, result, {"private_key": "no key"})
    assert shown(result) == (FORM, "auth_key_own", {"private_key": "ssh_key_invalid"})
    result = await step(hass, result, {"private_key": sshd.private_key})
    if shown(result) == (MENU, "none_there", {}):  # with the system's Python, which has no picamera2 here
        result = await step(hass, await step(hass, result, "interpreter"), {"python": str(rig().python)})
    assert shown(result) == (FORM, "pick", {})
    result = await step(hass, result, {"camera": "/base/soc/i2c0mux/i2c@1/imx519@1a", "name": "Roof"})
    assert shown(result) == (MENU, "test_shot", {})
    result = await step(hass, await step(hass, result, "schedules"), {"presets": []})
    entry = result["result"]
    assert (entry.data["host_key"], entry.data["port"], "password" in entry.data) == (sshd.host_key, sshd.port, False)

    # the machine is set up anew: another host key, which is confirmed in the repair
    sshd.rotate_host_key()
    fix = await async_create_fix_flow(hass, "x", {"entry_id": entry.entry_id, "problem": "host_key_changed", "destination_id": None})
    fix.hass, fix.handler, fix.flow_id, fix.context = hass, "skylapse", "1", {"issue_id": "x"}
    told = (await fix.async_step_init())["description_placeholders"]
    assert told["pinned"] != told["found"] == fingerprint(sshd.host_key)
    await fix.async_step_confirm({})
    assert entry.data["host_key"] == sshd.host_key

    # and a key that is not let in is not kept
    before = dict(entry.data)
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_REAUTH, "entry_id": entry.entry_id}, data=before)
    result = await step(hass, await step(hass, result, "auth_key_new"), {})
    assert shown(result) == (FORM, "auth_key_new", {"base": "ssh_denied"})
    assert dict(entry.data) == before
    hass.config_entries.flow.async_abort(result["flow_id"])
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_REAUTH, "entry_id": entry.entry_id}, data=before)
    result = await step(hass, await step(hass, result, "auth_key_own"), {"private_key": sshd.private_key})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reauth_successful")
