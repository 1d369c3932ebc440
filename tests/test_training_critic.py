"""The critic learns what gives a face away, and leads new faces to where nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Generator

from id2face_core.errors import AssetMissingError
from id2face_core.perceptual import PerceptualDistance
from id2face_core.training.critic import MOST, Judge, balance, critic_loss, natural_loss

WIDTHS, COUNT, SPOT = (8, 8, 8, 8, 8), 8, slice(44, 68)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    torch.manual_seed(0)
    tensors = {n: t.abs() if n.startswith("lin") else 2 * t for n, t in PerceptualDistance(WIDTHS).state_dict().items()}
    save_file(tensors, tmp_path / "eye.safetensors")
    return Judge.load(tmp_path / "eye.safetensors")


def photographs(seed: int) -> torch.Tensor:
    """Soft noise: [8, 3, 112, 112]."""
    small = torch.rand(COUNT, 3, 14, 14, generator=Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, 112, mode="bilinear")


def with_spots(crops: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """A red square in the middle of each."""
    out = crops.clone()
    red = torch.tensor([1.0, 0, 0])[:, None, None]
    out[..., SPOT, SPOT] += strength * (red - out[..., SPOT, SPOT])
    return out


MASKS = torch.zeros(COUNT, 1, 112, 112)
MASKS[..., 28:84, 28:84] = 1


def taught(judge: Judge, steps: int = 60) -> tuple[float, float]:
    """The critic's loss before and after it has learnt that spots are no photographs."""
    optimiser, losses = torch.optim.AdamW(judge.critic.parameters(), 3e-3), []
    for step in range(steps):
        real = photographs(step)
        loss = critic_loss(judge, real, with_spots(photographs(1000 + step)), MASKS, Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses[0], sum(losses[-5:]) / 5


def test_it_learns_what_gives_a_face_away_and_the_slope_takes_it_out(judge: Judge) -> None:
    first, last = taught(judge)
    assert first == pytest.approx(2, abs=0.1) and last < 1
    strength = torch.full((), 0.9, requires_grad=True)
    slopes = []
    for seed in range(4):
        loss = natural_loss(judge, with_spots(photographs(5000 + seed), strength), MASKS, Generator().manual_seed(seed))  # type: ignore[arg-type]
        slopes.append(float(torch.autograd.grad(loss, strength)[0]))
    assert min(slopes) > 0, "a stronger spot is seen more plainly"


def test_each_loss_teaches_its_own_side_only(judge: Judge) -> None:
    crops = photographs(0).requires_grad_(True)
    critic_loss(judge, photographs(1), crops, MASKS, Generator().manual_seed(0)).backward()
    assert crops.grad is None and all(p.grad is not None for p in judge.critic.parameters())
    judge.critic.zero_grad(set_to_none=True)
    natural_loss(judge, crops, MASKS, Generator().manual_seed(0)).backward()
    assert crops.grad is not None and float(crops.grad.abs().max()) > 0
    assert all(p.grad is None for p in (*judge.critic.parameters(), *judge.eye.parameters()))


def test_only_what_lies_in_the_mask_is_judged(judge: Judge) -> None:
    taught(judge, 20)
    nowhere = torch.zeros_like(MASKS)
    assert float(natural_loss(judge, photographs(0), nowhere, Generator().manual_seed(0))) == 0


def test_the_balance_is_that_of_the_slopes() -> None:
    at = torch.tensor([3.0, 4.0], requires_grad=True)
    assert float(balance((2 * at).sum(), (0.5 * at).sum(), at)) == pytest.approx(4)
    assert float(balance(at.sum(), 0 * at.sum(), at)) == MOST, "no division by nothing"


def test_without_its_features_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="eye.safetensors"):
        Judge.load(tmp_path / "eye.safetensors")
