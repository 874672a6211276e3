"""A whole station in a real Home Assistant: real camera (simulated sky), catalogue, queue and folder; nothing is made up."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from hashlib import sha256
import json
from pathlib import Path
import subprocess
import threading
from typing import Any

from homeassistant.components.camera import async_get_image
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState, ConfigSubentry, ConfigSubentryData
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse import async_remove_config_entry_device, figure
from custom_components.skylapse.engine.errors import CaptureTimeout
from custom_components.skylapse.engine.upload.marker import prepare_folder
from custom_components.skylapse.host import image_fetcher

ALWAYS = {
    "kind": "always",
    "interval": 1,
    "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "exclusive": False,
    "rank": 50,
}


@pytest.fixture(autouse=True)
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have calm figures told at once, too."""
    monkeypatch.setattr(figure.Figure, "_stretch", lambda _self: None)


@pytest.fixture
def media(hass: HomeAssistant) -> Path:
    """Return the media folder."""
    folder = Path(hass.config.media_dirs["local"]).resolve()
    folder.mkdir()
    hass.config.allowlist_external_dirs = {str(folder)}
    return folder


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    """Return a destination's folder, prepared."""
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


@pytest.fixture
async def entry(hass: HomeAssistant, media: Path, nas: Path) -> AsyncGenerator[MockConfigEntry]:
    """Return an entry that photographs every second, with a destination; it is unloaded afterwards."""
    marker_id = await hass.async_add_executor_job(prepare_folder, nas)
    entry = MockConfigEntry(
        domain="skylapse",
        title="Garden",
        data={"source": "simulated", "slug": "garden", "seed": 7},
        options={"width": 320, "height": 240, "min_free_gb": 0.0},
        subentries_data=[
            ConfigSubentryData(data=ALWAYS, subentry_id="all_day", subentry_type="schedule", title="All day", unique_id=None),
            ConfigSubentryData(
                data={"kind": "folder", "path": str(nas), "marker_id": marker_id, "required": True},
                subentry_id="nas",
                subentry_type="destination",
                title="NAS",
                unique_id=None,
            ),
        ],
    )
    entry.add_to_hass(hass)
    yield entry
    if entry.state is ConfigEntryState.LOADED:
        await hass.config_entries.async_unload(entry.entry_id)


async def until(hass: HomeAssistant, condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds; looked at with every change of a state, at most 30 s."""
    changed = asyncio.Event()
    stop = hass.bus.async_listen("state_changed", lambda _: hass.loop.call_soon_threadsafe(changed.set))
    try:
        async with asyncio.timeout(30):
            while not (found := condition()):
                changed.clear()
                await changed.wait()
    finally:
        stop()
    return found


def number(hass: HomeAssistant, entity_id: str) -> float:
    """Return a sensor's number, 0 while it has none."""
    state = hass.states.get(entity_id)
    return float(state.state) if state and state.state not in {"unknown", "unavailable"} else 0.0


def files(folder: Path, pattern: str) -> set[Path]:
    """Return the files below a folder whose name matches."""
    return set(folder.rglob(pattern))


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set the entry up."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


async def test_frames_arrive_on_the_dashboard_and_verified_at_the_destination(
    hass: HomeAssistant, entry: MockConfigEntry, media: Path, nas: Path
) -> None:
    """The main job, seen through Home Assistant alone."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 2 and number(hass, "sensor.garden_verified") >= 2)
    assert hass.states.get("camera.garden").state == "recording"
    assert hass.states.get("binary_sensor.garden_capturing").state == "on"
    assert hass.states.get("binary_sensor.garden_problem").state == "off"
    assert hass.states.get("sensor.garden_active_schedule").state == "All day"
    assert hass.states.get("binary_sensor.garden_nas_connection").state == "on"

    await hass.services.async_call("switch", "turn_off", {"entity_id": "switch.garden_capture"}, blocking=True)
    await until(hass, lambda: hass.states.get("camera.garden").state == "idle" and number(hass, "sensor.garden_upload_queue_length") == 0)
    picture = await async_get_image(hass, "camera.garden")
    assert sha256(picture.content).hexdigest() == hass.states.get("camera.garden").attributes["sha256"]
    await hass.config_entries.async_unload(entry.entry_id)

    here = {path.relative_to(media / "skylapse/garden"): path.read_bytes() for path in files(media / "skylapse/garden", "*.jpg")}
    there = {path.relative_to(nas / "garden"): path.read_bytes() for path in files(nas / "garden", "*.jpg")}
    assert here == there
    assert len(here) >= 2
    sums = files(nas, "SHA256SUMS")
    assert sums
    for file in sums:
        await hass.async_add_executor_job(
            partial(subprocess.run, ["sha256sum", "-c", "--strict", file.name], cwd=file.parent, check=True, capture_output=True)
        )


async def test_counters_and_switches_survive_a_reload_and_nothing_is_left_running(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Ten times in a row."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 1)
    for entity_id in ("switch.garden_capture", "switch.garden_uploads", "switch.garden_all_day"):
        await hass.services.async_call("switch", "turn_off", {"entity_id": entity_id}, blocking=True)
    await until(hass, lambda: hass.states.get("switch.garden_capture").state == "off")
    station = entry.runtime_data.station
    await station.stop()
    frames = station.status.frames_total
    for _ in range(10):
        await hass.config_entries.async_reload(entry.entry_id)
        assert entry.state is ConfigEntryState.LOADED
    assert number(hass, "sensor.garden_frames_captured") == frames >= 1
    for entity_id in ("switch.garden_capture", "switch.garden_uploads", "switch.garden_all_day"):
        assert hass.states.get(entity_id).state == "off", entity_id
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    assert not [task.get_name() for task in asyncio.all_tasks() if "skylapse" in task.get_name()]
    assert not [thread.name for thread in threading.enumerate() if "skylapse" in thread.name]


async def test_actions_on_a_real_station(hass: HomeAssistant, entry: MockConfigEntry, media: Path, nas: Path) -> None:
    """Capture, upload, verify, status, cleanup: what each answers is true."""
    await start(hass, entry)
    await hass.services.async_call("switch", "turn_off", {"entity_id": "switch.garden_all_day"}, blocking=True)

    async def act(action: str, **data: Any) -> Any:
        answer = await hass.services.async_call("skylapse", action, data, blocking=True, return_response=True)
        json.dumps(answer)
        return answer

    taken = await act("capture", exposure_us=20_000, gain=2)
    assert {sha256(path.read_bytes()).hexdigest() for path in files(media / "skylapse", "*.jpg")} >= {taken["sha256"]}
    assert Path(taken["path"]) in files(media / "skylapse", "*.jpg")
    assert (taken["settings"]["exposure_us"], taken["settings"]["gain"]) == (20_000, 2.0)
    assert taken["destinations"] == ["NAS"]

    extra = media / "extra"
    extra.mkdir()
    (extra / "note.txt").write_text("clear sky")
    sent = await act("upload", paths=[str(extra), taken["path"]], wait=True, timeout=30)
    assert sent["all_verified"] is True
    assert sent["total"] == 2
    for file in sent["files"]:
        assert sha256((nas / file["remote_path"]).read_bytes()).hexdigest() == file["sha256"]
        assert file["method"].startswith("read_back")

    (nas / sent["files"][0]["remote_path"]).unlink()
    proven = await act("verify", destinations=["NAS"])
    assert proven["all_proven"] is False
    assert proven["destinations"][0]["missing"] == [sent["files"][0]["remote_path"]]
    await until(hass, (nas / sent["files"][0]["remote_path"]).exists)

    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 1)
    status = await act("get_status")
    assert status["running"] is True
    assert status["last_frame"]["details"]["camera"] == "Garden"
    cleaned = await act("cleanup")
    assert (cleaned["dry_run"], cleaned["frames"], cleaned["blocked"]) == (True, 0, False)


@pytest.mark.usefixtures("socket_enabled")
async def test_diagnostics_of_a_real_station(hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry) -> None:
    """Whole, and without the place."""
    hass.config.latitude, hass.config.longitude = 52.123456, 4.654321
    hass.config_entries.async_update_entry(entry, options={**entry.options, "embed_location": True})
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 1)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert found["station"]["status"]["frames_total"] >= 1
    text = json.dumps(found)
    assert "52.123" not in text
    assert "4.654" not in text


async def test_an_entry_that_makes_no_sense_says_what_is_wrong(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A schedule that cannot be read is no matter of trying again."""
    hass.config_entries.async_update_subentry(entry, entry.subentries["all_day"], data={**ALWAYS, "interval": 0})
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key.startswith("schedule_")
    assert "interval" in entry.reason


async def test_storage_that_does_not_work_is_tried_again(hass: HomeAssistant, entry: MockConfigEntry, media: Path) -> None:
    """It may be mounted in a moment."""
    (media / "skylapse").write_text("a file where the folder should be")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert "{" not in entry.reason
    assert not [thread.name for thread in threading.enumerate() if "skylapse" in thread.name]


async def test_a_new_destination_is_taken_up_at_once(hass: HomeAssistant, entry: MockConfigEntry, tmp_path: Path) -> None:
    """Without a restart, with the frames there are; and a removed one is gone with its device."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_verified") >= 1)
    disk = tmp_path / "disk"
    disk.mkdir()
    marker_id = await hass.async_add_executor_job(prepare_folder, disk)
    added = ConfigSubentry(
        data={"kind": "folder", "path": str(disk), "marker_id": marker_id, "required": False},
        subentry_id="disk",
        subentry_type="destination",
        title="Disk",
        unique_id=None,
    )
    hass.config_entries.async_add_subentry(entry, added)
    await until(hass, lambda: number(hass, "sensor.garden_disk_verified") >= 1)
    hass.config_entries.async_remove_subentry(entry, "disk")
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.garden_disk_verified") is None


async def test_it_stops_with_home_assistant(hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture) -> None:
    """Before the entries are unloaded, which then goes without a word."""
    await start(hass, entry)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert entry.runtime_data.station.status.running is False
    assert hass.states.get("sensor.garden_frames_captured").state == "unavailable"
    await hass.config_entries.async_unload(entry.entry_id)
    assert [
        record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"} and "job" in record.getMessage()
    ] == []


async def test_the_sun_the_place_and_gates_make_it_plan_anew(
    hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only they: windows are computed once otherwise."""
    gated = {**ALWAYS, "gate_entity": "sensor.lux", "gate_below": 10.0}
    hass.config_entries.async_update_subentry(entry, entry.subentries["all_day"], data=gated)
    await start(hass, entry)
    asked: list[str] = []
    station = entry.runtime_data.station
    monkeypatch.setattr(station, "replan", asked.append)
    monkeypatch.setattr(station, "gates_changed", lambda: asked.append("gates"))
    hass.states.async_set("sun.sun", "above_horizon", {"elevation": 1.0})
    await hass.config.async_update(latitude=10.0)
    hass.states.async_set("sensor.lux", "5")
    await hass.async_block_till_done()
    assert len([reason for reason in asked if "sun.sun" in reason]) >= 1
    assert len([reason for reason in asked if "location" in reason]) == 1
    assert asked.count("gates") == 1


async def test_removing_the_camera_leaves_the_frames(hass: HomeAssistant, entry: MockConfigEntry, media: Path) -> None:
    """They are the person's; the catalogue is Skylapse's."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 1)
    catalogue = Path(hass.config.path("skylapse", f"{entry.entry_id}.db"))
    found = files(catalogue.parent, "*.db*")
    assert catalogue in found
    await hass.config_entries.async_remove(entry.entry_id)
    assert files(media / "skylapse/garden", "*.jpg")
    assert files(catalogue.parent, "*.db*") == set()


async def test_a_camera_switched_off_by_the_person_misses_nothing(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The time until it is switched on again is no time away."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 1)
    missed = entry.runtime_data.station.status.slots_total.missed
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await asyncio.sleep(2.5)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await hass.async_block_till_done()
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED and number(hass, "sensor.garden_frames_captured") >= 2)
    assert entry.runtime_data.station.status.slots_total.missed - missed <= 1


async def test_devices_of_living_parts_cannot_be_deleted(
    hass: HomeAssistant, entry: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """Those left over can."""
    await start(hass, entry)
    stale = device_registry.async_get_or_create(config_entry_id=entry.entry_id, identifiers={("skylapse", "long gone")})
    for device in dr.async_entries_for_config_entry(device_registry, entry.entry_id):
        assert await async_remove_config_entry_device(hass, entry, device) is (device.id == stale.id)


async def test_another_camera_of_home_assistant_is_a_source(hass: HomeAssistant, entry: MockConfigEntry, media: Path) -> None:
    """Its pictures are kept as they are; when it has none, that is a failure and no frame."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 1)
    await hass.services.async_call("switch", "turn_off", {"entity_id": "switch.garden_capture"}, blocking=True)
    await until(hass, lambda: hass.states.get("camera.garden").state == "idle")
    second = MockConfigEntry(
        domain="skylapse",
        title="Copy",
        data={"source": "entity", "slug": "copy", "entity_id": "camera.garden"},
        options={"min_free_gb": 0.0, "deadline_s": 5},
    )
    second.add_to_hass(hass)
    await start(hass, second)
    press = partial(hass.services.async_call, "button", "press", {"entity_id": "button.copy_capture_now"}, blocking=True)
    await press()
    await until(hass, lambda: number(hass, "sensor.copy_frames_captured") == 1)
    copies = files(media / "skylapse/copy", "*.jpg")
    assert len(copies) == 1
    assert hass.states.get("camera.copy").attributes["path"] == copies.pop().relative_to(media / "skylapse/copy").as_posix()

    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(HomeAssistantError, match=r"camera\.garden gave no picture"):
        await press()
    await until(hass, lambda: hass.states.get("sensor.copy_last_error").state != "none")
    assert hass.states.get("sensor.copy_last_error").attributes["key"] == "entity_no_picture"
    assert number(hass, "sensor.copy_frames_captured") == 1
    await hass.config_entries.async_unload(second.entry_id)


async def test_a_camera_that_hangs_is_given_up_at_the_deadline(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its integration does."""

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("custom_components.skylapse.host.async_get_image", hang)
    with pytest.raises(CaptureTimeout) as caught:
        await image_fetcher(hass)("camera.x", 0.01)
    assert caught.value.placeholders == {"deadline_s": "0.01"}


@pytest.mark.usefixtures("socket_enabled")
async def test_a_frame_that_cannot_be_copied_any_more_is_told_until_it_is_healed(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry, media: Path
) -> None:
    """Its file is gone before it was copied: quarantined, a repair issue, in the diagnostics; put back and retried, all is well."""
    await start(hass, entry)
    for entity_id in ("switch.garden_all_day", "switch.garden_uploads"):
        await hass.services.async_call("switch", "turn_off", {"entity_id": entity_id}, blocking=True)
    await hass.services.async_call("button", "press", {"entity_id": "button.garden_capture_now"}, blocking=True)
    taken = files(media / "skylapse/garden", "*.jpg")
    kept = {path: path.read_bytes() for path in taken}
    lost = max(taken)
    lost.unlink()
    (lost.parent / "other.txt").touch()
    await hass.services.async_call("switch", "turn_on", {"entity_id": "switch.garden_uploads"}, blocking=True)
    await until(hass, lambda: number(hass, "sensor.garden_nas_quarantined") == 1)
    assert "uploads_quarantined" in hass.states.get("binary_sensor.garden_problem").attributes["reasons"]
    issue_id = f"{entry.entry_id}_uploads_quarantined_nas"
    assert ir.async_get(hass).async_get_issue("skylapse", issue_id).translation_placeholders["count"] == "1"
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert found["station"]["quarantined"][0]["local_path"].startswith("<local>/skylapse/garden/")
    assert found["station"]["quarantined"][0]["error_key"] == "source_missing"

    lost.write_bytes(kept[lost])
    await hass.services.async_call("button", "press", {"entity_id": "button.garden_nas_retry_uploads"}, blocking=True)
    await until(hass, lambda: hass.states.get("binary_sensor.garden_problem").state == "off")
    assert ir.async_get(hass).async_get_issue("skylapse", issue_id) is None
    await until(hass, lambda: number(hass, "sensor.garden_nas_verified") == len(taken))


async def test_a_destination_that_goes_away_and_comes_back(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    """Nothing is written into what is not the destination; a repair issue tells of it and goes away by itself."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_nas_verified") >= 1)
    marker = nas / ".skylapse-destination"
    content = marker.read_bytes()
    marker.unlink()
    await until(hass, lambda: hass.states.get("binary_sensor.garden_nas_connection").state == "off")
    state = hass.states.get("binary_sensor.garden_nas_connection")
    assert "is not mounted" in state.attributes["error"]
    issue_id = f"{entry.entry_id}_destination_unavailable_nas"
    assert "is not mounted" in ir.async_get(hass).async_get_issue("skylapse", issue_id).translation_placeholders["error"]
    marker.write_bytes(content)
    await hass.services.async_call("button", "press", {"entity_id": "button.garden_retry_uploads"}, blocking=True)
    await until(hass, lambda: hass.states.get("binary_sensor.garden_nas_connection").state == "on")
    assert ir.async_get(hass).async_get_issue("skylapse", issue_id) is None


async def test_a_damaged_catalogue_is_rebuilt_and_told(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """No frame is lost by it, but a person should look at the disk."""
    await start(hass, entry)
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 2)
    await hass.config_entries.async_unload(entry.entry_id)
    catalogue = Path(hass.config.path("skylapse", f"{entry.entry_id}.db"))

    def damage() -> None:
        for side in ("-wal", "-shm"):
            catalogue.with_name(catalogue.name + side).unlink(missing_ok=True)
        catalogue.write_bytes(b"damaged" * 1000)

    await hass.async_add_executor_job(damage)
    await start(hass, entry)
    issue = ir.async_get(hass).async_get_issue("skylapse", f"{entry.entry_id}_catalogue_rebuilt")
    assert (catalogue.parent / issue.translation_placeholders["file"]).read_bytes() == b"damaged" * 1000
    await until(hass, lambda: number(hass, "sensor.garden_frames_captured") >= 2)


async def test_an_entry_whose_platforms_fail_does_not_photograph_on(
    hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could stop it."""

    def broken(*_args: object) -> None:
        raise HomeAssistantError("broken")

    monkeypatch.setattr("custom_components.skylapse.async_follow_home_assistant", broken)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("skylapse")]
