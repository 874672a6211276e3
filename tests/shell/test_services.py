"""The actions: what they take, what they answer, and how they say no."""

from dataclasses import replace
from datetime import date
import json
from pathlib import Path
from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers.service import async_get_all_descriptions
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockUser
import voluptuous as vol

from custom_components.skylapse.engine import camera_work
from custom_components.skylapse.engine.baseline import BaselineReport, Speedup, Timings
from custom_components.skylapse.engine.brightness import Brightness
from custom_components.skylapse.engine.by_hand import CaptureOutcome
from custom_components.skylapse.engine.errors import CaptureTimeout, DestinationError, SkylapseError, SourceError
from custom_components.skylapse.engine.frames.records import UploadState
from custom_components.skylapse.engine.frames.retention import CleanupReport
from custom_components.skylapse.engine.sources.base import Shot
from custom_components.skylapse.engine.sources.live import FocusStep, FocusSweep
from custom_components.skylapse.engine.upload.verify import VerifyReport

from .rig import AT, CAN_ALL, FRAME, LATER, MadeUpStation, garden, over, pi_station, set_up, upload

ACTIONS = {"capture", "upload", "verify", "get_status", "cleanup", "test_capture", "focus_sweep", "measure_baseline"}
OUTCOME = CaptureOutcome(FRAME, Path("/media/skylapse/garden") / FRAME.file.relative_path, ("nas", "removed"))


async def act(hass: HomeAssistant, action: str, data: dict[str, Any] | None = None, *, answer: bool = True) -> Any:
    """Call an action."""
    return await hass.services.async_call("skylapse", action, data or {}, blocking=True, return_response=answer)


def minimal(action: str, tmp_path: Path) -> dict[str, Any]:
    """Return the least an action has to be told."""
    return {"paths": [str(tmp_path)]} if action == "upload" else {}


@pytest.fixture
def allowed(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Return a folder that Home Assistant may read, with a file."""
    folder = tmp_path.resolve() / "allowed"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    hass.config.allowlist_external_dirs = {str(folder)}
    return folder


async def test_they_exist_without_any_camera(hass: HomeAssistant, tmp_path: Path) -> None:
    """And say that there is none."""
    assert await async_setup_component(hass, "skylapse", {})
    assert set(hass.services.async_services()["skylapse"]) == ACTIONS
    for action in ACTIONS:
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, action, minimal(action, tmp_path))
        assert caught.value.translation_key == "service_found_no_config_entry_for_domain"


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_an_entry_that_is_not_loaded_is_said_so(hass: HomeAssistant, tmp_path: Path, action: str) -> None:
    """Named or not."""
    await set_up(hass)
    await hass.config_entries.async_unload("01GARDEN")
    for named in ({}, {"config_entry_id": "01GARDEN"}):
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, action, {**minimal(action, tmp_path), **named})
        assert caught.value.translation_key == "service_config_entry_not_loaded"


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_the_camera_has_to_be_named_when_there_are_two(hass: HomeAssistant, tmp_path: Path, action: str) -> None:
    """And has to exist."""
    await set_up(hass)
    garden("Roof", "01ROOF").add_to_hass(hass)
    for named, key in (
        ({}, "service_found_multiple_config_entry_for_domain"),
        ({"config_entry_id": "01CELLAR"}, "service_config_entry_not_found"),
        ({"config_entry_id": "01ROOF"}, "service_config_entry_not_loaded"),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, action, {**minimal(action, tmp_path), **named})
        assert caught.value.translation_key == key


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_each_is_described(hass: HomeAssistant, action: str) -> None:
    """Every field of the schema has a selector, an example and texts, and none is described that does not exist."""
    await set_up(hass)
    schema = hass.services.async_services_for_domain("skylapse")[action].schema
    fields = {str(marker) for marker in schema.schema}
    described = (await async_get_all_descriptions(hass))["skylapse"][action]
    assert set(described["fields"]) == fields
    assert all("selector" in field and "example" in field for field in described["fields"].values())
    root = Path("custom_components/skylapse")
    texts = json.loads(await hass.async_add_executor_job((root / "translations/en.json").read_text))["services"][action]
    assert set(texts["fields"]) == fields
    assert all(field["name"] and field["description"] for field in texts["fields"].values())
    assert texts["name"]
    assert texts["description"]
    icons = json.loads(await hass.async_add_executor_job((root / "icons.json").read_text))["services"]
    assert icons[action]["service"].startswith("mdi:")
    raw = await hass.async_add_executor_job(load_yaml_dict, str(root / "services.yaml"))
    defaults = {name: field["default"] for name, field in raw[action]["fields"].items() if "default" in field}
    assert defaults == {str(marker): marker.default() for marker in schema.schema if not isinstance(marker.default, vol.Undefined)}


async def test_capture(hass: HomeAssistant) -> None:
    """Answers with path, hash, instant, duration and settings."""
    station = await set_up(hass, MadeUpStation(answers={"capture": OUTCOME}))
    answer = await act(hass, "capture", {"exposure_us": 500000, "gain": 2})
    assert station.asked[-1] == ("capture", 500000, 2.0)
    assert answer == {
        "path": "/media/skylapse/garden/2026/11/23/garden_20261123T054501.123Z.jpg",
        "dng_path": None,
        "sha256": "ab" * 32,
        "size_bytes": 1_234_567,
        "instant": "2026-11-23T05:45:01.123000+00:00",
        "duration_ms": 420,
        "settings": {
            "exposure_us": 2000,
            "gain": 1.5,
            "lux": None,
            "colour_temperature_k": None,
            "sun_elevation": -3.5,
            "sun_azimuth": 118.25,
        },
        "destinations": ["NAS", "removed"],
    }
    json.dumps(answer)
    station.answers["capture"] = replace(OUTCOME, dng_path=Path("/media/a.dng"))
    assert (await act(hass, "capture"))["dng_path"] == "/media/a.dng"
    await act(hass, "capture", answer=False)
    assert station.asked[-1] == ("capture", None, None)


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("capture", {"exposure_us": 0}),
        ("capture", {"exposure_us": 3_600_000_001}),
        ("capture", {"exposure_us": "long"}),
        ("capture", {"gain": 0.5}),
        ("capture", {"gain": 2000}),
        ("capture", {"gain": "high"}),
        ("upload", {"paths": []}),
        ("upload", {"paths": ["/a"], "timeout": 0}),
        ("upload", {"paths": ["/a"], "timeout": 86_401}),
        ("upload", {"paths": ["/a"], "wait": "perhaps"}),
        ("upload", {"paths": ["/a"], "destinations": []}),
        ("upload", {"paths": [None]}),
        ("verify", {"from_day": "yesterday"}),
        ("verify", {"to_day": "2026-13-01"}),
        ("verify", {"destinations": [None]}),
        ("cleanup", {"dry_run": "maybe"}),
        ("get_status", {"config_entry_id": None}),
        ("test_capture", {"exposure_us": 0}),
        ("test_capture", {"gain": 0.5}),
        ("focus_sweep", {"from": -0.1}),
        ("focus_sweep", {"to": 101}),
        ("focus_sweep", {"steps": 1}),
        ("focus_sweep", {"steps": 51}),
        ("focus_sweep", {"positions": [1.0]}),
        ("focus_sweep", {"positions": [1.0, -1.0]}),
        ("focus_sweep", {"positions": [0.1] * 51}),
        ("focus_sweep", {"apply": "perhaps"}),
        ("measure_baseline", {"count": 0}),
        ("measure_baseline", {"count": 101}),
        ("measure_baseline", {"baseline_ms": 0.5}),
        ("measure_baseline", {"store": "perhaps"}),
    ],
)
async def test_bad_values_are_refused_by_the_name_of_their_field(hass: HomeAssistant, action: str, data: dict[str, Any]) -> None:
    """Before anything is done."""
    station = await set_up(hass)
    done = list(station.asked)
    with pytest.raises(vol.Invalid, match=next(name for name in reversed(data))):
        await act(hass, action, data)
    assert station.asked == done


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SkylapseError("exposure_out_of_range", value=1, minimum=2, maximum=3), ServiceValidationError),
        (CaptureTimeout(deadline_s=30), HomeAssistantError),
    ],
)
async def test_a_capture_that_fails(hass: HomeAssistant, error: SkylapseError, kind: type[Exception]) -> None:
    """Bad input and failure are told apart."""
    await set_up(hass, MadeUpStation(answers={"capture": error}))
    with pytest.raises(HomeAssistantError) as caught:
        await act(hass, "capture")
    assert type(caught.value) is kind
    assert caught.value.translation_key == error.key
    assert "{" not in str(caught.value)


async def test_a_test_capture_tells_what_it_saw(hass: HomeAssistant) -> None:
    """And that is all that is left of it."""
    shot = Shot(
        jpeg=b"x" * 1000, taken_at=AT, exposure_us=2000, gain=1.5, lux=321.5, colour_temperature_k=5200, width_px=4608, height_px=2592
    )
    shot = replace(shot, sensor_temperature_c=37.0, focus_measure=812.0, lens_position=0.85)
    station = await set_up(hass, pi_station(answers={"test_capture": camera_work.TestCapture(shot, 420, Brightness(41.25, 1.5, 0.0))}))
    answer = await act(hass, "test_capture", {"exposure_us": 2000, "gain": 1.5})
    assert station.asked[-1] == ("test_capture", 2000, 1.5)
    assert answer == {
        "instant": AT.isoformat(),
        "duration_ms": 420,
        "size_bytes": 1000,
        "width": 4608,
        "height": 2592,
        "exposure_us": 2000,
        "gain": 1.5,
        "lux": 321.5,
        "colour_temperature_k": 5200,
        "sensor_temperature_c": 37.0,
        "focus_measure": 812.0,
        "lens_position": 0.85,
        "brightness": {"mean_percent": 41.25, "clipped_white_percent": 1.5, "clipped_black_percent": 0.0},
    }
    json.dumps(answer)
    await act(hass, "test_capture")
    assert station.asked[-1] == ("test_capture", None, None)


SWEEP = FocusSweep((FocusStep(0.0, 0.01, 100.0), FocusStep(1.0, None, 300.5), FocusStep(2.0, 2.0, 50.0)), best=1.0)


@pytest.mark.parametrize(
    ("data", "positions"),
    [
        ({}, None),
        ({"positions": [0, 0.5, "2"]}, [0.0, 0.5, 2.0]),
        ({"from": 0, "to": 2, "steps": 3}, [0.0, 1.0, 2.0]),
        ({"from": 2, "to": 0, "steps": 3}, [2.0, 1.0, 0.0]),
        ({"steps": 4}, [0.0, 5.0, 10.0, 15.0]),
        ({"to": 1}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ({"from": 14, "steps": 2}, [14.0, 15.0]),
    ],
)
async def test_a_focus_sweep(hass: HomeAssistant, data: dict[str, Any], positions: list[float] | None) -> None:
    """Over positions, a range, or what the camera has; the focus is left as it was."""
    entry = garden()
    station = await set_up(hass, pi_station(answers={"focus_sweep": SWEEP}), entry)
    answer = await act(hass, "focus_sweep", data)
    assert station.asked[-1] == ("focus_sweep", positions)
    assert answer == {
        "steps": [
            {"position": 0.0, "lens_position": 0.01, "sharpness": 100.0},
            {"position": 1.0, "lens_position": None, "sharpness": 300.5},
            {"position": 2.0, "lens_position": 2.0, "sharpness": 50.0},
        ],
        "best": 1.0,
        "applied": False,
    }
    assert entry.options == {}


async def test_a_focus_sweep_ends_where_the_lens_does(hass: HomeAssistant) -> None:
    """Its limits come from single precision; rounded, they would be beyond them."""
    lens = (0.05000000074505806, 9.899999618530273)
    station = await set_up(hass, pi_station(answers={"focus_sweep": SWEEP}, capabilities=replace(CAN_ALL, lens_range=lens)))
    await act(hass, "focus_sweep", {"steps": 3})
    assert station.asked[-1] == ("focus_sweep", [lens[0], 4.975, lens[1]])


async def test_a_focus_sweep_can_keep_the_best_position(hass: HomeAssistant) -> None:
    """As the camera's focus from now on, beside its other options."""
    entry = garden()
    object.__setattr__(entry, "options", {"quality": 93, "focus_mode": "hyperfocal"})
    station = await set_up(hass, pi_station(answers={"focus_sweep": replace(SWEEP, best=1.23456)}), entry)
    with over(station):
        answer = await act(hass, "focus_sweep", {"apply": True})
        await hass.async_block_till_done()
    assert (answer["best"], answer["applied"]) == (1.235, True)
    assert entry.options == {"quality": 93, "focus_mode": "fixed", "lens_position": 1.23}
    assert hass.states.get("number.garden_lens_position").state == "1.23"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"positions": [0, 1], "from": 0, "steps": 3}, "positions cannot be combined with from, steps"),
        ({"from": 2, "to": 2}, "from and to are both 2 dpt"),
    ],
)
async def test_a_focus_sweep_that_makes_no_sense_is_refused(hass: HomeAssistant, data: dict[str, Any], told: str) -> None:
    """By the names of its fields."""
    station = await set_up(hass, pi_station())
    with pytest.raises(ServiceValidationError, match=told):
        await act(hass, "focus_sweep", data)
    assert station.asked == [("start",)]


@pytest.mark.parametrize("data", [{}, {"steps": 5}])
async def test_a_camera_without_a_lens_motor_cannot_be_swept(hass: HomeAssistant, data: dict[str, Any]) -> None:
    """Whatever is asked for."""
    await set_up(hass, MadeUpStation(answers={"focus_sweep": SourceError("camera_cannot", what="focus_sweep")}))
    with pytest.raises(ServiceValidationError, match="focus_sweep") as caught:
        await act(hass, "focus_sweep", data)
    assert caught.value.translation_key == "camera_cannot"


async def test_measure_baseline(hass: HomeAssistant) -> None:
    """Ten frames unless told otherwise; the answer says what was measured, and what not."""
    report = BaselineReport(
        at=AT,
        count=10,
        succeeded=9,
        success_percent=90.0,
        timings=Timings(700.0, 12.5, 680.0, 720.0, 700.0, 718.00049, 720.0),
        speedup=Speedup(7000.0, "given", 10.1, 10.0),
        errors=("capture_timeout",),
        stored=True,
    )
    station = await set_up(hass, pi_station(answers={"measure_baseline": report}))
    answer = await act(hass, "measure_baseline")
    assert station.asked[-1] == ("measure_baseline", 10, None, False)
    json.dumps(answer)
    assert (answer["at"], answer["count"], answer["success_percent"], answer["errors"]) == (AT.isoformat(), 10, 90.0, ["capture_timeout"])
    assert answer["timings"]["p95_ms"] == 718.0
    assert answer["speedup"] == {"baseline_ms": 7000.0, "baseline_from": "given", "mean_of_ratios": 10.1, "ratio_of_means": 10.0}
    assert answer["measured"]
    assert "uploading" in answer["not_measured"]
    await act(hass, "measure_baseline", {"count": 100, "baseline_ms": 7000, "store": True})
    assert station.asked[-1] == ("measure_baseline", 100, 7000.0, True)


@pytest.mark.parametrize("action", ["test_capture", "focus_sweep", "measure_baseline"])
async def test_work_with_the_camera_fails_aloud(hass: HomeAssistant, action: str) -> None:
    """And is of no use without its answer."""
    await set_up(hass, pi_station(answers={action: CaptureTimeout(deadline_s=30)}))
    with pytest.raises(HomeAssistantError, match="did not answer within 30 s"):
        await act(hass, action)
    with pytest.raises(ServiceValidationError):
        await act(hass, action, answer=False)


async def test_upload_queues_and_does_not_wait(hass: HomeAssistant, allowed: Path) -> None:
    """Unless asked to."""
    station = await set_up(hass, MadeUpStation(answers={"enqueue": [upload(1, UploadState.PENDING)]}))
    answer = await act(hass, "upload", {"paths": str(allowed / "a.jpg"), "destinations": "NAS"})
    assert station.asked[-1] == ("enqueue", [allowed / "a.jpg"], ["nas"])
    assert (answer["total"], answer["verified"], answer["all_verified"]) == (1, 0, False)
    await act(hass, "upload", {"paths": [str(allowed)]}, answer=False)
    assert station.asked[-1] == ("enqueue", [allowed], None)


async def test_upload_waits_for_the_proof(hass: HomeAssistant, allowed: Path) -> None:
    """And tells of each file where it is and how that was proven."""
    verified = upload(2, UploadState.VERIFIED)
    waiting = upload(3, UploadState.WAITING, error_key="destination_full", error_placeholders={"path": "/mnt/nas"}, destination_id="gone")
    queued = [upload(2, UploadState.PENDING), upload(3, UploadState.PENDING)]
    station = await set_up(hass, MadeUpStation(answers={"enqueue": queued, "wait_for": [verified, waiting]}))
    asked = {"paths": [str(allowed)], "wait": True, "timeout": 5, "destinations": ["nas"]}
    answer = await act(hass, "upload", asked)
    assert station.asked[-1] == ("wait_for", [2, 3], 5)
    assert (answer["total"], answer["verified"], answer["all_verified"]) == (2, 1, False)
    assert answer["files"][0] == {
        "path": "/media/file2.jpg",
        "destination": "NAS",
        "remote_path": "garden/files/file2.jpg",
        "size_bytes": 10,
        "sha256": "cd" * 32,
        "state": "verified",
        "method": "read_back",
        "verified_at": LATER.isoformat(),
        "error": None,
    }
    assert answer["files"][1]["destination"] == "gone"
    assert answer["files"][1]["error"] == "/mnt/nas is full, or its quota is used up. Free space there."
    with pytest.raises(HomeAssistantError, match=r"Only 1 of 2 uploads are verified.*/mnt/nas is full"):
        await act(hass, "upload", asked, answer=False)
    station.answers["wait_for"] = [verified]
    await act(hass, "upload", asked, answer=False)
    station.answers["wait_for"] = [upload(2, UploadState.PENDING)]
    with pytest.raises(HomeAssistantError, match="Only 0 of 1 uploads are verified"):
        await act(hass, "upload", asked, answer=False)


async def test_upload_does_not_wait_for_what_cannot_come(hass: HomeAssistant, allowed: Path) -> None:
    """While uploads are switched off."""
    station = await set_up(hass)
    station.tell(uploads_enabled=False)
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "upload", {"paths": [str(allowed)], "wait": True})
    assert caught.value.translation_key == "uploads_off"


async def test_upload_reads_only_what_it_may(hass: HomeAssistant, allowed: Path, tmp_path: Path) -> None:
    """No file elsewhere, by whatever way."""
    station = await set_up(hass)
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    (allowed / "link").symlink_to(outside)
    for path, key in (
        (str(outside), "path_not_allowed"),
        (str(allowed / "link"), "path_not_allowed"),
        (str(allowed / ".." / "secret.txt"), "path_not_allowed"),
        (str(tmp_path / "missing" / "x"), "path_not_allowed"),
        ("a.jpg", "path_not_absolute"),
        ("", "path_not_absolute"),
        (f"{allowed}/a\0b", "path_not_absolute"),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, "upload", {"paths": [str(allowed / "a.jpg"), path]})
        assert caught.value.translation_key == key, path
        assert "paths" in str(caught.value)
    assert not any(asked[0] == "enqueue" for asked in station.asked)


@pytest.mark.parametrize("action", ["upload", "verify"])
async def test_destinations_have_to_exist(hass: HomeAssistant, allowed: Path, action: str) -> None:
    """By name or id."""
    await set_up(hass)
    with pytest.raises(ServiceValidationError, match=r"There is no destination Moon at this camera. Choose one of: NAS"):
        await act(hass, action, {**minimal(action, allowed), "destinations": ["NAS", "Moon"]})


async def test_verify(hass: HomeAssistant) -> None:
    """Everything, or from one day to another."""
    sound = VerifyReport("nas", "NAS", checked=3, proven=3)
    station = await set_up(hass, MadeUpStation(answers={"verify": [sound]}))
    answer = await act(hass, "verify")
    assert station.asked[-1] == ("verify", None, None, None)
    assert answer == {
        "checked": 3,
        "proven": 3,
        "all_proven": True,
        "destinations": [
            {"destination": "NAS", "checked": 3, "proven": 3, "missing": [], "differing": [], "lost": [], "requeued": 0},
        ],
    }
    await act(hass, "verify", {"destinations": ["NAS"], "from_day": "2026-11-01", "to_day": "2026-11-01"}, answer=False)
    assert station.asked[-1] == ("verify", ["nas"], date(2026, 11, 1), date(2026, 11, 1))


async def test_verify_tells_what_is_missing_or_differs(hass: HomeAssistant) -> None:
    """And fails where nobody reads the answer."""
    bad = VerifyReport(
        "nas", "NAS", checked=3, proven=1, missing=["garden/a.jpg"], differing=["garden/b.jpg"], lost=["garden/b.jpg"], requeued=1
    )
    await set_up(hass, MadeUpStation(answers={"verify": [bad]}))
    answer = await act(hass, "verify")
    assert answer["all_proven"] is False
    assert answer["destinations"][0]["missing"] == ["garden/a.jpg"]
    assert answer["destinations"][0]["differing"] == answer["destinations"][0]["lost"] == ["garden/b.jpg"]
    with pytest.raises(HomeAssistantError, match=r"2 of 3 copies are missing or differ.*1 of them"):
        await act(hass, "verify", answer=False)


async def test_verify_refuses_days_in_the_wrong_order(hass: HomeAssistant) -> None:
    """Naming both fields."""
    await set_up(hass)
    with pytest.raises(ServiceValidationError, match=r"2026-11-02.*from_day.*2026-11-01.*to_day"):
        await act(hass, "verify", {"from_day": "2026-11-02", "to_day": "2026-11-01"})


async def test_verify_of_a_destination_that_is_not_there(hass: HomeAssistant) -> None:
    """Is no proof of anything."""
    await set_up(hass, MadeUpStation(answers={"verify": DestinationError("destination_hangs", destination_wide=True, path="/mnt/nas")}))
    with pytest.raises(HomeAssistantError, match="/mnt/nas does not answer"):
        await act(hass, "verify")


async def test_get_status(hass: HomeAssistant) -> None:
    """Everything, as JSON."""
    station = await set_up(hass)
    answer = await act(hass, "get_status")
    json.dumps(answer)
    assert answer["schedules"][0]["name"] == "Sunrise"
    assert answer["destinations"][0]["queue"]["verified"] == 96
    assert answer["next_capture_at"] == LATER.isoformat()
    assert answer["capture_success_percent"] == 95.0
    assert (answer["problems"], answer["last_error"]) == ([], None)
    station.tell(last_error_key="camera_busy")
    assert (await act(hass, "get_status"))["last_error"] == "The camera is taking another frame. Try again in a moment."
    with pytest.raises(ServiceValidationError):
        await act(hass, "get_status", answer=False)


async def test_cleanup_is_a_dry_run_unless_told_otherwise(hass: HomeAssistant) -> None:
    """Nothing is deleted by a call without fields."""
    report = CleanupReport(deleted=(FRAME.file.relative_path,), freed_bytes=5, blocked=False, free_bytes=50, dngs=("a.dng", "b.dng"))
    station = await set_up(hass, MadeUpStation(answers={"cleanup": report}))
    answer = await act(hass, "cleanup")
    assert station.asked[-1] == ("cleanup", True)
    assert (answer["dry_run"], answer["frames"], answer["freed_bytes"], answer["free_bytes"], answer["blocked"]) == (True, 1, 5, 50, False)
    assert (answer["paths"], answer["dngs"]) == ([FRAME.file.relative_path], 2)
    assert (await act(hass, "cleanup", {"dry_run": False}))["dry_run"] is False
    assert station.asked[-1] == ("cleanup", False)


async def test_reading_and_deleting_files_takes_an_administrator(hass: HomeAssistant, allowed: Path) -> None:
    """Other users may photograph and look."""
    station = await set_up(hass, MadeUpStation(answers={"capture": OUTCOME, "verify": []}))
    user = MockUser(groups=[]).add_to_hass(hass)
    for action in ("upload", "cleanup"):
        with pytest.raises(Unauthorized):
            await hass.services.async_call("skylapse", action, minimal(action, allowed), blocking=True, context=Context(user_id=user.id))
    assert station.asked == [("start",)]
