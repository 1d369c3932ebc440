"""The core that lies beside the nodes, under its own name, whether or not it was installed with pip."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
CORE = "id2face_core"
# what the core imports beyond what ComfyUI brings itself: {module: package}
PACKAGES = {
    "diffusers": "diffusers", "onnx": "onnx", "onnxruntime": "onnxruntime", "ai_edge_litert": "ai-edge-litert",
    "cryptography": "cryptography",
}  # fmt: skip
log = logging.getLogger("id2face")


def provide_core() -> None:
    """Make `import id2face_core` mean the folder beside this one, without putting that folder on the path.

    The folder on the path would hide ComfyUI's own module `nodes`. A core that is already imported stays.
    """
    if CORE in sys.modules:
        return
    folder = PACK / CORE
    spec = importlib.util.spec_from_file_location(CORE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is missing; install the node pack again")
    module = importlib.util.module_from_spec(spec)
    sys.modules[CORE] = module
    spec.loader.exec_module(module)


def missing_packages() -> list[str]:
    """Names of packages that the nodes need and this Python lacks. Nothing is imported."""
    return [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]


def remedy(packages: list[str]) -> str:
    """How to install missing packages into the Python that runs."""
    return f"ID²Face needs {', '.join(packages)}; run: {sys.executable} -m pip install -r {PACK / 'requirements.txt'}"


def report_missing_packages() -> None:
    """One readable line in ComfyUI's log; the pack loads all the same."""
    missing = missing_packages()
    if missing:
        log.warning("%s", remedy(missing))
