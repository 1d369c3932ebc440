"""Identity VAE: the space in which identities are sampled.

An MLP encodes a unit identity embedding to a Gaussian in R^d and decodes a latent to a unit embedding
(Kingma & Welling, arXiv 1312.6114). The embeddings' mean is taken off first: they share a common component.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Generator, Tensor, nn

from ..errors import ShapeError


class IdentityVAE(ModelMixin, ConfigMixin):
    """Embeddings [B, embedding_dim] <-> latents [B, latent_dim] (even, so that keyed mapping exists)."""

    @register_to_config
    def __init__(self, embedding_dim: int = 128, latent_dim: int = 64, width: int = 512) -> None:
        super().__init__()
        if latent_dim % 2:
            raise ShapeError(f"latent_dim is {latent_dim}; it must be even for keyed orthogonal mapping")
        self.register_buffer("mean", torch.zeros(embedding_dim))
        # Gaussian of the aggregate posterior, measured after training: at a small beta it is not the unit one
        self.register_buffer("prior_mean", torch.zeros(latent_dim))
        self.register_buffer("prior_factor", torch.eye(latent_dim))
        self.encoder = _mlp(embedding_dim, width, 2 * latent_dim)
        self.decoder = _mlp(latent_dim, width, embedding_dim)

    def encode(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Unit embeddings [B, E] -> (mu, log variance), [B, L] each."""
        mu, logvar = self.encoder((embeddings - self.mean) * self.mean.numel() ** 0.5).chunk(2, dim=-1)
        return mu, logvar.clamp(-8, 4)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, L] -> unit embeddings [B, E]."""
        return F.normalize(self.decoder(latents) * self.mean.numel() ** -0.5 + self.mean, dim=-1)

    def sample(self, count: int, generator: Generator, temperature: float = 1.0) -> Tensor:
        """Latents of random identities, [count, L]."""
        noise = torch.randn(count, self.prior_mean.numel(), generator=generator)
        return self.prior_mean.cpu() + temperature * noise @ self.prior_factor.cpu().T

    def loss(self, embeddings: Tensor, beta: float, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(total, 1 - cos, KL per dimension) of a batch."""
        mu, logvar = self.encode(embeddings)
        noise = torch.randn(mu.shape, generator=generator)
        decoded = self.decode(mu + (0.5 * logvar).exp() * noise)
        error = (1 - (decoded * embeddings).sum(dim=-1)).mean()
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
        return error + beta * kl, error, kl


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
    )
