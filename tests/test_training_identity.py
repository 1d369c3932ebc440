"""Distillation: the student comes nearer to its targets, with and without the teacher's feature maps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from id2face_core.identity.encoder import IdentityEncoder
from id2face_core.training.config import IdentityConfig, LoopConfig, Optimisation
from id2face_core.training.curves import read_losses
from id2face_core.training.identity import EncoderTask, distill
from id2face_core.training.loop import Loop, seeded


@pytest.mark.parametrize("with_maps", [False, True])
def test_the_student_approaches_its_targets(tmp_path: Path, with_maps: bool) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 215, (8, 1, 1, 3))
    crops = np.broadcast_to(colours, (8, 112, 112, 3)).astype(np.uint8)
    targets = np.eye(16, dtype=np.float32)[np.arange(8) % 2]  # two people
    crops = np.where((np.arange(8) % 2)[:, None, None, None] == 0, crops // 3, 255 - (255 - crops) // 3).astype(np.uint8)
    maps = rng.standard_normal((8, 7, 7, 4)).astype(np.float16) if with_maps else None
    with seeded(0):
        encoder = IdentityEncoder(16, widths=(8, 8, 8), blocks=(1, 1, 1))
    task = EncoderTask(encoder, crops, targets, np.ones(8), maps)
    config = LoopConfig(warmup_steps=5, precision="float32", max_batch_growth=1, log_every=1)
    Loop(task, Optimisation(1.0, 8, 2e-3, 0.02, steps=60), config, folder=tmp_path).run(0)
    out = encoder.embed(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255).numpy()
    assert float((out * targets).sum(axis=1).mean()) > 0.5
    assert not any(p.requires_grad for p in encoder.parameters())
    assert ("maps" in read_losses(tmp_path / "losses.csv")) == with_maps
    assert (task.model.hint is not None) == with_maps


def test_weights_of_zero_switch_terms_off() -> None:
    config = IdentityConfig(map_hint=0.0, relation=0.0)
    crops, maps = np.zeros((4, 112, 112, 3), np.uint8), np.zeros((4, 7, 7, 4), np.float16)
    encoder = IdentityEncoder(16, widths=(8, 8, 8), blocks=(1, 1, 1))
    task = EncoderTask(encoder, crops, np.eye(16, dtype=np.float32)[:4], np.ones(4), maps, config)
    assert set(task.losses(4, torch.Generator().manual_seed(0))) == {"cosine"}


def test_distil_for_a_time() -> None:
    encoder = IdentityEncoder(16, widths=(8, 8, 8), blocks=(1, 1, 1))
    crops = np.zeros((4, 112, 112, 3), np.uint8)
    assert distill(crops, np.eye(16, dtype=np.float32)[:4], np.ones(4), 0.5, batch=4, start_from=encoder) is encoder
