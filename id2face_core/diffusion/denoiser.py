"""The denoiser: a small transformer over the style tokens, predicting v of the whitened residual.

v-prediction (Salimans & Ho, arXiv 2202.00512) of a unit Gaussian is zero, so with its output layer
at zero the network *is* the closed form, and training only adds what a Gaussian cannot say.
"""

from __future__ import annotations

from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from .harmonizer import HarmonizerAttnProcessor


class AdaLayerNorm(nn.Module):
    """Layer norm whose scale and shift come from the time embedding (DiT, arXiv 2212.09748)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.affine = nn.Linear(dim, 2 * dim)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.affine(time)[:, None].chunk(2, dim=-1)
        return self.norm(x) * (1 + scale) + shift


class Block(nn.Module):
    """Self-attention over style tokens, harmonizer attention to the conditions, MLP."""

    def __init__(self, dim: int, heads: int, num_identity_tokens: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = AdaLayerNorm(dim), AdaLayerNorm(dim), AdaLayerNorm(dim)
        self.attention = Attention(dim, heads=heads, dim_head=dim // heads)
        self.harmonizer = Attention(
            dim,
            cross_attention_dim=dim,
            heads=heads,
            dim_head=dim // heads,
            processor=HarmonizerAttnProcessor(dim, num_identity_tokens),
        )
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, tokens: Tensor, time: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x, time))
        x = x + self.harmonizer(self.norm2(x, time), encoder_hidden_states=tokens)
        return x + self.mlp(self.norm3(x, time))


class StyleDenoiser(ModelMixin, ConfigMixin):
    """v(x_t, t, identity, attributes) over the style tokens.

    Args:
        num_groups, style_dim: x is [B, num_groups, style_dim].
        identity_dim: length of the identity latent.
        attribute_groups: lengths of the groups of attributes; each becomes one token.
        width, depth, heads: the transformer.
        num_identity_tokens: the identity latent becomes so many tokens.
    """

    @register_to_config
    def __init__(
        self,
        num_groups: int = 3,
        style_dim: int = 512,
        identity_dim: int = 64,
        attribute_groups: tuple[int, ...] = (2, 2, 52, 3, 12),
        width: int = 256,
        depth: int = 3,
        heads: int = 4,
        num_identity_tokens: int = 4,
    ) -> None:
        super().__init__()
        self.attribute_groups = tuple(attribute_groups)
        self.inlet = nn.Linear(style_dim, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, num_groups, width))
        self.identity_tokens = nn.Linear(identity_dim, num_identity_tokens * width)
        self.attribute_tokens = nn.ModuleList(nn.Linear(n, width) for n in self.attribute_groups)
        self.null_identity = nn.Parameter(torch.zeros(1, num_identity_tokens, width))
        self.null_attributes = nn.Parameter(torch.zeros(1, len(self.attribute_groups), width))
        self.time = TimestepEmbedding(256, width)
        self.blocks = nn.ModuleList(Block(width, heads, num_identity_tokens) for _ in range(depth))
        self.norm = AdaLayerNorm(width)
        self.outlet = nn.Linear(width, style_dim)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    def tokens(
        self, identity: Tensor, attributes: Tensor, drop_identity: Tensor | None, drop_attributes: Tensor | None
    ) -> Tensor:
        """Standardised conditions -> tokens [B, I + A, width]; `drop_*` [B] bool replaces them by the learned null."""
        width = self.null_identity.shape[-1]
        id_tokens = self.identity_tokens(identity).view(len(identity), -1, width)
        parts = attributes.split(self.attribute_groups, dim=1)
        attr_tokens = torch.stack([f(p) for f, p in zip(self.attribute_tokens, parts, strict=True)], dim=1)
        if drop_identity is not None:
            id_tokens = torch.where(drop_identity[:, None, None], self.null_identity, id_tokens)
        if drop_attributes is not None:
            attr_tokens = torch.where(drop_attributes[:, None, None], self.null_attributes, attr_tokens)
        return torch.cat((id_tokens, attr_tokens), dim=1)

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        identity: Tensor,
        attributes: Tensor,
        drop_identity: Tensor | None = None,
        drop_attributes: Tensor | None = None,
    ) -> Tensor:
        """Predict v.

        Args:
            x: [B, G, D] noisy whitened residual.
            timestep: [B], 0..999.
            identity: [B, identity_dim]; attributes: [B, sum(attribute_groups)]; both standardised.
            drop_identity, drop_attributes: [B] bool, rows that lose a condition (identity-masked learning).
        """
        tokens = self.tokens(identity, attributes, drop_identity, drop_attributes)
        time = self.time(get_timestep_embedding(timestep, 256).to(x.dtype))
        h = self.inlet(x) + self.position
        for block in self.blocks:
            h = block(h, tokens, time)
        return self.outlet(self.norm(h, time))

    def gate_maps(self) -> Tensor | None:
        """Gates of the last call, [depth, B, G] (see `HarmonizerAttnProcessor`), or None before any call."""
        maps = [block.harmonizer.processor.gate_map for block in cast("list[Block]", list(self.blocks))]
        return None if any(m is None for m in maps) else torch.stack(maps)
