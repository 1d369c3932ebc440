"""The refiner: it starts as nothing, learns to ask for what is wished, and stays where faces are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator

from id2face_core.attributes.vector import ATTRIBUTES, group_slice
from id2face_core.diffusion.closed_form import ConditionalMean
from id2face_core.diffusion.groomer import StyleGroomer
from id2face_core.diffusion.recomposer import Guidance, Recomposer, Refinement
from id2face_core.diffusion.refiner import StyleRefiner
from id2face_core.diffusion.surrogate import StyleSurrogate
from id2face_core.identity.traits import IdentityTraits
from id2face_core.identity.vae import IdentityVAE
from id2face_core.looks import cover_limits, looks_between
from id2face_core.perceptual import PerceptualDistance
from id2face_core.photograph.coverage import ZONES
from id2face_core.training import refiner
from id2face_core.training.config import LoopConfig, RefinerConfig
from id2face_core.training.contexts import ContextReader, Contexts
from id2face_core.training.critic import Critic, CriticEye, Judge
from id2face_core.training.loop import Loop
from id2face_core.training.picture_reader import Measured
from id2face_core.training.refiner import AGE, RefinerTask, age_seen, answer, ask, refiner_losses, traits_shown
from id2face_core.training.wishes import AGES, Wishes

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
    drawn = wishes.draw(BATCH, CONFIG, Generator().manual_seed(0))
    latents, attributes = drawn.latents, drawn.attributes
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
    drawn = wishes.draw(256, config, Generator().manual_seed(5))
    latents, attributes = drawn.latents, drawn.attributes
    own = wishes.vae.encode(wishes.embeddings[torch.randint(COUNT, (256,), generator=rows)])
    assert float(torch.cosine_similarity(latents, own).max()) < -0.3 + 1e-4
    assert float(attributes[:, AGE].min()) >= AGES[0] and float(attributes[:, AGE].max()) <= AGES[1]


def test_own_identities_and_expressions_as_asked(wishes: Wishes) -> None:
    config = replace(CONFIG, own=1.0, edited=0.0, expression_swapped=0.0)
    rows = torch.randint(COUNT, (BATCH,), generator=Generator().manual_seed(6))
    drawn = wishes.draw(BATCH, config, Generator().manual_seed(6))
    latents, attributes = drawn.latents, drawn.attributes
    assert torch.equal(drawn.rows, rows) and bool(drawn.own.all())
    assert torch.equal(attributes, wishes.attributes[rows])
    assert torch.allclose(latents, wishes.vae.encode(wishes.embeddings[rows]), atol=1e-5)
    shapes = group_slice("blendshapes")
    swapped = wishes.draw(BATCH, replace(config, expression_swapped=1.0), Generator().manual_seed(6)).attributes
    assert not torch.equal(swapped[:, shapes], attributes[:, shapes])
    assert torch.equal(swapped[:, shapes.stop :], attributes[:, shapes.stop :])


def test_it_is_told_whose_face_is_replaced_unless_that_is_who_is_wished_for(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes
) -> None:
    question = ask(wishes, mean, surrogate, replace(CONFIG, own=0.5), 256, Generator().manual_seed(1))
    told = question.avoid.norm(dim=1) > 0
    assert not bool((told & question.drawn.own).any())
    assert 0.8 < float(told[~question.drawn.own].float().mean()) < 0.97  # not always, so that it can do without
    source = wishes.embeddings[question.drawn.rows]
    assert 0.7 < float((question.avoid * source).sum(dim=1)[told].mean()) < 0.9  # our encoder is not the teacher


def test_whoever_is_avoided_changes_the_correction_only_where_the_network_knows_of_it(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes
) -> None:
    question = ask(wishes, mean, surrogate, CONFIG, BATCH, Generator().manual_seed(1))
    codes = {}
    for avoids in (False, True):
        torch.manual_seed(0)
        model = StyleRefiner(3, STYLE, LATENT + len(ATTRIBUTES), EMBEDDING, len(ATTRIBUTES), 16, avoids=avoids)
        torch.nn.init.normal_(model.outlet.weight, std=0.5)
        given = [
            model.refine(question.residual, question.standard, question.wanted, question.target, mean, surrogate, avoid)[-1]
            for avoid in (None, torch.zeros_like(question.wanted), wishes.embeddings[:BATCH])
        ]
        assert torch.equal(given[0], given[1])
        codes[avoids] = torch.equal(given[0], given[2])
    assert codes == {False: True, True: False}


def test_a_face_decades_too_young_is_felt(mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes) -> None:
    """A clamped square had no slope there: old people became young ones."""
    old = replace(wishes, attributes=wishes.attributes.index_fill(1, torch.tensor([AGE]), 85.0))
    model = StyleRefiner(3, STYLE, LATENT + len(ATTRIBUTES), EMBEDDING, len(ATTRIBUTES), 16)
    torch.nn.init.normal_(model.outlet.weight, std=0.1)
    fine = copy.deepcopy(surrogate)
    fine.attribute_std[AGE] = 5.0
    config = replace(CONFIG, identity=0.0, residual=0.0, edited=0.0)
    loss = refiner_losses(model, old, mean, fine, config, BATCH, Generator().manual_seed(0))["attributes"]
    loss.backward()
    assert float(model.outlet.weight.grad.abs().max()) > 1e-6


def test_pairs_for_one_source_that_are_more_alike_than_wished_count(wishes: Wishes) -> None:
    contexts = Contexts(torch.zeros(COUNT, 3, 112, 112), POINTS[..., :2].expand(COUNT, -1, -1), torch.zeros(COUNT, 112, 112))
    config, twice = replace(CONFIG, own=0.0), replace(wishes, contexts=contexts)
    drawn = twice.draw(BATCH, config, Generator().manual_seed(0))
    first, second = drawn.rows.chunk(2)
    assert torch.equal(first, second) and torch.equal(*drawn.attributes.chunk(2)) and len(first.unique()) > 8
    assert not torch.allclose(*drawn.latents.chunk(2)), "but others are wished for"
    for alone in (replace(config, variety=0.0), config):
        rows = (twice if alone is not config else wishes).draw(BATCH, alone, Generator().manual_seed(0)).rows
        assert not torch.equal(*rows.chunk(2)), "pairs are drawn where they are looked at"
    wanted = torch.nn.functional.normalize(torch.randn(BATCH, EMBEDDING, generator=Generator().manual_seed(1)), dim=1)
    others, same = torch.ones(BATCH), wanted[: BATCH // 2].repeat(2, 1)
    assert float(refiner._alike([wanted, wanted], wanted, others)) == pytest.approx(0, abs=1e-6)
    too_alike = 1 - (wanted[: BATCH // 2] * wanted[BATCH // 2 :]).sum(dim=1).mean()
    assert float(refiner._alike([same], wanted, others)) == pytest.approx(float(too_alike), abs=1e-5)
    assert float(refiner._alike([same], wanted, 0 * others)) == 0, "who gets his own face back is nobody else"


class Faces:
    """A decoder whose new faces are as bright as half of the age that was asked for, and what reads them."""

    def __init__(self, question_ages: list[torch.Tensor]) -> None:
        self.ages = question_ages

    def look(self, codes: torch.Tensor) -> tuple[Measured, torch.Tensor]:
        years = self.ages.pop(0)
        crops = (0.5 * years / 100)[:, None, None, None].expand(-1, 3, 112, 112)
        points = POINTS.expand(len(codes), -1, -1)
        matrix = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(len(codes), -1, -1)
        nothing = torch.zeros(len(codes))
        return Measured(points, nothing, nothing, crops, nothing, None, matrix), nothing


class Brightness(torch.nn.Module):
    def forward(self, crops: torch.Tensor, points: torch.Tensor | None = None) -> torch.Tensor:
        return 100 * crops.mean(dim=(1, 2, 3))[:, None].expand(-1, 2)


POINTS = torch.cat((112 * torch.rand(1, 468, 2, generator=Generator().manual_seed(9)), torch.zeros(1, 468, 1)), dim=2)


def test_a_face_that_looks_younger_than_it_was_asked_for_is_asked_for_older(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ages = wishes.attributes[:, AGE]
    crops = (255 * ages / 100).byte()[:, None, None, None].expand(-1, 3, 112, 112)
    masks = torch.full((COUNT, 112, 112), 255, dtype=torch.uint8)
    contexts = Contexts(crops, POINTS[..., :2].expand(COUNT, -1, -1), masks)
    monkeypatch.setattr(refiner, "put", lambda contexts, new, points: new)
    asked: list[torch.Tensor] = []
    drawn = Wishes.draw
    monkeypatch.setattr(Wishes, "draw", lambda *a: (d := drawn(*a), asked.append(d.attributes[:, AGE]))[0])
    task = RefinerTask(replace(wishes, contexts=contexts), mean, surrogate, CONFIG)
    assert age_seen(task, Brightness()) is None, "there are no pictures"
    task.reader = Faces(asked)  # type: ignore[assignment]
    found = age_seen(task, Brightness(), faces=64)
    assert found is not None
    assert found[0] == pytest.approx(0.5, abs=0.02) and found[1] == pytest.approx(-20, abs=0.8)
    task.refiner.register_to_config(age_seen=found)
    wish = torch.zeros(2, len(ATTRIBUTES))
    wish[:, AGE] = torch.tensor([20.0, 40.0])
    others = wish.clone()
    others[:, AGE] = 0
    made = task.refiner.asked(wish)
    torch.testing.assert_close(made[:, AGE] / 2, wish[:, AGE], atol=1.5, rtol=0)  # as Faces makes them
    made[:, AGE] = 0
    assert torch.equal(made, others)


class Painter:
    """A decoder whose faces are as bright as the first numbers of a code, and a recogniser that looks at their colours."""

    def look(self, codes: torch.Tensor) -> tuple[Measured, torch.Tensor]:
        crops = codes[:, 0, :3, None, None].sigmoid().expand(-1, 3, 112, 112)
        points, matrix = POINTS.expand(len(codes), -1, -1), torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(len(codes), -1, -1)
        faces = torch.nn.functional.normalize(codes.flatten(1)[:, :EMBEDDING], dim=1)
        return Measured(points, points, points, crops, faces, None, matrix), torch.zeros(len(codes), len(ATTRIBUTES))


class Colours(torch.nn.Module):
    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.nn.functional.normalize(crops.mean(dim=(2, 3)).repeat(1, 6)[:, :EMBEDDING], dim=1), None


def test_the_critic_learns_beside_the_refiner_which_listens_to_it(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = torch.full((COUNT, 112, 112), 255, dtype=torch.uint8)
    photographs = torch.randint(0, 256, (COUNT, 3, 112, 112), dtype=torch.uint8, generator=Generator().manual_seed(5))
    contexts = Contexts(photographs, POINTS[..., :2].expand(COUNT, -1, -1), masks)
    monkeypatch.setattr(refiner, "put", lambda contexts, new, points: new)
    torch.manual_seed(6)
    judge = Judge(Critic((4,) * 5), CriticEye(PerceptualDistance((4,) * 5)))
    onlookers = ContextReader([Colours()])  # type: ignore[list-item]
    parts = replace(wishes, contexts=contexts), mean, copy.deepcopy(surrogate)
    config = replace(CONFIG, own=0.0)
    task = RefinerTask(*parts, config, reader=Painter(), onlookers=onlookers, judge=judge)  # type: ignore[arg-type]
    terms = task.losses(8, Generator().manual_seed(0))
    assert {"composed", "variety", "critic", "natural"} <= terms.keys()
    assert "traits" not in terms, "nothing is known of where traits lie"
    task.model.zero_grad()
    terms["natural"].backward(retain_graph=True)
    assert float(task.refiner.outlet.weight.grad.abs().max()) > 0  # type: ignore[union-attr]
    assert all(p.grad is None for p in judge.critic.parameters())
    terms["critic"].backward()
    assert all(p.grad is not None for p in judge.critic.parameters())
    deaf = RefinerTask(*parts, replace(config, natural=0.0), reader=Painter(), onlookers=onlookers, judge=judge)  # type: ignore[arg-type]
    assert "natural" not in deaf.losses(8, Generator().manual_seed(0)), "it learns, and nobody listens"
    fit = Loop(task, replace(CONFIG.optimisation, batch=8, steps=3), LoopConfig(max_batch_growth=1, precision="float32")).run(60)
    assert fit.steps == 3 and isinstance(task.refiner, StyleRefiner) and not task.refiner.training


class Plain(torch.nn.Module):
    """A coach that reads the first colour as age, the second as sex, and nothing else."""

    def forward(self, crops: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        age, sex = crops[:, :2].mean(dim=(2, 3)).unbind(dim=1)
        return torch.stack((100 * age, sex, *[torch.full_like(sex, 0.25)] * 4), dim=1)


def _contexts(wishes: Wishes, brightness: int = 128) -> Contexts:
    crops = torch.full((COUNT, 3, 112, 112), brightness, dtype=torch.uint8)
    masks = torch.full((COUNT, 112, 112), 255, dtype=torch.uint8)
    return Contexts(crops, POINTS[..., :2].expand(COUNT, -1, -1), masks)


def test_the_coach_wants_the_age_and_the_sex_that_it_sees_in_the_source(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes
) -> None:
    contexts, config = _contexts(wishes), replace(CONFIG, own=0.0, edited=0.0)
    drawn = wishes.draw(4, config, Generator().manual_seed(0))
    before = contexts.rows(drawn.rows).crops / 255
    coach: Any = Plain()
    off = [float(refiner._coached(coach, before, k * before, contexts, drawn, wishes).mean()) for k in (1.0, 1.2, 1.8)]
    assert off[0] == pytest.approx(0, abs=1e-5) and off[0] < off[1] < off[2]
    older = replace(drawn, attributes=drawn.attributes.clone())
    older.attributes[:, AGE] += 10
    brighter = before.clone()
    brighter[:, 0] += 0.1
    as_wished, as_it_was = (float(refiner._coached(coach, before, x, contexts, older, wishes).mean()) for x in (brighter, before))
    assert as_wished < 0.1 < as_it_was, "an age that is wished for is not the source's"


def test_blendshapes_are_those_of_the_source_and_what_the_wish_changes(wishes: Wishes) -> None:
    seen, part = torch.full((COUNT, 52), 0.5), group_slice("blendshapes")
    drawn = wishes.draw(BATCH, replace(CONFIG, expression_swapped=0.0), Generator().manual_seed(2))
    assert torch.equal(refiner._shapes(seen, drawn, wishes), torch.full((BATCH, 52), 0.5))
    changed = replace(drawn, attributes=drawn.attributes.clone())
    changed.attributes[:, part] += torch.linspace(-1, 1, 52)
    wished = refiner._shapes(seen, changed, wishes)
    torch.testing.assert_close(wished, (0.5 + torch.linspace(-1, 1, 52)).clamp(0, 1).expand(BATCH, -1))


def test_through_the_decoder_codes_are_made_as_they_are_in_use(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cover = torch.rand(COUNT, len(ZONES), generator=Generator().manual_seed(4))
    here = replace(wishes, contexts=replace(_contexts(wishes), cover=cover))
    groomer = StyleGroomer(3, STYLE, 2 + len(ZONES))
    groomer.weight.normal_(std=0.1, generator=Generator().manual_seed(5))
    groomer.turns.normal_(std=0.1, generator=Generator().manual_seed(6))
    config = replace(CONFIG, own=0.5, guided_to=1.5)
    monkeypatch.setattr(refiner, "between", lambda low, high, shape, rng: torch.full(shape, high))
    task = RefinerTask(here, mean, copy.deepcopy(surrogate), config, reader=Painter(), groomer=groomer)  # type: ignore[arg-type]
    task.surrogate.eval()
    torch.nn.init.normal_(task.refiner.outlet.weight, std=0.1)
    rng = Generator().manual_seed(0)
    asked = ask(task.wishes, mean, task.surrogate, config, 8, rng)
    _, steps, codes = answer(asked, task.refiner, task.wishes, mean, task.surrogate, rng, task.in_use)
    assert len(steps) == task.refiner.config.iterations
    parts = Refinement(task.refiner, task.surrogate, task.wishes.vae)
    used, drawn = Recomposer(mean, None, LATENT, parts, groomer), asked.drawn
    for i in range(8):
        row, source = slice(i, i + 1), drawn.rows[i]
        own = task.wishes.vae.encode(wishes.embeddings[source][None])
        guidance = None if drawn.own[i] else Guidance(1.5, wishes.traits.settled(drawn.latents[row], own))
        limits = looks_between(drawn.attributes[row], cover_limits(cover[source], wishes.attributes[source], drawn.attributes[i]))
        alone = used.complete(asked.residual[row], drawn.latents[row], drawn.attributes[row], asked.avoid[i], guidance, limits)
        torch.testing.assert_close(codes[row], alone, atol=1e-4, rtol=1e-4)
    plain = answer(asked, task.refiner, task.wishes, mean, task.surrogate, rng)[2]
    assert not torch.allclose(codes, plain, atol=0.01), "groomed and guided they are others"


def test_an_error_of_the_expression_has_slopes(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Actor(Painter):
        def look(self, codes: torch.Tensor) -> tuple[Measured, torch.Tensor]:
            seen, read = super().look(codes)
            return replace(seen, shapes=codes.flatten(1)[:, :1].sigmoid().expand(-1, 52)), read

    here = replace(wishes, contexts=replace(_contexts(wishes), shapes=torch.rand(COUNT, 52)))
    monkeypatch.setattr(refiner, "put", lambda contexts, new, points: new)
    onlookers = ContextReader([Colours()], coach=Plain())  # type: ignore[list-item, arg-type]
    actor: Any = Actor()
    config = replace(CONFIG, own=0.0, coach=1.0)
    task = RefinerTask(here, mean, copy.deepcopy(surrogate), config, reader=actor, onlookers=onlookers)
    terms = task.losses(8, Generator().manual_seed(0))
    for name in ("shapes", "coach"):
        task.model.zero_grad()
        terms[name].backward(retain_graph=True)
        assert float(task.refiner.outlet.weight.grad.abs().max()) > 0, name  # type: ignore[union-attr]
    silent = RefinerTask(here, mean, copy.deepcopy(surrogate), replace(config, coach=0.0), reader=actor, onlookers=onlookers)
    assert "coach" not in silent.losses(8, Generator().manual_seed(0))


def test_what_new_faces_show_of_a_trait_is_measured_trait_by_trait(
    mean: ConditionalMean, surrogate: StyleSurrogate, wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = RefinerTask(wishes, mean, surrogate, CONFIG)
    assert traits_shown(task) is None, "nothing looks"
    traits = IdentityTraits(LATENT, counts=(2, 2, 2))
    traits.directions.copy_(torch.eye(LATENT)[:, :6])
    share = torch.tensor([0.9, 0.9, 0.1, 0.1, 0.5, 0.5, *[1.0] * (LATENT - 6)])
    rng = Generator().manual_seed(4)

    def looked_at(*_: object) -> Iterator[tuple[object, None, torch.Tensor]]:
        for _batch in range(20):
            latents = 3 + torch.randn(32, LATENT, generator=rng)
            noise = 0.3 * torch.randn(32, LATENT, generator=rng)
            yield SimpleNamespace(drawn=SimpleNamespace(latents=latents)), None, latents * share + noise

    monkeypatch.setattr(refiner, "_looked_at", looked_at)
    task.wishes = replace(task.wishes, traits=traits, vae=SimpleNamespace(encode=lambda x: x), contexts=object())  # type: ignore[arg-type]
    task.reader, task.onlookers = object(), lambda composed: [composed]  # type: ignore[assignment]
    found = traits_shown(task)
    assert found is not None
    assert found == pytest.approx((0.9, refiner.LEAST_SHOWN, 0.5), abs=0.06), "no more than four times as much is asked for"
    traits.directions.zero_()
    assert traits_shown(task) is None, "no directions"
