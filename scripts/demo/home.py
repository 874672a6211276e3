"""A real Home Assistant in a folder and a process of its own."""

from dataclasses import dataclass
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

LATITUDE, LONGITUDE, ELEVATION_M = 52.37, 4.89, 2

_CONFIGURATION = """\
homeassistant:
  name: Skylapse
  latitude: {latitude}
  longitude: {longitude}
  elevation: {elevation}
  unit_system: metric
  time_zone: Europe/Amsterdam
  country: NL
  currency: EUR
  language: en
  media_dirs:
    local: {media}
  allowlist_external_dirs:
    - {photos}
frontend:
config:
sun:
history:
logbook:
media_source:
my:
automation: !include automations.yaml
script: {{}}
scene: {{}}
logger:
  default: info
"""


@dataclass(frozen=True)
class Folders:
    """Where everything of one Home Assistant lies."""

    top: Path

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.top / "config"

    @property
    def media(self) -> Path:
        """Its media; the frames go below ``skylapse`` in it."""
        return self.top / "media"

    @property
    def nas(self) -> Path:
        """A folder that stands for a mounted share."""
        return self.top / "nas"

    @property
    def photos(self) -> Path:
        """Real photographs, for a camera that shows them."""
        return self.top / "photos"

    @property
    def log(self) -> Path:
        """What Home Assistant says."""
        return self.top / "home-assistant.log"


class HomeAssistant:
    """A Home Assistant that listens on 127.0.0.1 only, with this repository's integration in it."""

    def __init__(self, folders: Folders, port: int) -> None:
        """Describe it; nothing is written or started yet."""
        self.folders = folders
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write what it needs to start, where it is not there yet: its user's changes stay."""
        folders = self.folders
        for folder in (folders.config / ".storage", folders.media, folders.nas, folders.photos):
            folder.mkdir(parents=True, exist_ok=True)
        (folders.config / "configuration.yaml").write_text(
            _CONFIGURATION.format(
                latitude=LATITUDE,
                longitude=LONGITUDE,
                elevation=ELEVATION_M,
                # JSON's quotes are YAML's, too
                media=json.dumps(str(folders.media)),
                photos=json.dumps(str(folders.photos)),
            )
        )
        automations = folders.config / "automations.yaml"
        if not automations.exists():
            automations.write_text("[]\n")
        link = folders.config / "custom_components"
        if not link.is_symlink():
            link.symlink_to(ROOT / "custom_components")
        # Where it listens can only be said in storage since 2026.11
        self._store("http", 3, _http_settings(self.port), replace=True)
        # These steps of onboarding set integrations up that reach for the internet
        self._store("onboarding", 4, {"done": ["core_config", "analytics", "integration"]}, replace=False)

    def start(self) -> None:
        """Start it; ``running`` tells whether it still is."""
        command = [sys.executable, "-m", "homeassistant", "--config", str(self.folders.config), "--skip-pip", "--log-no-color"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "stand_ins")}
        with self.folders.log.open("wb") as log:
            # a session of its own, or Ctrl-C would reach it beside us
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self.folders.top, env=environment, start_new_session=True
            )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit code."""
        assert self._process is not None
        return self._process.wait()

    def stop(self, timeout_s: float = 60) -> int | None:
        """End it as Ctrl-C would, or by force if that takes longer than ``timeout_s``; return its exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        return self._process.returncode

    def _store(self, key: str, version: int, data: dict[str, Any], *, replace: bool) -> None:
        """Write one of Home Assistant's storage files."""
        path = self.folders.config / ".storage" / key
        if replace or not path.exists():
            path.write_text(json.dumps({"version": version, "minor_version": 1, "key": key, "data": data}))


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Whether nothing listens on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Home Assistant does: a port just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _http_settings(port: int) -> dict[str, Any]:
    """Return the settings of the HTTP server that was confirmed as working, so that nobody is asked to."""
    return {
        "stable": {
            "server_host": ["127.0.0.1"],
            "server_port": port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "intermediate_v6",
            "use_x_frame_options": True,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "error": None,
            "error_message": None,
        },
        "pending": None,
        "yaml_migration_done": True,
    }
