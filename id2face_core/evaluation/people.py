"""Age and sex before and after, by the package's own witness. Not independent: attempts are chosen by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..attributes.vector import index
from ..errors import FaceRejectedError
from .outcomes import Outcome


def person_figures(outcomes: Sequence[Outcome], mesh: Any, extractor: Any) -> dict[str, Any]:
    """Share of anonymized faces whose age stayed within 8 years and whose sex stayed, and the mean age error.

    Args:
        mesh: `faces.landmarks.MeshNetwork`. extractor: `attributes.extractor.AttributeExtractor`.

    A new face without a mesh counts as not kept.
    """
    ages, kept_age, kept_sex, trials = [], 0, 0, 0
    for outcome in outcomes:
        if outcome.status != "anonymized" or outcome.picture is None:
            continue
        before = _read(outcome.sample.picture, outcome.sample.points, mesh, extractor)
        if before is None:
            continue
        trials += 1
        after = _read(outcome.picture, outcome.sample.points, mesh, extractor)
        if after is None:
            continue
        age, sex = index("age"), index("sex")
        ages.append(abs(float(after[age] - before[age])))
        kept_age += ages[-1] <= 8
        kept_sex += (after[sex] > 0.5) == (before[sex] > 0.5)
    return {
        "reader": "own reader, optimistic: the package's witness, by which attempts are chosen",
        "age_within_8": {"hits": int(kept_age), "trials": trials},
        "sex_kept": {"hits": int(kept_sex), "trials": trials},
        "age_error_years": float(np.mean(ages)) if ages else None,
    }


def _read(picture: np.ndarray, points: np.ndarray, mesh: Any, extractor: Any) -> np.ndarray | None:
    try:
        vector: np.ndarray = extractor.read(picture, points, mesh.fit(picture, points))[0]
    except FaceRejectedError:
        return None
    return vector
