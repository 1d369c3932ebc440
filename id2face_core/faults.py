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

from .attributes.vector import index
from .components import Components
from .errors import FaceRejectedError
from .stages import NewFace, SourceFace, embed, five_points, read_rendering

T = TypeVar("T")
AGE, SEX = index("age"), index("sex")
AGE_TOLERANCE = 8.0  # years
SEX_TOLERANCE, SEX_WEIGHT = 0.5, 4.0  # sex is 0 to 1: beyond the tolerance it reads as the other one
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
    new: NewFace,
    *,
    limit: float,
    kept: Tensor | None = None,
    picture: np.ndarray | None = None,
) -> float:
    """How wrong a new face is: below 1 nothing is, from `TOO_SIMILAR` on it must not leave.

    Args:
        wanted: [A], the attributes that were asked for. kept: which traits have to agree with them, bool [T] (None: all).
        limit: greatest cosine with the source by the bundled encoder.
        picture: the finished picture, once there is one: the face in it is compared too.

    Raises:
        FaceRejectedError: "attributes".
    """
    alone = read_rendering(parts, new)
    views = [alone.embedding] if picture is None else [alone.embedding, embed(parts, picture, source.face.points)]
    closeness = likeness(source, *views)
    wrong = TOO_SIMILAR * (1 + closeness) if closeness > limit else 0.0
    age, sex = (float((alone.attributes[i] - wanted[i]).abs()) for i in (AGE, SEX))
    if kept is None or kept[parts.traits.indices.index(AGE)]:
        wrong += age / AGE_TOLERANCE
    if kept is None or kept[parts.traits.indices.index(SEX)]:
        wrong += SEX_WEIGHT * max(0.0, sex - SEX_TOLERANCE)
    return wrong


def least_faulty(attempt: Callable[[int], tuple[float, T]], count: int) -> T:
    """The first result of attempt(0), attempt(1), ... -> (fault, result) with nothing wrong, else the best of `count`.

    Raises:
        FaceRejectedError: no attempt gave anything, or the best is "too_similar".
    """
    best: tuple[float, T] | None = None
    failure = FaceRejectedError("no_mesh", "no rendering shows a face")
    for rank in range(count):
        try:
            wrong, made = attempt(rank)
        except FaceRejectedError as error:
            if error.reason == "occluded":  # another face would not change that
                raise
            failure = error
            continue
        if best is None or wrong < best[0]:
            best = wrong, made
        if wrong < 1:
            break
    if best is None:
        raise failure
    if best[0] >= TOO_SIMILAR:
        raise FaceRejectedError("too_similar", "no sampled identity is far enough from the source")
    return best[1]
