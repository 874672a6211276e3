"""A made-up machine with cameras, for the flows that look for them: behind it neither a worker nor a network."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse import config_flow
from custom_components.skylapse.const import DEFAULT_OPTIONS, DOMAIN
from custom_components.skylapse.engine.errors import SkylapseError, SshError
from custom_components.skylapse.engine.remote.ssh import KeyPair
from custom_components.skylapse.engine.sources.camera_probe import CameraProbe, ControlRange, SensorMode
from custom_components.skylapse.engine.sources.discover import Found, FoundCamera, HostFacts
from custom_components.skylapse.test_shot import TestShot

from .rig import jpeg

PICTURE = TestShot(jpeg(), 640, 480, 1000, 0.5, 10_000, 1.0)
PINNED, OTHER = "ssh-ed25519 AAAApinned", "ecdsa-sha2-nistp256 AAAAother"
FINGERPRINTS = {PINNED: "SHA256:pinned", OTHER: "SHA256:other"}
NEW_KEY = KeyPair(private="NEW PRIVATE", public="ssh-ed25519 AAAAnew skylapse")

HAWK = CameraProbe(
    backend="picamera2",
    id="/base/soc/i2c0mux/i2c@1/imx708@1a",
    index=0,
    model="imx708",
    modes=(SensorMode((1536, 864)), SensorMode((4608, 2592))),
    controls={
        "ExposureTime": ControlRange(26, 220_417_486, 20_000),
        "AnalogueGain": ControlRange(1.12, 16.0, 1.0),
        "ExposureValue": ControlRange(-8.0, 8.0, 0.0),
        "AeMeteringMode": ControlRange(0, 3, 0),
        "AwbMode": ControlRange(0, 7, 0),
        "ColourGains": ControlRange(0.0, 32.0, None),
        "LensPosition": ControlRange(0.0, 15.0, 1.0),
        "AfMode": ControlRange(0, 2, 0),
        "AfTrigger": ControlRange(0, 1, 0),
        "NoiseReductionMode": ControlRange(0, 4, 0),
        "HdrMode": ControlRange(0, 4, 0),
        "Sharpness": ControlRange(0.0, 16.0, 1.0),
        "Contrast": ControlRange(0.0, 32.0, 1.0),
        "Saturation": ControlRange(0.0, 32.0, 1.0),
        "Brightness": ControlRange(-1.0, 1.0, 0.0),
        "ScalerCrop": ControlRange((0, 0, 64, 64), (0, 0, 4608, 2592), (0, 0, 4608, 2592)),
    },
    raw=True,
    machine="Raspberry Pi 5 Model B Rev 1.0",
    os="Debian GNU/Linux 13 (trixie)",
    picamera2="0.3.31",
)
"""A camera that can do all there is."""
PLAIN = replace(
    HAWK,
    id="/base/soc/i2c0mux/i2c@0/ov5647@36",
    index=1,
    model="ov5647",
    modes=(SensorMode((640, 480)),),
    controls={},
    raw=False,
    machine=None,
    os=None,
)
"""One that has no settings of its own."""


@dataclass
class Machine:
    """What the flows find, and what they asked for."""

    found: Found | SkylapseError = field(default_factory=lambda: cameras(HAWK))
    host_key: str | SshError = PINNED
    admits: Sequence[Mapping[str, str]] = ()
    """The credentials that are let in; any if there are none here."""
    shot: TestShot | SkylapseError = PICTURE
    key_error: SshError | None = None
    """Why a key of one's own is none."""
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    waits: bool = False
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def find_cameras(self, transport: Any, python: str, *, clock: Any) -> Found:
        place = transport.place
        self.asked.append(("look", python))
        if self.waits:
            await self.go_on.wait()
        if place["transport"] == "ssh":
            self.let_in(place)
        if isinstance(self.found, SkylapseError):
            raise self.found
        return self.found

    def let_in(self, place: Mapping[str, Any]) -> None:
        """Check host key and credentials as a machine does."""
        credentials = {name: place[name] for name in ("password", "private_key", "passphrase") if name in place}
        self.asked.append(("log in", place["host_key"]))
        if place["host_key"] != self.host_key:
            raise SshError("ssh_host_key_changed", host=place["host"], pinned="SHA256:pinned", found="SHA256:other")
        if self.admits and credentials not in self.admits:
            raise SshError("ssh_denied", host=place["host"], username=place["username"])

    async def fetch_host_key(self, host: str, port: int, *, timeout_s: float) -> str:
        self.asked.append(("key", host, port))
        if isinstance(self.host_key, SshError):
            raise self.host_key
        return self.host_key

    async def generate_key(self) -> KeyPair:
        self.asked.append(("generate",))
        return NEW_KEY

    async def public_half(self, private_key: str, passphrase: str | None) -> str:
        if self.key_error is not None:
            raise self.key_error
        return "ssh-ed25519 AAAAown"

    async def take_test_shot(self, hass: HomeAssistant, data: Mapping[str, Any], options: Mapping[str, Any]) -> TestShot:
        self.asked.append(("shot", data["camera_id"], dict(options)))
        if isinstance(self.shot, SkylapseError):
            raise self.shot
        return self.shot


@dataclass
class _Transport:
    """Stands in for the way to a place."""

    machine: Machine
    place: Mapping[str, Any]

    async def spawn(self, argv: Sequence[str]) -> _Transport:
        if self.machine.waits:
            await self.machine.go_on.wait()
        self.machine.let_in(self.place)
        self.machine.asked.append(("run", *argv))
        return self

    async def close(self) -> None:
        self.machine.asked.append(("closed",))


@contextmanager
def made_up() -> Generator[Machine]:
    """Let the flows find this machine wherever they look."""
    machine = Machine()
    with (
        patch("custom_components.skylapse.camera_search.find_cameras", machine.find_cameras),
        patch("custom_components.skylapse.camera_search.build_transport", lambda place: _Transport(machine, dict(place))),
        patch("custom_components.skylapse.flow_ssh.fetch_host_key", machine.fetch_host_key),
        patch("custom_components.skylapse.flow_ssh.generate_key", machine.generate_key),
        patch("custom_components.skylapse.flow_ssh.public_half", machine.public_half),
        patch("custom_components.skylapse.flow_ssh.fingerprint", FINGERPRINTS.__getitem__),
        patch("custom_components.skylapse.repairs.fetch_host_key", machine.fetch_host_key),
        patch("custom_components.skylapse.repairs.fingerprint", FINGERPRINTS.__getitem__),
        patch.object(config_flow, "take_test_shot", machine.take_test_shot),
    ):
        yield machine


def cameras(*probes: CameraProbe, unusable: Sequence[FoundCamera] = ()) -> Found:
    """Return what a search finds with picamera2."""
    return Found(HostFacts(), {"picamera2": (*map(FoundCamera, probes), *unusable)})


def camera_entry(probe: CameraProbe = HAWK, title: str = "Hawk", options: Mapping[str, Any] | None = None, **ssh: Any) -> MockConfigEntry:
    """Return the entry of a camera: of this machine, or of another one if there is anything of ``ssh``."""
    place: dict[str, Any] = {"transport": "local", "python": "/usr/bin/python3"}
    if ssh:
        address = {"host": "pi.local", "port": 22, "username": "sky", "host_key": PINNED}
        place = {"transport": "ssh", "python": "/usr/bin/python3", **address, **ssh}
    camera = {"camera_id": probe.id, "camera_index": probe.index, "model": probe.model, "probe": probe.to_dict()}
    return MockConfigEntry(
        domain=DOMAIN,
        title=title,
        unique_id=f"camera:{place.get('host', 'local')}:{probe.id}",
        data={"source": probe.backend, "slug": title.lower(), **place, **camera},
        options={**DEFAULT_OPTIONS, **(options or {})},
    )


async def step(hass: HomeAssistant, result: Mapping[str, Any], user_input: Mapping[str, Any] | str) -> dict[str, Any]:
    """Send a form or choose from a menu, and wait for what takes a while."""
    sent = {"next_step_id": user_input} if isinstance(user_input, str) else dict(user_input)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], sent)
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await hass.async_block_till_done()
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    return result
