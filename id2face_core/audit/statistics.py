"""Statistics of verification: exact intervals, thresholds from impostors, pairs, bootstrap, linkability."""

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


def bootstrap_mean(values: np.ndarray, level: float = 0.95, draws: int = 2000) -> tuple[float, float, float]:
    """(mean, low, high) by percentiles of resampled means (Efron 1979). Empty: (nan, nan, nan)."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return (float("nan"),) * 3
    rng = np.random.default_rng(0)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)])
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(values.mean()), float(low), float(high)


def d_sys(mated: np.ndarray, others: np.ndarray, bins: int = 10) -> float:
    """Global linkability D_sys of mated and non-mated scores, 0 (unlinkable) to 1 (Gomez-Barrero et al. 2018, omega 1).

    D(s) = 2 LR(s) / (1 + LR(s)) - 1 where LR(s) = p(s | mated) / p(s | not) > 1, else 0; D_sys is its mean over mated
    scores. Densities are histograms over quantiles with counts smoothed by one: few scores bias it upwards, 450 by .03.
    """
    edges = np.quantile(np.concatenate([mated, others]), np.linspace(0, 1, bins + 1))
    a, b = (np.histogram(scores, edges)[0] + 1.0 for scores in (mated, others))
    p, q = a / a.sum(), b / b.sum()
    local = np.where(p > q, 2 * (p / q) / (1 + p / q) - 1, 0.0)
    return float((p * local).sum())
