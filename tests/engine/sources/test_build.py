"""From a config entry to a source."""

from datetime import UTC, datetime
import math

import pytest

from custom_components.skylapse.engine.camera_host.local import LocalTransport
from custom_components.skylapse.engine.camera_host.over_ssh import SshTransport
from custom_components.skylapse.engine.errors import SourceError
from custom_components.skylapse.engine.ports import Site, SystemClock
from custom_components.skylapse.engine.remote.ssh import SshTarget
from custom_components.skylapse.engine.sources.base import CaptureRequest, FrameSource
from custom_components.skylapse.engine.sources.build import build_source, build_transport, stored_probe
from custom_components.skylapse.engine.sources.entity import EntitySource
from custom_components.skylapse.engine.sources.simulated import SimulatedSource
from custom_components.skylapse.engine.sources.worker_camera import WorkerSource

from .cameras import IMX519, probe

SITE = Site(52.0, 5.0, 10.0, UTC)


async def fetch(entity_id: str, timeout_s: float) -> bytes:
    return f"{entity_id} {timeout_s}".encode()


def build(data: dict[str, object], options: dict[str, object] | None = None) -> FrameSource:
    return build_source(data, options or {}, site=lambda: SITE, clock=SystemClock(), fetch_image=fetch)


def test_a_simulated_camera_by_default_sees_full_hd() -> None:
    source = build({"source": "simulated", "slug": "sky", "seed": 7})
    assert isinstance(source, SimulatedSource)
    assert source.identity.serial == "7"
    assert (source.capabilities.width_px, source.capabilities.height_px) == (1920, 1080)


async def test_every_option_arrives() -> None:
    options = {"width": 320.0, "height": 200, "quality": 30.0, "delay_ms": 0, "failure_percent": 0.0, "hang_percent": 0}
    source = build({"source": "simulated", "seed": 7}, options)
    await source.start()
    request = CaptureRequest(due_at=datetime.now(UTC), deadline_s=10, exposure_us=100, gain=1)
    coarse = await source.capture(request)
    assert (coarse.width_px, coarse.height_px) == (320, 200)
    await source.close()

    fine = build({"source": "simulated", "seed": 7}, options | {"quality": 95})
    await fine.start()
    assert len((await fine.capture(request)).jpeg) > len(coarse.jpeg)
    await fine.close()

    for option, key in (("failure_percent", "simulated_failure"), ("hang_percent", "capture_timeout")):
        bad = build({"source": "simulated", "seed": 7}, options | {option: 100})
        await bad.start()
        with pytest.raises(SourceError) as caught:
            await bad.capture(CaptureRequest(due_at=datetime.now(UTC), deadline_s=0.02))
        assert caught.value.key == key
        await bad.close()

    slow = build({"source": "simulated", "seed": 7}, options | {"delay_ms": 600_000})
    await slow.start()
    with pytest.raises(SourceError, match="capture_timeout"):
        await slow.capture(CaptureRequest(due_at=datetime.now(UTC), deadline_s=0.02))
    await slow.close()


async def test_an_entity_is_fetched_by_what_was_given() -> None:
    source = build({"source": "entity", "slug": "sky", "entity_id": "camera.garden"})
    assert isinstance(source, EntitySource)
    assert source.identity.serial == "camera.garden"
    with pytest.raises(SourceError) as caught:
        await source.capture(CaptureRequest(due_at=datetime.now(UTC), deadline_s=1))
    assert caught.value.placeholders == {"found": b"came".hex(" ").upper()}


@pytest.mark.parametrize("data", [{}, {"source": None}, {"source": "raspistill"}])
def test_an_unknown_kind_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(SourceError) as caught:
        build(data)
    assert caught.value.key == "source_unknown"
    assert caught.value.placeholders == {"source": str(data.get("source"))}


@pytest.mark.parametrize("entity_id", [None, 5, "", "camera", "camera.", ".garden", "a.b.c"])
def test_an_entity_without_a_proper_id_is_refused(entity_id: object) -> None:
    with pytest.raises(SourceError) as caught:
        build({"source": "entity", "entity_id": entity_id})
    assert caught.value.key == "source_option_invalid"
    assert caught.value.placeholders == {"field": "entity_id", "value": str(entity_id)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 63),
        ("width", 7681),
        ("width", 1920.5),
        ("width", "1920"),
        ("width", None),
        ("quality", True),
        ("width", math.nan),
        ("height", 47),
        ("height", 4321),
        ("height", math.inf),
        ("quality", 0),
        ("quality", 101),
        ("delay_ms", -1),
        ("delay_ms", 600_001),
        ("failure_percent", -0.1),
        ("failure_percent", 100.1),
        ("hang_percent", -1),
        ("hang_percent", 101),
        ("seed", 2**63),
        ("seed", 0.5),
        ("seed", math.inf),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    data: dict[str, object] = {"source": "simulated", "seed": 1}
    options: dict[str, object] = {}
    (data if field == "seed" else options)[field] = value
    with pytest.raises(SourceError) as caught:
        build(data, options)
    assert caught.value.key == "source_option_invalid"
    assert caught.value.placeholders == {"field": field, "value": str(value)}


@pytest.mark.parametrize(("field", "value"), [("width", 64), ("width", 7680), ("height", 48), ("height", 4320), ("quality", 1)])
def test_both_ends_of_a_range_are_taken(field: str, value: int) -> None:
    build({"source": "simulated", "seed": -(2**63)}, {field: value})


# -- cameras behind a worker

CAMERA: dict[str, object] = {
    "source": "picamera2",
    "slug": "sky",
    "transport": "local",
    "python": "/usr/bin/python3",
    "camera_id": IMX519["id"],
    "camera_index": 0,
    "model": "imx519",
    "probe": probe().to_dict(),
}
SSH: dict[str, object] = CAMERA | {
    "transport": "ssh",
    "host": "pi.example",
    "port": 2222,
    "username": "pi",
    "host_key": "ssh-ed25519 AAAA",
    "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END OPENSSH PRIVATE KEY-----\n",
    "passphrase": "hush",
}


@pytest.mark.parametrize("kind", ["picamera2", "rpicam"])
def test_a_camera_behind_a_worker_says_what_it_is_before_it_was_reached(kind: str) -> None:
    source = build(CAMERA | {"source": kind}, {"resolution": "2328x1748", "exposure_mode": "manual", "exposure_ms": 30_000})
    assert isinstance(source, WorkerSource)
    assert (source.identity.kind, source.identity.serial) == (kind, IMX519["id"])
    assert (source.capabilities.width_px, source.capabilities.height_px) == (2328, 1748)
    assert source.capabilities.usual_exposure_us == 30_000_000
    assert source.capabilities.preview is (kind == "picamera2")


def test_the_entrys_own_fields_go_before_the_probes() -> None:
    found = stored_probe(CAMERA | {"camera_id": "elsewhere", "camera_index": 1.0})
    assert (found.id, found.index, found.resolutions) == ("elsewhere", 1, probe().resolutions)


def test_the_way_to_the_camera_is_local_or_over_ssh() -> None:
    assert isinstance(build_transport(CAMERA), LocalTransport)
    away = build_transport(SSH)
    assert isinstance(away, SshTransport)
    assert away._target == SshTarget(
        "pi.example", 2222, "pi", "ssh-ed25519 AAAA", password=None, private_key=str(SSH["private_key"]), passphrase="hush"
    )
    by_password = build_transport(SSH | {"private_key": "", "passphrase": None, "port": 22.0, "password": "pw"})
    assert isinstance(by_password, SshTransport)
    assert by_password._target == SshTarget("pi.example", 22, "pi", "ssh-ed25519 AAAA", password="pw")
    assert isinstance(build(SSH), WorkerSource)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("transport", "telnet", "transport"),
        ("transport", None, "transport"),
        ("python", "", "python"),
        ("python", "a\nb", "python"),
        ("python", None, "python"),
        ("camera_id", 5, "camera_id"),
        ("camera_index", -1, "camera_index"),
        ("camera_index", "0", "camera_index"),
        ("model", " ", "model"),
        ("probe", None, "resolution"),
        ("host", "", "host"),
        ("host", "a" * 256, "host"),
        ("port", 0, "port"),
        ("port", 65536, "port"),
        ("username", 7, "username"),
        ("host_key", None, "host_key"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_name(field: str, value: object, named: str) -> None:
    with pytest.raises(SourceError) as caught:
        build(SSH | {field: value})
    assert caught.value.key == "source_option_invalid"
    assert caught.value.placeholders["field"] == named


def test_an_id_that_is_none_is_refused() -> None:
    with pytest.raises(SourceError) as caught:
        build(CAMERA | {"camera_id": "a" * 201})
    assert caught.value.placeholders == {"field": "probe", "value": "id"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("private_key", 5), ("password", "p" * 256), ("passphrase", ["secret"]), ("private_key", None), ("private_key", "")],
)
def test_a_secret_that_makes_no_sense_is_never_told(field: str, value: object) -> None:
    with pytest.raises(SourceError) as caught:
        build(SSH | {field: value})
    assert caught.value.placeholders == {"field": field, "value": "…"}


def test_an_option_that_the_camera_cannot_take_is_refused_by_name() -> None:
    with pytest.raises(SourceError) as caught:
        build(CAMERA, {"hdr": "sensor"})
    assert caught.value.placeholders == {"field": "hdr", "value": "sensor"}
