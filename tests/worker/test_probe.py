"""What the worker says of cameras and of what keeps it from them."""

from collections.abc import Callable
from functools import partial
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.rig.machine import Rig

from .conftest import configure, configured
from .peer import Peer, Refused


def refusal(peer: Peer, op: str = "configure", **args: Any) -> Refused:
    """Return what the worker says no with."""
    ask = partial(configure, peer, **args) if op == "configure" else partial(peer.request, op, args)
    with pytest.raises(Refused) as refused:
        ask()
    return refused.value


def test_describes_cameras_and_their_host(rigs: Callable[..., Rig], start: Any) -> None:
    machine = rigs(cameras=["imx519", "imx219"])
    machine.host_file("/proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    result, blob = start(machine.python).request("probe", {"backend": "picamera2"})
    assert blob == b""
    assert result["backend"] == "picamera2"
    assert result["machine"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert result["picamera2"]
    assert result["libcamera"].startswith("v0.")
    assert result["rpicam"] is None
    assert result["python"].startswith("3.")
    assert result["os"]
    by_model = {camera["model"]: camera for camera in result["cameras"]}
    assert set(by_model) == {"imx519", "imx219"}
    assert sorted(camera["index"] for camera in result["cameras"]) == [0, 1]
    camera = by_model["imx519"]
    assert set(camera) == {"index", "id", "model", "rotation", "pixel_array", "modes", "controls", "raw", "error"}
    assert camera["id"].endswith("/imx519@1a")
    assert camera["error"] is None
    assert camera["rotation"] == 180
    assert camera["pixel_array"] == [4656, 3496]
    assert {"size": [4656, 3496], "bit_depth": 10, "fps": 9, "exposure_us": [287, 120729139]} in camera["modes"]
    assert camera["controls"]["ExposureTime"] == [287, 120729139, 20000]
    assert camera["controls"]["AwbEnable"] == [False, True, None]
    assert camera["controls"]["ScalerCrop"][1] == [0, 0, 4656, 3496]
    assert "LensPosition" not in by_model["imx219"]["controls"]
    assert camera["raw"] is True


def test_probing_again_leaves_nothing_open_and_a_configured_camera_alone(pi: Rig, start: Any) -> None:
    peer = start(pi.python)
    peer.request("probe")
    before = peer.request("metrics")[0]["worker_fds"]
    for _ in range(4):
        peer.request("probe")
    assert peer.request("metrics")[0]["worker_fds"] <= before + 1
    configure(peer)
    size = peer.request("capture")[0]["size"]
    camera = peer.request("probe")[0]["cameras"][0]
    assert camera["error"] is None
    assert camera["controls"]["ExposureTime"] == [287, 120729139, 20000]
    assert peer.request("capture")[0]["size"] == size


def test_finds_the_camera_that_was_meant(rig: Callable[..., Rig], start: Any) -> None:
    peer = start(rig(time_scale=0.2, cameras=["imx519", "imx219"]).python)
    cameras = {camera["model"]: camera for camera in peer.request("probe")[0]["cameras"]}
    for model, longest in (("imx219", 11_766_829), ("imx519", 120_729_139)):
        meant = {"id": cameras[model]["id"], "index": 5, "model": model}
        assert configure(peer, camera=meant)["limits"]["ExposureTime"][1] == longest
        moved = {**meant, "id": "/base/axi/pcie@1000120000" + meant["id"].removeprefix("/base/soc")}
        assert configure(peer, camera=moved)["limits"]["ExposureTime"][1] == longest
        assert configure(peer, camera=moved)["camera"] == {name: cameras[model][name] for name in ("id", "index", "model")}
        elsewhere = {"id": "/base/another/imx519@99", "index": cameras[model]["index"], "model": model}
        assert configure(peer, camera=elsewhere)["camera"]["model"] == model
    for model in ("imx708", None):  # never another one than was meant
        assert refusal(peer, camera={"id": "/base/imx708@1a", "index": 0, "model": model}).key == "camera_missing"
    assert refusal(peer, camera={"index": 2}).key == "camera_missing"


def test_no_camera_is_told(rig: Callable[..., Rig], start: Any) -> None:
    peer = start(rig(cameras=[]).python)
    for op in ("probe", "configure"):
        refused = refusal(peer, op)
        assert (refused.key, refused.fatal) == ("camera_missing", True)  # libcamera does not look again


@pytest.mark.parametrize(
    ("heap", "key"), [("denied", "camera_denied"), ("none", "camera_denied"), (20, "camera_memory")], ids=["denied", "none", "small"]
)
def test_camera_memory_that_cannot_be_had_is_told(rig: Callable[..., Rig], start: Any, heap: int | str, key: str) -> None:
    machine = rig(heap=heap)
    machine.host_file("/proc/meminfo", "MemTotal: 900000 kB\nCmaTotal:  65536 kB\nCmaFree:  20480 kB\n")
    refused = refusal(start(machine.python), size=[4656, 3496])
    assert (refused.key, refused.fatal) == (key, True)
    if key == "camera_memory":
        assert refused.placeholders == {"cma_free_mb": 20, "cma_total_mb": 64}


def test_what_a_configuration_held_is_given_back_before_the_next(rig: Callable[..., Rig], start: Any) -> None:
    """There is room for one."""
    peer = start(rig(time_scale=0.2, heap=110).python)
    for _ in range(3):
        assert configure(peer, size=[4656, 3496], preview_size=None)["size"] == [4656, 3496]
        peer.request("capture")


def test_a_camera_that_another_program_holds_is_told_with_its_name(pi: Rig, start: Any) -> None:
    holder = configured(start(pi.python))
    holder.request("capture")
    peer = start(pi.python)
    began = time.monotonic()
    refused = refusal(peer)
    assert 4.0 < time.monotonic() - began < 8.0
    assert refused.key == "camera_busy_elsewhere"
    name = Path(f"/proc/{holder.process.pid}/comm").read_text().strip()
    assert refused.placeholders == {"holder": name, "pid": holder.process.pid}
    assert not refused.fatal
    camera = peer.request("probe")[0]["cameras"][0]
    assert camera["model"] == "imx519"
    assert camera["error"]["key"] == "camera_busy_elsewhere"
    holder.kill()
    configure(peer)
    peer.request("capture")


def test_a_camera_that_is_just_being_let_go_is_waited_for(pi: Rig, start: Any) -> None:
    holder = configured(start(pi.python))
    peer = start(pi.python)
    number = peer.ask(
        "configure", {"backend": "picamera2", "camera": {"index": 0}, "size": [640, 480], "quality": 90, "controls": {}}, 30.0
    )
    time.sleep(1.0)
    holder.kill()
    assert peer.answer(number)[0]["size"] == [640, 480]


def test_an_error_nobody_knows_is_told_in_its_own_words(rig: Callable[..., Rig], start: Any) -> None:
    refused = refusal(start(rig(open_error="The sensor is upside down\nand more").python))
    assert refused.key == "camera_failed"
    assert refused.placeholders["error"].startswith("RuntimeError: The sensor is upside down")
    assert "and more" not in refused.placeholders["error"]


@pytest.mark.parametrize("missing", ["picamera2", "numpy"])
def test_a_missing_package_is_told(rig: Callable[..., Rig], start: Any, tmp_path: Path, missing: str) -> None:
    """Also one that picamera2 itself needs."""
    site = tmp_path / "without"
    site.mkdir()
    (site / f"{missing}.py").write_text(f"raise ModuleNotFoundError('No module named {missing}', name={missing!r})\n")
    program = tmp_path / "python3"
    program.write_text(f'#!/bin/sh\nexec "{rig().python}" -c "import sys; sys.path.insert(0, \'{site}\'); exec(sys.argv.pop(1))" "$3"\n')
    program.chmod(0o755)
    refused = refusal(start(program))
    assert (refused.key, refused.fatal) == ("picamera2_missing", True)
    assert missing in refused.placeholders["error"]


def test_a_tuning_file_that_is_not_there_is_told(pi: Rig, start: Any, tmp_path: Path) -> None:
    peer = start(pi.python)
    for name in ("nothing.json", str(tmp_path / "nothing.json")):
        refused = refusal(peer, tuning=name)
        assert (refused.key, refused.placeholders) == ("tuning_missing", {"file": name})
    own = tmp_path / "own.json"
    own.write_text("{}")
    for tuning in (str(own), None, str(own)):
        configure(peer, tuning=tuning)
        assert peer.request("capture")[0]["size"] == [1280, 720]


def test_a_sensor_without_its_own_hdr_says_so(camera: Peer) -> None:
    refused = refusal(camera, sensor_hdr=True)
    assert (refused.key, refused.placeholders) == ("camera_cannot", {"what": "sensor_hdr"})
    configure(camera)
    camera.request("capture")


@pytest.mark.parametrize(
    "args",
    [
        {"size": [4656]},
        {"size": [8, 8]},
        {"size": "4656x3496"},
        {"size": [1e3, 1e3]},
        {"quality": 0},
        {"quality": 101},
        {"quality": None},
        {"hflip": 1},
        {"orientation": 2},
        {"orientation": True},
        {"tuning": 5},
        {"tuning": "a\0b"},
        {"camera": "imx519"},
        {"camera": {"id": 5}},
        {"camera": {"index": -1}},
        {"exif": []},
        {"exif": {"make": 5}},
        {"backend": None},
    ],
)
def test_configurations_that_make_no_sense_are_refused(camera: Peer, args: dict[str, Any]) -> None:
    if args == {"exif": []}:
        configure(camera, **args)  # as good as none
        return
    assert refusal(camera, **args).key == "worker_bad_request"
    assert camera.request("ping")


@pytest.mark.parametrize("op", ["capture", "preview", "wake", "rest", "focus_sweep", "autofocus", "restart_stream"])
def test_nothing_goes_without_a_configuration(start: Any, op: str) -> None:
    refused = refusal(start(sys.executable), op, positions=[1.0])
    assert (refused.key, refused.placeholders) == ("worker_bad_request", {"error": "the camera is not configured"})


def test_a_configuration_that_failed_leaves_none(rig: Callable[..., Rig], start: Any) -> None:
    machine = rig(time_scale=0.2)
    peer = configured(start(machine.python))
    machine.heap(5)
    assert refusal(peer, size=[4656, 3496]).key == "camera_memory"
    assert refusal(peer, "capture").key == "worker_bad_request"
    machine.heap(None)
    configure(peer)
    peer.request("capture")


# ---- the host


THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def test_tells_how_the_host_is(rig: Callable[..., Rig], start: Any, tmp_path: Path) -> None:
    machine = rig()
    machine.host_file("/sys/class/thermal/thermal_zone0/type", "gpu-thermal\n")
    machine.host_file("/sys/class/thermal/thermal_zone1/type", "cpu-thermal\n")
    machine.host_file("/sys/class/thermal/thermal_zone1/temp", "48686\n")
    machine.host_file("/proc/meminfo", "MemTotal: 4000 kB\nMemAvailable: 3000 kB\nCmaTotal: 2000 kB\nCmaFree: 1000 kB\nSwapFree: 5 kB\n")
    vcgencmd = tmp_path / "vcgencmd"
    vcgencmd.write_text("#!/bin/sh\n[ $1 = get_throttled ] && echo throttled=0x50005\n")
    vcgencmd.chmod(0o755)
    peer = start(machine.python, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    told = peer.request("metrics")[0]
    assert told["cpu_temperature_c"] == 48.686
    assert (told["under_voltage"], told["frequency_capped"], told["throttled"], told["soft_temperature_limit"]) == (
        True,
        False,
        True,
        False,
    )
    assert (told["under_voltage_since_boot"], told["throttled_since_boot"]) == (True, True)
    memory = [
        told[name] for name in ("memory_total_bytes", "memory_available_bytes", "cma_total_bytes", "cma_free_bytes", "swap_free_bytes")
    ]
    assert memory == [4_096_000, 3_072_000, 2_048_000, 1_024_000, 5_120]
    assert told["worker_fds"] > 3
    assert told["worker_threads"] >= 4
    assert told["worker_rss_bytes"] > 1_000_000
    assert told["disk_total_bytes"] >= told["disk_free_bytes"] > 0
    assert told["uptime_s"] > 0
    assert told["load_1m"] >= 0


def test_knows_under_voltage_without_the_firmwares_program(rig: Callable[..., Rig], start: Any) -> None:
    machine = rig()
    peer = start(machine.python)
    machine.host_file(THROTTLED, "40000\n")
    told = peer.request("metrics")[0]
    assert (told["under_voltage"], told["throttled"], told["throttled_since_boot"]) == (False, False, True)
    machine.host_file(THROTTLED, "nonsense\n")
    machine.host_file("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    machine.host_file("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    for alarm, under_voltage in (("1\n", True), ("0\n", False), ("?\n", None)):
        machine.host_file("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm)
        told = peer.request("metrics")[0]
        assert (told["under_voltage"], told["throttled"], told["throttled_since_boot"]) == (under_voltage, None, None)


def test_what_a_host_does_not_tell_is_unknown(start: Any) -> None:
    """This machine is no Pi."""
    told = start(sys.executable).request("metrics")[0]
    if not Path("/proc/device-tree/model").exists():
        assert [told[name] for name in ("throttled", "frequency_capped", "throttled_since_boot")] == [None, None, None]
    assert told["cpu_count"] == os.cpu_count()


def test_a_program_that_hangs_does_not_hold_up_anything_else(start: Any, tmp_path: Path) -> None:
    vcgencmd = tmp_path / "vcgencmd"
    vcgencmd.write_text("#!/bin/sh\nexec sleep 60\n")
    vcgencmd.chmod(0o755)
    peer = start(sys.executable, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    number = peer.ask("metrics")
    for _ in range(10):
        assert peer.request("ping")[0]["busy_op"] is None
    assert peer.answer(number, 5.0)[0]["throttled"] is None
    assert subprocess.run(["pgrep", "-P", str(peer.process.pid)], capture_output=True, check=False).stdout == b""
