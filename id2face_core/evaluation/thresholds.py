"""Thresholds of the recognisers, fixed on real strangers before any anonymized face is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audit.statistics import FARS, threshold_at_far
from .auditors import Auditor
from .sets import Sample, load_set

# Tight crops (completed by mirroring) look alike to recognisers: with one pool for both kinds the thresholds of whole
# photographs would rise (w600k_mbf .23 -> .34) and flatter the product.
POOLS: dict[str, dict[str, int | None]] = {
    "photographs": {"lfw10": None, "webmorph_3dsk": None, "webmorph_canada": None, "congress": None},
    "tight crops": {"utkface": 800},
}


@dataclass(frozen=True)
class Threshold:
    """scores: FAR -> score above which two faces count as one person; impostors: pairs they were fitted on."""

    pool: str
    scores: Mapping[float, float]
    impostors: int
    mean: float


def pool_of(set_name: str) -> str:
    """Pool that a set is judged by."""
    return "tight crops" if set_name == "utkface" else "photographs"


def load_pool(data_dir: Path, pool: str) -> list[Sample]:
    """Real faces of a pool."""
    return [s for name, limit in POOLS[pool].items() for s in load_set(data_dir, name, limit)]


def embed_all(auditor: Auditor, samples: Sequence[Sample]) -> np.ndarray:
    """Real faces of samples [N, D]."""
    return np.stack([auditor.embed(s.picture, s.points) for s in samples])


def fit_threshold(auditor: Auditor, pool: str, samples: Sequence[Sample]) -> Threshold:
    """All pairs of two people in the pool, over its sets too (easier, so the threshold is lower and stricter)."""
    vectors = embed_all(auditor, samples)
    people = np.array([s.person for s in samples])
    # row by row: all pairs of embeddings at once would take gigabytes
    rows = [
        auditor.scores(vectors[i], vectors[i + 1 :][people[i + 1 :] != people[i]]) for i in range(len(samples) - 1)
    ]
    scores = np.concatenate(rows)
    fits = {far: threshold_at_far(scores, far) for far in FARS if len(scores) * far >= 1}
    return Threshold(pool, fits, len(scores), float(scores.mean()))
