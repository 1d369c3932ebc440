"""A learned last step: what the surrogate reads off a sampled code against what was wished moves the code towards the wish.

ReStyle (arXiv 2104.02699) refines an inversion by feeding the present picture back to the encoder; here the surrogate's
reading takes the picture's place, so that a step costs two small MLPs. It is trained with the recomposition loss and is one
more pass of a network at inference: nothing is optimised there.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from ..attributes.vector import index
from .closed_form import ConditionalMean
from .surrogate import StyleSurrogate

AGE, MIDDLE_AGE = index("age"), 40.0


class StyleRefiner(ModelMixin, ConfigMixin):
    """Whitened residual, condition and mismatch -> a correction of the residual.

    Args:
        condition_dim: length of the standardised condition, see `ConditionalMean`.
        identity_dim, num_attributes: what the surrogate reads.
        iterations: how often `refine` reads and corrects.
        avoids: whether it is told whose face is replaced, so that it can make up for what the picture around it tells of them.
        age_seen: (slope, offset) of the age that a reader sees which took no part in training: 40 + slope * (asked - 40) + offset
            years. Whoever is trained through one reader learns to please it, see `asked`.
        traits_shown: of what the wished identity holds in the directions of age, sex and descent (`IdentityTraits`), how much new
            faces show in finished pictures: less than all of it, since they lean to the generator's average.
    """

    @register_to_config
    def __init__(
        self,
        num_groups: int = 3,
        style_dim: int = 512,
        condition_dim: int = 167,
        identity_dim: int = 128,
        num_attributes: int = 71,
        width: int = 768,
        iterations: int = 3,
        avoids: bool = False,
        age_seen: tuple[float, float] = (1.0, 0.0),
        traits_shown: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        inputs = num_groups * style_dim + condition_dim + (3 if avoids else 2) * identity_dim + num_attributes
        self.inlet = nn.Linear(inputs, width)
        self.hidden = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.outlet = nn.Linear(width, num_groups * style_dim)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    def asked(self, attributes: Tensor) -> Tensor:
        """What to ask for [..., A] so that others see these attributes [..., A]: another age."""
        slope, offset = self.config.age_seen
        out = attributes.clone()
        out[..., AGE] = MIDDLE_AGE + (attributes[..., AGE] - MIDDLE_AGE - offset) / slope
        return out

    def forward(
        self, residual: Tensor, standard: Tensor, wanted: Tensor, identity: Tensor, mismatch: Tensor, avoid: Tensor | None = None
    ) -> Tensor:
        """One correction.

        Args:
            residual: [B, G, D] whitened, see `ConditionalMean.whiten`; standard: [B, C] its condition.
            wanted, identity: [B, I] unit embeddings, wished and read.
            mismatch: [B, A] attributes wished less read, in the surrogate's standard deviations.
            avoid: unit embeddings [B, I] of the faces that are replaced, 0 for none (None: none at all).

        Returns:
            [B, G, D], to be added to the residual.
        """
        scale = identity.shape[1] ** 0.5  # a unit vector's entries are small beside the other inputs
        features = [residual.flatten(1), standard, scale * wanted, scale * (wanted - identity), mismatch]
        if self.config.avoids:
            features.append(torch.zeros_like(wanted) if avoid is None else scale * avoid)
        return self.outlet(self.hidden(self.inlet(torch.cat(features, dim=1)))).view_as(residual)

    def refine(
        self,
        residual: Tensor,
        standard: Tensor,
        wanted: Tensor,
        attributes: Tensor,
        mean: ConditionalMean,
        surrogate: StyleSurrogate,
        avoid: Tensor | None = None,
    ) -> list[Tensor]:
        """Read and correct `iterations` times.

        Args:
            residual, standard, wanted, avoid: see `forward`.
            attributes: [B, A], the wish in the surrogate's standard deviations.

        Returns:
            The residual after each iteration, [B, G, D] each.
        """
        steps = []
        for _ in range(self.config.iterations):
            identity, read = surrogate(mean.unwhiten(residual, standard))
            residual = residual + self(residual, standard, wanted, identity, attributes - read, avoid)
            steps.append(residual)
        return steps
