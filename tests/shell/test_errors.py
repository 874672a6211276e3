"""Errors in the person's language: every key the engine raises has a text, and every text gets what it asks for."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import string

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from custom_components.skylapse.engine import errors as engine_errors
from custom_components.skylapse.engine.errors import ScheduleError, SkylapseError, StorageError
from custom_components.skylapse.errors import INPUT_ERRORS, describe, translated, translated_errors

from .rig import set_up

ROOT = Path("custom_components/skylapse")
NO_PLACEHOLDERS = {"destination_wide", "permanent"}
"""Keywords of errors that are no placeholders."""


def texts() -> dict[str, str]:
    """Return the messages of errors by key."""
    exceptions = json.loads((ROOT / "translations/en.json").read_text())["exceptions"]
    return {key: text["message"] for key, text in exceptions.items()}


def asked_for(message: str) -> set[str]:
    """Return the placeholders of a message."""
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


def sources() -> list[Path]:
    """Return the modules whose errors are shown as exceptions; those of the flows are shown in forms, by the forms' own texts."""
    return [path for path in sorted(ROOT.rglob("*.py")) if not any(word in path.name for word in ("flow", "form", "shot"))]


def error_classes() -> dict[str, str]:
    """Return the default key of every error class of the engine, by the class's name; a class without its own has its base's."""
    keys = {name: item.key for name, item in vars(engine_errors).items() if isinstance(item, type) and issubclass(item, SkylapseError)}
    definitions = [node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    for _ in range(3):  # bases before those derived from them, however they are spread over files
        for node in definitions:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in keys]
            if bases:
                keys.setdefault(node.name, keys[bases[0]])
    return keys


def keys_of(first: ast.expr, module: ast.Module) -> list[str]:
    """Return the keys an error's first argument may be: a text, one of two, or one of a table of the module."""
    if isinstance(first, ast.Subscript) and isinstance(first.value, ast.Name):
        tables = [node for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == first.value.id]
        found: list[ast.expr] = [value for table in tables if isinstance(table.value, ast.Dict) for value in table.value.values]
    elif isinstance(first, ast.IfExp):
        found = [first.body, first.orelse]
    else:
        found = [first]
    return [item.value for item in found if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def raised() -> Iterator[tuple[str, str, set[str] | None]]:
    """Yield (place, key, placeholders) of every error that is made in the source; placeholders None where they are computed."""
    classes = error_classes()
    for path in sources():
        module = ast.parse(path.read_text())
        for node in ast.walk(module):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in classes:
                yield f"{path}:{node.lineno}", classes[node.exc.id], set()
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {*classes, "invalid"}:
                names = {keyword.arg for keyword in node.keywords if keyword.arg} - NO_PLACEHOLDERS
                computed = any(keyword.arg is None for keyword in node.keywords)
                for key in keys_of(node.args[0], module) if node.args else [classes[node.func.id]]:
                    yield f"{path}:{node.lineno}", key, None if computed else names


def test_every_error_has_a_text_that_gets_all_it_asks_for() -> None:
    """Found by reading the source, so that no error path has to be walked for it."""
    known = texts()
    found = list(raised())
    assert len(found) > 40
    assert [(place, key) for place, key, _ in found if key not in known] == []
    short = [
        (place, key, asked_for(known[key]) - names)
        for place, key, names in found
        if names is not None and not asked_for(known[key]) <= names
    ]
    assert short == []


def test_every_default_key_has_a_text() -> None:
    """An error class may be raised bare."""
    assert set(error_classes().values()) - set(texts()) == set()


def test_texts_obey_home_assistants_rules() -> None:
    """No markup, no address, no placeholder in single quotes, nothing empty."""
    for key, message in texts().items():
        assert message.strip() == message
        assert message
        assert "<" not in message, key
        assert "http" not in message, key
        assert "'{" not in message, key


def test_input_errors_are_known() -> None:
    """What counts as bad input is something that can be raised."""
    assert set(texts()) >= INPUT_ERRORS


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StorageError("disk_full", path="/media"), HomeAssistantError),
        (ScheduleError("schedule_not_a_number", field="interval"), ServiceValidationError),
        (SkylapseError("nothing_to_upload"), ServiceValidationError),
    ],
)
async def test_bad_input_and_failure_are_told_apart(hass: HomeAssistant, error: SkylapseError, kind: type[Exception]) -> None:
    """By the kind of Home Assistant's error."""
    await set_up(hass)
    told = translated(error)
    assert type(told) is kind
    assert "{" not in str(told)
    with pytest.raises(kind) as caught, translated_errors():
        raise error
    assert caught.value.__cause__ is error


async def test_other_errors_pass(hass: HomeAssistant) -> None:
    """A mistake in the program is not dressed up."""
    with pytest.raises(ZeroDivisionError), translated_errors():
        raise ZeroDivisionError


async def test_describe(hass: HomeAssistant) -> None:
    """Never fails, whatever a status carries."""
    await set_up(hass)
    assert describe(hass, "disk_full", {"path": "/media"}).startswith("The disk is full: /media could not be written.")
    assert "{path}" in describe(hass, "disk_full", {})
    assert describe(hass, "no_such_key", {"a": "b"}) == "no_such_key"
    assert describe(hass, "no {such} key", {"a": "b"}) == "no {such} key"
