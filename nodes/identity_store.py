"""New identities as small safetensors files, sealed with a key where the source could be had back from them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from id2face_core.errors import AssetCorruptError, ConfigError, KeyFileError

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = "id2face-identity/1"
NONCE = 12  # bytes, AES-GCM


def free_path(folder: Path, name: str) -> Path:
    """The first `name_00001.safetensors` that is not taken. Raises ConfigError for a name that is not a plain one."""
    if not re.fullmatch(r"[\w][\w \-]{0,63}", name):
        raise ConfigError(f"name is {name!r}; use letters, digits, spaces, - and _ (64 at most)")
    folder.mkdir(parents=True, exist_ok=True)
    taken = {path.name for path in folder.iterdir()}
    return next(p for i in range(1, 10**6) if (p := folder / f"{name}_{i:05}.safetensors").name not in taken)


def is_sealed(path: Path) -> bool:
    """Whether a file needs a key, by its header alone. A file that cannot be read counts as sealed."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            return "latent" not in file.keys()
    except (SafetensorError, OSError):
        return True


def write_identity(folder: Path, name: str, latent: Tensor, key: bytes | None) -> Path:
    """Write a latent [L] to a new file `name_00001.safetensors`; with a key it is sealed (AES-256-GCM).

    Raises ConfigError for a name that is not a plain one.
    """
    import torch
    from safetensors.torch import save

    tensors = {"latent": latent.detach().float().cpu().contiguous().clone()}
    if key is not None:
        tensors = {"sealed": torch.frombuffer(bytearray(_seal(save(tensors), key)), dtype=torch.uint8)}
    path = free_path(folder, name)
    path.write_bytes(save(tensors, {"schema": SCHEMA}))
    return path


def read_identity(path: Path, key: bytes | None) -> tuple[Tensor, bool]:
    """(latent [L], whether it was sealed). Raises AssetCorruptError, KeyFileError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(path.read_bytes())
        sealed = tensors.get("sealed")
        if sealed is not None:
            if key is None:
                raise KeyFileError(f"{path.name} is sealed; choose the key_file that it was saved with")
            tensors = load(_open(sealed.numpy().tobytes(), key, path.name))
        latent = tensors["latent"]
    except (SafetensorError, KeyError) as error:
        raise AssetCorruptError(f"{path.name} is not an identity saved by Save Identity") from error
    if latent.ndim != 1 or not bool(latent.isfinite().all()):
        raise AssetCorruptError(f"{path.name} holds a latent of shape {tuple(latent.shape)}; expected finite [L]")
    return latent.float(), sealed is not None


def _seal(data: bytes, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from id2face_core.identity.orthogonal import derive

    nonce = os.urandom(NONCE)
    return nonce + AESGCM(derive(key, b"seal")).encrypt(nonce, data, SCHEMA.encode())


def _open(data: bytes, key: bytes, name: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from id2face_core.identity.orthogonal import derive

    try:
        return AESGCM(derive(key, b"seal")).decrypt(data[:NONCE], data[NONCE:], SCHEMA.encode())
    except InvalidTag:
        raise KeyFileError(f"{name} was sealed with another key, or is damaged") from None
