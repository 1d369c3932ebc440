"""Figures by group: who is in which, and that a group that fares worse shows."""

from __future__ import annotations

import numpy as np
import pytest

from id2face_core.audit.recognisers import cosine_scores
from id2face_core.evaluation.groups import LEAST, group_figures
from id2face_core.evaluation.outcomes import Outcome
from id2face_core.evaluation.privacy import Judge
from id2face_core.evaluation.report import markdown
from id2face_core.evaluation.sets import Sample, groups_of
from id2face_core.evaluation.thresholds import Threshold
from id2face_core.evaluation.traits_judge import Person
from id2face_core.evaluation.utility import Reading
from id2face_core.faces.alignment import ARCFACE_POINTS

POINTS = ARCFACE_POINTS.astype(np.float32)


@pytest.mark.parametrize(
    ("row", "groups"),
    [
        ({"race": "2", "gender": "1", "age": "29"}, ("descent Asian", "sex female", "age below 30")),
        ({"race": "4", "gender": "0", "age": "30"}, ("descent others", "sex male", "age 30-44")),
        ({"race": "", "gender": "", "age": "60"}, ("age 60 and more",)),
        ({"file": "a.png"}, ()),
        ({"gender": "f"}, ("sex female",)),
        ({"gender": "unknown"}, ()),
    ],
)
def test_groups_come_from_the_labels(row: dict[str, str], groups: tuple[str, ...]) -> None:
    assert groups_of(row) == groups


class Colour:
    name, trained = "colour", False

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        mean: np.ndarray = picture.reshape(-1, 3).mean(axis=0) - 128.0
        return mean / max(float(np.linalg.norm(mean)), 1e-9)

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cosine_scores(a, b)


class Plain:
    """Every face alike; traits by brightness."""

    name, held_out = "plain", dict[str, float]()

    def read(self, picture: np.ndarray, points: np.ndarray) -> Person:
        return Person(float(picture.mean()) / 4, float(picture[..., 0].mean()) - 100, int(picture[..., 2].mean() > 100))


class Faces:
    def read(self, picture: np.ndarray, points: np.ndarray) -> Reading:
        return Reading(np.zeros(3), np.full(52, picture.mean() / 255), np.zeros(2), np.full((3, 3), 50.0), 1.0, np.zeros(2))


def test_a_group_that_is_found_again_shows() -> None:
    outcomes = []
    for i in range(2 * LEAST + 1):
        kept = i < LEAST  # the first group's pictures stay as they are
        group = "descent Black" if kept else "descent White"
        groups = (group, "age 30-44") if i < 2 * LEAST else ("descent Asian",)
        source = np.full((112, 112, 3), (200, 90 + i, 60), dtype=np.uint8)
        new = source if kept else 255 - source
        sample = Sample(f"{i}", f"{i}", source, POINTS, groups)
        outcomes.append(Outcome(sample, "anonymized", "", new, np.ones((112, 112), dtype=np.float32), None))
    threshold = Threshold("photographs", {1e-3: 0.9, 1e-2: 0.8}, 100, 0.0)
    rows = group_figures(
        outcomes, lambda part: Judge(Colour(), threshold, "set", part), None, Faces(), Plain(), 0  # type: ignore[arg-type]
    )  # fmt: skip
    found = {row["group"]: row for row in rows}
    assert set(found) == {"age 30-44", "descent Black", "descent White"}, "one picture says nothing"
    assert (found["descent Black"]["a1b"]["hits"], found["descent White"]["a1b"]["hits"]) == (LEAST, 0)
    assert found["descent Black"]["blendshapes"] == 0 < found["descent White"]["blendshapes"]
    assert (found["descent Black"]["descent_kept"]["hits"], found["descent White"]["descent_kept"]["hits"]) == (LEAST, 0)
    assert found["descent Black"]["age_within_8"]["hits"] == LEAST and found["age 30-44"]["a1b"]["hits"] == LEAST
    figures = {"pictures": {}, "preset": "balanced", "seed": 0, "states": {}, "thresholds": [], "privacy": []}
    text = markdown({**figures, "groups": [{"set": "set", **row} for row in rows]})
    assert f"| set | descent Black | {LEAST} | 100.0 % [63.1, 100.0] of {LEAST} | 1.000 |" in text
