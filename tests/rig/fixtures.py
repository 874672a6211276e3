"""Fixtures with a virtual camera and with a real SSH server; a plugin of its own (``-p tests.rig.fixtures``), for all tests use them."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.rig import machine, sshd as ssh_server
from tests.rig.link import Link
from tests.rig.machine import Rig
from tests.rig.sshd import Sshd

type MakeRig = Callable[..., Rig]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the rig, and skip those that need a real camera unless one was given."""
    for item in items:
        if isinstance(item, pytest.Function):
            fixtures = (found[-1].func for found in item._fixtureinfo.name2fixturedefs.values())
            if any(fixture.__module__ == __name__ for fixture in fixtures):
                item.add_marker(pytest.mark.rig)
        if item.get_closest_marker("hardware") and not os.environ.get("SKYLAPSE_HARDWARE"):
            item.add_marker(pytest.mark.skip(reason="needs a real camera (scripts/test --hardware)"))


def cannot(reason: str) -> NoReturn:
    """Skip the test; fail it where the rig is required to be there."""
    if os.environ.get("SKYLAPSE_RIG") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _program(generation: str) -> Path:
    try:
        return machine.make(generation)
    except machine.RigImpossible as error:
        reason = str(error)
    cannot(reason)


def _maker(generation: str, tmp_path: Path) -> MakeRig:
    program = _program(generation)
    count = 0

    def make(**settings: Any) -> Rig:
        nonlocal count
        count += 1
        return Rig(program, tmp_path / f"rig{count}", **settings)

    return make


@pytest.fixture
def rig(tmp_path: Path) -> MakeRig:
    """Make machines with a virtual camera: ``rig(time_scale=0.1).python`` is to be given as the camera host's interpreter."""
    return _maker(machine.GENERATIONS[0], tmp_path)


@pytest.fixture(params=machine.GENERATIONS)
def rigs(request: pytest.FixtureRequest, tmp_path: Path) -> MakeRig:
    """As ``rig``, once for each generation of Python and libcamera."""
    return _maker(request.param, tmp_path)


@pytest.fixture
def sshd(tmp_path: Path, socket_enabled: None) -> Iterator[Sshd]:
    """A real SSH server on this machine that lets ``private_key`` in."""
    if reason := ssh_server.missing():
        cannot(reason)
    server = Sshd(tmp_path / "sshd")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def slow_link(sshd: Sshd) -> Iterator[Link]:
    """A network in front of ``sshd`` that can be slow, far, frozen or cut; connect to its host and port instead."""
    link = Link(sshd.port)
    try:
        yield link
    finally:
        link.close()
