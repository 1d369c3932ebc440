"""The model folder, and verified access to what `id2face setup` put into it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ..errors import AssetCorruptError, AssetMissingError, ConfigError
from .hashing import sha256_of
from .registry import ASSET_BY_KEY, ASSETS, Asset

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = "id2face-models/1"
Health = Literal["ok", "missing", "corrupt"]


def model_folder() -> Path:
    """$ID2FACE_HOME, else `id2face` in the user's data folder of this system. Nothing is created."""
    home = os.environ.get("ID2FACE_HOME")
    if home:
        return Path(home).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "id2face"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Hashes of what setup wrote: {relative path: {"sha256", "bytes"}}; empty if there is none or it is damaged."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = data["files"] if data["schema"] == MANIFEST_SCHEMA else {}
        return files if isinstance(files, dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@lru_cache(maxsize=64)
def _digest(path: str, size: int, modified: int) -> str:
    """Hash of a file, once per process as long as it does not change."""
    return sha256_of(Path(path))


def _expected(asset: Asset, folder: Path) -> str | None:
    if asset.sha256 is not None:
        return asset.sha256
    entry = read_manifest(folder).get(asset.relative)
    return entry.get("sha256") if isinstance(entry, dict) else None


def status(asset: Asset, model_dir: Path | None = None) -> Health:
    """Whether the file of an asset is there and is what it should be."""
    folder = model_folder() if model_dir is None else Path(model_dir)
    path = folder / asset.relative
    try:
        info = path.stat()
        actual = _digest(str(path), info.st_size, info.st_mtime_ns)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "corrupt"
    return "ok" if actual == _expected(asset, folder) else "corrupt"


def require(kind: str, name: str, model_dir: Path | None = None) -> Path:
    """Verified path of a third-party file; `name` may be given with its suffix.

    Raises:
        ConfigError: no such asset is known.
        AssetMissingError, AssetCorruptError: the file is not there, or is not what was set up.
    """
    asset = ASSET_BY_KEY.get((kind, name)) or next((a for a in ASSETS if a.relative == f"{kind}/{name}"), None)
    if asset is None:
        known = ", ".join("/".join(key) for key in ASSET_BY_KEY)
        raise ConfigError(f"no asset {kind}/{name}; known: {known}")
    path = (model_folder() if model_dir is None else Path(model_dir)) / asset.relative
    health = status(asset, model_dir)
    if health == "missing":
        raise AssetMissingError(f"{asset.relative} ({asset.what}) is not in {path.parents[1]}; run: id2face setup")
    if health == "corrupt":
        raise AssetCorruptError(f"{path} is damaged or was changed (SHA-256 differs); run: id2face setup")
    return path


def require_folder(kind: str, names: Sequence[str], model_dir: Path | None = None) -> Path:
    """The folder of several third-party files, each of them verified. Raises as `require` does."""
    return [require(kind, name, model_dir) for name in names][0].parent
