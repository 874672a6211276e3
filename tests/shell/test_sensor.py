"""The sensors: what they show of a status, and that the recorder can make statistics of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.history import get_significant_states
from homeassistant.components.sensor import ATTR_STATE_CLASS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import async_wait_recording_done

from custom_components.skylapse.engine.frames.records import QueueCounts, SlotCounts
from custom_components.skylapse.engine.sources.base import SourceCapabilities
from custom_components.skylapse.engine.sources.live import CameraReading, HostReading
from custom_components.skylapse.engine.status import EventKind
from custom_components.skylapse.figure import CALM_S, SLOW_S

from .rig import AT, FRAME, HOST, NAS, READING, STATUS, MadeUpStation, garden, over, pi_station, set_up, states

SHOWN = {
    "sensor.garden_capture_success": "95.0",
    "sensor.garden_upload_queue_length": "4",
    "sensor.garden_upload_queue_size": "4.0",
    "sensor.garden_oldest_queued": "2026-11-23T05:45:01+00:00",
    "sensor.garden_frames_captured": "1907",
    "sensor.garden_captures_failed": "40",
    "sensor.garden_slots_missed": "60",
    "sensor.garden_last_capture": "2026-11-23T05:45:01+00:00",
    "sensor.garden_next_capture": "2026-11-23T06:45:00+00:00",
    "sensor.garden_capture_duration": "420",
    "sensor.garden_achieved_interval": "10.04",
    "sensor.garden_active_schedule": "Sunrise",
    "sensor.garden_last_verified": "2026-11-23T06:45:00+00:00",
    "sensor.garden_verified": "96",
    "sensor.garden_storage_used": "2.35",
    "sensor.garden_storage_free": "64.2",
    "sensor.garden_last_error": "none",
    "sensor.garden_sunrise_window_start": "2026-11-23T05:45:01+00:00",
    "sensor.garden_sunrise_window_end": "2026-11-23T06:45:00+00:00",
    "sensor.garden_nas_upload_queue_length": "4",
    "sensor.garden_nas_last_verified": "2026-11-23T06:45:00+00:00",
    "sensor.garden_nas_verified": "96",
    "sensor.garden_nas_quarantined": "0",
}
DISABLED = {
    "sensor.garden_consecutive_failures",
    "sensor.garden_paused_after_failures_until",
    "sensor.garden_nas_upload_queue_size",
    "sensor.garden_nas_oldest_queued",
    "sensor.garden_nas_next_try",
}

CAMERA_SHOWN = {
    "sensor.garden_illuminance": "321.5",
    "sensor.garden_exposure_time": "2.0",
    "sensor.garden_gain": "1.5",
    "sensor.garden_colour_temperature": "5200",
    "sensor.garden_sensor_temperature": "37.0",
    "sensor.garden_focus_measure": "812.0",
    "sensor.garden_lens_position": "0.85",
    "sensor.garden_host_temperature": "48.3",
    "sensor.garden_host_memory_used": "31.5",
    "sensor.garden_host_disk_used": "64.25",
}
"""Beside the others, where the camera has everything."""
CAMERA_DISABLED = {
    "sensor.garden_camera_restarts": "2",
    "sensor.garden_host_load": "0.42",
    "sensor.garden_host_free_picture_memory": "312.0",
}
OF_FRAME = {"sensor.garden_illuminance", "sensor.garden_exposure_time", "sensor.garden_gain", "sensor.garden_colour_temperature"}


def registered(entity_registry: er.EntityRegistry) -> set[str]:
    """Return the sensors that exist, also those that are off by default."""
    return {entity.entity_id for entity in entity_registry.entities.values() if (entity.domain, entity.platform) == ("sensor", "skylapse")}


async def test_each_sensor_shows_its_figure(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """The states of all sensors that are on by default, and no sensor more."""
    await set_up(hass)
    assert {state.entity_id: state.state for state in states(hass, "sensor")} == SHOWN
    assert registered(entity_registry) == set(SHOWN) | DISABLED


async def test_a_camera_with_a_worker_has_more(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """All that it can tell, of itself and of the machine it is attached to."""
    await set_up(hass, pi_station())
    assert {state.entity_id: state.state for state in states(hass, "sensor")} == SHOWN | CAMERA_SHOWN
    assert registered(entity_registry) == set(SHOWN) | DISABLED | set(CAMERA_SHOWN) | set(CAMERA_DISABLED)
    assert hass.states.get("sensor.garden_exposure_time").attributes["unit_of_measurement"] == "ms"
    assert hass.states.get("sensor.garden_lens_position").attributes["unit_of_measurement"] == "dpt"
    assert hass.states.get("sensor.garden_colour_temperature").attributes["unit_of_measurement"] == "K"


async def test_noisy_figures_of_a_camera_are_there_once_enabled(hass: HomeAssistant) -> None:
    """Restarts, load and the memory that pictures are taken into."""
    await set_up(hass, pi_station(), all_enabled=True)
    assert {entity_id: hass.states.get(entity_id).state for entity_id in CAMERA_DISABLED} == CAMERA_DISABLED


@pytest.mark.parametrize(
    ("capabilities", "more"),
    [
        (SourceCapabilities(reports_exposure=True), OF_FRAME),
        (SourceCapabilities(sensor_temperature=True), {"sensor.garden_sensor_temperature"}),
        (SourceCapabilities(focus_measure=True), {"sensor.garden_focus_measure"}),
        (SourceCapabilities(lens_range=(0.0, 10.0)), {"sensor.garden_lens_position"}),
        (
            SourceCapabilities(host=True),
            {
                "sensor.garden_host_temperature",
                "sensor.garden_host_memory_used",
                "sensor.garden_host_disk_used",
                *CAMERA_DISABLED,
            },
        ),
    ],
)
async def test_a_camera_has_only_what_it_can_tell(
    hass: HomeAssistant, entity_registry: er.EntityRegistry, capabilities: SourceCapabilities, more: set[str]
) -> None:
    """No sensor that could never know anything."""
    await set_up(hass, pi_station(capabilities=capabilities))
    assert registered(entity_registry) - set(SHOWN) - DISABLED == more


@pytest.mark.parametrize("reading", [None, CameraReading(), CameraReading(host=HostReading())])
async def test_what_a_camera_does_not_tell_is_unknown(hass: HomeAssistant, reading: CameraReading | None) -> None:
    """Never 0, and never unavailable: its host may be switched off for the night."""
    await set_up(hass, pi_station(status=replace(STATUS, camera=reading, last_frame=None)), all_enabled=True)
    for entity_id in [*CAMERA_SHOWN, *CAMERA_DISABLED]:
        told = "0" if reading and entity_id == "sensor.garden_camera_restarts" else "unknown"
        assert hass.states.get(entity_id).state == told, entity_id


async def test_a_camera_that_tells_zero_is_believed(hass: HomeAssistant) -> None:
    """At infinity the lens stands at 0."""
    station = await set_up(hass, pi_station())
    station.tell(camera=replace(READING, lens_position=0.0, sensor_temperature_c=0.0))
    assert hass.states.get("sensor.garden_lens_position").state == "0.0"
    assert hass.states.get("sensor.garden_sensor_temperature").state == "0.0"


async def test_figures_of_a_host_are_told_once_a_minute(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """They move all the time, and nobody watches them."""
    station = await set_up(hass, pi_station())
    told = []
    for second, degrees in ((SLOW_S, 50.0), (SLOW_S + CALM_S, 51.0), (2 * SLOW_S - 1, 52.0), (2 * SLOW_S, 53.0)):
        monkeypatch.setattr(hass.loop, "time", lambda at=second: at + 0.5)
        station.tell(camera=replace(READING, host=replace(HOST, cpu_temperature_c=degrees)))
        told.append(hass.states.get("sensor.garden_host_temperature").state)
    assert told == ["50.0", "50.0", "50.0", "53.0"]


async def test_noisy_sensors_show_their_figure_once_enabled(hass: HomeAssistant) -> None:
    """Those that are off by default, in a bad hour."""
    bad_nas = replace(NAS, available=False, next_try_at=AT)
    await set_up(hass, MadeUpStation(replace(STATUS, consecutive_failures=5, backoff_until=AT, destinations=(bad_nas,))), all_enabled=True)
    assert {entity_id: hass.states.get(entity_id).state for entity_id in DISABLED} == {
        "sensor.garden_consecutive_failures": "5",
        "sensor.garden_paused_after_failures_until": "2026-11-23T05:45:01+00:00",
        "sensor.garden_nas_upload_queue_size": "4.0",
        "sensor.garden_nas_oldest_queued": "2026-11-23T05:45:01+00:00",
        "sensor.garden_nas_next_try": "2026-11-23T05:45:01+00:00",
    }


async def test_before_the_first_frame_figures_are_unknown_not_unavailable(hass: HomeAssistant) -> None:
    """A station that has just been added."""
    empty = replace(
        STATUS,
        last_frame=None,
        slots_24h=SlotCounts(),
        slots_total=SlotCounts(),
        frames_total=0,
        achieved_interval_s=None,
        active_schedule=None,
        next_capture_at=None,
        storage_free_bytes=None,
        queue=QueueCounts(),
        destinations=(replace(NAS, available=None, queue=QueueCounts()),),
    )
    await set_up(hass, MadeUpStation(empty))
    for name in (
        "capture_success",
        "last_capture",
        "next_capture",
        "capture_duration",
        "achieved_interval",
        "oldest_queued",
        "last_verified",
        "storage_free",
    ):
        assert hass.states.get(f"sensor.garden_{name}").state == "unknown", name
    assert hass.states.get("sensor.garden_frames_captured").state == "0"
    assert hass.states.get("sensor.garden_active_schedule").state == "none"


async def test_all_are_unavailable_while_the_station_does_not_run(hass: HomeAssistant) -> None:
    """And come back with it."""
    station = await set_up(hass)
    station.tell(running=False)
    assert {state.state for state in states(hass, "sensor")} == {"unavailable"}
    station.tell(running=True)
    assert {state.entity_id: state.state for state in states(hass, "sensor")} == SHOWN


async def test_parts_the_station_does_not_know_are_unavailable(hass: HomeAssistant) -> None:
    """A schedule or destination that was just removed."""
    station = await set_up(hass)
    station.tell(schedules=(), destinations=())
    gone = {state.entity_id for state in states(hass) if state.state == "unavailable"}
    assert gone == {state.entity_id for state in states(hass) if "garden_nas" in state.entity_id or "garden_sunrise" in state.entity_id}
    assert len(gone) >= 10


async def test_last_error_is_told_in_words(hass: HomeAssistant) -> None:
    """And by its key, for automations."""
    station = await set_up(hass)
    station.tell(last_error_key="capture_timeout", last_error_placeholders={"deadline_s": "30"})
    state = hass.states.get("sensor.garden_last_error")
    assert "did not answer within 30 s" in state.state
    assert state.attributes["key"] == "capture_timeout"
    assert state.attributes["placeholders"] == {"deadline_s": "30"}
    assert state.attributes["attempted_at"] == AT


async def test_texts_are_never_longer_than_a_state_may_be(hass: HomeAssistant) -> None:
    """A person's schedule may have any name."""
    station = await set_up(hass)
    station.tell(active_schedule="x" * 300, last_error_key="y" * 300)
    assert hass.states.get("sensor.garden_active_schedule").state == "x" * 255
    assert hass.states.get("sensor.garden_last_error").state == "y" * 255


@pytest.fixture
def stretch(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Go to one of the stretches of time in each of which calm figures are told once."""

    def go(number: int) -> None:
        monkeypatch.setattr(hass.loop, "time", lambda: number * CALM_S + 1.0)

    return go


async def test_figures_that_move_with_every_frame_are_told_calmly(hass: HomeAssistant, stretch: Callable[[int], None]) -> None:
    """The first change at once, later ones with the next stretch; when the last frame was taken is always told."""
    station = await set_up(hass)

    def told() -> tuple[str, ...]:
        return tuple(hass.states.get(f"sensor.garden_{name}").state for name in ("frames_captured", "nas_verified", "last_capture"))

    def frame(second: int, count: int) -> None:
        details = replace(FRAME.details, taken_at=datetime(2026, 11, 23, 5, 50, second, tzinfo=UTC))
        queue = replace(NAS.queue, verified=count)
        station.tell(last_frame=replace(FRAME, details=details), frames_total=count, destinations=(replace(NAS, queue=queue),))

    stretch(7)
    frame(1, 2001)
    assert told() == ("2001", "2001", "2026-11-23T05:50:01+00:00")
    frame(6, 2002)
    frame(11, 2003)
    assert told() == ("2001", "2001", "2026-11-23T05:50:11+00:00")
    stretch(8)
    frame(16, 2004)
    assert told() == ("2004", "2004", "2026-11-23T05:50:16+00:00")
    frame(21, 2005)
    stretch(9)
    station.tell()
    assert told() == ("2005", "2005", "2026-11-23T05:50:21+00:00")


async def test_an_empty_queue_is_told_at_once(hass: HomeAssistant, stretch: Callable[[int], None]) -> None:
    """It would look as if a file were stuck that was only just under way."""
    station = await set_up(hass)

    def told() -> tuple[str, ...]:
        return tuple(
            hass.states.get(f"sensor.garden_{name}").state for name in ("upload_queue_length", "nas_upload_queue_length", "oldest_queued")
        )

    def queued(count: int) -> None:
        queue = QueueCounts(pending=count, oldest_queued_at=AT if count else None)
        station.tell(queue=queue, destinations=(replace(NAS, queue=queue),))

    stretch(7)
    queued(1)
    assert told() == ("1", "1", AT.isoformat(timespec="seconds"))
    queued(0)
    assert told() == ("0", "0", "unknown")
    queued(1)
    assert told() == ("0", "0", "unknown")
    stretch(8)
    queued(2)
    assert told() == ("2", "2", AT.isoformat(timespec="seconds"))


async def test_a_calm_figure_keeps_its_value_under_a_new_name(hass: HomeAssistant, entity_registry: er.EntityRegistry) -> None:
    """And goes on to follow the station."""
    station = await set_up(hass)
    entity_registry.async_update_entity("sensor.garden_frames_captured", new_entity_id="sensor.pictures")
    await hass.async_block_till_done()
    assert hass.states.get("sensor.pictures").state == "1907"
    station.tell(frames_total=1908)
    assert hass.states.get("sensor.pictures").state == "1908"


async def test_a_camera_on_a_cable_has_no_serial_number(hass: HomeAssistant, device_registry: dr.DeviceRegistry) -> None:
    """The path of its connector is none."""
    entry = garden()
    await set_up(hass, pi_station(), entry)
    camera = device_registry.async_get_device_by_identifier(("skylapse", "01GARDEN"), entry.entry_id)
    assert (camera.manufacturer, camera.model, camera.serial_number) == ("Raspberry Pi", "Camera Module 3", None)


async def test_devices(hass: HomeAssistant, device_registry: dr.DeviceRegistry) -> None:
    """One for the camera, and one below it for each schedule and destination, gone with its subentry."""
    entry = garden()
    station = await set_up(hass, entry=entry)
    camera = device_registry.async_get_device_by_identifier(("skylapse", "01GARDEN"), entry.entry_id)
    assert (camera.name, camera.manufacturer, camera.model, camera.serial_number) == ("Garden", "Skylapse", "Simulated sky", "seed 7")
    assert camera.sw_version == "0.1.0"
    for subentry_id, name in (("sunrise", "Garden Sunrise"), ("nas", "Garden NAS")):
        device = device_registry.async_get_device_by_identifier(("skylapse", subentry_id), entry.entry_id)
        assert (device.name, device.via_device_id, device.entry_type) == (name, camera.id, dr.DeviceEntryType.SERVICE)
        assert device.config_subentry_id == subentry_id
    with over(station):
        hass.config_entries.async_remove_subentry(entry, "nas")
        await hass.async_block_till_done()
    assert device_registry.async_get_device_by_identifier(("skylapse", "nas"), entry.entry_id) is None
    assert hass.states.get("sensor.garden_nas_verified") is None


async def test_numbers_have_statistics_and_noise_is_not_recorded(recorder_mock: Recorder, hass: HomeAssistant) -> None:
    """With a real recorder: every number has a state class, and what differs for every frame stays out of the database."""
    station = await set_up(hass, pi_station(), all_enabled=True)
    station.tell(last_error_key="capture_timeout", last_error_placeholders={"deadline_s": "30"})
    station.happen(EventKind.CAPTURED, {"path": "/media/a.jpg", "sha256": "ab" * 32, "schedules": ["Sunrise"]})
    numbers = [state for state in states(hass, "sensor") if state.state.replace(".", "", 1).isdigit()]
    assert len(numbers) >= 27
    assert all(ATTR_STATE_CLASS in state.attributes for state in numbers)
    await async_wait_recording_done(hass)
    recorded = await recorder_mock.async_add_executor_job(
        lambda: get_significant_states(
            hass,
            datetime(2020, 1, 1, tzinfo=UTC),
            entity_ids=["camera.garden", "sensor.garden_last_error", "event.garden_activity"],
            significant_changes_only=False,
        )
    )
    camera = recorded["camera.garden"][-1]
    assert camera.attributes["friendly_name"] == "Garden"
    assert not {"sha256", "path", "instant", "exposure_us", "sun_elevation"} & set(camera.attributes)
    error = recorded["sensor.garden_last_error"][-1]
    assert error.attributes["key"] == "capture_timeout"
    assert "placeholders" not in error.attributes
    event = recorded["event.garden_activity"][-1]
    assert (event.attributes["event_type"], event.attributes["schedules"]) == ("captured", ["Sunrise"])
    assert not {"path", "sha256"} & set(event.attributes)
