"""A real OpenSSH server on a loopback port, with keys of its own, which lets only the user in who runs the tests."""

from collections.abc import Sequence
import contextlib
import getpass
import os
from pathlib import Path
import pwd
import shutil
import signal
import socket
import subprocess
import time

SERVER = "/usr/sbin/sshd"
_READY_S = 15.0


def missing() -> str:
    """Return why no server can be run here; empty if one can."""
    if not os.access(SERVER, os.X_OK):
        return "there is no OpenSSH server (scripts/setup --rig installs it when it is run as root)"
    return "" if shutil.which("ssh-keygen") else "ssh-keygen is missing"


class Sshd:
    """A running server; ``stop`` ends it with all its connections, ``start`` starts it again on the same port."""

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        """Make keys and a configuration in an empty folder, which must not be open to others, and start the server."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.username = getpass.getuser() if os.getuid() else pwd.getpwuid(0).pw_name
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._new_key("user_key")
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        (folder / "authorized_keys").chmod(0o600)
        self._new_key("host_key")
        if not os.getuid():
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the server asks for this empty folder when root starts it
        self.start()

    @property
    def private_key(self) -> str:
        """The key that is let in, in OpenSSH's format, without a passphrase."""
        return (self._folder / "user_key").read_text()

    @property
    def host_key(self) -> str:
        """The server's public key: its type and its content."""
        return " ".join((self._folder / "host_key.pub").read_text().split()[:2])

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Start the server; return when it listens."""
        assert self._process is None
        config = self._folder / "sshd_config"
        config.write_text("".join(f"{line}\n" for line in self._config()))
        with (self._folder / "log").open("ab") as log:
            command = [SERVER, "-D", "-e", "-f", str(config)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + _READY_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"the SSH server does not start: {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server and all connections that it has, as a power cut does."""
        if self._process is None:
            return
        pids = [*_descendants(self._process.pid), self._process.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None
        until = time.monotonic() + _READY_S
        while any(runs(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.01)

    def rotate_host_key(self) -> None:
        """Give the server another key, as a freshly installed machine has; it then runs."""
        self.stop()
        for name in ("host_key", "host_key.pub"):
            (self._folder / name).unlink()
        self._new_key("host_key")
        self.start()

    def refuse(self, *, key: bool = True) -> None:
        """No longer let the user's key in; with False, let it in again."""
        content = "" if key else (self._folder / "user_key.pub").read_text()
        (self._folder / "authorized_keys").write_text(content)

    def sessions(self) -> Sequence[int]:
        """Return the processes that the server's connections consist of, and what they run."""
        return _descendants(self._process.pid) if self._process else []

    def _config(self) -> Sequence[str]:
        return (
            f"Port {self.port}", f"ListenAddress {self.host}", f"HostKey {self._folder / 'host_key'}", "PidFile none",
            f"AuthorizedKeysFile {self._folder / 'authorized_keys'}", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            "UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password", "MaxSessions 100", "MaxStartups 200:30:400",
            "LoginGraceTime 20", "PrintMotd no", "Subsystem sftp internal-sftp",
        )  # fmt: skip

    def _new_key(self, name: str) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self._folder / name)]
        subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)

    def _listens(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 5) as found:
                found.settimeout(5)
                return found.recv(4) == b"SSH-"
        except OSError:
            return False


def runs(pid: int) -> bool:
    """Return whether a process is there, and not only its entry that nobody has taken note of yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have, the youngest first."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in (*_descendants(child), child)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
