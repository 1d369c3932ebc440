"""Which directions of the identity latent carry age, sex and descent.

A smooth reader is fitted to the labels, and the directions in which it changes most on real people span what a new identity
has to keep: the active subspace (Constantine, Dow and Wang 2014).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .. import regression
from ..attributes.edit import PERSON_TRAITS
from ..attributes.networks import DESCENTS
from ..attributes.vector import index
from ..identity.traits import DIRECTIONS
from ..identity.vae import IdentityVAE
from .table import RealTable, Table

WAVES, WIDTH, RIDGE = 1500, 0.7, 100.0  # random Fourier features (Rahimi and Recht 2007) beside the embedding
LOOKED_AT = 4000  # faces at which the slope is measured
ENOUGH = 500  # labelled faces


def trait_directions(
    vae: IdentityVAE, table: Table, real: RealTable | None = None, counts: tuple[int, ...] = DIRECTIONS
) -> Tensor:
    """Directions [L, sum(counts)] of age, sex and descent, orthonormal within each.

    From the labels of real faces; without enough of them from what is read off generated ones, where skin stands for descent.
    """
    taught = None if real is None else real.rows(~real.held_out & real.labels.isfinite().all(dim=1))
    if taught is not None and len(taught.labels) >= ENOUGH:
        age, sex, descent = taught.labels.split(1, dim=1)
        groups = [age, sex, F.one_hot(descent[:, 0].long(), len(DESCENTS)).float()]
        embeddings = taught.embeddings
    else:
        groups = [table.attributes[:, [index(name) for name in names]] for names in PERSON_TRAITS.values()]
        embeddings = table.embeddings
    rng = Generator().manual_seed(0)
    reader = _Reader(embeddings.shape[1], rng).fit(embeddings, torch.cat(groups, dim=1))
    chosen = torch.randperm(len(embeddings), generator=rng)[:LOOKED_AT]
    slopes = reader.slopes(vae, vae.encode(embeddings[chosen]).detach()).split([g.shape[1] for g in groups], dim=1)
    return torch.cat([_leading(slope, count) for slope, count in zip(slopes, counts, strict=True)], dim=1)


def _leading(slopes: Tensor, count: int) -> Tensor:
    """The directions [L, count] that carry most of slopes [N, T, L]."""
    flat = slopes.flatten(0, 1).double()
    return torch.linalg.eigh(flat.T @ flat)[1].flip(1)[:, :count].to(slopes)


class _Reader:
    """Standardised labels [N, T] off unit embeddings [N, E]."""

    def __init__(self, width: int, rng: Generator) -> None:
        self.scale = math.sqrt(width)
        self.waves = WIDTH * torch.randn(width, WAVES, generator=rng) / self.scale
        self.phases = 2 * math.pi * torch.rand(WAVES, generator=rng)

    def fit(self, embeddings: Tensor, labels: Tensor) -> _Reader:
        y = (labels - labels.mean(dim=0)) / labels.std(dim=0).clamp_min(1e-6)
        x = self._features(embeddings)
        self.slope = regression.ridge(x, y, RIDGE)
        return self

    def __call__(self, embeddings: Tensor) -> Tensor:
        return self._features(embeddings) @ self.slope

    def slopes(self, vae: IdentityVAE, latents: Tensor) -> Tensor:
        """How each label changes with the latents [N, L] that embeddings are decoded from: [N, T, L]."""
        at = latents.requires_grad_(True)
        with torch.enable_grad():
            read = self(vae.decode(at))
            rows = [torch.autograd.grad(column.sum(), at, retain_graph=True)[0] for column in read.unbind(dim=1)]
        return torch.stack(rows, dim=1)

    def _features(self, embeddings: Tensor) -> Tensor:
        x = embeddings * self.scale
        return torch.cat((x, math.sqrt(2) * torch.cos(x @ self.waves + self.phases), torch.ones(len(x), 1)), dim=1)
