"""A1: is the person recognised? Verification against another photograph, the same photograph, and of the new face alone."""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from ..examine import ANONYMIZED, HIDING, ORIGINAL, RENDERING
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

FAR = 1e-3
REFERENCE = "ISO/IEC 19795-1: verification at a fixed false accept rate; McPherson et al. 2016 (arXiv 1609.00408)"
ANOTHER = "A1a", "recognised on another photograph of the person", REFERENCE
SAME = "A1b", "recognised on the same photograph", REFERENCE
BELOW = "A1b-", "the new face against a grey oval in its place, same photograph", REFERENCE
NO_THRESHOLD = (
    "no recogniser has a threshold at FAR 0.001: name people (--pairs), give --impostors, or thresholds in its description"
)
RAW = "A1c", "the new face alone, before it was pasted", REFERENCE


def verify(evidence: Evidence) -> list[Finding]:
    """A1a, A1b, A1b against the control, A1c."""
    return [_another_photo(evidence), _same_photo(evidence), _below_grey(evidence), _raw_face(evidence)]


def limits(evidence: Evidence, far: float = FAR) -> dict[str, float]:
    """{judge: score} of the judges that have a threshold at a FAR."""
    return {name: t.scores[far] for name, t in evidence.thresholds.items() if far in t.scores}


def _another_photo(evidence: Evidence) -> Finding:
    probe, photo = evidence.genuine()
    thresholds = limits(evidence)
    if not len(probe):
        return not_run(*ANOTHER, "no person is named with two photographs (--pairs with a column person)")
    if not thresholds:
        return not_run(*ANOTHER, NO_THRESHOLD)
    seen = evidence.there[probe]
    rows, base, control = [], [], []
    for judge, limit in thresholds.items():
        scores = evidence.scores(judge, ANONYMIZED, probe[seen], photo[seen])
        rows.append(share_row(judge, "anonymized", scores, limit, int((~seen).sum())))
        control.append(share_row(judge, "do nothing", evidence.scores(judge, ORIGINAL, probe, photo), limit))
        i, j = evidence.strangers()
        base.append(share_row(judge, "strangers (real FAR)", evidence.scores(judge, ORIGINAL, i, j), limit))
        base += _hidden(evidence, judge, limit, probe, photo)
    least = min(control, key=lambda row: row["share"])
    return checked(Finding(
        *ANOTHER, rows=(*sorted_rows(rows), *sorted_rows([*control, *base])), gate=share_gate(rows, 0.01, 0.001),
        control=Control("do nothing is recognised", in_words(least), least["share"] >= 0.5),
        curves=_histograms(evidence, probe, photo),
        note="Pairs share pictures: the intervals are somewhat too narrow. A picture that was not written counts as recognised.",
    ))  # fmt: skip


def _hidden(evidence: Evidence, judge: str, limit: float, probe: np.ndarray, photo: np.ndarray) -> list[Row]:
    rows = []
    for view in HIDING:
        there = evidence.has(judge, view)[probe]
        if there.any():
            rows.append(share_row(judge, view, evidence.scores(judge, view, probe[there], photo[there]), limit))
    return rows


def _same_photo(evidence: Evidence) -> Finding:
    thresholds, everyone = limits(evidence), np.arange(len(evidence.rows))
    if not len(everyone):
        return not_run(*SAME, "no face was found in the originals")
    if not thresholds:
        return not_run(*SAME, NO_THRESHOLD)
    seen = evidence.there
    found = np.array([row.found for row in evidence.rows], dtype=bool)
    rows, base, control = [], [], []
    for judge, limit in thresholds.items():
        rows.append(_same(evidence, judge, ANONYMIZED, "anonymized", limit, everyone[seen], int((~seen).sum())))
        for words, part in (("a face is found afterwards", found), ("no face is found afterwards", seen & ~found)):
            if part.any():
                base.append(_same(evidence, judge, ANONYMIZED, f"anonymized, {words}", limit, everyone[part]))
        control.append(_same(evidence, judge, ORIGINAL, "do nothing", limit, everyone))
        base += _hidden(evidence, judge, limit, everyone, everyone)
    least = min(control, key=lambda row: row["share"])
    return checked(Finding(
        *SAME, rows=(*sorted_rows(rows), *sorted_rows([*control, *base])), gate=share_gate(rows, 0.10, 0.01),
        control=Control("do nothing is recognised", in_words(least), least["share"] >= 0.9), curves=_same_histograms(evidence),
        note="The same photograph is the hardest test: hair, clothes, light and place are the same. A filled face may match by "
        "what stands around it alone, above all a small one.",
    ))  # fmt: skip


def _same(
    evidence: Evidence, judge: str, view: str, what: str, limit: float, which: np.ndarray, failures: int = 0
) -> Row:
    return share_row(judge, what, evidence.scores(judge, view, which, which), limit, failures)


def _below_grey(evidence: Evidence) -> Finding:
    rows: list[Row] = []
    for judge, limit in limits(evidence).items():
        which = np.flatnonzero(evidence.has(judge, "grey oval") & evidence.there)
        if len(which):
            ours = _same(evidence, judge, ANONYMIZED, "anonymized", limit, which)
            grey = _same(evidence, judge, "grey oval", "grey oval", limit, which)
            rows += [{**ours, "excess": ours["share"] - grey["share"]}, grey]
    if not rows:
        return not_run(*BELOW, NO_THRESHOLD if not limits(evidence) else "no face has a picture afterwards")
    judged = [row for row in rows if "excess" in row]
    grey_of = {row["judge"]: row for row in rows if "excess" not in row}
    worst = max(judged, key=lambda row: row["excess"])
    # where the grey oval already is at zero nothing can be below it
    met = all(row["excess"] < 0 or row["share"] == grey_of[row["judge"]]["share"] == 0 for row in judged)
    value = f"{100 * worst['excess']:+.1f} points, {worst['judge']}"
    return Finding(*BELOW, rows=tuple(rows), gate=Gate("below the grey oval", value, met),
                   note="A new face that is recognised more often than a grey oval adds identity of its own.")  # fmt: skip


def _raw_face(evidence: Evidence) -> Finding:
    asked = np.array([evidence.pairs[r.pair].rendering is not None and r.face == 0 for r in evidence.rows], dtype=bool)
    if not asked.any():
        return not_run(*RAW, "the faces before pasting are not there (column rendering of --pairs; id2face benchmark has them)")
    thresholds = limits(evidence)
    if not thresholds:
        return not_run(*RAW, NO_THRESHOLD)
    rows, control = [], []
    for judge, limit in thresholds.items():
        seen = evidence.has(judge, RENDERING) & asked
        rows.append(_same(evidence, judge, RENDERING, "new face alone", limit, np.flatnonzero(seen), int((asked & ~seen).sum())))
        control.append(_same(evidence, judge, ORIGINAL, "do nothing", limit, np.flatnonzero(asked)))
    least = min(control, key=lambda row: row["share"])
    return checked(Finding(
        *RAW, rows=(*sorted_rows(rows), *control), gate=share_gate(rows, 0.003, FAR),
        control=Control("do nothing is recognised", in_words(least), least["share"] >= 0.9),
        note="A new face in which no face is found counts as recognised.",
    ))  # fmt: skip


def _histograms(evidence: Evidence, probe: np.ndarray, photo: np.ndarray) -> dict[str, object]:
    i, j = evidence.strangers()
    seen = evidence.there[probe]
    return {
        judge: _bins({
            "same person, originals": evidence.scores(judge, ORIGINAL, probe, photo),
            "strangers, originals": evidence.scores(judge, ORIGINAL, i, j),
            "anonymized, another photograph": evidence.scores(judge, ANONYMIZED, probe[seen], photo[seen]),
        }, limits(evidence).get(judge))
        for judge in evidence.auditors
    }  # fmt: skip


def _same_histograms(evidence: Evidence) -> dict[str, object]:
    which = np.flatnonzero(evidence.there)
    turned = np.roll(which, 1)
    return {
        judge: _bins({
            "different faces, originals": evidence.scores(judge, ORIGINAL, which, turned),
            "anonymized, same photograph": evidence.scores(judge, ANONYMIZED, which, which),
        }, limits(evidence).get(judge))
        for judge in evidence.auditors
    }  # fmt: skip


def _bins(scores: dict[str, np.ndarray], limit: float | None, count: int = 48) -> dict[str, object]:
    """Histograms over common bins, as shares."""
    everything = np.concatenate([s for s in scores.values() if len(s)] or [np.zeros(1)])
    edges = np.linspace(float(everything.min()), float(everything.max()) + 1e-6, count + 1)
    bars = {name: (np.histogram(s, edges)[0] / max(len(s), 1)).round(5).tolist() for name, s in scores.items()}
    return {"edges": edges.round(4).tolist(), "shares": bars, "n": {k: len(s) for k, s in scores.items()}, "threshold": limit}
