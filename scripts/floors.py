"""The three floors: the engine never imports Home Assistant, the worker stands alone, the shell imports what its manifest declares."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import re
import subprocess
import sys

_NOT_IN_ENGINE = ("homeassistant", "aiohttp", "voluptuous", "probatio", "custom_components")
_ON_A_PI = sys.stdlib_module_names | {"PIL", "libcamera", "numpy", "picamera2", "piexif", "simplejpeg"}
"""What is where the worker runs: the standard library, picamera2 and what that itself depends on."""
_ALWAYS_THERE = frozenset(
    [
        "automation",
        "conversation",
        "default_config",
        "device_automation",
        "frontend",
        "group",
        "input_boolean",
        "input_button",
        "input_datetime",
        "input_number",
        "input_select",
        "input_text",
        "labs",
        "media_source",
        "mjpeg",
        "onboarding",
        "panel_custom",
        "person",
        "script",
        "stream",
        "sun",
        "system_health",
        "system_log",
        "timer",
        "webhook",
        "websocket_api",
        "zone",
    ]
)
"""Integrations that hassfest lets everyone import undeclared, beside the entity platforms."""

_IMPORT_ALL = """
import importlib, pathlib, sys, types
folder = pathlib.Path(sys.argv[1])
package = types.ModuleType("skylapse")
package.__path__ = [str(folder)]
sys.modules["skylapse"] = package
for path in sorted((folder / "engine").rglob("*.py")):
    parts = path.relative_to(folder).with_suffix("").parts
    importlib.import_module(".".join(("skylapse", *parts)).removesuffix(".__init__"))
    for name in sys.argv[2:]:
        if name in sys.modules:
            sys.exit(f"{path.relative_to(folder)}: importing it brings {name} in")
"""


def by_text(folder: Path) -> Iterator[str]:
    """Yield every import by which a module reaches up or to the worker, or names the integration by its full path."""
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder)
        for line, module in imports(path, folder):
            if place.parts[0] == "worker":
                if module.partition(".")[0] not in _ON_A_PI:
                    yield f"{place}:{line}: the worker imports {module}, which is not where it runs"
            elif f"{module}.".startswith(".worker."):
                yield f"{place}:{line}: imports {module}; the worker runs elsewhere, its text is sent there"
            elif module.partition(".")[0] == "custom_components":
                yield f"{place}:{line}: imports {module}; imports inside of the integration are relative"
            elif place.parts[0] == "engine" and module.startswith(".") and not f"{module}.".startswith(".engine."):
                yield f"{place}:{line}: the engine imports {module} from the shell above it"
            elif place.parts[0] == "engine" and module.partition(".")[0] in _NOT_IN_ENGINE:
                yield f"{place}:{line}: the engine imports {module}"


def by_running(folder: Path) -> Iterator[str]:
    """Yield the module of the engine, if any, whose import fails or brings Home Assistant in."""
    command = [sys.executable, "-P", "-c", _IMPORT_ALL, str(folder), *_NOT_IN_ENGINE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        yield done.stderr.strip().splitlines()[-1]


def component_imports(folder: Path, core: Path) -> Iterator[str]:
    """Yield every import of another integration that the manifest does not declare; ``core`` is Home Assistant's folder."""
    manifest = json.loads((folder / "manifest.json").read_text())
    declared = {*manifest.get("dependencies", []), *manifest.get("after_dependencies", []), manifest["domain"]}
    platforms = set(re.findall(r'^\s+\w+ = "(\w+)"', (core / "generated" / "entity_platforms.py").read_text(), re.MULTILINE))
    for path in sorted(folder.rglob("*.py")):
        for line, module in imports(path, folder):
            if not module.startswith("homeassistant.components."):
                continue
            domain = module.split(".")[2]
            own = (folder / f"{domain}.py").is_file()  # a platform file of that name permits it
            if domain not in declared | platforms | _ALWAYS_THERE and not own:
                yield f"{path.relative_to(folder)}:{line}: imports from {domain}, which the manifest does not declare"


def imports(path: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of all that a file imports; relative ones from ``folder`` on, as ``.engine.ports``."""
    package = ("", *path.relative_to(folder).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        match node:
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(module)), *_]):
                yield node.lineno, module
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                # `from homeassistant.components import camera` imports a module, too
                deeper = module == "homeassistant.components"
                yield from ((node.lineno, f"{module}.{alias.name}" if deeper else module) for alias in node.names)
            case ast.ImportFrom():
                above = package[: len(package) - node.level + 1] or ("..",)
                base = ".".join((*above, *((node.module,) if node.module else ())))
                names = [base] if node.module else [f"{base}.{alias.name}" for alias in node.names]
                yield from ((node.lineno, name if name.startswith(".") else f".{name}") for name in names)
