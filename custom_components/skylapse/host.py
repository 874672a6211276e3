"""Home Assistant as the engine's host: its place, its entities, its other cameras."""

import asyncio

from homeassistant.components.camera import async_get_image
from homeassistant.components.weather import ATTR_WEATHER_CLOUD_COVERAGE, DOMAIN as WEATHER
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .engine.errors import CaptureTimeout, SourceError
from .engine.ports import EntityReading, FetchImage, ReadEntity, Site


def site(hass: HomeAssistant) -> Site:
    """Return where Home Assistant says it stands, now."""
    return Site(
        latitude_deg=hass.config.latitude,
        longitude_deg=hass.config.longitude,
        elevation_m=hass.config.elevation,
        timezone=dt_util.get_default_time_zone(),
    )


def entity_reader(hass: HomeAssistant) -> ReadEntity:
    """Return a function that reads an entity's state."""

    def read(entity_id: str) -> EntityReading:
        state = hass.states.get(entity_id)
        if state is None or state.state in {STATE_UNAVAILABLE, STATE_UNKNOWN}:
            return EntityReading(entity_id, None)
        # The state of a weather is a word; what a person means by a range is how much of the sky is covered
        cover = state.attributes.get(ATTR_WEATHER_CLOUD_COVERAGE) if state.domain == WEATHER else None
        return EntityReading(entity_id, state.state, float(cover) if isinstance(cover, int | float) else None)

    return read


def image_fetcher(hass: HomeAssistant) -> FetchImage:
    """Return a function that takes a picture of another camera of Home Assistant."""

    async def fetch(entity_id: str, timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                image = await async_get_image(hass, entity_id, timeout=max(1, round(timeout_s)))
        except TimeoutError:
            raise CaptureTimeout(deadline_s=f"{timeout_s:g}") from None
        except HomeAssistantError as err:
            # Not the other integration's own words: they may hold an address with a password in it
            raise SourceError("entity_no_picture", entity_id=entity_id) from err
        return image.content

    return fetch
