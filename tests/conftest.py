"""Fixtures of all tests."""

from collections.abc import Generator

import pytest

import custom_components.skylapse  # noqa: F401  first, or the plugin's own custom_components folder shadows ours


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Setting up ``sun`` leaves Home Assistant's own entity-component poll timer behind."""
    return True


@pytest.fixture(autouse=True)
def _integrations(request: pytest.FixtureRequest) -> Generator[None]:
    """Let Home Assistant load custom integrations, in tests of the shell only."""
    if "recorder_mock" in request.fixturenames:
        request.getfixturevalue("recorder_mock")  # has to come before anything that makes ``hass``
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")
    yield
