"""What the integration's source says, as far as the checks of translations need it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Use:
    """A translation key where it is used."""

    place: str
    """File and line."""
    key: str
    placeholders: frozenset[str] | None
    """What fills the message; None if the source does not tell."""


@dataclass
class Source:
    """All the checks want to know of the source, collected in one walk."""

    strings: set[str] = field(default_factory=set)
    strings_of: dict[str, set[str]] = field(default_factory=dict)
    """By file name without suffix, for the platforms."""
    names: set[str] = field(default_factory=set)
    """Keywords of calls, and the steps of flows."""
    errors: list[Use] = field(default_factory=list)
    entities: list[tuple[str, Use]] = field(default_factory=list)
    """With the platform's name."""
    issues: list[Use] = field(default_factory=list)
    selectors: list[Use] = field(default_factory=list)
    steps: list[Use] = field(default_factory=list)
    reasons: list[Use] = field(default_factory=list)


_CORE_REASONS = frozenset({"already_in_progress", "reauth_successful", "reconfigure_successful", "no_devices_found", "unknown"})
"""Reasons for which Home Assistant has a text of its own."""
_CORE_ERRORS = frozenset(
    {"HomeAssistantError", "ServiceValidationError", "ConfigEntryNotReady", "ConfigEntryError", "ConfigEntryAuthFailed", "UpdateFailed"}
)
_HELPERS = frozenset({"invalid"})
"""Functions of the shell that take an error's key and what fills it."""


def read(folder: Path) -> Source:
    """Read all of the integration's source."""
    source = Source()
    trees = {path: ast.parse(path.read_text(), str(path)) for path in sorted(folder.rglob("*.py"))}
    errors = _error_classes(trees)
    for path, tree in trees.items():
        here = source.strings_of.setdefault(path.stem, set())
        for node in ast.walk(tree):
            match node:
                case ast.Constant(value=str(text)):
                    here.add(text)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("async_step_"):
                    source.names.add(name.removeprefix("async_step_"))
                case ast.Assign(targets=[ast.Name(id="_attr_translation_key")], value=ast.Constant(value=str(key))):
                    source.entities.append((path.stem, Use(f"{path.relative_to(folder)}:{node.lineno}", key, None)))
                case ast.Raise(exc=ast.Name(id=name)) if name in errors and errors[name].key:
                    source.errors.append(Use(f"{path.relative_to(folder)}:{node.lineno}", errors[name].key, frozenset()))
                case ast.Call():
                    _call(node, path, f"{path.relative_to(folder)}:{node.lineno}", source, errors)
                case _:
                    pass
        source.strings |= here
    return source


@dataclass(frozen=True)
class _ErrorClass:
    key: str
    own: frozenset[str]
    """Keywords of its constructor that fill no message."""


def _call(node: ast.Call, path: Path, place: str, source: Source, errors: Mapping[str, _ErrorClass]) -> None:
    """Note down what a call says."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    source.names |= {keyword for keyword in keywords if keyword}
    first = _text(node.args[0]) if node.args else None
    key = _text(keywords.get("translation_key"))
    if name in errors or name in _HELPERS:
        wanted = first if node.args else errors[name].key if name in errors else None
        given = (
            None
            if None in keywords
            else frozenset(keyword for keyword in keywords if keyword) - (errors[name].own if name in errors else frozenset())
        )
        if wanted:
            source.errors.append(Use(place, wanted, given))
    elif key is None:
        if name in {"async_show_form", "async_show_menu"} and (step := _text(keywords.get("step_id"))):
            source.steps.append(Use(place, step, None))
        if (reason := _text(keywords.get("reason"))) and reason not in _CORE_REASONS:
            source.reasons.append(Use(place, reason, None))
    elif name in _CORE_ERRORS:
        source.errors.append(Use(place, key, _keys(keywords.get("translation_placeholders"))))
    elif name == "async_create_issue":
        source.issues.append(Use(place, key, _keys(keywords.get("translation_placeholders"))))
    elif name.endswith("SelectorConfig"):
        source.selectors.append(Use(place, key, None))
    elif name.endswith("Description"):
        source.entities.append((path.stem, Use(place, key, None)))


def _error_classes(trees: Mapping[Path, ast.Module]) -> dict[str, _ErrorClass]:
    """Return the engine's error classes by name: their own key, and what of their constructor fills no message."""
    classes = {node.name: node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found: dict[str, _ErrorClass] = {}

    def visit(name: str) -> _ErrorClass | None:
        if name in found or name not in classes:
            return found.get(name)
        node = classes[name]
        bases = [base for item in node.bases if isinstance(item, ast.Name) and (base := visit(item.id))]
        if not bases and name != "SkylapseError":
            return None
        key, own = (bases[0].key, bases[0].own) if bases else ("", frozenset[str]())
        for item in node.body:
            match item:
                case ast.Assign(targets=[ast.Name(id="key")], value=ast.Constant(value=str(text))):
                    key = text
                case ast.FunctionDef(name="__init__"):
                    own = frozenset(argument.arg for argument in item.args.kwonlyargs) - _passed_on(item)
                case _:
                    pass
        found[name] = _ErrorClass(key, own)
        return found[name]

    for name in classes:
        visit(name)
    return found


def _passed_on(constructor: ast.FunctionDef) -> frozenset[str]:
    """Return the keywords that a constructor hands to its base class, where they fill the message."""
    return frozenset(
        keyword.arg
        for node in ast.walk(constructor)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"
        for keyword in node.keywords
        if keyword.arg
    )


def _text(node: ast.AST | None) -> str | None:
    """Return the text of a constant."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _keys(node: ast.AST | None) -> frozenset[str] | None:
    """Return the keys of a dict that is written out; None if it is put together otherwise."""
    if node is None:
        return frozenset()
    if not isinstance(node, ast.Dict):
        return None
    keys = [_text(key) for key in node.keys]
    return None if None in keys else frozenset(key for key in keys if key)


def leaves(tree: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the texts of a translation file with the path to each."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), str(value)
