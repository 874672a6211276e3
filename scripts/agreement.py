"""Code, translations, icons and ``services.yaml`` have to agree; here is what can be derived of it."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any

import yaml

from scripts.code import Source, Use, leaves, read

_SECTIONS = frozenset(
    [
        "title",
        "common",
        "config",
        "options",
        "config_subentries",
        "entity",
        "device",
        "exceptions",
        "issues",
        "services",
        "selector",
        "system_health",
        "triggers",
        "conditions",
        "entity_component",
    ]
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")

type Tree = Mapping[str, Any]


def problems(folder: Path) -> Iterator[str]:
    """Yield everything in which the files of the integration's folder disagree."""
    english = folder / "translations" / "en.json"
    if not english.is_file():
        yield "translations/en.json: is missing"
        return
    texts: Tree = json.loads(english.read_text())
    icons: Tree = json.loads((folder / "icons.json").read_text()) if (folder / "icons.json").is_file() else {}
    actions: Tree = (yaml.safe_load((folder / "services.yaml").read_text()) or {}) if (folder / "services.yaml").is_file() else {}
    source = read(folder)
    yield from _texts(texts, "en.json")
    for path in sorted((folder / "translations").glob("*.json")):
        if path != english:
            other: Tree = json.loads(path.read_text())
            yield from _texts(other, path.name)
            yield from _same_shape(texts, other, path.name)
    yield from _used(texts, source)
    yield from _known(texts, source)
    yield from _actions(actions, texts, icons)
    yield from _icons(icons, texts)


def _texts(texts: Tree, file: str) -> Iterator[str]:
    """Every text is plain, and every key one that Home Assistant takes."""
    for key in texts.keys() - _SECTIONS:
        yield f"{file}: {key} is no section of a translation file"
    for path, text in leaves(texts):
        where = f"{file}: {'.'.join(path)}"
        if not text.strip() or text != text.strip():
            yield f"{where}: is empty, or has space around it"
        if re.search(r"</?[a-zA-Z][^>]*>", text):
            yield f"{where}: holds HTML"
        if re.search(r"(https?:|www\.)", text):
            yield f"{where}: holds an address; hand it over as a placeholder"
        if re.search(r"'\{\w+\}'", text):
            yield f"{where}: quotes a placeholder with ', which keeps it from being filled"
        for part in path:
            if not re.fullmatch(r"[a-z0-9_-]+", part):
                yield f"{where}: {part} may hold small letters, digits, - and _ only"
    for place, step in _steps(texts):
        for section in (step, *step.get("sections", {}).values()):
            if section.get("data", {}).keys() != section.get("data_description", {}).keys():
                yield f"{file}: {place}: every field of data needs a data_description, and none beside"


def _same_shape(english: Tree, other: Tree, file: str) -> Iterator[str]:
    """Another language has the same keys, with the same placeholders."""
    ours, theirs = dict(leaves(english)), dict(leaves(other))
    for path in sorted(ours.keys() ^ theirs.keys()):
        yield f"{file}: {'.'.join(path)} is {'missing' if path in ours else 'not in en.json'}"
    for path in sorted(ours.keys() & theirs.keys()):
        if set(_PLACEHOLDER.findall(ours[path])) != set(_PLACEHOLDER.findall(theirs[path])):
            yield f"{file}: {'.'.join(path)} has other placeholders than en.json"


def _used(texts: Tree, source: Source) -> Iterator[str]:
    """Every key that the code uses is translated, and its message asks for nothing that the code does not give."""
    messages = {key: value["message"] for key, value in texts.get("exceptions", {}).items()}
    in_forms = {key for flow in _flows(texts) for part in ("error", "abort") for key in flow.get(part, {})}
    for use in source.errors:
        if use.key in messages:
            yield from _filled(use, messages[use.key])
        elif use.key not in in_forms:
            yield f"{use.place}: exceptions.{use.key}.message is missing in en.json"
    for platform, use in source.entities:
        if use.key not in texts.get("entity", {}).get(platform, {}):
            yield f"{use.place}: entity.{platform}.{use.key} is missing in en.json"
    for use in source.issues:
        if use.key not in texts.get("issues", {}):
            yield f"{use.place}: issues.{use.key} is missing in en.json"
            continue
        for _, text in leaves({key: value for key, value in texts["issues"][use.key].items() if key != "fix_flow"}):
            yield from _filled(use, text)
    for use in source.selectors:
        if use.key not in texts.get("selector", {}):
            yield f"{use.place}: selector.{use.key} is missing in en.json"
    steps = {path.rpartition(".")[2] for path, _ in _steps(texts)}
    for use in source.steps:
        if use.key not in steps:
            yield f"{use.place}: the step {use.key} is missing in en.json"
    reasons = {key for flow in _flows(texts) for key in flow.get("abort", {})}
    for use in source.reasons:
        if use.key not in reasons:
            yield f"{use.place}: abort.{use.key} is missing in en.json"


def _filled(use: Use, text: str) -> Iterator[str]:
    """A message asks for nothing that it is not given."""
    if use.placeholders is not None and (missing := set(_PLACEHOLDER.findall(text)) - use.placeholders):
        yield f"{use.place}: the message of {use.key} asks for {', '.join(sorted(missing))}, which is not given"


def _known(texts: Tree, source: Source) -> Iterator[str]:
    """Every key that is translated occurs in the code, and so does what fills the texts."""
    known = source.strings | source.names
    for section in ("exceptions", "issues", "selector", "services", "device"):
        for key in texts.get(section, {}).keys() - known:
            yield f"en.json: {section}.{key} is used nowhere"
    for key, selector in texts.get("selector", {}).items():
        for option in selector.get("options", {}).keys() - known:
            yield f"en.json: selector.{key}.options.{option} is used nowhere"
    for platform, keys in texts.get("entity", {}).items():
        for key, value in keys.items():
            if key not in source.strings_of.get(platform, set()):
                yield f"en.json: entity.{platform}.{key} is used nowhere"
            for state in value.get("state", {}).keys() - known:
                yield f"en.json: entity.{platform}.{key}.state.{state} is used nowhere"
    for flow in _flows(texts):
        for part in ("error", "abort"):
            for key in flow.get(part, {}).keys() - known:
                yield f"en.json: {part}.{key} is used nowhere"
    for place, step in _steps(texts):
        if place.rpartition(".")[2] not in known:
            yield f"en.json: {place} is used nowhere"
        fields = {key for section in (step, *step.get("sections", {}).values()) for key in section.get("data", {})}
        for key in (fields | step.get("menu_options", {}).keys() | step.get("sections", {}).keys()) - known:
            yield f"en.json: {place}: {key} is used nowhere"
    for path, text in leaves(texts):
        for name in set(_PLACEHOLDER.findall(text)) - known:
            yield f"en.json: {'.'.join(path)}: nothing fills {name}"


def _actions(actions: Tree, texts: Tree, icons: Tree) -> Iterator[str]:
    """``services.yaml`` has the same actions, sections and fields as translations and icons."""
    actions = {name: action for name, action in actions.items() if not name.startswith(".")}  # anchors
    told = texts.get("services", {})
    for name in sorted(actions.keys() ^ told.keys()):
        yield f"action {name}: is only in {'services.yaml' if name in actions else 'en.json'}"
    for name in sorted(actions.keys() ^ icons.get("services", {}).keys()):
        yield f"action {name}: is only in {'services.yaml' if name in actions else 'icons.json'}"
    for name in sorted(actions.keys() & told.keys()):
        plain = {key: value for key, value in (actions[name] or {}).get("fields", {}).items() if "fields" not in value}
        sections = {key: value for key, value in (actions[name] or {}).get("fields", {}).items() if "fields" in value}
        fields = plain.keys() | {key for section in sections.values() for key in section["fields"]}
        for key in sorted(fields ^ told[name].get("fields", {}).keys()):
            yield f"action {name}: the field {key} is only in {'services.yaml' if key in fields else 'en.json'}"
        for key in sorted(sections.keys() ^ told[name].get("sections", {}).keys()):
            yield f"action {name}: the section {key} is only in {'services.yaml' if key in sections else 'en.json'}"
        for key, text in [
            ("name", told[name]),
            ("description", told[name]),
            *((f, told[name].get("fields", {}).get(f, {})) for f in fields),
        ]:
            if key in {"name", "description"} and key not in text:
                yield f"action {name}: has no {key} in en.json"
            elif key not in {"name", "description"} and not {"name", "description"} <= text.keys():
                yield f"action {name}: the field {key} needs name and description in en.json"
        if "target" in (actions[name] or {}) and "device" in (actions[name]["target"] or {}):
            yield f"action {name}: Home Assistant takes no device filter in a target"


def _icons(icons: Tree, texts: Tree) -> Iterator[str]:
    """Every icon is one of Material Design's, and belongs to something that is translated."""
    for path, icon in leaves(icons):
        if not icon.startswith("mdi:"):
            yield f"icons.json: {'.'.join(path)}: {icon} is no mdi: icon"
    for platform, keys in icons.get("entity", {}).items():
        for key, value in keys.items():
            told = texts.get("entity", {}).get(platform, {}).get(key)
            if told is None:
                yield f"icons.json: entity.{platform}.{key} is not in en.json"
            own = (told or {}).get("state")  # without states of its own it has those of its platform
            for state in value.get("state", {}).keys() - own.keys() if own else ():
                yield f"icons.json: entity.{platform}.{key}.state.{state} is not in en.json"


def _flows(texts: Tree) -> Iterator[Tree]:
    """Yield every flow that the texts tell of."""
    yield texts.get("config", {})
    yield texts.get("options", {})
    yield from texts.get("config_subentries", {}).values()
    yield from (issue["fix_flow"] for issue in texts.get("issues", {}).values() if "fix_flow" in issue)


def _steps(texts: Tree) -> Iterator[tuple[str, Tree]]:
    """Yield every step of every flow, with where it stands."""
    for flow in _flows(texts):
        yield from ((f"step.{key}", step) for key, step in flow.get("step", {}).items())
