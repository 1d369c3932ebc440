"""The same figures by descent, sex and age: whom a method serves worse shows only there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .detection import Detector
from .outcomes import Outcome
from .privacy import Judge
from .sets import Sample
from .traits_judge import Reader, judged
from .utility import FaceReader, utility_figures

LEAST = 8  # pictures; a share of fewer says nothing
FIGURES = {"A1b same photo": "a1b", "A1a another photo": "a1a"}


def group_figures(
    outcomes: Sequence[Outcome], judge_of: Callable[[Sequence[Sample]], Judge], detector: Detector, reader: FaceReader,
    traits: Reader | None, seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row a group of at least `LEAST` pictures.

    Args:
        judge_of: a recogniser that trained nothing here, on some of the samples.
        traits: judges age, sex and descent, None: nobody does.
    """
    rows = []
    for group in sorted({name for o in outcomes for name in o.sample.groups}):
        part = [o for o in outcomes if group in o.sample.groups]
        if len(part) < LEAST:
            continue
        judge = judge_of([o.sample for o in part])
        row: dict[str, Any] = {"group": group, "n": len(part), "recogniser": judge.auditor.name}
        for found in judge.product_rows(part, detector):
            if found["figure"] in FIGURES and "far_0.001" in found:
                row[FIGURES[found["figure"]]] = found["far_0.001"]
        useful = utility_figures(part, reader, [], np.random.default_rng(seed))
        row |= {key: useful[key]["error"] for key in ("pose_degrees", "gaze_degrees", "blendshapes", "skin_lab") if key in useful}
        if traits is not None:
            person = judged(part, traits)
            row |= {key: person[key] for key in ("age_within_8", "sex_kept", "descent_kept", "age_bias_years")}
        rows.append(row)
    return rows
