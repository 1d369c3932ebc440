"""Age and sex by judges that the product does not know.

Our own network reads what our own training was led by, and a reader that is trained through is soon talked into things. Two
others are asked. `PackagedJudge` is a network of its own kind (faceres, of HSE-FaceRec, in the npm package human-models), which
trained nothing here. `TraitsJudge` is a ridge regression on a recogniser's embeddings; it is partial the other way: a face that
is turned away from the source in the space of recognisers is turned away in what it looks at, so that it says more about that
turn than about age and sex. Two photographs of one person show how far the readings of each lie apart anyway.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from ..faces.alignment import arcface_matrix, warp
from ..training.frozen import FrozenGraph
from ..training.splits import is_held_out
from ..training.tfjs import load_tfjs
from .auditors import Auditor
from .outcomes import Outcome
from .sets import Sample, read_rows

TABLE = "utkface_adult"
TAUGHT, TESTED = 4000, 400  # photographs of people that the evaluation does not show, and of those that it does
WAVES, WIDTH, RIDGE = 1500, 0.7, 300.0  # random Fourier features (Rahimi and Recht 2007) beside the embedding
CLOSE = 8.0  # years
PACKAGED, SIDE = "weights/traits/faceres.json", 224  # below the data folder; pixels that the network looks at


class Reader(Protocol):
    """Reads age in years and sex (above 0: male) off a face. name: in the report; held_out: how well, on people of UTKFace."""

    @property
    def name(self) -> str: ...

    @property
    def held_out(self) -> dict[str, float]: ...

    def read(self, picture: np.ndarray, points: np.ndarray) -> tuple[float, float]:
        """Of the face at points [5, 2] of a uint8 picture."""
        ...


@dataclass(frozen=True)
class PackagedJudge:
    """faceres on the crop that recognisers look at."""

    held_out: dict[str, float]
    _network: FrozenGraph
    name: str = "faceres"

    @classmethod
    def load(cls, data_dir: Path, tested: int = TESTED) -> PackagedJudge | None:
        """From data_dir; None where the network is not there."""
        path = data_dir / PACKAGED
        if not path.is_file():
            return None
        judge = cls({}, load_tfjs(path).eval())
        rows = _labelled(data_dir)[True][:tested]
        samples = read_rows(data_dir, TABLE, rows)
        found = np.array([judge.read(s.picture, s.points) for s in samples]).reshape(-1, 2)
        labels = np.array([(float(r["age"]), 1.0 if int(float(r["gender"])) == 0 else -1.0) for r in rows]).reshape(-1, 2)
        return cls(_agreement_with_labels(found, labels), judge._network)

    @torch.inference_mode()
    def read(self, picture: np.ndarray, points: np.ndarray) -> tuple[float, float]:
        """See `Reader`. The age is the mean of the network's hundred classes, one a year."""
        crop = torch.from_numpy(warp(picture, arcface_matrix(points), 112).copy()).permute(2, 0, 1)[None].float()
        sex, _, ages = self._network(F.interpolate(crop, (SIDE, SIDE), mode="bilinear", align_corners=False))
        return float((ages[0] * torch.arange(1, ages.shape[1] + 1)).sum()), float(sex[0, 0]) - 0.5


@dataclass(frozen=True)
class TraitsJudge:
    """A ridge regression on the embeddings of a recogniser.

    held_out: mean age error and shares on people that it was not fitted on.
    """

    name: str
    held_out: dict[str, float]
    _auditor: Auditor
    _slope: np.ndarray
    _waves: np.ndarray
    _phases: np.ndarray

    @classmethod
    def fit(cls, auditor: Auditor, data_dir: Path, taught: int = TAUGHT, tested: int = TESTED) -> TraitsJudge | None:
        """On labelled photographs below data_dir/faces; None where there are none."""
        sides = _labelled(data_dir)
        if not sides[False]:
            return None
        x, y = _rows(auditor, data_dir, sides[False][:taught])
        rng = np.random.default_rng(1)
        waves = WIDTH * rng.standard_normal((x.shape[1], WAVES)) / np.sqrt(x.shape[1])
        phases = rng.uniform(0, 2 * np.pi, WAVES)
        features = _features(x, waves, phases)
        slope = np.linalg.solve(features.T @ features + RIDGE * np.eye(features.shape[1]), features.T @ y)
        figures = {"N": 0.0}
        if sides[True][:tested]:
            x, y = _rows(auditor, data_dir, sides[True][:tested])
            found = _features(x, waves, phases) @ slope
            figures = _agreement_with_labels(found * (20, 1), y * (20, 1))
        return cls(f"ridge on {auditor.name}", figures, auditor, slope, waves, phases)

    def read(self, picture: np.ndarray, points: np.ndarray) -> tuple[float, float]:
        """See `Reader`."""
        x = _scaled(self._auditor.embed(picture, points))[None]
        age, sex = (_features(x, self._waves, self._phases) @ self._slope)[0]
        return 40 + 20 * float(age), float(sex)


def judged(outcomes: Sequence[Outcome], judge: Reader) -> dict[str, Any]:
    """Age and sex before and after, and of two photographs of one person, by an independent judge."""
    done = [o for o in outcomes if o.status == "anonymized" and o.picture is not None]
    before = {o.sample.name: judge.read(o.sample.picture, o.sample.points) for o in done}
    after = [(before[o.sample.name], judge.read(o.picture, o.sample.points)) for o in done if o.picture is not None]
    people: dict[str, list[Sample]] = {}
    for o in done:
        people.setdefault(o.sample.person, []).append(o.sample)
    twice = [(before[p[0].name], before[q.name]) for p in people.values() for q in p[1:]]
    return {
        "reader": f"independent: {judge.name}", "its_own_held_out": judge.held_out, **_agreement(after),
        "two_photos": _agreement(twice),
    }  # fmt: skip


def _labelled(data_dir: Path) -> dict[bool, list[dict[str, str]]]:
    """Rows of the labelled photographs in a fixed random order, by whether the person is held out; empty without any."""
    sides: dict[bool, list[dict[str, str]]] = {False: [], True: []}
    table = data_dir / "faces" / f"{TABLE}.csv"
    if not table.is_file():
        return sides
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row.get("overlap_eval")]
    for i in np.random.default_rng(0).permutation(len(rows)):
        sides[is_held_out(rows[i].get("group_foamliu") or rows[i]["file"])].append(rows[i])
    return sides


def _agreement_with_labels(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Of readings [N, 2] with labels [N, 2]: age in years, sex by its sign."""
    if not len(found):
        return {"N": 0.0}
    error = np.abs(found[:, 0] - labels[:, 0])
    return {
        "N": float(len(found)), "age_error_years": float(error.mean()), "age_within_8": float((error <= CLOSE).mean()),
        "sex": float(((found[:, 1] > 0) == (labels[:, 1] > 0)).mean()),
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
