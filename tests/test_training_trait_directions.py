"""Directions of age, sex and descent: found where the labels put them, and without labels where the readings do."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from id2face_core.attributes.vector import ATTRIBUTES, index
from id2face_core.identity.vae import IdentityVAE
from id2face_core.training.table import RealTable, Table
from id2face_core.training.trait_directions import trait_directions

LATENT = EMBEDDING = 12
COUNT = 1500


class Plain(IdentityVAE):
    """Latents are embeddings."""

    def encode(self, embeddings: Tensor) -> Tensor:
        return embeddings * EMBEDDING**0.5

    def decode(self, latents: Tensor) -> Tensor:
        return F.normalize(latents, dim=1)


def faces() -> tuple[Tensor, Tensor]:
    """Embeddings, and (age, sex, descent) that are in their first, second, and third and fourth numbers."""
    embeddings = F.normalize(torch.randn(COUNT, EMBEDDING, generator=Generator().manual_seed(0)), dim=1)
    age, sex = 40 + 50 * embeddings[:, 0], (embeddings[:, 1] > 0).float()
    descent = 2 * (embeddings[:, 2] > 0).float() + (embeddings[:, 3] > 0).float()
    return embeddings, torch.stack((age, sex, descent), dim=1)


def shares(directions: Tensor, numbers: list[int]) -> float:
    """How much of the directions lies in these numbers of the latent."""
    return float(directions[numbers].square().sum() / directions.square().sum())


def test_labels_of_real_faces_tell_the_directions() -> None:
    embeddings, labels = faces()
    labels[::7] = torch.nan
    held = torch.arange(COUNT) % 10 == 0
    real = RealTable(embeddings, torch.zeros(COUNT, len(ATTRIBUTES)), torch.arange(COUNT), held, labels)
    nothing = Table(torch.zeros(0, 3, 512), torch.zeros(0, EMBEDDING), torch.zeros(0, len(ATTRIBUTES)))
    found = trait_directions(Plain(EMBEDDING, LATENT, 8), nothing, real, (1, 1, 2))
    assert found.shape == (LATENT, 4)
    age, sex, descent = found.split((1, 1, 2), dim=1)
    assert shares(age, [0]) > 0.9 and shares(sex, [1]) > 0.9 and shares(descent, [2, 3]) > 0.9
    torch.testing.assert_close(descent.T @ descent, torch.eye(2), atol=1e-4, rtol=0)


def test_without_labels_readings_of_generated_faces_tell_them() -> None:
    embeddings, labels = faces()
    attributes = torch.randn(COUNT, len(ATTRIBUTES), generator=Generator().manual_seed(1))
    attributes[:, index("age")], attributes[:, index("sex")] = labels[:, 0], labels[:, 1]
    table = Table(torch.zeros(COUNT, 3, 512), embeddings, attributes)
    found = trait_directions(Plain(EMBEDDING, LATENT, 8), table, None, (1, 1, 2))
    assert shares(found[:, :1], [0]) > 0.9 and shares(found[:, 1:2], [1]) > 0.9
