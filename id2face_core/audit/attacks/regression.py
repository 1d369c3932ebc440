"""A6: does the anonymized embedding predict the original one? Ridge and a small network, on people never trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ..evidence import Evidence
from ..examine import ANONYMIZED, ORIGINAL
from ..findings import Control, Finding, Gate, Row, checked, not_run
from .networks import perceptron

REGRESSED = (
    "A6", "regression of the original identity from the new one, without a key",
    "Mai et al., TPAMI 2019 (arXiv 1703.00832): template inversion, here in embedding space",
)  # fmt: skip
FOLDS, LEAST, MOST = 5, 60, 4000
PENALTIES = 10.0 ** np.arange(-2, 5)
NOISE = 0.3  # of the planted linear map, over the length of the vectors
STEPS, HIDDEN = 300, 128
Explained = tuple[float, float, float, int]  # R2, low, high, N
Regression = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # x, y, where -> guess


def regress(evidence: Evidence, rng: np.random.Generator) -> list[Finding]:
    """A6 for every judge."""
    kept, _, read = evidence.attributes()
    rows: list[Row] = []
    planted: list[float] = []
    for judge in evidence.auditors:
        which = np.flatnonzero(evidence.has(judge, ANONYMIZED))[:MOST]
        if len(which) < LEAST:
            return [not_run(*REGRESSED, f"{len(which)} anonymized faces; at least {LEAST} are needed")]
        source, new = (evidence.vectors(judge, view)[which].astype(np.float64) for view in (ORIGINAL, ANONYMIZED))
        persons = evidence.persons[which].astype(str)
        for name, fit in (("linear", ridge), ("network", network)):
            rows.append(_row(judge, name, *explained(new, source, persons, fit)))
        both = read[which]
        if both.sum() >= LEAST:
            aside = _standard(kept[which][both])
            partial = beyond(new[both], source[both], aside, persons[both])
            rows.append({**_row(judge, "linear, beyond pose, expression, age, sex and colour", *partial), "informative": True})
        turn = np.linalg.qr(rng.normal(size=(source.shape[1],) * 2))[0]
        spread = np.linalg.norm(source - source.mean(axis=0), axis=1).mean() / np.sqrt(source.shape[1])
        leak = source @ turn + NOISE * spread * rng.normal(size=source.shape)
        planted.append(explained(leak, source, persons, ridge)[0])
    judged = [row for row in rows if not row.get("informative")]
    worst = max(judged, key=lambda row: row["r2"])
    interval = f"[{worst['low']:.3f}, {worst['high']:.3f}]"
    value = f"R2 = {worst['r2']:.3f} {interval} ({worst['what']}, N = {worst['trials']}), {worst['judge']}"
    return [checked(Finding(
        *REGRESSED, rows=tuple(sorted(rows, key=lambda row: -row["r2"])),
        gate=Gate("R2 ≤ 0.02", value, worst["r2"] <= 0.02, worst["high"] <= 0.02, worst["r2"] <= 0.005),
        control=Control("a secret linear map of the identity is learned", f"R2 = {min(planted):.3f}", min(planted) >= 0.1),
        note="Five folds by person; intervals by bootstrap over people. Age, sex, skin and expression are kept on purpose and "
        "are part of every embedding: what is predicted beyond them stands in a row of its own.",
    ))]  # fmt: skip


def splits(persons: np.ndarray) -> Iterator[np.ndarray]:
    """Test rows [N] of each fold: a person [N] is in one fold only."""
    labels = np.unique(persons, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(labels.max() + 1)
    for fold in range(FOLDS):
        test = order[labels] % FOLDS == fold
        if test.any() and (~test).sum() > 1:
            yield test


def explained(x: np.ndarray, y: np.ndarray, persons: np.ndarray, fit: Regression) -> Explained:
    """What held-out predictions are better by than the training mean."""
    error, total = np.zeros(len(y)), np.zeros(len(y))
    for test in splits(persons):
        guess = fit(x[~test], y[~test], x[test])
        error[test] = ((y[test] - guess) ** 2).sum(axis=1)
        total[test] = ((y[test] - y[~test].mean(axis=0)) ** 2).sum(axis=1)
    return _interval(error, total, persons)


def beyond(x: np.ndarray, y: np.ndarray, aside: np.ndarray, persons: np.ndarray) -> Explained:
    """What x adds to what `aside` predicts already."""
    error, total = np.zeros(len(y)), np.zeros(len(y))
    for test in splits(persons):
        known = ridge(aside[~test], y[~test], aside[test])
        rest = y[~test] - ridge(aside[~test], y[~test], aside[~test])
        guess = known + ridge(x[~test], rest, x[test])
        error[test] = ((y[test] - guess) ** 2).sum(axis=1)
        total[test] = ((y[test] - known) ** 2).sum(axis=1)
    return _interval(error, total, persons)


def ridge(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Ridge regression (Hoerl and Kennard 1970), penalty by generalised cross-validation (Golub et al. 1979)."""
    mx, my = x.mean(axis=0), y.mean(axis=0)
    u, s, vt = np.linalg.svd(x - mx, full_matrices=False)
    inner = u.T @ (y - my)
    best, chosen = np.inf, PENALTIES[-1]
    for penalty in PENALTIES * float((s**2).mean() / len(x) + 1e-12):
        shrink = s**2 / (s**2 + penalty * len(x))
        rest = ((y - my - u @ (shrink[:, None] * inner)) ** 2).sum() / max(1 - shrink.sum() / len(x), 1e-3) ** 2
        if rest < best:
            best, chosen = rest, penalty
    weights = vt.T @ ((s / (s**2 + chosen * len(x)))[:, None] * inner)
    guess: np.ndarray = my + (at - mx) @ weights
    return guess


def network(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """One hidden layer on standardised inputs; starts at the mean and stops where a tenth kept aside is predicted best."""
    mx, sx, my, sy = x.mean(axis=0), x.std(axis=0) + 1e-6, y.mean(axis=0), y.std() + 1e-12
    generator = torch.Generator().manual_seed(0)
    tx, ty, ta = (torch.from_numpy(v).float() for v in ((x - mx) / sx, (y - my) / sy, (at - mx) / sx))
    net = perceptron(tx.shape[1], HIDDEN, ty.shape[1], generator)
    aside = torch.randperm(len(tx), generator=generator) < max(1, len(tx) // 10)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.1)
    best, guess = float((ty[aside] ** 2).mean()), torch.zeros(len(ta), ty.shape[1])
    for step in range(STEPS):
        batch = torch.randint(int((~aside).sum()), (min(128, len(tx)),), generator=generator)
        loss = ((net(tx[~aside][batch]) - ty[~aside][batch]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.inference_mode():
                found = float(((net(tx[aside]) - ty[aside]) ** 2).mean())
                if found < best:
                    best, guess = found, net(ta).clone()
    return my + sy * guess.double().numpy()


def _standard(x: np.ndarray) -> np.ndarray:
    standard: np.ndarray = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    return standard


def _interval(error: np.ndarray, total: np.ndarray, persons: np.ndarray) -> Explained:
    """Bootstrap over people: the pictures of one person are not independent."""
    labels = np.unique(persons, return_inverse=True)[1]
    errors, totals = np.bincount(labels, error), np.bincount(labels, total)
    drawn = np.random.default_rng(0).integers(0, len(errors), (1000, len(errors)))
    found = 1 - errors[drawn].sum(axis=1) / np.maximum(totals[drawn].sum(axis=1), 1e-12)
    low, high = np.quantile(found, (0.025, 0.975))
    return float(1 - error.sum() / max(total.sum(), 1e-12)), float(low), float(high), len(error)


def _row(judge: str, what: str, r2: float, low: float, high: float, count: int) -> Row:
    return {"judge": judge, "what": what, "r2": r2, "low": low, "high": high, "trials": count}
