"""Rounds of stage `recomposer`: what the refiner asks for is rendered and measured, and the surrogate learns from it.

A surrogate that has seen random faces only is wrong where the refiner, trained through it, goes: it is asked about those very
codes (dataset aggregation, Ross et al. 2011, arXiv 1011.0686). Pictures and measurements resume by shards.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Generator, Tensor

from ..attributes.networks import BlendshapeNetwork, PersonNetwork
from .attention import ExpressionReader
from .batches import measured_shards
from .features import measure_pictures, read_features
from .picture_reader import PictureReader
from .refiner import RefinerTask, ask
from .synthesize import render_shards
from .table import Table
from .tables import attributes_of
from .teachers import BatchTeacher, resolve
from .workshop import Workshop


@torch.no_grad()
def asked_codes(task: RefinerTask, count: int, seed: int) -> Tensor:
    """Style codes [count, G, D] that the refiner gives for wishes of a seed."""
    place = task.wishes.attributes.device
    task.surrogate.eval()
    question = ask(task.wishes, task.mean, task.surrogate, task.config, count, Generator(place).manual_seed(seed))
    refined = question.refine(task.refiner.to(place), task.mean, task.surrogate)[-1]
    return task.mean.unwhiten(refined, question.standard).cpu()


def measure_asked(work: Workshop, task: RefinerTask, number: int) -> Table | None:
    """Render and measure what the refiner of a round asks for, below asked<number>/; None when no face was measured."""
    c, world = work.config.recomposer.refiner, work.world
    folder = work.output / f"asked{number}"
    shapes, person = read_networks(work.output)

    def draw(faces: range) -> Tensor:
        return asked_codes(task, len(faces), 1_000_000 * number + faces.start)

    if work.in_batches:
        reader = picture_reader(work, shapes, person)
        measured_shards(
            work.load_generator(), reader, folder / "features", draw, work.seconds_for(2 * c.round_share), c.round_faces,
            work.config.synthesize.shard, work.render_batch, world.rank, world.size,
        )  # fmt: skip
    else:
        _by_files(work, folder, draw)
    world.wait()
    features = read_features(folder / "features")
    if not len(features["names"]):
        return None
    codes, embeddings = (torch.from_numpy(features[k]).float() for k in ("codes", "embeddings"))
    return Table(codes, embeddings, attributes_of(features, shapes, person, work.device))


def _by_files(work: Workshop, folder: Path, draw: Callable[[range], Tensor]) -> None:
    """Pictures first, then what is measured on them, by several processes."""
    c, world = work.config.recomposer.refiner, work.world
    render_shards(
        work.load_generator(), folder / "synth", work.seconds_for(c.round_share), world.rank, world.size, None,
        work.config.synthesize.shard, c.round_faces, work.render_batch, draw,
    )  # fmt: skip
    teacher = resolve(work.config.teachers.recogniser, work.data)
    measure_pictures(folder, teacher, work.seconds_for(c.round_share), work.config.synthesize.workers, world.rank, world.size)


def picture_reader(
    work: Workshop, shapes: BlendshapeNetwork, person: PersonNetwork, close: ExpressionReader | None = None
) -> PictureReader:
    """What measures pictures in batches, on the device of the run."""
    teacher = BatchTeacher(resolve(work.config.teachers.recogniser, work.data))
    return PictureReader.load(teacher, shapes, person, close).to(work.device)


def read_networks(output: Path) -> tuple[BlendshapeNetwork, PersonNetwork]:
    """The networks of the attribute vector that a run has trained."""
    shapes = BlendshapeNetwork.from_pretrained(output / "attributes/blendshapes")
    person = PersonNetwork.from_pretrained(output / "attributes/person")
    return shapes.eval().requires_grad_(False), person.eval().requires_grad_(False)
