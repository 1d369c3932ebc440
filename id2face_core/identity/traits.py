"""What an identity says by itself about age, sex and skin, and sampling identities that agree with a wish.

A freely sampled identity changes all three: a child's face lands under an old man's hair. The traits are linear in the
latent, the prior is Gaussian, so the conditional prior is Gaussian too and Matheron's rule (Journel & Huijbregts 1978;
arXiv 2002.09309) turns a free sample into one of it. Unlike a choice among candidates this is continuous: a trait that
is read a little differently in another photograph of the person moves the new identity a little.

Where somebody is replaced, more is known than the attributes: his own latent. Age, sex and descent live in a few directions of
the space; there the new identity keeps what the source has, and everywhere else it is sampled and turned away. An identity that
is turned away in all directions is one of another age, sex and descent, whatever the attributes say beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from .. import regression
from ..attributes.edit import PERSON_TRAITS
from ..attributes.vector import index

TRAITS = tuple(name for names in PERSON_TRAITS.values() for name in names)
DIRECTIONS = (2, 2, 4)  # of each of PERSON_TRAITS; even, so that what is left has keyed rotations


class IdentityTraits(ModelMixin, ConfigMixin):
    """Ridge regression from identity latents [B, L] to standardised traits [B, T] (which attributes: `indices`).

    directions: [L, D], of age, sex and descent, `counts` each, orthonormal within a trait; 0 before they are known.
    """

    @register_to_config
    def __init__(
        self, latent_dim: int = 64, indices: tuple[int, ...] = tuple(map(index, TRAITS)), counts: tuple[int, ...] = DIRECTIONS
    ) -> None:
        super().__init__()
        count = len(indices)
        self.indices, self.counts = tuple(indices), tuple(counts)
        self.register_buffer("directions", torch.zeros(latent_dim, sum(counts)))
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
        self.weight.copy_(regression.ridge(x, y - y.mean(dim=0), ridge))
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
        return latents + (self.wanted(attributes) - latents @ self.weight) @ self._gain(kept, strength)

    def _gain(self, kept: Tensor | None, strength: float = 1.0) -> Tensor:
        """How a difference of the traits [T] moves a latent: [T, L], 0 for traits that are not kept."""
        chosen = torch.ones_like(self.centre, dtype=torch.bool) if kept is None else kept.to(self.centre.device)
        weight, error = self.weight[:, chosen], self.error[chosen][:, chosen] / strength**2
        gain = torch.zeros_like(self.weight.mT)
        gain[chosen] = torch.linalg.solve(weight.T @ weight + error, weight.T)
        return gain

    def basis(self, kept: Tensor | None = None) -> Tensor:
        """Orthonormal directions [L, K] of the traits that are kept (bool [T], None: all), K <= D."""
        stays = [kept is None or bool(kept[self.indices.index(index(names[0]))]) for names in PERSON_TRAITS.values()]
        chosen = [part.double() for part, keep in zip(self.parts(), stays, strict=True) if keep and bool(part.any())]
        if not chosen:
            return self.directions[:, :0]
        return torch.linalg.qr(torch.cat(chosen, dim=1))[0].to(self.weight)

    def parts(self) -> tuple[Tensor, ...]:
        """The directions of each trait, orthonormal within it."""
        return self.directions.split(self.counts, dim=1)

    def settled(self, latents: Tensor, own: Tensor) -> Tensor:
        """What of identities [B, L] is not drawn at random [B, L]: all traits, and how they point along the sources'.

        own: [1, L] or [B, L], the sources' latents.
        """
        basis = self.basis()
        traits, along = latents @ basis @ basis.mT, own - own @ basis @ basis.mT
        along = F.normalize(along, dim=-1)
        return traits + (latents * along).sum(dim=-1, keepdim=True) * along

    def carry(
        self, latents: Tensor, own: Tensor, kept: Tensor | None = None, change: Tensor | None = None,
        shown: Sequence[float] | None = None,
    ) -> Tensor:  # fmt: skip
        """Samples of the prior -> samples that keep the source's traits.

        Args:
            latents: [B, L] drawn from N(0, I); own: [B, L] or [1, L], the source's.
            kept: [T] bool, None: all.
            change: [B, A] or [1, A], by how much the wish differs from the source's attributes.
            shown: of what is asked for in the directions of age, sex and descent, how much a new face shows, see
                `StyleRefiner`: as much more is asked for. None: all.

        Returns:
            [B, L].
        """
        basis = self.basis(kept)
        if shown is not None:
            own = own + sum((own @ part @ part.mT) * (1 / share - 1) for part, share in zip(self.parts(), shown, strict=True))
        carried = latents + (own - latents) @ basis @ basis.mT
        if change is None:
            return carried
        return carried + (change[:, list(self.indices)] / self.spread) @ self._gain(kept)

    def release(self, latents: Tensor, attributes: Tensor, kept: Tensor) -> Tensor:
        """The wish for each identity: traits that are not kept become what the identity itself says.

        latents: [B, L]; attributes: [A]; kept: [T] bool. Returns [B, A].
        """
        out = attributes.expand(len(latents), -1).clone()
        own = self(latents).clamp(-2.5, 2.5) * self.spread + self.centre
        free = [i for i, stays in zip(self.indices, kept.tolist(), strict=True) if not stays]
        out[:, free] = own[:, ~kept]
        return out
