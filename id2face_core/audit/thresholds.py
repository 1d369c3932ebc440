"""Above which score two faces count as one person: fixed on real strangers before any anonymized face is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .judges import Judge
from .recognisers import Auditor, score_matrix
from .statistics import threshold_at_far

AUDIT_FARS = (1e-2, 1e-3, 1e-4)
OWN_PAIRS, OWN_PEOPLE = 10_000, 50  # from here on the originals' own strangers describe them better than any table


@dataclass(frozen=True)
class Threshold:
    """scores: FAR -> score; impostor_pairs, people: what fixed them (0: not known); source: in words."""

    scores: Mapping[float, float]
    impostor_pairs: int
    people: int
    source: str


def fix_threshold(
    judge: Judge, auditor: Auditor, vectors: np.ndarray, people: np.ndarray, others: np.ndarray | None = None
) -> Threshold | None:
    """The threshold of a judge.

    Args:
        vectors, people: embeddings [N, D] and persons [N] of originals whose person is named, one row a photograph.
        others: embeddings [M, D] of strangers, one photograph of each; they are taken before all else.

    In this order: `others`; the originals, where there are 10,000 pairs of 50 people; what was measured for the judge;
    the originals, where there are as many pairs as the FAR needs. None: nothing can fix one.
    """
    if others is not None and len(others) > 1:
        return _fit(auditor, others, np.arange(len(others)), "the folder of strangers that was given")
    own = _fit(auditor, vectors, people, "different people among the originals") if len(vectors) > 1 else None
    if own is not None and own.impostor_pairs >= OWN_PAIRS and own.people >= OWN_PEOPLE:
        return own
    if judge.thresholds is not None:
        fixed = judge.thresholds
        return Threshold(fixed.scores, fixed.impostor_pairs, 0, f"measured before: {fixed.pool}")
    return own if own is not None and own.scores else None


def _fit(auditor: Auditor, vectors: np.ndarray, people: np.ndarray, source: str) -> Threshold:
    parts = []
    for i in range(len(vectors) - 1):
        rest = vectors[i + 1 :][people[i + 1 :] != people[i]]
        parts.append(score_matrix(auditor, vectors[i : i + 1], rest)[0])
    scores = np.concatenate(parts) if parts else np.zeros(0)
    fits = {far: threshold_at_far(scores, far) for far in AUDIT_FARS if len(scores) * far >= 1}
    return Threshold(fits, len(scores), len(set(people)), source)
