"""Stage `identity`, second half: the Identity VAE on a set of unit embeddings."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ..identity.vae import IdentityVAE
from .loop import seeded


class VaeTask:
    """(1 - cos) + kl * KL per dimension on unit embeddings [N, E] (Kingma & Welling, arXiv 1312.6114)."""

    name = "vae"

    def __init__(
        self, embeddings: Tensor, latent_dim: int = 96, width: int = 512, kl: float = 0.003, device: torch.device | None = None,
        seed: int = 0,
    ) -> None:  # fmt: skip
        with seeded(seed):
            self.model = IdentityVAE(embeddings.shape[1], latent_dim, width)
        self.model.mean.copy_(embeddings.mean(dim=0))
        self._embeddings, self._kl = embeddings.to(device), kl

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        rows = self._embeddings[torch.randint(len(self._embeddings), (batch,), generator=rng, device=rng.device)]
        _, error, divergence = self.model.loss(rows, self._kl, rng)
        return {"cosine": error.float(), "kl": self._kl * divergence.float()}


@torch.no_grad()
def vae_figures(model: IdentityVAE, train: Tensor, held_out: Tensor, seed: int = 0) -> dict[str, float]:
    """Held-out reconstruction cosine and spread; nearest training cosine of samples and of held-out people (medians, 99 %)."""
    latents = model.encode(held_out)
    drawn = model.decode(model.sample(len(held_out), Generator().manual_seed(seed)))
    near_sample, near_real = (x @ train.T for x in (drawn, held_out))
    sample_best, real_best = near_sample.max(dim=1).values, near_real.max(dim=1).values
    pairs = drawn @ drawn.roll(1, dims=0).T
    return {
        "reconstruction_cosine": float((model.decode(latents) * held_out).sum(dim=1).mean()),
        "latent_std": float(latents.std()),
        "sample_nearest_median": float(sample_best.median()),
        "sample_nearest_p99": float(sample_best.quantile(0.99)),
        "real_nearest_median": float(real_best.median()),
        "real_nearest_p99": float(real_best.quantile(0.99)),
        "sample_pair_mean": float(pairs.diagonal().mean()),
        "sample_pair_std": float(pairs.diagonal().std()),
        "real_pair_std": float((held_out * held_out.roll(1, dims=0)).sum(dim=1).std()),
    }
