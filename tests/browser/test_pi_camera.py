"""A Raspberry Pi's camera on another machine: add it over SSH, look at its live view, correct its exposure."""

from contextlib import suppress

from playwright.async_api import Locator, expect
import pytest

from custom_components.skylapse.engine.remote.ssh import fingerprint
from scripts.demo.api import Api, ApiError, until
from scripts.demo.home import HomeAssistant
from tests.rig.fixtures import MakeRig
from tests.rig.sshd import Sshd

from .driver import Driver, complaints

NAME = "Garden pi"
LIVE, CORRECTION = "camera.garden_pi_live_view", "number.garden_pi_exposure_correction"


@pytest.mark.browser
@pytest.mark.timeout(120)
async def test_a_pi_over_ssh(driver: Driver, api: Api, home: HomeAssistant, rig: MakeRig, sshd: Sshd) -> None:
    await driver.log_in()
    await _find_machine(driver, sshd)
    await _choose_camera(driver, rig(frame_us=50_000).python)
    await _look(driver, api)
    await _correct_exposure(driver, api)

    assert complaints(home.folders.log) == []
    assert sshd.private_key.splitlines()[1] not in home.folders.log.read_text()
    assert [error for error in driver.errors if "skylapse" in error.lower()] == []


async def _find_machine(driver: Driver, sshd: Sshd) -> None:
    """Look here in vain, go on to the other machine, compare its host key and log in with a key."""
    await driver.begin_to_add()
    await driver.choose("config", "step", "user", "menu_options", "camera")
    await driver.choose("config", "step", "none_here", "menu_options", "ssh")
    await (await driver.field("config", "step", "ssh", "data", "host")).fill(sshd.host)
    await driver.dialog.get_by_role("spinbutton").fill(str(sshd.port))
    await (await driver.field("config", "step", "ssh", "data", "username")).fill(sshd.username)
    await driver.picture("machine")
    await driver.submit()
    await expect(driver.dialog.get_by_text(fingerprint(sshd.host_key))).to_be_visible()
    await driver.picture("host-key")
    await driver.choose("config", "step", "host_key", "submit")
    await driver.choose("config", "step", "auth", "menu_options", "auth_key_own")
    await (await driver.field("config", "step", "auth_key_own", "data", "private_key")).fill(sshd.private_key)
    await driver.submit()


async def _choose_camera(driver: Driver, python: str) -> None:
    """Name the Python that has picamera2, and take the camera that it finds."""
    await driver.choose("config", "step", "none_there", "menu_options", "interpreter")
    await (await driver.field("config", "step", "interpreter", "data", "python")).fill(python)
    await driver.submit()
    await (await driver.field("config", "step", "pick", "data", "name")).fill(NAME)
    await driver.picture("camera")
    await driver.submit()
    await driver.see_test_picture("test-picture")
    await driver.choose("config", "step", "test_shot", "menu_options", "schedules")
    await driver.submit()
    await driver.finish()


async def _look(driver: Driver, api: Api) -> None:
    """See the live view move, and end once nobody looks."""
    for _ in range(3):
        view = (await driver.more_info(LIVE)).locator("img").first
        with suppress(ApiError):
            await until(lambda: _shown(view), 5)  # noqa: B023  awaited here
            break
        # busy as it is here, Chromium now and then shows nothing of a stream that comes; a person opens it again, too
        await driver.page.keyboard.press("Escape")
    assert await _is(api, LIVE, "streaming")
    await driver.picture("live-view")
    first = await view.screenshot()
    await until(lambda: _differs(view, first), 10)
    await driver.page.keyboard.press("Escape")
    await until(lambda: _is(api, LIVE, "idle"), 10)


async def _shown(view: Locator) -> bool:
    """Whether the live view has come."""
    return bool(await view.count() and await view.evaluate("picture => picture.naturalWidth") > 300)


async def _differs(view: Locator, before: bytes) -> bool:
    """Whether the live view has moved on."""
    return await view.screenshot() != before


async def _correct_exposure(driver: Driver, api: Api) -> None:
    """Ask for twice the light, and see that the camera gives it."""
    before = await _exposure_us(api)
    field = (await driver.more_info(CORRECTION)).get_by_role("spinbutton")
    await field.fill("1")
    await field.press("Enter")
    await until(lambda: _is(api, CORRECTION, "1.0"), 10)
    await driver.picture("exposure-correction")
    assert await _exposure_us(api) == pytest.approx(2 * before, rel=0.1)


async def _is(api: Api, entity_id: str, state: str) -> bool:
    return await api.state(entity_id) == state


async def _exposure_us(api: Api) -> int:
    """Return how long the camera exposes now."""
    answer = await api.call("call_service", domain="skylapse", service="test_capture", service_data={}, return_response=True)
    exposure_us: int = answer["response"]["exposure_us"]
    return exposure_us
