"""The picture a person sees before a camera is saved: taken through the real source, shown in the flow's own dialog."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from io import BytesIO
import logging
import secrets
from typing import Any, Final

from aiohttp import web
from homeassistant.components.http import KEY_HASS, HomeAssistantView
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey
from PIL import Image, ImageOps, UnidentifiedImageError

from .const import DOMAIN, OPT_DEADLINE_S
from .engine.errors import BadPicture, CaptureTimeout, SkylapseError, SourceError
from .engine.ports import SystemClock
from .engine.sources.base import CaptureRequest, FrameSource, Shot
from .engine.sources.build import build_source
from .host import image_fetcher, site

_LOGGER = logging.getLogger(__name__)

LIFETIME: Final = timedelta(minutes=10)
"""How long a picture can be looked at."""
KEPT: Final = 4
"""Pictures kept in memory at most, over all dialogs that are open."""
WIDTH_PX: Final = 640
"""The longer side of the picture shown: what the dialog has room for."""
GRACE_S: Final = 5.0
"""Seconds a source may overrun its deadline before it is cancelled."""

_STORE: Final[HassKey[dict[str, _Kept]]] = HassKey(f"{DOMAIN}_test_shots")


@dataclass(frozen=True, slots=True)
class TestShot:
    """A picture that was taken to be looked at."""

    preview: bytes
    """A small JPEG of it."""
    width_px: int
    height_px: int
    size_bytes: int
    duration_s: float
    exposure_us: int | None
    gain: float | None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A preview in memory, until an instant of the event loop's clock."""

    jpeg: bytes
    until: float


async def take_test_shot(hass: HomeAssistant, data: Mapping[str, Any], options: Mapping[str, Any]) -> TestShot:
    """Build the source of an entry, take one frame, let the source go.

    Raises ``SkylapseError``: whatever goes wrong is told in the form.
    """
    clock = SystemClock()
    deadline_s = float(options[OPT_DEADLINE_S])
    try:
        source = build_source(data, options, site=partial(site, hass), clock=clock, fetch_image=image_fetcher(hass))
        began = clock.monotonic()
        shot = await _capture(source, clock, deadline_s)
        duration_s = clock.monotonic() - began
    except SkylapseError:
        raise
    except TimeoutError:
        raise CaptureTimeout(deadline_s=f"{deadline_s:g}") from None
    except Exception as err:  # a driver may fail in any way; the form has to answer all the same
        _LOGGER.exception("The test picture failed")
        raise SourceError("source_broken", error=type(err).__name__) from err
    preview, width, height = await hass.async_add_executor_job(_shrink, shot.jpeg)
    return TestShot(preview, width, height, len(shot.jpeg), duration_s, shot.exposure_us, shot.gain)


async def _capture(source: FrameSource, clock: SystemClock, deadline_s: float) -> Shot:
    """Take one frame of a source that was not started yet."""
    try:
        async with asyncio.timeout(deadline_s + GRACE_S):
            await source.start()
            return await source.capture(CaptureRequest(due_at=clock.now(), deadline_s=deadline_s))
    finally:
        await source.close()


def _shrink(jpeg: bytes) -> tuple[bytes, int, int]:
    """Return a small JPEG of a picture, and the picture's own width and height. Raises ``BadPicture``."""
    try:
        with Image.open(BytesIO(jpeg), formats=["JPEG"]) as picture:
            width, height = picture.size
            picture.draft("RGB", (WIDTH_PX, WIDTH_PX))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((WIDTH_PX, WIDTH_PX))
        small = BytesIO()
        upright.save(small, "JPEG", quality=80)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise BadPicture("picture_unreadable", error=type(err).__name__) from err
    return small.getvalue(), width, height


@callback
def keep(hass: HomeAssistant, shot: TestShot) -> tuple[str, str]:
    """Keep a preview for some minutes; return its token and the signed path at which the dialog finds it."""
    if (store := hass.data.get(_STORE)) is None:
        store = hass.data[_STORE] = {}
        hass.http.register_view(TestShotView())
    now = hass.loop.time()
    for token in [token for token, kept in store.items() if kept.until <= now]:
        del store[token]
    while len(store) >= KEPT:
        del store[next(iter(store))]
    token = secrets.token_urlsafe(24)
    store[token] = _Kept(shot.preview, now + LIFETIME.total_seconds())
    return token, async_sign_path(hass, f"/api/{DOMAIN}/test_shot/{token}", LIFETIME)


@callback
def forget(hass: HomeAssistant, token: str) -> None:
    """Drop a preview; nothing happens if it is gone already."""
    hass.data.get(_STORE, {}).pop(token, None)


class TestShotView(HomeAssistantView):
    """Serves the previews to whoever opened the dialog."""

    url = f"/api/{DOMAIN}/test_shot/{{token}}"
    name = f"api:{DOMAIN}:test_shot"

    async def get(self, request: web.Request, token: str) -> web.Response:
        """Return the picture, or 404 once its time is over."""
        hass = request.app[KEY_HASS]
        kept = hass.data[_STORE].get(token)
        if kept is None or kept.until <= hass.loop.time():
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(body=kept.jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"})
