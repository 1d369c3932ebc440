"""What an identity embedding says by itself about age, sex and skin, and sampling identities that agree with a wish.

A freely sampled identity changes all three, so a child's face lands under an old man's hair. Candidates are drawn from
the prior and the ones whose own traits fit best are kept; the choice among those is random.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Generator, Tensor


class IdentityTraits(ModelMixin, ConfigMixin):
    """Ridge regression from unit embeddings [B, E] to standardised traits [B, T] (which attributes: `indices`)."""

    @register_to_config
    def __init__(self, embedding_dim: int = 128, indices: tuple[int, ...] = (56, 57, 59, 60, 61)) -> None:
        super().__init__()
        count = len(indices)
        self.register_buffer("centre", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.register_buffer("weight", torch.zeros(embedding_dim, count))
        self.register_buffer("bias", torch.zeros(count))
        self.register_buffer("error", torch.ones(count))  # residual deviation: how much each trait can be trusted

    def forward(self, embeddings: Tensor) -> Tensor:
        return embeddings @ self.weight + self.bias

    def wanted(self, attributes: Tensor) -> Tensor:
        """The traits among an attribute vector [B, A], standardised and clamped to the range of training."""
        return ((attributes[:, list(self.config.indices)] - self.centre) / self.spread).clamp(-2.5, 2.5)

    @torch.no_grad()
    def fit(self, embeddings: Tensor, attributes: Tensor, ridge: float = 1.0) -> IdentityTraits:
        """Fit on a table: embeddings [N, E], attributes [N, A]."""
        traits = attributes[:, list(self.config.indices)]
        self.centre.copy_(traits.mean(dim=0))
        self.spread.copy_(traits.std(dim=0).clamp_min(1e-4))
        y, x = self.wanted(attributes), embeddings - embeddings.mean(dim=0)
        weight = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ (y - y.mean(dim=0)))
        self.weight.copy_(weight)
        self.bias.copy_(y.mean(dim=0) - embeddings.mean(dim=0) @ weight)
        self.error.copy_((y - self(embeddings)).std(dim=0))
        return self


def sample_matching(
    draw: Callable[[int, Generator], Tensor],
    decode: Callable[[Tensor], Tensor],
    traits: IdentityTraits,
    attributes: Tensor,
    generator: Generator,
    *,
    forbidden: Tensor | None = None,
    margin: float = 0.0,
    candidates: int = 1024,
    keep: int = 8,
    kept_traits: Tensor | None = None,
) -> Tensor:
    """Draw one identity latent whose decoded embedding has the wished traits.

    Args:
        draw: (n, generator) -> latents [n, L] from the prior.
        decode: latents -> unit embeddings [n, E].
        attributes: [A], the wish.
        forbidden: unit embedding [E] of the source; candidates with a cosine above `margin` fall out (one-sided limit;
            taking the farthest would point back at the source).
        keep: the choice is uniform among so many best ones.
        kept_traits: [T] bool; traits that are not kept do not count.

    Returns:
        [L].
    """
    latents = draw(candidates, generator)
    embeddings = decode(latents)
    misfit = (traits(embeddings) - traits.wanted(attributes[None])).square() / traits.error.square()
    if kept_traits is not None:
        misfit = misfit * kept_traits
    cost = misfit.sum(dim=1)
    if forbidden is not None:
        cost = cost + 1e6 * ((embeddings @ forbidden - margin).clamp_min(0) > 0)
    best = torch.topk(cost, min(keep, candidates), largest=False).indices
    pick = int(torch.randint(len(best), (1,), generator=generator))
    return latents[best[pick]]
