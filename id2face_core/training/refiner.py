"""The refiner, trained through the surrogate with the recomposition loss: ask for anybody in any moment, read it back.

A wish pairs attributes of a real or generated face, some of them edited, with an identity: sampled under the same traits and
turned away from the face's own, or, now and then, that own identity, so that the channel carries identities that exist.
No style code is needed as a target, so real faces, whose attributes lie elsewhere than those of renderings, take part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..attributes.vector import group_slice, index
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.ranking import importance
from ..diffusion.refiner import StyleRefiner
from ..diffusion.surrogate import StyleSurrogate
from ..identity.orthogonal import one_sided
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE

AGE = index("age")
AGES = (16.0, 85.0)  # years; only adults are asked for


@dataclass(frozen=True)
class RefinerConfig:
    """Weights of the losses (0 switches one off), shares of the wishes, schedule.

    identity: 1 - cosine of the read with the wished identity. attributes: squared mismatch, weighted as `ranking.importance`
    times how well the surrogate reads each. residual: growth of the whitened residual's power, which would leave the faces
    that the generator knows.
    """

    identity: float = 1.0
    attributes: float = 0.5
    residual: float = 0.3
    own: float = 0.25
    edited: float = 0.25
    expression_swapped: float = 0.1
    margin: tuple[float, float] = (-0.35, 0.05)  # cosine of sampled identities with the face's own is at most this
    spread: tuple[float, float] = (0.3, 0.8)
    batch: int = 256
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Wishes:
    """Faces to ask for. embeddings: [N, E], unit norm; attributes: [N, A] in their own units, of the same faces."""

    embeddings: Tensor
    attributes: Tensor
    vae: IdentityVAE
    traits: IdentityTraits

    @torch.no_grad()
    def draw(self, config: RefinerConfig, generator: Generator) -> tuple[Tensor, Tensor]:
        """A batch of (identity latents [B, L], attributes [B, A])."""
        rows = torch.randint(len(self.attributes), (config.batch,), generator=generator)
        attributes = self._edit(self.attributes[rows], config, generator)
        own = self.vae.encode(self.embeddings[rows])
        sampled = self.traits.condition(self.vae.sample(config.batch, generator, 1.0), attributes)
        low, high = config.margin
        sampled = one_sided(sampled, own, low + (high - low) * torch.rand((config.batch, 1), generator=generator))
        keep = _share(config.batch, config.own, generator)
        return torch.where(keep[:, None], own, sampled), attributes

    @staticmethod
    def _edit(attributes: Tensor, config: RefinerConfig, generator: Generator) -> Tensor:
        """Another age for some, another face's expression for others."""
        out, count = attributes.clone(), len(attributes)
        older = _share(count, config.edited, generator)
        out[older, AGE] += 15 * torch.randn(int(older.sum()), generator=generator)
        out[:, AGE].clamp_(*AGES)
        swapped, shapes = _share(count, config.expression_swapped, generator), group_slice("blendshapes")
        out[swapped, shapes] = attributes[torch.randperm(count, generator=generator)][swapped, shapes]
        return out


def _share(count: int, share: float, generator: Generator) -> Tensor:
    return torch.rand(count, generator=generator) < share


def train_refiner(
    wishes: Wishes,
    mean: ConditionalMean,
    surrogate: StyleSurrogate,
    seconds: float,
    config: RefinerConfig | None = None,
    *,
    log: Callable[[int, dict[str, float]], None] | None = None,
) -> tuple[StyleRefiner, dict[str, float]]:
    """Train for a time. mean, surrogate: frozen. Returns the refiner and its figures on wishes of another seed.

    The surrogate keeps its dropout while it is trained through: one fixed surrogate is soon talked into what no rendering shows.
    """
    config = config or RefinerConfig()
    generator = Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)
    model = StyleRefiner(
        *mean.offset.shape, mean.centre.numel(), wishes.embeddings.shape[1], wishes.attributes.shape[1]
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.01)
    start, step = time.monotonic(), 0
    surrogate.requires_grad_(False).train()
    while (progress := (time.monotonic() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = config.learning_rate * min(1.0, (step + 1) / 50, 2 * (1 - progress) + 0.02)
        terms = refiner_losses(model, wishes, mean, surrogate, config, generator)
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if log is not None and step % 20 == 0:
            log(step, {name: float(value.detach()) for name, value in terms.items()})
    surrogate.eval()
    return model.eval().requires_grad_(False), refiner_figures(model, wishes, mean, surrogate)


def refiner_losses(
    model: StyleRefiner,
    wishes: Wishes,
    mean: ConditionalMean,
    surrogate: StyleSurrogate,
    config: RefinerConfig,
    generator: Generator,
) -> dict[str, Tensor]:
    """The weighted terms of one batch; earlier iterations count half."""
    latents, attributes = wishes.draw(config, generator)
    standard, wanted = mean.standardise(torch.cat((latents, attributes), dim=1)), wishes.vae.decode(latents)
    target = surrogate.standardise(attributes)
    low, high = config.spread
    spread = low + (high - low) * torch.rand((len(latents), 1, 1), generator=generator)
    residual = spread * torch.randn((len(latents), *mean.offset.shape), generator=generator)
    weight = importance() * surrogate.reliability
    weight = weight / weight.mean()
    terms = {"identity": torch.zeros(()), "attributes": torch.zeros(()), "residual": torch.zeros(())}
    steps = model.refine(residual, standard, wanted, target, mean, surrogate)
    for step, refined in enumerate(steps):
        share = 1.0 if step == len(steps) - 1 else 0.5
        identity, read = surrogate(mean.unwhiten(refined, standard))
        grown = F.relu(refined.square().mean(dim=(1, 2)) - spread.flatten().square())
        beyond = F.relu(refined.square().mean(dim=2) - 1).mean(dim=1)
        terms["identity"] = terms["identity"] + share * config.identity * (1 - (identity * wanted).sum(dim=1)).mean()
        mismatch = (weight * (read - target).square().clamp(max=9)).mean()
        terms["attributes"] = terms["attributes"] + share * config.attributes * mismatch
        terms["residual"] = terms["residual"] + share * config.residual * (grown + 0.1 * beyond).mean()
    return terms


@torch.no_grad()
def refiner_figures(
    model: StyleRefiner, wishes: Wishes, mean: ConditionalMean, surrogate: StyleSurrogate, spread: float = 0.5
) -> dict[str, float]:
    """What the surrogate reads before and after: cosine with the wished identity, mean age error in years."""
    generator = Generator().manual_seed(1)
    latents, attributes = wishes.draw(RefinerConfig(batch=512), generator)
    standard, wanted = mean.standardise(torch.cat((latents, attributes), dim=1)), wishes.vae.decode(latents)
    target = surrogate.standardise(attributes)
    residual = spread * torch.randn((len(latents), *mean.offset.shape), generator=generator)
    figures = {}
    for name, x in (("before", residual), ("after", model.refine(residual, standard, wanted, target, mean, surrogate)[-1])):
        identity, read = surrogate(mean.unwhiten(x, standard))
        figures[f"identity cosine {name}"] = float((identity * wanted).sum(dim=1).mean())
        figures[f"age error {name}"] = float(((read - target)[:, AGE].abs() * surrogate.attribute_std[AGE]).mean())
    return figures
