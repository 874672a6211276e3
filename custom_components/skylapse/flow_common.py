"""What the flows share: names, folders, and how an error of the engine becomes one of a form."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import slugify

from .const import CAMERA_KINDS, CONF_SLUG, CONF_SOURCE, DOMAIN
from .engine.errors import DestinationError
from .engine.upload.marker import prepare_folder
from .engine.upload.paths import printable
from .runtime import media_folder

LONGEST_NAME: Final = 64
_LONGEST_SLUG: Final = 60
"""Signs of other scripts become several letters each; the slug is part of every file's name."""
_LONGEST_PATH: Final = 1024
_SYSTEM_FOLDERS: Final = tuple(
    Path(folder) for folder in ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")
)


@asynccontextmanager
async def lent_camera(entry: ConfigEntry | None) -> AsyncGenerator[None]:
    """Have the camera of an entry to oneself inside the block: its station, if it runs, has it back only afterwards.

    A camera that is shared anyway, such as an entity, need not be lent.

    Raises ``SkylapseError`` if the station cannot spare it.
    """
    if entry is None or entry.state is not ConfigEntryState.LOADED or entry.data[CONF_SOURCE] not in CAMERA_KINDS:
        yield
        return
    async with entry.runtime_data.station.work.lent():
        yield


def clean_name(text: str) -> str:
    """Return a name as it is kept: no space around it, and single ones within."""
    return " ".join(text.split())


def name_error(name: str, taken: Iterable[str] = ()) -> str | None:
    """Return the key of what is wrong with a cleaned name, None if it can be used."""
    if not any(sign.isalnum() for sign in name):
        return "name_unusable"
    if len(name) > LONGEST_NAME:
        return "name_too_long"
    if not name.isprintable():
        return "name_unprintable"
    if name.casefold() in {other.casefold() for other in taken}:
        return "title_taken"
    return None


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number behind it if it is taken."""
    names = {other.casefold() for other in taken}
    count, free = 1, name
    while free.casefold() in names:
        count += 1
        free = f"{name} {count}"
    return free


async def unique_slug(hass: HomeAssistant, name: str) -> str:
    """Return a folder's name for a new camera that neither another camera nor a folder on disk has."""
    slug = slugify(name)[:_LONGEST_SLUG].strip("_")
    root = media_folder(hass)

    def folders() -> set[str]:
        return {path.name for path in root.iterdir()} if root.is_dir() else set()

    taken = await hass.async_add_executor_job(folders)
    taken |= {entry.data.get(CONF_SLUG, "") for entry in hass.config_entries.async_entries(DOMAIN)}
    count, free = 1, slug
    while free in taken:
        count += 1
        free = f"{slug}_{count}"
    return free


async def preset_names(hass: HomeAssistant) -> dict[str, str]:
    """Return the names of the presets in Home Assistant's language, by preset."""
    texts = await async_get_translations(hass, hass.config.language, "selector", [DOMAIN])
    start = f"component.{DOMAIN}.selector.preset.options."
    return {key.removeprefix(start): text for key, text in texts.items() if key.startswith(start)}


async def prepare_destination(hass: HomeAssistant, text: str) -> tuple[Path, str]:
    """Make a folder a destination; return its resolved path and its marker.

    Raises ``DestinationError`` with the key of the form's error.
    """
    path = await resolve_destination(hass, text)
    return path, await hass.async_add_executor_job(prepare_folder, path)


async def resolve_destination(hass: HomeAssistant, text: str) -> Path:
    """Return the resolved path of a folder that may become a destination; nothing is written.

    Raises ``DestinationError`` with the key of the form's error.
    """
    path = Path(text.strip())
    if not path.is_absolute():
        raise DestinationError("folder_not_absolute", path=printable(str(path)))
    if not text.isprintable() or len(text) > _LONGEST_PATH or ".." in path.parts:
        raise DestinationError("folder_unusable", path=printable(str(path)))
    return await hass.async_add_executor_job(_checked, path, Path(hass.config.config_dir), media_folder(hass))


def _checked(path: Path, config: Path, frames: Path) -> Path:
    """Resolve the path; refuse what belongs to the system, to Home Assistant or to the cameras."""
    path, config, frames = path.resolve(), config.resolve(), frames.resolve()
    if path == Path(path.anchor) or any(path.is_relative_to(folder) for folder in _SYSTEM_FOLDERS):
        raise DestinationError("folder_of_system", path=path)
    if path.is_relative_to(frames) or frames.is_relative_to(path):
        raise DestinationError("folder_of_frames", path=path, frames=frames)
    if path.is_relative_to(config):
        raise DestinationError("folder_of_config", path=path)
    return path


def destination_data(path: Path, marker_id: str, *, required: bool) -> dict[str, Any]:
    """Return the data of a folder destination."""
    return {"kind": "folder", "path": str(path), "marker_id": marker_id, "required": required}


def titles(entry: ConfigEntry, subentry_type: str, *, but: str | None = None) -> list[str]:
    """Return the names of an entry's schedules or destinations, without the one that is being changed."""
    return [item.title for item in entry.get_subentries_of_type(subentry_type) if item.subentry_id != but]
