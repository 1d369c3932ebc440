"""Age, sex and descent by judges that the product does not know.

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
from torch import Tensor

from ..attributes.networks import DESCENTS
from ..faces.alignment import arcface_matrix, warp
from ..training.frozen import FrozenGraph
from ..training.splits import is_held_out
from ..training.tfjs import load_tfjs
from .auditors import Auditor
from .cache import CachedAuditor
from .outcomes import Outcome
from .sets import Sample, read_rows

TABLE = "utkface_adult"
TAUGHT, TESTED = 4000, 400  # photographs of people that the evaluation does not show, and of those that it does
WAVES, WIDTH, RIDGE = 1500, 0.7, 300.0  # random Fourier features (Rahimi and Recht 2007) beside the embedding
CLOSE = 8.0  # years
PACKAGED, SIDE = "weights/traits/faceres.json", 224  # below the data folder; pixels that the network looks at
DECAY, PASSES = 0.1, 60  # of the logistic regression of descent on its descriptor


@dataclass(frozen=True)
class Person:
    """What a judge sees. age: years; sex: above 0 male; descent: the likeliest of `networks.DESCENTS` groups, None: not told."""

    age: float
    sex: float
    descent: int | None = None


class Reader(Protocol):
    """Judges a face. name: in the report; held_out: how well, on people of UTKFace."""

    @property
    def name(self) -> str: ...

    @property
    def held_out(self) -> dict[str, float]: ...

    def read(self, picture: np.ndarray, points: np.ndarray) -> Person:
        """Of the face at points [5, 2] of a uint8 picture."""
        ...


class _FaceRes:
    """faceres on the crop that recognisers look at: age in years, sex (above 0 male) and its descriptor, in one row."""

    def __init__(self, network: FrozenGraph) -> None:
        self.network, self.name, self.trained = network, "faceres", False

    @torch.inference_mode()
    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """[2 + D]. The age is the mean of the network's hundred classes, one a year."""
        crop = torch.from_numpy(warp(picture, arcface_matrix(points), 112).copy()).permute(2, 0, 1)[None].float()
        sex, descriptor, ages = self.network(F.interpolate(crop, (SIDE, SIDE), mode="bilinear", align_corners=False))
        age = (ages[0] * torch.arange(1, ages.shape[1] + 1)).sum()
        row: np.ndarray = torch.cat((age[None], sex[0] - 0.5, descriptor[0])).double().numpy()
        return row

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Not a recogniser here: the descriptors' inner products."""
        found: np.ndarray = a[:, 2:] @ b[:, 2:].T
        return found


@dataclass(frozen=True)
class PackagedJudge:
    """faceres, and a logistic regression of descent on its descriptor, fitted to labels of people that are not shown."""

    held_out: dict[str, float]
    _network: Auditor
    _descent: Tensor | None = None
    name: str = "faceres"

    @classmethod
    def load(
        cls, data_dir: Path, cache: Path | None = None, taught: int = TAUGHT, tested: int = TESTED
    ) -> PackagedJudge | None:
        """From data_dir; None where the network is not there. cache: folder that keeps what it has read."""
        path = data_dir / PACKAGED
        if not path.is_file():
            return None
        network: Auditor = _FaceRes(load_tfjs(path).eval())
        network = network if cache is None else CachedAuditor(network, cache)
        sides = _labelled(data_dir)
        known = [row for row in sides[False][:taught] if _descent(row) is not None]
        descent = None
        if len({_descent(row) for row in known}) == len(DESCENTS):
            rows = torch.from_numpy(_seen(network, data_dir, known)[:, 2:]).float()
            descent = _logistic(rows, torch.tensor([_descent(row) for row in known]))
        judge = cls({}, network, descent)
        shown = sides[True][:tested]
        found = [judge.read(s.picture, s.points) for s in read_rows(data_dir, TABLE, shown)]
        if isinstance(network, CachedAuditor):
            network.save()
        labels = [Person(float(row["age"]), _sex(row), _descent(row)) for row in shown]
        return cls(_agreement_with_labels(found, labels), network, descent)

    def read(self, picture: np.ndarray, points: np.ndarray) -> Person:
        """See `Reader`."""
        age, sex, *descriptor = self._network.embed(picture, points)
        if self._descent is None:
            return Person(float(age), float(sex))
        x = torch.tensor([*descriptor, 1.0]).float()
        return Person(float(age), float(sex), int((x @ self._descent).argmax()))


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
            figures = _agreement_with_labels(*([Person(40 + 20 * float(a), float(b)) for a, b in v] for v in (found, y)))
        return cls(f"ridge on {auditor.name}", figures, auditor, slope, waves, phases)

    def read(self, picture: np.ndarray, points: np.ndarray) -> Person:
        """See `Reader`."""
        x = _scaled(self._auditor.embed(picture, points))[None]
        age, sex = (_features(x, self._waves, self._phases) @ self._slope)[0]
        return Person(40 + 20 * float(age), float(sex))


def judged(outcomes: Sequence[Outcome], judge: Reader) -> dict[str, Any]:
    """Age, sex and descent before and after, and of two photographs of one person, by an independent judge."""
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


def _sex(row: dict[str, str]) -> float:
    return 1.0 if int(float(row["gender"])) == 0 else -1.0


def _descent(row: dict[str, str]) -> int | None:
    known = row.get("race") or ""
    return int(float(known)) if known and float(known) < len(DESCENTS) else None


def _seen(network: Auditor, data_dir: Path, rows: list[dict[str, str]]) -> np.ndarray:
    return np.stack([network.embed(s.picture, s.points) for s in read_rows(data_dir, TABLE, rows)])


def _logistic(x: Tensor, classes: Tensor) -> Tensor:
    """Weights [D + 1, C] of a logistic regression, every class counting the same; the last row is the offset."""
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp_min(1e-4)
    z = torch.cat(((x - centre) / spread, torch.ones(len(x), 1)), dim=1)
    share = 1 / torch.bincount(classes).float()
    weights = torch.zeros(z.shape[1], len(share), requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=PASSES, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(z @ weights, classes, weight=share / share.mean()) + DECAY * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach()
    slope = found[:-1] / spread[:, None]
    return torch.cat((slope, found[-1:] - centre @ slope))


def _agreement_with_labels(found: Sequence[Person], labels: Sequence[Person]) -> dict[str, float]:
    """How well people are read."""
    if not found:
        return {"N": 0.0}
    error = np.array([abs(f.age - label.age) for f, label in zip(found, labels, strict=True)])
    told = [f.descent == label.descent for f, label in zip(found, labels, strict=True) if None not in (f.descent, label.descent)]
    return {
        "N": float(len(found)), "age_error_years": float(error.mean()), "age_within_8": float((error <= CLOSE).mean()),
        "sex": float(np.mean([(f.sex > 0) == (label.sex > 0) for f, label in zip(found, labels, strict=True)])),
    } | ({"descent": float(np.mean(told))} if told else {})  # fmt: skip


def _agreement(pairs: list[tuple[Person, Person]]) -> dict[str, Any]:
    differences = np.array([b.age - a.age for a, b in pairs])
    told = [a.descent == b.descent for a, b in pairs if None not in (a.descent, b.descent)]
    return {
        "age_within_8": {"hits": int((np.abs(differences) <= CLOSE).sum()), "trials": len(pairs)},
        "sex_kept": {"hits": sum((a.sex > 0) == (b.sex > 0) for a, b in pairs), "trials": len(pairs)},
        "descent_kept": {"hits": sum(told), "trials": len(told)},
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
    targets = [((float(r["age"]) - 40) / 20, _sex(r)) for r in rows]
    return x, np.array(targets).reshape(-1, 2)
