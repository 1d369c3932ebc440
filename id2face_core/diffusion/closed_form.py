"""The conditional mean of the style code given identity and attributes, in closed form.

Ridge regression c -> w with the Gaussian of its residuals. Diffusion runs on the whitened residual (as PriorGrad, arXiv
2106.06406, and CARD, arXiv 2206.07275, do), so an untrained denoiser with output zero already samples this Gaussian.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from .. import regression
from ..errors import ShapeError


class ConditionalMean(ModelMixin, ConfigMixin):
    """w | c ~ N(A standardise(c) + b, L L^T), a Gaussian a group of styles.

    Args:
        condition_dim: length of c = [identity latent, attributes].
        num_groups, style_dim: the style code is [num_groups, style_dim].
        clamp: conditions are clamped to this many standard deviations of the table: an extrapolated
            feature breaks the picture.
    """

    @register_to_config
    def __init__(self, condition_dim: int = 135, num_groups: int = 3, style_dim: int = 512, clamp: float = 2.5) -> None:
        super().__init__()
        self.clamp = clamp
        self.register_buffer("centre", torch.zeros(condition_dim))
        self.register_buffer("spread", torch.ones(condition_dim))
        self.register_buffer("slope", torch.zeros(condition_dim, num_groups * style_dim))
        self.register_buffer("offset", torch.zeros(num_groups, style_dim))
        self.register_buffer("colour", torch.eye(style_dim).repeat(num_groups, 1, 1))
        self.register_buffer("whiten_map", torch.eye(style_dim).repeat(num_groups, 1, 1))

    def standardise(self, condition: Tensor) -> Tensor:
        """c [B, C] in its own units -> standard deviations of the table, clamped."""
        if condition.ndim != 2 or condition.shape[1] != self.centre.numel():
            raise ShapeError(f"condition has shape {tuple(condition.shape)}; expected [B, {self.centre.numel()}]")
        return ((condition - self.centre) / self.spread).clamp(-self.clamp, self.clamp)

    def forward(self, standard: Tensor) -> Tensor:
        """Standardised condition [B, C] -> mean style code [B, G, D]."""
        return self.offset + (standard @ self.slope).view(-1, *self.offset.shape)

    def along(self, conditions: slice) -> Tensor:
        """By how much the mean style code changes with a standard deviation of each of some conditions, [C', G, D]."""
        return self.slope[conditions].view(-1, *self.offset.shape)

    def radius(self) -> Tensor:
        """Root mean square distance of a table's style codes from `offset`, group by group: [G]."""
        explained = self.slope.view(-1, *self.offset.shape).square().sum(dim=(0, 2))
        return (explained + self.colour.square().sum(dim=(1, 2))).sqrt()

    def whiten(self, codes: Tensor, standard: Tensor) -> Tensor:
        """Style codes -> residual with unit covariance, [B, G, D]."""
        return torch.einsum("bgd,gde->bge", codes - self(standard), self.whiten_map)

    def unwhiten(self, residual: Tensor, standard: Tensor) -> Tensor:
        """Inverse of `whiten`."""
        return self(standard) + torch.einsum("bgd,gde->bge", residual, self.colour)

    @torch.no_grad()
    def fit(self, condition: Tensor, codes: Tensor, ridge: float = 30.0, floor: float = 0.02) -> ConditionalMean:
        """Fit from a table.

        Args:
            condition: [N, C] in its own units.
            codes: [N, G, D].
            ridge: added to the diagonal of the normal equations (conditions have unit variance).
            floor: least standard deviation of a residual direction, relative to the greatest.
        """
        self.centre.copy_(condition.mean(dim=0))
        self.spread.copy_(condition.std(dim=0).clamp_min(1e-4))
        x, mean = self.standardise(condition).double(), codes.mean(dim=0)
        y = (codes - mean).flatten(1).double()
        centre = x.mean(dim=0)
        x = x - centre
        slope = regression.ridge(x, y, ridge)
        self.slope.copy_(slope)
        self.offset.copy_(mean - (centre @ slope).view_as(mean))
        residual = (codes - self(self.standardise(condition))).double()
        for g in range(codes.shape[1]):
            covariance = residual[:, g].T @ residual[:, g] / len(codes)
            value, vector = torch.linalg.eigh(covariance)
            deviation = value.clamp_min(float(value[-1]) * floor**2).sqrt()
            self.colour[g] = (vector * deviation).T
            self.whiten_map[g] = vector / deviation
        return self
