"""Other machines over SSH: who they are, whether they let us in, and how it is told when they do not."""

import asyncio
import base64
from collections.abc import AsyncGenerator
import os
from pathlib import Path
import socket
import subprocess
import sys
import threading

import asyncssh
import pytest

from custom_components.skylapse.engine.errors import SshError
from custom_components.skylapse.engine.remote import ssh
from custom_components.skylapse.engine.remote.ssh import SshTarget, connect, fetch_host_key, fingerprint, generate_key, public_half, reason

from .servers import PASSWORD, SshServer, ssh_server, wire

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def server() -> AsyncGenerator[SshServer]:
    async with ssh_server() as running:
        yield running


def line(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


async def refused(target: SshTarget, **options: float) -> SshError:
    """Return the error of logging in, and see that it gives nothing away."""
    with pytest.raises(SshError) as caught:
        await connect(target, **options)
    told = f"{caught.value!r} {caught.value} {target!r}"
    for secret in (target.password, target.private_key, target.passphrase):
        assert secret is None or secret not in told
    return caught.value


# ---- keys


async def test_a_machines_key_is_fetched_and_told_as_ssh_tells_it(server: SshServer) -> None:
    server.host_keys.insert(0, asyncssh.generate_private_key("ecdsa-sha2-nistp256"))
    await server.stop()
    await server.start()
    found = await fetch_host_key("127.0.0.1", server.port)
    assert found == server.host_key_line  # the Ed25519 one, though another came first
    assert fingerprint(found) == server.host_key.get_fingerprint()
    assert fingerprint(f"{found} somebody@somewhere") == fingerprint(found)


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 %%%", "ssh-ed25519 AAA"])
def test_what_is_no_key_has_no_fingerprint(text: str) -> None:
    with pytest.raises(SshError, match="ssh_key_invalid"):
        fingerprint(text)


async def test_a_key_of_our_own_lets_us_in_and_only_us(server: SshServer) -> None:
    pair = await generate_key()
    assert pair.public.startswith("ssh-ed25519 ")
    assert pair.public.endswith(" skylapse")
    assert pair.private not in repr(pair)
    assert await public_half(pair.private) == pair.public
    server.rules.keys = {" ".join(pair.public.split()[:2])}
    connection = await connect(server.target(password=None, private_key=pair.private))
    connection.close()
    await connection.wait_closed()
    assert set(server.rules.logins) == {"key"}
    other = await generate_key()
    assert (await refused(server.target(password=None, private_key=other.private))).key == "ssh_denied"


@pytest.mark.parametrize(
    ("kind", "form"), [("ssh-ed25519", "openssh"), ("ssh-rsa", "pkcs1-pem"), ("ssh-rsa", "pkcs8-pem"), ("ecdsa-sha2-nistp256", "openssh")]
)
@pytest.mark.parametrize("passphrase", [None, "open sesame"])
async def test_pasted_keys(kind: str, form: str, passphrase: str | None) -> None:
    key = asyncssh.generate_private_key(kind)
    text = key.export_private_key(form, passphrase).decode()
    assert (await public_half(f"\n  {text}\n\n", passphrase)).split()[:2] == line(key).split()
    if passphrase is None:
        assert (await public_half(text, "not needed")).split()[:2] == line(key).split()
    else:
        for wrong in ("wrong", None, ""):
            with pytest.raises(SshError, match="ssh_passphrase_wrong"):
                await public_half(text, wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP6ouVNVqYe80FvKTXHnQyweFtnSJTkTFYCXd5cdxRZF me",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\n%%%\n-----END RSA PRIVATE KEY-----",
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none",
        "é" * 10,
        "x" * 70_000,
    ],
)
async def test_what_is_pasted_and_is_no_key(text: str) -> None:
    with pytest.raises(SshError) as caught:
        await public_half(text)
    assert (caught.value.key, caught.value.placeholders) == ("ssh_key_invalid", {})


# ---- logging in


@pytest.mark.parametrize("dialogue", [False, True])
async def test_a_password_lets_us_in_however_it_is_asked_for(server: SshServer, dialogue: bool) -> None:
    server.rules.password, server.rules.dialogue = not dialogue, dialogue
    connection = await connect(server.target())
    assert server.rules.logins == ["dialogue" if dialogue else "password"]
    connection.close()
    await connection.wait_closed()
    error = await refused(server.target(password="wrong"))
    assert (error.key, error.placeholders) == ("ssh_denied", {"host": "127.0.0.1", "username": "pi"})
    assert len(server.rules.logins) < 4  # it is not tried again and again, a server may lock us out for that


async def test_without_a_secret_nobody_lets_us_in(server: SshServer) -> None:
    server.rules.dialogue = True
    assert (await refused(server.target(password=None))).key == "ssh_denied"


async def test_a_question_that_is_no_password_is_not_answered_with_one() -> None:
    client = ssh._answering(PASSWORD)
    assert client.kbdint_auth_requested() == ""
    assert client.kbdint_challenge_received("", "", "", [("User name: ", True)]) is None
    assert client.kbdint_challenge_received("", "", "", []) == []
    assert client.kbdint_challenge_received("", "", "", [("Password: ", False)]) == [PASSWORD]
    assert client.kbdint_challenge_received("", "", "", [("Password: ", False)]) is None
    assert client.kbdint_auth_requested() is None


async def test_the_users_own_ssh_is_not_looked_at(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    mine = asyncssh.generate_private_key("ssh-ed25519")
    mine.write_private_key(str(tmp_path / ".ssh/id_ed25519"))
    (tmp_path / ".ssh/config").write_text("Host *\n  Port 1\n  User root\n  ProxyCommand false\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    server.rules.keys = {line(mine)}
    assert await fetch_host_key("127.0.0.1", server.port) == server.host_key_line
    assert (await refused(server.target(password=None))).key == "ssh_denied"
    other = await generate_key()
    assert (await refused(server.target(password=None, private_key=other.private))).key == "ssh_denied"
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"private_key": "no key", "password": None}, "ssh_key_invalid"),
        ({"host_key": "ssh-ed25519 AAAA"}, "ssh_failed"),
        ({"username": "\N{ZERO WIDTH JOINER}\ud800"}, "ssh_failed"),
    ],
)
async def test_a_target_that_cannot_be(server: SshServer, changes: dict[str, str], key: str) -> None:
    assert (await refused(server.target(**changes))).key == key


async def test_a_name_that_nobody_knows(server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert (await refused(server.target(host="no-such-host.invalid"))).key == "ssh_unreachable"


# ---- whom we speak to


async def test_another_key_than_the_pinned_one_stops_everything(server: SshServer) -> None:
    pinned = asyncssh.generate_private_key("ssh-ed25519")
    error = await refused(server.target(host_key=line(pinned)))
    assert (error.key, error.placeholders) == (
        "ssh_host_key_changed",
        {"host": "127.0.0.1", "pinned": pinned.get_fingerprint(), "found": server.host_key.get_fingerprint()},
    )
    assert server.rules.logins == []  # no password was given to whoever that is


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256"])
async def test_another_kind_of_key_than_the_pinned_one_is_another_key(server: SshServer, kind: str) -> None:
    error = await refused(server.target(host_key=line(asyncssh.generate_private_key(kind))))
    assert (error.key, error.placeholders["found"]) == ("ssh_host_key_changed", server.host_key.get_fingerprint())


async def test_a_pinned_key_may_be_of_any_kind(server: SshServer) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa")
    server.host_keys.append(rsa)
    await server.stop()
    await server.start()
    connection = await connect(server.target(host_key=line(rsa)))
    connection.close()
    await connection.wait_closed()


async def test_a_key_that_cannot_be_fetched_again_is_told_of_all_the_same(server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object, **__: object) -> str:
        raise SshError("ssh_unreachable", host="127.0.0.1", port=22)

    monkeypatch.setattr(ssh, "fetch_host_key", gone)
    pinned = asyncssh.generate_private_key("ssh-ed25519")
    error = await refused(server.target(host_key=line(pinned)))
    assert (error.key, error.placeholders["found"]) == ("ssh_host_key_changed", "?")
    error = await refused(server.target(host_key=line(asyncssh.generate_private_key("ecdsa-sha2-nistp256"))))
    assert error.key == "ssh_failed"  # it may have had no key at all to show


def test_what_the_other_side_says_is_one_line_that_can_be_shown() -> None:
    assert reason(asyncssh.DisconnectError(2, "go\n\x1b[2J\u202eaway\ud800 " + "x" * 999)).startswith("DisconnectError: go [2J away xxx")
    assert len(reason(ValueError("x" * 10**6))) == 200


async def test_no_common_language(server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_ENCRYPTION", ["3des-cbc"])
    error = await refused(server.target())
    assert error.key == "ssh_failed"
    assert "encryption" in error.placeholders["error"]
    monkeypatch.setattr(ssh, "_HOST_KEY_ALGORITHMS", ("ssh-rsa",))
    with pytest.raises(SshError, match="ssh_failed"):
        await fetch_host_key("127.0.0.1", server.port)


async def test_a_server_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(asyncssh, "get_server_host_key", none)
    with pytest.raises(SshError, match="no host key"):
        await fetch_host_key("127.0.0.1", 22)


async def test_nobody_there(server: SshServer) -> None:
    await server.stop()
    error = await refused(server.target())
    assert (error.key, error.placeholders) == ("ssh_unreachable", {"host": "127.0.0.1", "port": str(server.port)})
    with pytest.raises(SshError, match="ssh_unreachable"):
        await fetch_host_key("127.0.0.1", server.port)


async def test_somebody_who_does_not_answer(server: SshServer) -> None:
    async with wire(server.port) as frozen:
        frozen.freeze()
        error = await refused(server.target(frozen.port), timeout_s=0.3)
        assert (error.key, error.placeholders) == ("ssh_timeout", {"host": "127.0.0.1", "port": str(frozen.port)})
        with pytest.raises(SshError, match="ssh_timeout"):
            await fetch_host_key("127.0.0.1", frozen.port, timeout_s=0.3)


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 ftp ready\r\n" * 3, b"", b"SSH-1.5-old\r\n"])
async def test_somebody_who_speaks_something_else(greeting: bytes) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    with pytest.raises(SshError) as caught:
        await fetch_host_key("127.0.0.1", port)
    assert (caught.value.key, caught.value.placeholders) == ("ssh_not_ssh", {"host": "127.0.0.1", "port": str(port)})
    key = line(asyncssh.generate_private_key("ssh-ed25519"))
    assert (await refused(SshTarget("127.0.0.1", port, "pi", key, password=PASSWORD))).key in {"ssh_failed", "ssh_unreachable"}
    other.close()
    await other.wait_closed()


async def test_a_cancelled_login_leaves_nothing(server: SshServer) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    async with wire(server.port) as frozen:
        frozen.freeze()
        login = asyncio.create_task(connect(server.target(frozen.port)))
        await asyncio.sleep(0.1)
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
    await asyncio.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_the_library_is_imported_when_it_is_needed_and_not_in_the_loop() -> None:
    program = """
import asyncio, sys, threading
from tests import engine_only
engine_only.install()
from custom_components.skylapse.engine.remote import ssh
from custom_components.skylapse.engine.camera_host import over_ssh
assert "asyncssh" not in sys.modules
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "asyncssh":
            print(threading.current_thread() is threading.main_thread())
sys.meta_path.insert(0, Finder())
asyncio.run(ssh.load())
assert "asyncssh" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]


async def test_it_is_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = []
    monkeypatch.setattr(ssh.importlib, "import_module", lambda name: imported.append((name, threading.current_thread())))
    await ssh.load()
    assert imported == []
    monkeypatch.delitem(sys.modules, "asyncssh")
    await ssh.load()
    assert imported[0][0] == "asyncssh"
    assert imported[0][1] is not threading.current_thread()


def test_a_target_hides_its_secrets() -> None:
    target = SshTarget("pi.local", 22, "pi", "ssh-ed25519 AAAA", password="hunter2", private_key="BEGIN", passphrase="sesame")
    assert not any(secret in repr(target) for secret in ("hunter2", "BEGIN", "sesame"))
    assert base64.b64decode("AAAA") == b"\0\0\0"
