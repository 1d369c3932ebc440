"""A critic of finished pictures: what in a face put into a photograph gives it away as not belonging there.

Recognisers and readers of attributes are blind to a lock of hair on a forehead, smeared lips or a blotch of another tone. The
critic sees frozen features of AlexNet, which say more about texture and colour than about people, and learns to tell photographs
from photographs with new faces in them; the refiner learns to be taken for the former (projected discriminators, Sauer et al.
2021, arXiv 2111.01007). Grain and sharpness, which the paste matches afterwards, are taken from both before they are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..perceptual import PerceptualDistance, load_perceptual
from .loop import seeded
from .picture_reader import CROP, cut, jittered

COARSE = 2  # pixels of the crop that become one
WIDTH = 64  # channels of each head
SURE = 1.0  # a judgement beyond it is not made surer
LEAST_SLOPE, MOST = 1e-12, 1e4  # a critic that sees nothing is not made to scream


class CriticEye(nn.Module):
    """Frozen features of crops [B, 3, 112, 112] in 0..1 without what the paste matches.

    Five maps of unit vectors, times the root of their length, so that the heads see numbers of about 1.
    """

    def __init__(self, network: PerceptualDistance) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, crops: Tensor) -> list[Tensor]:
        coarse = F.avg_pool2d(crops, COARSE)
        seen = F.interpolate(coarse, scale_factor=COARSE, mode="bilinear", align_corners=False)
        return [unit * unit.shape[1] ** 0.5 for unit in self.network.maps(2 * seen - 1)]


class Critic(nn.Module):
    """A judgement for each place of each map: above 0 a photograph, below it a face that was put there.

    widths: channels of the maps, see `PerceptualDistance`.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, WIDTH, 1), nn.LeakyReLU(0.2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.LeakyReLU(0.2),
                nn.Conv2d(WIDTH, 1, 1),
            )
            for width in widths
        )  # fmt: skip

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """[B, 1, H, W] for each of the maps [B, C, H, W]."""
        return [head(seen) for head, seen in zip(self.heads, maps, strict=True)]


@dataclass(frozen=True)
class Judge:
    """A critic and what it sees with. Only the former is trained."""

    critic: Critic
    eye: CriticEye

    @classmethod
    def load(cls, path: Path, seed: int = 0) -> Judge:
        """Untrained, with the features of a file for `load_perceptual`. Raises AssetMissingError, ConfigError."""
        network = load_perceptual(path)
        with seeded(seed):
            return cls(Critic(network.widths), CriticEye(network))

    def to(self, device: torch.device) -> Judge:
        return Judge(self.critic.to(device), self.eye.to(device))


def critic_loss(judge: Judge, real: Tensor, composed: Tensor, masks: Tensor, rng: Generator) -> Tensor:
    """The hinge loss that the critic learns with (arXiv 1705.02894); gradients reach the critic only.

    real, composed: [B, 3, 112, 112] in 0..1; masks: [B, 1, 112, 112], where they differ.
    """
    with torch.no_grad():
        seen = [_seen(judge.eye, crops, masks, rng) for crops in (real, composed)]
    (real_maps, real_masks), (new_maps, new_masks) = seen
    missed = _where([F.relu(SURE - x) for x in judge.critic(real_maps)], real_masks)
    return missed + _where([F.relu(SURE + x) for x in judge.critic(new_maps)], new_masks)


def natural_loss(judge: Judge, composed: Tensor, masks: Tensor, rng: Generator) -> Tensor:
    """How plainly the critic sees that a face was put there; gradients reach `composed` only."""
    maps, seen_masks = _seen(judge.eye, composed, masks, rng)
    fixed = {name: value.detach() for name, value in judge.critic.named_parameters()}
    return -_where(torch.func.functional_call(judge.critic, fixed, (maps,)), seen_masks)


def balance(loss: Tensor, other: Tensor, at: Tensor) -> Tensor:
    """What makes the slope of `other` at the tensor `at` as steep as that of `loss` (Esser et al. 2020, arXiv 2012.09841)."""
    steep, shallow = (torch.autograd.grad(x, at, retain_graph=True)[0].float().norm() for x in (loss, other))
    return (steep / shallow.clamp_min(LEAST_SLOPE)).clamp_max(MOST).detach()


def _seen(eye: CriticEye, crops: Tensor, masks: Tensor, rng: Generator) -> tuple[list[Tensor], Tensor]:
    """Maps of the crops a little elsewhere, half of them mirrored, so that no pixel is learnt by heart; the masks likewise."""
    same = crops.new_tensor([[1.0, 0, 0], [0, 1, 0]]).expand(len(crops), -1, -1)
    both = cut(torch.cat((crops, masks.to(crops)), dim=1), jittered(same, rng), CROP, 1)
    return eye(both[:, :3]), both[:, 3:].detach()


def _where(judged: list[Tensor], masks: Tensor) -> Tensor:
    """Mean over the maps, each where the mask is."""
    total = masks.new_zeros(())
    for rows in judged:
        weight = F.interpolate(masks, rows.shape[2:], mode="area")
        total = total + (rows * weight).sum() / weight.sum().clamp_min(1.0)
    return total / len(judged)
