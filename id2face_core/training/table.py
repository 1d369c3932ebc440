"""The training table: one row a generated face, (style code, identity embedding, attributes)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import AssetMissingError

HELD_OUT_EVERY = 20  # every 20th row tests, never trains


@dataclass(frozen=True)
class Table:
    """codes [N, 3, 512], embeddings [N, 128] (unit norm), attributes [N, A] in their own units."""

    codes: Tensor
    embeddings: Tensor
    attributes: Tensor

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read `table.npz` as `synthesize` writes it. Raises AssetMissingError."""
        if not path.is_file():
            raise AssetMissingError(f"no training table at {path.name!r}; run: id2face train --stage synthesize")
        with np.load(path) as data:
            return cls(*(torch.from_numpy(data[k]).float() for k in ("codes", "embeddings", "attributes")))

    def split(self) -> tuple[Table, Table]:
        """(training rows, held-out rows)."""
        out = torch.arange(len(self.codes)) % HELD_OUT_EVERY == 0
        return self.rows(~out), self.rows(out)

    def rows(self, index: Tensor) -> Table:
        return Table(self.codes[index], self.embeddings[index], self.attributes[index])
