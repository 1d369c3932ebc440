"""A surrogate of "render, then measure": style code -> (identity embedding, attributes).

It makes the recomposition losses affordable without a decoder in the loop and ranks candidates before one is rendered.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class StyleSurrogate(ModelMixin, ConfigMixin):
    """MLP with a linear bypass. Style codes [B, G, D] -> unit identity [B, I], standardised attributes [B, A]."""

    @register_to_config
    def __init__(
        self,
        num_groups: int = 3,
        style_dim: int = 512,
        identity_dim: int = 128,
        num_attributes: int = 71,
        width: int = 768,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.identity_dim = identity_dim
        inputs, outputs = num_groups * style_dim, identity_dim + num_attributes
        self.register_buffer("centre", torch.zeros(num_groups, style_dim))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("attribute_mean", torch.zeros(num_attributes))
        self.register_buffer("attribute_std", torch.ones(num_attributes))
        self.register_buffer("reliability", torch.ones(num_attributes))  # held-out R² in 0..1
        self.linear = nn.Linear(inputs, outputs)
        self.mlp = nn.Sequential(
            nn.Linear(inputs, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width), nn.GELU(),
            nn.Dropout(dropout), nn.Linear(width, outputs),
        )  # fmt: skip

    def standardise(self, attributes: Tensor) -> Tensor:
        """Attributes [B, A] in their own units -> standard deviations of the table, clamped."""
        return ((attributes - self.attribute_mean) / self.attribute_std).clamp(-4, 4)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        x = ((codes - self.centre) / self.spread).flatten(1)
        out = self.linear(x) + self.mlp(x)
        return F.normalize(out[:, : self.identity_dim], dim=1), out[:, self.identity_dim :]
