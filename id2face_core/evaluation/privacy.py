"""A1 of the audit: is the person found again? On composed pictures and on the raw new face, beside the controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..audit.controls import CONTROLS
from ..audit.statistics import FARS, pairs, rate
from .auditors import Auditor
from .detection import Detector
from .outcomes import Outcome
from .sets import GROUP_KINDS, Sample
from .thresholds import Threshold, embed_all

Row = dict[str, Any]


class Judge:
    """One recogniser on one set: real embeddings are computed once."""

    def __init__(self, auditor: Auditor, threshold: Threshold, set_name: str, samples: Sequence[Sample]) -> None:
        self.auditor, self.threshold, self.set_name, self.samples = auditor, threshold, set_name, samples
        self.real = embed_all(auditor, samples)
        self.position = {sample.name: i for i, sample in enumerate(samples)}
        people = [s.person for s in samples]
        first, second = pairs(people, same=True)
        self.others = np.concatenate([first, second]), np.concatenate([second, first])  # ordered: probe, photo
        self._strangers = pairs(people, same=False)

    def real_rows(self) -> list[Row]:
        """What real photographs score: the same person (TAR) and strangers (the FAR that this set really has).

        `strangers alike` are of one descent, sex and age group: a new face that keeps these scores as they do at best. No row
        where that is not labelled.
        """
        rows = []
        for name, (i, j) in (
            ("genuine", pairs([s.person for s in self.samples], True)),
            ("strangers", self._strangers),
            ("strangers alike", self._alike()),
        ):
            if len(i) or name != "strangers alike":
                rows += self._rows("real photographs", name, self.auditor.scores(self.real[i], self.real[j]), 0)
        return rows

    def _alike(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of strangers in the same groups of every kind."""
        i, j = self._strangers
        groups = [s.groups if len(s.groups) == GROUP_KINDS else None for s in self.samples]
        same = np.array([groups[a] is not None and groups[a] == groups[b] for a, b in zip(i, j, strict=True)], dtype=bool)
        return i[same], j[same]

    def control_rows(self) -> list[Row]:
        """A1a and A1b of every control."""
        rows = []
        for name, control in CONTROLS.items():
            vectors = np.stack([self.auditor.embed(control(s.picture, s.points), s.points) for s in self.samples])
            rows += self._compare(name, vectors, np.ones(len(vectors), dtype=bool))
        return rows

    def product_rows(self, outcomes: Sequence[Outcome], detector: Detector, name: str = "ours") -> list[Row]:
        """A1a, A1b, A1c. The face is read at the place where it was, so none escapes by not being detected."""
        there = np.array([o.picture is not None for o in outcomes])
        dim = self.real.shape[1]
        vectors = np.stack([
            np.zeros(dim) if o.picture is None else self.auditor.embed(o.picture, o.sample.points) for o in outcomes
        ])  # fmt: skip
        rows = self._compare(name, vectors, there)
        found, failures = [], 0
        for i, outcome in enumerate(outcomes):
            if outcome.rendering is None:
                continue
            face = detector.find(outcome.rendering)
            if face is None:
                failures += 1
                continue
            found.append(self.auditor.scores(self.auditor.embed(outcome.rendering, face[1]), self.real[i]))
        return rows + self._rows(name, "A1c raw new face", np.array(found), failures)

    def _compare(self, name: str, vectors: np.ndarray, there: np.ndarray) -> list[Row]:
        """`there` [N] false: no picture to judge; it counts as a hit, so that failing is never rewarded."""
        probe, photo = self.others
        seen = there[probe]
        across = self.auditor.scores(vectors[probe[seen]], self.real[photo[seen]])
        same = self.auditor.scores(vectors[there], self.real[there])
        rows = self._rows(name, "A1a another photo", across, int((~seen).sum())) if len(probe) else []
        return rows + self._rows(name, "A1b same photo", same, int((~there).sum()))

    def _rows(self, method: str, figure: str, scores: np.ndarray, failures: int) -> list[Row]:
        if len(scores) + failures == 0:
            return []
        row: Row = {
            "set": self.set_name, "auditor": self.auditor.name, "trained": self.auditor.trained,
            "method": method, "figure": figure, "pictures": len(self.samples),
        }  # fmt: skip
        for far in FARS:
            if far in self.threshold.scores:
                row[f"far_{far:g}"] = rate(scores, self.threshold.scores[far], failures).as_dict()
        return [row]


def identity_channel(outcomes: Sequence[Outcome], judge: Judge, detector: Detector) -> Row:
    """Own identity put back: shares above the FAR 1e-2 threshold, composed and raw, against the same photograph.

    The channel works when they are >= 50 %. A face that was rejected or is not found counts as not found again.
    """
    composed, raw = [], []
    for o in outcomes:
        i = judge.position[o.sample.name]
        if o.picture is not None:
            composed.append(float(judge.auditor.scores(judge.auditor.embed(o.picture, o.sample.points), judge.real[i])))
        face = None if o.rendering is None else detector.find(o.rendering)
        if o.rendering is not None and face is not None:
            raw.append(float(judge.auditor.scores(judge.auditor.embed(o.rendering, face[1]), judge.real[i])))
    limit = judge.threshold.scores[1e-2]
    row: Row = {"set": judge.set_name, "auditor": judge.auditor.name, "trained": judge.auditor.trained}
    for name, scores in (("composed", composed), ("raw", raw)):
        hits = sum(score > limit for score in scores)
        row[name] = {"hits": hits, "trials": len(outcomes), "mean": float(np.mean(scores)) if scores else None}
    return row


def diversity(auditor: Auditor, pictures: Sequence[np.ndarray], points: np.ndarray) -> dict[str, Any]:
    """Mean cosine between the new faces of one picture under different seeds (A14)."""
    vectors = np.stack([auditor.embed(p, points) for p in pictures])
    first, second = np.triu_indices(len(vectors), 1)
    scores = auditor.scores(vectors[first], vectors[second])
    return {"auditor": auditor.name, "seeds": len(vectors), "mean": float(scores.mean()), "max": float(scores.max())}
