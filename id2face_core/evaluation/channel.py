"""Control of the identity channel: the source's own identity recomposed with its own attributes must be found again.

Otherwise the new faces would be nobody only because the identity does not reach the picture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..errors import FaceRejectedError
from ..faces.types import Face
from ..options import Preset
from ..photograph.compose import ComposeOptions
from ..reading import read_face
from ..stages import draw_candidates, identity_latent, paste, render_candidate
from .outcomes import Outcome
from .sets import Sample

MARGIN = 0.6  # what a face's box has around its five points, over their extent


def known_face(sample: Sample) -> Face:
    """The known face of a sample as a detector would give it."""
    low, high = sample.points.min(axis=0), sample.points.max(axis=0)
    edge = MARGIN * float((high - low).max())
    return Face(np.concatenate([low - edge, high + edge]).astype(np.float32), sample.points, 1.0)


def put_back(parts: Any, sample: Sample, preset: Preset, seed: int) -> Outcome:
    """Recompose a face from its own identity latent and attributes, and paste it.

    Args:
        parts: `components.Components` of the product.

    A face that the product rejects is an outcome without a picture.
    """
    generator = torch.Generator().manual_seed(seed)
    try:
        source = read_face(parts, sample.picture, known_face(sample))
        latent = identity_latent(parts, source.embedding)
        drawn = draw_candidates(parts, latent[None], source.attributes, generator, steps=preset.steps)
        new = replace(render_candidate(parts, drawn), wish=source.expression)
        made = paste(parts, sample.picture, source, new, ComposeOptions(region=preset.region), np.random.default_rng(seed))
    except FaceRejectedError as error:
        return Outcome(sample, "withheld", error.reason, None, np.zeros(sample.picture.shape[:2], np.float32), None)
    return Outcome(sample, "anonymized", "", made.picture, made.mask, new.rendering)
