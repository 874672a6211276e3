"""A station whose status is made up, so that each of its states can be shown in a real Home Assistant."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from PIL import Image
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.engine.errors import SkylapseError
from custom_components.skylapse.engine.frames.records import (
    FrameDetails,
    FrameRecord,
    QueueCounts,
    SlotCounts,
    StoredFile,
    UploadRecord,
    UploadState,
)
from custom_components.skylapse.engine.sources.base import SourceCapabilities, SourceIdentity
from custom_components.skylapse.engine.sources.live import CameraReading, HostReading
from custom_components.skylapse.engine.status import DestinationStatus, EventKind, ScheduleStatus, StationEvent, StationStatus

AT = datetime(2026, 11, 23, 5, 45, 1, 123000, UTC)
LATER = datetime(2026, 11, 23, 6, 45, tzinfo=UTC)

SUNRISE = ScheduleStatus(
    schedule_id="sunrise",
    name="Sunrise",
    enabled=True,
    active=True,
    waiting_for=None,
    gate_open=True,
    window_start=AT,
    window_end=LATER,
    interval_s=10.0,
)
NAS = DestinationStatus(
    destination_id="nas",
    name="NAS",
    required=True,
    available=True,
    queue=QueueCounts(pending=2, sending=1, waiting=1, verified=96, queued_bytes=4_000_000, oldest_queued_at=AT, last_verified_at=LATER),
)
FRAME = FrameRecord(
    frame_id=1,
    file=StoredFile("2026/11/23/garden_20261123T054501.123Z.jpg", 1_234_567, "ab" * 32),
    details=FrameDetails(
        taken_at=AT,
        duration_ms=420,
        camera="Garden",
        exposure_us=2000,
        gain=1.5,
        sun_elevation_deg=-3.5,
        sun_azimuth_deg=118.25,
        schedules=("Sunrise",),
    ),
)
STATUS = StationStatus(
    running=True,
    schedules=(SUNRISE,),
    destinations=(NAS,),
    active_schedule="Sunrise",
    next_capture_at=LATER,
    last_frame=FRAME,
    last_attempt_at=AT,
    slots_24h=SlotCounts(due=200, captured=190, failed=4, missed=6),
    slots_total=SlotCounts(due=2000, captured=1900, failed=40, missed=60),
    frames_total=1907,
    achieved_interval_s=10.04,
    storage_used_bytes=2_350_000_000,
    storage_free_bytes=64_200_000_000,
    queue=NAS.queue,
)

SIMULATED = SourceIdentity("simulated", "Skylapse", "Simulated sky", "seed 7")

PI_CAMERA = SourceIdentity("picamera2", "Raspberry Pi", "Camera Module 3", "/base/soc/i2c0mux/i2c@1/imx708@1a")
CAN_ALL = SourceCapabilities(
    exposure=True,
    gain=True,
    reports_exposure=True,
    exposure_range_us=(26, 112_000_000),
    gain_range=(1.0, 16.0),
    width_px=4608,
    height_px=2592,
    ev_range=(-8.0, 8.0),
    lens_range=(0.0, 15.0),
    autofocus=True,
    preview=True,
    host=True,
    focus_measure=True,
    sensor_temperature=True,
)
"""Of a camera that has everything."""
HOST = HostReading(
    cpu_temperature_c=48.3,
    throttled=False,
    under_voltage=False,
    frequency_capped=False,
    memory_used_percent=31.5,
    memory_available_bytes=2_600_000_000,
    cma_free_bytes=312_000_000,
    cma_total_bytes=512_000_000,
    disk_used_percent=64.25,
    disk_free_bytes=10_000_000_000,
    load_1m=0.42,
    uptime_s=86_400.0,
)
READING = CameraReading(
    connected=True,
    streaming=True,
    exposure_us=2000,
    gain=1.5,
    lux=321.5,
    colour_temperature_k=5200,
    sensor_temperature_c=37.0,
    focus_measure=812.0,
    lens_position=0.85,
    restarts=2,
    host=HOST,
)
SEEN = replace(FRAME, details=replace(FRAME.details, lux=321.5, colour_temperature_k=5200))
"""The last frame of a camera that tells all of it."""
PI_STATUS = replace(STATUS, camera=READING, last_frame=SEEN)


def jpeg(width: int = 640, height: int = 480) -> bytes:
    """Return a JPEG of that size."""
    out = BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def upload(upload_id: int, state: UploadState, **changes: Any) -> UploadRecord:
    """Return an upload in that state."""
    proven = {"verified_at": LATER, "method": "read_back"} if state is UploadState.VERIFIED else {}
    record = UploadRecord(
        upload_id=upload_id,
        destination_id="nas",
        frame_id=None,
        local_path=f"/media/file{upload_id}.jpg",
        remote_path=f"garden/files/file{upload_id}.jpg",
        size_bytes=10,
        sha256="cd" * 32,
        state=state,
        attempts=0,
        created_at=AT,
    )
    return replace(record, **{**proven, **changes})


@dataclass
class MadeUpStation:
    """Tells what the test says, and notes what it was asked for."""

    status: StationStatus = STATUS
    rebuilt_from: Path | None = None
    identity: SourceIdentity = SIMULATED
    capabilities: SourceCapabilities = field(default_factory=SourceCapabilities)
    live: object | None = None
    config: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(schedules=()))
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """What a method returns, by its name; an exception is raised."""
    listeners: list[Callable[[StationStatus], None]] = field(default_factory=list)
    event_listeners: list[Callable[[StationEvent], None]] = field(default_factory=list)

    def tell(self, **changes: Any) -> None:
        """Publish a status that differs from the last one."""
        self.status = replace(self.status, **changes)
        for listener in list(self.listeners):
            listener(self.status)

    def happen(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        """Publish an event."""
        for listener in list(self.event_listeners):
            listener(StationEvent(kind, AT, data))

    def subscribe(self, listener: Callable[[StationStatus], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def subscribe_events(self, listener: Callable[[StationEvent], None]) -> Callable[[], None]:
        self.event_listeners.append(listener)
        return lambda: self.event_listeners.remove(listener)

    def _answer(self, name: str, *asked: Any) -> Any:
        self.asked.append((name, *asked))
        answer = self.answers.get(name)
        if isinstance(answer, SkylapseError):
            raise answer
        return answer

    def replan(self, reason: str) -> None:
        """Nothing is planned here."""

    async def start(self) -> None:
        self.asked.append(("start",))

    async def stop(self, **how: Any) -> None:
        self.asked.append(("stop",))

    async def capture(self, *, exposure_us: int | None = None, gain: float | None = None) -> Any:
        return self._answer("capture", exposure_us, gain)

    async def set_capture_enabled(self, enabled: bool) -> None:
        self._answer("set_capture_enabled", enabled)
        self.tell(capture_enabled=enabled)

    async def set_uploads_enabled(self, enabled: bool) -> None:
        self._answer("set_uploads_enabled", enabled)
        self.tell(uploads_enabled=enabled)

    async def set_schedule_enabled(self, schedule_id: str, enabled: bool) -> None:
        self._answer("set_schedule_enabled", schedule_id, enabled)
        self.tell(schedules=tuple(replace(item, enabled=enabled) for item in self.status.schedules if item.schedule_id == schedule_id))

    async def retry_uploads(self, destination_id: str | None = None) -> Any:
        return self._answer("retry_uploads", destination_id)

    async def forget_missing(self) -> int:
        return self._answer("forget_missing") or 0

    async def enqueue(self, paths: Sequence[Path], destination_ids: Sequence[str] | None = None) -> Any:
        return self._answer("enqueue", list(paths), destination_ids)

    async def wait_for(self, upload_ids: Sequence[int], timeout_s: float) -> Any:
        return self._answer("wait_for", list(upload_ids), timeout_s)

    async def verify(self, destination_ids: Sequence[str] | None = None, day_from: date | None = None, day_to: date | None = None) -> Any:
        return self._answer("verify", destination_ids, day_from, day_to)

    async def cleanup(self, *, dry_run: bool) -> Any:
        return self._answer("cleanup", dry_run)

    async def latest_jpeg(self) -> Any:
        return self._answer("latest_jpeg")

    @property
    def work(self) -> MadeUpStation:
        """What is done with the camera beside photographing is asked of the same one."""
        return self

    async def preview(self) -> Any:
        return self._answer("preview")

    async def autofocus(self) -> Any:
        return self._answer("autofocus")

    async def focus_sweep(self, positions: Sequence[float] | None) -> Any:
        return self._answer("focus_sweep", positions)

    async def adjust(self, *, ev: float | None = None, lens_position: float | None = None) -> None:
        self._answer("adjust", ev, lens_position)

    async def test_capture(self, *, exposure_us: int | None = None, gain: float | None = None) -> Any:
        return self._answer("test_capture", exposure_us, gain)

    async def measure_baseline(self, count: int, *, baseline_ms: float | None = None, store: bool = False) -> Any:
        return self._answer("measure_baseline", count, baseline_ms, store)

    async def diagnostics(self) -> Any:
        return self._answer("diagnostics")


def garden(title: str = "Garden", entry_id: str = "01GARDEN") -> MockConfigEntry:
    """Return the entry of a camera with one schedule and one destination."""
    return MockConfigEntry(
        domain=DOMAIN,
        title=title,
        entry_id=entry_id,
        data={"source": "simulated", "slug": "garden", "seed": 7},
        options={},
        subentries_data=[
            ConfigSubentryData(
                data={"kind": "always", "interval": 10, "weekdays": ["mon"], "exclusive": False, "rank": 1},
                subentry_id="sunrise",
                subentry_type="schedule",
                title="Sunrise",
                unique_id=None,
            ),
            ConfigSubentryData(
                data={"kind": "folder", "path": "/mnt/nas", "marker_id": "00ff", "required": True},
                subentry_id="nas",
                subentry_type="destination",
                title="NAS",
                unique_id=None,
            ),
        ],
    )


def pi_station(**changes: Any) -> MadeUpStation:
    """Return the station of a Pi's camera that can do everything."""
    return MadeUpStation(**{"status": PI_STATUS, "identity": PI_CAMERA, "capabilities": CAN_ALL, "live": object(), **changes})


async def set_up(
    hass: HomeAssistant, station: MadeUpStation | None = None, entry: MockConfigEntry | None = None, *, all_enabled: bool = False
) -> MadeUpStation:
    """Set an entry up over a made-up station and return that; ``all_enabled`` includes entities that are off by default."""
    station = station or MadeUpStation()
    entry = entry or garden()
    entry.add_to_hass(hass)
    with (
        over(station),
        patch("homeassistant.helpers.entity.Entity.entity_registry_enabled_default", new=True) if all_enabled else nullcontext(),
    ):
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
    return station


def over(station: MadeUpStation) -> AbstractContextManager[object]:
    """Let entries that are loaded or reloaded inside the block have this station."""
    return patch("custom_components.skylapse.build_station", return_value=station)


def states(hass: HomeAssistant, domain: str | None = None) -> list[State]:
    """Return the states of Skylapse's own entities."""
    own = [entity for entity in er.async_get(hass).entities.values() if entity.platform == DOMAIN and domain in {None, entity.domain}]
    return [state for entity in own if (state := hass.states.get(entity.entity_id))]
