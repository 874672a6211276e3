"""Secrets stay out of every text: of errors, of logs, and of what values say of themselves."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
import importlib
import inspect
from pathlib import Path
import pkgutil
import re
from types import ModuleType
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.skylapse import engine
from custom_components.skylapse.engine.errors import HIDDEN, DestinationError, SkylapseError, SourceError, SshError
from custom_components.skylapse.engine.remote.ssh import KeyPair, SshTarget, connect, generate_key, public_half
from custom_components.skylapse.engine.sources.build import build_transport

SECRET = re.compile(r"pass(word|phrase|wd|code)|secret|token|private|credential", re.IGNORECASE)
WORD = "hunter2-sEcReT"
PEM = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{WORD}\nabc==\n-----END OPENSSH PRIVATE KEY-----"


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(engine.__path__, f"{engine.__name__}."):
        yield importlib.import_module(found.name)


def secret_fields() -> Iterator[tuple[type, Any]]:
    """All fields of all of the engine's dataclasses whose names promise a secret."""
    for module in modules():
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and is_dataclass(kind):
                yield from ((kind, field) for field in fields(kind) if SECRET.search(field.name))


def test_no_value_of_the_engine_shows_its_secrets() -> None:
    found = list(secret_fields())
    assert {(kind, field.name) for kind, field in found} >= {
        (SshTarget, "password"),
        (SshTarget, "private_key"),
        (SshTarget, "passphrase"),
        (KeyPair, "private"),
    }, "the walk misses what it is for"
    assert [f"{kind.__qualname__}.{field.name}" for kind, field in found if field.repr] == []


def test_no_value_writes_its_own_text() -> None:
    """A ``__repr__`` of one's own would undo the above."""
    written = re.compile(r"^ +def (__repr__|__str__|__format__)\b", re.MULTILINE)
    found = {path.name: written.findall(path.read_text()) for path in Path(engine.__path__[0]).rglob("*.py")}
    assert {name: names for name, names in found.items() if names} == {"errors.py": ["__str__"]}


def test_what_values_say_of_themselves() -> None:
    for value in (SshTarget("pi", 22, "sky", "ssh-ed25519 A", WORD, PEM, WORD), KeyPair(PEM, "ssh-ed25519 A")):
        for text in (repr(value), str(value), f"{value}", f"{[value]}", "%s" % (value,)):  # noqa: UP031  as a log does
            assert WORD not in text
            assert "ssh-ed25519 A" in text


def texts(error: SkylapseError) -> str:
    """All that an error tells, in a log, an event and diagnostics."""
    return f"{error} {error!r} {error.args} {error.placeholders}"


@pytest.mark.parametrize(
    "name", ["password", "passphrase", "private_key", "secret", "access_token", "PASSWORD", "new_password", "credentials"]
)
@pytest.mark.parametrize("kind", [SkylapseError, SourceError, SshError, DestinationError])
def test_a_placeholder_that_is_named_like_a_secret_is_hidden(kind: type[SkylapseError], name: str) -> None:
    error = kind("x", **{name: WORD}, host="pi")
    assert WORD not in texts(error)
    assert error.placeholders == {name: HIDDEN, "host": "pi"}


@given(before=st.text(max_size=20), after=st.text(max_size=20), kind=st.sampled_from(["", "OPENSSH ", "RSA ", "EC ", "ENCRYPTED "]))
def test_a_private_key_is_hidden_wherever_it_stands(before: str, after: str, kind: str) -> None:
    key = PEM.replace("OPENSSH ", kind)
    assert WORD not in texts(SkylapseError("x", reason=f"{before}{key}{after}"))
    assert WORD not in texts(SkylapseError("x", reason=f"{before}{key[:-20]}")), "cut off"
    assert SkylapseError("x", reason=f"no: {key}, so").placeholders["reason"] == f"no: {HIDDEN}, so"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (f"https://sky:{WORD}@nas.local/dav", f"https://sky:{HIDDEN}@nas.local/dav"),
        (f"at sftp://:{WORD}@nas:22/x and ftp://a:{WORD}@b", f"at sftp://:{HIDDEN}@nas:22/x and ftp://a:{HIDDEN}@b"),
        (f"https://a:p@{WORD}@nas/", f"https://a:{HIDDEN}@nas/"),
        ("https://nas.local:8080/a@b", "https://nas.local:8080/a@b"),
        ("/media/skylapse/2026:11/a@b.jpg", "/media/skylapse/2026:11/a@b.jpg"),
        ("SHA256:abc", "SHA256:abc"),
    ],
)
def test_a_password_in_an_address_is_hidden(told: str, shown: str) -> None:
    assert SkylapseError("x", url=told).placeholders["url"] == shown


@given(st.dictionaries(st.sampled_from(["path", "reason", "host", "error", "value", "field"]), st.text(max_size=40)))
def test_all_else_is_told_as_it_is(placeholders: dict[str, str]) -> None:
    if not any("://" in text for text in placeholders.values()):
        assert SkylapseError("x", **placeholders).placeholders == placeholders


ENTRY: Mapping[str, Any] = {
    "transport": "ssh",
    "host": "pi",
    "port": 22,
    "username": "sky",
    "host_key": "ssh-ed25519 A",
    "password": WORD,
    "private_key": PEM,
    "passphrase": WORD,
}


@pytest.mark.parametrize("wrong", ["transport", "host", "port", "username", "host_key"])
def test_an_entry_that_is_wrong_elsewhere_tells_no_secret(wrong: str) -> None:
    with pytest.raises(SourceError) as caught:
        build_transport({**ENTRY, wrong: ["nonsense"]})
    assert WORD not in texts(caught.value)


@pytest.mark.parametrize("field", ["password", "private_key", "passphrase"])
@pytest.mark.parametrize("value", [[WORD], {"a": WORD}, WORD * 100_000])
def test_a_secret_that_cannot_be_one_is_not_told_either(field: str, value: object) -> None:
    with pytest.raises(SourceError) as caught:
        build_transport({**ENTRY, field: value})
    assert caught.value.placeholders["field"] == field
    assert WORD not in texts(caught.value)


def test_a_transport_says_nothing_of_its_secrets() -> None:
    transport = build_transport(ENTRY)
    assert WORD not in f"{transport} {transport!r}"


@pytest.mark.parametrize("key", [WORD, PEM, PEM[:60], f"ssh-ed25519 {WORD}", f"-----BEGIN {WORD}-----"])
async def test_a_key_that_cannot_be_read_is_not_told(key: str) -> None:
    with pytest.raises(SshError) as caught:
        await public_half(key, WORD)
    assert WORD not in texts(caught.value)
    target = SshTarget("127.0.0.1", 1, "sky", (await generate_key()).public, password=WORD, private_key=key, passphrase=WORD)
    with pytest.raises(SshError) as caught:
        await connect(target, timeout_s=5)
    assert WORD not in texts(caught.value)
    with pytest.raises(SshError) as caught:
        await connect(SshTarget("127.0.0.1", 1, "sky", WORD, password=WORD), timeout_s=5)
    assert f"{WORD}" not in texts(caught.value)


def telling_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that make an error or write to a log."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of = node.func.value if isinstance(node.func, ast.Attribute) else None
            if name.endswith(("Error", "Timeout", "Gone", "Busy", "Picture")) or (isinstance(of, ast.Name) and "LOGGER" in of.id):
                yield node


def told_secrets(call: ast.Call) -> Iterator[str]:
    """What a call tells that is named like a secret: variables, attributes, items."""
    for told in (*call.args, *(word.value for word in call.keywords)):
        for node in ast.walk(told):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
                    if SECRET.search(name):
                        yield name


def complaints(source: str) -> list[str]:
    return [name for call in telling_calls(ast.parse(source)) for name in told_secrets(call)]


@pytest.mark.parametrize(
    "line",
    [
        "raise SshError('x', reason=password)",
        "raise errors.SshError('x', reason=f'it was {target.passphrase!r}')",
        "_LOGGER.warning('%s', data['private_key'])",
        "_LOGGER.debug('%s', str(self._secret))",
    ],
)
def test_the_check_below_finds_what_it_is_for(line: str) -> None:
    assert complaints(line)


def test_no_error_and_no_log_line_is_given_a_secret() -> None:
    root = Path(engine.__path__[0])
    found = {str(path.relative_to(root)): complaints(path.read_text()) for path in sorted(root.rglob("*.py"))}
    assert len(found) > 60
    assert {path: names for path, names in found.items() if names} == {}
