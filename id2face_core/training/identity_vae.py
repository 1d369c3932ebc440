"""Stage `identity`, second half: the Identity VAE on a set of unit embeddings."""

from __future__ import annotations

import time

import torch
from torch import Generator, Tensor

from ..identity.vae import IdentityVAE

BETA = 0.003  # per dimension; the KL is annealed to it over the first third


def train_vae(embeddings: Tensor, seconds: float, seed: int = 0, latent_dim: int = 64, batch: int = 512) -> IdentityVAE:
    """Train on unit embeddings [N, E] for a time."""
    torch.manual_seed(seed)  # only for the initial weights
    model = IdentityVAE(embeddings.shape[1], latent_dim)
    model.mean.copy_(embeddings.mean(dim=0))
    generator = Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    start = time.monotonic()
    while (progress := (time.monotonic() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 2e-3 * (1 - progress) + 2e-5
        for _ in range(10):
            rows = embeddings[torch.randint(len(embeddings), (batch,), generator=generator)]
            loss, _, _ = model.loss(rows, BETA * min(1.0, 3 * progress + 0.05), generator)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval().requires_grad_(False)
    model.calibrate(embeddings)
    return model


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
