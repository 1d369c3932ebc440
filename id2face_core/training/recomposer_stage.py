"""Stage `recomposer`: the denoiser, the refiner by the surrogate and through the generator, and the groomer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..attributes.geometry import close_points
from ..attributes.networks import ExpressionNetwork, WitnessNetwork
from ..attributes.vector import GROUP_SIZES
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.denoiser import StyleDenoiser
from ..diffusion.groomer import StyleGroomer
from ..diffusion.refiner import StyleRefiner
from ..diffusion.surrogate import StyleSurrogate
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE
from .attention import AttentionReader, ExpressionReader
from .contexts import ContextReader, Contexts
from .corrections import measure_asked, picture_reader, read_networks
from .critic import Judge
from .features import read_features
from .groomer import fit_groomer
from .loop import seeded
from .readers import CompiledRenderer, DecoderReader, Renderer
from .recomposer import DenoiserTask, denoiser_figures
from .refiner import RefinerTask, age_seen, traits_shown
from .surrogate import SurrogateTask
from .table import HELD_OUT_EVERY, RealTable, Table
from .tables import attributes_of, held_out_mask, placed_meshes, trait_labels
from .teachers import BatchTeacher, resolve
from .tfjs import POOLED, AgeGenderNet, SecondReader
from .wishes import Wishes
from .witness import WitnessTask, evened
from .workshop import Figures, Workshop


def denoiser_task(work: Workshop) -> tuple[DenoiserTask, Table]:
    """The denoiser at its beginning with all that its losses need, and the held-out rows."""
    c = work.config.recomposer
    vae = IdentityVAE.from_pretrained(work.output / "identity_vae")
    mean = ConditionalMean.from_pretrained(work.output / "closed_form")
    surrogate = StyleSurrogate.from_pretrained(work.output / "surrogate")
    train, test = work.load_table().split()
    real = work.load_real()
    pairs = None if real is None else real.pairs(held_out=False)
    with seeded(work.config.seed):
        model = StyleDenoiser(
            identity_dim=vae.config.latent_dim, attribute_groups=GROUP_SIZES, width=c.width, depth=c.depth, heads=c.heads
        )
    reader = decoder_reader(work, surrogate, c.decoder_rows) if c.through == "decoder" else None
    return DenoiserTask(model, train, mean, surrogate, vae, c, pairs, reader, work.device), test


def decoder_reader(
    work: Workshop, surrogate: StyleSurrogate, rows: int | None, seed: int | None = 0, closely: bool = False
) -> DecoderReader:
    """Reads recompositions off rendered pictures, see `DecoderReader`. closely: their expressions too."""
    close = ExpressionReader(AttentionReader.load(), _expression(work)) if closely else None
    reader = picture_reader(work, *read_networks(work.output), close)
    generator: Renderer = work.load_generator()
    if work.config.recomposer.compiled:
        generator = CompiledRenderer(generator)
    return DecoderReader(generator, reader, surrogate.to(work.device).eval().requires_grad_(False), rows, seed)


def refiner_task(
    work: Workshop, surrogate: StyleSurrogate, start_from: StyleRefiner | None = None, name: str = "refiner",
    reader: DecoderReader | None = None, groomer: StyleGroomer | None = None,
) -> RefinerTask:  # fmt: skip
    """The refiner at its beginning: wishes are for the moments of generated and, where there are any, of real faces.

    With a reader they are for faces of which there are crops, real ones if possible, and new faces are put into these, guided and
    groomed as in use.
    """
    vae = IdentityVAE.from_pretrained(work.output / "identity_vae")
    traits = IdentityTraits.from_pretrained(work.output / "identity_traits")
    mean = ConditionalMean.from_pretrained(work.output / "closed_form")
    config = work.config.recomposer.refiner
    if reader is not None and (config.composed or config.composed_away):
        embeddings, attributes, contexts, labels = _photographs(work)
        wishes = Wishes(embeddings, attributes, vae, traits, contexts)
        teacher = resolve(work.config.teachers.recogniser, work.data)
        recognisers = [BatchTeacher(file) for file in dict.fromkeys((teacher, "bundled"))]
        second, coach = _second_reader(work, contexts, labels[:, :2]), _coach(work, contexts, labels)
        onlookers = ContextReader(recognisers, second=second, coach=coach).to(work.device)
        return RefinerTask(
            wishes, mean, surrogate, config, work.device, work.config.seed, start_from, name, reader, onlookers, _judge(work),
            groomer,
        )  # fmt: skip
    train, _ = work.load_table().split()
    faces: list[Table | RealTable] = [train]
    if (real := work.load_real()) is not None:
        faces.append(real.rows(~real.held_out))
    embeddings, attributes = (torch.cat([getattr(rows, k) for rows in faces]) for k in ("embeddings", "attributes"))
    wishes = Wishes(embeddings, attributes, vae, traits)
    return RefinerTask(wishes, mean, surrogate, config, work.device, work.config.seed, start_from, name, reader)


def _judge(work: Workshop) -> Judge | None:
    """The critic at its beginning; None where none is configured."""
    if work.config.teachers.eye == "none" or not work.config.recomposer.refiner.natural:
        return None
    return Judge.load(Path(resolve(work.config.teachers.eye, work.data)), work.config.seed).to(work.device)


def _second_reader(work: Workshop, contexts: Contexts, labels: Tensor) -> SecondReader | None:
    """Fitted to the labels [N, 2] of the contexts; None where none is configured, or too little is labelled."""
    enough = int(labels.isfinite().all(dim=1).sum()) >= POOLED
    if work.config.teachers.second == "none" or not work.config.recomposer.refiner.second or not enough:
        return None
    network = AgeGenderNet.load(Path(resolve(work.config.teachers.second, work.data)))
    return SecondReader(network).fit(contexts.crops, labels).requires_grad_(False)


def _coach(work: Workshop, contexts: Contexts, labels: Tensor) -> WitnessNetwork | None:
    """A network taught as the witness is, by the labels [N, 3] of the contexts, from another start; None as `_second_reader`."""
    c = work.config.recomposer.refiner
    if not c.coach or int(labels.isfinite().all(dim=1).sum()) < POOLED:
        return None
    known = labels[:, :2].isfinite().all(dim=1)
    crops = contexts.crops[known].permute(0, 2, 3, 1).contiguous().numpy()
    rows, even = labels[known].numpy(), evened(labels[known, 0].numpy())
    task = WitnessTask(
        crops, contexts.points[known].numpy(), rows, even, work.config.attributes.witness_widths, work.device,
        work.config.seed + 1,
    )  # fmt: skip
    work.fit(task, c.coached)
    return task.model.eval().requires_grad_(False)


def _seen_closely(work: Workshop, features: dict[str, np.ndarray]) -> Tensor | None:
    """The blendshapes [N, 52] of faces that were measured closely; None where they were not."""
    if "close" not in features:
        return None
    with torch.inference_mode():
        seen: Tensor = _expression(work)(torch.from_numpy(close_points(features["close"][:, 0])))
    return seen.clone()


def _expression(work: Workshop) -> ExpressionNetwork:
    network: ExpressionNetwork = ExpressionNetwork.from_pretrained(work.output / "attributes/expression").eval()
    return network


def _photographs(work: Workshop) -> tuple[Tensor, Tensor, Contexts, Tensor]:
    """Embeddings [N, E], attributes [N, A], crops and labels [N, 3] (`trait_labels`) of faces that new ones are put into.

    Real ones, without them generated ones.
    """
    features = read_features(work.output / "features_real")
    held = held_out_mask(features["names"], work.data)
    if not len(features["names"]):
        features = read_features(work.output / "features")
        held = np.arange(len(features["names"])) % HELD_OUT_EVERY == 0
    chosen = np.flatnonzero(~held)[: work.config.recomposer.refiner.contexts]
    features = {key: value[chosen] for key, value in features.items()}
    attributes = attributes_of(features, *read_networks(work.output), work.device)
    shapes = _seen_closely(work, features)
    contexts = Contexts.of(features["crops"], placed_meshes(features), work.config.synthesize.workers, shapes)
    labels = torch.from_numpy(trait_labels(features["names"], work.data))
    return torch.from_numpy(features["embeddings"]).float(), attributes, contexts, labels


def _refine(work: Workshop) -> Figures:
    """The refiner, and rounds in which the surrogate is corrected where it asks. Writes both networks."""
    c = work.config.recomposer.refiner
    surrogate = StyleSurrogate.from_pretrained(work.output / "surrogate")
    task, asked = refiner_task(work, surrogate), None
    work.fit(task, c.optimisation)
    for number in range(1, c.rounds + 1):
        found = measure_asked(work, task, number)
        if found is None:
            break
        asked = found if asked is None else asked.join(found)
        corrected = SurrogateTask(
            work.load_table(), c.width, surrogate, work.device, work.config.seed, asked, f"surrogate_round{number}"
        )
        work.fit(corrected, c.corrected)
        surrogate = corrected.model
        task = refiner_task(work, surrogate, task.refiner, f"refiner_round{number}")
        work.fit(task, c.optimisation)
    if c.decoder.share or c.decoder.steps:
        groomer, reader = _shared_groomer(work, task), decoder_reader(work, surrogate, None, closely=bool(c.shapes))
        task = refiner_task(work, surrogate, task.refiner, "refiner_decoder", reader, groomer)
        work.fit(task, c.decoder)
        witness = WitnessNetwork.from_pretrained(work.output / "attributes/witness").eval().to(work.device)
        if (seen := age_seen(task, witness)) is not None:
            task.refiner.register_to_config(age_seen=seen)
        if (shown := traits_shown(task)) is not None:
            task.refiner.register_to_config(traits_shown=shown)
    figures: Figures = {f"refiner_{name}": value for name, value in task.finish().items()}
    work.save(task.refiner.cpu(), "refiner")
    work.save(surrogate.cpu(), "surrogate")
    if work.world.main:
        groomer, readable = fit_groomer(work, task)
        work.save(groomer, "groomer")
        figures |= readable
    return figures | {"asked_faces": 0 if asked is None else len(asked.codes)}


def _shared_groomer(work: Workshop, task: RefinerTask) -> StyleGroomer:
    """One for what the refiner asks for so far, the same in all processes."""
    if work.world.main:
        work.save(fit_groomer(work, task)[0], "groomer")
    work.world.wait()
    return StyleGroomer.from_pretrained(work.output / "groomer")


def run_recomposer(work: Workshop) -> Figures:
    """The denoiser, then the refiner."""
    task, test = denoiser_task(work)
    untrained = denoiser_figures(task, test)
    work.fit(task, work.config.recomposer.denoiser)
    work.save(task.model, "denoiser")
    refined = _refine(work)
    work.world.wait()
    return {**denoiser_figures(task, test), **{f"untrained_{name}": value for name, value in untrained.items()}, **refined}
