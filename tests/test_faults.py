"""What is wrong with a new face, without networks: readings and embeddings are made up."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from id2face_core import faults
from id2face_core.attributes.vector import ATTRIBUTES
from id2face_core.errors import FaceRejectedError
from id2face_core.stages import Reading

SOURCE: Any = SimpleNamespace(embedding=torch.tensor([1.0, 0.0]), face=SimpleNamespace(points=None))
PARTS: Any = SimpleNamespace(traits=SimpleNamespace(indices=[faults.AGE, faults.SEX]))


def unit(cosine: float) -> torch.Tensor:
    return torch.tensor([cosine, math.sqrt(1 - cosine**2)])


def reading(cosine: float = 0.0, age: float = 30.0, sex: float = 0.0) -> Reading:
    attributes = torch.zeros(len(ATTRIBUTES))
    attributes[faults.AGE], attributes[faults.SEX] = age, sex
    return Reading(attributes, unit(cosine))


def wrong(monkeypatch: pytest.MonkeyPatch, alone: Reading, pasted: torch.Tensor | None = None, **options: Any) -> float:
    monkeypatch.setattr(faults, "read_rendering", lambda parts, new: alone)
    monkeypatch.setattr(faults, "embed", lambda parts, picture, points: pasted)
    picture: Any = None if pasted is None else "picture"
    return faults.fault(PARTS, SOURCE, reading().attributes, None, limit=0.45, picture=picture, **options)  # type: ignore[arg-type]


def test_likeness_is_the_worst_and_what_cannot_be_compared_is_alike() -> None:
    assert faults.likeness(SOURCE, unit(0.1), unit(0.5), unit(-0.9)) == pytest.approx(0.5)
    for views in ((unit(0.1), torch.full((2,), math.nan)), (torch.full((2,), math.nan), unit(0.1))):
        assert faults.likeness(SOURCE, *views) == math.inf


def test_age_and_sex_count_where_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong(monkeypatch, reading(age=37)) < 1 < wrong(monkeypatch, reading(age=39))
    assert wrong(monkeypatch, reading(sex=0.4)) == 0 and wrong(monkeypatch, reading(sex=0.9)) > 1
    assert wrong(monkeypatch, reading(age=80, sex=1), kept=torch.tensor([False, False])) == 0


@pytest.mark.parametrize("alone, pasted", [(0.5, 0.0), (0.0, 0.5), (0.5, None), (0.0, math.nan)])
def test_a_face_like_the_source_must_not_leave(monkeypatch: pytest.MonkeyPatch, alone: float, pasted: float | None) -> None:
    view = None if pasted is None else torch.full((2,), math.nan) if math.isnan(pasted) else unit(pasted)
    assert wrong(monkeypatch, reading(alone), view) >= faults.TOO_SIMILAR


def test_the_first_faultless_attempt_is_taken_else_the_best() -> None:
    asked: list[int] = []

    def attempt(rank: int) -> tuple[float, int]:
        asked.append(rank)
        return [3.0, 2.0, 0.5, 0.0][rank], rank

    assert faults.least_faulty(attempt, 4) == 2 and asked == [0, 1, 2]
    assert faults.least_faulty(attempt, 2) == 1


def test_attempts_that_fail_are_passed_over_but_none_alike_leaves() -> None:
    def failing(reason: str, rank: int) -> tuple[float, int]:
        if rank == 0:
            raise FaceRejectedError(reason)
        return 2.0, rank

    assert faults.least_faulty(lambda rank: failing("no_mesh", rank), 2) == 1
    for reason, count in (("no_mesh", 1), ("occluded", 2)):
        with pytest.raises(FaceRejectedError) as caught:
            faults.least_faulty(lambda rank, reason=reason: failing(reason, rank), count)  # type: ignore[misc]
        assert caught.value.reason == reason
    for value in (faults.TOO_SIMILAR, math.inf):
        with pytest.raises(FaceRejectedError) as caught:
            faults.least_faulty(lambda rank, value=value: (value, rank), 2)  # type: ignore[misc]
        assert caught.value.reason == "too_similar"
