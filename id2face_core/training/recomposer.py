"""Stage `recomposer`: the denoiser with the losses of the abstract. Each has a weight in `LossWeights`; zero switches it off."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..diffusion.closed_form import ConditionalMean
from ..diffusion.denoiser import StyleDenoiser
from ..diffusion.sampler import TRAIN_STEPS, make_scheduler, sample
from ..diffusion.surrogate import StyleSurrogate
from ..identity.vae import IdentityVAE
from .config import LoopConfig, RecomposerConfig
from .loop import Loop
from .readers import Reader
from .surrogate import train_surrogate
from .table import Pairs, Table
from .world import World

__all__ = ["DenoiserTask", "RecomposerConfig", "RecomposerTrainer", "train_surrogate"]
HIGH_NOISE = (0.9, 1.0)  # where real pairs, which have no style code, are asked about


class DenoiserTask:
    """Diffusion, recomposition and bidirectional latent alignment.

    Args:
        table: generated faces.
        mean: fitted `ConditionalMean` over [identity latent, attributes].
        surrogate: frozen; its scale of attributes is that of `reader`.
        vae: frozen; embedding <-> latent.
        pairs: real same-identity pairs, or None.
        reader: what reads recompositions; the surrogate without one.
    """

    name = "denoiser"

    def __init__(
        self, model: StyleDenoiser, table: Table, mean: ConditionalMean, surrogate: StyleSurrogate, vae: IdentityVAE,
        config: RecomposerConfig, pairs: Pairs | None = None, reader: Reader | None = None, device: torch.device | None = None,
    ) -> None:  # fmt: skip
        place = device or torch.device("cpu")
        self.model, self.config = model, config
        self.table, self.pairs = table.to(place), None if pairs is None else pairs.to(place)
        self.mean, self.surrogate, self.vae = (m.to(place).eval().requires_grad_(False) for m in (mean, surrogate, vae))
        self.reader: Reader = reader or self.surrogate
        alphas = make_scheduler().alphas_cumprod.to(place)
        self.alpha, self.sigma = alphas.sqrt(), (1 - alphas).sqrt()

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        """All weighted terms of a batch; a term of weight zero is left out."""
        c, w = self.config, self.config.losses
        rows = self.table.rows(torch.randint(len(self.table.codes), (batch,), generator=rng, device=rng.device))
        t = torch.randint(TRAIN_STEPS, (batch,), generator=rng, device=rng.device)
        terms: dict[str, Tensor] = {}
        if w.diffusion:
            own = self.condition(rows.embeddings, rows.attributes, rng, w.identity_noise)
            error, _ = self.predict(self.mean.whiten(rows.codes, own), own, t, rng)
            terms["diffusion"] = w.diffusion * error.mean()
        if w.recompose_identity or w.recompose_attributes or w.recompose_away:
            terms |= self._recomposition(rows, t, rng)
        rare = int(torch.randint(c.rare_every, (1,), generator=rng, device=rng.device)) == 0
        if w.alignment or w.alignment_latent:
            zero = dict.fromkeys(("alignment", "alignment_latent"), torch.zeros((), device=rng.device))
            terms |= self._alignment(rows, t, rng) if rare else zero
        if w.alignment_real and self.pairs is not None and len(self.pairs):
            terms["alignment_real"] = self._real_pairs(batch, rng) if rare else torch.zeros((), device=rng.device)
        return terms

    def condition(self, embeddings: Tensor, attributes: Tensor, rng: Generator, spread: float = 0.0) -> Tensor:
        """Standardised condition [B, I + A] from embeddings and attributes in their own units."""
        latents = self.vae.draw(embeddings, rng, spread) if spread else self.vae.encode(embeddings)
        standard = self.mean.standardise(torch.cat((latents, attributes), dim=1))
        if self.config.losses.attribute_noise and self.model.training:
            noise = torch.randn(attributes.shape, generator=rng, device=rng.device)
            standard = standard + F.pad(self.config.losses.attribute_noise * noise, (latents.shape[1], 0))
        return standard

    def predict(self, x0: Tensor, standard: Tensor, t: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Noise x0 to t, predict v; returns (v error per row, one-step estimate of x0).

        In training identity and attributes are masked at random, each by itself (identity-masked learning).
        """
        alpha, sigma, w = self.alpha[t][:, None, None], self.sigma[t][:, None, None], self.config.losses
        eps = torch.randn(x0.shape, generator=rng, device=rng.device)
        noisy, size = alpha * x0 + sigma * eps, self.vae.config.latent_dim
        chance = torch.rand((2, len(x0)), generator=rng, device=rng.device)
        hidden = (chance[0] < w.mask_identity, chance[1] < w.mask_attributes) if self.model.training else (None, None)
        v = self.model(noisy, t, standard[:, :size], standard[:, size:], *hidden).float()
        return (v - (alpha * eps - sigma * x0)).square().mean(dim=(1, 2)), alpha * noisy - sigma * v

    def _recomposition(self, rows: Table, t: Tensor, rng: Generator) -> dict[str, Tensor]:
        """A stranger's identity with these attributes; then the own identity with what is read back."""
        w = self.config.losses
        strangers = rows.embeddings.roll(1, dims=0)
        swapped = self.condition(strangers, rows.attributes, rng)
        _, x0 = self.predict(self.mean.whiten(rows.codes, swapped), swapped, t, rng)
        identity, attributes = self.reader(self.mean.unwhiten(x0, swapped))
        identity, attributes = identity.float(), attributes.float()
        wanted = self.vae.decode(self.vae.encode(strangers)).float()
        target = self.surrogate.standardise(rows.attributes)
        level = self.sigma[t]  # near the data the noisy input itself dictates the old face: nothing to ask there
        terms = {
            "recompose_identity": w.recompose_identity * (level * (1 - (identity * wanted).sum(dim=1))).mean(),
            "recompose_away": w.recompose_away * (level * F.relu((identity * rows.embeddings).sum(dim=1))).mean(),
            "recompose_attributes": w.recompose_attributes * (level * (attributes - target).square().mean(dim=1)).mean(),
        }
        terms = {name: value for name, value in terms.items() if getattr(w, name)}
        if w.recompose_back:
            terms["recompose_back"] = torch.zeros((), device=rng.device)
            if int(torch.randint(self.config.rare_every, (1,), generator=rng, device=rng.device)) == 0:
                own = self.condition(rows.embeddings, self._units(attributes), rng)
                error, _ = self.predict(self.mean.whiten(rows.codes, own), own, t, rng)
                terms["recompose_back"] = self.config.rare_every * w.recompose_back * error.mean()
        return terms

    def _units(self, standard: Tensor) -> Tensor:
        return standard * self.surrogate.attribute_std + self.surrogate.attribute_mean

    def _alignment(self, rows: Table, t: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Bidirectional: b from id(a) + attr(b) and a from id(b) + attr(a) for pairs (a, b) of one identity.

        The pair of a row is the row with another row's fine styles: the same person to a recogniser, in other light. The
        identity latents of the two recompositions are pulled together.
        """
        w, often = self.config.losses, self.config.rare_every
        other = rows.codes.clone()
        other[:, 2] = rows.codes[:, 2].roll(1, dims=0)
        with torch.no_grad():
            identity, attributes = (value.float() for value in self.surrogate(other))
        error, latents = torch.zeros((), device=rng.device), []
        for codes, embedding, attribute in (
            (other, rows.embeddings, self._units(attributes)), (rows.codes, identity, rows.attributes)
        ):  # fmt: skip
            standard = self.condition(embedding, attribute, rng)
            wrong, x0 = self.predict(self.mean.whiten(codes, standard), standard, t, rng)
            error = error + wrong.mean()
            latents.append(self.vae.encode(self.reader(self.mean.unwhiten(x0, standard))[0].float()))
        apart = self.sigma[t] * (1 - F.cosine_similarity(latents[0], latents[1], dim=1))
        terms = {"alignment": often * w.alignment * error, "alignment_latent": often * w.alignment_latent * apart.mean()}
        return {name: value for name, value in terms.items() if getattr(w, name)}

    def _real_pairs(self, batch: int, rng: Generator) -> Tensor:
        """Two photographs a, b of one person, near pure noise: id(a) + attr(b) and id(b) + attr(a) are recomposed.

        They have to show b's and a's attributes, and identities whose latents agree.
        """
        pairs = self.pairs
        assert pairs is not None
        a, b = pairs.draw(batch, rng)
        low, high = (int(share * TRAIN_STEPS) for share in HIGH_NOISE)
        t = torch.randint(low, high, (batch,), generator=rng, device=rng.device)
        total, latents = torch.zeros((), device=rng.device), []
        for of, shown in ((a, b), (b, a)):
            standard = self.condition(pairs.embeddings[of], pairs.attributes[shown], rng)
            start = torch.randn((batch, *self.mean.offset.shape), generator=rng, device=rng.device)
            _, x0 = self.predict(start, standard, t, rng)
            identity, attributes = self.reader(self.mean.unwhiten(x0, standard))
            reach = self.surrogate.standardise(pairs.attributes[shown]).clamp(-self.mean.clamp, self.mean.clamp)
            total = total + (self.surrogate.reliability * (attributes.float() - reach).square()).mean()
            latents.append(self.vae.encode(identity.float()))
        total = total + (1 - F.cosine_similarity(latents[0], latents[1], dim=1)).mean()
        return self.config.rare_every * self.config.losses.alignment_real * total


class RecomposerTrainer:
    """`DenoiserTask` on the training rows of a table, for scripts."""

    def __init__(
        self, table: Table, mean: ConditionalMean, surrogate: StyleSurrogate, vae: IdentityVAE, config: RecomposerConfig
    ) -> None:
        self.table, self.test = table.split()
        self._parts, self.config = (mean, surrogate, vae), config

    def fit(self, model: StyleDenoiser, folder: Path, minutes: float, resume: bool = True) -> StyleDenoiser:
        """Train for a time with checkpoints every two minutes; returns the model with its averaged weights."""
        task = DenoiserTask(model, self.table, *self._parts, self.config)
        Loop(task, self.config.denoiser, LoopConfig(), folder=folder, world=World(), seed=self.config.seed).run(
            60 * minutes, resume
        )
        return model


@torch.no_grad()
def denoiser_figures(task: DenoiserTask, test: Table, seed: int = 0, steps: int = 8, spread: float = 0.5) -> dict[str, float]:
    """Held-out figures: the error in v, and what the surrogate reads off faces drawn for a stranger's identity.

    identity: cosine with the stranger; source: with the face whose attributes were given; attributes: mean squared error in
    standard deviations, each counted as far as the surrogate can read it.
    """
    task.model.to(task.alpha.device).eval()
    rng = Generator(task.alpha.device).manual_seed(seed)
    rows = test.to(task.alpha.device)
    t = torch.randint(TRAIN_STEPS, (len(rows.codes),), generator=rng, device=rng.device)
    own = task.condition(rows.embeddings, rows.attributes, rng)
    error, _ = task.predict(task.mean.whiten(rows.codes, own), own, t, rng)
    strangers, size = rows.embeddings.roll(1, dims=0), task.vae.config.latent_dim
    swapped = task.condition(strangers, rows.attributes, rng)
    noise = torch.randn(rows.codes.shape, generator=rng, device=rng.device)
    residual = sample(task.model, swapped[:, :size], swapped[:, size:], noise, steps)
    identity, attributes = task.surrogate(task.mean.unwhiten(spread * residual, swapped))
    apart = (attributes - task.surrogate.standardise(rows.attributes)).square().mean(dim=0)
    return {
        "v_error": float(error.mean()),
        "identity": float((identity * strangers).sum(dim=1).mean()),
        "source": float((identity * rows.embeddings).sum(dim=1).mean()),
        "attributes": float((task.surrogate.reliability * apart).sum() / task.surrogate.reliability.sum().clamp_min(1e-6)),
    }
