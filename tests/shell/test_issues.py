"""Repair issues: raised when something breaks, gone when it is healed, and one line in the log for each."""

from dataclasses import replace
import json
import logging
from pathlib import Path
import string
from typing import Any

from homeassistant.components.repairs.const import DOMAIN as REPAIRS
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.skylapse.engine.errors import CatalogueError
from custom_components.skylapse.engine.frames.records import QueueCounts
from custom_components.skylapse.engine.status import Problem
from custom_components.skylapse.repairs import async_create_fix_flow

from .rig import NAS, STATUS, MadeUpStation, garden, set_up

UNMOUNTED = replace(NAS, available=False, error_key="destination_not_mounted", error_placeholders={"path": "/mnt/nas"})
QUARANTINED = replace(NAS, queue=QueueCounts(quarantined=3))

BROKEN: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    Problem.CAPTURE_FAILING: (
        {"consecutive_failures": 3, "last_error_key": "capture_timeout", "last_error_placeholders": {"deadline_s": "30"}},
        "",
        {"count": "3"},
    ),
    Problem.CLOCK_NOT_SET: ({}, "", {}),
    Problem.STORAGE_FULL: ({"storage_free_bytes": 1_230_000_000}, "", {"free_gb": "1.2"}),
    Problem.STORAGE_FAILED: ({"last_error_key": "read_only", "last_error_placeholders": {"path": "/media"}}, "", {}),
    Problem.FRAMES_MISSING: ({}, "", {}),
    Problem.HOST_KEY_CHANGED: ({}, "", {}),
    Problem.CAMERA_NEEDS_REBOOT: ({}, "", {}),
    Problem.DESTINATION_UNAVAILABLE: ({"destinations": (UNMOUNTED,)}, "_nas", {"destination": "NAS", "queued": "4"}),
    Problem.UPLOADS_QUARANTINED: ({"destinations": (QUARANTINED,)}, "_nas", {"destination": "NAS", "count": "3"}),
}
LOSSLESS = {Problem.DESTINATION_UNAVAILABLE, Problem.UPLOADS_QUARANTINED}
FIXABLE = {*LOSSLESS, Problem.FRAMES_MISSING, Problem.HOST_KEY_CHANGED}
OWN_WORDS = {Problem.HOST_KEY_CHANGED: {"host", "pinned", "found", "command"}}
"""What a fix flow finds out for its text by itself."""


def open_issues(hass: HomeAssistant) -> set[str]:
    """Return the ids of Skylapse's issues."""
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == "skylapse"}


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what Skylapse's issues logged at that level."""
    return [
        record.getMessage() for record in caplog.records if record.name == "custom_components.skylapse.issues" and record.levelno == level
    ]


@pytest.mark.parametrize("problem", BROKEN)
async def test_a_problem_is_raised_and_heals(hass: HomeAssistant, caplog: pytest.LogCaptureFixture, problem: Problem) -> None:
    """With all that its text wants to tell, logged once each."""
    caplog.set_level(logging.INFO)
    changes, suffix, expected = BROKEN[problem]
    station = await set_up(hass)
    assert open_issues(hass) == set()

    for _ in range(3):
        station.tell(problems=frozenset({problem}), **changes)
    issue_id = f"01GARDEN_{problem}{suffix}"
    assert open_issues(hass) == {issue_id}
    issue = ir.async_get(hass).async_get_issue("skylapse", issue_id)
    assert issue.translation_placeholders.items() >= {"camera": "Garden", **expected}.items()
    assert "{" not in str(issue.translation_placeholders.values())
    assert issue.is_fixable is (problem in FIXABLE)
    assert issue.severity is (ir.IssueSeverity.WARNING if problem in LOSSLESS else ir.IssueSeverity.ERROR)
    texts = json.loads(await hass.async_add_executor_job(Path("custom_components/skylapse/translations/en.json").read_text))
    text = texts["issues"][problem]
    described = text["fix_flow"]["step"]["confirm"] if issue.is_fixable else text
    wanted = {name for part in (text["title"], described["description"]) for _, name, _, _ in string.Formatter().parse(part) if name}
    assert wanted <= set(issue.translation_placeholders) | OWN_WORDS.get(problem, set())

    healed = {"problems": frozenset(), "destinations": (NAS,), "last_error_key": None, "consecutive_failures": 0}
    for _ in range(2):
        station.tell(**healed)
    assert open_issues(hass) == set()
    assert len(lines(caplog, logging.WARNING)) == 1
    assert f"Garden: {problem}" in lines(caplog, logging.WARNING)[0]
    assert lines(caplog, logging.INFO) == [f"Garden: {problem} is over"]


async def test_refused_credentials_are_logged_but_no_issue(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    """Home Assistant asks for new ones by itself."""
    caplog.set_level(logging.INFO)
    station = await set_up(hass)
    for problems in (frozenset({Problem.CREDENTIALS_REFUSED}), frozenset()):
        station.tell(problems=problems)
        assert open_issues(hass) == set()
    assert lines(caplog, logging.WARNING) == ["Garden: credentials_refused"]
    assert lines(caplog, logging.INFO) == ["Garden: credentials_refused is over"]
    assert {*BROKEN, Problem.CREDENTIALS_REFUSED} == set(Problem)


@pytest.mark.parametrize("cause", [Problem.HOST_KEY_CHANGED, Problem.CREDENTIALS_REFUSED, Problem.CAMERA_NEEDS_REBOOT])
async def test_failing_captures_are_no_news_beside_their_cause(hass: HomeAssistant, cause: Problem) -> None:
    station = await set_up(hass, MadeUpStation(replace(STATUS, problems=frozenset({Problem.CAPTURE_FAILING}))))
    assert open_issues(hass) == {"01GARDEN_capture_failing"}
    station.tell(problems=frozenset({Problem.CAPTURE_FAILING, cause}))
    assert "01GARDEN_capture_failing" not in open_issues(hass)


async def test_what_is_wrong_at_the_start_is_raised(hass: HomeAssistant) -> None:
    """Not only what changes later."""
    await set_up(hass, MadeUpStation(replace(STATUS, problems=frozenset({Problem.FRAMES_MISSING}), destinations=(UNMOUNTED,))))
    assert open_issues(hass) == {"01GARDEN_frames_missing", "01GARDEN_destination_unavailable_nas"}


async def test_an_issue_follows_what_it_tells(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    """Without another line in the log."""
    station = await set_up(hass, MadeUpStation(replace(STATUS, destinations=(QUARANTINED,))))
    station.tell(destinations=(replace(NAS, queue=QueueCounts(quarantined=5)),))
    issue = ir.async_get(hass).async_get_issue("skylapse", "01GARDEN_uploads_quarantined_nas")
    assert issue.translation_placeholders["count"] == "5"
    assert len(lines(caplog, logging.WARNING)) == 1


async def test_missing_details_are_no_error(hass: HomeAssistant) -> None:
    """A station may not know why, or how much."""
    every = frozenset(Problem)
    bare = replace(STATUS, problems=every, storage_free_bytes=None, destinations=(replace(NAS, available=False),))
    await set_up(hass, MadeUpStation(bare))
    registry = ir.async_get(hass)
    assert registry.async_get_issue("skylapse", "01GARDEN_storage_full").translation_placeholders["free_gb"] == "?"
    assert registry.async_get_issue("skylapse", "01GARDEN_destination_unavailable_nas").translation_placeholders["error"] == "-"


async def test_unloading_takes_all_back_and_loading_raises_them_again(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    """A station that is not loaded has no problems, and is not healed either."""
    caplog.set_level(logging.INFO)
    await set_up(hass, MadeUpStation(replace(STATUS, destinations=(UNMOUNTED,))))
    await hass.config_entries.async_unload("01GARDEN")
    assert open_issues(hass) == set()
    assert lines(caplog, logging.INFO) == []


async def fix(hass: HomeAssistant, issue_id: str) -> Any:
    """Walk through the fix flow of an issue, as the repairs dashboard does."""
    manager = hass.data[REPAIRS]["flow_manager"]
    form = await manager.async_init("skylapse", data={"issue_id": issue_id}, context={"issue_id": issue_id})
    assert form["type"] is FlowResultType.FORM
    assert form["step_id"] == "confirm"
    return form, await manager.async_configure(form["flow_id"], {})


async def test_a_person_can_have_uploads_tried_again(hass: HomeAssistant) -> None:
    """If that did not help, the issue comes back with the next status."""
    assert await async_setup_component(hass, "repairs", {})
    station = await set_up(hass, MadeUpStation(replace(STATUS, destinations=(UNMOUNTED,))))
    issue_id = "01GARDEN_destination_unavailable_nas"
    form, done = await fix(hass, issue_id)
    assert form["description_placeholders"]["destination"] == "NAS"
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert station.asked[-1] == ("retry_uploads", "nas")
    assert open_issues(hass) == set()
    station.tell()
    assert open_issues(hass) == {issue_id}


async def test_a_person_can_accept_that_frames_are_gone(hass: HomeAssistant) -> None:
    """They may have deleted them themselves."""
    assert await async_setup_component(hass, "repairs", {})
    station = await set_up(hass, MadeUpStation(replace(STATUS, problems=frozenset({Problem.FRAMES_MISSING}))))
    form, done = await fix(hass, "01GARDEN_frames_missing")
    assert form["description_placeholders"]["camera"] == "Garden"
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert station.asked[-1] == ("forget_missing",)


async def test_a_fix_that_fails_leaves_the_issue(hass: HomeAssistant) -> None:
    """And tells why."""
    assert await async_setup_component(hass, "repairs", {})
    failure = CatalogueError(path="/config/skylapse/x.db", reason="locked")
    await set_up(hass, MadeUpStation(replace(STATUS, destinations=(QUARANTINED,)), answers={"retry_uploads": failure}))
    issue_id = "01GARDEN_uploads_quarantined_nas"
    _, done = await fix(hass, issue_id)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "retry_failed")
    assert "x.db cannot be used: locked" in done["description_placeholders"]["error"]
    assert open_issues(hass) == {issue_id}


async def test_nothing_can_be_tried_while_the_camera_is_not_loaded(hass: HomeAssistant) -> None:
    """The entry may have been unloaded while the flow was open."""
    await set_up(hass)
    flow = await async_create_fix_flow(hass, "01GARDEN_x", {"entry_id": "01GARDEN", "problem": "x", "destination_id": "nas"})
    flow.hass, flow.handler, flow.flow_id, flow.context = hass, "skylapse", "1", {"issue_id": "01GARDEN_x"}
    assert (await flow.async_step_init())["description_placeholders"] is None
    await hass.config_entries.async_unload("01GARDEN")
    garden("Roof", "01ROOF").add_to_hass(hass)
    done = await flow.async_step_confirm({})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "not_loaded")
