"""Distillation: the student comes nearer to its targets, with and without the teacher's feature maps."""

import numpy as np
import pytest
import torch

from id2face_core.identity.encoder import IdentityEncoder
from id2face_core.training.identity import distill


@pytest.mark.parametrize("with_maps", [False, True])
def test_the_student_approaches_its_targets(with_maps: bool) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 215, (8, 1, 1, 3))
    crops = np.broadcast_to(colours, (8, 112, 112, 3)).astype(np.uint8)
    targets = np.eye(16, dtype=np.float32)[np.arange(8) % 2]  # two people
    crops = np.where((np.arange(8) % 2)[:, None, None, None] == 0, crops // 3, 255 - (255 - crops) // 3).astype(np.uint8)
    maps = rng.standard_normal((8, 7, 7, 4)).astype(np.float16) if with_maps else None
    torch.manual_seed(0)
    start = IdentityEncoder(16, widths=(8, 8, 8), blocks=(1, 1, 1))
    model = distill(crops, targets, np.ones(8), 4.0, batch=8, start_from=start, maps=maps)
    out = model.embed(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255).numpy()
    assert float((out * targets).sum(axis=1).mean()) > 0.5
    assert not any(p.requires_grad for p in model.parameters())
