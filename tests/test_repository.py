"""The repository's own checks find nothing, and would find what they are for."""

from collections.abc import Callable
import json
from pathlib import Path
import shutil
import subprocess
from zipfile import ZipFile

import pytest
import yaml

from scripts import repository

COPIED = ("custom_components", "hacs.json", "pyproject.toml", "CHANGELOG.md", "requirements_*.txt", ".github")


@pytest.mark.parametrize("check", repository.CHECKS, ids=lambda check: check.__name__)
def test_the_repository_is_in_order(check: repository.Check) -> None:
    assert list(check(repository.ROOT)) == []


def test_a_release_holds_the_worker_and_nothing_but_the_integration(tmp_path: Path) -> None:
    """From what git knows; the folder's own name is not part of it."""
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository.ROOT}", tmp_path / "clone"], check=True, timeout=60)
    subprocess.run([tmp_path / "clone" / "scripts" / "package"], check=True, timeout=60, capture_output=True)
    with ZipFile(tmp_path / "clone" / "dist" / "skylapse.zip") as archive:
        names = archive.namelist()
    assert {"manifest.json", "engine/station.py", "translations/en.json", "worker/worker.py"} <= set(names)
    assert not [name for name in names if name.startswith(("/", "custom_components", "tests")) or ".." in name]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the checks look at, to break."""
    for pattern in COPIED:
        for path in repository.ROOT.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, tmp_path / path.name)
    return tmp_path


def _edit_json(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _edit_yaml(path: Path, change: Callable[[dict], object]) -> None:
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: found.update(added=1), "order of keys"),
        (lambda found: found.update(added=1), "added is unknown"),
        (lambda found: found.pop("iot_class"), "iot_class is missing"),
        (lambda found: found.update(domain="sky"), "the domain has to be"),
        (lambda found: found.update(integration_type="camera"), "integration_type is none"),
        (lambda found: found.update(documentation="http://example.org"), "documentation has to be an https address"),
        (lambda found: found.update(codeowners=["someone"]), "code owner starts with @"),
        (lambda found: found.update(version="one"), "the version has to be like"),
        (lambda found: found.update(requirements=["aiofiles==25.1.0"]), "ask for a range"),
        (lambda found: found.update(dependencies=["no_such_thing"]), "has no integration no_such_thing"),
        (lambda found: found.update(categories=["no_such.category"]), "none of Home Assistant's categories"),
    ],
)
def test_a_wrong_manifest_is_found(copy: Path, change: Callable[[dict], object], complaint: str) -> None:
    _edit_json(repository.integration(copy) / "manifest.json", change)
    assert complaint in "\n".join(repository.manifest(copy))


def test_versions_that_differ_are_found(copy: Path) -> None:
    _edit_json(repository.integration(copy) / "manifest.json", lambda found: found.update(version="99.0.0"))
    assert [line.partition(":")[0] for line in repository.versions(copy)] == ["pyproject.toml", "CHANGELOG.md"]


def test_wrong_install_files_are_found(copy: Path) -> None:
    _edit_json(copy / "hacs.json", lambda found: found.update(zip_release=False))
    (repository.integration(copy) / "brand" / "icon.png").unlink()
    shutil.copy(repository.integration(copy) / "brand" / "icon@2x.png", repository.integration(copy) / "brand" / "picture.png")
    assert list(repository.hacs(copy))
    assert len(list(repository.brand(copy))) == 2


def test_requirements_that_are_not_pinned_are_found(copy: Path) -> None:
    _append(copy / "requirements_dev.txt", "ruff==0.0.1\n")
    _append(copy / "requirements_lock.txt", "--index-url https://example.org\n")
    assert len(list(repository.requirements(copy))) == 2


def test_a_file_that_does_not_parse_is_found(copy: Path) -> None:
    (repository.integration(copy) / "broken.json").write_text("{")
    (repository.integration(copy) / "broken.yaml").write_text("[")
    assert len(list(repository.data_files(copy))) == 2


def test_an_undeclared_import_is_found(copy: Path) -> None:
    (repository.integration(copy) / "extra.py").write_text("from homeassistant.components import mqtt, sun\n")
    assert list(repository.component_imports(copy)) == ["extra.py:1: imports from mqtt, which the manifest does not declare"]


@pytest.mark.parametrize(
    "line",
    [
        "from homeassistant.core import HomeAssistant",
        "import aiohttp",
        "from ..const import DOMAIN",
        "from .. import const",
        "from custom_components.skylapse.engine import ports",
    ],
)
def test_an_import_from_the_floor_above_is_found(copy: Path, line: str) -> None:
    (repository.integration(copy) / "engine" / "extra.py").write_text(f"def late():\n    {line}\n")
    assert len(list(repository.floors_by_text(copy))) == 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import asyncssh", 1),
        ("from ..engine import ports", 1),
        ("from . import other", 1),
        ("from homeassistant.core import HomeAssistant", 1),
        ("import custom_components.skylapse.engine.ports", 1),
        ('import importlib\nimportlib.import_module("aiofiles")', 1),
        ("import json, zlib, numpy, picamera2.encoders, simplejpeg", 0),
        ('import importlib\nimportlib.import_module("libcamera")', 0),
    ],
)
def test_a_worker_that_needs_more_than_a_pi_has_is_found(copy: Path, line: str, found: int) -> None:
    (repository.integration(copy) / "worker" / "extra.py").write_text(line)
    assert len([told for told in repository.floors_by_text(copy) if "extra.py" in told]) == found


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("engine/sources/extra.py", "from ...worker import worker"),
        ("engine/extra.py", "from ..worker.worker import MAGIC"),
        ("extra.py", "from .worker import worker"),
        ("extra.py", "from .worker.worker import MAGIC"),
    ],
)
def test_an_import_of_the_worker_is_found(copy: Path, place: str, line: str) -> None:
    (repository.integration(copy) / place).write_text(line)
    (told,) = repository.floors_by_text(copy)
    assert "its text is sent there" in told


def test_a_module_that_brings_home_assistant_in_is_found(copy: Path) -> None:
    (repository.integration(copy) / "engine" / "extra.py").write_text('import importlib\nimportlib.import_module("homeassistant.const")\n')
    assert list(repository.floors_by_running(copy)) == ["engine/extra.py: importing it brings homeassistant in"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("from .errors import invalid\nraise invalid('not_translated')\n", "exceptions.not_translated.message is missing"),
        ("from .engine.errors import SourceError\nraise SourceError('capture_timeout')\n", "asks for deadline_s, which is not given"),
        ("self.async_show_form(step_id='not_translated')\n", "the step not_translated is missing"),
        ("self.async_abort(reason='not_translated')\n", "abort.not_translated is missing"),
        ("SelectSelectorConfig(translation_key='not_translated')\n", "selector.not_translated is missing"),
        ("SensorEntityDescription(translation_key='not_translated')\n", "entity.extra.not_translated is missing"),
        ("ir.async_create_issue(translation_key='not_translated')\n", "issues.not_translated is missing"),
    ],
)
def test_a_key_without_translation_is_found(copy: Path, source: str, complaint: str) -> None:
    (repository.integration(copy) / "extra.py").write_text(source)
    assert complaint in "\n".join(repository.agreements(copy))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: found.update(extra={}), "extra is no section"),
        (lambda found: found["exceptions"].update(extra={"message": "Some text"}), "exceptions.extra is used nowhere"),
        (lambda found: found["exceptions"].update(extra={"message": "See https://example.org"}), "holds an address"),
        (lambda found: found["exceptions"].update(extra={"message": "<b>Bold</b>"}), "holds HTML"),
        (lambda found: found["exceptions"].update(extra={"message": "The '{path}' is gone"}), "quotes a placeholder"),
        (lambda found: found["exceptions"].update(extra={"message": "{no_such_thing} is gone"}), "nothing fills no_such_thing"),
        (lambda found: found["exceptions"].update(Extra={"message": "Some text"}), "may hold small letters"),
        (lambda found: found["exceptions"].update(extra={"message": " "}), "is empty"),
        (lambda found: found["config"]["step"].update(extra={"data": {"name": "Name"}}), "needs a data_description"),
        (lambda found: found["config"]["step"].update(extra={}), "step.extra is used nowhere"),
        (lambda found: found["entity"]["sensor"].update(extra={"name": "Extra"}), "entity.sensor.extra is used nowhere"),
        (lambda found: found["services"].update(extra={"name": "Extra"}), "action extra: is only in en.json"),
    ],
)
def test_a_translation_that_does_not_fit_is_found(copy: Path, change: Callable[[dict], object], complaint: str) -> None:
    _edit_json(repository.integration(copy) / "translations" / "en.json", change)
    assert complaint in "\n".join(repository.agreements(copy))


def test_another_language_that_lags_behind_is_found(copy: Path) -> None:
    folder = repository.integration(copy) / "translations"
    (folder / "de.json").write_text((folder / "en.json").read_text())
    assert not [line for line in repository.agreements(copy) if line.startswith("de.json")]
    _edit_json(folder / "de.json", lambda found: found["exceptions"].pop("capture_timeout"))
    complaints = [line for line in repository.agreements(copy) if line.startswith("de.json")]
    assert complaints == ["de.json: exceptions.capture_timeout.message is missing"]


def test_an_action_that_is_not_told_of_is_found(copy: Path) -> None:
    folder = repository.integration(copy)
    _edit_yaml(folder / "services.yaml", lambda found: found["capture"].setdefault("fields", {}).update(extra={"selector": {"text": None}}))
    assert any("the field extra" in line for line in repository.agreements(copy))


def test_icons_of_nothing_are_found(copy: Path) -> None:
    _edit_json(repository.integration(copy) / "icons.json", lambda found: found["entity"]["sensor"].update(extra={"default": "fa:cloud"}))
    assert len([line for line in repository.agreements(copy) if line.startswith("icons.json: entity.sensor.extra")]) == 2
