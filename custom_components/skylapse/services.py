"""The actions: on frames, on their copies, and on the camera itself. They exist whether or not a camera is loaded."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_get_config_entry, async_register_admin_service
from homeassistant.util.json import JsonObjectType, JsonValueType
import voluptuous as vol

from .const import DOMAIN, FOCUS_FIXED, OPT_FOCUS_MODE, OPT_LENS_POSITION, SUBENTRY_DESTINATION
from .engine.frames.records import UploadRecord, UploadState
from .engine.sources.readings import spread
from .errors import describe, invalid, translated_errors
from .json_view import to_json
from .runtime import SkylapseConfigEntry

ACTION_CAPTURE = "capture"
ACTION_UPLOAD = "upload"
ACTION_VERIFY = "verify"
ACTION_GET_STATUS = "get_status"
ACTION_CLEANUP = "cleanup"
ACTION_TEST_CAPTURE = "test_capture"
ACTION_FOCUS_SWEEP = "focus_sweep"
ACTION_MEASURE_BASELINE = "measure_baseline"

FIELD_ENTRY = "config_entry_id"
FIELD_EXPOSURE = "exposure_us"
FIELD_GAIN = "gain"
FIELD_PATHS = "paths"
FIELD_DESTINATIONS = "destinations"
FIELD_WAIT = "wait"
FIELD_TIMEOUT = "timeout"
FIELD_FROM = "from_day"
FIELD_TO = "to_day"
FIELD_DRY_RUN = "dry_run"
FIELD_START = "from"
FIELD_END = "to"
FIELD_STEPS = "steps"
FIELD_POSITIONS = "positions"
FIELD_APPLY = "apply"
FIELD_COUNT = "count"
FIELD_BASELINE = "baseline_ms"
FIELD_STORE = "store"

MAX_EXPOSURE_US = 3_600_000_000
"""One hour, far beyond what any sensor takes."""
MAX_GAIN = 1024.0
DEFAULT_TIMEOUT_S = 300
MAX_TIMEOUT_S = 86_400
DEFAULT_STEPS = 11
MAX_STEPS = 50
MAX_DIOPTRES = 100.0
"""One centimetre, far nearer than any lens; the camera's own limits are checked by it."""
DEFAULT_COUNT = 10
MAX_COUNT = 100
MAX_BASELINE_MS = 3_600_000
LISTED = 1000
"""How many files a response names at most; its counts are always of all."""

ENTRY = {vol.Optional(FIELD_ENTRY): cv.string}
DESTINATIONS = {vol.Optional(FIELD_DESTINATIONS): vol.All(cv.ensure_list, [cv.string], vol.Length(min=1))}

POSITION = vol.All(vol.Coerce(float), vol.Range(min=0.0, max=MAX_DIOPTRES))

CAPTURE_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Optional(FIELD_EXPOSURE): vol.All(vol.Coerce(int), vol.Range(min=1, max=MAX_EXPOSURE_US)),
        vol.Optional(FIELD_GAIN): vol.All(vol.Coerce(float), vol.Range(min=1.0, max=MAX_GAIN)),
    }
)
FOCUS_SWEEP_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Optional(FIELD_START): POSITION,
        vol.Optional(FIELD_END): POSITION,
        vol.Optional(FIELD_STEPS): vol.All(vol.Coerce(int), vol.Range(min=2, max=MAX_STEPS)),
        vol.Optional(FIELD_POSITIONS): vol.All(cv.ensure_list, [POSITION], vol.Length(min=2, max=MAX_STEPS)),
        vol.Optional(FIELD_APPLY, default=False): cv.boolean,
    }
)
MEASURE_BASELINE_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Optional(FIELD_COUNT, default=DEFAULT_COUNT): vol.All(vol.Coerce(int), vol.Range(min=1, max=MAX_COUNT)),
        vol.Optional(FIELD_BASELINE): vol.All(vol.Coerce(float), vol.Range(min=1.0, max=MAX_BASELINE_MS)),
        vol.Optional(FIELD_STORE, default=False): cv.boolean,
    }
)
UPLOAD_SCHEMA = vol.Schema(
    {
        **ENTRY,
        **DESTINATIONS,
        vol.Required(FIELD_PATHS): vol.All(cv.ensure_list, [cv.string], vol.Length(min=1)),
        vol.Optional(FIELD_WAIT, default=False): cv.boolean,
        vol.Optional(FIELD_TIMEOUT, default=DEFAULT_TIMEOUT_S): vol.All(vol.Coerce(int), vol.Range(min=1, max=MAX_TIMEOUT_S)),
    }
)
VERIFY_SCHEMA = vol.Schema({**ENTRY, **DESTINATIONS, vol.Optional(FIELD_FROM): cv.date, vol.Optional(FIELD_TO): cv.date})
STATUS_SCHEMA = vol.Schema(ENTRY)
CLEANUP_SCHEMA = vol.Schema({**ENTRY, vol.Optional(FIELD_DRY_RUN, default=True): cv.boolean})


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions. Those that read or delete files take an administrator; automations always may."""
    hass.services.async_register(DOMAIN, ACTION_CAPTURE, _capture, CAPTURE_SCHEMA, SupportsResponse.OPTIONAL)
    hass.services.async_register(DOMAIN, ACTION_VERIFY, _verify, VERIFY_SCHEMA, SupportsResponse.OPTIONAL)
    hass.services.async_register(DOMAIN, ACTION_GET_STATUS, _get_status, STATUS_SCHEMA, SupportsResponse.ONLY)
    hass.services.async_register(DOMAIN, ACTION_TEST_CAPTURE, _test_capture, CAPTURE_SCHEMA, SupportsResponse.ONLY)
    hass.services.async_register(DOMAIN, ACTION_FOCUS_SWEEP, _focus_sweep, FOCUS_SWEEP_SCHEMA, SupportsResponse.ONLY)
    hass.services.async_register(DOMAIN, ACTION_MEASURE_BASELINE, _measure_baseline, MEASURE_BASELINE_SCHEMA, SupportsResponse.ONLY)
    async_register_admin_service(hass, DOMAIN, ACTION_UPLOAD, _upload, UPLOAD_SCHEMA, SupportsResponse.OPTIONAL)
    async_register_admin_service(hass, DOMAIN, ACTION_CLEANUP, _cleanup, CLEANUP_SCHEMA, SupportsResponse.OPTIONAL)


def _entry(call: ServiceCall) -> SkylapseConfigEntry:
    """Return the loaded entry the call is for. Raises ``ServiceValidationError``."""
    entry: SkylapseConfigEntry = async_get_config_entry(call.hass, DOMAIN, call.data.get(FIELD_ENTRY))
    return entry


async def _capture(call: ServiceCall) -> ServiceResponse:
    """Take one frame now; answers once it is durable."""
    entry = _entry(call)
    with translated_errors():
        outcome = await entry.runtime_data.station.capture(exposure_us=call.data.get(FIELD_EXPOSURE), gain=call.data.get(FIELD_GAIN))
    frame, details = outcome.record.file, outcome.record.details
    return {
        "path": str(outcome.path),
        "dng_path": to_json(outcome.dng_path),
        "sha256": frame.sha256,
        "size_bytes": frame.size_bytes,
        "instant": details.taken_at.isoformat(),
        "duration_ms": details.duration_ms,
        "settings": {
            "exposure_us": details.exposure_us,
            "gain": details.gain,
            "lux": details.lux,
            "colour_temperature_k": details.colour_temperature_k,
            "sun_elevation": details.sun_elevation_deg,
            "sun_azimuth": details.sun_azimuth_deg,
        },
        "destinations": [_destination_name(entry, destination_id) for destination_id in outcome.destinations],
    }


async def _test_capture(call: ServiceCall) -> ServiceResponse:
    """Take one frame, tell what it saw and keep nothing of it."""
    entry = _entry(call)
    with translated_errors():
        taken = await entry.runtime_data.station.work.test_capture(
            exposure_us=call.data.get(FIELD_EXPOSURE), gain=call.data.get(FIELD_GAIN)
        )
    shot = taken.shot
    return {
        "instant": shot.taken_at.isoformat(),
        "duration_ms": taken.duration_ms,
        "size_bytes": len(shot.jpeg),
        "width": shot.width_px,
        "height": shot.height_px,
        "exposure_us": shot.exposure_us,
        "gain": shot.gain,
        "lux": shot.lux,
        "colour_temperature_k": shot.colour_temperature_k,
        "sensor_temperature_c": shot.sensor_temperature_c,
        "focus_measure": shot.focus_measure,
        "lens_position": shot.lens_position,
        "brightness": to_json(taken.brightness),
    }


async def _focus_sweep(call: ServiceCall) -> ServiceResponse:
    """Measure the sharpness at lens positions, and keep the best one if asked to."""
    entry = _entry(call)
    station = entry.runtime_data.station
    positions = _positions(call, station.capabilities.lens_range)
    with translated_errors():
        sweep = await station.work.focus_sweep(positions)
    apply: bool = call.data[FIELD_APPLY]
    if apply:
        found = {OPT_FOCUS_MODE: FOCUS_FIXED, OPT_LENS_POSITION: round(sweep.best, 2)}
        call.hass.config_entries.async_update_entry(entry, options={**entry.options, **found})
    return {"steps": _brief(to_json(sweep.steps)), "best": _brief(sweep.best), "applied": apply}


def _positions(call: ServiceCall, lens_range: tuple[float, float] | None) -> list[float] | None:
    """Return the lens positions that are asked for in dioptres, None for the camera's own choice. Raises ``ServiceValidationError``."""
    positions: list[float] | None = call.data.get(FIELD_POSITIONS)
    ranged = [name for name in (FIELD_START, FIELD_END, FIELD_STEPS) if name in call.data]
    if positions is not None and ranged:
        raise invalid("positions_given_twice", fields=", ".join(ranged))
    if positions is not None or not ranged:
        return positions
    if lens_range is None:
        raise invalid("camera_cannot", what=ACTION_FOCUS_SWEEP)
    start: float = call.data.get(FIELD_START, lens_range[0])
    end: float = call.data.get(FIELD_END, lens_range[1])
    steps: int = call.data.get(FIELD_STEPS, DEFAULT_STEPS)
    if start == end:
        raise invalid("positions_all_the_same", position=f"{start:g}")
    return spread(start, end, steps)


async def _measure_baseline(call: ServiceCall) -> ServiceResponse:
    """Tell how fast the camera is, over some frames that nothing is kept of."""
    entry = _entry(call)
    with translated_errors():
        report = await entry.runtime_data.station.work.measure_baseline(
            call.data[FIELD_COUNT], baseline_ms=call.data.get(FIELD_BASELINE), store=call.data[FIELD_STORE]
        )
    return {field.name: _brief(to_json(getattr(report, field.name))) for field in fields(report)}


def _brief(value: JsonValueType) -> JsonValueType:
    """Return an answer without the digits that nobody measured."""
    match value:
        case float():
            return round(value, 3)
        case list():
            return [_brief(item) for item in value]
        case dict():
            return {key: _brief(item) for key, item in value.items()}
    return value


async def _upload(call: ServiceCall) -> ServiceResponse:
    """Put files and folders in the queue, and wait for their proof if asked to."""
    entry = _entry(call)
    station = entry.runtime_data.station
    wait, timeout_s = call.data[FIELD_WAIT], call.data[FIELD_TIMEOUT]
    destination_ids = _destination_ids(entry, call.data.get(FIELD_DESTINATIONS))
    if wait and not station.status.uploads_enabled:
        raise invalid("uploads_off")
    paths = await call.hass.async_add_executor_job(_allowed_paths, call.hass, call.data[FIELD_PATHS])
    with translated_errors():
        uploads = await station.enqueue(paths, destination_ids)
        if wait:
            uploads = await station.wait_for([upload.upload_id for upload in uploads], timeout_s)
    verified = sum(upload.state is UploadState.VERIFIED for upload in uploads)
    if wait and verified < len(uploads) and not call.return_response:  # without a response nobody would learn of it
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="uploads_not_verified",
            translation_placeholders={
                "verified": str(verified),
                "total": str(len(uploads)),
                "error": next((error for upload in uploads if (error := _error(call.hass, upload))), "-"),
            },
        )
    return {
        "total": len(uploads),
        "verified": verified,
        "all_verified": verified == len(uploads),
        "files": [_upload_view(call.hass, entry, upload) for upload in uploads[:LISTED]],
    }


async def _verify(call: ServiceCall) -> ServiceResponse:
    """Prove anew what destinations hold."""
    entry = _entry(call)
    day_from: date | None = call.data.get(FIELD_FROM)
    day_to: date | None = call.data.get(FIELD_TO)
    if day_from and day_to and day_from > day_to:
        raise invalid("days_reversed", from_day=day_from, to_day=day_to)
    destination_ids = _destination_ids(entry, call.data.get(FIELD_DESTINATIONS))
    with translated_errors():
        reports = await entry.runtime_data.station.verify(destination_ids, day_from, day_to)
    checked = sum(report.checked for report in reports)
    proven = sum(report.proven for report in reports)
    if proven < checked and not call.return_response:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="copies_not_proven",
            translation_placeholders={
                "count": str(checked - proven),
                "checked": str(checked),
                "requeued": str(sum(report.requeued for report in reports)),
            },
        )
    return {
        "checked": checked,
        "proven": proven,
        "all_proven": proven == checked,
        "destinations": [
            {
                "destination": report.destination,
                "checked": report.checked,
                "proven": report.proven,
                "missing": to_json(report.missing[:LISTED]),
                "differing": to_json(report.differing[:LISTED]),
                "lost": to_json(report.lost[:LISTED]),
                "requeued": report.requeued,
            }
            for report in reports
        ],
    }


async def _get_status(call: ServiceCall) -> ServiceResponse:
    """Tell how the station stands."""
    entry = _entry(call)
    status = entry.runtime_data.station.status
    return {
        **{field.name: to_json(getattr(status, field.name)) for field in fields(status)},
        "capture_success_percent": status.capture_success_percent,
        "last_error": describe(call.hass, status.last_error_key, status.last_error_placeholders) if status.last_error_key else None,
    }


async def _cleanup(call: ServiceCall) -> ServiceResponse:
    """Delete what the retention rule allows, or tell what that would be."""
    entry = _entry(call)
    dry_run: bool = call.data[FIELD_DRY_RUN]
    with translated_errors():
        report = await entry.runtime_data.station.cleanup(dry_run=dry_run)
    return {
        "dry_run": dry_run,
        "frames": len(report.deleted),
        "dngs": len(report.dngs),
        "freed_bytes": report.freed_bytes,
        "free_bytes": report.free_bytes,
        "blocked": report.blocked,
        "paths": to_json(report.deleted[:LISTED]),
    }


def _destination_ids(entry: SkylapseConfigEntry, names: Sequence[str] | None) -> list[str] | None:
    """Return the ids of destinations named by name or id, None for all. Raises ``ServiceValidationError``."""
    if names is None:
        return None
    known = {subentry.subentry_id: subentry.title for subentry in entry.get_subentries_of_type(SUBENTRY_DESTINATION)}
    found = []
    for name in names:
        matching = [destination_id for destination_id, title in known.items() if name in {destination_id, title}]
        if not matching:
            raise invalid("unknown_destination", destination=name, known=", ".join(known.values()) or "-")
        found += matching
    return found


def _destination_name(entry: SkylapseConfigEntry, destination_id: str) -> str:
    """Return a destination's name; its id if it was removed meanwhile."""
    subentry = entry.subentries.get(destination_id)
    return subentry.title if subentry else destination_id


def _allowed_paths(hass: HomeAssistant, texts: Sequence[str]) -> list[Path]:
    """Return the paths, after a check that Home Assistant may read them. Runs in an executor. Raises ``ServiceValidationError``."""
    paths = []
    for text in texts:
        path = Path(text)
        if "\0" in text or not path.is_absolute():
            raise invalid("path_not_absolute", path=text.replace("\0", "?"))
        if not hass.config.is_allowed_path(text):
            raise invalid("path_not_allowed", path=text)
        paths.append(path)
    return paths


def _error(hass: HomeAssistant, upload: UploadRecord) -> str | None:
    """Return in words why an upload is not there yet, None if nothing went wrong."""
    return describe(hass, upload.error_key, upload.error_placeholders) if upload.error_key else None


def _upload_view(hass: HomeAssistant, entry: SkylapseConfigEntry, upload: UploadRecord) -> JsonObjectType:
    """Return one file's way to one destination, as a response tells it."""
    return {
        "path": upload.local_path,
        "destination": _destination_name(entry, upload.destination_id),
        "remote_path": upload.remote_path,
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
        "state": upload.state.value,
        "method": upload.method,
        "verified_at": to_json(upload.verified_at),
        "error": _error(hass, upload),
    }
