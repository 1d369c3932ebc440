"""Orthogonal identity mapping: the new identity is kept away from the source's.

`exact` is the abstract's. One person who gets many exactly orthogonal pseudonyms is the one at cosine 0 to all of
them, so the default elsewhere is the one-sided limit, and `KeyedOrthogonal` is for
pseudonyms that must be stable and reversible.
"""

from __future__ import annotations

import numpy as np
import torch
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from torch import Tensor

from ..errors import ConfigError, ShapeError

KEY_BYTES = 32


def exact(latents: Tensor, source: Tensor) -> Tensor:
    """v' = |v| (v - (v.u) u) / |v - (v.u) u|, u = source / |source|. [B, L] each; raises ShapeError when parallel."""
    u = source / source.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    rest = latents - (latents * u).sum(dim=-1, keepdim=True) * u
    length = rest.norm(dim=-1, keepdim=True)
    norm = latents.norm(dim=-1, keepdim=True)
    if bool((length <= 1e-6 * norm).any()):
        raise ShapeError("a sampled latent is parallel to the source; sample another one")
    return rest * (norm / length)


def one_sided(latents: Tensor, source: Tensor, margin: float | Tensor) -> Tensor:
    """Rotate in the plane of (v, u) only where cos(v, u) > margin, to cos = margin. Norms stay.

    latents: [B, L]; source: [B, L] or [1, L]; margin: a number or [B, 1]. Raises ConfigError outside of -1..1.
    """
    if not bool((torch.as_tensor(margin).abs() < 1).all()):
        raise ConfigError(f"margin is {margin}; choose a cosine between -1 and 1")
    u = source / source.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    norm = latents.norm(dim=-1, keepdim=True)
    cosine = (latents * u).sum(dim=-1, keepdim=True) / norm.clamp_min(1e-12)
    free = exact(latents, source)
    limited = margin * norm * u + (1 - margin**2) ** 0.5 * free
    return torch.where(cosine > margin, limited, latents)


def derive(key: bytes, purpose: bytes, nonce: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 (RFC 5869) with domain separation. Raises ConfigError for a short key (and never shows it)."""
    if len(key) < KEY_BYTES:
        raise ConfigError(f"the key has {len(key)} bytes; at least {KEY_BYTES} are needed")
    return HKDF(hashes.SHA256(), length, salt=nonce or None, info=b"id2face/1/" + purpose).derive(key)


def _gaussians(seed: bytes, count: int) -> np.ndarray:
    """Standard normals from ChaCha20's key stream by Box-Muller: the same numbers on every machine."""
    pairs = (count + 1) // 2
    stream = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(16 * pairs))
    uniform = ((np.frombuffer(stream, "<u8") >> 11) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[:pairs])), 2 * np.pi * uniform[pairs:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


class KeyedOrthogonal:
    """v' = Q v with Q^T = -Q, so v'.v = 0 for every v, the norm stays, and -Q undoes it.

    Q = O J O^T, J the block matrix of quarter turns, O Haar-random from HKDF(key, nonce). The nonce may be open; it must
    differ between persons or pictures that an attacker could collect known pairs of (a fixed Q falls to L of them).
    """

    def __init__(self, key: bytes, nonce: bytes, dim: int) -> None:
        if dim % 2 or dim < 2:
            raise ShapeError(f"dim is {dim}; a skew-symmetric orthogonal matrix needs an even dimension")
        raw = _gaussians(derive(key, b"orthogonal", nonce), dim * dim).reshape(dim, dim)
        o, r = np.linalg.qr(raw)
        o = o * np.sign(np.diag(r))  # without the signs QR is not Haar-distributed (Mezzadri 2007)
        turned = np.empty_like(o)
        turned[:, 0::2], turned[:, 1::2] = o[:, 1::2], -o[:, 0::2]
        q = turned @ o.T
        self._q = torch.from_numpy((q - q.T) / 2)

    def __repr__(self) -> str:
        return "KeyedOrthogonal(<secret>)"

    def apply(self, latents: Tensor) -> Tensor:
        """[B, L] -> [B, L]."""
        return (latents.double() @ self._q.T).to(latents.dtype)

    def undo(self, latents: Tensor) -> Tensor:
        """Inverse of `apply`, for whoever has the key."""
        return (latents.double() @ self._q).to(latents.dtype)
