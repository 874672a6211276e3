"""Fixtures of all tests."""

import pytest

import custom_components.skylapse  # noqa: F401  first, or the plugin's own custom_components folder shadows ours


@pytest.fixture
def hass_config_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give each test a configuration folder of its own: the plugin's is shared by all, and part of the environment."""
    return str(tmp_path_factory.mktemp("config"))


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Setting up ``sun`` leaves Home Assistant's own entity-component poll timer behind."""
    return True


@pytest.fixture(autouse=True)
def _integrations(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant load custom integrations, in tests of the shell only."""
    if "recorder_mock" in request.fixturenames:
        request.getfixturevalue("recorder_mock")  # has to come before anything that makes ``hass``
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")
        hass = request.getfixturevalue("hass")
        hass.config.media_dirs = {"local": hass.config.path("media")}
