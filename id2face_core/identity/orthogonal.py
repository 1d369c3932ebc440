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


REACH = 0.95  # cosine outside of what is kept, at most: a face that is all source or all its opposite is nobody's


def exact(latents: Tensor, source: Tensor, kept: Tensor | None = None) -> Tensor:
    """Latents [B, L] rotated to cos(v, source) = 0; norms stay.

    kept: orthonormal [L, K], see `IdentityTraits.basis`: what of the latents stays as it is, so that only the rest is rotated.
    Raises ShapeError when parallel.
    """
    return _rotated(latents, source, 0.0, kept)


def one_sided(latents: Tensor, source: Tensor, margin: float | Tensor, kept: Tensor | None = None) -> Tensor:
    """Rotate in the plane of (v, u) only where cos(v, u) > margin, to cos = margin. Norms stay.

    latents: [B, L]; source: [B, L] or [1, L]; margin: a number or [B, 1]; kept: as for `exact`. Raises ConfigError outside of
    -1..1.
    """
    if not bool((torch.as_tensor(margin).abs() < 1).all()):
        raise ConfigError(f"margin is {margin}; choose a cosine between -1 and 1")
    cosine = torch.cosine_similarity(latents, source.expand_as(latents), dim=-1)[..., None]
    return torch.where(cosine > margin, _rotated(latents, source, margin, kept), latents)


def _rotated(latents: Tensor, source: Tensor, cosine: float | Tensor, kept: Tensor | None) -> Tensor:
    """Rotated outside of `kept` to a cosine with the source, or as near to it as that allows."""
    wanted = cosine * latents.norm(dim=-1, keepdim=True) * source.norm(dim=-1, keepdim=True)
    rest, away = latents, source.expand_as(latents)
    if kept is not None:
        rest, away = (v - v @ kept @ kept.mT for v in (rest, away))
        wanted = wanted - ((latents - rest) * (source - away)).sum(dim=-1, keepdim=True)
    length = rest.norm(dim=-1, keepdim=True)
    reach = away.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    along = torch.maximum(torch.minimum(wanted / reach, REACH * length), -REACH * length)
    u = away / reach
    across = rest - (rest * u).sum(dim=-1, keepdim=True) * u
    width = across.norm(dim=-1, keepdim=True)
    if bool((width <= 1e-6 * length).any()):
        raise ShapeError("a sampled latent is parallel to the source; sample another one")
    return (latents - rest) + along * u + across * ((length**2 - along**2).sqrt() / width)


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
        """[B, dim] -> [B, dim]."""
        return (latents.double() @ self._q.T).to(latents.dtype)

    def undo(self, latents: Tensor) -> Tensor:
        """Inverse of `apply`, for whoever has the key."""
        return (latents.double() @ self._q).to(latents.dtype)


def keyed(latents: Tensor, source: Tensor, key: bytes, nonce: bytes, kept: Tensor | None = None) -> Tensor:
    """The source's latent [1, L] turned by a secret matrix outside of `kept` (as for `exact`), where `latents` [B, L] stay.

    Raises ConfigError for a short key.
    """
    rest = outside(latents.shape[-1], kept)
    turned = KeyedOrthogonal(key, nonce, rest.shape[1]).apply(source @ rest)
    return latents - latents @ rest @ rest.mT + turned @ rest.mT


def keyed_back(latents: Tensor, key: bytes, nonce: bytes, kept: Tensor | None = None) -> Tensor:
    """What `keyed` made latents [B, L] of, for whoever has the key."""
    rest = outside(latents.shape[-1], kept)
    inside = latents @ rest
    return latents + (KeyedOrthogonal(key, nonce, rest.shape[1]).undo(inside) - inside) @ rest.mT


def outside(dim: int, kept: Tensor | None) -> Tensor:
    """An orthonormal basis [dim, dim - K] of what an orthonormal [dim, K] leaves; the identity for None."""
    if kept is None or not kept.shape[1]:
        return torch.eye(dim)
    whole, _ = torch.linalg.qr(kept.double(), mode="complete")
    return whole[:, kept.shape[1] :].to(kept)
