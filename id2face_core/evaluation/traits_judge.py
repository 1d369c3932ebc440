"""Age and sex by a judge that the product does not know: a ridge regression on the embeddings of a recogniser.

Our own network reads what our own training was led by, and a reader that is trained through is soon talked into things. A
recogniser that trained nothing here knows age and sex well enough (8.1 years, 96 % on UTKFace's held-out people), and two
photographs of one person show how far its readings lie apart anyway. It is partial too, the other way: a face that is turned away
from the source in the space of recognisers is turned away in what it looks at. The truth lies between both readers.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..training.splits import is_held_out
from .auditors import Auditor
from .outcomes import Outcome
from .sets import Sample, read_rows

TABLE = "utkface_adult"
TAUGHT, TESTED = 4000, 400  # photographs of people that the evaluation does not show, and of those that it does
WAVES, WIDTH, RIDGE = 1500, 0.7, 300.0  # random Fourier features (Rahimi and Recht 2007) beside the embedding
CLOSE = 8.0  # years


@dataclass(frozen=True)
class TraitsJudge:
    """Reads age in years and sex (above 0: male) off a face.

    recogniser: its name; held_out: mean age error and shares on people that it was not fitted on.
    """

    recogniser: str
    held_out: dict[str, float]
    _auditor: Auditor
    _slope: np.ndarray
    _waves: np.ndarray
    _phases: np.ndarray

    @classmethod
    def fit(cls, auditor: Auditor, data_dir: Path, taught: int = TAUGHT, tested: int = TESTED) -> TraitsJudge | None:
        """On labelled photographs below data_dir/faces; None where there are none."""
        table = data_dir / "faces" / f"{TABLE}.csv"
        if not table.is_file():
            return None
        with table.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if not row.get("overlap_eval")]
        if not rows:
            return None
        order = np.random.default_rng(0).permutation(len(rows))
        sides: dict[bool, list[dict[str, str]]] = {False: [], True: []}
        for i in order:
            sides[is_held_out(rows[i].get("group_foamliu") or rows[i]["file"])].append(rows[i])
        x, y = _rows(auditor, data_dir, sides[False][:taught])
        rng = np.random.default_rng(1)
        waves = WIDTH * rng.standard_normal((x.shape[1], WAVES)) / np.sqrt(x.shape[1])
        phases = rng.uniform(0, 2 * np.pi, WAVES)
        features = _features(x, waves, phases)
        slope = np.linalg.solve(features.T @ features + RIDGE * np.eye(features.shape[1]), features.T @ y)
        figures = {"N": float(len(sides[True][:tested]))}
        if figures["N"]:
            x, y = _rows(auditor, data_dir, sides[True][:tested])
            found = _features(x, waves, phases) @ slope
            error = 20 * np.abs(found[:, 0] - y[:, 0])
            figures |= {"age_error_years": float(error.mean()), "age_within_8": float((error <= CLOSE).mean())}
            figures["sex"] = float(((found[:, 1] > 0) == (y[:, 1] > 0)).mean())
        return cls(auditor.name, figures, auditor, slope, waves, phases)

    def read(self, picture: np.ndarray, points: np.ndarray) -> tuple[float, float]:
        """(age in years, sex: above 0 male) of the face at points [5, 2] of a uint8 picture."""
        x = _scaled(self._auditor.embed(picture, points))[None]
        age, sex = (_features(x, self._waves, self._phases) @ self._slope)[0]
        return 40 + 20 * float(age), float(sex)


def judged(outcomes: Sequence[Outcome], judge: TraitsJudge) -> dict[str, Any]:
    """Age and sex before and after, and of two photographs of one person, by an independent judge."""
    done = [o for o in outcomes if o.status == "anonymized" and o.picture is not None]
    before = {o.sample.name: judge.read(o.sample.picture, o.sample.points) for o in done}
    after = [(before[o.sample.name], judge.read(o.picture, o.sample.points)) for o in done if o.picture is not None]
    people: dict[str, list[Sample]] = {}
    for o in done:
        people.setdefault(o.sample.person, []).append(o.sample)
    twice = [(before[p[0].name], before[q.name]) for p in people.values() for q in p[1:]]
    return {
        "reader": f"independent: ridge on {judge.recogniser}", "its_own_held_out": judge.held_out, **_agreement(after),
        "two_photos": _agreement(twice),
    }  # fmt: skip


def _agreement(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> dict[str, Any]:
    differences = np.array([b[0] - a[0] for a, b in pairs])
    return {
        "age_within_8": {"hits": int((np.abs(differences) <= CLOSE).sum()), "trials": len(pairs)},
        "sex_kept": {"hits": sum((a[1] > 0) == (b[1] > 0) for a, b in pairs), "trials": len(pairs)},
        "age_error_years": float(np.abs(differences).mean()) if pairs else None,
        "age_bias_years": float(differences.mean()) if pairs else None,
    }


def _scaled(embedding: np.ndarray) -> np.ndarray:
    vector: np.ndarray = embedding / np.linalg.norm(embedding) * np.sqrt(len(embedding))
    return vector


def _features(x: np.ndarray, waves: np.ndarray, phases: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.sqrt(2) * np.cos(x @ waves + phases), np.ones((len(x), 1))], axis=1)


def _rows(auditor: Auditor, data_dir: Path, rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings [N, D] and targets [N, 2]: (age - 40) / 20 and sex, -1 or 1."""
    samples = read_rows(data_dir, TABLE, rows)
    x = np.stack([_scaled(auditor.embed(s.picture, s.points)) for s in samples])
    targets = [((float(r["age"]) - 40) / 20, 1.0 if int(float(r["gender"])) == 0 else -1.0) for r in rows]
    return x, np.array(targets).reshape(-1, 2)
