"""Checks what no linter knows: the manifest, the three floors, and that code, translations, icons and actions agree.

Run by ``scripts/lint`` (``python -m scripts.repository``) and, check by check, by ``tests/test_repository.py``. Every check
takes the repository's root and yields one line for each thing that is wrong.
"""

from collections.abc import Callable, Iterator
import importlib.util
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

from PIL import Image
import yaml

from scripts import agreement, floors

ROOT = Path(__file__).resolve().parents[1]

type Check = Callable[[Path], Iterator[str]]

_MANIFEST_KEYS = {
    "after_dependencies", "categories", "codeowners", "config_flow", "connectivity", "dependencies", "documentation", "domain",
    "integration_type", "iot_class", "issue_tracker", "loggers", "name", "quality_scale", "requirements", "version",
}  # fmt: skip
_NEEDED = _MANIFEST_KEYS - {"after_dependencies", "categories", "connectivity", "loggers", "quality_scale", "requirements"}
_HACS = {"name": "Skylapse", "filename": "skylapse.zip", "hide_default_branch": True, "homeassistant": "2026.11.0", "zip_release": True}
_BRAND = {"icon.png": 256, "icon@2x.png": 512, "logo.png": 256, "logo@2x.png": 512}
"""The pictures Home Assistant asks for, and how high each is in pixels."""


def integration(root: Path) -> Path:
    """Return the integration's folder."""
    return root / "custom_components" / "skylapse"


def manifest(root: Path) -> Iterator[str]:
    """The manifest has the keys that hassfest asks for, in its order, with values it takes."""
    found: dict[str, Any] = json.loads((integration(root) / "manifest.json").read_text())
    order = ["domain", "name", *sorted(found.keys() - {"domain", "name"})]
    if list(found) != order:
        yield f"manifest.json: the order of keys has to be {', '.join(order)}"
    for key in sorted(found.keys() - _MANIFEST_KEYS):
        yield f"manifest.json: {key} is unknown"
    for key in sorted(_NEEDED - found.keys()):
        yield f"manifest.json: {key} is missing"
    if found.get("domain") != "skylapse":
        yield "manifest.json: the domain has to be the folder's name"
    if found.get("integration_type") not in {"device", "hub", "service", "helper", "entity", "hardware", "system"}:
        yield "manifest.json: integration_type is none that Home Assistant knows"
    if not re.fullmatch(r"(local|cloud)_(push|polling)|calculated|assumed_state", found.get("iot_class", "")):
        yield "manifest.json: iot_class is none that Home Assistant knows"
    for key in ("documentation", "issue_tracker"):
        if not found.get(key, "").startswith("https://"):
            yield f"manifest.json: {key} has to be an https address"
    if not all(owner.startswith("@") for owner in found.get("codeowners", [])):
        yield "manifest.json: every code owner starts with @"
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", found.get("version", "")):
        yield "manifest.json: the version has to be like 1.2.3 or 1.2.3b4"
    for requirement in found.get("requirements", []):
        if "==" in requirement:
            yield f"manifest.json: {requirement} would fight with the pins of Home Assistant and others; ask for a range"
    core = _home_assistant()
    for domain in [*found.get("dependencies", []), *found.get("after_dependencies", [])]:
        if not (core / "components" / domain / "manifest.json").is_file():
            yield f"manifest.json: Home Assistant has no integration {domain}"
    for key, file in (("categories", "integration_categories"), ("connectivity", "integration_connectivity")):
        known = _slugs(json.loads((core / "generated" / f"{file}.json").read_text()))
        for value in found.get(key, []):
            if value not in known:
                yield f"manifest.json: {value} is none of Home Assistant's {key}"


def versions(root: Path) -> Iterator[str]:
    """The version is the same wherever it stands."""
    version = json.loads((integration(root) / "manifest.json").read_text())["version"]
    if f'\nversion = "{version}"\n' not in (root / "pyproject.toml").read_text():
        yield f"pyproject.toml: the version has to be the manifest's, {version}"
    if not re.search(rf"^## {re.escape(version)}\b", (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        yield f"CHANGELOG.md: there is no heading for {version}"


def hacs(root: Path) -> Iterator[str]:
    """``hacs.json`` says what the Marketplace needs."""
    if json.loads((root / "hacs.json").read_text()) != _HACS:
        yield f"hacs.json: has to be {json.dumps(_HACS)}"


def brand(root: Path) -> Iterator[str]:
    """The brand's pictures are there, in Home Assistant's names and sizes, with a transparent ground."""
    folder = integration(root) / "brand"
    for name, height in _BRAND.items():
        if not (folder / name).is_file():
            yield f"brand/{name}: is missing; scripts/draw-brand draws it"
            continue
        with Image.open(folder / name) as picture:
            if picture.height != height or (name.startswith("icon") and picture.width != height):
                yield f"brand/{name}: is {picture.width}×{picture.height}, it has to be {height} high (icons square)"
            if picture.mode != "RGBA":
                yield f"brand/{name}: has no transparent ground"
    for path in folder.glob("*"):
        if path.name.removeprefix("dark_") not in _BRAND:
            yield f"brand/{path.name}: Home Assistant does not serve a picture of this name"


def requirements(root: Path) -> Iterator[str]:
    """All that is asked for is pinned in the lock, and the lock names no package index."""
    lock = (root / "requirements_lock.txt").read_text()
    pins = {_normal(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.!]+)", lock, re.MULTILINE)}
    for file in ("requirements_test.txt", "requirements_dev.txt"):
        for line in (root / file).read_text().splitlines():
            if not (asked := line.partition("#")[0].strip()):
                continue
            name, _, version = asked.partition("==")
            if not version or pins.get(_normal(name)) != version:
                yield f"{file}: {asked} is not pinned so in requirements_lock.txt; run scripts/lock"
    for asked in json.loads((integration(root) / "manifest.json").read_text()).get("requirements", []):
        if _normal(re.split(r"[<>=!~\[; ]", asked)[0]) not in pins:
            yield f"requirements_lock.txt: the manifest's {asked} is missing; add it to requirements_test.txt and run scripts/lock"
    if "://" in lock or re.search(r"^\s*--", lock, re.MULTILINE):
        yield "requirements_lock.txt: holds an address or an option; it may hold pins only"


def data_files(root: Path) -> Iterator[str]:
    """Every JSON and YAML file of the integration and the workflows parses."""
    for path in sorted(integration(root).rglob("*.json")):
        try:
            json.loads(path.read_text())
        except ValueError as error:
            yield f"{path.relative_to(root)}: {error}"
    for path in sorted([*integration(root).rglob("*.yaml"), *(root / ".github").rglob("*.yml")]):
        try:
            yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            yield f"{path.relative_to(root)}: {error}"


def component_imports(root: Path) -> Iterator[str]:
    """Whatever is imported from ``homeassistant.components`` is a dependency in the manifest."""
    yield from floors.component_imports(integration(root), _home_assistant())


def floors_by_text(root: Path) -> Iterator[str]:
    """No floor imports from one above it: read from the source."""
    yield from floors.by_text(integration(root))


def floors_by_running(root: Path) -> Iterator[str]:
    """No module of the engine brings Home Assistant in: seen by importing all of them in a fresh interpreter."""
    yield from floors.by_running(integration(root))


def agreements(root: Path) -> Iterator[str]:
    """Code, translations, icons and ``services.yaml`` agree."""
    yield from agreement.problems(integration(root))


CHECKS: tuple[Check, ...] = (
    manifest, versions, hacs, brand, requirements, data_files, component_imports, floors_by_text, floors_by_running, agreements,
)  # fmt: skip


def _home_assistant() -> Path:
    """Return the folder of the installed Home Assistant; importing it would take seconds."""
    spec = importlib.util.find_spec("homeassistant")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _slugs(items: list[dict[str, Any]]) -> set[str]:
    """Return ``a`` and ``a.b`` for each category a and its subcategory b."""
    top = {item["slug"] for item in items}
    return top | {f"{item['slug']}.{child['slug']}" for item in items for child in item.get("subcategories", [])}


def _normal(name: str) -> str:
    """Return a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Run all checks; print what they find."""
    found = [line for check in CHECKS for line in check(ROOT)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as error:
        sys.exit(f"{error}")
