"""A Raspberry Pi whose camera is virtual: its ``python3``, and all that a test can change about it. Needs no pytest."""

from collections.abc import Mapping
from functools import cache
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from tests.rig import evil_relay

ROOT = Path(__file__).resolve().parents[2]
GENERATIONS = ("forky", "trixie")
"""Debian releases: Python 3.14 with libcamera 0.7, and 3.13 with 0.4."""


class RigImpossible(Exception):
    """The rig cannot be made on this machine; the message says why."""


def make(generation: str = GENERATIONS[0]) -> Path:
    """Return the rig's ``python3``, after making it if it is not there yet; raise ``RigImpossible`` if it cannot be."""
    made = _make(generation)
    if isinstance(made, str):
        raise RigImpossible(made)
    return made


@cache
def _make(generation: str) -> Path | str:
    """Return the rig's ``python3``, or why there is none."""
    if os.environ.get("SKYLAPSE_RIG") == "none":
        return "SKYLAPSE_RIG is none"
    done = subprocess.run([ROOT / "scripts" / "get-rig", generation], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"scripts/get-rig ended with {done.returncode}"]
        return lines[-1].removeprefix("setup: ")
    return Path(done.stdout.strip())


class Rig:
    """One such machine. What is changed holds for programs that run already, unless it says otherwise."""

    def __init__(self, program: Path, folder: Path, *, heap: int | str | None = None, frame_us: int = 0, **settings: Any) -> None:
        """Set a machine up in an empty folder: ``program`` is from ``make``; for the rest see ``change``, ``heap`` and ``control``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.env: Mapping[str, str] = {"RIG_DIR": str(folder)}
        """What ``program`` needs in its environment; ``python`` needs nothing."""
        self._settings: dict[str, Any] = {}
        self.change(**settings)
        self.heap(heap)
        self.control(frame_us)
        self.be_a_pi()
        self.python = _script(folder / "python3", f'export RIG_DIR="{folder}"\nexec "{program}" "$@"')
        self._evil = _script(
            folder / "evil-python3", f'exec "{sys.executable}" -IS "{evil_relay.__file__}" "{folder}/evil" "{self.python}" "$@"'
        )

    def evil(self, word: str, after: int = 0) -> str:
        """Return an interpreter whose worker's output is spoilt once, when so many frames went by; ``evil_relay.WORDS`` tells how."""
        assert word in evil_relay.WORDS
        self._write("evil", f"{word} {after}")
        return self._evil

    def change(self, **settings: Any) -> None:
        """Change what the next process finds (``open_error``: the next opening of the camera).

        ``cameras`` (models; empty for none), ``without`` (controls and metadata, by name or as "lens", "hdr",
        "sensor_temperature", "focus_measure", "awb"), ``limits`` (name to least, greatest and default), ``startup_frames``,
        ``delay_frames``, ``time_scale``, ``focus_peak`` (dioptres), ``open_error`` (a message, or "busy").
        """
        self._settings |= settings
        self._write("settings.json", json.dumps(self._settings))

    def control(self, frame_us: int = 0, fault: str = "") -> None:
        """Let each frame take so long (0: as the sensor says), and let a fault strike.

        The fault is "abort", "segv" or "exit" (the process dies at the next frame), "hang" (no more frames), "stuck" (nor does the
        stream stop), or "stall" (no frames until the stream is started anew). With " once" it strikes one process only.
        """
        self._write("control", f"{frame_us} {fault}")

    def lux(self, value: float) -> None:
        """Let the scene be so bright; a bright day is 10,000, the default 1,000, a moonless night 0.001."""
        self._write("lux", str(value))

    def heap(self, what: int | str | None) -> None:
        """Let so many megabytes of camera memory be there (None: plenty), "none", or such as may not be opened ("denied")."""
        self._write("heap", "" if what is None else str(what))

    def host_file(self, path: str, text: str | None) -> None:
        """Let a file of the host read so for the program, below existing folders or new ones; None: as the host has it."""
        name = f"host{path}"
        if text is None:
            (self.folder / name).unlink()
        else:
            self._write(name, text)

    @property
    def faults_left(self) -> str:
        """The fault that is still to strike."""
        return (self.folder / "control").read_text().partition(" ")[2].strip()

    def be_a_pi(self, model: str = "Raspberry Pi 4 Model B Rev 1.5") -> None:
        """Let the program find the figures of a Raspberry Pi instead of this machine's; ``host_file`` changes one of them."""
        memory = "".join(
            line for line in Path("/proc/meminfo").read_text().splitlines(keepends=True) if not line.startswith("Cma")
        )  # fmt: skip
        zone, volt = "/sys/class/thermal/thermal_zone0", "/sys/class/hwmon/hwmon1"
        for path, text in {
            "/proc/device-tree/model": f"{model}\0",
            "/proc/meminfo": f"{memory}CmaTotal:         524288 kB\nCmaFree:          327680 kB\n",
            f"{zone}/type": "cpu-thermal\n",
            f"{zone}/temp": "48312\n",
            f"{volt}/name": "rpi_volt\n",
            f"{volt}/in0_lcrit_alarm": "0\n",
            "/sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
        }.items():
            self.host_file(path, text)

    def _write(self, name: str, text: str) -> None:
        """Write a file so that nobody reads half of it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(text)
        part.replace(path)


def _script(path: Path, text: str) -> str:
    """Write a program for the shell and return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)
