"""Statistics of verification: exact intervals, thresholds from impostors, pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import beta

from ..errors import ConfigError

FARS = (1e-3, 1e-2)


def exact_interval(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Two-sided Clopper-Pearson interval of a share (Biometrika 26, 1934). No trials: (0, 1)."""
    if not 0 <= hits <= trials:
        raise ConfigError(f"{hits} hits of {trials} trials is impossible")
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(1 - tail, hits + 1, trials - hits))
    return low, high


def threshold_at_far(impostors: np.ndarray, far: float) -> float:
    """Smallest score such that at most a share `far` of the impostor scores lies strictly above it.

    Raises ConfigError when there are fewer than 1 / far impostors: then the quantile is not estimated but guessed.
    """
    scores = np.sort(np.asarray(impostors, dtype=np.float64))[::-1]
    if len(scores) * far < 1:
        raise ConfigError(f"{len(scores)} impostor pairs cannot fix a threshold at FAR {far:g}; needs {1 / far:.0f}")
    return float(scores[int(np.floor(len(scores) * far + 1e-9))]) if far < 1 else float(scores[-1])


def pairs(people: Sequence[str], same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs i < j of one person (same) or of two."""
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    first, second = np.triu_indices(len(labels), 1)
    keep = (labels[first] == labels[second]) == same
    return first[keep], second[keep]


@dataclass(frozen=True)
class Rate:
    """Share of comparisons above a threshold. low, high: exact 95 % interval. failures: no score, counted as hits."""

    hits: int
    trials: int
    low: float
    high: float
    mean: float | None
    failures: int = 0

    @property
    def share(self) -> float:
        """hits / trials; 0 without trials."""
        return self.hits / self.trials if self.trials else 0.0

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON."""
        return {**asdict(self), "share": self.share}


def rate(scores: np.ndarray, threshold: float, failures: int = 0) -> Rate:
    """Share strictly above the threshold; `failures` comparisons without a score count as hits."""
    scores = np.asarray(scores, dtype=np.float64)
    hits, trials = int((scores > threshold).sum()) + failures, len(scores) + failures
    low, high = exact_interval(hits, trials)
    return Rate(hits, trials, low, high, float(scores.mean()) if len(scores) else None, failures)
