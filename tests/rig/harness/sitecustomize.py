"""Lets an unmodified program run real picamera2 on a virtual camera: Python imports this file when it starts, for it lies on its path.

What the program itself starts is not of the rig: it gets the environment without the rig's path and library.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import types
from typing import Any, override

for _name in ("PYTHONPATH", "LD_PRELOAD"):
    os.environ.pop(_name, None)
os.environ["LIBCAMERA_PIPELINES_MATCH_LIST"] = "virtual"


class _WhenImported(importlib.abc.MetaPathFinder):
    """Patches picamera2 as soon as somebody imports it, and costs nothing if nobody does."""

    @override
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != "picamera2":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            import rig_pipeline

            rig_pipeline.before_import()
            run(module)
            rig_pipeline.after_import()

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _WhenImported())
