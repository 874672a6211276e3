"""What is shown as JSON, in responses and in diagnostics."""

from dataclasses import dataclass, field
import json

from custom_components.skylapse.engine.remote.ssh import SshTarget
from custom_components.skylapse.json_view import to_json


@dataclass
class Outer:
    target: SshTarget
    picture: bytes = field(repr=False)


def test_secrets_are_not_shown() -> None:
    target = SshTarget("pi", 22, "sky", "ssh-ed25519 AAAA", password="hunter2", private_key="hunter2", passphrase="hunter2")
    shown = to_json([Outer(target, b"hunter2")])
    assert shown == [{"target": {"host": "pi", "port": 22, "username": "sky", "host_key": "ssh-ed25519 AAAA"}}]
    assert "hunter2" not in json.dumps(shown)
