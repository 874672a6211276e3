"""The repair of a machine that shows another host key than the one that was confirmed."""

from collections.abc import Generator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.skylapse.engine.errors import SshError
from custom_components.skylapse.repairs import async_create_fix_flow

from .flow_rig import no_station, texts
from .machine_rig import HAWK, OTHER, PINNED, Machine, camera_entry, made_up


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


@pytest.fixture
def machine() -> Generator[Machine]:
    with made_up() as machine:
        yield machine


async def opened(hass: HomeAssistant, entry_id: str) -> Any:
    """Return the fix flow of the issue."""
    flow = await async_create_fix_flow(hass, "x", {"entry_id": entry_id, "problem": "host_key_changed", "destination_id": None})
    flow.hass, flow.handler, flow.flow_id, flow.context = hass, "skylapse", "1", {"issue_id": "x"}
    return flow


@pytest.mark.parametrize("loaded", [True, False])
async def test_a_new_key_is_shown_and_then_trusted(hass: HomeAssistant, machine: Machine, loaded: bool) -> None:
    """Exactly the key that was shown, even if the machine shows yet another one meanwhile."""
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    if loaded:
        entry.mock_state(hass, ConfigEntryState.LOADED)
    before = dict(entry.data)
    machine.host_key = OTHER
    flow = await opened(hass, entry.entry_id)
    form = await flow.async_step_init()
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "confirm")
    found = await texts(hass, "issues")
    text = found["host_key_changed.fix_flow.step.confirm.description"].format(**form["description_placeholders"])
    for part in ("pi.local", "SHA256:pinned", "SHA256:other", "ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub"):
        assert part in text
    assert found["host_key_changed.fix_flow.step.confirm.title"].format(**form["description_placeholders"]).startswith("Hawk: ")
    assert dict(entry.data) == before

    machine.host_key = PINNED
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        done = await flow.async_step_confirm({})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert entry.data == {**before, "host_key": OTHER}
    assert reload.called is not loaded  # a loaded entry's update listener does it


async def test_nothing_is_asked_if_the_key_is_the_confirmed_one_again(hass: HomeAssistant, machine: Machine) -> None:
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        done = await (await opened(hass, entry.entry_id)).async_step_init()
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "host_key_same")
    text = (await texts(hass, "issues"))["host_key_changed.fix_flow.abort.host_key_same"]
    assert text.format(**done["description_placeholders"]).startswith("pi.local ")
    reload.assert_called_once_with(entry.entry_id)


async def test_a_machine_that_does_not_answer_is_told(hass: HomeAssistant, machine: Machine) -> None:
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    machine.host_key = SshError("ssh_unreachable", host="pi.local", port=22)
    done = await (await opened(hass, entry.entry_id)).async_step_init()
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "retry_failed")
    assert (await texts(hass, "issues"))["host_key_changed.fix_flow.abort.retry_failed"].format(**done["description_placeholders"])


async def test_the_camera_may_be_gone(hass: HomeAssistant, machine: Machine) -> None:
    entry = camera_entry(HAWK, password="secret")
    entry.add_to_hass(hass)
    machine.host_key = OTHER
    flow = await opened(hass, entry.entry_id)
    await flow.async_step_init()
    await hass.config_entries.async_remove(entry.entry_id)
    for done in (await flow.async_step_confirm({}), await flow.async_step_init()):
        assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "entry_gone")
