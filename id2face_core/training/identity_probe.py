"""How much of identity is left in the attribute vector: probes that try to tell who somebody is from attributes alone.

Two attackers, both fitted on people of the training side and tried on held-out people of whom there are two pictures:

- *to embedding*: regression from attributes to the recogniser's embedding (linear, and on random Fourier features, Rahimi & Recht
  2007); the face whose embedding is nearest to the guess is named.
- *linkage*: attributes of one picture against attributes of another of each person, after whitening by how attributes vary
  within one person (linear discriminant analysis, Fisher 1936): what somebody learns who only ever sees attributes.

Rank-1 is to be read against chance (one over the people) and against the recogniser itself on the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import binomtest, rankdata
from torch import Generator, Tensor

from ..attributes.vector import GROUPS, group_slice
from ..errors import AssetMissingError
from .table import Pairs, RealTable

FOURIER, RIDGE = 1024, 30.0
PROBES = ("linear", "fourier", "linkage")


@dataclass(frozen=True)
class Recognition:
    """Held-out people named right at the first guess, and the area under the curve of same against different people."""

    hits: int
    people: int
    auc: float

    @property
    def rate(self) -> float:
        return self.hits / self.people

    def __str__(self) -> str:
        low, high = binomtest(self.hits, self.people).proportion_ci(method="exact")
        return f"{self.rate:.1%} [{low:.1%}, {high:.1%}], AUC {self.auc:.3f}"


def recognition(scores: Tensor) -> Recognition:
    """Scores [P, P], row: a picture, column: another picture of each person in the same order."""
    own = scores.diagonal()
    best = scores.argmax(dim=1) == torch.arange(len(scores))
    different = scores[~torch.eye(len(scores), dtype=torch.bool)]
    ranks = rankdata(torch.cat((own, different)).double().numpy())
    above = ranks[: len(own)].sum() - len(own) * (len(own) + 1) / 2  # Mann-Whitney
    return Recognition(int(best.sum()), len(scores), float(above / (len(own) * len(different))))


def probe(real: RealTable, kind: str, columns: Tensor, seed: int = 0) -> Recognition:
    """One attacker on some columns of the attributes. Raises AssetMissingError: too few people with two pictures."""
    train, test = real.rows(~real.held_out), real.pairs(held_out=True)
    known = real.pairs(held_out=False)
    if len(test) < 2 or len(known) < 2:
        raise AssetMissingError("the identity probe needs real people with two pictures each; give --data and measure more faces")
    centre, spread = train.attributes[:, columns].mean(dim=0), train.attributes[:, columns].std(dim=0).clamp_min(1e-6)

    def standard(attributes: Tensor) -> Tensor:
        return ((attributes[:, columns] - centre) / spread).clamp(-4, 4)

    first, second = _two_pictures(test)
    if kind == "linkage":
        scores = _linkage(standard(known.attributes), known, standard(test.attributes))
        return recognition(scores[first][:, second])
    lift = _fourier(int(len(columns)), seed) if kind == "fourier" else _plain
    x, y = lift(standard(train.attributes)), train.embeddings
    offset = y.mean(dim=0)
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1])
    guess = lift(standard(test.attributes[first])) @ torch.linalg.solve(gram, x.T @ (y - offset))
    gallery = torch.nn.functional.normalize(test.embeddings[second] - offset, dim=1)
    return recognition(torch.nn.functional.normalize(guess, dim=1) @ gallery.T)


def ceiling(real: RealTable) -> Recognition:
    """The recogniser itself on the same pictures."""
    test = real.pairs(held_out=True)
    first, second = _two_pictures(test)
    return recognition(test.embeddings[first] @ test.embeddings[second].T)


def _two_pictures(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Rows of the first and second picture of each person."""
    start = pairs.count.cumsum(0) - pairs.count
    return start, start + 1


def _plain(x: Tensor) -> Tensor:
    return torch.cat((x, torch.ones(len(x), 1)), dim=1)


def _fourier(inputs: int, seed: int):  # noqa: ANN202
    """Features cos(a x + b) of a Gaussian kernel as wide as the data are far apart."""
    rng = Generator().manual_seed(seed)
    slope = torch.randn(inputs, FOURIER, generator=rng) / (2 * inputs) ** 0.5
    shift = 2 * torch.pi * torch.rand(FOURIER, generator=rng)
    return lambda x: torch.cat(((2 / FOURIER) ** 0.5 * 16 * torch.cos(x @ slope + shift), _plain(x)), dim=1)


def _linkage(known: Tensor, people: Pairs, test: Tensor) -> Tensor:
    """Cosines [N, N] of test rows after whitening the variation within people and the mean of all."""
    means = torch.zeros(len(people), known.shape[1]).index_add_(0, people.people, known) / people.count[:, None]
    within = known - means[people.people]
    freedom = len(known) - len(people)
    covariance = within.T @ within / max(1, freedom) + 0.05 * torch.eye(known.shape[1])
    value, vector = torch.linalg.eigh(covariance)
    whiten = vector / value.sqrt()
    white = torch.nn.functional.normalize((test - known.mean(dim=0)) @ whiten, dim=1)
    return white @ white.T


def columns_without(group: str | None) -> Tensor:
    """Columns of the attribute vector without one group; None: all."""
    dropped = group_slice(group) if group else slice(0, 0)
    return torch.tensor([i for i in range(sum(map(len, GROUPS.values()))) if not dropped.start <= i < dropped.stop])


def columns_of(group: str) -> Tensor:
    """Columns of one group."""
    return torch.arange(group_slice(group).start, group_slice(group).stop)


def report(output: Path, probes: Sequence[str] = PROBES) -> str:
    """Markdown table for the real faces of a run: all attributes, each group left out, each alone. Raises AssetMissingError."""
    real = RealTable.load(output / "table_real")
    if real is None:
        raise AssetMissingError(f"no real faces in {output}; run the stages synthesize and attributes with --data")
    rows = [("all attributes", columns_without(None))]
    rows += [(f"without {group}", columns_without(group)) for group in GROUPS]
    rows += [(f"{group} alone", columns_of(group)) for group in GROUPS]
    top = ceiling(real)
    lines = [
        f"Rank-1 of {top.people} held-out people, chance {1 / top.people:.1%}; the recogniser itself: {top}", "",
        "| attributes | " + " | ".join(probes) + " |", "|---" * (len(probes) + 1) + "|",
    ]  # fmt: skip
    for name, columns in rows:
        lines.append(f"| {name} | " + " | ".join(str(probe(real, kind, columns)) for kind in probes) + " |")
    return "\n".join(lines)
