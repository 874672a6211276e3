"""A program that takes the place of rpicam-still, which Debian does not have: it knows its options, its output and its failures."""

import io
import json
import os
from pathlib import Path
import stat

from PIL import Image

CAMERA = "/base/soc/i2c0mux/i2c@1/imx708@1a"
LISTING = f"""Available cameras
-----------------
0 : imx708 [4608x2592 10-bit RGGB] ({CAMERA})
    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]
                             2304x1296 [56.03 fps - (0, 0)/4608x2592 crop]
                             4608x2592 [14.35 fps - (0, 0)/4608x2592 crop]

1 : imx219 [3280x2464] (/base/soc/i2c0mux/i2c@0/imx219@10)
    Modes: 'SRGGB10_CSI2P' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
                             3280x2464 [21.19 fps - (0, 0)/3280x2464 crop]
           'SRGGB8' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]

"""
CONTROLS = """
    Available controls for 4608x2592 SRGGB10_CSI2P mode:
    ----------------------------------------------------
    AnalogueGain : [1.122807..16.000000]
    ExposureTime : [26..112015443]
    LensPosition : [0.000000..32.000000]
"""
METADATA = {"ExposureTime": 10_000, "AnalogueGain": 2.0, "ColourGains": [2.5, 1.5], "Lux": 400.0, "FocusFoM": 900}

PROGRAM = r"""#!/bin/sh
cd "{folder}" || exit 99
printf '%s\n' "$@" >"arguments.$$" && mv "arguments.$$" arguments
printf '%s' "$LIBCAMERA_LOG_LEVELS" >levels
echo $$ >>pids
mode=$(cat mode)
immediate= metadata= list= verbose= last=
for argument; do
  case $last in --metadata) metadata=$argument ;; esac
  case $argument in
    --version) printf 'rpicam-apps build: v1.9.0 4f5ceb 11-06-2026 (12:00:00)\nlibcamera build: v0.5.2+99\n'; exit 0 ;;
    --list-cameras) list=1 ;;
    --immediate) immediate=1 ;;
    -v) verbose=1 ;;
    -t|--timeout) echo "ERROR: a preview is waited for" >&2; exit 255 ;;
  esac
  last=$argument
done
case $mode in
  busy) echo "ERROR: *** failed to acquire camera {camera} ***" >&2; exit 255 ;;
  busy-once) echo ok >mode; echo "ERROR: *** failed to acquire camera {camera} ***" >&2; exit 255 ;;
  denied) echo "ERROR DmaHeap: Could not open any dma-buf provider: Permission denied" >&2; exit 255 ;;
  memory) echo "ERROR V4L2: Unable to request 1 buffers: Cannot allocate memory" >&2; exit 255 ;;
  failed) printf 'Made X/EGL preview window\nERROR: *** the sensor is upside down ***\n\n' >&2; exit 255 ;;
  crash) kill -SEGV $$ ;;
esac
if [ "$list" ]; then
  [ "$mode" = none ] && {{ echo "No cameras available!"; exit 0; }}
  [ "$mode$verbose" = old1 ] && {{ echo "ERROR: *** unrecognised option '-v' ***" >&2; exit 255; }}
  cat listing
  exit 0
fi
[ "$immediate" ] || {{ echo "ERROR: a preview is waited for" >&2; exit 255; }}
case $mode in
  none) echo "ERROR: *** no cameras available ***" >&2; exit 255 ;;
  hang) sleep 60 & echo $! >>pids; wait ;;
  half) head -c 1000 picture; cat metadata >"$metadata"; exit 0 ;;
  empty) exit 0 ;;
  settling) echo ok >mode; echo '{{"ExposureTime": 500, "AnalogueGain": 1.0}}' >"$metadata"; cat picture; exit 0 ;;
  mute) cat picture; exit 0 ;;
esac
cat metadata >"$metadata"
cat picture
"""


class StandIn:
    """The program and what it shall do."""

    def __init__(self, folder: Path, name: str = "rpicam-still") -> None:
        self.folder = folder
        program = folder / name
        program.write_text(PROGRAM.format(folder=folder, camera=CAMERA))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        picture = io.BytesIO()
        Image.effect_noise((640, 360), 60).convert("RGB").save(picture, "JPEG")
        self.picture = picture.getvalue()
        (folder / "picture").write_bytes(self.picture)
        (folder / "listing").write_text(LISTING)
        self.tell(METADATA)
        self.do("ok")
        self.env = {"PATH": f"{folder}:{os.defpath}"}

    def do(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def tell(self, metadata: object) -> None:
        (self.folder / "metadata").write_text(json.dumps(metadata))

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "arguments").read_text().splitlines()

    def option(self, name: str) -> str | None:
        arguments = self.arguments
        return arguments[arguments.index(name) + 1] if name in arguments else None

    def running(self) -> list[int]:
        """Return the processes that it started and that are still there."""
        pids = [int(pid) for pid in (self.folder / "pids").read_text().split()]
        return [pid for pid in pids if Path(f"/proc/{pid}/exe").exists() and os.path.lexists(f"/proc/{pid}/cwd")]
