"""A8 linkability over keys, A10 one person under one key, A11 two people under one pseudonym, A14 many draws of one face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..evidence import Evidence
from ..examine import ANONYMIZED, ORIGINAL
from ..findings import (
    Control,
    Finding,
    Gate,
    Row,
    checked,
    in_words,
    not_run,
    share_gate,
    share_row,
    sorted_rows,
)
from ..statistics import d_sys
from .verification import NO_THRESHOLD, limits

LINKED = "A8", "linkability of two pseudonyms of one person", "Gomez-Barrero et al., TIFS 2018: D_sys; ISO/IEC 24745, 30136"
STABLE = "A10", "one person and one key: the same new face", "ISO/IEC 30136: accuracy of protected templates"
SHARED = "A11", "two people share a pseudonym", "ISO/IEC 30136: false accepts among protected templates"
DIVERSE = "A14", "diversity of many draws for one face", "Barattin et al., CVPR 2023 (arXiv 2303.11296)"
LEAST_MATED = 100
MOST_PAIRS = 200_000


def _mated(evidence: Evidence, same_key: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of anonymized faces of one named person on two originals: under one key, or under two keys (or none)."""
    probe, photo = evidence.genuine()
    once = (probe < photo) & evidence.there[probe] & evidence.there[photo]
    probe, photo = probe[once], photo[once]
    keyed = (evidence.keys[probe] != "") & (evidence.keys[probe] == evidence.keys[photo])
    keep = keyed if same_key else ~keyed
    return probe[keep], photo[keep]


def _apart(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of anonymized faces of two people; where nobody is named, of two pictures."""
    rows = np.flatnonzero(evidence.there & (evidence.named | ~evidence.named.any()))
    i, j = np.triu_indices(len(rows), 1) if len(rows) < 650 else np.random.default_rng(0).integers(0, len(rows), (2, MOST_PAIRS))
    i, j = rows[i], rows[j]
    keep = (evidence.persons[i] != evidence.persons[j]) & (evidence.sources[i] != evidence.sources[j])
    return i[keep], j[keep]


def link(evidence: Evidence) -> list[Finding]:
    """A8."""
    i, j = _mated(evidence, same_key=False)
    if len(i) < LEAST_MATED:
        reason = f"{len(i)} pairs of one person under two keys or none; at least {LEAST_MATED} are needed (columns person, key)"
        return [not_run(*LINKED, reason)]
    a, b = _apart(evidence)
    rows: list[Row] = []
    planted: list[float] = []
    for judge in evidence.auditors:
        mated, others = (evidence.scores(judge, ANONYMIZED, *pair, photo_view=ANONYMIZED) for pair in ((i, j), (a, b)))
        rows.append({"judge": judge, "what": "anonymized", "d_sys": d_sys(mated, others), "trials": len(i), "others": len(a)})
        real, strangers = evidence.scores(judge, ORIGINAL, i, j), evidence.scores(judge, ORIGINAL, *evidence.strangers())
        planted.append(d_sys(real, strangers))
        rows.append({"judge": judge, "what": "originals", "d_sys": planted[-1], "trials": len(i), "others": len(strangers)})
    worst = max((row for row in rows if row["what"] == "anonymized"), key=lambda row: row["d_sys"])
    return [checked(Finding(
        *LINKED, rows=tuple(sorted(rows, key=lambda row: (row["what"], -row["d_sys"]))),
        gate=Gate("D_sys ≤ 0.1", f"D_sys = {worst['d_sys']:.3f} (N = {len(i)}), {worst['judge']}", worst["d_sys"] <= 0.1, None,
                  worst["d_sys"] <= 0.03),
        control=Control("originals are linked", f"D_sys = {min(planted):.2f}", min(planted) >= 0.5),
        note="Histograms over ten quantiles: few pairs bias the figure upwards, 100 by .07, 450 by .03.",
    ))]  # fmt: skip


def stable(evidence: Evidence) -> list[Finding]:
    """A10."""
    i, j = _mated(evidence, same_key=True)
    if not len(i):
        return [not_run(*STABLE, "no person has two pictures under one key (columns person, key)")]
    thresholds = limits(evidence)
    if not thresholds:
        return [not_run(*STABLE, NO_THRESHOLD)]
    rows, planted = [], []
    for judge, limit in thresholds.items():
        rows.append(share_row(judge, "one person, one key", evidence.scores(judge, ANONYMIZED, i, j, ANONYMIZED), limit))
        planted.append(share_row(judge, "two people", evidence.scores(judge, ANONYMIZED, *_apart(evidence), ANONYMIZED), limit))
    worst, most = min(rows, key=lambda row: row["share"]), max(planted, key=lambda row: row["share"])
    value = f"{in_words(worst)}, {worst['judge']}"
    return [checked(Finding(
        *STABLE, rows=tuple(sorted(rows, key=lambda row: row["share"])) + tuple(planted),
        gate=Gate("≥ 90.0 %", value, worst["share"] >= 0.9, worst["low"] >= 0.9, worst["share"] >= 0.97),
        control=Control("two people are not one", in_words(most), most["share"] < 0.9),
    ))]  # fmt: skip


def shared(evidence: Evidence) -> list[Finding]:
    """A11."""
    i, j = _apart(evidence)
    thresholds = limits(evidence)
    if not len(i):
        return [not_run(*SHARED, "there are no two people with a picture afterwards")]
    if not thresholds:
        return [not_run(*SHARED, NO_THRESHOLD)]
    rows, base, planted = [], [], []
    for judge, limit in thresholds.items():
        rows.append(share_row(judge, "two people, anonymized", evidence.scores(judge, ANONYMIZED, i, j, ANONYMIZED), limit))
        real = evidence.scores(judge, ORIGINAL, i, j)
        base.append(share_row(judge, "two people, originals", real, limit))
        one = np.full(min(len(i), 1000), i[0])  # everybody gets the first face
        planted.append(share_row(judge, "one face for all", evidence.scores(judge, ANONYMIZED, one, one, ANONYMIZED), limit))
    note = "" if evidence.named.any() else "No person is named: every picture is taken for another person."
    least = min(planted, key=lambda row: row["share"])
    return [checked(Finding(
        *SHARED, rows=(*sorted_rows(rows), *base, *planted), gate=share_gate(rows, 0.003, 0.001),
        control=Control("one face for all is noticed", in_words(least), least["share"] >= 0.9), note=note,
    ))]  # fmt: skip


def diverse(evidence: Evidence) -> list[Finding]:
    """A14."""
    rows: list[Row] = []
    groups = [np.flatnonzero((evidence.sources == s) & evidence.there) for s in np.unique(evidence.sources)]
    groups = [group for group in groups if len(group) >= 2]
    if not groups:
        return [not_run(*DIVERSE, "no original has two anonymized pictures (repeat it in the rows of --pairs)")]
    planted = []
    for judge in evidence.auditors:
        vectors = [evidence.vectors(judge, ANONYMIZED)[group] for group in groups]
        if judge == "dlib":  # its vectors are told apart by distance and have no angle that strangers share
            continue
        means = [_mean_cosine(v) for v in vectors]
        rows.append({"judge": judge, "what": "mean cosine", "cosine": float(np.mean(means)), "most": float(np.max(means)),
                     "trials": int(sum(map(len, groups))), "faces": len(groups)})  # fmt: skip
        planted.append(_mean_cosine(np.repeat(vectors[0][:1], 5, axis=0)))
    if not rows:
        return [not_run(*DIVERSE, "only dlib judges, whose scores are distances and no cosines")]
    worst = max(rows, key=lambda row: row["cosine"])
    value = f"{worst['cosine']:.2f} ({worst['trials']} draws of {worst['faces']} faces), {worst['judge']}"
    return [checked(Finding(
        *DIVERSE, rows=tuple(sorted(rows, key=lambda row: -row["cosine"])),
        gate=Gate("mean cosine ≤ 0.25", value, worst["cosine"] <= 0.25, None, worst["cosine"] <= 0.1),
        control=Control("one face drawn again", f"{min(planted):.2f}", min(planted) > 0.9),
    ))]  # fmt: skip


def _mean_cosine(vectors: Sequence[np.ndarray] | np.ndarray) -> float:
    unit = np.asarray(vectors, dtype=np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    i, j = np.triu_indices(len(unit), 1)
    return float((unit[i] * unit[j]).sum(axis=1).mean())
