"""Stages `prior` and `recomposer`: surrogate, closed-form mean, then the denoiser with the losses of the abstract.

Each loss has a weight in `RecomposerConfig`; zero switches it off.
"""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.closed_form import ConditionalMean
from ..diffusion.denoiser import StyleDenoiser
from ..diffusion.sampler import TRAIN_STEPS, make_scheduler
from ..diffusion.surrogate import StyleSurrogate
from ..identity.vae import IdentityVAE
from .table import Table


@dataclass(frozen=True)
class RecomposerConfig:
    """Weights of the losses and the schedule of the optimiser."""

    batch: int = 96
    learning_rate: float = 5e-4
    ema: float = 0.999
    drop_condition: float = 0.1
    diffusion: float = 1.0
    recompose_identity: float = 0.5
    recompose_away: float = 0.2
    recompose_attributes: float = 0.2
    recompose_back: float = 0.2
    alignment: float = 0.1
    rare_every: int = 4  # the two terms that need whole extra passes are taken on every so many steps, at as much weight
    identity_noise: float = 0.5  # how much of the posterior's spread is drawn on identity latents
    seed: int = 0


def train_surrogate(
    table: Table, seconds: float, seed: int = 0, batch: int = 256, start_from: StyleSurrogate | None = None
) -> tuple[StyleSurrogate, dict]:
    """Train style code -> (identity, standardised attributes) on a table for a time; returns it with its held-out figures."""
    train, test = table.split()
    torch.manual_seed(seed)
    model = start_from or StyleSurrogate(identity_dim=table.embeddings.shape[1], num_attributes=table.attributes.shape[1])
    model.train().requires_grad_(True)
    model.centre.copy_(train.codes.mean(dim=0))
    model.spread.copy_(train.codes.std())
    model.attribute_mean.copy_(train.attributes.mean(dim=0))
    model.attribute_std.copy_(train.attributes.std(dim=0).clamp_min(1e-4))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    generator = torch.Generator().manual_seed(seed)
    start = time.monotonic()
    while (progress := (time.monotonic() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 1e-3 * (1 - progress) + 1e-5
        for _ in range(10):
            rows = train.rows(torch.randint(len(train.codes), (batch,), generator=generator))
            identity, attributes = model(rows.codes)
            loss = (1 - (identity * rows.embeddings).sum(dim=1)).mean()
            loss = loss + 0.3 * F.mse_loss(attributes, model.standardise(rows.attributes))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval().requires_grad_(False)
    identity, attributes = model(test.codes)
    target = (test.attributes - model.attribute_mean) / model.attribute_std
    r2 = 1 - (attributes - target).square().mean(dim=0) / target.var(dim=0).clamp_min(1e-6)
    model.reliability.copy_(r2.clamp(0, 1))
    figures = {"identity_cosine": float((identity * test.embeddings).sum(dim=1).mean()), "attribute_r2": r2.tolist()}
    return model, figures


class RecomposerTrainer:
    """Denoiser training with diffusion, recomposition and bidirectional alignment losses.

    Args:
        mean: fitted `ConditionalMean` over [identity latent, attributes].
        surrogate: frozen; predicts the embedding and the attributes standardised *as the table was*.
        vae: frozen; embedding <-> latent.
    """

    def __init__(
        self, table: Table, mean: ConditionalMean, surrogate: StyleSurrogate, vae: IdentityVAE, config: RecomposerConfig
    ) -> None:
        self.table, self.test = table.split()
        self.mean, self.surrogate, self.vae, self.config = mean, surrogate, vae, config
        self.generator = torch.Generator().manual_seed(config.seed)
        alphas = make_scheduler().alphas_cumprod
        self.alpha, self.sigma = alphas.sqrt(), (1 - alphas).sqrt()

    def condition(self, embeddings: Tensor, attributes: Tensor, spread: float) -> Tensor:
        """Standardised condition [B, I + A] from embeddings and attributes in their own units."""
        latents = self.vae.draw(embeddings, self.generator, spread)
        return self.mean.standardise(torch.cat((latents, attributes), dim=1))

    def predict(self, model: StyleDenoiser, x0: Tensor, standard: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Noise x0 to t, predict v; returns (v error per row, one-step estimate of x0)."""
        alpha, sigma = self.alpha[t][:, None, None], self.sigma[t][:, None, None]
        eps = torch.randn(x0.shape, generator=self.generator)
        noisy = alpha * x0 + sigma * eps
        size = self.vae.config.latent_dim
        drop = torch.rand((2, len(x0)), generator=self.generator) < self.config.drop_condition
        v = model(noisy, t, standard[:, :size], standard[:, size:], drop[0], drop[1])
        return (v - (alpha * eps - sigma * x0)).square().mean(dim=(1, 2)), alpha * noisy - sigma * v

    def losses(self, model: StyleDenoiser, rows: Table) -> dict[str, Tensor]:
        """All weighted terms for one batch."""
        c, batch = self.config, len(rows.codes)
        t = torch.randint(TRAIN_STEPS, (batch,), generator=self.generator)
        own = self.condition(rows.embeddings, rows.attributes, c.identity_noise)
        error, _ = self.predict(model, self.mean.whiten(rows.codes, own), own, t)
        terms = {"diffusion": c.diffusion * error.mean()}
        if c.recompose_identity or c.recompose_attributes or c.recompose_away:
            terms |= self._recomposition(model, rows, t)
        terms["alignment"] = torch.zeros(())
        if c.alignment and self._rare():
            terms["alignment"] = c.rare_every * c.alignment * self._alignment(model, rows, t)
        return terms

    def _rare(self) -> bool:
        return int(torch.randint(self.config.rare_every, (1,), generator=self.generator)) == 0

    def _recomposition(self, model: StyleDenoiser, rows: Table, t: Tensor) -> dict[str, Tensor]:
        """A stranger's identity with these attributes; then the own identity with what the surrogate reads back."""
        c = self.config
        strangers = rows.embeddings.roll(1, dims=0)
        swapped = self.condition(strangers, rows.attributes, 0.0)
        mixed = self.mean.whiten(rows.codes, swapped)
        _, x0 = self.predict(model, mixed, swapped, t)
        codes = self.mean.unwhiten(x0, swapped)
        identity, attributes = self.surrogate(codes)
        wanted = self.vae.decode(self.vae.encode(strangers))
        target = self.surrogate.standardise(rows.attributes)
        level = self.sigma[t]  # near the data the noisy input itself dictates the old face: nothing to ask there
        terms = {
            "recompose_identity": c.recompose_identity * (level * (1 - (identity * wanted).sum(dim=1))).mean(),
            "recompose_away": c.recompose_away * (level * F.relu((identity * rows.embeddings).sum(dim=1))).mean(),
            "recompose_attributes": c.recompose_attributes * (level * (attributes - target).square().mean(dim=1)).mean(),
        }
        terms["recompose_back"] = torch.zeros(())
        if c.recompose_back and self._rare():
            read = attributes * self.surrogate.attribute_std + self.surrogate.attribute_mean
            own = self.condition(rows.embeddings, read, 0.0)
            error, _ = self.predict(model, self.mean.whiten(rows.codes, own), own, t)
            terms["recompose_back"] = c.rare_every * c.recompose_back * error.mean()
        return terms

    def _alignment(self, model: StyleDenoiser, rows: Table, t: Tensor) -> Tensor:
        """Bidirectional: b from id(a) + attr(b) and a from id(b) + attr(a) for pairs (a, b) of one identity.

        The pair of a row is the row with another row's fine styles: the same person to a recogniser, in other light.
        """
        other = rows.codes.clone()
        other[:, 2] = rows.codes[:, 2].roll(1, dims=0)
        identity, attributes = self.surrogate(other)
        read = attributes * self.surrogate.attribute_std + self.surrogate.attribute_mean
        total = torch.zeros(())
        for codes, embedding, attribute in ((other, rows.embeddings, read), (rows.codes, identity, rows.attributes)):
            standard = self.condition(embedding, attribute, 0.0)
            error, _ = self.predict(model, self.mean.whiten(codes, standard), standard, t)
            total = total + error.mean()
        return total

    def fit(self, model: StyleDenoiser, folder: Path, minutes: float, resume: bool = True) -> StyleDenoiser:
        """Train for a time with checkpoints every two minutes; returns the EMA model."""
        c = self.config
        folder.mkdir(parents=True, exist_ok=True)
        average = StyleDenoiser.from_config(model.config)
        average.load_state_dict(model.state_dict())
        optimiser = torch.optim.AdamW(model.parameters(), lr=c.learning_rate, weight_decay=0.01)
        state_file, step = folder / "state.pt", 0
        if resume and state_file.is_file():
            state = torch.load(state_file, weights_only=True)
            model.load_state_dict(state["model"])
            average.load_state_dict(state["ema"])
            optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["rng"])
            step = state["step"]
        start = saved = time.monotonic()
        with (folder / "losses.csv").open("a", newline="") as file:
            log = csv.writer(file)
            while (progress := (time.monotonic() - start) / (60 * minutes)) < 1:
                optimiser.param_groups[0]["lr"] = c.learning_rate * min(1.0, (step + 1) / 200, 2 * (1 - progress) + 0.02)
                rows = self.table.rows(torch.randint(len(self.table.codes), (c.batch,), generator=self.generator))
                terms = self.losses(model, rows)
                optimiser.zero_grad()
                torch.stack(list(terms.values())).sum().backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                with torch.no_grad():
                    for a, p in zip(average.parameters(), model.parameters(), strict=True):
                        a.lerp_(p, 1 - min(c.ema, (step + 1) / (step + 10)))
                step += 1
                if step % 20 == 0:
                    log.writerow([step, f"{time.monotonic() - start:.1f}", *(f"{v.item():.5f}" for v in terms.values())])
                    file.flush()
                if time.monotonic() - saved > 120:
                    saved = time.monotonic()
                    self._save(state_file, model, average, optimiser, step)
        self._save(state_file, model, average, optimiser, step)
        return average.eval()

    def _save(
        self, path: Path, model: StyleDenoiser, average: StyleDenoiser, optimiser: torch.optim.Optimizer, step: int
    ) -> None:
        state = {
            "model": model.state_dict(), "ema": average.state_dict(), "optimiser": optimiser.state_dict(),
            "rng": self.generator.get_state(), "step": step, "config": asdict(self.config),
        }  # fmt: skip
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
