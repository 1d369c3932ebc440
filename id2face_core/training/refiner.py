"""Stage `recomposer`: the refiner, trained with the recomposition loss: ask for anybody in any moment, read it back.

What is asked for are `wishes.Wishes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..attributes.networks import WitnessNetwork
from ..attributes.vector import group_slice
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.groomer import StyleGroomer
from ..diffusion.ranking import importance
from ..diffusion.recomposer import Guidance, Recomposer, Refinement
from ..diffusion.refiner import AGE, MIDDLE_AGE, StyleRefiner
from ..diffusion.surrogate import StyleSurrogate
from ..faults import EXPRESSION_TOLERANCE
from ..looks import cover_limits, looks_between
from .config import RefinerConfig
from .contexts import ContextReader, Contexts, put
from .critic import Judge, balance, critic_loss, natural_loss
from .loop import seeded
from .picture_reader import Measured, apply
from .readers import DecoderReader
from .wishes import AGES, Drawn, Wishes, between, share_of

UNTOLD = 0.1  # share of wishes for which the refiner is not told whose face is replaced
STUDENT_NOISE = 0.75
NEAR_ENOUGH = 2.0  # standard deviations
LEAST_SLOPE = 0.5  # a reading that follows the asked age by less is not made up for
LEAST_SHOWN = 0.25  # as little of a trait; asking for four times a difference leaves what faces there are
LEAST_SHARE = 1e-2  # of a sex or a descent, below which nothing is gained
YEARS, SURE_SEX = 8.0, 1.2  # an error of so many years counts as one; the sex shall be a little plainer than before


@dataclass(frozen=True)
class Question:
    """A batch to refine.

    standard: [B, C] conditions; wanted: [B, E] unit embeddings; target: [B, A] in the deviations of the surrogate; residual:
    [B, G, D]; avoid: [B, E], whose face is replaced as the refiner is told, 0 for nobody's; drawn: the wishes themselves.
    """

    standard: Tensor
    wanted: Tensor
    target: Tensor
    residual: Tensor
    avoid: Tensor
    drawn: Drawn

    def refine(self, model: StyleRefiner, mean: ConditionalMean, surrogate: StyleSurrogate) -> list[Tensor]:
        """The residual after each iteration, see `StyleRefiner.refine`."""
        return model.refine(self.residual, self.standard, self.wanted, self.target, mean, surrogate, self.avoid)


@dataclass(frozen=True)
class InUse:
    """Refinement as it is used: codes are groomed to what the photograph shows, before and after, and guided.

    scale: greatest guidance; each face gets one between 1 and it.
    """

    recomposer: Recomposer
    scale: float

    def __call__(
        self, model: StyleRefiner, asked: Question, wishes: Wishes, surrogate: StyleSurrogate, rng: Generator
    ) -> tuple[Question, list[Tensor], Tensor]:
        """See `answer`. Whoever shall be himself is not guided."""
        drawn, mean = asked.drawn, self.recomposer.mean
        groom = self.recomposer.grooming(_limits(drawn, wishes))
        question = replace(asked, residual=self.recomposer.start(asked.residual, asked.standard, groom))
        steps = question.refine(model, mean, surrogate)
        scale = between(1.0, self.scale, (len(asked.wanted), 1, 1), rng)
        scale = torch.where(drawn.own[:, None, None], torch.ones_like(scale), scale)
        own = wishes.vae.encode(wishes.embeddings[drawn.rows])
        guidance = Guidance(scale, wishes.traits.settled(drawn.latents, own))
        codes = mean.unwhiten(steps[-1], question.standard)
        made = self.recomposer.finish(codes, asked.residual, drawn.attributes, asked.avoid, guidance, groom)
        return question, steps, made


def answer(
    asked: Question, model: StyleRefiner, wishes: Wishes, mean: ConditionalMean, surrogate: StyleSurrogate, rng: Generator,
    in_use: InUse | None = None,
) -> tuple[Question, list[Tensor], Tensor]:  # fmt: skip
    """The question as it is refined, the residual after each iteration, and the codes [B, G, D] that are rendered."""
    if in_use is not None:
        return in_use(model, asked, wishes, surrogate, rng)
    steps = asked.refine(model, mean, surrogate)
    return asked, steps, mean.unwhiten(steps[-1], asked.standard)


def _limits(drawn: Drawn, wishes: Wishes) -> Tensor | None:
    """Least and most [B, 2, R] of how new faces shall look in the photographs of their wishes; None where nothing is known."""
    if wishes.contexts is None or wishes.contexts.cover is None:
        return None
    cover = cover_limits(wishes.contexts.cover[drawn.rows], wishes.attributes[drawn.rows], drawn.attributes)
    return looks_between(drawn.attributes, cover)


def ask(
    wishes: Wishes,
    mean: ConditionalMean,
    surrogate: StyleSurrogate,
    config: RefinerConfig,
    batch: int,
    rng: Generator,
    spread: float | None = None,
) -> Question:
    """Draw wishes and noise. spread: deviation of the residual; None draws one a row from the configuration's range."""
    drawn = wishes.draw(batch, config, rng)
    latents, attributes = drawn.latents, drawn.attributes
    if spread is None:
        scale = between(config.spread_from, config.spread_to, (batch, 1, 1), rng)
    else:
        scale = torch.full((batch, 1, 1), spread, device=rng.device)
    residual = scale * torch.randn((batch, *mean.offset.shape), generator=rng, device=rng.device)
    standard = mean.standardise(torch.cat((latents, attributes), dim=1))
    avoid = _as_seen(wishes.embeddings[drawn.rows], rng)
    avoid = torch.where((drawn.own | share_of(batch, UNTOLD, rng))[:, None], torch.zeros_like(avoid), avoid)
    return Question(standard, wishes.vae.decode(latents), surrogate.standardise(attributes), residual, avoid, drawn)


def _as_seen(embeddings: Tensor, rng: Generator) -> Tensor:
    """Unit embeddings [B, E] as our encoder would see them, which is not the teacher (cosine .8 on real faces)."""
    noise = torch.randn(embeddings.shape, generator=rng, device=rng.device)
    return F.normalize(embeddings + STUDENT_NOISE * F.normalize(noise, dim=1), dim=1)


class RefinerTask:
    """The refiner, trained through a frozen surrogate.

    The surrogate keeps its dropout while it is trained through: one fixed surrogate is soon talked into what no rendering
    shows.
    """

    def __init__(
        self,
        wishes: Wishes,
        mean: ConditionalMean,
        surrogate: StyleSurrogate,
        config: RefinerConfig,
        device: torch.device | None = None,
        seed: int = 0,
        start_from: StyleRefiner | None = None,
        name: str = "refiner",
        reader: DecoderReader | None = None,
        onlookers: ContextReader | None = None,
        judge: Judge | None = None,
        groomer: StyleGroomer | None = None,
    ) -> None:
        self.name, self.reader, self.onlookers, self.judge = name, reader, onlookers, judge
        place = device or torch.device("cpu")
        self.wishes, self.config = wishes.to(place), config
        self.mean, self.surrogate = mean.to(place).eval(), surrogate.to(place).requires_grad_(False).train()
        with seeded(seed):
            self.refiner = start_from or StyleRefiner(
                *mean.offset.shape, mean.centre.numel(), wishes.embeddings.shape[1], wishes.attributes.shape[1], config.width,
                avoids=True,
            )  # fmt: skip
        self.refiner.register_to_config(age_seen=(1.0, 0.0))  # what is wished is what is asked for, until it is measured
        self.in_use: InUse | None = None
        if reader is not None:
            parts = Refinement(self.refiner, self.surrogate, self.wishes.vae)
            groomer = None if groomer is None else groomer.to(place).eval().requires_grad_(False)
            recomposer = Recomposer(self.mean, None, self.wishes.vae.config.latent_dim, parts, groomer)
            self.in_use = InUse(recomposer, config.guided_to)
        self.model: nn.Module = self.refiner
        if judge is not None:
            self.model = nn.ModuleDict({"refiner": self.refiner, "critic": judge.critic})

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        parts = self.refiner, self.wishes, self.mean, self.surrogate, self.config
        return refiner_losses(*parts, batch, rng, self.reader, self.onlookers, self.judge, self.in_use)

    def finish(self) -> dict[str, float]:
        """Figures on wishes of another seed, see `refiner_figures`."""
        self.surrogate.eval()
        return refiner_figures(self.refiner, self.wishes, self.mean, self.surrogate)


def refiner_losses(
    model: StyleRefiner,
    wishes: Wishes,
    mean: ConditionalMean,
    surrogate: StyleSurrogate,
    config: RefinerConfig,
    batch: int,
    rng: Generator,
    reader: DecoderReader | None = None,
    onlookers: ContextReader | None = None,
    judge: Judge | None = None,
    in_use: InUse | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of one batch; earlier iterations count half.

    reader: reads the last one, None: the surrogate; onlookers: look at it in the contexts of the wishes too, if these have any,
    and so does the judge, whose critic learns with a term of its own. in_use: how codes are refined, None: by the model alone.
    """
    trusted = importance().to(wishes.attributes)
    guessed = trusted * surrogate.reliability
    guessed, trusted = guessed / guessed.mean(), trusted / trusted.mean()
    terms = {name: torch.zeros((), device=rng.device) for name in ("identity", "attributes", "residual")}
    with torch.autocast(rng.device.type, enabled=False):  # what is solved for needs more than bfloat16's eight bits
        asked = ask(wishes, mean, surrogate, config, batch, rng)
        question, steps, made = answer(asked, model, wishes, mean, surrogate, rng, in_use)
    for step, refined in enumerate(steps):
        last = step == len(steps) - 1
        share, seen = (1.0 if last else 0.5), None
        if last and reader is not None:
            seen, read = reader.look(made)
            identity, weight = seen.embeddings, trusted
        else:
            identity, read = surrogate(mean.unwhiten(refined, question.standard))
            weight = guessed
        grown = F.relu(refined.square().mean(dim=(1, 2)) - question.residual.square().mean(dim=(1, 2)))
        beyond = F.relu(refined.square().mean(dim=2) - 1).mean(dim=1)
        terms["identity"] = terms["identity"] + share * config.identity * (1 - (identity * question.wanted).sum(dim=1)).mean()
        # squares only where it is near: a face that is decades too young shall still be felt
        missed = F.huber_loss(read, question.target.expand_as(read), reduction="none", delta=NEAR_ENOUGH) * 2
        terms["attributes"] = terms["attributes"] + share * config.attributes * (weight * missed).mean()
        terms["residual"] = terms["residual"] + share * config.residual * (grown + 0.1 * beyond).mean()
        if seen is not None and seen.shapes is not None and wishes.contexts is not None and wishes.contexts.shapes is not None:
            pulled = (seen.shapes - _shapes(wishes.contexts.shapes, question.drawn, wishes)).abs().mean(dim=1)
            terms["shapes"] = config.shapes * (pulled / EXPRESSION_TOLERANCE).mean()
        if seen is not None and wishes.contexts is not None and onlookers is not None:
            terms |= _in_context(seen, question, wishes, wishes.contexts, onlookers, config, judge, rng)
    return terms


def _in_context(
    seen: Measured, question: Question, wishes: Wishes, contexts: Contexts, onlookers: ContextReader, config: RefinerConfig,
    judge: Judge | None, rng: Generator,
) -> dict[str, Tensor]:  # fmt: skip
    """The recomposition loss in the finished picture: it shows whoever was wished for, and the person of before no more.

    Only what still points at that person counts, so that nothing is pushed to where it would point back from the other side.
    Age, sex and descent are read twice, by directions of the teacher's latent and, where there is one, by a second reader.
    """
    drawn = question.drawn
    before, composed = _finished(seen, question, contexts)
    source, others = wishes.embeddings[drawn.rows], (~drawn.own).float()
    found = onlookers(composed)
    apart = torch.stack([1 - (e * question.wanted).sum(dim=1) for e in found]).mean(dim=0)
    like = torch.stack([F.relu((e * source).sum(dim=1)) for e in found]).mean(dim=0)
    terms = {"composed": config.composed * apart.mean(), "composed_away": config.composed_away * (others * like).mean()}
    if config.variety:
        terms["variety"] = config.variety * _alike(found, question.wanted, others)
    if config.traits and (basis := wishes.traits.basis()).shape[1]:  # else nothing is known of where traits lie
        missed = (wishes.vae.encode(found[0]) - drawn.latents) @ basis
        terms["traits"] = config.traits * F.huber_loss(missed, torch.zeros_like(missed))
    if config.second and onlookers.second is not None:
        with torch.no_grad():
            age, sex = onlookers.second(before).unbind(dim=1)
        read = onlookers.second(composed)
        years = _years_off(read[:, 0], age, drawn, wishes)
        kind = F.huber_loss(read[:, 1], SURE_SEX * sex.clamp(-1, 1), reduction="none")
        terms["second"] = config.second * (others * (years + 2 * kind)).mean()
    if config.coach and onlookers.coach is not None:
        terms["coach"] = config.coach * (others * _coached(onlookers.coach, before, composed, contexts, drawn, wishes)).mean()
    if judge is not None:
        masks = contexts.masks[drawn.rows, None].to(composed) / 255
        terms["critic"] = critic_loss(judge, before, composed.detach(), masks, rng)
        if config.natural:
            plain = natural_loss(judge, composed, masks, rng)
            terms["natural"] = config.natural * balance(terms["composed"], plain, composed) * plain
    return terms


def _shapes(source: Tensor, drawn: Drawn, wishes: Wishes) -> Tensor:
    """The blendshapes [B, 52] that new faces shall show: those of the sources [N, 52], and what the wishes change of them."""
    part = group_slice("blendshapes")
    return (source[drawn.rows] + wishes.change(drawn)[:, part]).clamp(0, 1)


def _years_off(read: Tensor, before: Tensor, drawn: Drawn, wishes: Wishes) -> Tensor:
    """How far ages [B] read off new faces are from those read off their sources [B] and what the wishes change of them."""
    wished = (before + wishes.change(drawn)[:, AGE]).clamp(*AGES)
    return F.huber_loss(read / YEARS, wished / YEARS, reduction="none", delta=NEAR_ENOUGH)


def _coached(
    coach: WitnessNetwork, before: Tensor, composed: Tensor, contexts: Contexts, drawn: Drawn, wishes: Wishes
) -> Tensor:
    """How far finished pictures [B, 3, 112, 112] are off in age, sex and descent from what the sources' own say, [B]."""
    points = contexts.points[drawn.rows]
    with torch.no_grad():
        was = coach(before, points)
    read = coach(composed, points).clamp_min(LEAST_SHARE)
    years = _years_off(read[:, 0], was[:, 0], drawn, wishes)
    shares = torch.cat((read[:, 1:2], (1 - read[:, 1:2]).clamp_min(LEAST_SHARE), read[:, 2:]), dim=1)
    known = torch.cat((was[:, 1:2], 1 - was[:, 1:2], was[:, 2:]), dim=1)
    return years + (known * (known.clamp_min(LEAST_SHARE).log() - shares.log())).sum(dim=1)


def _alike(found: list[Tensor], wanted: Tensor, others: Tensor) -> Tensor:
    """How much more alike than wished the two new faces for one source are, see `Wishes.draw`."""
    half = len(wanted) // 2
    both = others[:half] * others[half : 2 * half]
    wished = (wanted[:half] * wanted[half : 2 * half]).sum(dim=1)
    alike = torch.stack([F.relu((e[:half] * e[half : 2 * half]).sum(dim=1) - wished) for e in found]).mean(dim=0)
    return (both * alike).mean()


def _finished(seen: Measured, question: Question, contexts: Contexts) -> tuple[Tensor, Tensor]:
    """The photographs that the wishes are of, and these with the new faces in them: [B, 3, 112, 112] in 0..1 each."""
    before = contexts.rows(question.drawn.rows)
    composed = put(before, seen.crops, apply(seen.matrix, seen.points[..., :2]).detach())
    return before.crops.to(composed) / 255, composed


@torch.no_grad()
def refiner_figures(
    model: StyleRefiner, wishes: Wishes, mean: ConditionalMean, surrogate: StyleSurrogate, spread: float = 0.5
) -> dict[str, float]:
    """What the surrogate reads before and after: cosine with the wished identity, mean age error in years."""
    place = wishes.attributes.device
    model, rng = model.to(place), Generator(place).manual_seed(1)
    question = ask(wishes, mean, surrogate, RefinerConfig(), 512, rng, spread)
    figures = {}
    for name, x in (("before", question.residual), ("after", question.refine(model, mean, surrogate)[-1])):
        identity, read = surrogate(mean.unwhiten(x, question.standard))
        figures[f"identity_cosine_{name}"] = float((identity * question.wanted).sum(dim=1).mean())
        figures[f"age_error_{name}"] = float(((read - question.target)[:, AGE].abs() * surrogate.attribute_std[AGE]).mean())
    return figures


@torch.no_grad()
def age_seen(
    task: RefinerTask, witness: nn.Module, faces: int = 256, batch: int = 16, spread: float = 0.5
) -> tuple[float, float] | None:
    """`StyleRefiner.age_seen` by the witness, in finished pictures; None where there are none.

    Not by the second reader, which the refiner was trained through as well: what it was asked for it sees.

    What it reads off photographs of people of an age, and off the new faces that were asked for at that age, are both about
    linear in the age; a new face looks as old as the photograph of whoever has the same reading.
    """
    contexts = task.wishes.contexts
    if task.reader is None or contexts is None:
        return None
    rows = []
    for question, before, composed in _looked_at(task, task.reader, contexts, faces, batch, spread):
        points = contexts.points[question.drawn.rows]
        source, after = (witness(crops.float(), points)[:, 0] for crops in (before, composed))
        rows.append(torch.stack((question.drawn.attributes[:, AGE], source, after), dim=1))
    asked, source, after = (torch.cat(rows).double() - MIDDLE_AGE).unbind(dim=1)
    design = torch.stack((asked, torch.ones_like(asked)), dim=1)
    (slope, base), (new_slope, new_base) = torch.linalg.lstsq(design, torch.stack((source, after), dim=1)).solution.T.tolist()
    if slope <= 0 or not LEAST_SLOPE <= new_slope / slope <= 1 / LEAST_SLOPE:
        return None  # it reads no age, or nothing is to be had by asking
    return new_slope / slope, (new_base - base) / slope


@torch.no_grad()
def traits_shown(task: RefinerTask, faces: int = 256, batch: int = 16, spread: float = 0.5) -> tuple[float, ...] | None:
    """`StyleRefiner.traits_shown` by the teacher, in finished pictures; None where there are no pictures.

    The slope of what is read in a trait's directions on what was asked for there, over all of the directions of the trait.
    """
    onlookers, contexts, traits = task.onlookers, task.wishes.contexts, task.wishes.traits
    if task.reader is None or onlookers is None or contexts is None or not bool(traits.directions.any()):
        return None
    asked, read = [], []
    for question, _, composed in _looked_at(task, task.reader, contexts, faces, batch, spread):
        asked.append(question.drawn.latents)
        read.append(task.wishes.vae.encode(onlookers(composed)[0]))
    shares = []
    for part in traits.parts():
        x, y = (torch.cat(rows) @ part for rows in (asked, read))
        x, y = x - x.mean(dim=0), y - y.mean(dim=0)
        share = float((x * y).sum() / x.square().sum().clamp_min(1e-9))
        shares.append(min(max(share, LEAST_SHOWN), 1.0))
    return tuple(shares)


def _looked_at(
    task: RefinerTask, reader: DecoderReader, contexts: Contexts, faces: int, batch: int, spread: float
) -> Iterator[tuple[Question, Tensor, Tensor]]:
    """Batches of wishes as they come in use, with the photographs that they are of and these with the new faces in them."""
    place = task.wishes.attributes.device
    config, rng = replace(task.config, own=0.0, edited=0.0, expression_swapped=0.0), Generator(place).manual_seed(2)
    model = task.refiner.to(place)
    for _ in range(max(faces // batch, 2)):
        asked = ask(task.wishes, task.mean, task.surrogate, config, batch, rng, spread)
        question, _, codes = answer(asked, model, task.wishes, task.mean, task.surrogate, rng, task.in_use)
        yield question, *_finished(reader.look(codes)[0], question, contexts)
