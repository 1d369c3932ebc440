"""Identity-Decoupled Latent Recomposer: an identity latent and an attribute vector become a style code.

The closed-form mean says where such a face lies, the denoiser which residual goes with it. Several faces are one batch;
each has its own generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from ..errors import ShapeError
from ..identity.vae import IdentityVAE
from .closed_form import ConditionalMean
from .denoiser import StyleDenoiser
from .groomer import StyleGroomer
from .refiner import StyleRefiner
from .sampler import sample
from .style_space import REACH, expand, guide, within
from .surrogate import StyleSurrogate

Groom = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recomposition:
    """styles: [B, 23, 512], ready for the generator; codes: [B, 3, 512]; gates: [depth, B, 3] or None (closed form).

    residuals: [B, 3, 512] whitened, as sampled, before any refinement.
    """

    styles: Tensor
    codes: Tensor
    gates: Tensor | None
    residuals: Tensor


@dataclass(frozen=True)
class Guidance:
    """How much a new face stands out.

    scale: 1 leaves it as it is, a number or [K, 1, 1]; average: identity latents [K, L], each the wish without what was drawn at
    random, see `IdentityTraits.settled`.
    """

    scale: float | Tensor
    average: Tensor

    def of(self, rows: slice) -> Guidance:
        """That of some rows."""
        return Guidance(self.scale[rows] if isinstance(self.scale, Tensor) else self.scale, self.average[rows])


@dataclass(frozen=True)
class Refinement:
    """A refiner with the frozen networks that it reads with."""

    refiner: StyleRefiner
    surrogate: StyleSurrogate
    vae: IdentityVAE

    def __call__(
        self, residual: Tensor, standard: Tensor, latents: Tensor, attributes: Tensor, mean: ConditionalMean,
        avoid: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Residuals [K, G, D] corrected towards identity latents [K, L] and attributes [K, A] in their own units.

        avoid: embedding [E] of the face that is replaced, or [K, E], see `StyleRefiner`.
        """
        wanted, target = self.vae.decode(latents), self.surrogate.standardise(attributes)
        away = None if avoid is None else avoid.to(wanted).expand_as(wanted)
        return self.refiner.refine(residual, standard, wanted, target, mean, self.surrogate, away)[-1]


class Recomposer:
    """Mean, denoiser and refinement together.

    Args:
        mean: closed form over [identity latent, attributes in their own units].
        denoiser: None samples the closed form's Gaussian alone.
        refinement: None leaves the sample as it is.
        groomer: None leaves what the code shows of hair, shadows and pose.
    """

    def __init__(
        self, mean: ConditionalMean, denoiser: StyleDenoiser | None, identity_dim: int, refinement: Refinement | None = None,
        groomer: StyleGroomer | None = None,
    ) -> None:  # fmt: skip
        self.mean, self.denoiser, self.identity_dim, self.refinement = mean, denoiser, identity_dim, refinement
        self.groomer = groomer

    @property
    def traits_shown(self) -> tuple[float, ...] | None:
        """Of what an identity holds of age, sex and descent, how much new faces show, see `StyleRefiner`; None: all of it."""
        return None if self.refinement is None else tuple(self.refinement.refiner.config.traits_shown)

    def __call__(
        self,
        latents: Tensor,
        attributes: Tensor,
        generators: list[Generator],
        *,
        steps: int = 4,
        spread: float = 0.5,
        scheduler: str = "dpmpp_2m",
        callback: Callable[[int, Tensor], None] | None = None,
        avoid: Tensor | None = None,
        guidance: Guidance | None = None,
        limits: Tensor | None = None,
    ) -> Recomposition:
        """Sample style codes.

        Args:
            latents: [B * K, identity_dim] of the *new* identities, K consecutive rows for each face.
            attributes: [B * K, A], in their own units (clamped to the range of training).
            generators: one a face; each draws that face's noise, whatever the batch.
            steps: network calls.
            spread: the residual is scaled by it (truncation towards the mean: fewer odd faces, less variety).
            avoid: unit embedding [E] of the face that is replaced, the same for all rows.
            guidance: of B * K rows; None: none.
            limits: [B * K, 2, R], least and most of how the faces look, see `groomer.look`; None: whatever.

        Raises:
            ShapeError: latents, attributes and generators do not belong together.
        """
        count = len(latents) // max(len(generators), 1)
        if len(latents) != len(attributes) or len(latents) != count * len(generators):
            raise ShapeError(f"{len(latents)} latents, {len(attributes)} attributes, {len(generators)} generators")
        standard = self._standard(latents, attributes)
        shape = (count, *self.mean.offset.shape)
        residuals, codes, maps = [], [], []
        # a matrix product's rounding depends on its rows: face by face a result does not depend on the batch
        rows = zip(standard.split(count), latents.split(count), attributes.split(count), generators, strict=True)
        for i, (part, own_latents, own_attributes, generator) in enumerate(rows):
            residual = torch.randn(shape, generator=generator).to(part)
            if self.denoiser is not None:
                identity, rest = part[:, : self.identity_dim], part[:, self.identity_dim :]
                residual = sample(self.denoiser, identity, rest, residual, steps, scheduler, callback)
                maps.append(self.denoiser.gate_maps())
            residuals.append(spread * residual)
            here = slice(i * count, (i + 1) * count)
            own, looks = None if guidance is None else guidance.of(here), None if limits is None else limits[here]
            codes.append(self.complete(residuals[-1], own_latents, own_attributes, avoid, own, looks))
        gates = None if not maps or maps[0] is None else torch.cat([m for m in maps if m is not None], dim=1)
        return Recomposition(expand(torch.cat(codes)), torch.cat(codes), gates, torch.cat(residuals))

    def complete(
        self, residual: Tensor, latents: Tensor, attributes: Tensor, avoid: Tensor | None = None,
        guidance: Guidance | None = None, limits: Tensor | None = None, hidden: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Sampled residuals [K, G, D] with their conditions -> style codes [K, G, D], refined where there is a refinement.

        avoid: unit embedding [E] of the face that is replaced. guidance: of these K rows. limits: [K, 2, R], see
        `__call__`. hidden: [R], what the last rendering showed beyond what was read of its code, see `StyleGroomer.misread`.
        """
        groom = self.grooming(limits, hidden)
        codes = self._refined(residual, latents, attributes, avoid, groom)
        return self.finish(codes, residual, attributes, avoid, guidance, groom)

    def grooming(self, limits: Tensor | None, hidden: Tensor | None = None) -> Groom | None:
        """Style codes [K, G, D] -> groomed ones; None: nothing is groomed. See `complete`."""
        if limits is None or self.groomer is None:
            return None
        return partial(self.groomer.groom, limits=limits, mean=self.mean, hidden=hidden)

    def start(self, residual: Tensor, standard: Tensor, groom: Groom | None) -> Tensor:
        """What is refined [K, G, D]: groomed before, so that the refiner makes up for what that costs."""
        if groom is None:
            return residual
        return self.mean.whiten(groom(self.mean.unwhiten(residual, standard)), standard)

    def finish(
        self, codes: Tensor, residual: Tensor, attributes: Tensor, avoid: Tensor | None, guidance: Guidance | None,
        groom: Groom | None,
    ) -> Tensor:  # fmt: skip
        """Refined codes [K, G, D] of sampled residuals [K, G, D], guided and groomed, none where odd faces are drawn."""
        if guidance is not None:
            with torch.no_grad():  # training moves a face away from the average, not the average away from it
                average = self._refined(residual, guidance.average, attributes, avoid, groom)
            codes = guide(codes, average, guidance.scale, self.mean.offset)
        near = partial(within, centre=self.mean.offset, reach=REACH * self.mean.radius())
        return near(codes) if groom is None else near(groom(near(codes)))

    def _refined(
        self, residual: Tensor, latents: Tensor, attributes: Tensor, avoid: Tensor | None, groom: Groom | None
    ) -> Tensor:
        standard = self._standard(latents, attributes)
        if self.refinement is not None:
            start = self.start(residual, standard, groom)
            residual = self.refinement(start, standard, latents, self._asked(attributes), self.mean, avoid)
        return self.mean.unwhiten(residual, standard)

    def _standard(self, latents: Tensor, attributes: Tensor) -> Tensor:
        return self.mean.standardise(torch.cat((latents, self._asked(attributes)), dim=1))

    def _asked(self, attributes: Tensor) -> Tensor:
        """What to ask for [K, A] so that new faces show these attributes [K, A], see `StyleRefiner.asked`."""
        return attributes if self.refinement is None else self.refinement.refiner.asked(attributes)
