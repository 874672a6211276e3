"""The first hour with Skylapse: add a camera, a schedule and a destination in the front end, see frames and verified copies."""

import asyncio
import hashlib
from pathlib import Path
import re

from playwright.async_api import expect
import pytest

from scripts.demo import cameras, dashboard
from scripts.demo.api import Api, until
from scripts.demo.home import HomeAssistant

from .driver import Driver, complaints

NAME = "Garden sky"
ENOUGH = 3
"""So many frames have to arrive and be proven."""


@pytest.mark.browser
@pytest.mark.timeout(240)
async def test_from_nothing_to_verified_copies(driver: Driver, api: Api, home: HomeAssistant) -> None:
    share = home.folders.nas
    await driver.log_in()

    await _add_camera(driver)
    await _add_schedule(driver)
    await _add_destination(driver, share)

    # frames, their copies, and the list that proves them
    await until(lambda: asyncio.to_thread(lambda: _proven(share) >= ENOUGH), 60)
    await dashboard.save(api, await cameras.cameras(api))
    await _see_dashboard(driver)

    assert complaints(home.folders.log) == []
    assert [error for error in driver.errors if "skylapse" in error.lower()] == []


async def _add_camera(driver: Driver) -> None:
    """Add a simulated camera, and see its test picture."""
    await driver.begin_to_add()
    await driver.choose("config", "step", "user", "menu_options", "simulated")
    await (await driver.field("config", "step", "simulated", "data", "name")).fill(NAME)
    await driver.picture("camera")
    await driver.submit()
    await driver.see_test_picture("test-picture")
    await driver.choose("config", "step", "test_shot", "menu_options", "schedules")
    await driver.picture("presets")
    await driver.submit()
    await driver.finish()


async def _add_schedule(driver: Driver) -> None:
    """Add a schedule that is active whatever the time."""
    await _open_integration(driver)
    await driver.page.get_by_role("button", name="Add schedule").first.click()
    await driver.choose("config_subentries", "schedule", "step", "user", "menu_options", "all_day")
    for part, value in (("mm", "0"), ("ss", "2")):
        await driver.dialog.get_by_role("spinbutton", name=part).last.fill(value)
    await driver.picture("schedule")
    await driver.submit()
    await driver.finish()


async def _add_destination(driver: Driver, share: Path) -> None:
    """Add a folder to copy to; see that one that is not there is refused in plain words."""
    await _open_integration(driver)
    await driver.page.get_by_role("button", name="Add destination").first.click()
    path = await driver.field("config_subentries", "destination", "step", "folder", "data", "path")
    await path.fill(str(share / "missing"))
    await driver.submit()
    await expect(driver.dialog.get_by_text(re.compile("does not exist"))).to_be_visible()
    await driver.picture("destination-missing")
    await path.fill(str(share))
    await driver.picture("destination")
    await driver.submit()
    await driver.finish()
    await _open_integration(driver)
    await driver.quiet()
    await driver.picture("integration")


async def _open_integration(driver: Driver) -> None:
    """Go to the integration's page."""
    await driver.open("/config/integrations/integration/skylapse")
    await expect(driver.page.get_by_text(NAME).first).to_be_visible()


async def _see_dashboard(driver: Driver) -> None:
    """See the dashboard with the last frame on it, wide and on a phone."""
    await driver.open(f"/{dashboard.PATH}")
    frame = driver.page.locator("hui-picture-entity-card img").first
    await expect(frame).to_be_visible()
    await driver.quiet()
    await driver.picture("dashboard")
    assert await frame.evaluate("picture => picture.naturalWidth") > 300
    await driver.page.set_viewport_size({"width": 390, "height": 844})
    await driver.quiet()
    await driver.picture("dashboard-phone")


def _proven(share: Path) -> int:
    """Check all that the lists of the destination name; return how many files that is."""
    count = 0
    for sums in share.rglob("SHA256SUMS"):
        for line in sums.read_text().splitlines():
            digest, _, name = line.partition("  ")
            assert hashlib.sha256((sums.parent / name).read_bytes()).hexdigest() == digest, name
            count += 1
    return count
