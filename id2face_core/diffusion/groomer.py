"""Takes off a style code what the paste cannot use: hair on the forehead, a beard that the source has not, hard shadows; puts on
the beard and the glasses that the source wears; turns the head to where the source's is.

Pose, and what a rendering shows beside skin, see `photograph.coverage`, are about linear in the style code. A code that shall
show something else is moved to the nearest one, by the measure of the residual's own Gaussian (`ConditionalMean`): that is the
conditional mean given the other reading, in closed form, as linear edits of arXiv 2005.09635 are, with the covariance of what
identity and attributes leave open in place of the unit matrix. So both hardly change. Pose is no part of what they leave open:
heads turn along the mean's own slope.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from .. import regression
from .closed_form import ConditionalMean

PLAINEST, FULLEST, TURNED = 0.03, 0.99, 0.998  # quantiles of what was measured; nothing beyond them is asked for
RIDGE = 1e-4  # of a reader's own power: zones that are read by nearly the same direction
REACH = 10.0  # standard deviations of the residual, at most
EASE = 30.0  # a standard deviation of pose counts as so small a part of one of the residual


def look(pose: Tensor, coverage: Tensor) -> Tensor:
    """What is about linear in codes, [..., R]: pose [..., P] in degrees, and the square roots of coverage [..., Z]."""
    return torch.cat((pose, coverage.clamp_min(0).sqrt()), dim=-1)


class StyleGroomer(ModelMixin, ConfigMixin):
    """Linear readers: style codes [B, G, D] -> how their renderings look [B, R], see `look`."""

    @register_to_config
    def __init__(self, num_groups: int = 3, style_dim: int = 512, readings: int = 9, poses: int = 2) -> None:
        super().__init__()
        self.register_buffer("turns", torch.zeros(poses, num_groups, style_dim))  # how codes change with pose
        self.register_buffer("centre", torch.zeros(num_groups, style_dim))
        self.register_buffer("weight", torch.zeros(num_groups, style_dim, readings))
        self.register_buffer("offset", torch.zeros(readings))
        self.register_buffer("range", torch.tensor([[-1e3], [1e3]]).repeat(1, readings))  # least and most that was seen

    def forward(self, codes: Tensor) -> Tensor:
        return torch.einsum("bgd,gdr->br", codes - self.centre, self.weight) + self.offset

    def misread(self, codes: Tensor, shown: Tensor) -> Tensor:
        """By how much more than is read of codes [B, G, D] their renderings show, which look [B, R]."""
        return shown - self(codes)

    @torch.no_grad()
    def fit(
        self, codes: Tensor, shown: Tensor, mean: ConditionalMean, turns: Tensor, ridge: float = 500.0,
        others: Tensor | None = None, coarse: Sequence[int] = (),
    ) -> StyleGroomer:  # fmt: skip
        """Ridge regression in the whitened space of a residual: codes [N, G, D], whose renderings look [N, R].

        turns: [P, G, D], how codes change with a standard deviation of each pose, see `ConditionalMean.along`. others: bool [N],
            rows of another kind than the codes that are groomed: they tell how looks change with codes, not where they lie.
            None: none is. coarse: readings that hang on the first group alone.
        """
        usual = torch.ones(len(codes), dtype=torch.bool) if others is None else ~others
        looks, white = shown.double(), mean.whiten_map.double()
        x, y = torch.einsum("bgd,gde->bge", codes.double(), white), looks.clone()
        for kind in (usual, ~usual):
            if kind.any():
                x[kind], y[kind] = x[kind] - x[kind].mean(dim=0), y[kind] - y[kind].mean(dim=0)
        self.turns.copy_(turns)
        self.centre.copy_(codes[usual].mean(dim=0))
        self.offset.copy_(looks[usual].mean(dim=0))
        quantiles = looks.new_tensor([[1 - TURNED, TURNED], [PLAINEST, FULLEST]])
        parts = zip(looks.tensor_split([len(turns)], dim=1), quantiles, strict=True)
        self.range.copy_(torch.cat([part.quantile(at, dim=0) for part, at in parts], dim=1))
        slope = regression.ridge(x.flatten(1), y, ridge).view(*codes.shape[1:], -1)
        for reading in coarse:
            slope[:, :, reading] = 0
            slope[0, :, reading] = regression.ridge(x[:, 0], y[:, reading : reading + 1], ridge)[:, 0]
        self.weight.copy_(torch.einsum("gde,gez->gdz", white, slope))
        return self

    def groom(self, codes: Tensor, limits: Tensor, mean: ConditionalMean, hidden: Tensor | None = None) -> Tensor:
        """Codes [K, G, D] that look as they shall: between limits [K, 2, R], least and most.

        hidden: [R], by how much more a rendering of such a code showed than was read, see `misread`.
        """
        low, high = limits.to(codes).unbind(dim=1)
        low, high = low.minimum(self.range[1]), high.maximum(self.range[0])
        shown = self(codes) if hidden is None else self(codes) + hidden
        change = shown.clamp(low.minimum(high), high) - shown  # [K, R]
        turned = EASE * self.turns.flatten(1)
        by_residual = torch.einsum("gde,ger->gdr", mean.colour, self.weight).flatten(0, 1)
        slope = torch.cat((by_residual, turned @ self.weight.flatten(0, 1)))
        active = (change != 0).to(codes)
        active[:, : len(turned)] = 1  # turning is cheap: no head is turned for its hair's sake
        gram = active[:, :, None] * (slope.mT @ slope) * active[:, None]
        gram = gram + torch.diag_embed(1 - active) + RIDGE * torch.diag_embed(gram.diagonal(dim1=1, dim2=2))
        step = torch.linalg.solve(gram, change) @ slope.mT
        step = step * (REACH / step.norm(dim=1, keepdim=True).clamp_min(REACH))
        rest, turn = step.split((len(by_residual), len(turned)), dim=1)
        return codes + torch.einsum("bgd,gde->bge", rest.view_as(codes), mean.colour) + (turn @ turned).view_as(codes)
