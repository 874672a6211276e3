"""How bright it is, and how long the camera exposes."""

import pytest

from custom_components.skylapse.engine.sources.sky_light import EXPOSURE_RANGE_US, GAIN_RANGE, best_product, choose_exposure, illuminance


def test_light_is_that_of_the_real_sky() -> None:
    assert illuminance(60) == pytest.approx(100_000, rel=0.1)
    assert illuminance(0) == pytest.approx(500, rel=0.3)
    assert illuminance(-6) == pytest.approx(3.4, rel=0.1)
    assert illuminance(-30) == pytest.approx(0.001)
    assert illuminance(-90) == pytest.approx(illuminance(-24))


def test_light_rises_and_exposure_falls_with_the_sun_without_a_jump() -> None:
    for tenth in range(-250, 900):
        here, higher = tenth / 10, (tenth + 1) / 10
        assert illuminance(here) <= illuminance(higher) <= 1.2 * illuminance(here)
        assert best_product(here) >= best_product(higher) >= best_product(here) / 1.2


def test_automatic_exposure_lengthens_first_and_raises_the_gain_then() -> None:
    exposure_us, gain = choose_exposure(60, None, None)
    assert 30 < exposure_us < 100
    assert gain == 1
    assert choose_exposure(-8, None, None)[1] == 1
    exposure_us, gain = choose_exposure(-13, None, None)
    assert exposure_us == 20_000_000
    assert 1 < gain < 16
    exposure_us, gain = choose_exposure(-40, None, None)
    assert (exposure_us, gain) == (20_000_000, 16)
    for elevation in range(-30, 90, 3):
        exposure_us, gain = choose_exposure(elevation, None, None)
        assert EXPOSURE_RANGE_US[0] <= exposure_us <= 20_000_000
        assert GAIN_RANGE[0] <= gain <= GAIN_RANGE[1]
        assert exposure_us * gain == pytest.approx(best_product(elevation), rel=0.02)


def test_what_is_asked_for_is_used_and_the_other_follows() -> None:
    assert choose_exposure(30, 123, 4.5) == (123, 4.5)
    assert choose_exposure(0, None, 4.0) == (round(best_product(0) / 4), 4.0)
    assert choose_exposure(60, None, 16.0) == (EXPOSURE_RANGE_US[0], 16.0)
    exposure_us, gain = choose_exposure(-6, 100_000, None)
    assert exposure_us == 100_000
    assert gain == pytest.approx(best_product(-6) / 100_000, rel=0.001)
    assert choose_exposure(-6, 10_000_000, None) == (10_000_000, 1)
    assert choose_exposure(-20, 1000, None) == (1000, 16)
