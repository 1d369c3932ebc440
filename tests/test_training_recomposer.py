"""Losses of the denoiser: each can be switched off, each reaches the network, pairs go both ways, masks hide what they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from id2face_core.diffusion.closed_form import ConditionalMean
from id2face_core.diffusion.denoiser import StyleDenoiser
from id2face_core.diffusion.surrogate import StyleSurrogate
from id2face_core.identity.vae import IdentityVAE
from id2face_core.training.ablation import VARIANTS, weights_of
from id2face_core.training.config import LoopConfig, LossWeights, Optimisation, RecomposerConfig
from id2face_core.training.loop import Loop, seeded
from id2face_core.training.recomposer import DenoiserTask, RecomposerTrainer, denoiser_figures
from id2face_core.training.surrogate import SurrogateTask, train_surrogate
from id2face_core.training.table import Pairs, Table

NONE = LossWeights(**dict.fromkeys(vars(LossWeights()), 0.0))
EVERY_STEP = RecomposerConfig(rare_every=1)


def table(rows: int = 60) -> Table:
    """Codes that are a linear map of identity and attributes, and noise."""
    rng = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(rows, 128, generator=rng), dim=1)
    attributes = torch.randn(rows, 71, generator=rng)
    slope = torch.randn(199, 1536, generator=rng) / 14
    codes = torch.cat((11 * embeddings, attributes), dim=1) @ slope + 0.1 * torch.randn(rows, 1536, generator=rng)
    return Table(codes.view(rows, 3, 512), embeddings, attributes)


def task(config: RecomposerConfig, pairs: bool = False) -> DenoiserTask:
    rows = table()
    with seeded(0):
        vae, surrogate = IdentityVAE(128, 16, 32), StyleSurrogate(width=32)
        model = StyleDenoiser(identity_dim=16, width=32, depth=1, heads=2)
        torch.nn.init.normal_(model.outlet.weight, std=0.05)
    vae.calibrate(rows.embeddings)
    mean = ConditionalMean(16 + 71).fit(torch.cat((vae.encode(rows.embeddings), rows.attributes), 1).detach(), rows.codes)
    both = Pairs(rows.embeddings[:6], rows.attributes[:6], torch.arange(6) // 2, torch.full((3,), 2)) if pairs else None
    made = DenoiserTask(model, rows, mean, surrogate, vae, config, both)
    made.model.train()
    return made


def terms(config: RecomposerConfig, pairs: bool = False) -> dict[str, Tensor]:
    return task(config, pairs).losses(8, Generator().manual_seed(0))


SWITCHES = [
    "diffusion", "recompose_identity", "recompose_away", "recompose_attributes", "alignment", "alignment_latent",
    "alignment_real",
]  # fmt: skip


@pytest.mark.parametrize("name", SWITCHES)
def test_a_term_alone_trains_the_denoiser(name: str) -> None:
    made = task(replace(EVERY_STEP, losses=replace(NONE, **{name: 1.0})), pairs=True)
    found = made.losses(8, Generator().manual_seed(0))
    assert set(found) == {name} and float(found[name].detach()) > 0
    found[name].backward()
    gradient = made.model.outlet.weight.grad
    assert gradient is not None and bool(gradient.isfinite().all()) and float(gradient.abs().max()) > 0
    for frozen in (made.mean, made.surrogate, made.vae):
        assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("name", [*SWITCHES, "recompose_back"])
def test_a_term_is_off_at_weight_zero_and_grows_with_its_weight(name: str) -> None:
    full, without, double = (
        terms(replace(EVERY_STEP, losses=replace(LossWeights(), **change)), pairs=True)
        for change in ({}, {name: 0.0}, {name: 2 * getattr(LossWeights(), name)})
    )
    assert set(full) == set(without) | {name} and name not in without
    torch.testing.assert_close(double[name], 2 * full[name])


def test_real_pairs_count_only_where_there_are_any() -> None:
    assert "alignment_real" not in terms(EVERY_STEP, pairs=False)


def test_rare_terms_keep_their_weight_on_average() -> None:
    rare = task(replace(RecomposerConfig(rare_every=4), losses=replace(NONE, alignment=1.0)))
    often = task(replace(EVERY_STEP, losses=replace(NONE, alignment=1.0)))
    with torch.no_grad():
        sums = [
            np.mean([float(t.losses(8, Generator().manual_seed(seed))["alignment"]) for seed in range(80)]) for t in (rare, often)
        ]
    assert sums[0] == pytest.approx(sums[1], rel=0.4)


def test_masked_conditions_do_not_reach_the_network() -> None:
    made = task(replace(EVERY_STEP, losses=replace(NONE, diffusion=1.0, mask_identity=1.0)))
    x0 = torch.randn(4, 3, 512, generator=Generator().manual_seed(1))
    t, standard = torch.full((4,), 500), torch.randn(4, 87, generator=Generator().manual_seed(2))
    other = standard.clone()
    other[:, :16] += 1
    first, second = (made.predict(x0, s, t, Generator().manual_seed(3))[1] for s in (standard, other))
    assert torch.equal(first, second), "identity is masked in every row"
    made.model.eval()
    first, second = (made.predict(x0, s, t, Generator().manual_seed(3))[1] for s in (standard, other))
    assert not torch.equal(first, second), "and seen in evaluation"


def test_one_step_estimate_inverts_the_noising() -> None:
    made = task(EVERY_STEP)
    x0, t = torch.randn(4, 3, 512, generator=Generator().manual_seed(1)), torch.full((4,), 300)
    alpha, sigma = made.alpha[300], made.sigma[300]
    rng = Generator().manual_seed(3)
    eps = torch.randn(x0.shape, generator=rng)
    made.model.forward = lambda *args: alpha * eps - sigma * x0  # type: ignore[method-assign]  # the perfect answer
    error, estimate = made.predict(x0, torch.zeros(4, 87), t, Generator().manual_seed(3))
    torch.testing.assert_close(estimate, x0, rtol=1e-4, atol=1e-4)
    assert float(error.abs().max()) < 1e-9


def test_attribute_noise_disturbs_training_only() -> None:
    made = task(replace(EVERY_STEP, losses=replace(LossWeights(), attribute_noise=0.3)))
    rows = made.table
    noisy = made.condition(rows.embeddings, rows.attributes, Generator().manual_seed(0))
    made.model.eval()
    clean = made.condition(rows.embeddings, rows.attributes, Generator().manual_seed(0))
    apart = noisy - clean
    assert float(apart[:, :16].abs().max()) == 0 and 0.25 < float(apart[:, 16:].std()) < 0.35


def test_trainer_for_scripts_writes_a_state_and_resumes(tmp_path: Path) -> None:
    parts = task(EVERY_STEP)
    config = replace(RecomposerConfig(), denoiser=Optimisation(1.0, 8, 1e-3, steps=3))
    trainer = RecomposerTrainer(table(), parts.mean, parts.surrogate, parts.vae, config)
    model = trainer.fit(parts.model, tmp_path, 1.0)
    again = trainer.fit(StyleDenoiser.from_config(parts.model.config), tmp_path, 1.0)
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert set(denoiser_figures(parts, trainer.test)) == {"v_error", "identity", "source", "attributes"}


def test_surrogate_learns_and_says_how_far_it_can_be_trusted() -> None:
    made = SurrogateTask(table(400), width=64)
    before = made.finish()["identity_cosine"]
    config = LoopConfig(warmup_steps=10, precision="float32", max_batch_growth=1)
    Loop(made, Optimisation(1.0, 64, 2e-3, 0.05, steps=150), config).run(0)
    figures = made.finish()
    assert float(figures["identity_cosine"]) > 0.3 > float(before)  # type: ignore[arg-type]
    assert float(made.model.reliability.mean()) > 0.1 and bool((made.model.reliability <= 1).all())


def test_surrogate_for_scripts_takes_a_time() -> None:
    model, figures = train_surrogate(table(), 0.5, batch=16)
    assert len(figures["attribute_r2"]) == 71 and not any(p.requires_grad for p in model.parameters())


def test_every_variant_of_the_ablation_is_another_set_of_weights() -> None:
    made = [weights_of(name, LossWeights()) for name in VARIANTS]
    assert made[0] == LossWeights() and len(set(made)) == len(VARIANTS)


@pytest.mark.usefixtures("model_dir")
def test_decoder_reader_is_differentiable_and_reads_the_other_rows_by_the_surrogate() -> None:
    from id2face_core.assets import our_weights
    from id2face_core.generator.loader import load_generator
    from id2face_core.training.picture_reader import PictureReader
    from id2face_core.training.readers import DecoderReader
    from id2face_core.training.teachers import BatchTeacher, bundled_networks

    generator = load_generator()
    surrogate = StyleSurrogate.from_pretrained(our_weights("surrogate")).float().eval().requires_grad_(False)
    pictures = PictureReader.load(BatchTeacher("bundled"), *bundled_networks())
    reader = DecoderReader(generator, pictures, surrogate, rows=1)
    codes = generator.w_mean.expand(2, 3, 512).clone().requires_grad_()
    identity, attributes = reader(codes)
    assert identity.shape == (2, 128) and attributes.shape == (2, 71)
    torch.testing.assert_close(identity.norm(dim=1), torch.ones(2), rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(identity[0].sum() + attributes[0].sum(), codes)
    assert gradient.isfinite().all() and float(gradient[0].abs().amax(dim=1).min()) > 0, "all groups of styles matter"
    assert float(gradient[1].abs().max()) == 0
    torch.testing.assert_close(attributes[1], surrogate(codes)[1][1])
    yaw = float(attributes[0, 0].detach() * surrogate.attribute_std[0] + surrogate.attribute_mean[0])
    assert abs(yaw) < 10, "the mean face looks ahead"
