"""Fixtures that several rooms share."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from id2face_core.assets import ASSETS, model_folder, status
from id2face_core.devices import share_processors
from id2face_core.pictures import read_picture

ROOT = Path(__file__).resolve().parents[1]
if TYPE_CHECKING:
    from id2face_core.pipeline import Anonymizer

sys.path += [str(ROOT / "tests/web"), str(ROOT / "tests/web_host")]  # helpers: a page, a thin host, a real server
from fixtures import browser, clean, served, surface  # noqa: E402, F401
from real_comfyui import running  # noqa: E402


def pytest_configure() -> None:
    """Workers of pytest-xdist, and what they start, share the processors."""
    if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
        workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
        share_processors(workers)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first: the last one would be run by one worker while the others wait."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of development data ($ID2FACE_DATA); tests that need it are skipped without."""
    folder = Path(os.environ.get("ID2FACE_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no development data: set ID2FACE_DATA")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """The bundled photograph, uint8 [512, 512, 3]."""
    return read_picture(ROOT / "id2face_core/demo/astronaut.jpg")


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The model folder with every third-party file in it; tests that need it are skipped without."""
    missing = [asset.relative for asset in ASSETS if status(asset) != "ok"]
    if missing:
        pytest.skip(f"third-party files are not set up ({missing[0]}): run id2face setup")
    return model_folder()


@pytest.fixture(scope="module")
def anonymizer(model_dir: Path) -> Anonymizer:
    """Everything loaded, by the bundled weights."""
    from id2face_core.pipeline import Anonymizer

    return Anonymizer.from_pretrained(model_dir)


_libraries: list[object] = []  # a library that is forgotten takes its operators with it


def _make_torchvision_importable() -> None:
    """A torchvision for CUDA beside a torch without it lacks two operators; ComfyUI imports it all the same."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The node pack, as ComfyUI imports it: against the real ComfyUI in $COMFYUI_PATH, or our stand-in for it."""
    real = os.environ.get("COMFYUI_PATH")
    sys.path.insert(0, real or str(ROOT / "tests" / "comfy_stub"))
    if real:
        _make_torchvision_importable()
        import comfy.options

        comfy.options.enable_args_parsing(False)
        from comfy.cli_args import args

        args.cpu = True
    spec = importlib.util.spec_from_file_location("id2face_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["id2face_pack"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run_comfyui() -> Callable[[Path], AbstractContextManager[str]]:
    """Start the real ComfyUI in $COMFYUI_PATH with the pack, on a base folder; gives its address."""
    comfyui = os.environ.get("COMFYUI_PATH")
    if not comfyui:
        pytest.skip("set COMFYUI_PATH to a ComfyUI checkout")
    return lambda base: running(Path(comfyui), base)


@pytest.fixture(scope="session")
def script() -> Callable[[Path], ModuleType]:
    """Load a script that is no part of a package."""

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
