"""Other machines over SSH: pinned host keys, our own keys, and errors that name the remedy.

asyncssh takes half a second to import, so that happens in a thread, when it is first needed. Nothing of the user's own SSH set-up
is looked at: neither ``~/.ssh`` nor an agent.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
import hashlib
import importlib
import sys
from typing import TYPE_CHECKING, Final, override

from ..errors import SshError

if TYPE_CHECKING:
    import asyncssh

CONNECT_S: Final = 20.0
KEEPALIVE_S: Final = 5.0
KEEPALIVE_COUNT: Final = 3

_HOST_KEY_ALGORITHMS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_ENCRYPTION: Final = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""First of all the cipher that costs the event loop least, a quarter of the default's time."""
_KEY_BYTES: Final = 64 * 1024
_ERROR_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class SshTarget:
    """An account on another machine. Its secrets are in no text of it."""

    host: str
    port: int
    username: str
    host_key: str
    """The machine's public key, as ``ssh-ed25519 AAAA...``: this one and no other."""
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key that was made for us."""

    private: str = field(repr=False)
    """OpenSSH's format, not encrypted."""
    public: str
    """One line for ``authorized_keys``."""


async def load() -> None:
    """Import asyncssh off the event loop, once."""
    if "asyncssh" not in sys.modules:
        await asyncio.to_thread(importlib.import_module, "asyncssh")


def fingerprint(host_key: str) -> str:
    """Return ``SHA256:...`` of a public key's line, as ``ssh-keygen -l`` shows it. Raises ``SshError`` (``ssh_key_invalid``)."""
    try:
        blob = base64.b64decode(host_key.split()[1], validate=True)
    except IndexError, binascii.Error, ValueError:
        raise SshError("ssh_key_invalid") from None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


async def fetch_host_key(host: str, port: int, *, timeout_s: float = CONNECT_S) -> str:
    """Ask a machine for its public key, an Ed25519 one if it has one, without logging in.

    Raises ``SshError``: ``ssh_unreachable``, ``ssh_timeout``, ``ssh_not_ssh``, ``ssh_failed``.
    """
    await load()
    import asyncssh

    try:
        async with asyncio.timeout(timeout_s):
            key = await asyncssh.get_server_host_key(host, port, server_host_key_algs=_HOST_KEY_ALGORITHMS, config=[])
    except asyncssh.KeyExchangeFailed as error:
        raise SshError("ssh_failed", error=reason(error)) from None
    except asyncssh.Error, BrokenPipeError, ConnectionResetError:  # it was there, and hung up on us
        raise SshError("ssh_not_ssh", host=host, port=port) from None
    except (OSError, ValueError) as error:
        raise _told(error, host, port) from None
    if key is None:
        raise SshError("ssh_failed", error="no host key")
    return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])


async def generate_key() -> KeyPair:
    """Make a new Ed25519 key."""
    await load()
    return await asyncio.to_thread(_generate)


async def public_half(private_key: str, passphrase: str | None = None) -> str:
    """Return the line for ``authorized_keys`` of a private key. Raises ``SshError``: ``ssh_key_invalid``, ``ssh_passphrase_wrong``."""
    await load()
    key = await asyncio.to_thread(_import_private, private_key, passphrase)
    return key.export_public_key("openssh").decode().strip()


async def connect(target: SshTarget, *, timeout_s: float = CONNECT_S, keepalive_s: float = KEEPALIVE_S) -> asyncssh.SSHClientConnection:
    """Log in. Three keepalives without an answer end the connection.

    Raises ``SshError``: ``ssh_unreachable``, ``ssh_timeout``, ``ssh_host_key_changed``, ``ssh_denied``, ``ssh_key_invalid``,
    ``ssh_passphrase_wrong``, ``ssh_failed``.
    """
    await load()
    import asyncssh

    host, port = target.host, target.port
    try:
        async with asyncio.timeout(timeout_s):
            pinned = asyncssh.import_public_key(target.host_key)
            key = None
            if target.private_key is not None:
                key = await asyncio.to_thread(_import_private, target.private_key, target.passphrase)
            return await asyncssh.connect(
                host,
                port,
                username=target.username,
                password=target.password,
                client_keys=None if key is None else [key],
                client_factory=lambda: _answering(target.password),
                known_hosts=([pinned], [], []),
                server_host_key_algs=_algorithms(pinned.get_algorithm()),
                preferred_auth=["publickey", "password", "keyboard-interactive"],
                encryption_algs=_ENCRYPTION,
                compression_algs=None,
                config=[],
                agent_path=None,
                gss_host=None,
                x509_trusted_certs=None,
                x509_trusted_cert_paths=[],
                keepalive_interval=keepalive_s,
                keepalive_count_max=KEEPALIVE_COUNT,
            )
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        raise await _host_key_told(error, target, other=isinstance(error, asyncssh.HostKeyNotVerifiable)) from None
    except asyncssh.PermissionDenied:
        raise SshError("ssh_denied", host=host, username=target.username) from None
    except asyncssh.KeyImportError:
        raise SshError("ssh_failed", error="the stored host key is damaged") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _told(error, host, port) from None


def _answering(password: str | None) -> asyncssh.SSHClient:
    """Return a client that gives the password also to a server that asks for it in a dialogue, in whatever language."""
    import asyncssh

    class Client(asyncssh.SSHClient):
        _given = False

        @override
        def kbdint_auth_requested(self) -> str | None:
            return None if password is None or self._given else ""

        @override
        def kbdint_challenge_received(
            self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
        ) -> Sequence[str] | None:
            if not prompts:
                return []
            if password is None or self._given or any(echo for _, echo in prompts):
                return None
            self._given = True  # asked again, it was wrong
            return [password for _ in prompts]

    return Client()


def _algorithms(name: str) -> list[str]:
    """Return the signatures that a server with a key of this kind may make."""
    return ["rsa-sha2-512", "rsa-sha2-256"] if name == "ssh-rsa" else [name]


async def _host_key_told(error: Exception, target: SshTarget, *, other: bool) -> SshError:
    """Return the error for a machine that did not show the pinned key, with the one it shows; ``other``: it surely showed another."""
    try:
        found = await fetch_host_key(target.host, target.port)
    except SshError:
        found = ""
    if found.split() == target.host_key.split()[:2] or not (found or other):
        return SshError("ssh_failed", error=reason(error))
    return SshError(
        "ssh_host_key_changed", host=target.host, pinned=fingerprint(target.host_key), found=fingerprint(found) if found else "?"
    )


def _told(error: Exception, host: str, port: int) -> SshError:
    """Return the error to raise for what went wrong on the way."""
    if isinstance(error, TimeoutError):
        return SshError("ssh_timeout", host=host, port=port)
    if isinstance(error, OSError):
        return SshError("ssh_unreachable", host=host, port=port)
    return SshError("ssh_failed", error=reason(error))


def reason(error: Exception) -> str:
    """Return one bounded line of an error, which may quote the other side; asyncssh puts no secret into them."""
    text = f"{type(error).__name__}: {error}"[: _ERROR_LENGTH * 4]
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_ERROR_LENGTH]


def _generate() -> KeyPair:
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519", comment="skylapse")
    return KeyPair(key.export_private_key("openssh").decode(), key.export_public_key("openssh").decode().strip())


def _import_private(text: str, passphrase: str | None) -> asyncssh.SSHKey:
    """Read a private key; with a passphrase that takes its time. Raises ``SshError``."""
    import asyncssh

    try:
        if len(text) > _KEY_BYTES:
            raise asyncssh.KeyImportError("too long")
        return asyncssh.import_private_key(text.strip() + "\n", passphrase or None)
    except asyncssh.KeyEncryptionError:
        raise SshError("ssh_passphrase_wrong") from None
    except (asyncssh.KeyImportError, ValueError) as error:
        # with a wrong passphrase a PEM file yields nonsense, and only its first lines tell that it had one
        encrypted = "passphrase" in str(error).lower() or "ENCRYPTED" in text[:200]
        raise SshError("ssh_passphrase_wrong" if encrypted else "ssh_key_invalid") from None
