"""Rounds of stage `recomposer`: what the refiner asks for is rendered and measured, and the surrogate learns from it.

A surrogate that has seen random faces only is wrong where the refiner, trained through it, goes: it is asked about those very
codes (dataset aggregation, Ross et al. 2011, arXiv 1011.0686). Pictures and measurements resume by shards.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from ..attributes.networks import BlendshapeNetwork, PersonNetwork
from ..devices import probe
from .features import measure_pictures, read_features
from .refiner import RefinerTask, ask
from .synthesize import render_shards
from .table import Table
from .tables import attributes_of
from .teachers import resolve
from .workshop import Workshop


@torch.no_grad()
def asked_codes(task: RefinerTask, count: int, seed: int) -> Tensor:
    """Style codes [count, G, D] that the refiner gives for wishes of a seed."""
    place = task.wishes.attributes.device
    task.surrogate.eval()
    question = ask(task.wishes, task.mean, task.surrogate, task.config, count, Generator(place).manual_seed(seed))
    refined = question.refine(task.model.to(place), task.mean, task.surrogate)[-1]
    return task.mean.unwhiten(refined, question.standard).cpu()


def measure_asked(work: Workshop, task: RefinerTask, number: int) -> Table | None:
    """Render and measure what the refiner of a round asks for, below asked<number>/; None when no face was measured."""
    from ..generator.loader import load_generator

    c, world = work.config.recomposer.refiner, work.world
    folder = work.output / f"asked{number}"
    shard = work.config.synthesize.shard
    generator = load_generator(None, work.device, probe(str(work.device)).dtype)
    render_shards(
        generator, folder / "synth", work.seconds_for(c.round_share), world.rank, world.size, None, shard, c.round_faces, 1,
        lambda faces: asked_codes(task, len(faces), faces.start),
    )  # fmt: skip
    teacher = resolve(work.config.teachers.recogniser, work.data)
    measured = measure_pictures(
        folder, teacher, work.seconds_for(c.round_share), work.config.synthesize.workers, world.rank, world.size
    )
    world.wait()
    if not measured:
        return None
    features = read_features(folder / "features")
    shapes, person = _readers(work.output)
    codes, embeddings = (torch.from_numpy(features[k]).float() for k in ("codes", "embeddings"))
    return Table(codes, embeddings, attributes_of(features, shapes, person))


def _readers(output: Path) -> tuple[BlendshapeNetwork, PersonNetwork]:
    shapes = BlendshapeNetwork.from_pretrained(output / "attributes/blendshapes")
    person = PersonNetwork.from_pretrained(output / "attributes/person")
    return shapes.eval().requires_grad_(False), person.eval().requires_grad_(False)
