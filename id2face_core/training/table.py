"""Training tables: one row a face, (style code, identity embedding, attributes), in shards of at most 16 MiB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import AssetMissingError
from .checkpoint import has_state, load_state, save_state

HELD_OUT_EVERY = 20  # every 20th row tests, never trains


@dataclass(frozen=True)
class Table:
    """Generated faces: codes [N, 3, 512], embeddings [N, E] (unit norm), attributes [N, A] in their own units."""

    codes: Tensor
    embeddings: Tensor
    attributes: Tensor

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read a folder that `save` wrote, or a `.npz` file with the same names. Raises AssetMissingError."""
        if path.is_file():
            with np.load(path) as data:
                return cls(*(torch.from_numpy(data[k]).float() for k in ("codes", "embeddings", "attributes")))
        if not has_state(path):
            raise AssetMissingError(f"no training table at {path.name!r}; run: id2face train --stage attributes")
        tensors, _ = load_state(path)
        return cls(tensors["codes"].float(), tensors["embeddings"].float(), tensors["attributes"].float())

    def save(self, path: Path) -> None:
        """Write shards; codes and embeddings in half precision."""
        tensors = {"codes": self.codes.half(), "embeddings": self.embeddings.half(), "attributes": self.attributes.float()}
        save_state(path, tensors, {"rows": len(self.codes)})

    def split(self) -> tuple[Table, Table]:
        """(training rows, held-out rows)."""
        out = torch.arange(len(self.codes), device=self.codes.device) % HELD_OUT_EVERY == 0
        return self.rows(~out), self.rows(out)

    def rows(self, index: Tensor) -> Table:
        return Table(self.codes[index], self.embeddings[index], self.attributes[index])

    def join(self, other: Table) -> Table:
        """The rows of both."""
        return Table(*(torch.cat((a, b)) for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def to(self, device: torch.device) -> Table:
        return Table(self.codes.to(device), self.embeddings.to(device), self.attributes.to(device))


@dataclass(frozen=True)
class RealTable:
    """Real faces, which have no style code.

    embeddings [N, E], attributes [N, A]; people: [N] number of the same-identity group, -1 for whoever has one picture only;
    held_out: [N] bool, of people that nothing is trained on. labels: [N, 3], see `tables.trait_labels`, NaN where unknown.
    """

    embeddings: Tensor
    attributes: Tensor
    people: Tensor
    held_out: Tensor
    labels: Tensor

    @classmethod
    def load(cls, path: Path) -> RealTable | None:
        """Read a folder that `save` wrote; None where there is none (no real faces were given)."""
        if not has_state(path):
            return None
        tensors, _ = load_state(path)
        return cls(tensors["embeddings"].float(), *(tensors[k] for k in ("attributes", "people", "held_out", "labels")))

    def save(self, path: Path) -> None:
        save_state(path, {**vars(self), "embeddings": self.embeddings.half()}, {"rows": len(self.embeddings)})

    def rows(self, index: Tensor) -> RealTable:
        return RealTable(*(value[index] for value in vars(self).values()))

    def pairs(self, held_out: bool) -> Pairs:
        """All faces of people with at least two pictures, on one side of the hold-out."""
        rows = self.rows((self.held_out == held_out) & (self.people >= 0))
        _, number, count = rows.people.unique(return_inverse=True, return_counts=True)
        rows = rows.rows(count[number] >= 2)
        _, number, count = rows.people.unique(return_inverse=True, return_counts=True)
        order = number.argsort(stable=True)
        return Pairs(rows.embeddings[order], rows.attributes[order], number[order], count)


@dataclass(frozen=True)
class Pairs:
    """Same-identity pairs: faces sorted by person (`people` [N], 0, 1, ...), with `count` [P] >= 2 pictures of each."""

    embeddings: Tensor
    attributes: Tensor
    people: Tensor
    count: Tensor

    def __len__(self) -> int:
        return len(self.count)

    def draw(self, batch: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows of two different pictures of random people, [B] each."""
        device = rng.device
        count, first = self.count.to(device), (self.count.cumsum(0) - self.count).to(device)
        person = torch.randint(len(self), (batch,), generator=rng, device=device)
        of = count[person]
        u = torch.rand(2, batch, generator=rng, device=device)
        a = torch.minimum((u[0] * of).long(), of - 1)
        step = 1 + torch.minimum((u[1] * (of - 1)).long(), of - 2)
        return first[person] + a, first[person] + (a + step) % of

    def to(self, device: torch.device) -> Pairs:
        return Pairs(*(value.to(device) for value in vars(self).values()))
