"""What a person does in Home Assistant's front end, in words of the tests."""

import json
from pathlib import Path
import re
from typing import Any

from playwright.async_api import ConsoleMessage, Locator, Page, expect

from scripts.demo.api import PASSWORD, USER
from scripts.demo.home import ROOT

TEXTS: dict[str, Any] = json.loads((ROOT / "custom_components" / "skylapse" / "translations" / "en.json").read_text())

_PATIENCE_MS = 30_000
_OUR_COMPLAINT = re.compile(r" (WARNING|ERROR|CRITICAL) .*skylapse(?! which has not been tested by Home Assistant)")

# Pictures and spinners hide in shadow roots, which a selector for the whole page does not count
_QUIET = """() => {
    const all = (root) => [...root.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
    const elements = all(document);
    const busy = elements.some((e) => e.matches('ha-spinner, hass-loading-screen, ha-circular-progress') && e.checkVisibility());
    // of a picture that the front end wants from the internet it is enough that it was given up
    const images = elements.filter((e) => e.tagName === 'IMG' && e.src && e.loading !== 'lazy');
    return !busy && images.every((e) => e.complete);
}"""


class Driver:
    """A browser's page with Home Assistant in it."""

    def __init__(self, page: Page, url: str, pictures: Path) -> None:
        """Listen to what goes wrong in the page from now on."""
        self.page = page
        self.errors: list[str] = []
        """What the page complained about."""
        self._url = url
        self._pictures = pictures
        self._taken = 0
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(f"{error}"))

    @property
    def dialog(self) -> Locator:
        """The dialog of a flow."""
        return self.page.locator("dialog-data-entry-flow")

    async def log_in(self) -> None:
        """Log in as the demo's user."""
        await self.page.goto(self._url)
        await self.page.get_by_role("textbox", name="Username").fill(USER)
        await self.page.get_by_role("textbox", name="Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Log in").click()
        await expect(self.page.locator("home-assistant-main")).to_be_visible(timeout=_PATIENCE_MS)

    async def begin_to_add(self) -> None:
        """Open the dialog that adds a camera."""
        await self.open("/_my_redirect/config_flow_start?domain=skylapse")
        await self.page.get_by_role("button", name="OK").click()

    async def see_test_picture(self, name: str) -> None:
        """Wait for the dialog's test picture."""
        shot = self.dialog.locator("ha-markdown img").first
        await expect(shot).to_be_visible(timeout=_PATIENCE_MS)
        await self.quiet()
        await self.picture(name)
        assert await shot.evaluate("picture => picture.naturalWidth") > 300

    async def more_info(self, entity_id: str) -> Locator:
        """Open an entity's dialog, as a click on it does."""
        detail = {"detail": {"entityId": entity_id}, "bubbles": True, "composed": True}
        await self.page.locator("home-assistant").evaluate(
            "(element, detail) => element.dispatchEvent(new CustomEvent('hass-more-info', detail))", detail
        )
        dialog = self.page.locator("ha-more-info-dialog")
        await expect(dialog.get_by_role("button", name="Close").first).to_be_visible(timeout=_PATIENCE_MS)
        return dialog

    async def open(self, path: str) -> None:
        """Go to a page of the front end."""
        await self.page.goto(self._url + path, wait_until="domcontentloaded")

    async def quiet(self) -> None:
        """Wait until nothing loads any more."""
        await self.page.wait_for_function(_QUIET, timeout=_PATIENCE_MS)

    async def choose(self, *path: str) -> None:
        """Choose from the dialog's menu, by where the option's text stands in the translations."""
        await self.dialog.get_by_text(text(*path), exact=True).click()

    async def field(self, *path: str) -> Locator:
        """Return the dialog's text field with this label."""
        return self.dialog.get_by_role("textbox", name=re.compile(f"^{re.escape(text(*path))}")).first

    async def submit(self) -> None:
        """Send the dialog's form."""
        await self.dialog.get_by_role("button", name=re.compile("^(Submit|Next)$")).click()

    async def finish(self) -> None:
        """Close the dialog that says that all is well."""
        await self.dialog.get_by_role("button", name=re.compile("^(Finish|Skip and finish|Close)$", re.IGNORECASE)).first.click()
        await expect(self.dialog).to_be_hidden(timeout=_PATIENCE_MS)

    async def picture(self, name: str) -> None:
        """Take a screenshot for people to look at."""
        self._taken += 1
        await self.page.wait_for_timeout(400)  # dialogs open with an animation
        await self.page.screenshot(path=self._pictures / f"{self._taken:02}-{name}.png")

    def _heard(self, message: ConsoleMessage) -> None:
        """Note an error in the page's console."""
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")


def complaints(log: Path) -> list[str]:
    """Return what Skylapse complained about in Home Assistant's log."""
    return [line for line in log.read_text().splitlines() if _OUR_COMPLAINT.search(line)]


def text(*path: str) -> str:
    """Return a text of the integration by its place in the translations."""
    found: Any = TEXTS
    for key in path:
        found = found[key]
    return str(found)
