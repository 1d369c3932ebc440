"""Frechet distance between sets of features. It is no FID: which features they are stands beside every number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import linalg

from ..errors import ShapeError


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean difference|² + tr(A + B - 2 (A B)^(1/2)) of features [N, D], [M, D] (Dowson and Landau 1982)."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ShapeError(
            f"features have shapes {a.shape} and {b.shape}; expected [N, D] and [M, D] with two rows or more"
        )
    # tr (A B)^(1/2) is the sum of the singular values of Xa Xb^T, with X the centred rows over sqrt(N - 1)
    xa, xb = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    ra, rb = (np.asarray(np.linalg.qr(x, mode="r")) for x in (xa, xb))  # same singular values, never larger than D x D
    cross = linalg.svdvals(ra @ rb.T).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (xa**2).sum() + (xb**2).sum() - 2 * cross)


def distance_with_floor(
    real: Sequence[np.ndarray], new: Sequence[np.ndarray], rng: np.random.Generator, features: str
) -> dict[str, Any]:
    """Distance of new crops to *other* real ones, and of real to real, both of N / 2 against N / 2 (same bias)."""
    order = rng.permutation(len(real))
    half = len(real) // 2
    first, second = order[:half], order[half : 2 * half]
    if half < 2:
        return {"n": half, "features": features, "distance": None, "floor": None}
    r, f = np.stack(real), np.stack(new)
    both = [frechet_distance(f[x], r[y]) for x, y in ((first, second), (second, first))]
    floor = frechet_distance(r[first], r[second])
    return {"n": half, "features": features, "distance": float(np.mean(both)), "floor": floor}
