"""Takes off a style code what the paste cannot use: hair on the forehead, a beard that the source has not, hard shadows; puts on
the beard and the glasses that the source wears.

What a rendering shows beside skin, see `photograph.coverage`, is about linear in the style code. A code that shall show less of
it is moved to the nearest one, by the measure of the residual's own Gaussian (`ConditionalMean`): that is the conditional mean
given the other reading, in closed form, as linear edits of arXiv 2005.09635 are, with the covariance of what identity and
attributes leave open in place of the unit matrix. So both hardly change.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from .. import regression
from .closed_form import ConditionalMean

PLAINEST, FULLEST = 0.03, 0.99  # quantiles of what was measured; nothing beyond them is asked for
RIDGE = 1e-4  # of a reader's own power: zones that are read by nearly the same direction
REACH = 10.0  # standard deviations of the residual, at most


class StyleGroomer(ModelMixin, ConfigMixin):
    """Linear readers of coverage: style codes [B, G, D] -> its square roots [B, Z]."""

    @register_to_config
    def __init__(self, num_groups: int = 3, style_dim: int = 512, zones: int = 7) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(num_groups, style_dim))
        self.register_buffer("weight", torch.zeros(num_groups, style_dim, zones))
        self.register_buffer("offset", torch.zeros(zones))
        self.register_buffer("range", torch.tensor([[0.0], [1e3]]).repeat(1, zones))  # roots: plainest and fullest

    def forward(self, codes: Tensor) -> Tensor:
        return torch.einsum("bgd,gdz->bz", codes - self.centre, self.weight) + self.offset

    def misread(self, codes: Tensor, coverage: Tensor) -> Tensor:
        """By how much more than is read of codes [B, G, D] their renderings show, whose coverage is [B, Z]: roots [B, Z]."""
        return coverage.clamp_min(0).sqrt() - self(codes)

    @torch.no_grad()
    def fit(
        self, codes: Tensor, coverage: Tensor, mean: ConditionalMean, ridge: float = 500.0, others: Tensor | None = None,
        coarse: Sequence[int] = (),
    ) -> StyleGroomer:  # fmt: skip
        """Ridge regression in the whitened space of a residual: codes [N, G, D], coverage [N, Z].

        others: bool [N], rows of another kind than the codes that are groomed: they tell how zones change with codes, not where
            they lie. None: none is. coarse: zones that are read off the first group alone.
        """
        usual = torch.ones(len(codes), dtype=torch.bool) if others is None else ~others
        roots, white = coverage.clamp_min(0).sqrt().double(), mean.whiten_map.double()
        x, y = torch.einsum("bgd,gde->bge", codes.double(), white), roots.clone()
        for kind in (usual, ~usual):
            if kind.any():
                x[kind], y[kind] = x[kind] - x[kind].mean(dim=0), y[kind] - y[kind].mean(dim=0)
        self.centre.copy_(codes[usual].mean(dim=0))
        self.offset.copy_(roots[usual].mean(dim=0))
        self.range.copy_(roots.quantile(torch.tensor([PLAINEST, FULLEST], dtype=roots.dtype), dim=0))
        slope = regression.ridge(x.flatten(1), y, ridge).view(*codes.shape[1:], -1)
        for zone in coarse:
            slope[:, :, zone] = 0
            slope[0, :, zone] = regression.ridge(x[:, 0], y[:, zone : zone + 1], ridge)[:, 0]
        self.weight.copy_(torch.einsum("gde,gez->gdz", white, slope))
        return self

    def groom(self, codes: Tensor, limits: Tensor, mean: ConditionalMean, hidden: Tensor | None = None) -> Tensor:
        """Codes [K, G, D] whose coverage lies between limits [2, Z], least and most.

        hidden: [Z], by how much more a rendering of such a code showed than was read, see `misread`.
        """
        low, high = limits.clamp_min(0).sqrt().to(codes)
        low, high = low.minimum(self.range[1]), high.maximum(self.range[0])
        shown = self(codes) if hidden is None else self(codes) + hidden
        change = shown.clamp(low.minimum(high), high) - shown  # [K, Z]
        slope = torch.einsum("gde,gez->gdz", mean.colour, self.weight).flatten(0, 1)  # by whitened residuals
        active = (change != 0).to(codes)
        gram = active[:, :, None] * (slope.mT @ slope) * active[:, None]
        gram = gram + torch.diag_embed(1 - active) + RIDGE * torch.diag_embed(gram.diagonal(dim1=1, dim2=2))
        step = torch.linalg.solve(gram, change) @ slope.mT
        step = step * (REACH / step.norm(dim=1, keepdim=True).clamp_min(REACH))
        return codes + torch.einsum("bgd,gde->bge", step.view_as(codes), mean.colour)
