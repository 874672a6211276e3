"""The simulated sky: what an eye would see in it, measured."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
import math
import os
from pathlib import Path
import subprocess
import sys

from PIL import Image, ImageChops, ImageDraw, ImageFilter
import pytest

from custom_components.skylapse.engine.ports import Site
from custom_components.skylapse.engine.sources import sky, sky_clouds, sky_layers, sky_night
from custom_components.skylapse.engine.sources.sky_layers import View
from custom_components.skylapse.engine.sources.sky_light import best_product, choose_exposure
from custom_components.skylapse.engine.sources.sky_palette import code, linear, palette_at
from custom_components.skylapse.engine.sun_position import solar_azimuth, solar_elevation

SIZE = (480, 270)
NIGHT = datetime(2026, 6, 21, 1, tzinfo=UTC)
LIGHT = [linear(value) for value in range(256)]


def scene(elevation: float, *, seed: int = 1, at: datetime = NIGHT, azimuth: float | None = None, latitude: float = 52) -> sky.Scene:
    """By default the sun stands where the camera looks."""
    azimuth = sky_layers.facing_deg(latitude, seed) if azimuth is None else azimuth
    return sky.Scene(at, latitude, 5, elevation, azimuth % 360, seed)


def shoot(elevation: float, stops: float = 1, *, gain: float | None = None, size: tuple[int, int] = SIZE, **details: object) -> Image.Image:
    """A well exposed picture, or one ``stops`` times as bright."""
    exposure_us, chosen = choose_exposure(elevation, None, None)
    used = gain or chosen
    exposure_us = round(exposure_us * chosen / used * stops)
    return sky.render(scene(elevation, **details), size, exposure_us=exposure_us, gain=used)


def light(picture: Image.Image) -> float:
    """The mean linear light, 0 to 1."""
    histogram = picture.histogram()
    return sum(count * LIGHT[value % 256] for value, count in enumerate(histogram)) / sum(histogram)


def specks(picture: Image.Image) -> int:
    """How many pixels of the sky stand out of their surroundings as stars do."""
    grey = picture.convert("L").crop((0, 0, picture.width, picture.height // 2))
    return sum(ImageChops.subtract(grey, grey.filter(ImageFilter.MedianFilter(5))).histogram()[40:])


def white(picture: Image.Image) -> int:
    """How many pixels are wholly white."""
    red, green, blue = picture.split()
    return ImageChops.darker(ImageChops.darker(red, green), blue).histogram()[255]


@pytest.mark.parametrize("elevation", [-18, -9, -3, 1, 8, 40])
def test_twice_the_exposure_is_twice_the_light(elevation: float) -> None:
    mid_tones = [light(shoot(elevation, stops, gain=1)) for stops in (0.12, 0.24, 0.48)]
    assert mid_tones[1] / mid_tones[0] == pytest.approx(2, rel=0.1)
    assert mid_tones[2] / mid_tones[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("elevation", [-9, 1, 40])
def test_twice_the_gain_is_twice_the_light_and_more_noise(elevation: float) -> None:
    exposure_us = round(best_product(elevation) / 16)
    pictures = [sky.render(scene(elevation), SIZE, exposure_us=exposure_us, gain=gain) for gain in (1, 2, 4, 8)]
    for darker, brighter in pairwise(pictures):
        assert light(brighter) / light(darker) == pytest.approx(2, rel=0.1)
    same = [sky.render(scene(elevation), SIZE, exposure_us=exposure_us * 8 // gain, gain=gain) for gain in (1, 8)]
    rough = [sum(ImageChops.difference(one, one.filter(ImageFilter.BoxBlur(2))).histogram()[3:256]) for one in same]
    assert rough[1] > 1.3 * rough[0]


@pytest.mark.parametrize("elevation", [-18, -6, 0, 30])
def test_too_much_light_is_white_and_too_little_black(elevation: float) -> None:
    over = shoot(elevation, 2000, gain=1).crop((0, 0, 480, 210)).histogram()
    assert sum(over[250:256]) / sum(over[:256]) > 0.99
    under = shoot(elevation, 0.01, gain=1).crop((0, 0, 480, 100))
    assert light(under) < 0.01


def test_a_daylight_exposure_at_night_is_black() -> None:
    picture = sky.render(scene(-20), SIZE, exposure_us=1000, gain=1)
    assert max(picture.convert("L").getextrema()) < 8


def test_well_exposed_pictures_get_darker_with_the_night_and_never_clip_much() -> None:
    means = [light(shoot(elevation)) for elevation in (10, 0, -6, -12, -20)]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.25
    assert 0.005 < means[-1] < 0.05
    for elevation in (-12, -4, 6, 30):
        assert white(shoot(elevation)) < 0.03 * SIZE[0] * SIZE[1]


def test_stars_come_with_darkness_and_go_with_dawn() -> None:
    clear = NIGHT
    size = (960, 540)
    counts = [specks(shoot(elevation, size=size, at=clear)) for elevation in (-20, -13, -8, -4, 3, 40)]
    assert counts[0] > 60
    assert counts[0] > counts[1] > counts[2]
    assert counts[3:] == [0, 0, 0]


def test_stars_need_exposure() -> None:
    assert specks(shoot(-20, 1, size=(960, 540))) > 4 * specks(shoot(-20, 0.05, size=(960, 540)))


def starfield(at: datetime, latitude: float = 52, seed: int = 1, facing: float = 0) -> Image.Image:
    picture = Image.new("RGB", (960, 540))
    sidereal = sky_night.sidereal_deg(at, 5)
    sky_night.draw_stars(ImageDraw.Draw(picture), View(960, 540, facing), seed, latitude, sidereal, 1.5, (0, 0, 0))
    return picture


def test_stars_turn_once_in_a_sidereal_day() -> None:
    start = starfield(NIGHT)
    day = starfield(NIGHT + timedelta(hours=23, minutes=56, seconds=4.0905))
    hour = starfield(NIGHT + timedelta(hours=1))
    assert light(ImageChops.difference(start, day)) < 0.05 * light(start)
    assert light(ImageChops.difference(start, hour)) > light(start)
    assert light(ImageChops.difference(start, starfield(NIGHT, seed=2))) > light(start)


def test_sidereal_time_is_that_of_the_almanac() -> None:
    # Meeus, Astronomical Algorithms, example 12.a: 13 h 10 m 46.3668 s at Greenwich
    assert sky_night.sidereal_deg(datetime(1987, 4, 10, tzinfo=UTC), 0) == pytest.approx(197.693195, abs=0.001)
    assert sky_night.sidereal_deg(datetime(1987, 4, 10, tzinfo=UTC), 200) == pytest.approx(37.693195, abs=0.001)


@pytest.mark.parametrize(("latitude", "longitude"), [(52.0, 5.0), (0.0, 100.0), (-35.0, -70.0)])
@pytest.mark.parametrize("hour", [3, 9, 15, 22])
def test_stars_stand_where_the_sun_would_among_them(latitude: float, longitude: float, hour: int) -> None:
    """At the March equinox the sun stands at right ascension and declination 0."""
    at = datetime(2026, 3, 20, 14, 46, tzinfo=UTC) + timedelta(hours=hour - 15)
    east, north, up = sky_night._local((0, 0), latitude, sky_night.sidereal_deg(at, longitude))
    assert east**2 + north**2 + up**2 == pytest.approx(1)
    site = Site(latitude, longitude, 0, UTC)
    sun_up = solar_elevation(site, at)
    assert math.degrees(math.asin(up)) == pytest.approx(sun_up, abs=1)
    if abs(sun_up) < 80:
        assert abs(sky_layers.turn(math.degrees(math.atan2(east, north)), solar_azimuth(site, at))) < 1.5


@pytest.mark.parametrize("latitude", [52.0, 10.0, -35.0])
@pytest.mark.parametrize("hour", [8, 10, 14, 16])
def test_stars_are_drawn_where_they_stand(latitude: float, hour: int, monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 3, 20, hour, 46, tzinfo=UTC)
    sun_deg = (solar_azimuth(Site(latitude, 5, 0, UTC), at), solar_elevation(Site(latitude, 5, 0, UTC), at))
    star = sky_night.Star(0.0, 0.0, 1.0, 1.0, (1, 1, 1))
    monkeypatch.setattr(sky_night, "stars", lambda _seed: (star,))
    for aside in (-50, 20, 70):
        view = View(960, 960, sun_deg[0] + aside)
        picture = Image.new("RGB", (960, 960))
        sky_night.draw_stars(ImageDraw.Draw(picture), view, 1, latitude, sky_night.sidereal_deg(at, 5), 1.0, (0, 0, 0))
        box = picture.getbbox()
        x, y = view.place(*sun_deg)
        assert (box is not None) == (0 <= x <= 960 and y >= 0)
        if box is not None:
            assert abs((box[0] + box[2]) / 2 - x) < 1.5 * view.scale
            assert abs((box[1] + box[3]) / 2 - y) < 1.0 * view.scale


def test_the_milky_way_is_brightest_on_its_own_band() -> None:
    view = View(960, 540, 180)
    sidereal = 266.4  # its centre stands south
    band = sky_night.milky_way(view, 0, sidereal, [0.0], [61.06])
    assert len(band) == 1
    assert band[0] > 0.2
    assert sky_night.milky_way(view, 52, 192.86, [0.0, 60.0], [65.0]) == [0, 0]  # its pole stands high


def sun_white(elevation: float, azimuth: float, seed: int = 1) -> int:
    """Wholly white pixels at a twentieth of the right exposure; of several instants the most, as clouds may hide the sun."""
    instants = [NIGHT + timedelta(hours=3 * step) for step in range(6)]
    return max(white(shoot(elevation, 0.05, azimuth=azimuth, seed=seed, at=at)) for at in instants)


@pytest.mark.parametrize("elevation", [12, 20, 45])
def test_the_sun_shines_where_it_stands(elevation: float) -> None:
    facing = sky_layers.facing_deg(52, 1)
    for aside in (-40, 0, 55):
        assert sun_white(elevation, facing + aside) > 0, aside
    for aside in (-70, 110, 180):
        assert sun_white(elevation, facing + aside) == 0, aside


def test_the_sun_is_at_its_pixel() -> None:
    view = View(*SIZE, sky_layers.facing_deg(52, 1))
    for at in (NIGHT + timedelta(hours=3 * step) for step in range(6)):
        dark = shoot(20, 0.02, azimuth=view.facing_deg - 30, at=at).convert("L").point(lambda value: 255 * (value > 200))
        if box := dark.crop((0, 0, SIZE[0], view.horizon_px)).getbbox():  # not its mirror image
            x, y = view.place(view.facing_deg - 30, 20)
            assert abs((box[0] + box[2]) / 2 - x) < 4
            assert abs((box[1] + box[3]) / 2 - y) < 4
            return
    pytest.fail("clouds hid the sun all day")


@pytest.mark.parametrize("elevation", [-1.5, -4, -8, 75])
def test_no_sun_below_the_horizon_nor_above_the_field(elevation: float) -> None:
    assert sun_white(elevation, sky_layers.facing_deg(52, 1)) == 0


def test_dusk_is_warm_towards_the_sun_and_blue_above() -> None:
    picture = shoot(-7)
    red, _, blue = picture.resize((1, 1), Image.Resampling.BOX, box=(200, 190, 280, 200)).getpixel((0, 0))
    assert red > 1.15 * blue
    red, _, blue = picture.resize((1, 1), Image.Resampling.BOX, box=(0, 0, 480, 30)).getpixel((0, 0))
    assert blue > 1.5 * red


def test_land_is_darker_than_the_sky() -> None:
    for elevation in (-20, -6, 2, 30):
        picture = shoot(elevation).convert("L")
        sky_part, ground = picture.crop((0, 0, 480, 200)), picture.crop((0, 262, 480, 270))
        assert light(ground) < 0.5 * light(sky_part), elevation


def test_clouds_drift() -> None:
    view = View(*SIZE, 130)
    masks = [sky_clouds.clouds(view, palette_at(20), 1, NIGHT + timedelta(seconds=seconds), (130, 20), 1)[1] for seconds in (0, 1, 600)]
    changes = [light(ImageChops.difference(masks[0], mask)) for mask in masks]
    assert changes[0] == 0
    assert 0 < changes[1] < 0.02
    assert changes[2] > 5 * changes[1]


def digest(picture: Image.Image) -> str:
    return sha256(picture.tobytes()).hexdigest()


@pytest.mark.parametrize("elevation", [-20, 3])
def test_the_same_seed_and_instant_give_the_same_picture(elevation: float) -> None:
    first = digest(shoot(elevation))
    for cached in (sky_layers.noise_tile, sky_layers.ridges, sky_layers.shore, sky_clouds._sheet, sky_night.stars, sky._soft_disc):
        cached.cache_clear()
    assert digest(shoot(elevation)) == first
    assert digest(shoot(elevation, seed=2)) != first
    assert digest(shoot(elevation, at=NIGHT + timedelta(milliseconds=1))) != first


def test_another_process_renders_the_same_picture() -> None:
    program = (
        "from tests import engine_only\n"
        "engine_only.install()\n"
        "from datetime import datetime, UTC\n"
        "from hashlib import sha256\n"
        "from custom_components.skylapse.engine.sources import sky\n"
        "scene = sky.Scene(datetime(2026, 6, 21, 1, tzinfo=UTC), 52, 5, -10.0, 130.0, 3)\n"
        "print(sha256(sky.render(scene, (160, 90), exposure_us=9_000_000, gain=2.0).tobytes()).hexdigest())\n"
    )
    root = Path(__file__).parents[3]
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    here = sky.Scene(NIGHT, 52, 5, -10.0, 130.0, 3)
    assert said == {digest(sky.render(here, (160, 90), exposure_us=9_000_000, gain=2.0))}


@pytest.mark.parametrize("size", [(64, 48), (65, 2000), (2000, 48), (333, 777), (1001, 563)])
@pytest.mark.parametrize("elevation", [-20, 10])
def test_any_size_works(size: tuple[int, int], elevation: float) -> None:
    picture = shoot(elevation, size=size)
    assert picture.size == size
    assert picture.mode == "RGB"
    low, high = picture.convert("L").getextrema()
    assert high - low > 20


@pytest.mark.parametrize("seed", range(12))
def test_the_camera_faces_the_suns_path_but_not_its_noon(seed: int) -> None:
    north = sky_layers.facing_deg(52, seed)
    assert 40 <= abs(north - 180) <= 65
    south = sky_layers.facing_deg(-35, seed)
    assert 40 <= abs(sky_layers.turn(south, 0)) <= 65


def test_codes_are_srgb_and_clip() -> None:
    for value in range(256):
        assert abs(code(linear(value)) - value) <= 1
    assert code(7.0) == 255
    assert code(0.0) == 0
