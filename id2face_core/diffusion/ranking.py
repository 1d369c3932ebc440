"""Choosing among recompositions before any is rendered.

The surrogate reads identity and attributes off a style code for next to nothing, so a few codes are drawn for a face and the
one whose *attributes* fit the wish best is rendered. Identity only excludes: taking the code farthest from the source would
point back at it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..attributes.vector import ATTRIBUTES, group_slice, index
from .surrogate import StyleSurrogate

EXCLUDED = 1e6  # added to the cost of a code that looks like the source


def importance() -> Tensor:
    """How much a mismatch of each attribute (in standard deviations) counts, [A]: what an onlooker sees first."""
    weights = torch.full((len(ATTRIBUTES),), 0.25)
    weights[group_slice("pose")] = 1.0
    weights[group_slice("gaze")] = 0.25  # turned by the paste
    weights[group_slice("skin")] = 0.15  # light and tone are matched by the paste
    for name, weight in (
        ("age", 4.0), ("sex", 6.0), ("glasses", 3.0), ("jawOpen", 1.5), ("eyeBlinkLeft", 1.0), ("eyeBlinkRight", 1.0),
        ("mouthSmileLeft", 1.5), ("mouthSmileRight", 1.5), ("_neutral", 0.0),
    ):  # fmt: skip
        weights[index(name)] = weight
    return weights


@torch.no_grad()
def misfit(
    surrogate: StyleSurrogate, codes: Tensor, wanted: Tensor, forbidden: Tensor | None = None, margin: float = 0.0
) -> Tensor:
    """Cost of style codes.

    Args:
        codes: [K, G, D].
        wanted: [A] or [K, A] attributes in the surrogate's standard deviations.
        forbidden: unit embedding [E] of the source; codes whose identity has a cosine above `margin` are excluded.

    Returns:
        [K]; excluded ones are ordered among themselves and behind all others.
    """
    identity, attributes = surrogate(codes)
    weight = importance().to(codes) * surrogate.reliability
    cost = (weight * (attributes - wanted).square()).sum(dim=1)
    if forbidden is not None:
        cosine = identity @ forbidden
        cost = cost + EXCLUDED * (cosine > margin) * (1 + cosine)
    return cost
