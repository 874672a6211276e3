"""Adding and changing a Raspberry Pi's own camera."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.skylapse.const import DEFAULT_OPTIONS
from custom_components.skylapse.engine.errors import SkylapseError, SourceError, WorkerError
from custom_components.skylapse.engine.sources.discover import Found, FoundCamera, HostFacts

from .flow_rig import assert_told, no_station, start, suggested, texts
from .machine_rig import HAWK, PLAIN, Machine, camera_entry, cameras, made_up, step

BUSY = WorkerError("camera_busy_elsewhere", holder="motion", pid=321)
HERE = {"transport": "local", "python": "/usr/bin/python3"}


@pytest.fixture(autouse=True)
def _flow_only(hass: HomeAssistant, tmp_path: Path) -> Generator[None]:
    with no_station(hass, tmp_path / "media"):
        yield


@pytest.fixture
def machine() -> Generator[Machine]:
    with made_up() as machine:
        yield machine


async def begin(hass: HomeAssistant) -> dict[str, Any]:
    """Choose a camera of this machine."""
    return await step(hass, await start(hass), "camera")


def offered(result: dict[str, Any]) -> dict[str, str]:
    """Return the cameras to choose from: their ids and what is said of them."""
    selector = next(value for key, value in result["data_schema"].schema.items() if key == "camera")
    return {option["value"]: option["label"] for option in selector.config["options"]}


async def told(hass: HomeAssistant, result: dict[str, Any]) -> str:
    """Return what a dialog says, with all of its placeholders filled."""
    text = (await texts(hass, "config"))[f"step.{result['step_id']}.description"]
    return text.format(**result["description_placeholders"])


# -- adding ------------------------------------------------------------------------------------------------------------


async def test_a_camera_of_this_machine(hass: HomeAssistant, machine: Machine) -> None:
    result = await start(hass)
    assert result["menu_options"] == ["camera", "entity", "simulated"]
    result = await step(hass, result, "camera")
    assert (result["type"], result["step_id"], result["last_step"]) == (FlowResultType.FORM, "pick", False)
    assert offered(result) == {HAWK.id: "Raspberry Pi Camera Module 3 (imx708): 4608 × 2592, 1536 × 864"}
    assert suggested(result) == {"camera": HAWK.id, "name": ""}
    assert "Debian GNU/Linux 13 (trixie) on Raspberry Pi 5 Model B Rev 1.0" in await told(hass, result)
    result = await step(hass, result, {"camera": HAWK.id, "name": "Roof"})
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "test_shot")
    result = await step(hass, result, "schedules")
    result = await step(hass, result, {"presets": []})

    entry = result["result"]
    assert (entry.title, entry.unique_id) == ("Roof", f"camera:local:{HAWK.id}")
    assert entry.data == {
        "source": "picamera2",
        "slug": "roof",
        **HERE,
        "camera_id": HAWK.id,
        "camera_index": 0,
        "model": "imx708",
        "probe": HAWK.to_dict(),
    }
    assert entry.options == DEFAULT_OPTIONS
    assert machine.asked == [("look", "/usr/bin/python3"), ("closed",), ("shot", HAWK.id, dict(DEFAULT_OPTIONS))]


async def test_the_second_camera_of_a_machine(hass: HomeAssistant, machine: Machine) -> None:
    """The first is not offered again, whatever is wrong with it."""
    camera_entry(HAWK).add_to_hass(hass)
    for found in (cameras(HAWK, PLAIN), cameras(PLAIN, unusable=[FoundCamera(HAWK, BUSY)])):
        machine.found = found
        result = await begin(hass)
        assert offered(result) == {PLAIN.id: "Raspberry Pi Camera Module 1 (ov5647): 640 × 480"}
        assert "motion" not in await told(hass, result)
    assert "– on Home Assistant" in await told(hass, result)
    result = await step(hass, result, {"camera": PLAIN.id, "name": "Plain"})
    result = await step(hass, await step(hass, result, "schedules"), {"presets": []})
    assert result["result"].unique_id == f"camera:local:{PLAIN.id}"


async def test_no_camera_is_left(hass: HomeAssistant, machine: Machine) -> None:
    camera_entry(HAWK).add_to_hass(hass)
    result = await begin(hass)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_a_camera_that_cannot_be_used_now_is_named(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = cameras(PLAIN, unusable=[FoundCamera(HAWK, BUSY)])
    result = await begin(hass)
    assert offered(result).keys() == {PLAIN.id}
    assert "- Raspberry Pi Camera Module 3 (imx708): " in await told(hass, result)


async def test_without_picamera2_it_is_said_what_is_missing(hass: HomeAssistant, machine: Machine) -> None:
    probe = replace(PLAIN, backend="rpicam")
    missing = WorkerError("picamera2_missing")
    machine.found = Found(HostFacts(), {"picamera2": missing, "rpicam": (FoundCamera(probe),)})
    result = await begin(hass)
    assert result["step_id"] == "pick_basic"
    assert "rpicam-still" in await told(hass, result)
    assert result["description_placeholders"]["reason"]
    result = await step(hass, result, {"camera": probe.id, "name": ""})
    await assert_told(hass, result, {"name": "name_unusable"})
    assert result["step_id"] == "pick_basic"
    result = await step(hass, result, {"camera": probe.id, "name": "Plain"})
    result = await step(hass, await step(hass, result, "schedules"), {"presets": []})
    assert result["result"].data["source"] == "rpicam"


async def test_rpicam_sees_what_picamera2_does_not(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = Found(HostFacts(), {"picamera2": (), "rpicam": (FoundCamera(replace(PLAIN, backend="rpicam")),)})
    assert (await begin(hass))["step_id"] == "pick_basic"


@pytest.mark.parametrize(
    ("found", "key", "remedy"),
    [
        (WorkerError("camera_denied"), "camera_denied", "sudo usermod -aG video $USER"),
        (SourceError("interpreter_missing", python="/usr/bin/python3"), "interpreter_missing", None),
        (cameras(), "camera_missing", "rpicam-hello --list-cameras"),
        (cameras(unusable=[FoundCamera(HAWK, BUSY)]), "camera_busy_elsewhere", None),
        (
            Found(HostFacts(), {"picamera2": WorkerError("picamera2_missing"), "rpicam": WorkerError("rpicam_missing")}),
            "picamera2_missing",
            "sudo apt install -y --no-install-recommends python3-picamera2",
        ),
        (
            Found(HostFacts(), {"picamera2": WorkerError("picamera2_missing"), "rpicam": ()}),
            "camera_missing",
            "rpicam-hello --list-cameras",
        ),
    ],
)
async def test_no_camera_here(hass: HomeAssistant, machine: Machine, found: Found | SkylapseError, key: str, remedy: str | None) -> None:
    """Said why, and what can be done; then it can be looked for once more."""
    machine.found = found
    with patch("custom_components.skylapse.flow_camera.describe", lambda hass, key, placeholders: key):
        result = await begin(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "none_here")
    assert result["menu_options"] == ["ssh", "interpreter", "look_again"]
    assert result["description_placeholders"]["reason"] == (f"{key}\n\n```\n{remedy}\n```" if remedy else key)
    assert "Home Assistant OS" in await told(hass, result)
    machine.found = cameras(HAWK)
    assert (await step(hass, result, "look_again"))["step_id"] == "pick"


async def test_another_python(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = WorkerError("picamera2_missing")
    result = await step(hass, await begin(hass), "interpreter")
    assert suggested(result) == {"python": "/usr/bin/python3"}
    for python in ("python3", "", "/usr/bin/py\nthon", "/" * 256):
        result = await step(hass, result, {"python": python})
        await assert_told(hass, result, {"python": "python_unusable"})
        assert suggested(result) == {"python": python}
    machine.found = SourceError("interpreter_missing", python="/opt/python")
    result = await step(hass, result, {"python": " /opt/python "})
    assert (result["step_id"], result["errors"]) == ("interpreter", {"python": "interpreter_missing"})
    assert suggested(result) == {"python": "/opt/python"}
    machine.found = WorkerError("picamera2_missing")
    result = await step(hass, result, {"python": "/opt/camera/bin/python"})
    assert result["step_id"] == "none_here"
    machine.found = cameras(HAWK)
    result = await step(hass, result, "look_again")
    result = await step(hass, result, {"camera": HAWK.id, "name": "Roof"})
    result = await step(hass, await step(hass, result, "schedules"), {"presets": []})
    assert result["result"].data["python"] == "/opt/camera/bin/python"


async def test_a_failed_test_picture_is_told_and_can_be_tried_again(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = cameras(HAWK, PLAIN)
    machine.shot = SourceError("source_failed")
    wanted = {"camera": PLAIN.id, "name": "Plain"}
    result = await step(hass, await begin(hass), wanted)
    await assert_told(hass, result, {"base": "source_failed"})
    assert (result["step_id"], suggested(result)) == ("pick", wanted)
    machine.shot = replace(Machine().shot)
    result = await step(hass, result, wanted)
    assert result["step_id"] == "test_shot"
    result = await step(hass, result, "change")
    assert (result["step_id"], suggested(result)) == ("pick", wanted)


async def test_progress_is_shown_while_looking(hass: HomeAssistant, machine: Machine) -> None:
    machine.waits = True
    result = await start(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {"next_step_id": "camera"})
    for _ in range(2):
        assert (result["type"], result["step_id"]) == (FlowResultType.SHOW_PROGRESS, "look")
        assert f"progress.{result['progress_action']}" in await texts(hass, "config")
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    machine.go_on.set()
    await hass.async_block_till_done()
    result = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert result["step_id"] == "pick"


# -- changing ----------------------------------------------------------------------------------------------------------


async def reconfigure(hass: HomeAssistant, entry: Any) -> dict[str, Any]:
    entry.add_to_hass(hass)
    result = await entry.start_reconfigure_flow(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "reconfigure")
    await told(hass, result)
    return result


async def test_another_camera_of_the_same_machine(hass: HomeAssistant, machine: Machine) -> None:
    """What the new one cannot do goes back to its default; folder, schedules and other options stay."""
    machine.found = cameras(HAWK, PLAIN)
    entry = camera_entry(HAWK, options={"deadline_s": 60, "quality": 80, "ev": 1.0, "resolution": "4608x2592", "dng": True})
    result = await reconfigure(hass, entry)
    assert result["menu_options"] == ["look_again", "interpreter", "ssh"]
    result = await step(hass, result, "look_again")
    assert suggested(result) == {"camera": HAWK.id, "name": "Hawk"}
    result = await step(hass, result, {"camera": PLAIN.id, "name": "Plain"})
    fitting = {**DEFAULT_OPTIONS, "deadline_s": 60, "quality": 80}
    assert machine.asked[-1] == ("shot", PLAIN.id, fitting)
    assert result["menu_options"] == ["save", "again", "change"]
    result = await step(hass, result, "save")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert (entry.title, entry.unique_id) == ("Plain", f"camera:local:{PLAIN.id}")
    assert (entry.data["slug"], entry.data["camera_index"], entry.data["probe"]) == ("hawk", 1, PLAIN.to_dict())
    assert entry.options == fitting


async def test_the_camera_of_another_entry_is_not_offered(hass: HomeAssistant, machine: Machine) -> None:
    machine.found = cameras(HAWK, PLAIN)
    camera_entry(PLAIN, "Plain").add_to_hass(hass)
    result = await step(hass, await reconfigure(hass, camera_entry(HAWK)), "look_again")
    assert offered(result).keys() == {HAWK.id}


async def test_from_another_machine_to_this_one(hass: HomeAssistant, machine: Machine) -> None:
    """Nothing of the other machine stays, least of all its password."""
    entry = camera_entry(HAWK, password="secret")
    result = await reconfigure(hass, entry)
    assert result["menu_options"] == ["look_again", "ssh", "auth", "interpreter", "camera"]
    result = await step(hass, result, "camera")
    result = await step(hass, result, {"camera": HAWK.id, "name": "Hawk"})
    await step(hass, result, "save")
    assert entry.unique_id == f"camera:local:{HAWK.id}"
    assert entry.data.keys() == {"source", "slug", "transport", "python", "camera_id", "camera_index", "model", "probe"}


@pytest.fixture
def lending() -> list[str]:
    return []


def lender(lending: list[str], machine: Machine, refuses: SkylapseError | None = None) -> Any:
    """Return a station that notes when it lends its camera, and what is asked of the machine meanwhile."""

    class Lend:
        async def __aenter__(self) -> None:
            if refuses is not None:
                raise refuses
            lending.append("lent")

        async def __aexit__(self, *_: object) -> None:
            lending.append(machine.asked[-1][0])
            lending.append("back")

    return SimpleNamespace(station=SimpleNamespace(work=SimpleNamespace(lent=Lend)))


async def test_a_running_station_lends_its_camera(hass: HomeAssistant, machine: Machine, lending: list[str]) -> None:
    entry = camera_entry(HAWK)
    entry.runtime_data = lender(lending, machine)
    entry.mock_state(hass, ConfigEntryState.LOADED)
    result = await step(hass, await reconfigure(hass, entry), "look_again")
    assert lending == ["lent", "closed", "back"]
    result = await step(hass, result, {"camera": HAWK.id, "name": "Hawk"})
    assert lending[3:] == ["lent", "shot", "back"]
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        await step(hass, result, "save")
    reload.assert_called_once_with(entry.entry_id)  # nothing changed, so no update listener was told


async def test_a_station_that_cannot_lend_its_camera(hass: HomeAssistant, machine: Machine, lending: list[str]) -> None:
    entry = camera_entry(HAWK)
    entry.runtime_data = lender(lending, machine, SkylapseError("camera_busy"))
    entry.mock_state(hass, ConfigEntryState.LOADED)
    result = await step(hass, await reconfigure(hass, entry), "look_again")
    assert result["step_id"] == "none_here"
    assert machine.asked == []


async def test_what_changed_is_left_to_the_update_listener(hass: HomeAssistant, machine: Machine, lending: list[str]) -> None:
    entry = camera_entry(HAWK)
    entry.runtime_data = lender(lending, machine)
    entry.mock_state(hass, ConfigEntryState.LOADED)
    result = await step(hass, await reconfigure(hass, entry), "look_again")
    result = await step(hass, result, {"camera": HAWK.id, "name": "Eagle"})
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        await step(hass, result, "save")
    assert entry.title == "Eagle"
    reload.assert_not_called()
