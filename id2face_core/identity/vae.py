"""Identity VAE: the space in which identities are sampled.

An MLP encodes a unit identity embedding to a Gaussian in R^d and decodes a latent to a unit embedding
(Kingma & Welling, arXiv 1312.6114). The embeddings' mean is taken off first: they share a common component.

With a small KL weight the aggregate posterior is not the unit Gaussian, so latents are whitened by its measured mean and
covariance. In these latents a random identity is N(0, I), a cosine compares people and not what all of them share, and a
rotation (`orthogonal.KeyedOrthogonal`) turns random people into random people.
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
        self.register_buffer("posterior_mean", torch.zeros(latent_dim))
        self.register_buffer("colour", torch.eye(latent_dim))
        self.register_buffer("whiten", torch.eye(latent_dim))
        self.encoder = _mlp(embedding_dim, width, 2 * latent_dim)
        self.decoder = _mlp(latent_dim, width, embedding_dim)

    def posterior(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Unit embeddings [B, E] -> (mu, log variance), [B, L] each, before whitening."""
        mu, logvar = self.encoder((embeddings - self.mean) * self.mean.numel() ** 0.5).chunk(2, dim=-1)
        return mu, logvar.clamp(-8, 4)

    def encode(self, embeddings: Tensor) -> Tensor:
        """Unit embeddings [B, E] -> latents [B, L], the posterior's mean; over people about N(0, I)."""
        return (self.posterior(embeddings)[0] - self.posterior_mean) @ self.whiten

    def draw(self, embeddings: Tensor, generator: Generator, spread: float = 1.0) -> Tensor:
        """Latents [B, L] drawn from the posterior, its deviation scaled by `spread`."""
        mu, logvar = self.posterior(embeddings)
        noise = spread * (0.5 * logvar).exp() * torch.randn(mu.shape, generator=generator, device=generator.device)
        return (mu + noise - self.posterior_mean) @ self.whiten

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, L] -> unit embeddings [B, E]."""
        return self._decode(self.posterior_mean + latents @ self.colour)

    def _decode(self, raw: Tensor) -> Tensor:
        return F.normalize(self.decoder(raw) * self.mean.numel() ** -0.5 + self.mean, dim=-1)

    def sample(self, count: int, generator: Generator, temperature: float = 1.0) -> Tensor:
        """Latents of random identities, [count, L]."""
        return temperature * torch.randn(count, self.posterior_mean.numel(), generator=generator)

    def loss(self, embeddings: Tensor, beta: float, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(total, 1 - cos, KL per dimension) of a batch."""
        mu, logvar = self.posterior(embeddings)
        noise = torch.randn(mu.shape, generator=generator, device=generator.device)
        decoded = self._decode(mu + (0.5 * logvar).exp() * noise)
        error = (1 - (decoded * embeddings).sum(dim=-1)).mean()
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
        return error + beta * kl, error, kl

    @torch.no_grad()
    def calibrate(self, embeddings: Tensor) -> None:
        """Measure the aggregate posterior on unit embeddings [N, E] of many people: its whitening is the latents' unit."""
        mu, logvar = self.posterior(embeddings)
        self.posterior_mean.copy_(mu.mean(dim=0))
        centred = (mu - self.posterior_mean).double()
        covariance = centred.T @ centred / len(mu) + torch.diag(logvar.exp().mean(dim=0)).double()
        value, vector = torch.linalg.eigh(covariance)
        deviation = value.clamp_min(1e-8).sqrt()
        self.colour.copy_((vector * deviation).T)
        self.whiten.copy_(vector / deviation)


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
    )
