"""A real Home Assistant of its own, and a browser that is logged in to it."""

from collections.abc import AsyncIterator, Iterator
import os
from pathlib import Path
import shutil

from playwright.async_api import Browser, async_playwright
import pytest

from scripts.demo.api import Api, connect
from scripts.demo.home import ROOT, Folders, HomeAssistant, free_port

from .driver import Driver

PICTURES = ROOT / ".skylapse" / "browser"
"""Each test has a folder of its own in there: they run side by side."""

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = [
    "--no-sandbox",  # root, as in a container, cannot have one
    "--disable-dev-shm-usage",  # a container's is too small
    "--disable-gpu",
    "--hide-scrollbars",
    "--mute-audio",
    "--disable-component-update",
    "--disable-background-networking",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out unless they were asked for: they need a browser, and half a minute."""
    if os.environ.get("SKYLAPSE_BROWSER"):
        return
    ours = [item for item in items if item.get_closest_marker("browser")]
    if ours:
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    """The folder for what the test saw, empty."""
    folder = PICTURES / request.node.name.removeprefix("test_")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def home(tmp_path: Path, pictures: Path, socket_enabled: None) -> Iterator[HomeAssistant]:
    """A Home Assistant that has just been started for the first time."""
    home = HomeAssistant(Folders(tmp_path), free_port())
    home.prepare()
    home.start()
    try:
        yield home
    finally:
        home.stop()
        shutil.copy(home.folders.log, pictures / "home-assistant.log")


@pytest.fixture
async def api(home: HomeAssistant) -> AsyncIterator[Api]:
    """Its interface, once it is up and has its user."""
    async with connect(home.url, lambda: home.running) as api:
        yield api


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    assert program, "there is no Chromium here; scripts/setup --browser installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_SWITCHES)
        yield browser
        await browser.close()


@pytest.fixture
async def driver(browser: Browser, home: HomeAssistant, api: Api, pictures: Path) -> AsyncIterator[Driver]:
    """A page of the front end, not logged in yet."""
    context = await browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Amsterdam", service_workers="block"
    )
    driver = Driver(await context.new_page(), home.url, pictures)
    yield driver
    await driver.picture("end")  # a test that failed shows here where
    await context.close()
