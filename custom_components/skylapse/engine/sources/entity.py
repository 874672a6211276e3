"""Another camera of Home Assistant as a source: whatever it shows is the frame."""

import asyncio
from typing import Final, override

from ..errors import CaptureTimeout
from ..ports import Clock, FetchImage
from .base import CaptureRequest, FrameSource, Shot, SourceCapabilities, SourceIdentity
from .jpeg import check_jpeg

_INLINE_BYTES: Final = 1_000_000
"""Up to this size the check takes well under a millisecond; bigger pictures are checked in a thread."""


class EntitySource(FrameSource):
    """Fetches one picture per capture.

    A picture with the very same bytes as the last one still is a frame: a still picture served as a camera never changes,
    and whether a live camera froze is not for the source to judge.
    """

    def __init__(self, entity_id: str, fetch: FetchImage, clock: Clock) -> None:
        """Set which entity is photographed and who fetches it."""
        self._entity_id = entity_id
        self._fetch = fetch
        self._clock = clock

    @property
    @override
    def identity(self) -> SourceIdentity:
        """Return the entity's id: who made the camera behind it is not known here."""
        return SourceIdentity(kind="entity", manufacturer="Home Assistant", model="Camera entity", serial=self._entity_id)

    @property
    @override
    def capabilities(self) -> SourceCapabilities:
        """Return that nothing can be asked for: an entity shows what it shows."""
        return SourceCapabilities()

    @override
    async def start(self) -> None:
        """Do nothing: the entity may appear later than this station, and the first capture tells."""

    @override
    async def capture(self, request: CaptureRequest) -> Shot:
        """Fetch one picture and see that it is whole.

        Raises ``CaptureTimeout``, ``BadPicture`` (a PNG among them: frames are JPEG files and are never re-encoded) or
        what fetching raised.
        """
        taken_at = self._clock.now()
        try:
            async with asyncio.timeout(request.deadline_s):
                jpeg = await self._fetch(self._entity_id, request.deadline_s)
                if len(jpeg) > _INLINE_BYTES:
                    width, height = await asyncio.to_thread(check_jpeg, jpeg)
                else:
                    width, height = check_jpeg(jpeg)
        except TimeoutError:
            raise CaptureTimeout(deadline_s=f"{request.deadline_s:g}") from None
        return Shot(jpeg=jpeg, taken_at=taken_at, width_px=width, height_px=height)

    @override
    async def close(self) -> None:
        """Do nothing: nothing is held between two captures."""
