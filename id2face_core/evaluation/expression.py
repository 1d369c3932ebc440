"""Does an open mouth stay open, do closed eyes stay closed? By the lids and lips of a mesh that is not the product's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

LIPS, MOUTH_CORNERS = (13, 14), (78, 308)  # inner lips, inner corners
LIDS, EYE_CORNERS = ((159, 145), (386, 374)), ((33, 133), (362, 263))
OPEN_MOUTH = 0.15  # gap of the inner lips over the width of the mouth, in the source
CLOSED_EYES = 0.12  # mean gap of the lids over the width of the eye, in the source
TOLERANCE = 0.5  # an open mouth may lose half of the limit, closed eyes may gain half


def openings(mesh: np.ndarray) -> np.ndarray:
    """Openings [2] of mouth and eyes of a mesh [478, 2], each a gap over a width."""

    def gap(pair: tuple[int, int], across: tuple[int, int]) -> float:
        height = np.linalg.norm(mesh[pair[0]] - mesh[pair[1]])
        return float(height / max(float(np.linalg.norm(mesh[across[0]] - mesh[across[1]])), 1e-6))

    eyes = [gap(lids, corners) for lids, corners in zip(LIDS, EYE_CORNERS, strict=True)]
    return np.array([gap(LIPS, MOUTH_CORNERS), np.mean(eyes)])


def kept_openings(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of the sources with an open mouth or closed eyes: how many kept it. Arguments: rows of `openings`."""
    pairs = list(zip(before, after, strict=True))
    mouths = [new[0] > (1 - TOLERANCE) * OPEN_MOUTH for old, new in pairs if old[0] > OPEN_MOUTH]
    eyes = [new[1] < (1 + TOLERANCE) * CLOSED_EYES for old, new in pairs if old[1] < CLOSED_EYES]
    return {
        "open_mouth_kept": {"hits": int(sum(mouths)), "trials": len(mouths)},
        "closed_eyes_kept": {"hits": int(sum(eyes)), "trials": len(eyes)},
    }
