"""Whom the refiner is asked for in training.

A wish pairs attributes of a real or generated face, some of them edited, with an identity: with the same traits, sampled and
turned away from the face's own in all else, or, now and then, that own identity, so that the channel carries identities that
exist. No style code is needed as a target, so real faces, whose attributes lie elsewhere than those of renderings, take part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..attributes.vector import group_slice
from ..diffusion.refiner import AGE
from ..identity.orthogonal import one_sided
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE
from .config import RefinerConfig
from .contexts import Contexts

AGES = (16.0, 85.0)  # years; only adults are asked for


@dataclass(frozen=True)
class Drawn:
    """latents: [B, L] of the identities; attributes: [B, A]; rows: [B], of which faces; own: bool [B], theirs is the identity."""

    latents: Tensor
    attributes: Tensor
    rows: Tensor
    own: Tensor


@dataclass(frozen=True)
class Wishes:
    """Faces to ask for. embeddings: [N, E], unit norm; attributes: [N, A] in their own units, of the same faces.

    contexts: the photographs that these are of, where new faces are put into them.
    """

    embeddings: Tensor
    attributes: Tensor
    vae: IdentityVAE
    traits: IdentityTraits
    contexts: Contexts | None = None

    def to(self, device: torch.device) -> Wishes:
        vae, traits = (m.to(device).eval().requires_grad_(False) for m in (self.vae, self.traits))
        contexts = None if self.contexts is None else self.contexts.to(device)
        return Wishes(self.embeddings.to(device), self.attributes.to(device), vae, traits, contexts)

    @torch.no_grad()
    def draw(self, batch: int, config: RefinerConfig, rng: Generator) -> Drawn:
        """A batch of wishes; with `variety` the second half asks for the same once more, for others."""
        rows = torch.randint(len(self.attributes), (batch,), generator=rng, device=rng.device)
        attributes = self._edit(self.attributes[rows], config, rng)
        if config.variety and self.contexts is not None:
            twice = torch.arange(batch, device=rng.device) % max(batch // 2, 1)
            rows, attributes = rows[twice], attributes[twice]
        own = self.vae.encode(self.embeddings[rows])
        temperature = between(config.temperature_from, config.temperature_to, (batch, 1), rng)
        free = temperature * torch.randn(own.shape, generator=rng, device=rng.device)
        margin = between(config.margin_from, config.margin_to, (batch, 1), rng)
        carried = self.traits.carry(free, own, change=attributes - self.attributes[rows])
        sampled = one_sided(carried, own, margin, self.traits.basis())
        kept = share_of(batch, config.own, rng)
        return Drawn(torch.where(kept[:, None], own, sampled), attributes, rows, kept)

    def change(self, drawn: Drawn) -> Tensor:
        """By how much wishes differ from what the faces that they are for have, [B, A]."""
        return drawn.attributes - self.attributes[drawn.rows]

    @staticmethod
    def _edit(attributes: Tensor, config: RefinerConfig, rng: Generator) -> Tensor:
        """Another age for some, another face's expression for others."""
        out, count, shapes = attributes.clone(), len(attributes), group_slice("blendshapes")
        years = 15 * torch.randn(count, generator=rng, device=rng.device)
        out[:, AGE] = (out[:, AGE] + years * share_of(count, config.edited, rng)).clamp(*AGES)
        other = attributes[torch.randperm(count, generator=rng, device=rng.device), shapes]
        swapped = share_of(count, config.expression_swapped, rng)[:, None]
        out[:, shapes] = torch.where(swapped, other, attributes[:, shapes])
        return out


def between(low: float, high: float, shape: tuple[int, ...], rng: Generator) -> Tensor:
    """Uniform draws of a shape."""
    return low + (high - low) * torch.rand(shape, generator=rng, device=rng.device)


def share_of(count: int, share: float, rng: Generator) -> Tensor:
    """bool [count], True for about a share of them."""
    return torch.rand(count, generator=rng, device=rng.device) < share
