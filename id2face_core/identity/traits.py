"""What an identity says by itself about age, sex and skin, and sampling identities that agree with a wish.

A freely sampled identity changes all three: a child's face lands under an old man's hair. The traits are linear in the
latent, the prior is Gaussian, so the conditional prior is Gaussian too and Matheron's rule (Journel & Huijbregts 1978;
arXiv 2002.09309) turns a free sample into one of it. Unlike a choice among candidates this is continuous: a trait that
is read a little differently in another photograph of the person moves the new identity a little.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from ..attributes.edit import PERSON_TRAITS
from ..attributes.vector import index

TRAITS = tuple(name for names in PERSON_TRAITS.values() for name in names)


class IdentityTraits(ModelMixin, ConfigMixin):
    """Ridge regression from identity latents [B, L] to standardised traits [B, T] (which attributes: `indices`)."""

    @register_to_config
    def __init__(self, latent_dim: int = 64, indices: tuple[int, ...] = tuple(map(index, TRAITS))) -> None:
        super().__init__()
        count = len(indices)
        self.indices = tuple(indices)
        self.register_buffer("centre", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.register_buffer("weight", torch.zeros(latent_dim, count))
        self.register_buffer("error", torch.eye(count))  # covariance of the residuals: how much each trait can be trusted

    def forward(self, latents: Tensor) -> Tensor:
        return latents @ self.weight

    def wanted(self, attributes: Tensor) -> Tensor:
        """The traits among an attribute vector [B, A], standardised and clamped to the range of training."""
        return ((attributes[:, list(self.indices)] - self.centre) / self.spread).clamp(-2.5, 2.5)

    @torch.no_grad()
    def fit(self, latents: Tensor, attributes: Tensor, ridge: float = 10.0) -> IdentityTraits:
        """Fit on a table: latents [N, L] (about N(0, I)), attributes [N, A]."""
        traits = attributes[:, list(self.indices)]
        self.centre.copy_(traits.mean(dim=0))
        self.spread.copy_(traits.std(dim=0).clamp_min(1e-4))
        y, x = self.wanted(attributes), latents - latents.mean(dim=0)
        self.weight.copy_(torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ (y - y.mean(dim=0))))
        residual = y - y.mean(dim=0) - x @ self.weight
        self.error.copy_(residual.T @ residual / len(y))
        return self

    def condition(self, latents: Tensor, attributes: Tensor, kept: Tensor | None = None, strength: float = 1.0) -> Tensor:
        """Samples of the prior -> samples of the prior given the traits.

        Args:
            latents: [B, L] drawn from N(0, I).
            attributes: [B, A], the wish.
            kept: [T] bool; traits that are not kept do not count.
            strength: the residual covariance is divided by its square: above 1 the traits are met more exactly than
                identities of the table meet them.

        Returns:
            [B, L].
        """
        chosen = torch.ones(len(self.indices), dtype=torch.bool) if kept is None else kept
        weight, error = self.weight[:, chosen], self.error[chosen][:, chosen] / strength**2
        gain = torch.linalg.solve(weight.T @ weight + error, weight.T)  # [T, L]
        return latents + (self.wanted(attributes)[:, chosen] - latents @ weight) @ gain

    def release(self, latents: Tensor, attributes: Tensor, kept: Tensor) -> Tensor:
        """The wish for each identity: traits that are not kept become what the identity itself says.

        latents: [B, L]; attributes: [A]; kept: [T] bool. Returns [B, A].
        """
        out = attributes.expand(len(latents), -1).clone()
        own = self(latents).clamp(-2.5, 2.5) * self.spread + self.centre
        free = [i for i, stays in zip(self.indices, kept.tolist(), strict=True) if not stays]
        out[:, free] = own[:, ~kept]
        return out
