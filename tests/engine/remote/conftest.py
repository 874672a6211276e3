"""These tests speak to servers of their own on the loopback."""

import pytest


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Let tests open sockets; the plugin for Home Assistant forbids it otherwise."""
