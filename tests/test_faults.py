"""What is wrong with a new face, without networks: readings and embeddings are made up."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from id2face_core import faults
from id2face_core.attributes.vector import ATTRIBUTES, BLENDSHAPES, index
from id2face_core.errors import FaceRejectedError
from id2face_core.photograph.coverage import CHIN_HAIR, GLASSES, ZONES
from id2face_core.reading import Reading
from id2face_core.stages import STAY, Candidates

NO_SHAPES = torch.zeros(52)
SOURCE: Any = SimpleNamespace(
    embedding=torch.tensor([1.0, 0.0]), attributes=torch.zeros(len(ATTRIBUTES)), expression=NO_SHAPES, face=None,
    cover=torch.full((len(ZONES),), 0.2), descent=torch.tensor([0.9, 0.1, 0.0, 0.0]),
)  # fmt: skip
PARTS: Any = SimpleNamespace(
    traits=SimpleNamespace(indices=[faults.AGE, faults.SEX, *faults.SKIN]), recomposer=SimpleNamespace(groomer=None)
)


def unit(cosine: float) -> torch.Tensor:
    return torch.tensor([cosine, math.sqrt(1 - cosine**2)])


def reading(cosine: float = 0.0, age: float = 30.0, sex: float = 0.0, chin: float = 0.5) -> Reading:
    attributes = torch.zeros(len(ATTRIBUTES))
    attributes[faults.AGE], attributes[faults.SEX] = age, sex
    cover = torch.full((len(ZONES),), 0.2)
    cover[CHIN_HAIR] = chin
    return Reading(attributes, NO_SHAPES, unit(cosine), SOURCE.descent, cover)


def wrong(alone: Reading, pasted: Reading | None = None, wanted: Reading | None = None, **options: Any) -> float:
    return faults.fault(PARTS, SOURCE, (wanted or reading()).attributes, alone, limit=0.45, pasted=pasted, **options)


def test_likeness_is_the_worst_and_what_cannot_be_compared_is_alike() -> None:
    assert faults.likeness(SOURCE, unit(0.1), unit(0.5), unit(-0.9)) == pytest.approx(0.5)
    for views in ((unit(0.1), torch.full((2,), math.nan)), (torch.full((2,), math.nan), unit(0.1))):
        assert faults.likeness(SOURCE, *views) == math.inf


def test_age_and_sex_count_where_they_are_kept() -> None:
    assert wrong(reading(age=37)) < 1 < wrong(reading(age=39))
    assert wrong(reading(sex=0.4)) < 1 < wrong(reading(sex=0.9))
    assert wrong(reading(age=80, sex=1), kept=torch.zeros(8, dtype=torch.bool)) == 0


def test_descent_counts_unless_it_is_free_or_the_skin_was_set() -> None:
    some, other = (replace(reading(), descent=torch.tensor(shares)) for shares in ((0.6, 0.4, 0.0, 0.0), (0.1, 0.1, 0.8, 0.0)))
    assert wrong(some) < 1 < wrong(other) and wrong(reading(), other) > 1 and wrong(other, reading()) == 0
    assert wrong(other, kept=torch.tensor([True] * 2 + [False] * 6)) == 0
    wish = reading()
    wish.attributes[faults.SKIN[0]] = 20.0
    assert wrong(other, wanted=wish) == 0


def test_age_and_sex_are_those_of_the_finished_picture() -> None:
    assert wrong(reading(age=80), reading()) == 0 and wrong(reading(), reading(age=80)) > 1


@pytest.mark.parametrize("name, right, off", [("yaw", 3.0, 5.0), ("pitch", -3.0, -5.0)])
def test_pose_counts(name: str, right: float, off: float) -> None:
    for value, fine in ((right, True), (off, False)):
        shown = reading()
        shown.attributes[index(name)] = value
        assert (wrong(shown) < 1) is fine and (wrong(shown, reading()) < 1) is fine


def test_expression_is_that_of_the_picture_and_may_be_wished_for() -> None:
    frown = replace(reading(), expression=torch.full((52,), 0.05))
    assert wrong(frown) > 1 and wrong(reading(), frown) > 1 and wrong(frown, reading()) == 0
    smile = reading()
    smile.attributes[index("mouthSmileLeft")] = 1.0  # wished
    shown = NO_SHAPES.clone()
    shown[BLENDSHAPES.index("mouthSmileLeft")] = 1.0
    assert wrong(reading(), wanted=smile) == pytest.approx(1 / 52 / faults.EXPRESSION_TOLERANCE)
    assert wrong(replace(reading(), expression=shown), wanted=smile) == 0


@pytest.mark.parametrize("name", ["jawOpen", "eyeBlinkLeft", "eyeBlinkRight"])
def test_a_mouth_that_shuts_or_an_eye_that_opens_counts_by_itself(name: str) -> None:
    for change, fine in ((0.2, True), (0.4, False)):
        shapes = NO_SHAPES.clone()
        shapes[BLENDSHAPES.index(name)] = change
        assert (wrong(reading(), replace(reading(), expression=shapes)) < 1) is fine


def test_of_two_that_miss_something_the_one_that_misses_less_in_all_is_better() -> None:
    one, both = reading(age=42), reading(age=41, sex=0.7)
    assert 1 < wrong(one) < wrong(both)  # though its greatest error is the greater one
    near = reading(age=37, sex=0.45)
    assert wrong(near) == pytest.approx(0.9)  # nothing is wrong: errors that are tolerated do not add up
    assert wrong(reading(age=1e5)) == faults.ALIKE <= wrong(reading(cosine=0.35))


@pytest.mark.parametrize("alone, pasted", [(0.5, 0.0), (0.0, 0.5), (0.5, None), (0.0, math.nan)])
def test_a_face_like_the_source_must_not_leave(alone: float, pasted: float | None) -> None:
    view = None
    if pasted is not None:
        view = replace(reading(), embedding=torch.full((2,), pasted) if math.isnan(pasted) else unit(pasted))
    assert wrong(reading(alone), view) >= faults.TOO_SIMILAR


def test_a_face_somewhat_like_the_source_is_worse_than_any_other_error_but_may_leave() -> None:
    other = replace(reading(age=99, sex=1), expression=torch.ones(52))
    assert wrong(other) < faults.ALIKE <= wrong(reading(0.35)) < wrong(reading(0.4)) < faults.TOO_SIMILAR


def test_a_face_that_leans_to_the_source_is_tried_again_but_none_is_sought_that_points_away() -> None:
    assert wrong(reading(0.1)) < 1 < wrong(reading(0.2)) < wrong(reading(0.29)) < faults.ALIKE
    assert wrong(reading(), reading(0.2)) > 1, "in the picture"
    assert wrong(reading(-0.9)) == 0


def test_a_forehead_that_had_to_be_painted_counts() -> None:
    assert wrong(reading(), reading(), drawn=0.06) < 1 < wrong(reading(), reading(), drawn=0.2) < faults.ALIKE


def test_bare_skin_with_a_stain_counts() -> None:
    assert wrong(reading(), reading(), stained=0.01) < 1 < wrong(reading(), reading(), stained=0.03) < faults.ALIKE


def test_a_beard_that_the_source_has_not_counts_and_a_lost_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong(reading(chin=0.9)) < 1 < wrong(reading(chin=1.3)) < faults.ALIKE
    bearded = SOURCE.cover.clone()
    bearded[CHIN_HAIR] = 1.5
    monkeypatch.setattr(SOURCE, "cover", bearded)
    assert wrong(reading(chin=1.3)) == wrong(reading()) == 0


def test_glasses_count_that_were_lost_or_came() -> None:
    def glasses(edges: float, wanted: float) -> float:
        shown, wish = reading(), reading()
        shown.cover[GLASSES] = edges
        wish.attributes[index("glasses")] = wanted
        return wrong(shown, wanted=wish)

    assert glasses(0.4, 0) == 0 and glasses(1.5, 1) < 1
    assert 1 < glasses(0.4, 1) < faults.ALIKE and 1 < glasses(1.5, 0) < faults.ALIKE


class Attempts:
    """Answers what it is told to: a fault, or the reason of a rejection. `asked`: (candidate, age asked for)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[float | str], read_age: float = 30.0) -> None:
        self.answers, self.asked = answers, list[tuple[int, float]]()
        self.age = read_age
        wishes = torch.stack([reading(age=40).attributes, reading(age=50).attributes, reading(age=60).attributes])
        self.candidates: Any = SimpleNamespace(order=(2, 0, 1), attributes=wishes, avoid=None)
        monkeypatch.setattr(faults, "ask_again", self.ask_again)
        monkeypatch.setattr(faults, "misread", lambda parts, one, reading: torch.tensor(float(one[0])))
        self.told = list[float | None]()  # what each attempt was told that the one before had misread

    def ask_again(self, parts: Any, candidates: Any, rank: int, asked: torch.Tensor, hidden: torch.Tensor | None) -> Any:
        self.told.append(None if hidden is None else float(hidden))
        return candidates.order[rank], asked

    def __call__(self, one: Any) -> tuple[float, Reading, int]:
        position, asked = one
        self.asked.append((position, float(asked[faults.AGE])))
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, str):
            raise FaceRejectedError(answer)
        return answer, reading(age=self.age), len(self.asked)

    def run(self, count: int) -> tuple[int, int]:
        """Number of the rendering that is taken, and its candidate."""
        return faults.least_faulty(PARTS, self.candidates, self, count)


def test_what_the_reader_of_codes_misread_is_told_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(monkeypatch, [3.0, 2.0, "no_mesh", 2.0, 0.5])
    attempts.run(5)
    assert attempts.told == [None, 2.0, 1.0, 1.0, 1.0], "half of it to another candidate; a failed attempt tells nothing"


def test_who_is_still_alike_loses_glasses_and_beard(monkeypatch: pytest.MonkeyPatch) -> None:
    worn = torch.full((2, len(ZONES)), 1.5)
    worn[1, 0] = 0.0
    one = torch.zeros(1, 3)
    candidates = Candidates(one, one, one, one, one, None, (0, 0, 0), SOURCE.embedding, None, worn)
    covers, ranks = [], []

    def ask_again(parts: Any, candidates: Candidates, rank: int, *_: Any) -> Candidates:
        covers.append(candidates.cover)
        ranks.append(rank)
        return candidates

    cosines = iter((0.14, 0.25, 0.1))
    monkeypatch.setattr(faults, "ask_again", ask_again)
    monkeypatch.setattr(faults, "misread", lambda *_: None)
    faults.least_faulty(PARTS, candidates, lambda one: (2.0, replace(reading(next(cosines)), attributes=torch.zeros(3)), None), 3)
    assert torch.equal(covers[0], worn) and torch.equal(covers[1], worn), "not before it tells"
    least, most = covers[2]
    assert least.max() == 0 and most[GLASSES] < 1 and most[CHIN_HAIR] < 1 and most[0] == 0 and most[1] == 1.5
    assert ranks == [0, 0, 1], "and another one's turn comes"


def test_the_first_faultless_rendering_is_taken_else_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Attempts(monkeypatch, [3.0, 2.0, 0.5, 0.0]).run(4) == (3, 0)
    assert Attempts(monkeypatch, [3.0, 1.5, 2.0]).run(3) == (2, 2)


def test_what_was_missed_is_asked_for_in_addition_of_the_same_one_and_then_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(monkeypatch, [3.0, 2.5, 2.0], read_age=50.0)
    attempts.run(3)
    assert attempts.asked == [(2, pytest.approx(60)), (2, pytest.approx(68)), (0, pytest.approx(56))]


def test_the_next_candidate_takes_over_from_one_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(monkeypatch, ["no_mesh", faults.TOO_SIMILAR, 0.5])
    assert attempts.run(3) == (3, 1) and attempts.asked == [(2, 60.0), (0, 40.0), (1, pytest.approx(58))]
    attempts = Attempts(monkeypatch, ["no_mesh"] * 4 + [2.0])  # there are only three: the last is tried again
    assert attempts.run(5) == (5, 1)


def test_one_somewhat_like_the_source_leaves_only_when_nothing_else_came(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Attempts(monkeypatch, [faults.ALIKE, 20.0]).run(2) == (2, 0)
    assert Attempts(monkeypatch, [faults.ALIKE + 9, faults.ALIKE + 5]).run(2) == (2, 0)


def test_nobody_alike_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    for answers, reason in (
        (["no_mesh"], "no_mesh"), (["occluded", 0.5], "occluded"), ([faults.TOO_SIMILAR, math.inf], "too_similar"),
    ):  # fmt: skip
        with pytest.raises(FaceRejectedError) as caught:
            Attempts(monkeypatch, answers).run(len(answers))  # type: ignore[arg-type]
        assert caught.value.reason == reason


def test_what_a_person_became_is_tried_again_before_others() -> None:
    one = torch.zeros(4, 1)
    candidates = Candidates(one, one, one, one, one, None, (2, 0, 3, 1))
    assert candidates.first(None) is candidates and candidates.first(9) is candidates
    assert candidates.first(3).order == (3,) * STAY + (2, 0, 1)
