"""The gallery of saved identities: portraits of nobody, and what can be done with the files."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import numpy as np

from id2face_core.errors import AssetMissingError, ConfigError, Id2FaceError

from .folders import IDENTITIES, identity_files, identity_folder
from .identity_files import blend_pair
from .identity_store import free_path, is_sealed, read_identity, write_identity
from .types import Identity

if TYPE_CHECKING:
    from torch import Tensor

_rendering = threading.Lock()  # one portrait at a time: a gallery must not take the machine
_portraits: dict[tuple[str, int], np.ndarray] = {}


def listing() -> list[dict[str, Any]]:
    """Name, whether sealed, whether locked, and a version of every saved identity."""
    rows = []
    for name in sorted(identity_files()):
        path = path_of(name)
        info = path.stat()
        rows.append({"file": name, "sealed": is_sealed(path), "locked": not info.st_mode & stat.S_IWUSR,
                     "version": str(info.st_mtime_ns)})  # fmt: skip
    return rows


def path_of(name: str) -> Path:
    """Path of a listed identity. Raises AssetMissingError."""
    path = folder_paths.get_full_path(IDENTITIES, name) if name in identity_files() else None
    if path is None:
        raise AssetMissingError("this identity is not there any more")
    return Path(path)


def rename(file: str, name: str) -> str:
    """A new name, with a number behind it; returns the name of the file. Raises ConfigError."""
    path = _unlocked(file)
    target = free_path(path.parent, name)
    path.rename(target)
    return target.name


def blend(a: str, b: str, ratio: float, name: str) -> str:
    """A new identity between two unsealed ones. Raises ConfigError, KeyFileError."""
    if not 0 <= ratio <= 1:
        raise ConfigError(f"ratio is {ratio}; choose 0 to 1")
    one, other = (Identity(read_identity(path_of(file), None)[0][None], None) for file in (a, b))
    return write_identity(identity_folder(), name, blend_pair(one, other, ratio).latents[0], None).name


def lock(file: str, locked: bool) -> str:
    """Write-protect the file, or not any more."""
    path = path_of(file)
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222 if locked else mode | stat.S_IWUSR)
    return file


def delete(file: str) -> str:
    """Delete for good. Raises ConfigError when it is locked."""
    _unlocked(file).unlink()
    return file


def portrait(file: str) -> np.ndarray:
    """The face of an identity, uint8 [S, S', 3], looking straight ahead. Raises KeyFileError when it is sealed."""
    path = path_of(file)
    entry = (str(path), path.stat().st_mtime_ns)
    with _rendering:
        if entry not in _portraits:
            _portraits[entry] = render(read_identity(path, None)[0])
        return _portraits[entry]


def render(latent: Tensor) -> np.ndarray:
    """A neutral portrait of a latent [L]: its own age, sex and skin, everything else as faces are on average.

    Raises:
        ConfigError: a latent of another model. FaceRejectedError: it shows no face.
    """
    import torch

    from id2face_core.attributes.vector import index
    from id2face_core.stages import draw_candidates, render_candidate

    from .model import model_or_default

    parts = model_or_default(None).ready()
    mean, wanted = parts.recomposer.mean, parts.traits.weight.shape[0]
    if latent.numel() != wanted:
        raise ConfigError(f"this identity has {latent.numel()} numbers and the model's have {wanted}; it is of another model")
    average = mean.centre[latent.numel() :].cpu().clone()
    for name in ("yaw", "pitch", "gaze_x", "gaze_y", "glasses"):
        average[index(name)] = 0
    with torch.inference_mode():
        kept = torch.zeros(len(parts.traits.indices), dtype=torch.bool)
        attributes = parts.traits.release(latent[None], average, kept)
        candidates = draw_candidates(parts, latent[None], attributes, torch.Generator().manual_seed(0), steps=8)
        return render_candidate(parts, candidates).rendering


def _unlocked(file: str) -> Path:
    path = path_of(file)
    if not path.stat().st_mode & stat.S_IWUSR:
        raise ConfigError(f"{file} is locked; unlock it first")
    return path


def perform(action: str, wish: dict[str, Any]) -> str:
    """One of the actions of the gallery, with what the page sent. Raises Id2FaceError."""
    try:
        if action == "rename":
            return rename(str(wish["file"]), str(wish["name"]))
        if action == "blend":
            return blend(str(wish["a"]), str(wish["b"]), float(wish["ratio"]), str(wish["name"]))
        if action == "lock":
            return lock(str(wish["file"]), wish["locked"] is True)
        if action == "delete":
            return delete(str(wish["file"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, Id2FaceError):
            raise
        raise ConfigError(f"{action} lacks something ({type(error).__name__})") from None
    raise ConfigError(f"{action!r} is no action of the gallery")
