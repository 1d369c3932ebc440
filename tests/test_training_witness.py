"""The witness: what it learns from, and what is done to its pictures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from id2face_core.attributes.networks import DESCENTS
from id2face_core.faces.landmarks import OVAL
from id2face_core.training import recomposer_stage
from id2face_core.training.config import LoopConfig, Optimisation, load_config
from id2face_core.training.contexts import Contexts
from id2face_core.training.loop import Loop
from id2face_core.training.witness import RARE, WitnessTask, evened, moved, witness_figures

NAN = float("nan")


def faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crops whose red tells the age, green the sex, a band the descent; meshes; labels, of which every fifth lacks a descent."""
    rng = np.random.default_rng(seed)
    age, sex, descent = rng.uniform(20, 80, count), rng.integers(0, 2, count), rng.integers(0, len(DESCENTS), count)
    colour = np.stack((2.5 * age, 60 + 130 * sex, 0 * age + 120), axis=1)
    crops = np.broadcast_to(colour[:, None, None], (count, 112, 112, 3)).astype(np.uint8).copy()
    for crop, number in zip(crops, descent, strict=True):
        crop[30 : 33 + 18 * number] = 0
    angle = np.linspace(0, 2 * np.pi, len(OVAL) + 1)[:-1]
    points = np.zeros((count, 468, 2), dtype=np.float32)
    points[:, OVAL] = 56 + 40 * np.stack((np.sin(angle), -np.cos(angle)), axis=1)
    labels = np.stack((age, sex, descent), axis=1).astype(np.float32)
    labels[::5, 2] = NAN
    return crops, points, labels


def test_it_learns_what_the_labels_say_and_misses_none_that_is_not_there() -> None:
    task = WitnessTask(*faces(256), np.ones(256), widths=(8, 8, 16, 16))
    how = Optimisation(batch=16, learning_rate=6e-3, steps=80)
    Loop(task, how, LoopConfig(warmup_steps=5, ema=0.9, precision="float32", max_batch_growth=1)).run(0)
    found = witness_figures(task.model, *faces(100, seed=1))
    assert found["N"] == 100 and found["age_error"] < 12 and found["sex"] > 0.9 and found["descent"] > 0.5, found


def test_without_labels_there_are_no_figures() -> None:
    crops, points, labels = faces(4)
    model = WitnessTask(crops, points, labels, np.ones(4), widths=(4, 4, 4, 4)).model.eval()
    assert witness_figures(model, crops, points, np.full_like(labels, NAN)) == {"N": 0}
    assert witness_figures(model, crops[:0], points[:0], labels[:0]) == {"N": 0}


def test_rare_ages_are_drawn_more_often_and_unknown_ones_as_usual() -> None:
    ages = np.array([25.0] * 90 + [70.0] * 10 + [NAN] * 5)
    chances = evened(ages)
    assert chances[95] / chances[0] == pytest.approx((95 / 10) ** RARE) and chances[-1] == chances[0]


def test_planes_move_together_by_a_little_and_by_half_are_mirrored() -> None:
    spot = torch.zeros(64, 1, 112, 112)
    spot[:, :, 40:44, 20:24] = 1.0
    planes = moved(torch.cat((spot, 2 * spot), dim=1), torch.Generator().manual_seed(0))
    assert torch.allclose(2 * planes[:, 0], planes[:, 1], atol=1e-5)
    grid = torch.arange(112, dtype=torch.float32)
    share = planes[:, 0] / planes[:, 0].sum(dim=(1, 2), keepdim=True)
    x, y = (share.sum(dim=1) * grid).sum(dim=1), (share.sum(dim=2) * grid).sum(dim=1)
    flipped = x > 56
    assert 16 < int(flipped.sum()) < 48
    aside = torch.where(flipped, 111 - x, x) - 21.5
    assert aside.abs().max() < 15 and (y - 41.5).abs().max() < 15 and aside.std() > 1 and y.std() > 1


def test_the_coach_is_taught_alike_and_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    crops, points, labels = faces(24)
    labels[3] = NAN
    nothing = torch.zeros(24, 112, 112, dtype=torch.uint8)
    contexts = Contexts(torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(points), nothing)
    config, taught = load_config("gpu"), list[Any]()
    work: Any = SimpleNamespace(config=config, device=torch.device("cpu"), fit=lambda task, how: taught.append((task, how)))
    monkeypatch.setattr(recomposer_stage, "POOLED", 8)
    coach = recomposer_stage._coach(work, contexts, torch.from_numpy(labels))
    ((task, how),) = taught
    assert task.model is coach and how == config.recomposer.refiner.coached and len(task._crops) == 23
    assert coach is not None and not coach.training and not any(p.requires_grad for p in coach.parameters())
    witness = WitnessTask(crops, points, labels, np.ones(24), config.attributes.witness_widths, seed=config.seed).model
    assert not torch.equal(coach.head[1].weight, witness.head[1].weight), "from another start"
    assert recomposer_stage._coach(work, contexts, torch.full((24, 3), NAN)) is None, "nothing is labelled"
    refiner = replace(config.recomposer.refiner, coach=0.0)
    work.config = replace(config, recomposer=replace(config.recomposer, refiner=refiner))
    assert recomposer_stage._coach(work, contexts, torch.from_numpy(labels)) is None and len(taught) == 1
