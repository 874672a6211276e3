"""Import the engine without the integration around it: a child process that is to be killed, or measured, cannot wait for Home Assistant."""

from pathlib import Path
import sys
import types

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "custom_components.skylapse"


def install() -> None:
    """Make ``custom_components.skylapse.engine`` importable without running the integration's ``__init__``. Does nothing if that ran already."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    if _PACKAGE in sys.modules:
        return
    bare = types.ModuleType(_PACKAGE)
    bare.__path__ = [str(ROOT / "custom_components" / "skylapse")]
    sys.modules[_PACKAGE] = bare
