"""What is wrong with a new face, and the choice of the least faulty of several attempts.

Whoever chains the steps of `stages` asks here before a face leaves: `Anonymizer` and the nodes of ComfyUI do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .attributes.vector import group_slice, index
from .components import Components
from .errors import FaceRejectedError
from .stages import Candidates, NewFace, Reading, SourceFace, ask_again, embed, five_points

T = TypeVar("T")
AGE, SEX = index("age"), index("sex")
POSE, SHAPES = group_slice("pose"), group_slice("blendshapes")
AGE_TOLERANCE = 8.0  # years
SEX_TOLERANCE = 0.5  # sex is 0 to 1: beyond the tolerance it reads as the other one
POSE_TOLERANCE = 4.0  # degrees
EXPRESSION_TOLERANCE = 0.03  # mean absolute error of the blendshapes; .095 between two photographs of anybody
GAIN = 0.8  # of what was missed, how much is asked for in addition
TOO_SIMILAR = 1e3  # a fault from here on must not leave


def likeness(source: SourceFace, *embeddings: Tensor) -> float:
    """Greatest cosine of unit embeddings [E] with the source's; infinite when one cannot be compared."""
    cosines = torch.stack(embeddings) @ source.embedding
    return float(cosines.max()) if bool(cosines.isfinite().all()) else math.inf


def keep_unlike(parts: Components, source: SourceFace, new: NewFace, picture: np.ndarray, limit: float) -> None:
    """Raise FaceRejectedError "too_similar" when the new face, alone or as pasted into a picture, is like the source's."""
    alone = embed(parts, new.rendering, five_points(new.mesh))
    if likeness(source, alone, embed(parts, picture, source.face.points)) > limit:
        raise FaceRejectedError("too_similar", "the new face is too much like the source's")


def fault(
    parts: Components,
    source: SourceFace,
    wanted: Tensor,
    reading: Reading,
    *,
    limit: float,
    kept: Tensor | None = None,
    picture: np.ndarray | None = None,
) -> float:
    """How wrong a new face is: the greatest of its errors over what is tolerated. Below 1 nothing is wrong.

    Args:
        wanted: [A], the attributes that were asked for; reading: what the rendering shows.
        kept: which traits have to agree with the wish, bool [T] (None: all).
        limit: greatest cosine with the source by the bundled encoder; beyond it the fault is at least `TOO_SIMILAR`.
        picture: the finished picture, once there is one: the face in it is compared too.
    """
    views = [reading.embedding] if picture is None else [reading.embedding, embed(parts, picture, source.face.points)]
    closeness = likeness(source, *views)
    if closeness > limit:
        return TOO_SIMILAR * (1 + closeness)
    error = (reading.attributes - wanted).abs()
    parts_of_it = [float(error[POSE].max()) / POSE_TOLERANCE, float(error[SHAPES].mean()) / EXPRESSION_TOLERANCE]
    for trait, tolerance in ((AGE, AGE_TOLERANCE), (SEX, SEX_TOLERANCE)):
        if kept is None or kept[parts.traits.indices.index(trait)]:
            parts_of_it.append(float(error[trait]) / tolerance)
    return max(parts_of_it)


def least_faulty(
    parts: Components, candidates: Candidates, attempt: Callable[[Candidates], tuple[float, Reading, T]], count: int
) -> tuple[T, int]:
    """Render until nothing is wrong, at most `count` times: the least faulty result, and which candidate it is of.

    What a rendering missed is asked for in addition the next time (a fixed-point iteration, no gradient): surrogate and
    generator disagree in the same direction again. A candidate that shows no face or is like the source gives way to the
    next.

    Args:
        attempt: renders the first in order of some candidates -> (fault, reading, result).

    Raises:
        FaceRejectedError: no attempt gave anything, or the best is "too_similar".
    """
    best: tuple[float, T, int] | None = None
    failure = FaceRejectedError("no_mesh", "no rendering shows a face")
    rank, asked = 0, candidates.attributes[candidates.order[0]]
    for _ in range(count):
        try:
            wrong, reading, made = attempt(ask_again(parts, candidates, rank, asked))
        except FaceRejectedError as error:
            if error.reason == "occluded":  # another face would not change that
                raise
            failure, wrong = error, math.inf
        else:
            if best is None or wrong < best[0]:
                best = wrong, made, candidates.order[rank]
        if wrong < 1:
            break
        if wrong < TOO_SIMILAR:
            missed = candidates.attributes[candidates.order[rank]] - reading.attributes
            asked = asked + GAIN * missed
        elif rank + 1 < len(candidates.order):
            rank += 1
            asked = candidates.attributes[candidates.order[rank]]
    if best is None:
        raise failure
    if best[0] >= TOO_SIMILAR:
        raise FaceRejectedError("too_similar", "no sampled identity is far enough from the source")
    return best[1:]
