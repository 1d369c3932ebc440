"""The refiner: it starts as nothing, learns to ask for what is wished, and stays where faces are."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Generator

from id2face_core.attributes.vector import ATTRIBUTES, group_slice
from id2face_core.diffusion.closed_form import ConditionalMean
from id2face_core.diffusion.refiner import StyleRefiner
from id2face_core.diffusion.surrogate import StyleSurrogate
from id2face_core.identity.traits import IdentityTraits
from id2face_core.identity.vae import IdentityVAE
from id2face_core.training.config import LoopConfig, RefinerConfig
from id2face_core.training.loop import Loop
from id2face_core.training.refiner import AGE, AGES, RefinerTask, Wishes, refiner_losses

LATENT, EMBEDDING, STYLE, COUNT = 8, 16, 6, 64
BATCH, CONFIG = 32, RefinerConfig(width=64)


@pytest.fixture(scope="module")
def mean() -> ConditionalMean:
    mean = ConditionalMean(LATENT + len(ATTRIBUTES), 3, STYLE)
    mean.slope.normal_(std=0.05, generator=Generator().manual_seed(1))
    return mean


@pytest.fixture(scope="module")
def surrogate() -> StyleSurrogate:
    torch.manual_seed(2)
    return StyleSurrogate(3, STYLE, EMBEDDING, len(ATTRIBUTES), width=32).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def wishes() -> Wishes:
    torch.manual_seed(3)
    vae = IdentityVAE(EMBEDDING, LATENT, 32).eval().requires_grad_(False)
    embeddings = torch.nn.functional.normalize(torch.randn(COUNT, EMBEDDING), dim=1)
    attributes = torch.rand(COUNT, len(ATTRIBUTES))
    attributes[:, AGE] = 20 + 50 * attributes[:, AGE]
    traits = IdentityTraits(LATENT).fit(vae.encode(embeddings), attributes)
    return Wishes(embeddings, attributes, vae, traits)


def test_untrained_it_changes_nothing(mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes) -> None:
    latents, attributes = wishes.draw(BATCH, CONFIG, Generator().manual_seed(0))
    standard = mean.standardise(torch.cat((latents, attributes), dim=1))
    residual = torch.randn(BATCH, 3, STYLE)
    model = StyleRefiner(3, STYLE, standard.shape[1], EMBEDDING, len(ATTRIBUTES), 16, iterations=3)
    steps = model.refine(residual, standard, wishes.vae.decode(latents), attributes, mean, surrogate)
    assert len(steps) == 3 and all(torch.equal(step, residual) for step in steps)


def test_training_brings_what_is_read_to_what_is_wished(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes
) -> None:
    task = RefinerTask(wishes, mean, copy.deepcopy(surrogate), CONFIG)
    how = replace(CONFIG.optimisation, batch=BATCH, learning_rate=3e-3, steps=150)
    Loop(task, how, LoopConfig(warmup_steps=10, max_batch_growth=1, precision="float32", ema=0.9)).run(60)
    figures = task.finish()
    assert figures["identity_cosine_after"] > figures["identity_cosine_before"] + 0.05
    assert figures["age_error_after"] < figures["age_error_before"]
    assert not task.surrogate.training


@pytest.mark.parametrize("name", ["identity", "attributes", "residual"])
def test_each_loss_can_be_switched_off(
    name: str, mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes
) -> None:
    model = StyleRefiner(3, STYLE, LATENT + len(ATTRIBUTES), EMBEDDING, len(ATTRIBUTES), 16)
    torch.nn.init.normal_(model.outlet.weight, std=0.5)
    on = refiner_losses(model, wishes, mean, surrogate, CONFIG, BATCH, Generator().manual_seed(0))
    off = refiner_losses(model, wishes, mean, surrogate, replace(CONFIG, **{name: 0.0}), BATCH, Generator().manual_seed(0))
    assert on[name].item() > 0 and off[name].item() == 0
    assert all(torch.equal(on[other], off[other]) for other in on if other != name)


def test_wishes_stay_adult_and_away_from_the_source(wishes: Wishes) -> None:
    config = replace(CONFIG, own=0.0, margin_from=-0.3, margin_to=-0.3, expression_swapped=0.0)
    rows = Generator().manual_seed(5)
    latents, attributes = wishes.draw(256, config, Generator().manual_seed(5))
    own = wishes.vae.encode(wishes.embeddings[torch.randint(COUNT, (256,), generator=rows)])
    assert float(torch.cosine_similarity(latents, own).max()) < -0.3 + 1e-4
    assert float(attributes[:, AGE].min()) >= AGES[0] and float(attributes[:, AGE].max()) <= AGES[1]


def test_own_identities_and_expressions_as_asked(wishes: Wishes) -> None:
    config = replace(CONFIG, own=1.0, edited=0.0, expression_swapped=0.0)
    rows = torch.randint(COUNT, (BATCH,), generator=Generator().manual_seed(6))
    latents, attributes = wishes.draw(BATCH, config, Generator().manual_seed(6))
    assert torch.equal(attributes, wishes.attributes[rows])
    assert torch.allclose(latents, wishes.vae.encode(wishes.embeddings[rows]), atol=1e-5)
    shapes = group_slice("blendshapes")
    swapped = wishes.draw(BATCH, replace(config, expression_swapped=1.0), Generator().manual_seed(6))[1]
    assert not torch.equal(swapped[:, shapes], attributes[:, shapes])
    assert torch.equal(swapped[:, shapes.stop :], attributes[:, shapes.stop :])
