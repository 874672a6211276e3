"""Taking pictures through rpicam-still; a stand-in for it that knows its options, its output and its failures."""

from collections.abc import Callable
import os
from pathlib import Path
import sys
import time
from typing import Any

import pytest

from .peer import Peer, Refused
from .rpicam_still import CAMERA, CONTROLS, LISTING, METADATA, StandIn


@pytest.fixture
def program(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


@pytest.fixture
def peer(program: StandIn, start: Callable[..., Peer]) -> Peer:
    return start(sys.executable, env=program.env)


def configure(peer: Peer, **more: Any) -> dict[str, Any]:
    args = {"backend": "rpicam", "camera": {"id": CAMERA, "index": 0}, "size": [4608, 2592], "quality": 93, "controls": {}, **more}
    return peer.request("configure", args)[0]


def refusal(peer: Peer, op: str, args: dict[str, Any] | None = None, deadline_s: float = 20.0) -> Refused:
    with pytest.raises(Refused) as refused:
        peer.request(op, args, deadline_s)
    return refused.value


def test_describes_cameras(peer: Peer) -> None:
    result, _ = peer.request("probe", {"backend": "rpicam"})
    assert (result["backend"], result["rpicam"], result["libcamera"]) == ("rpicam", "v1.9.0", "v0.5.2+99")
    first, second = result["cameras"]
    assert (first["index"], first["id"], first["model"], first["pixel_array"]) == (0, CAMERA, "imx708", [4608, 2592])
    assert first["modes"] == [
        {"size": [1536, 864], "bit_depth": 10, "fps": 120.13, "exposure_us": None},
        {"size": [2304, 1296], "bit_depth": 10, "fps": 56.03, "exposure_us": None},
        {"size": [4608, 2592], "bit_depth": 10, "fps": 14.35, "exposure_us": None},
    ]
    assert first["controls"]["ExposureTime"] == [100, 112_000_000, 20_000]
    assert first["controls"]["LensPosition"] == [0.0, 32.0, 1.0]
    assert (first["raw"], first["error"], first["rotation"]) == (False, None, None)
    assert second["controls"]["ExposureTime"][1] == 11_760_000
    assert "LensPosition" not in second["controls"]
    assert [mode["size"] for mode in second["modes"]] == [[640, 480], [3280, 2464]]
    assert second["modes"][0]["bit_depth"] == 10


def test_takes_limits_from_a_program_that_lists_them(peer: Peer, program: StandIn) -> None:
    (program.folder / "listing").write_text(LISTING.split("\n1 :", maxsplit=1)[0] + CONTROLS)
    controls = peer.request("probe", {"backend": "rpicam"})[0]["cameras"][0]["controls"]
    assert controls["ExposureTime"] == [26, 112015443, 20_000]
    assert controls["AnalogueGain"] == [1.122807, 16.0, 1.0]
    assert "LensPosition" in controls
    (program.folder / "listing").write_text(LISTING.split("\n1 :", maxsplit=1)[0] + CONTROLS.replace("    LensPosition", "    Nothing"))
    assert "LensPosition" not in peer.request("probe", {"backend": "rpicam"})[0]["cameras"][0]["controls"]


def test_works_with_an_older_program_under_its_older_name(tmp_path: Path, start: Callable[..., Peer]) -> None:
    program = StandIn(tmp_path, "libcamera-still")
    program.do("old")
    peer = start(sys.executable, env=program.env)
    assert len(peer.request("probe", {"backend": "rpicam"})[0]["cameras"]) == 2
    configure(peer)
    assert peer.request("capture")[1] == program.picture


def test_captures_without_a_preview(peer: Peer, program: StandIn) -> None:
    settings = {"hflip": True, "orientation": 6, "exif": {"make": "Raspberry Pi", "model": "Camera Module 3"}, "quality": 88}
    configured = configure(peer, **settings)
    assert (configured["size"], configured["format"], configured["preview_size"], configured["raw"]) == ([4608, 2592], "JPEG", None, False)
    assert configured["limits"]["AnalogueGain"][1] == 16.0
    assert configured["versions"] == {"libcamera": "v0.5.2+99", "rpicam": "v1.9.0"}
    stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    program.tell({**METADATA, "SensorTimestamp": stamp})
    result, blob = peer.request("capture", {"controls": {"ExposureTime": 10_000, "AnalogueGain": 2.0}, "match": {"exposure_us": 10_000}})
    assert blob == program.picture
    assert result["parts"] == [["jpeg", len(blob)]]
    assert result["metadata"] == {**METADATA, "SensorTimestamp": stamp}
    assert result["frames"] == 1
    age = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - stamp) / 1e9 + 0.01
    assert result["taken_at"] == pytest.approx(time.time() - age, abs=0.05)
    arguments = program.arguments
    assert {"-n", "--immediate", "--hflip"} <= set(arguments)
    assert not {"-t", "--timeout", "--vflip", "--raw", "--awb", "--awbgains", "--ev"} & set(arguments)
    wanted = {
        "--camera": "0", "-o": "-", "--metadata-format": "json", "--thumb": "none", "-q": "88", "--width": "4608", "--height": "2592",
        "--shutter": "10000", "--gain": "2", "--exif": "IFD0.Orientation=6",
    }  # fmt: skip
    assert {name: program.option(name) for name in wanted} == wanted
    assert "IFD0.Make=Raspberry Pi" in arguments
    assert "IFD0.Model=Camera Module 3" in arguments
    assert (program.folder / "levels").read_text() == "*:ERROR"


def test_passes_every_setting_on(peer: Peer, program: StandIn) -> None:
    configure(peer)
    controls = {
        "ExposureTime": 0, "AnalogueGain": 0, "ExposureValue": -1.5, "AeMeteringMode": 2, "AwbEnable": True, "AwbMode": 5, "Sharpness": 2,
        "Contrast": 1.5, "Saturation": 0, "Brightness": 0.25, "NoiseReductionMode": 2, "AfMode": 0, "LensPosition": 0.5,
        "ScalerCrop": [1152, 648, 2304, 1296],
    }  # fmt: skip
    peer.request("capture", {"controls": controls})
    wanted = {
        "--shutter": None, "--gain": None, "--ev": "-1.5", "--metering": "average", "--awb": "daylight", "--awbgains": None,
        "--sharpness": "2", "--contrast": "1.5", "--saturation": "0", "--brightness": "0.25", "--denoise": "cdn_hq",
        "--autofocus-mode": "manual", "--lens-position": "0.5", "--roi": "0.250000,0.250000,0.500000,0.500000",
    }  # fmt: skip
    assert {name: program.option(name) for name in wanted} == wanted
    peer.request("capture", {"controls": {"AwbEnable": False, "ColourGains": [2.0, 1.8]}})
    assert program.option("--awbgains") == "2,1.8"
    assert refusal(peer, "capture", {"controls": {"AwbEnable": False}}).key == "camera_setting_refused"
    assert refusal(peer, "capture", {"controls": {"HdrMode": 1}}).placeholders == {"setting": "HdrMode"}
    assert refusal(peer, "capture", {"controls": {"ExposureTime": 10**9}}).key == "camera_setting_refused"
    with pytest.raises(Refused, match="camera_setting_refused"):
        configure(peer, controls={"Contrast": 99})


def test_long_exposures_have_their_colours_fixed(peer: Peer, program: StandIn) -> None:
    configure(peer)
    peer.request("capture")
    long = {"ExposureTime": 5_000_000, "AnalogueGain": 4.0, "AwbEnable": True}
    program.tell({**METADATA, "ExposureTime": 5_000_100, "AnalogueGain": 4.01})
    peer.request("capture", {"controls": long})
    assert (program.option("--shutter"), program.option("--gain"), program.option("--awbgains")) == ("5000000", "4", "2.5,1.5")


def test_a_first_frame_that_is_long_finds_its_colours_in_a_short_one(peer: Peer, program: StandIn) -> None:
    configure(peer)
    long = {"ExposureTime": 5_000_000, "AnalogueGain": 4.0, "AwbEnable": True}
    program.tell({**METADATA, "ExposureTime": 5_000_100, "AnalogueGain": 4.01})
    assert peer.request("capture", {"controls": long}, 60.0)[0]["frames"] == 1
    assert (program.option("--shutter"), program.option("--awbgains")) == ("5000000", "2.5,1.5")
    shots = len((program.folder / "pids").read_text().split())
    peer.request("capture", {"controls": long}, 60.0)
    assert len((program.folder / "pids").read_text().split()) == shots + 1


def test_a_long_frame_is_taken_without_its_colours_where_there_is_no_time_to_find_them(peer: Peer, program: StandIn) -> None:
    configure(peer)
    program.tell({**METADATA, "ExposureTime": 5_000_100, "AnalogueGain": 4.01})
    peer.request("capture", {"controls": {"ExposureTime": 5_000_000, "AnalogueGain": 4.0}}, 10.0)
    assert (program.option("--shutter"), program.option("--awbgains")) == ("5000000", None)


def test_an_exposure_that_is_not_reached_is_tried_twice(peer: Peer, program: StandIn) -> None:
    configure(peer)
    wanted = {"controls": {"ExposureTime": 10_000, "AnalogueGain": 2.0}}
    program.do("settling")
    assert peer.request("capture", wanted)[0]["frames"] == 2
    program.tell({**METADATA, "ExposureTime": 1000})
    refused = refusal(peer, "capture", wanted)
    assert (refused.key, refused.placeholders) == ("exposure_not_reached", {"wanted": "10 ms, gain 2", "got": "1 ms, gain 2"})
    program.do("mute")
    assert refusal(peer, "capture", wanted).placeholders["got"] == "?"
    assert peer.request("capture")[0]["metadata"] == {}


@pytest.mark.parametrize(
    ("mode", "key", "placeholders"),
    [
        ("none", "camera_missing", {}),
        ("denied", "camera_denied", {}),
        ("memory", "camera_memory", None),
        ("failed", "camera_failed", {"error": "ERROR: *** the sensor is upside down ***"}),
        ("crash", "camera_failed", None),
        ("half", "camera_failed", {"error": "rpicam-still gave no whole JPEG"}),
        ("empty", "camera_failed", {"error": "rpicam-still gave no whole JPEG"}),
    ],
)
def test_failures_are_told(peer: Peer, program: StandIn, mode: str, key: str, placeholders: dict[str, str] | None) -> None:
    configure(peer)
    program.do(mode)
    refused = refusal(peer, "capture")
    assert refused.key == key
    assert placeholders is None or refused.placeholders == placeholders
    if mode in {"none", "denied", "memory", "failed"}:
        assert refusal(peer, "probe", {"backend": "rpicam"}).key == key
    program.do("ok")
    assert peer.request("capture")[1] == program.picture


def test_a_camera_that_is_in_use_is_waited_for_a_while(peer: Peer, program: StandIn) -> None:
    configure(peer)
    program.do("busy-once")
    assert peer.request("capture")[1] == program.picture
    program.do("busy")
    began = time.monotonic()
    assert refusal(peer, "capture").key == "camera_busy_elsewhere"
    assert 4.0 < time.monotonic() - began < 7.0


def test_a_program_that_hangs_is_killed_with_all_it_started(peer: Peer, program: StandIn) -> None:
    configure(peer)
    program.do("hang")
    began = time.monotonic()
    number = peer.ask("capture", deadline_s=1.5)
    time.sleep(0.5)
    assert peer.request("ping")[0]["busy_op"] == "capture"
    assert program.running()
    with pytest.raises(Refused) as refused:
        peer.answer(number)
    assert (refused.value.key, refused.value.placeholders, refused.value.fatal) == ("camera_timeout", {"deadline_s": 1.5}, False)
    assert time.monotonic() - began < 2.5
    assert not program.running()
    program.do("ok")
    assert peer.request("capture")[1] == program.picture


def test_a_program_that_runs_ends_with_the_worker(peer: Peer, program: StandIn) -> None:
    configure(peer)
    program.do("hang")
    peer.ask("capture")
    time.sleep(0.5)
    (mine, _) = program.running()
    peer.process.kill()
    peer.process.wait(5)
    until = time.monotonic() + 1.0
    while mine in program.running():
        assert time.monotonic() < until
        time.sleep(0.01)
    for pid in program.running():
        os.kill(pid, 9)  # the stand-in's own child


def test_there_is_no_program(start: Callable[..., Peer], tmp_path: Path) -> None:
    peer = start(sys.executable, env={"PATH": str(tmp_path)})
    for op in ("probe", "configure"):
        refused = refusal(peer, op, {"backend": "rpicam"})
        assert (refused.key, refused.fatal) == ("rpicam_missing", True)


def test_what_takes_a_stream_cannot_be_done(peer: Peer) -> None:
    assert refusal(peer, "rest").key == "worker_bad_request"
    configure(peer)
    for op in ("preview", "focus_sweep", "autofocus"):
        refused = refusal(peer, op, {"positions": [1.0]})
        assert (refused.key, refused.placeholders) == ("camera_cannot", {"what": op})
    assert peer.request("wake")[0] == peer.request("rest")[0] == {"streaming": False}
    assert peer.request("restart_stream")[0] == {"streaming": False}


def test_a_camera_or_tuning_that_is_not_there_is_told(peer: Peer, program: StandIn, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="camera_missing"):
        configure(peer, camera={"id": "/base/other/imx477@1a"})
    assert refusal(peer, "capture").key == "worker_bad_request"
    for tuning in ("nothing.json", str(tmp_path / "nothing.json")):
        with pytest.raises(Refused, match="tuning_missing"):
            configure(peer, tuning=tuning)
    own = tmp_path / "own.json"
    own.write_text("{}")
    configure(peer, tuning=str(own), sensor_hdr=True, camera={"index": 1}, size=None)
    peer.request("capture")
    assert (program.option("--tuning-file"), program.option("--hdr"), program.option("--camera")) == (str(own), "sensor", "1")
    assert (program.option("--width"), program.option("--height")) == ("3280", "2464")
