"""Adding and changing a folder that frames are copied to."""

from collections.abc import Generator
import errno
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.engine.upload import marker
from custom_components.skylapse.engine.upload.paths import MARKER_NAME

from .flow_rig import assert_told, go_subentry, no_station, simulated_entry, start_subentry, suggested, texts

FLOW = "config_subentries.destination"


@pytest.fixture(autouse=True)
def media(hass: HomeAssistant, tmp_path: Path) -> Generator[Path]:
    """Where the frames would be."""
    path = tmp_path / "media"
    with no_station(hass, path):
        yield path


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    """A share that is mounted."""
    path = tmp_path / "nas"
    path.mkdir()
    return path


@pytest.fixture
async def entry(hass: HomeAssistant) -> MockConfigEntry:
    """A camera without destinations."""
    entry = simulated_entry()
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return entry


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


async def add(hass: HomeAssistant, entry: MockConfigEntry, path: Path, **values: Any) -> ConfigSubentry:
    """Add a destination; return it."""
    before = set(entry.subentries)
    result = await start_subentry(hass, entry, "destination")
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "folder")
    result = await go_subentry(hass, result, {"path": str(path), "required": True, **values})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    return entry.subentries[(set(entry.subentries) - before).pop()]


# -- adding ------------------------------------------------------------------------------------------------------------


async def test_a_folder_becomes_a_destination(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    added = await add(hass, entry, nas, name="  The   NAS ", required=False)
    assert added.title == "The NAS"
    assert added.unique_id == str(nas)
    assert added.data == {"kind": "folder", "path": str(nas), "marker_id": added.data["marker_id"], "required": False}
    assert added.data["marker_id"] in (nas / MARKER_NAME).read_text()


async def test_what_is_left_out_has_a_default(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    result = await start_subentry(hass, entry, "destination")
    assert suggested(result) == {}
    await go_subentry(hass, result, {"path": f"  {nas}/  "})
    (added,) = entry.subentries.values()
    assert (added.title, added.data["path"], added.data["required"]) == ("nas", str(nas), True)


async def test_folders_of_one_name_are_told_apart(hass: HomeAssistant, entry: MockConfigEntry, nas: Path, tmp_path: Path) -> None:
    other = tmp_path / "second" / "NAS"
    other.mkdir(parents=True)
    await add(hass, entry, nas)
    assert (await add(hass, entry, other)).title == "NAS 2"


async def test_a_very_long_folder_name_is_cut_for_the_title(hass: HomeAssistant, entry: MockConfigEntry, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200)
    path.mkdir()
    assert (await add(hass, entry, path)).title == "x" * 64


async def test_a_folder_that_is_a_destination_already_keeps_its_marker(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    marker_id = marker.prepare_folder(nas)
    assert (await add(hass, entry, nas)).data["marker_id"] == marker_id


async def test_one_folder_is_one_destination(hass: HomeAssistant, entry: MockConfigEntry, nas: Path, tmp_path: Path) -> None:
    await add(hass, entry, nas)
    link = tmp_path / "link"
    link.symlink_to(nas)
    for path in (nas, link):
        result = await go_subentry(hass, await start_subentry(hass, entry, "destination"), {"path": str(path), "required": True})
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert "destination.abort.already_configured" in await texts(hass, "config_subentries")
    assert len(entry.subentries) == 1


async def test_two_cameras_may_share_a_folder(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    other = simulated_entry(seed=8, title="Meadow")
    other.add_to_hass(hass)
    one, two = await add(hass, entry, nas), await add(hass, other, nas)
    assert one.data["marker_id"] == two.data["marker_id"]


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("", "folder_not_absolute"),
        ("   ", "folder_not_absolute"),
        ("nas", "folder_not_absolute"),
        ("~/nas", "folder_not_absolute"),
        ("smb://nas/sky", "folder_not_absolute"),
        ("{tmp}/nas/../nas", "folder_unusable"),
        ("{tmp}/n\x00as", "folder_unusable"),
        ("{tmp}/n\nas", "folder_unusable"),
        ("{tmp}/n\ud800as", "folder_unusable"),
        ("/" + "x" * 100_000, "folder_unusable"),
        ("/" + "x" * 300, "folder_missing"),
        ("/proc", "folder_of_system"),
        ("/proc/self/fd", "folder_of_system"),
        ("/sys/kernel", "folder_of_system"),
        ("/dev/disk", "folder_of_system"),
        ("{tmp}/sneaky", "folder_of_system"),
        ("/etc", "folder_of_system"),
        ("/usr/lib", "folder_of_system"),
        ("/", "folder_of_system"),
        ("{tmp}", "folder_of_frames"),
        ("{tmp}/media", "folder_of_frames"),
        ("{tmp}/media/skylapse", "folder_of_frames"),
        ("{tmp}/media/skylapse/garden/2026", "folder_of_frames"),
        ("{config}", "folder_of_config"),
        ("{config}/.storage", "folder_of_config"),
        ("{config}/www", "folder_of_config"),
        ("{tmp}/missing", "folder_missing"),
        ("{tmp}/loop", "folder_missing"),
        ("{tmp}/Bücher 📚", "folder_missing"),
        ("{tmp}/file", "folder_not_directory"),
        ("{tmp}/file/below", "folder_not_directory"),
    ],
)
async def test_a_bad_path_is_told_and_can_be_corrected(
    hass: HomeAssistant, entry: MockConfigEntry, nas: Path, tmp_path: Path, path: str, key: str
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "sneaky").symlink_to("/proc")
    path = path.replace("{tmp}", str(tmp_path)).replace("{config}", hass.config.config_dir)
    result = await go_subentry(hass, await start_subentry(hass, entry, "destination"), {"path": path, "required": False})
    await assert_told(hass, result, {"path": key}, FLOW)
    assert suggested(result) == {"path": path, "required": False}
    result = await go_subentry(hass, result, {"path": str(nas), "required": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (errno.EROFS, "destination_read_only"),
        (errno.EACCES, "destination_denied"),
        (errno.ENOSPC, "destination_full"),
        (errno.ENOENT, "destination_changed"),
        (errno.ESTALE, "destination_io_error"),
        (errno.ENAMETOOLONG, "name_refused"),
        (errno.EISDIR, "name_taken"),
        (errno.EFBIG, "file_too_big"),
    ],
)
async def test_a_disk_that_fails_is_told_and_can_be_tried_again(
    hass: HomeAssistant, entry: MockConfigEntry, nas: Path, code: int, key: str
) -> None:
    result = await start_subentry(hass, entry, "destination")
    with patch.object(marker, "_write", side_effect=OSError(code, os.strerror(code))):
        result = await go_subentry(hass, result, {"path": str(nas), "required": True})
    await assert_told(hass, result, {"path": key}, FLOW)
    result = await go_subentry(hass, result, {"path": str(nas), "required": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_damaged_marker_is_told_and_can_be_repaired(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    (nas / MARKER_NAME).write_text("{")
    result = await go_subentry(hass, await start_subentry(hass, entry, "destination"), {"path": str(nas), "required": True})
    await assert_told(hass, result, {"path": "destination_marker_damaged"}, FLOW)
    (nas / MARKER_NAME).unlink()
    result = await go_subentry(hass, result, {"path": str(nas), "required": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("name", "key"), [("...", "name_unusable"), ("x" * 65, "name_too_long"), ("a\x07b", "name_unprintable"), ("the NAS", "title_taken")]
)
async def test_a_bad_name_is_told_and_can_be_corrected(
    hass: HomeAssistant, entry: MockConfigEntry, nas: Path, tmp_path: Path, name: str, key: str
) -> None:
    await add(hass, entry, nas, name="The NAS")
    other = tmp_path / "other"
    other.mkdir()
    form = {"path": str(other), "required": True, "name": name}
    result = await go_subentry(hass, await start_subentry(hass, entry, "destination"), form)
    await assert_told(hass, result, {"name": key}, FLOW)
    assert not names(other)
    result = await go_subentry(hass, result, {**form, "name": "Another"})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("change", [{"path": None}, {"path": 7}, {"path": []}, {"name": 7}, {"required": "perhaps"}, {"marker_id": "x"}])
async def test_what_no_form_sends_is_refused(hass: HomeAssistant, entry: MockConfigEntry, nas: Path, change: dict[str, Any]) -> None:
    form = {"path": str(nas), "required": True}
    result = await start_subentry(hass, entry, "destination")
    with pytest.raises(InvalidData):
        await go_subentry(hass, result, form | change)
    result = await go_subentry(hass, result, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY


# -- reconfigure -------------------------------------------------------------------------------------------------------


async def test_reconfigure_all(hass: HomeAssistant, entry: MockConfigEntry, nas: Path, tmp_path: Path) -> None:
    old = await add(hass, entry, nas, name="NAS")
    disk = tmp_path / "disk"
    disk.mkdir()
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "folder")
    assert suggested(result) == {"path": str(nas), "name": "NAS", "required": True}
    result = await go_subentry(hass, result, {"path": str(disk), "name": "Disk", "required": False, "renew": False})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    new = entry.subentries[old.subentry_id]
    assert (new.title, new.unique_id) == ("Disk", str(disk))
    assert (new.data["path"], new.data["required"]) == (str(disk), False)
    assert new.data["marker_id"] in (disk / MARKER_NAME).read_text()


async def test_a_folder_that_is_not_mounted_is_left_alone(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    old = await add(hass, entry, nas, name="NAS")
    known = dict(old.data)
    (nas / MARKER_NAME).unlink()  # as if the share were not mounted: the folder below is empty
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    result = await go_subentry(hass, result, {"path": str(nas), "name": "nas", "required": False, "renew": False})
    assert result["reason"] == "reconfigure_successful"
    new = entry.subentries[old.subentry_id]
    assert (new.title, new.data) == ("nas", {**known, "required": False})
    assert not names(nas)


async def test_a_replaced_disk_is_accepted_when_asked(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    old = await add(hass, entry, nas)
    known = old.data["marker_id"]
    (nas / MARKER_NAME).unlink()
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    result = await go_subentry(hass, result, {"path": str(nas), "name": "nas", "required": True, "renew": True})
    assert result["reason"] == "reconfigure_successful"
    new = entry.subentries[old.subentry_id]
    assert new.data["marker_id"] != known
    assert new.data["marker_id"] in (nas / MARKER_NAME).read_text()


async def test_reconfigure_to_a_known_folder_or_name_is_refused(
    hass: HomeAssistant, entry: MockConfigEntry, nas: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    await add(hass, entry, disk)
    old = await add(hass, entry, nas)
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    result = await go_subentry(hass, result, {"path": str(nas), "name": "DISK", "required": True, "renew": False})
    await assert_told(hass, result, {"name": "title_taken"}, FLOW)
    result = await go_subentry(hass, result, {"path": str(disk), "name": "nas", "required": True, "renew": False})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.subentries[old.subentry_id].data["path"] == str(nas)


async def test_every_field_is_explained(hass: HomeAssistant, entry: MockConfigEntry, nas: Path) -> None:
    found = await texts(hass, "config_subentries")
    old = await add(hass, entry, nas)
    result = await entry.start_subentry_reconfigure_flow(hass, old.subentry_id)
    for key in result["data_schema"].schema:
        assert found[f"destination.step.folder.data.{key}"]
        assert found[f"destination.step.folder.data_description.{key}"]
