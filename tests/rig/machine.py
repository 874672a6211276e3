"""A Raspberry Pi whose camera is virtual: its ``python3``, and all that a test can change about it. Needs no pytest."""

from collections.abc import Mapping
from functools import cache
import json
import os
from pathlib import Path
import subprocess
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GENERATIONS = ("forky", "trixie")
"""Debian releases: Python 3.14 with libcamera 0.7, and 3.13 with 0.4."""


class RigImpossible(Exception):
    """The rig cannot be made on this machine; the message says why."""


@cache
def make(generation: str = GENERATIONS[0]) -> Path:
    """Return the rig's ``python3``, after making it if it is not there yet; raise ``RigImpossible`` if it cannot be."""
    if os.environ.get("SKYLAPSE_RIG") == "none":
        raise RigImpossible("SKYLAPSE_RIG is none")
    done = subprocess.run([ROOT / "scripts" / "get-rig", generation], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RigImpossible((done.stderr.strip().splitlines() or [f"get-rig ended with {done.returncode}"])[-1])
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
        wrapper = folder / "python3"
        wrapper.write_text(f'#!/bin/sh\nexport RIG_DIR="{folder}"\nexec "{program}" "$@"\n')
        wrapper.chmod(0o755)
        self.python = str(wrapper)

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

    def _write(self, name: str, text: str) -> None:
        """Write a file so that nobody reads half of it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(text)
        part.replace(path)
