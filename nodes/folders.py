"""Where files are found: ComfyUI's model folders and `extra_model_paths.yaml`, then the core's own folder.

Categories: `id2face` (third-party networks and recognisers), `id2face_keys` (key files), `id2face_identities` (identities
that a user saved). A graph holds file names of these folders, never a path and never a key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import folder_paths

from id2face_core.errors import AssetMissingError, KeyFileError

MODELS, KEYS, IDENTITIES = "id2face", "id2face_keys", "id2face_identities"
NONE = "none"
_PROCESS_SECRET = secrets.token_bytes(32)


def register_folders() -> None:
    """Tell ComfyUI about our categories. Nothing is created."""
    for category in (MODELS, KEYS, IDENTITIES):
        folder_paths.add_model_folder_path(category, os.path.join(folder_paths.models_dir, category), is_default=True)


def _listed(category: str, *suffixes: str) -> list[str]:
    if category not in folder_paths.folder_names_and_paths:
        return []
    return [n for n in folder_paths.get_filename_list(category) if n.lower().endswith(suffixes) and not n.startswith(".")]


def key_files() -> list[str]:
    """Names of key files (`*.key`), after "none"."""
    return [NONE, *_listed(KEYS, ".key")]


def read_key(name: str) -> bytes | None:
    """Secret key of a file in the key folder; None for "none". Raises KeyFileError, which never shows the key."""
    if name == NONE:
        return None
    from id2face_core.keyfile import read_key_file

    path = folder_paths.get_full_path(KEYS, name) if name in key_files() else None
    if path is None:
        raise KeyFileError(f"key file {name!r} is not in the folder models/{KEYS}; put it there, with a name that ends in .key")
    try:
        return read_key_file(Path(path))
    except KeyFileError as error:  # errors go to every browser: no folders of the user in them
        raise KeyFileError(str(error).replace(path, name)) from None


def identity_files() -> list[str]:
    """Names of saved identities."""
    return _listed(IDENTITIES, ".safetensors")


def identity_folder() -> Path:
    """Where identities are written: the first folder of the category."""
    return Path(folder_paths.get_folder_paths(IDENTITIES)[0])


def file_stamp(category: str, name: str) -> str:
    """A value that changes when the file does and tells nothing about it: fingerprints are published in pictures."""
    path = folder_paths.get_full_path(category, name) if name != NONE else None
    if path is None:
        return NONE
    info = os.stat(path)
    text = f"{path}|{info.st_mtime_ns}|{info.st_size}".encode()
    return hmac.digest(_PROCESS_SECRET, text, hashlib.sha256).hex()[:16]


def scrfd_files() -> list[str]:
    """Further detectors (SCRFD, ONNX) below `id2face/detection` or an InsightFace pack."""
    return [name for name in onnx_files() if Path(name).name.startswith(("scrfd", "det_"))]


def recogniser_files() -> list[str]:
    """ONNX files that may be recognisers: below `id2face/recognition` or in an InsightFace pack."""
    known = ("w600k", "glint", "arcface", "mobilefacenet")
    return [n for n in onnx_files() if "recognition/" in n.replace("\\", "/") or Path(n).name.startswith(known)]


def onnx_files() -> list[str]:
    """`category/name` of all ONNX files of our folder and of InsightFace's, as other packs use it."""
    return [f"{category}/{name}" for category in (MODELS, "insightface") for name in _listed(category, ".onnx")]


def onnx_path(label: str) -> Path:
    """Path of a label of `onnx_files`. Raises AssetMissingError."""
    category, _, name = label.partition("/")
    path = folder_paths.get_full_path(category, name) if label in onnx_files() else None
    if path is None:
        raise AssetMissingError(f"{label} is gone; refresh the node definitions (key R) and choose again")
    return Path(path)


def third_party_folder() -> Path:
    """The folder that holds the third-party networks.

    Raises:
        AssetMissingError: none does; it says which file goes where.
    """
    from id2face_core.assets import model_folder, require
    from id2face_core.assets.registry import ASSETS

    candidates = [Path(p) for p in folder_paths.get_folder_paths(MODELS)] + [model_folder()]
    for folder in candidates:
        if all((folder / asset.relative).is_file() for asset in ASSETS):
            for asset in ASSETS:
                require(asset.kind, asset.name, folder)  # damaged files are an error, not a reason to look further
            return folder
    lacking = [a.relative for a in ASSETS if not any((folder / a.relative).is_file() for folder in candidates)] or ["some file"]
    raise AssetMissingError(
        f"{', '.join(lacking)}: not found. Run `id2face setup` once, or put the files with these sub-folders and manifest.json "
        f"into {candidates[0]} (or a folder `{MODELS}:` of extra_model_paths.yaml). Nothing is downloaded by itself."
    )
