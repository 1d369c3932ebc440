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

from .attributes.edit import PERSON_TRAITS
from .attributes.vector import BLENDSHAPES, index
from .components import Components
from .errors import FaceRejectedError
from .looks import POSE, SEX, WEARS
from .photograph.coverage import BEARD, GLASSES
from .reading import Reading, Seen, SourceFace, embed, five_points
from .stages import Candidates, NewFace, ask_again, misread, plainer, wished_cover, wished_expression

T = TypeVar("T")
AGE = index("age")
SKIN = [index(name) for name in PERSON_TRAITS["skin"]]
OPENINGS = [BLENDSHAPES.index(name) for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")]
AGE_TOLERANCE = 8.0  # years
SEX_TOLERANCE = 0.5  # sex is 0 to 1: beyond the tolerance it reads as the other one
DESCENT_TOLERANCE = 0.5  # total variation distance
POSE_TOLERANCE = 4.0  # degrees
EXPRESSION_TOLERANCE = 0.03  # mean absolute error of the blendshapes; .1 between two photographs of anybody
OPENING_TOLERANCE = 0.25  # of how far mouth and eyes are open, each 0 to 1
DRAWN_TOLERANCE = 0.12  # of a face: a bare forehead is better than one that was painted bare
STAINED_TOLERANCE = 0.02  # of the source's bare skin
GROWN_TOLERANCE = 0.25  # of the square root of how rough chin and lip are: .8 and .95 shaved, 1.2 and 1.4 with a full beard
BARE_BRIDGE, RIM, RIM_TOLERANCE = 0.75, 1.1, 0.25  # square roots of the edges of glasses: none, plain ones, what may be missed
GAIN = 0.8  # of what was missed, how much is asked for in addition
TRIES = 2  # renderings of one candidate
SHARED = 0.5  # of what is misread of one candidate, how much is of the next one
GOOD_ENOUGH = (1.0, 1.0, 1.3, 1.7, 2.2)  # the fault at which no other is tried, after one rendering, two, three ...
TOO_SIMILAR = 1e3  # a fault from here on must not leave
ALIKE = 1e2  # worse than any other error from here on, but it may leave
LIKENESS_TOLERANCE = 0.15  # cosine; half of the pictures are below, 2 % of which w600k_mbf puts above .25, of all 5 % (N = 116)
TELLING = 0.2  # cosine with the source from which what it wears is no longer asked for
STRANGER = 0.3  # cosine by our encoder that 2 % of real strangers exceed; a finished face above it is still likelier to be found


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
    alone: Reading,
    *,
    limit: float,
    kept: Tensor | None = None,
    pasted: Seen | None = None,
    drawn: float = 0.0,
    stained: float = 0.0,
) -> float:
    """How wrong a new face is. Below 1 nothing is: the greatest of its errors over what is tolerated; else all of them count.

    Args:
        wanted: [A], the attributes that were wished for; alone: what the rendering shows.
        limit: greatest cosine with the source by the bundled encoder; beyond it the fault is at least `TOO_SIMILAR`, and beyond
            `STRANGER` at least `ALIKE`.
        kept: which traits have to agree with the wish, bool [T] (None: all).
        pasted: what the finished picture shows, once there is one: expression and traits are judged there. Pose is not, which
            the paste bends at the outline only.
        drawn: share of the new face where skin was drawn over its own hair, see `photograph.compose.Composite`.
        stained: share of the source's bare skin where the finished picture shows something else, see `photograph.stains`.
    """
    shown: Seen = alone if pasted is None else pasted
    closeness = likeness(source, alone.embedding, shown.embedding)
    if closeness > limit:
        return TOO_SIMILAR * (1 + closeness)
    if closeness > STRANGER:
        return ALIKE * (1 + closeness)
    turned = float((alone.attributes - wanted)[POSE].abs().max())
    pulled = (shown.expression - wished_expression(source, wanted)).abs()
    grown = float((alone.cover[BEARD].sqrt() - wished_cover(source, wanted)[1, BEARD].sqrt()).max())
    rim = float(alone.cover[GLASSES].sqrt())
    missed = RIM - rim if float(wanted[WEARS]) > 0.5 else rim - BARE_BRIDGE
    # likeness by its square: glasses and a beard that are kept bring some back, and must not win over a stranger without them
    errors = [
        turned / POSE_TOLERANCE, float(pulled.mean()) / EXPRESSION_TOLERANCE, float(pulled[OPENINGS].max()) / OPENING_TOLERANCE,
        drawn / DRAWN_TOLERANCE, stained / STAINED_TOLERANCE,
        (max(closeness, 0.0) / LIKENESS_TOLERANCE) ** 2, max(grown, 0.0) / GROWN_TOLERANCE, max(missed, 0.0) / RIM_TOLERANCE,
    ]  # fmt: skip
    for trait, tolerance in ((AGE, AGE_TOLERANCE), (SEX, SEX_TOLERANCE)):
        if kept is None or kept[parts.traits.indices.index(trait)]:
            errors.append(float((shown.attributes - wanted)[trait].abs()) / tolerance)
    if (kept is None or kept[parts.traits.indices.index(SKIN[0])]) and torch.equal(wanted[SKIN], source.attributes[SKIN]):
        errors.append(float((shown.descent - source.descent).abs().sum()) / 2 / DESCENT_TOLERANCE)
    # of two faces that both miss something, the one that misses less in all: a frown cannot hide ten years
    return max(errors) if max(errors) < 1 else min(math.hypot(*errors), ALIKE)


def least_faulty(
    parts: Components, candidates: Candidates, attempt: Callable[[Candidates], tuple[float, Reading, T]], count: int
) -> tuple[T, int]:
    """Render until nothing is wrong, at most `count` times: the least faulty result, and which candidate it is of.

    The more has been tried, the more is put up with (`GOOD_ENOUGH`), so that most attempts go where the faults are great.

    What was missed is asked for in addition (a fixed-point iteration, no gradient): surrogate and generator disagree in the same
    direction again, most of all about the same candidate, which therefore gets `TRIES`. Then, or when it leans to the source, it
    is the next one's turn. What is like the source is turned down, and the next ones come without its glasses and beard, but
    nothing looks for the face that is least like it, which would point back.

    Args:
        attempt: renders the first in order of some candidates -> (fault, reading, result).

    Raises:
        FaceRejectedError: no attempt gave anything, or the best is "too_similar".
    """
    best: tuple[float, T, int] | None = None
    failure = FaceRejectedError("no_mesh", "no rendering shows a face")
    more, hidden = torch.zeros_like(candidates.attributes[0]), None
    rank = tries = 0
    for tried in range(count):
        rank = min(rank, len(candidates.order) - 1)
        asked = candidates.attributes[candidates.order[rank]]
        one = ask_again(parts, candidates, rank, asked + more, hidden)
        try:
            wrong, reading, made = attempt(one)
        except FaceRejectedError as error:
            if error.reason == "occluded":  # another face would not change that
                raise
            failure, rank, tries = error, rank + 1, 0
            continue
        if best is None or wrong < best[0]:
            best = wrong, made, candidates.order[rank]
        if best[0] < GOOD_ENOUGH[min(tried, len(GOOD_ENOUGH) - 1)]:
            break
        closeness = 0.0 if candidates.avoid is None else float(reading.embedding @ candidates.avoid)
        if closeness > TELLING:
            candidates = plainer(candidates)
        more, hidden, tries = more + GAIN * (asked - reading.attributes), misread(parts, one, reading), tries + 1
        if tries == TRIES or wrong >= ALIKE or closeness > LIKENESS_TOLERANCE:
            rank, tries, hidden = rank + 1, 0, None if hidden is None else SHARED * hidden
    if best is None:
        raise failure
    if best[0] >= TOO_SIMILAR:
        raise FaceRejectedError("too_similar", "no sampled identity is far enough from the source")
    return best[1:]
