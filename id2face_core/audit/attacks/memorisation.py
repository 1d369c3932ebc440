"""A9: are new faces people of the training data?"""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from ..examine import ANONYMIZED, ORIGINAL
from ..findings import Control, Finding, Gate, Row, checked, count_row, in_words, not_run
from ..recognisers import score_matrix
from .verification import limits

REMEMBERED = (
    "A9", "new faces that are people of the training data",
    "Webster et al. 2021 (arXiv 2107.06018); Carlini et al. 2023 (arXiv 2301.13188)",
)  # fmt: skip
FAR = 1e-4


def remember(evidence: Evidence) -> list[Finding]:
    """A9: nearest training face above FAR 1e-4, beside real people who were not in the training."""
    if not evidence.training:
        return [not_run(*REMEMBERED, "no training pictures were given (--training)")]
    thresholds = limits(evidence, FAR)
    if not thresholds or not evidence.there.any():
        return [not_run(*REMEMBERED, "no recogniser has a threshold at FAR 0.0001, or there is no picture afterwards")]
    rows: list[Row] = []
    planted: list[Row] = []
    for judge, limit in thresholds.items():
        known = evidence.training[judge]
        ours = _row(evidence, judge, limit, "anonymized", evidence.vectors(judge, ANONYMIZED)[evidence.there], known)
        real = _row(evidence, judge, limit, "originals", evidence.vectors(judge, ORIGINAL)[evidence.photographs], known)
        rows += [{**ours, "times": ours["share"] / real["share"] if real["share"] else float(ours["hits"] > 0) * np.inf}, real]
        planted.append(_row(evidence, judge, limit, "training faces", known[:200], known))
    judged = [row for row in rows if row["what"] == "anonymized"]
    worst, least = max(judged, key=lambda row: row["times"]), min(planted, key=lambda row: row["share"])
    value = f"{worst['times']:.2f} times ({in_words(worst)}), {worst['judge']}"
    return [checked(Finding(
        *REMEMBERED, rows=tuple(_finite(row) for row in rows),
        gate=Gate("≤ 2 times real people", value, worst["times"] <= 2, None, worst["times"] <= 1),
        control=Control("training faces are found", in_words(least), least["share"] >= 0.9),
        note=f"Against {len(next(iter(evidence.training.values())))} training faces.",
    ))]  # fmt: skip


def _row(evidence: Evidence, judge: str, limit: float, what: str, vectors: np.ndarray, known: np.ndarray) -> Row:
    nearest = np.concatenate([
        score_matrix(evidence.auditors[judge], vectors[k : k + 64], known).max(axis=1) for k in range(0, len(vectors), 64)
    ])  # fmt: skip
    return count_row(judge, what, int((nearest > limit).sum()), len(nearest), nearest=float(nearest.mean()))


def _finite(row: Row) -> Row:
    """JSON knows no infinity."""
    return {key: None if value == np.inf else value for key, value in row.items()}
