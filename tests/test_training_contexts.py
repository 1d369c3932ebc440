"""New faces put into photographs by tensors: as the paste does it, and with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from id2face_core.photograph.coverage import coverage
from id2face_core.training.contexts import ContextReader, Contexts, paste_mask, put
from id2face_core.training.picture_reader import apply, similarities


def _points(scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """A mesh [468, 2] whose points fill an upright ellipse; the oval's are on its rim."""
    from id2face_core.faces.landmarks import OVAL

    rng = np.random.default_rng(0)
    angle, reach = rng.uniform(0, 2 * np.pi, 468), np.sqrt(rng.uniform(0, 0.8, 468))
    points = np.stack((np.sin(angle) * reach * 30, -np.cos(angle) * reach * 40), axis=1)
    rim = np.linspace(0, 2 * np.pi, len(OVAL) + 1)[:-1]
    points[OVAL] = np.stack((30 * np.sin(rim), -40 * np.cos(rim)), axis=1)
    return torch.from_numpy(56 + shift + scale * points).float()


def _contexts(value: int, count: int = 2) -> Contexts:
    mask = torch.zeros(count, 112, 112, dtype=torch.uint8)
    mask[:, 40:80, 40:70] = 255
    return Contexts(torch.full((count, 3, 112, 112), value, dtype=torch.uint8), _points().expand(count, -1, -1), mask)


def test_similarities_give_back_what_was_done() -> None:
    points = torch.randn(3, 20, 2)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]]) * 1.7
    found = similarities(points, points @ turn.T + torch.tensor([3.0, -2.0]))
    assert torch.allclose(found[:, :, :2], turn.expand(3, -1, -1), atol=1e-4)
    assert torch.allclose(found[:, :, 2], torch.tensor([3.0, -2.0]).expand(3, -1), atol=1e-4)
    assert torch.allclose(apply(found, points), points @ turn.T + torch.tensor([3.0, -2.0]), atol=1e-4)


def test_nothing_changes_outside_the_mask_and_the_light_is_the_sources() -> None:
    contexts = _contexts(200)
    out = put(contexts, torch.full((2, 3, 112, 112), 0.5), _points().expand(2, -1, -1))
    assert torch.allclose(out[:, :, :40], torch.full_like(out[:, :, :40], 200 / 255), atol=1e-6)
    assert float((out - 200 / 255).abs().max()) < 0.02  # a grey face in a light photograph becomes as light


def test_light_is_fitted_in_full_precision_where_the_rest_is_not() -> None:
    contexts, crops, points = _contexts(200), torch.rand(2, 3, 112, 112), _points().expand(2, -1, -1)
    with torch.autocast("cpu", torch.bfloat16):
        out = put(contexts, crops, points)
    torch.testing.assert_close(out, put(contexts, crops, points), atol=0.02, rtol=0)


def test_a_smaller_face_is_enlarged_to_the_sources_oval() -> None:
    contexts, small = _contexts(128, 1), _points(scale=0.5)[None]
    crops = torch.zeros(1, 3, 112, 112)
    y, x = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
    crops[:, :] = torch.where(((x - 56) / 15) ** 2 + ((y - 56) / 20) ** 2 < 0.5, 1.0, 0.0)  # a disc of half the face's height
    contexts = Contexts(contexts.crops, contexts.points, torch.full((1, 112, 112), 255, dtype=torch.uint8))
    out = put(contexts, crops, small)[0, 0]
    bright = out > (out.max() + out.min()) / 2
    assert float(bright.sum()) == pytest.approx(float(torch.pi * 30 * 40 * 0.5), rel=0.15)


def test_gradients_reach_the_new_face_inside_the_mask_only() -> None:
    crops = torch.rand(2, 3, 112, 112, requires_grad=True)
    put(_contexts(100), crops, _points().expand(2, -1, -1)).sum().backward()
    assert crops.grad is not None and float(crops.grad[:, :, 50:70, 50:60].abs().min()) > 0
    assert float(crops.grad[:, :, :30].abs().max()) == 0


def test_the_mask_covers_the_features_and_not_the_corners() -> None:
    mask = paste_mask(np.full((112, 112, 3), 150, np.uint8), _points().numpy())
    assert mask.dtype == np.uint8 and mask.shape == (112, 112)
    assert mask[56, 56] == 255 and mask[0, 0] == 0 and mask[111, 111] == 0


def test_contexts_keep_their_rows_together() -> None:
    crops = np.random.default_rng(1).integers(0, 255, (3, 112, 112, 3)).astype(np.uint8)
    contexts = Contexts.of(crops, _points().expand(3, -1, -1).numpy())
    second = contexts.rows(torch.tensor([1]))
    assert torch.equal(second.crops[0], torch.from_numpy(crops[1]).permute(2, 0, 1))
    assert second.masks.shape == (1, 112, 112) and second.points.shape == (1, 468, 2)
    assert second.cover is not None and second.shapes is None, "nobody looked closely"
    assert torch.equal(second.cover[0], torch.from_numpy(coverage(crops[1], _points().numpy())))
    seen = Contexts.of(crops, _points().expand(3, -1, -1).numpy(), shapes=torch.arange(3.0)[:, None].expand(3, 52))
    assert float(seen.rows(torch.tensor([2])).shapes.mean()) == 2  # type: ignore[union-attr]


def test_onlookers_see_each_face_a_little_elsewhere_and_the_same_in_every_run() -> None:
    class Mean(nn.Module):
        def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, None]:
            return crops.flatten(1)[:, ::997], None

    crops = torch.rand(2, 3, 112, 112)
    first, again = (ContextReader([Mean(), Mean()], seed=4)(crops) for _ in range(2))  # type: ignore[list-item]
    assert len(first) == 2 and torch.equal(first[0], again[0]) and torch.equal(first[0], first[1])
    assert not torch.equal(first[0], crops.flatten(1)[:, ::997])
