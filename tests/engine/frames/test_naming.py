"""The names of frames."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, strategies as st
import pytest

from custom_components.skylapse.engine.frames.naming import parse_instant, relative_path


def test_name_tells_camera_and_instant() -> None:
    at = datetime(2026, 11, 23, 5, 45, 1, 123999, tzinfo=UTC)
    assert relative_path("sky", at) == "2026/11/23/sky_20261123T054501.123Z.jpg"


def test_name_is_utc_whatever_the_zone() -> None:
    at = datetime(2026, 11, 24, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert relative_path("sky", at) == "2026/11/23/sky_20261123T233000.000Z.jpg"


def test_collision_steps_aside_into_the_next_day_if_need_be() -> None:
    at = datetime(2026, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    assert relative_path("sky", at, 1) == "2027/01/01/sky_20270101T000000.000Z.jpg"


@given(st.datetimes(timezones=st.just(UTC), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001  hypothesis wants it naive
def test_instant_comes_back_to_the_millisecond(at: datetime) -> None:
    name = relative_path("my_sky_2", at).rpartition("/")[2]
    found = parse_instant(name, "my_sky_2")
    assert found is not None
    assert timedelta() <= at - found < timedelta(milliseconds=1)
    assert parse_instant(name) == found


@pytest.mark.parametrize(
    "name",
    [
        "",
        "sky.jpg",
        "sky_20261123T054501.123Z.jpg.part",
        "sky_20261123T054501.123Z.JPG",
        "_20261123T054501.123Z.jpg",
        "sky_20261323T054501.123Z.jpg",
        "sky_20261123T054501Z.jpg",
        "other_20261123T054501.123Z.jpg",
        "sky_٢٠261123T054501.123Z.jpg",
    ],
)
def test_other_names_are_no_frames(name: str) -> None:
    assert parse_instant(name, "sky") is None
