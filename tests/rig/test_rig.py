"""The rig is what it claims to be: real picamera2 on real libcamera, with a camera like a Pi's."""

from pathlib import Path
import re

import pytest

from tests.rig.fixtures import MakeRig
from tests.rig.programs import BEGIN, run


def test_picamera2_and_libcamera_are_the_real_ones(rigs: MakeRig) -> None:
    done = run(
        rigs(),
        """
import libcamera, picamera2, importlib.metadata
still(lores={"size": (320, 240)})
picture = io.BytesIO()
with camera.captured_request(flush=True, wait=10) as request:
    request.save("main", picture, format="jpeg")
tell(libcamera=libcamera.CameraManager.singleton().version, file=picamera2.__file__, python=sys.version_info[:2],
     version=importlib.metadata.version("picamera2"), jpeg=picture.getvalue()[:3].hex(), extension=libcamera._libcamera.__file__,
     record=[str(file) for file in importlib.metadata.files("picamera2") if file.name == "picamera2.py"])
camera.close()
""",
    )
    assert done.code == 0, done.error
    assert done.told["version"] == "0.3.38"
    assert done.told["jpeg"] == "ffd8ff"
    assert done.told["record"] == ["picamera2/picamera2.py"]
    assert Path(done.told["file"]).parts[-3:] == ("site", "picamera2", "__init__.py")
    assert Path(done.told["extension"]).suffix == ".so"
    versions = {(3, 14): "v0.7", (3, 13): "v0.4"}
    assert done.told["libcamera"].startswith(versions[done.told["python"][0], done.told["python"][1]])


def test_its_camera_is_described_as_a_pis(rigs: MakeRig) -> None:
    done = run(
        rigs(cameras=["imx519", "imx477"]),
        """
modes = [(mode["size"], mode["fps"], mode["bit_depth"], mode["exposure_limits"]) for mode in camera.sensor_modes]
tell(cameras=Picamera2.global_camera_info(), modes=modes, properties={key: str(value) for key, value in camera.camera_properties.items()},
     exposure=camera.camera_controls["ExposureTime"], lens=camera.camera_controls["LensPosition"])
""",
    )
    assert done.code == 0, done.error
    assert [(found["Model"], found["Rotation"], found["Id"]) for found in done.told["cameras"]] == [
        ("imx519", 180, "/base/soc/i2c0mux/i2c@1/imx519@1a"),
        ("imx477", 180, "/base/soc/i2c0mux/i2c@0/imx477@1a"),
    ]
    assert len(done.told["modes"]) == 5
    assert done.told["modes"][-1] == [[4656, 3496], 9, 10, [287, 120_729_139, 20_000]]
    assert done.told["properties"]["PixelArraySize"] == "(4656, 3496)"
    assert done.told["lens"] == [0.0, 32.0, 1.0]


def test_what_a_camera_lacks_can_be_chosen(rig: MakeRig) -> None:
    show = "still()\ntell(controls=list(camera.camera_controls), metadata=list(frame()), exposure=camera.camera_controls['ExposureTime'])"
    full = run(rig(), show)
    plain = run(rig(without=["lens", "hdr", "sensor_temperature", "Sharpness"], limits={"ExposureTime": [100, 5000, 1000]}), show)
    gone = {"AfMode", "AfTrigger", "AfRange", "AfSpeed", "AfMetering", "AfWindows", "AfPause", "LensPosition", "HdrMode", "Sharpness"}
    assert set(full.told["controls"]) - set(plain.told["controls"]) == gone
    assert {"LensPosition", "AfState", "SensorTemperature"} <= set(full.told["metadata"]) - set(plain.told["metadata"])
    assert plain.told["exposure"] == [100, 5000, 1000]


def test_a_model_that_nobody_knows(rig: MakeRig) -> None:
    done = run(rig(cameras=["ov9999"]), "still()\ntell(size=camera.sensor_resolution, controls=list(camera.camera_controls), n=frame())")
    assert done.code == 0, done.error
    assert done.told["size"] == [1920, 1080]
    assert "LensPosition" not in done.told["controls"]


def test_frames_come_at_the_sensors_pace(rigs: MakeRig) -> None:
    """Also beside a stream for a live view, and also as slowly as one exposes; only a test that is in a hurry changes that."""
    rig = rigs()
    measure = """
def pace(**more):
    camera.configure(camera.create_still_configuration({"size": (1280, 720)}, buffer_count=2, controls={"FrameDurationLimits": (200_000, 200_000)}, **more))
    camera.start()
    stamps = [frame(flush=None)["SensorTimestamp"] for _ in range(8)]
    camera.stop()
    return (stamps[-1] - stamps[1]) / 6e6
tell(alone=pace(), both=pace(lores={"size": (640, 480)}))
camera.set_controls({"ExposureTime": 400_000, "AnalogueGain": 1.0, "FrameDurationLimits": (100, 1_000_000)})
camera.start()
begun = time.monotonic_ns()
metadata = frame()
tell(slow=(time.monotonic_ns() - begun) / 1e6, exposure=metadata["ExposureTime"])
camera.stop()
"""
    done = run(rig, measure)
    assert done.code == 0, done.error
    assert min(done.told["alone"], done.told["both"]) > 160  # a sleep may last longer, never shorter
    assert done.told["exposure"] == pytest.approx(400_000, rel=0.01)
    assert done.told["slow"] > 395


def test_a_frame_asked_for_anew_began_after_the_request(rig: MakeRig) -> None:
    """Also where time is scaled: metadata tell the sensor's time, and exposures begin when they really began."""
    done = run(
        rig(time_scale=0.1),
        """
camera.configure(camera.create_still_configuration({"size": (640, 480)}, buffer_count=2))
camera.set_controls({"ExposureTime": 3_000_000, "AnalogueGain": 8.0, "ColourGains": (2.0, 1.5)})
camera.start()
begun = time.monotonic_ns()
metadata = frame(flush=begun)
tell(metadata=metadata, began=(metadata["SensorTimestamp"] - metadata["ExposureTime"] * 1000 - begun) / 1e9)
""",
    )
    assert done.told["metadata"]["ExposureTime"] == pytest.approx(3_000_000, rel=0.01)
    assert done.told["metadata"]["AnalogueGain"] == pytest.approx(8.0, rel=0.02)
    assert done.told["began"] >= -0.001


def test_controls_act_some_frames_later_and_automatic_exposure_settles(rig: MakeRig) -> None:
    machine = rig()
    machine.lux(100)
    done = run(
        machine,
        """
still()
seen = [frame(flush=None)]
while seen[-1]["AeState"] != 2 and len(seen) < 20:
    seen.append(frame(flush=None))
camera.set_controls({"ExposureTime": 5000, "AnalogueGain": 2.0})
after = [frame(flush=None)["ExposureTime"] for _ in range(6)]
tell(settled=len(seen), light=seen[-1]["ExposureTime"] * seen[-1]["AnalogueGain"] * 100 / 20e6, lux=seen[-1]["Lux"], after=after)
camera.set_controls({"ExposureTime": 0, "AnalogueGain": 0})
tell(again=[frame(flush=None)["ExposureTime"] for _ in range(8)][-1])
""",
    )
    assert done.code == 0, done.error
    assert 2 <= done.told["settled"] < 15
    assert done.told["light"] == pytest.approx(1.0, rel=0.06)
    assert done.told["lux"] == pytest.approx(100, rel=0.03)
    assert done.told["after"][0] > 50_000
    assert done.told["after"][-1] == pytest.approx(5000, rel=0.01)
    assert done.told["again"] > 50_000


def test_the_picture_is_as_bright_and_as_sharp_as_it_was_taken(rigs: MakeRig) -> None:
    done = run(
        rigs(focus_peak=3.0),
        """
import numpy
def picture(**controls):
    camera.set_controls({"ColourGains": (2.0, 1.5), "AfMode": 0, **controls})
    camera.drop_frames(5, wait=10)
    luma = camera.capture_array("lores", wait=10)[:480, :640].astype(float)
    return luma.mean(), numpy.abs(numpy.diff(luma, axis=1)).max()
still((1280, 720), lores={"size": (640, 480)})
sizes = {name: picture(ExposureTime=us, AnalogueGain=1.0, LensPosition=3.0) for name, us in (("dark", 2_000), ("right", 20_000), ("bright", 80_000))}
tell(**sizes, soft=picture(ExposureTime=20_000, AnalogueGain=1.0, LensPosition=9.0))
""",
    )
    assert done.code == 0, done.error
    assert done.told["dark"][0] * 2 < done.told["right"][0] < done.told["bright"][0] / 1.3
    assert done.told["soft"][0] == pytest.approx(done.told["right"][0], rel=0.1)
    assert done.told["soft"][1] < done.told["right"][1] / 2


def test_raw_data_come_along_with_the_picture(rigs: MakeRig) -> None:
    done = run(
        rigs(),
        """
camera.configure(camera.create_still_configuration({"size": (1280, 720), "format": "YUV420"}, raw={"size": (2328, 1748)}, buffer_count=2))
camera.start()
dng, jpeg = io.BytesIO(), io.BytesIO()
with camera.captured_request(flush=True, wait=10) as request:
    request.save_dng(dng)
    request.save("main", jpeg, format="jpeg")
import PIL.Image
tell(raw=camera.camera_configuration()["raw"], magic=dng.getvalue()[:4].hex(), length=len(dng.getvalue()), size=PIL.Image.open(jpeg).size)
""",
    )
    assert done.code == 0, done.error
    assert done.told["raw"] == {"format": "SRGGB10_CSI2P", "size": [2328, 1748], "stride": 2910, "framesize": 2910 * 1748}
    assert done.told["magic"] == "49492a00"  # little-endian TIFF
    assert done.told["length"] > 2328 * 1748 * 5 // 4
    assert done.told["size"] == [1280, 720]


def test_the_lens_is_sharp_at_one_place_and_autofocus_finds_it(rigs: MakeRig) -> None:
    done = run(
        rigs(focus_peak=3.0),
        """
still()
def at(position):
    camera.set_controls({"AfMode": 0, "LensPosition": position})
    camera.drop_frames(4, wait=10)
    return frame()["FocusFoM"]
measures = [at(position) for position in (0.0, 1.5, 3.0, 4.5, 9.0)]
tell(measures=measures, found=camera.autofocus_cycle(wait=10))
metadata = frame(flush=None)
tell(lens=metadata["LensPosition"], state=metadata["AfState"])
""",
    )
    assert done.code == 0, done.error
    assert max(done.told["measures"]) == done.told["measures"][2]
    assert done.told["measures"][0] < done.told["measures"][1]
    assert done.told["measures"][3] > done.told["measures"][4]
    assert done.told["found"] is True
    assert (done.told["lens"], done.told["state"]) == (3.0, 2)
    assert run(rigs(focus_peak=None), "still()\ntell(found=camera.autofocus_cycle(wait=10))").told["found"] is False


def test_frames_of_the_first_start_are_dropped_unless_all_is_fixed(rig: MakeRig) -> None:
    program = """
from concurrent.futures import TimeoutError
camera.configure(camera.create_still_configuration({"size": (640, 480)}, buffer_count=2, controls=fixed))
came = []
for wait in waits:
    camera.start()
    try:
        came.append(bool(frame(flush=None, wait=wait)))
    except TimeoutError:
        camera.cancel_all_and_flush()
        came.append(False)
    camera.stop()
tell(came=came)
os._exit(0)
"""
    machine = rig(startup_frames=100_000)
    machine.control(frame_us=50_000)
    assert run(machine, f"fixed, waits = {{}}, (1, 30)\n{program}").told["came"] == [False, True]
    fixed = "dict(ExposureTime=9000, AnalogueGain=1.0, ColourGains=(2, 1))"
    assert run(machine, f"fixed, waits = {fixed}, (30,)\n{program}").told["came"] == [True]


def test_the_host_is_a_pi(rig: MakeRig) -> None:
    machine = rig()
    show = """
from pathlib import Path
tell(model=Path("/proc/device-tree/model").read_text(), zones=[str(path) for path in Path("/sys/class/thermal").glob("*/temp")],
     cma="CmaFree" in open("/proc/meminfo").read(), alarm=Path("/sys/class/hwmon/hwmon1/in0_lcrit_alarm").read_text())
"""
    begin = BEGIN.replace("from picamera2 import Picamera2", "")
    done = run(machine, show, begin=begin)
    assert done.code == 0, done.error
    assert done.told["model"] == "Raspberry Pi 4 Model B Rev 1.5\0"
    assert done.told["zones"] == ["/sys/class/thermal/thermal_zone0/temp"]
    assert done.told["cma"]
    assert done.told["alarm"] == "0\n"
    machine.host_file("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert run(machine, show, begin=begin).told["alarm"] == "1\n"


def test_an_open_camera_is_seen_by_its_own_rigs_programs_only(rig: MakeRig) -> None:
    """On a Pi it is /dev/media0 that is open and locked; other tests run beside this one."""
    show = """
own = f"/proc/{os.getpid()}/fd"
tell(open=[link for link in (os.readlink(f"{own}/{entry}") for entry in os.listdir(own) if entry.isdigit() and os.path.exists(f"{own}/{entry}")) if "media" in link],
     inode=os.stat("/dev/media0").st_ino, locks=open("/proc/locks").read(), listed=os.listdir("/dev"), pid=os.getpid())
"""
    done = run(rig(), show)
    assert done.code == 0, done.error
    assert done.told["open"] == ["/dev/media0"]
    assert done.told["listed"] == ["media0"]
    assert re.search(rf"FLOCK +ADVISORY +WRITE {done.told['pid']} \S+:{done.told['inode']} ", done.told["locks"])


def test_what_a_program_starts_is_not_of_the_rig(rig: MakeRig) -> None:
    done = run(rig(), "import subprocess\ntell(there=subprocess.run(['env'], capture_output=True, text=True).stdout)", begin=BEGIN)
    assert done.code == 0, done.error
    assert not {"PYTHONPATH", "LD_PRELOAD"} & {line.partition("=")[0] for line in done.told["there"].splitlines()}
