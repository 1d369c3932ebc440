"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from id2face_core.assets import ASSETS, model_folder, status

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of development data ($ID2FACE_DATA); tests that need it are skipped without."""
    folder = Path(os.environ.get("ID2FACE_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no development data: set ID2FACE_DATA")
    return folder


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The model folder with every third-party file in it; tests that need it are skipped without."""
    missing = [asset.relative for asset in ASSETS if status(asset) != "ok"]
    if missing:
        pytest.skip(f"third-party files are not set up ({missing[0]}): run id2face setup")
    return model_folder()
