"""The strongest attacker: all judges together, on the new face and on the hair, ears and jaw that were kept."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from ..evidence import Evidence
from ..examine import ANONYMIZED, ORIGINAL, RING
from ..findings import Control, Finding, Row, checked, in_words, not_run, share_row
from ..statistics import threshold_at_far

EVERYTHING = (
    "Adaptive", "all judges together, on the new face and on what was kept around it",
    "Oh et al., ECCV 2016 (arXiv 1607.08438): recognition from what obfuscation leaves",
)  # fmt: skip
LEAST_PEOPLE, LEAST_PAIRS = 10, 20
MOST_STRANGERS = 50_000
Views = tuple[tuple[str, str], ...]  # (view of the probe, view of the photograph)
ATTACKERS: dict[str, Views] = {
    "new face and what was kept": ((ANONYMIZED, ORIGINAL), (RING, "grey oval")),
    "new face with its surroundings": ((ANONYMIZED, ORIGINAL),),
    "what was kept around the face": ((RING, "grey oval"),),
    "what a mask of the whole head would keep": (("grey head", "grey head"),),
}
PLANTED: Views = ((ORIGINAL, ORIGINAL),)


def adapt(evidence: Evidence, rng: np.random.Generator) -> list[Finding]:
    """Weights learned on one half of the people, tested on the other, and the other way round."""
    seen = np.all([evidence.has(j, v) for j in evidence.auditors for v in (ANONYMIZED, RING, "grey oval", "grey head")], axis=0)
    people = sorted(set(evidence.persons[seen & evidence.named].astype(str)))
    if len(people) < LEAST_PEOPLE:
        return [not_run(*EVERYTHING, f"{len(people)} people are named; at least {LEAST_PEOPLE} are needed")]
    side = dict(zip(people, rng.permutation(len(people)) % 2, strict=True))
    half = np.array([side.get(str(p), 2) for p in evidence.persons])
    probe, photo = evidence.genuine()
    same = seen[probe] & seen[photo]
    probe, photo = probe[same], photo[same]
    if min((half[probe] == k).sum() for k in (0, 1)) < LEAST_PAIRS:
        return [not_run(*EVERYTHING, "too few people have two photographs (--pairs, column person)")]
    strangers = _strangers(evidence, seen, half, rng)
    rows: list[Row] = []
    for name, views in {**ATTACKERS, "do nothing": PLANTED}.items():
        rows += _tested(evidence, name, views, (probe, photo), strangers, half)
    planted = min((row for row in rows if row["what"].startswith("do nothing")), key=lambda row: row["share"])
    attacks = [row for row in rows if not row["what"].startswith("do nothing")]
    return [checked(Finding(
        *EVERYTHING, rows=(*attacks, planted),
        control=Control("do nothing is recognised", in_words(planted), planted["share"] >= 0.5),
        note="For information, without a limit: it shows how much hair and surroundings give away, and what preset `strict`, "
        "which replaces the whole head, could take away. Thresholds are fixed on strangers of the half that is not tested.",
    ))]  # fmt: skip


def _strangers(
    evidence: Evidence, seen: np.ndarray, half: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (probe, photograph) of two people of one half."""
    rows = np.flatnonzero(seen & evidence.named)
    i, j = (rows[part] for part in rng.integers(0, len(rows), (2, MOST_STRANGERS)))
    keep = (half[i] == half[j]) & (evidence.persons[i].astype(str) != evidence.persons[j].astype(str))
    return i[keep], j[keep]


def _tested(
    evidence: Evidence, name: str, views: Views, genuine: tuple[np.ndarray, np.ndarray],
    strangers: tuple[np.ndarray, np.ndarray], half: np.ndarray,
) -> list[Row]:  # fmt: skip
    good, bad = (_features(evidence, views, *pairs) for pairs in (genuine, strangers))
    rows = []
    for far in (1e-3, 1e-2):
        margins = []
        for test in (0, 1):
            learn_good, learn_bad = good[half[genuine[0]] != test], bad[half[strangers[0]] != test]
            if len(learn_bad) * far < 1:
                break
            weights = logistic(learn_good, learn_bad)
            margins.append(good[half[genuine[0]] == test] @ weights - threshold_at_far(learn_bad @ weights, far))
        if len(margins) == 2:
            rows.append(share_row("all judges together", f"{name}, FAR {far:g}", np.concatenate(margins), 0.0))
    return rows


def _features(evidence: Evidence, views: Views, probe: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Scores [N, views x judges]."""
    return np.stack([evidence.scores(judge, a, probe, photo, b) for a, b in views for judge in evidence.auditors], axis=1)


def logistic(good: np.ndarray, bad: np.ndarray, penalty: float = 1e-3) -> np.ndarray:
    """Weights [D] of a logistic regression with both classes weighted alike; the intercept is not needed."""
    x = np.concatenate([good, bad])
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    x = (x - middle) / spread
    y = np.concatenate([np.ones(len(good)), -np.ones(len(bad))])
    share = np.concatenate([np.full(len(good), 0.5 / len(good)), np.full(len(bad), 0.5 / len(bad))])

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = y * (x @ w[1:] + w[0])
        slope = -share * y / (1 + np.exp(np.clip(margin, -60, 60)))
        gradient = np.concatenate([[slope.sum()], x.T @ slope + 2 * penalty * w[1:]])
        return float((share * np.logaddexp(0, -margin)).sum() + penalty * (w[1:] ** 2).sum()), gradient

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x[1:]
    weights: np.ndarray = found / spread
    return weights
