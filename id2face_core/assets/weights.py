"""Our own trained weights: a folder for each network (safetensors and JSON), and a registry of hashes for all of them.

Every load checks size and SHA-256 first.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AssetCorruptError, AssetMissingError
from .hashing import sha256_of, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

REGISTRY = "registry.json"
SCHEMA = "id2face-weights/1"
LICENCE = "non-commercial research (trained with UTKFace and on faces of a generator distilled from FFHQ)"
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
REMEDY = "install the package again, or train: id2face train"


def read_registry(folder: Path = WEIGHTS) -> dict[str, dict[str, Any]]:
    """{file name, relative with slashes: {"sha256", "bytes"}}. Raises AssetMissingError, AssetCorruptError."""
    path = folder / REGISTRY
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AssetMissingError(f"{path} does not exist; {REMEDY}") from error
    except (OSError, ValueError) as error:
        raise AssetCorruptError(f"{path} cannot be read; {REMEDY}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("files"), dict):
        raise AssetCorruptError(f"{path} is not of schema {SCHEMA}; {REMEDY}")
    return data["files"]


def update_registry(folder: Path = WEIGHTS) -> dict[str, dict[str, Any]]:
    """Rewrite the registry from the .safetensors and .json files below `folder`, and return its rows."""
    found = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in folder.rglob("*")
        if path.suffix in (".safetensors", ".json") and path != folder / REGISTRY
    }
    files = dict(sorted(found.items()))
    document = {"schema": SCHEMA, "licence": LICENCE, "files": files}
    write_atomically(folder / REGISTRY, (json.dumps(document, indent=1) + "\n").encode())
    return files


def _read_verified(name: str, folder: Path, row: dict[str, Any]) -> bytes:
    path = folder / name
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise AssetMissingError(f"{path} does not exist; {REMEDY}") from error
    except OSError as error:
        raise AssetCorruptError(f"{path} cannot be read; {REMEDY}") from error
    if len(data) != row.get("bytes") or hashlib.sha256(data).hexdigest() != row.get("sha256"):
        raise AssetCorruptError(f"{path} is not what {REGISTRY} says (size or SHA-256); {REMEDY}")
    return data


def _rows(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Rows of the files `name.*` and `name/*`."""
    registry = read_registry(folder)
    rows = {file: row for file, row in registry.items() if file.startswith((f"{name}/", f"{name}."))}
    if not rows:
        raise AssetMissingError(f"no weights {name!r} in {folder / REGISTRY} ({len(registry)} files); {REMEDY}")
    return rows


def our_weights(name: str, folder: Path = WEIGHTS) -> Path:
    """Verified folder of one network, for its `from_pretrained`. Raises AssetMissingError, AssetCorruptError."""
    for file, row in _rows(name, folder).items():
        _read_verified(file, folder, row)
    return folder / name


def load_weights(name: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """Tensors of all safetensors files of one network, verified. Raises AssetMissingError, AssetCorruptError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    tensors: dict[str, Tensor] = {}
    for file, row in _rows(name, folder).items():
        if not file.endswith(".safetensors"):
            continue
        try:
            tensors |= load(_read_verified(file, folder, row))
        except SafetensorError as error:
            raise AssetCorruptError(f"{folder / file} is not a safetensors file; {REMEDY}") from error
    return tensors


def weights_status(folder: Path = WEIGHTS) -> dict[str, tuple[str, str]]:
    """{file: (SHA-256 of the registry, "ok" | "missing" | "corrupt")}. Raises as `read_registry`."""
    result = {}
    for file, row in read_registry(folder).items():
        try:
            _read_verified(file, folder, row)
            health = "ok"
        except AssetMissingError:
            health = "missing"
        except AssetCorruptError:
            health = "corrupt"
        result[file] = (str(row.get("sha256")), health)
    return result


def weights_digest(folder: Path = WEIGHTS) -> str:
    """One SHA-256 over names and hashes of the registry: which weights made a picture. Raises as `read_registry`."""
    lines = [f"{row.get('sha256')}  {file}\n" for file, row in sorted(read_registry(folder).items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
