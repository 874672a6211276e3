"""A worker's figures, looked at before they are believed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.skylapse.engine.errors import WorkerError
from custom_components.skylapse.engine.sources.live import Autofocus, CameraReading, FocusStep, HostReading
from custom_components.skylapse.engine.sources.readings import (
    autofocus_of,
    focus_sweep_of,
    frame_reading,
    host_reading,
    size_of,
    split_parts,
    taken_at,
    work_after_exposure_s,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_host_tells_how_it_is_doing() -> None:
    metrics = {
        "cpu_temperature_c": 51.2,
        "throttled": False,
        "under_voltage": True,
        "frequency_capped": False,
        "memory_total_bytes": 8_000_000_000,
        "memory_available_bytes": 6_000_000_000,
        "cma_total_bytes": 536_870_912,
        "cma_free_bytes": 400_000_000,
        "disk_total_bytes": 64_000_000_000,
        "disk_free_bytes": 16_000_000_000,
        "load_1m": 0.42,
        "uptime_s": 12345.6,
    }
    assert host_reading(metrics) == HostReading(
        cpu_temperature_c=51.2,
        throttled=False,
        under_voltage=True,
        frequency_capped=False,
        memory_used_percent=25.0,
        memory_available_bytes=6_000_000_000,
        cma_free_bytes=400_000_000,
        cma_total_bytes=536_870_912,
        disk_used_percent=75.0,
        disk_free_bytes=16_000_000_000,
        load_1m=0.42,
        uptime_s=12345.6,
    )


@pytest.mark.parametrize("nonsense", [None, "12", True, -1000, float("nan"), float("inf"), 10**40, [1]])
def test_what_is_no_figure_is_not_known(nonsense: object) -> None:
    names = (
        "cpu_temperature_c",
        "memory_total_bytes",
        "memory_available_bytes",
        "disk_total_bytes",
        "disk_free_bytes",
        "load_1m",
        "uptime_s",
    )
    assert host_reading({**dict.fromkeys(names, nonsense), "throttled": 1}) == HostReading()


def test_shares_are_never_negative() -> None:
    assert host_reading({"memory_total_bytes": 100, "memory_available_bytes": 120}).memory_used_percent == 0.0
    assert host_reading({"memory_total_bytes": 0, "memory_available_bytes": 0}).memory_used_percent is None


def test_a_frame_tells_how_it_was_taken() -> None:
    before = CameraReading(lux=7.0, sensor_temperature_c=20.0, host=HostReading(load_1m=1.0))
    metadata = {
        "ExposureTime": 19_998,
        "AnalogueGain": 1.5,
        "Lux": 812.4,
        "ColourTemperature": 5123.7,
        "FocusFoM": 1800,
        "LensPosition": 0.5,
        "SensorTemperature": "warm",
    }
    assert frame_reading(before, metadata) == CameraReading(
        exposure_us=19_998,
        gain=1.5,
        lux=812.4,
        colour_temperature_k=5123,
        focus_measure=1800,
        lens_position=0.5,
        host=HostReading(load_1m=1.0),
    )
    assert frame_reading(before, ["nothing"]) == CameraReading(host=HostReading(load_1m=1.0))


@pytest.mark.parametrize("size", [None, [1], [1, 2, 3], [0, 1], [1, "2"], [40_000, 2], "12"])
def test_what_is_no_size_is_none(size: object) -> None:
    assert size_of(size) is None
    assert size_of([640, 480]) == (640, 480)


def test_parts_make_up_the_blob() -> None:
    assert split_parts([["jpeg", 3], ["dng", 2]], b"abcde") == {"jpeg": b"abc", "dng": b"de"}


@pytest.mark.parametrize(
    "parts",
    [
        None,
        [],
        [["jpeg", 4]],
        [["jpeg", 6]],
        [["dng", 5]],
        [["jpeg", -1], ["dng", 6]],
        [["jpeg", 2], ["jpeg", 3]],
        [["jpeg", "5"]],
        [[5, 5]],
        [["jpeg"]],
        ["jpeg"],
        [["jpeg", 5], *([["x", 0]] * 8)],
    ],
)
def test_parts_that_do_not_are_refused(parts: Any) -> None:
    with pytest.raises(WorkerError) as caught:
        split_parts(parts, b"abcde")
    assert caught.value.placeholders == {"error": "the worker's answer to capture makes no sense"}


def test_an_exposure_of_ages_dates_a_frame_no_earlier_than_its_request() -> None:
    ages_s = frame_reading(CameraReading(), {"ExposureTime": 2**61}).exposure_us or 0
    assert taken_at(None, exposure_s=ages_s / 1e6, after_s=0, answered_at=NOON, took_s=3) == (NOON - timedelta(seconds=3), False)


def instant(seconds: float) -> float:
    return (NOON + timedelta(seconds=seconds)).timestamp()


@pytest.mark.parametrize(
    ("told", "expected", "believed"),
    [
        (instant(-2.6), -2.6, True),
        # the request was 3 s ago, and the exposure cannot have begun before, whatever a slightly wrong clock says
        (instant(-3.2), -3.0, True),
        # it lasted 2 s, and so began no later than that before the answer
        (instant(-1.7), -2.0, True),
        (instant(-3.6), -2.25, False),
        (instant(-1.4), -2.25, False),
        (instant(3600), -2.25, False),
        (0.0, -2.25, False),
        (-1.0, -2.25, False),
        (1e15, -2.25, False),
        (None, -2.25, False),
    ],
)
def test_the_worker_is_believed_only_what_can_be(told: float | None, expected: float, believed: bool) -> None:
    found = taken_at(told, exposure_s=2.0, after_s=0.25, answered_at=NOON, took_s=3.0)
    assert found == (NOON + timedelta(seconds=expected), believed)


def test_no_frame_is_older_than_its_request() -> None:
    assert taken_at(None, exposure_s=20.0, after_s=9, answered_at=NOON, took_s=3.0) == (NOON - timedelta(seconds=3), False)


def test_work_on_a_frame_counts_only_if_it_is_told() -> None:
    assert work_after_exposure_s({"jpeg": 250.0, "dng": 500, "frame": 900.0}) == 0.75
    assert work_after_exposure_s({"jpeg": "long", "dng": -3}) == 0
    assert work_after_exposure_s(None) == 0


def test_a_sweeps_best_step_is_the_sharpest() -> None:
    steps = [
        {"position": 0, "lens_position": 0.01, "sharpness": 10, "focus_fom": 3},
        {"position": 1.0, "lens_position": None, "sharpness": 30.5},
        {"position": 2.0, "sharpness": 20},
    ]
    sweep = focus_sweep_of({"steps": steps, "best": 2.0})
    assert sweep.best == 1.0
    assert sweep.steps == (FocusStep(0, 0.01, 10), FocusStep(1.0, None, 30.5), FocusStep(2.0, None, 20))


@pytest.mark.parametrize("steps", [None, [], ["a"], [{"position": 1}], [{"sharpness": 1}], [{"position": -1, "sharpness": 1}]])
def test_a_sweep_that_makes_no_sense_is_refused(steps: object) -> None:
    with pytest.raises(WorkerError, match="focus_sweep"):
        focus_sweep_of({"steps": steps})


def test_an_autofocus_says_how_it_ended() -> None:
    assert autofocus_of({"success": False, "lens_position": "near"}) == Autofocus(False, None)
    assert autofocus_of({"success": True, "lens_position": 1.25}) == Autofocus(True, 1.25)
    with pytest.raises(WorkerError, match="autofocus"):
        autofocus_of({"lens_position": 1.25})
