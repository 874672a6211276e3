"""Adding and reconfiguring a camera."""

import asyncio
from collections.abc import Generator
from http import HTTPStatus
from io import BytesIO
import math
from pathlib import Path
import re
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse import config_flow, test_shot as shots
from custom_components.skylapse.config_flow import exposure_text
from custom_components.skylapse.const import DEFAULT_OPTIONS, DEFAULT_SIMULATION, DOMAIN
from custom_components.skylapse.engine.errors import BadPicture, CaptureTimeout, SourceError
from custom_components.skylapse.engine.schedule.codec import schedule_from_dict
from custom_components.skylapse.engine.schedule.presets import PRESETS
from custom_components.skylapse.engine.sources.base import CaptureRequest, Shot

from .flow_rig import MORE, assert_told, go, local_camera, no_station, simulated_entry, start, suggested, texts
from .rig import AT, jpeg

SIMULATED = {"name": "Sky", "more": {"seed": 7}}


@pytest.fixture(autouse=True)
def media(hass: HomeAssistant, tmp_path: Path) -> Generator[Path]:
    """Where the frames would be."""
    path = tmp_path / "media"
    with no_station(hass, path):
        yield path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A photograph on disk, shown by a camera of Home Assistant."""
    path = tmp_path / "porch.jpg"
    path.write_bytes(jpeg(1280, 960))
    return path


def show(path: Path, content: bytes | None) -> None:
    """Let a camera show something else, or let its file vanish."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


async def finish(hass: HomeAssistant, result: dict[str, Any], **schedules: Any) -> dict[str, Any]:
    """Accept the test picture that is shown, and create the entry."""
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "test_shot")
    result = await go(hass, result, {"next_step_id": "schedules"})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "schedules")
    result = await go(hass, result, {"presets": [], **schedules})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    return result


# -- adding a camera ---------------------------------------------------------------------------------------------------


async def test_a_simulated_camera(hass: HomeAssistant, tmp_path: Path) -> None:
    target = tmp_path / "nas"
    target.mkdir()
    result = await start(hass)
    assert result["menu_options"] == ["camera", "entity", "simulated"]
    result = await go(hass, result, {"next_step_id": "simulated"})
    assert (result["type"], result["step_id"], result["last_step"]) == (FlowResultType.FORM, "simulated", False)
    result = await go(hass, result, SIMULATED)
    assert result["menu_options"] == ["schedules", "again", "change"]
    result = await go(hass, result, {"next_step_id": "schedules"})
    assert suggested(result) == {"presets": ["sunrise", "sunset"]}

    result = await go(hass, result, {"presets": ["sunrise", "night"], "folder": str(target)})

    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert entry.title == "Sky"
    assert entry.unique_id == "simulated:7"
    assert entry.data == {"source": "simulated", "seed": 7, "slug": "sky"}
    assert entry.options == {**DEFAULT_OPTIONS, **DEFAULT_SIMULATION}
    kept = {item.title: item for item in entry.subentries.values()}
    assert set(kept) == {"Sunrise", "Night", "nas"}
    assert schedule_from_dict("s", "s", kept["Night"].data) == schedule_from_dict("s", "s", PRESETS["night"].data)
    assert kept["nas"].unique_id == str(target)
    marker_id = kept["nas"].data["marker_id"]
    assert kept["nas"].data == {"kind": "folder", "path": str(target), "marker_id": marker_id, "required": True}
    assert marker_id in (target / ".skylapse-destination").read_text()


async def test_a_camera_of_home_assistant(hass: HomeAssistant, picture: Path, entity_registry: er.EntityRegistry) -> None:
    camera = await local_camera(hass, picture)
    result = await go(hass, await start(hass, "entity"), {"name": "  The   porch ", "entity_id": camera})
    assert result["description_placeholders"] | {"image": "", "duration_s": ""} == {
        "image": "",
        "width": "1280",
        "height": "960",
        "size_kb": f"{len(jpeg(1280, 960)) / 1000:.0f}",
        "duration_s": "",
        "exposure": "–",
        "gain": "–",
    }

    entry = (await finish(hass, result))["result"]

    assert entry.title == "The porch"
    assert entry.unique_id == f"entity:{entity_registry.async_get(camera).id}"
    assert entry.data == {"source": "entity", "entity_id": camera, "slug": "the_porch"}
    assert entry.options == DEFAULT_OPTIONS
    assert not entry.subentries


async def test_a_camera_that_is_in_no_registry(hass: HomeAssistant) -> None:
    hass.states.async_set("camera.loose", "idle")
    with patch.object(shots, "build_source", return_value=_Source(Shot(jpeg(), AT))):
        result = await go(hass, await start(hass, "entity"), {"name": "Loose", "entity_id": "camera.loose"})
    assert (await finish(hass, result))["result"].unique_id == "entity:camera.loose"


async def test_a_camera_chosen_by_its_registry_id(hass: HomeAssistant, picture: Path, entity_registry: er.EntityRegistry) -> None:
    camera = await local_camera(hass, picture)
    registry_id = entity_registry.async_get(camera).id
    result = await go(hass, await start(hass, "entity"), {"name": "Porch", "entity_id": registry_id})
    entry = (await finish(hass, result))["result"]
    assert entry.data["entity_id"] == camera
    assert entry.unique_id == f"entity:{registry_id}"


async def test_a_seed_is_drawn_by_lot(hass: HomeAssistant) -> None:
    result = await go(hass, await start(hass, "simulated"), {"name": "One", **MORE})
    one = (await finish(hass, result))["result"]
    result = await go(hass, await start(hass, "simulated"), {"name": "Two", **MORE})
    two = (await finish(hass, result))["result"]
    assert one.data["seed"] != two.data["seed"]
    assert one.unique_id == f"simulated:{one.data['seed']}"


async def test_all_presets_and_the_classic(hass: HomeAssistant) -> None:
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    entry = (await finish(hass, result, presets=[*PRESETS, "classic"]))["result"]
    assert [item.title for item in entry.subentries.values()] == [
        "Sunrise",
        "Sunset",
        "Golden hours",
        "Blue hours",
        "Daylight",
        "Night",
        "All day",
        "Classic golden hours",
        "Classic blue hours",
        "Classic daylight",
        "Classic low light",
        "Classic fallback",
    ]
    for item in entry.subentries.values():
        schedule_from_dict(item.subentry_id, item.title, item.data)


# -- names -------------------------------------------------------------------------------------------------------------

BAD_NAMES = [
    ("", "name_unusable"),
    ("   ", "name_unusable"),
    ("../..", "name_unusable"),
    ("🌅", "name_unusable"),
    ("x" * 65, "name_too_long"),
    ("x" * 100_000, "name_too_long"),
    ("a\x00b", "name_unprintable"),
    ("a\u202eb", "name_unprintable"),
    ("a\ud800b", "name_unprintable"),
]


@pytest.mark.parametrize(("name", "key"), BAD_NAMES)
async def test_a_bad_name_is_told_and_can_be_corrected(hass: HomeAssistant, name: str, key: str) -> None:
    result = await go(hass, await start(hass, "simulated"), {"name": name, "more": {"seed": 9}})
    await assert_told(hass, result, {"name": key})
    assert suggested(result) == {"name": name, "more": {"seed": 9}}
    result = await go(hass, result, SIMULATED)
    assert (await finish(hass, result))["result"].title == "Sky"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Über den Dächern", "uber_den_dachern"),
        ("../../etc/passwd", "etc_passwd"),
        ("富士山", "fu_shi_shan"),
        ("山" * 64, "shan_" * 11 + "shan"),
        ("x" * 64, "x" * 60),
    ],
)
async def test_a_folder_is_named_after_the_camera(hass: HomeAssistant, name: str, slug: str) -> None:
    result = await go(hass, await start(hass, "simulated"), {"name": name, **MORE})
    assert (await finish(hass, result))["result"].data["slug"] == slug


async def test_no_two_cameras_share_a_folder(hass: HomeAssistant, media: Path) -> None:
    (media / "skylapse" / "sky_2").mkdir(parents=True)
    simulated_entry(seed=1, title="Sky").add_to_hass(hass)
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    assert (await finish(hass, result))["result"].data["slug"] == "sky_3"


# -- the same camera twice ---------------------------------------------------------------------------------------------


async def test_a_simulation_with_a_known_seed_is_refused(hass: HomeAssistant) -> None:
    simulated_entry(seed=7).add_to_hass(hass)
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert "abort.already_configured" in await texts(hass, "config")


async def test_a_camera_is_known_by_its_registry_entry(hass: HomeAssistant, picture: Path, entity_registry: er.EntityRegistry) -> None:
    camera = await local_camera(hass, picture)
    result = await go(hass, await start(hass, "entity"), {"name": "Porch", "entity_id": camera})
    await finish(hass, result)
    entity_registry.async_update_entity(camera, new_entity_id="camera.renamed")
    await hass.async_block_till_done()
    result = await go(hass, await start(hass, "entity"), {"name": "Again", "entity_id": "camera.renamed"})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


# -- bad input ---------------------------------------------------------------------------------------------------------


async def test_a_camera_that_is_gone_is_told(hass: HomeAssistant, picture: Path) -> None:
    camera = await local_camera(hass, picture)
    result = await go(hass, await start(hass, "entity"), {"name": "!", "entity_id": "camera.gone"})
    await assert_told(hass, result, {"entity_id": "entity_missing", "name": "name_unusable"})
    hass.states.async_set("sensor.light", "5")
    result = await go(hass, result, {"name": "Light", "entity_id": "sensor.light"})
    await assert_told(hass, result, {"entity_id": "entity_no_camera"})
    result = await go(hass, result, {"name": "Porch", "entity_id": camera})
    await finish(hass, result)


async def test_skylapse_does_not_photograph_itself(hass: HomeAssistant, picture: Path, entity_registry: er.EntityRegistry) -> None:
    camera = await local_camera(hass, picture)
    result = await start(hass, "entity")
    own = entity_registry.async_get_or_create("camera", DOMAIN, "own")
    result = await go(hass, result, {"name": "Mirror", "entity_id": own.entity_id})
    await assert_told(hass, result, {"entity_id": "entity_own"})
    with pytest.raises(InvalidData):  # from now on it is not even offered
        await go(hass, result, {"name": "Mirror", "entity_id": own.entity_id})
    result = await go(hass, result, {"name": "Porch", "entity_id": camera})
    await finish(hass, result)


@pytest.mark.parametrize("entity_id", ["no entity", "", "camera.", 5, None, ["camera.a"]])
async def test_what_is_no_camera_is_refused(hass: HomeAssistant, picture: Path, entity_id: Any) -> None:
    camera = await local_camera(hass, picture)
    result = await start(hass, "entity")
    with pytest.raises(InvalidData):
        await go(hass, result, {"name": "X", "entity_id": entity_id})
    await finish(hass, await go(hass, result, {"name": "Porch", "entity_id": camera}))


@pytest.mark.parametrize("seed", [-1, 1.5, 2**31, math.nan, math.inf, -math.inf, "seven", [], 10**400])
async def test_a_bad_seed_is_refused(hass: HomeAssistant, seed: Any) -> None:
    result = await start(hass, "simulated")
    with pytest.raises(InvalidData):
        await go(hass, result, {"name": "Sky", "more": {"seed": seed}})
    await finish(hass, await go(hass, result, SIMULATED))


@pytest.mark.parametrize("presets", [["sunburn"], "sunrise", [7], None])
async def test_unknown_presets_are_refused(hass: HomeAssistant, presets: Any) -> None:
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    result = await go(hass, result, {"next_step_id": "schedules"})
    with pytest.raises(InvalidData):
        await go(hass, result, {"presets": presets})
    result = await go(hass, result, {"presets": ["sunrise"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY


# -- the folder of the first form; all of its errors are in test_destination_flow ----------------------------------------


async def test_a_bad_folder_is_told_and_can_be_corrected(hass: HomeAssistant, tmp_path: Path) -> None:
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    result = await go(hass, result, {"next_step_id": "schedules"})
    missing = tmp_path / "missing"
    result = await go(hass, result, {"presets": ["night"], "folder": str(missing)})
    await assert_told(hass, result, {"folder": "folder_missing"})
    assert result["description_placeholders"]["path"] == str(missing)
    assert suggested(result) == {"presets": ["night"], "folder": str(missing)}
    result = await go(hass, result, {"presets": ["night"], "folder": "   "})
    assert [item.title for item in result["result"].subentries.values()] == ["Night"]


# -- the test picture --------------------------------------------------------------------------------------------------


async def test_the_picture_is_shown_while_the_dialog_is_open(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator, socket_enabled: None
) -> None:
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    filled = result["description_placeholders"]
    assert (filled["width"], filled["height"]) == ("1920", "1080")
    assert re.fullmatch(r"(1/\d+|\d+\.\d) s", filled["exposure"])
    assert float(filled["gain"]) >= 1
    description = (await texts(hass, "config"))["step.test_shot.description"].format(**filled)
    assert description.startswith(f"![]({filled['image']})")

    client = await hass_client_no_auth()
    response = await client.get(filled["image"])
    assert response.status == HTTPStatus.OK
    assert response.headers["Cache-Control"] == "no-store"
    with Image.open(BytesIO(await response.read())) as shown:
        assert (shown.format, shown.size) == ("JPEG", (640, 360))
    unsigned = filled["image"].partition("?")[0]
    assert (await client.get(unsigned)).status == HTTPStatus.UNAUTHORIZED

    result = await go(hass, result, {"next_step_id": "again"})
    again = result["description_placeholders"]["image"]
    assert again != filled["image"]
    assert (await client.get(again)).status == HTTPStatus.OK

    await finish(hass, result)
    assert (await client.get(filled["image"])).status == HTTPStatus.NOT_FOUND
    assert (await client.get(again)).status == HTTPStatus.NOT_FOUND


async def test_the_picture_is_signed_for_whoever_opened_the_dialog(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, hass_client_no_auth: ClientSessionGenerator, socket_enabled: None
) -> None:
    assert await async_setup_component(hass, "config", {})
    await start(hass)
    shots.keep(hass, _shot())  # the test's web server, unlike the real one, takes no views once it runs
    client = await hass_client()
    flows = "/api/config/config_entries/flow"
    menu = await (await client.post(flows, json={"handler": DOMAIN})).json()
    flow = f"{flows}/{menu['flow_id']}"
    asked = await (await client.post(flow, json={"next_step_id": "simulated"})).json()
    assert [field["name"] for field in asked["data_schema"]] == ["name", "more"]
    progress = await (await client.post(flow, json=SIMULATED)).json()
    assert (progress["type"], progress["step_id"]) == ("progress", "shot")
    await hass.async_block_till_done()
    shown = await (await client.get(flow)).json()
    assert (shown["type"], shown["step_id"]) == ("menu", "test_shot")
    stranger = await hass_client_no_auth()
    image = shown["description_placeholders"]["image"]
    assert (await stranger.get(image)).status == HTTPStatus.OK
    asked = await (await client.post(flow, json={"next_step_id": "schedules"})).json()
    assert [field["name"] for field in asked["data_schema"]] == ["presets", "folder"]
    created = await (await client.post(flow, json={"presets": ["sunrise"]})).json()
    assert created["type"] == "create_entry"
    assert (await stranger.get(image)).status == HTTPStatus.NOT_FOUND


async def test_a_picture_is_kept_for_minutes_only(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator, socket_enabled: None
) -> None:
    first = (await go(hass, await start(hass, "simulated"), SIMULATED))["description_placeholders"]["image"]
    client = await hass_client_no_auth()
    later = hass.loop.time() + shots.LIFETIME.total_seconds()
    with patch.object(hass.loop, "time", return_value=later):
        assert (await client.get(first)).status == HTTPStatus.NOT_FOUND
        shots.keep(hass, _shot())
    assert (await client.get(first)).status == HTTPStatus.NOT_FOUND


async def test_a_few_pictures_are_kept_at_most(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator, socket_enabled: None
) -> None:
    await start(hass)
    paths = [shots.keep(hass, _shot())[1] for _ in range(shots.KEPT + 1)]
    client = await hass_client_no_auth()
    assert [(await client.get(path)).status for path in paths] == [HTTPStatus.NOT_FOUND] + [HTTPStatus.OK] * shots.KEPT


async def test_the_settings_can_be_changed_after_the_picture(hass: HomeAssistant) -> None:
    result = await go(hass, await start(hass, "simulated"), SIMULATED)
    result = await go(hass, result, {"next_step_id": "change"})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "simulated")
    assert suggested(result) == SIMULATED
    result = await go(hass, result, {"name": "Other", "more": {"seed": 8}})
    entry = (await finish(hass, result))["result"]
    assert (entry.title, entry.unique_id) == ("Other", "simulated:8")


async def test_a_failed_picture_is_told_and_can_be_tried_again(hass: HomeAssistant, picture: Path) -> None:
    camera = await local_camera(hass, picture)
    good = jpeg()
    wanted = {"name": "Porch", "entity_id": camera}
    result = await start(hass, "entity")
    for content, key in [
        (None, "entity_no_picture"),
        (b"", "entity_no_picture"),
        (b"<html>Log in</html>", "picture_not_jpeg"),
        (good[:-100], "picture_truncated"),
        (good + bytes(60_000_000), "picture_too_large"),
        (good[:2] + b"\xff\xd8" + good[2:], "picture_damaged"),
    ]:
        show(picture, content)
        result = await go(hass, result, wanted)
        await assert_told(hass, result, {"base": key})
        assert suggested(result) == wanted
    result = await go(hass, result, {**wanted, "name": ""})
    await assert_told(hass, result, {"name": "name_unusable"})
    show(picture, good)
    await finish(hass, await go(hass, result, wanted))


async def test_a_camera_that_refuses_at_once_is_told_and_asked_once(hass: HomeAssistant) -> None:
    """Home Assistant goes on to the next step with the same input, which must not ask the camera again, and again."""
    asked = []

    async def refuse(*_: Any) -> shots.TestShot:
        asked.append(1)
        assert len(asked) < 5, "asked without end"
        raise SourceError("source_failed")

    result = await start(hass, "simulated")
    with patch.object(config_flow, "take_test_shot", refuse):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], SIMULATED)
    await assert_told(hass, result, {"base": "source_failed"})
    assert suggested(result) == SIMULATED
    assert len(asked) == 1
    await finish(hass, await go(hass, result, SIMULATED))


async def test_a_dialog_that_is_closed_takes_its_picture_with_it(hass: HomeAssistant) -> None:
    source = _Source()
    with patch.object(shots, "build_source", return_value=source):
        result = await start(hass, "simulated")
        result = await hass.config_entries.flow.async_configure(result["flow_id"], SIMULATED)
        assert result["type"] is FlowResultType.SHOW_PROGRESS
        await source.waiting.wait()
        hass.config_entries.flow.async_abort(result["flow_id"])
        await hass.async_block_till_done()
    assert source.closed


async def test_progress_is_shown_until_the_picture_is_there(hass: HomeAssistant) -> None:
    source = _Source()
    with patch.object(shots, "build_source", return_value=source):
        result = await start(hass, "simulated")
        result = await hass.config_entries.flow.async_configure(result["flow_id"], SIMULATED)
        await source.waiting.wait()
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
        assert (result["type"], result["step_id"]) == (FlowResultType.SHOW_PROGRESS, "shot")
        assert f"progress.{result['progress_action']}" in await texts(hass, "config")
        source.shot = Shot(jpeg(), AT)
        source.go_on.set()
        await hass.async_block_till_done()
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    await finish(hass, result)


# -- take_test_shot ----------------------------------------------------------------------------------------------------


class _Source:
    """A camera that gives what it was told to, or lets one wait."""

    def __init__(self, outcome: Shot | Exception | None = None) -> None:
        self.shot = outcome
        self.closed = False
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()

    async def start(self) -> None:
        pass

    async def capture(self, request: CaptureRequest) -> Shot:
        self.waiting.set()
        if self.shot is None:
            await self.go_on.wait()
        if isinstance(self.shot, Exception):
            raise self.shot
        assert self.shot is not None
        return self.shot

    async def close(self) -> None:
        self.closed = True


def _shot() -> shots.TestShot:
    return shots.TestShot(jpeg(), 640, 480, 1000, 0.5, None, None)


@pytest.mark.parametrize(
    ("outcome", "error", "key"),
    [
        (SourceError("source_failed"), SourceError, "source_failed"),
        (None, CaptureTimeout, "capture_timeout"),
        (RuntimeError("with a password"), SourceError, "source_broken"),
        (Shot(b"not a picture", AT), BadPicture, "picture_unreadable"),
        (Shot(jpeg()[:400], AT), BadPicture, "picture_unreadable"),
    ],
)
async def test_whatever_fails_is_told(
    hass: HomeAssistant, outcome: Shot | Exception | None, error: type[Exception], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shots, "GRACE_S", 0.0)
    source = _Source(outcome)
    with patch.object(shots, "build_source", return_value=source), pytest.raises(error) as raised:
        await shots.take_test_shot(hass, {}, {"deadline_s": 0.01 if outcome is None else 30})
    assert raised.value.key == key
    assert "password" not in str(raised.value)
    assert source.closed
    text = (await texts(hass, "config"))[f"error.{key}"]
    text.format(**raised.value.placeholders)


async def test_a_source_that_cannot_be_built_is_told(hass: HomeAssistant) -> None:
    with pytest.raises(SourceError) as raised:
        await shots.take_test_shot(hass, {"source": "pinhole"}, DEFAULT_OPTIONS)
    assert raised.value.key == "source_unknown"


async def test_a_picture_is_shown_upright(hass: HomeAssistant) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = BytesIO()
    Image.linear_gradient("L").resize((800, 400)).save(out, "JPEG", exif=exif)
    with patch.object(shots, "build_source", return_value=_Source(Shot(out.getvalue(), AT))):
        shot = await shots.take_test_shot(hass, {}, DEFAULT_OPTIONS)
    with Image.open(BytesIO(shot.preview)) as shown:
        assert shown.size == (320, 640)


@pytest.mark.parametrize(
    ("exposure_us", "text"),
    [(None, "–"), (4000, "1/250 s"), (250_000, "1/4 s"), (500_000, "0.5 s"), (20_000_000, "20.0 s"), (0, "0.0 s")],
)
def test_an_exposure_reads_as_photographers_write_it(exposure_us: int | None, text: str) -> None:
    assert exposure_text(exposure_us) == text


# -- reconfigure -------------------------------------------------------------------------------------------------------


async def test_reconfigure_a_simulated_camera(hass: HomeAssistant) -> None:
    entry = simulated_entry(seed=7, width=640, height=480, max_days=30)
    entry.add_to_hass(hass)
    result = await entry.start_reconfigure_flow(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "simulated")
    assert suggested(result) == {"name": "Garden", "more": {"seed": 7}}
    result = await go(hass, result, {"name": "Meadow", "more": {"seed": 8}})
    assert result["menu_options"] == ["save", "again", "change"]
    assert result["description_placeholders"]["width"] == "640"
    result = await go(hass, result, {"next_step_id": "save"})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert (entry.title, entry.unique_id) == ("Meadow", "simulated:8")
    assert entry.data == {"source": "simulated", "seed": 8, "slug": "garden"}
    assert entry.options["max_days"] == 30


async def test_reconfigure_to_the_same_changes_nothing(hass: HomeAssistant) -> None:
    entry = simulated_entry(seed=7)
    entry.add_to_hass(hass)
    result = await go(hass, await entry.start_reconfigure_flow(hass), {"name": "Garden", "more": {"seed": 7}})
    result = await go(hass, result, {"next_step_id": "save"})
    assert result["reason"] == "reconfigure_successful"
    assert (entry.title, entry.unique_id, entry.data["seed"]) == ("Garden", "simulated:7", 7)


async def test_reconfigure_a_camera_of_home_assistant(hass: HomeAssistant, picture: Path, tmp_path: Path) -> None:
    porch = await local_camera(hass, picture)
    result = await go(hass, await start(hass, "entity"), {"name": "Porch", "entity_id": porch})
    entry = (await finish(hass, result))["result"]
    other = tmp_path / "roof.jpg"
    show(other, b"nothing yet")
    roof = await local_camera(hass, other)

    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id})
    assert suggested(result) == {"name": "Porch", "entity_id": porch}
    result = await go(hass, result, {"name": "Roof", "entity_id": roof})
    await assert_told(hass, result, {"base": "picture_not_jpeg"})
    show(other, jpeg())
    result = await go(hass, result, {"name": "Roof", "entity_id": roof})
    result = await go(hass, result, {"next_step_id": "change"})
    result = await go(hass, result, {"name": "The roof", "entity_id": roof})
    result = await go(hass, result, {"next_step_id": "save"})
    assert result["reason"] == "reconfigure_successful"
    assert entry.title == "The roof"
    assert entry.data == {"source": "entity", "entity_id": roof, "slug": "porch"}


async def test_reconfigure_to_another_entrys_camera_is_refused(hass: HomeAssistant) -> None:
    simulated_entry(seed=1, title="Other").add_to_hass(hass)
    entry = simulated_entry(seed=7)
    entry.add_to_hass(hass)
    result = await go(hass, await entry.start_reconfigure_flow(hass), {"name": "Garden", "more": {"seed": 1}})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.data["seed"] == 7
