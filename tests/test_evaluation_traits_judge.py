"""The independent judge of age and sex, on pictures whose brightness is the age and whose tint is the sex."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from id2face_core.evaluation.outcomes import Outcome
from id2face_core.evaluation.sets import Sample
from id2face_core.evaluation.traits_judge import PACKAGED, PackagedJudge, TraitsJudge, judged

from .tfjs_files import faceres_like

GREEN = (-40, -14, 14, 40, 0)  # of each descent, the last one is no group
POINTS = np.array([[20, 20], [44, 20], [32, 32], [22, 46], [42, 46]], dtype=np.float32)


class Colours:
    """A recogniser that knows the mean colour."""

    name, trained = "colours", False

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        assert points.shape == (5, 2)
        mean: np.ndarray = picture.reshape(-1, 3).mean(axis=0) / 255
        return np.append(mean, [0.5, 0.25])

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a @ b.T


def face(age: float, male: bool, descent: int = 0) -> np.ndarray:
    picture = np.full((64, 64, 3), 40 + 2 * age)
    picture[..., 0 if male else 2] += 30
    picture[..., 1] += GREEN[descent]
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "faces/utkface_adult"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    with (tmp_path / "faces/utkface_adult.csv").open("w", newline="") as file:
        points = [f"l{c}{i}" for i in range(5) for c in "xy"]
        columns = ["file", "age", "gender", "race", "group_foamliu", "overlap_eval", *points]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for i in range(300):
            age, male, descent = float(rng.integers(18, 90)), bool(rng.integers(2)), int(rng.integers(5))
            name = f"{i}.png"
            Image.fromarray(face(age, male, descent)).save(folder / name)
            row = {"file": name, "age": age, "gender": 0 if male else 1, "race": descent, "group_foamliu": str(i)}
            writer.writerow(row | {f"l{c}{k}": POINTS[k][j] for k in range(5) for j, c in enumerate("xy")})
    return tmp_path


def test_it_learns_age_and_sex_and_says_how_well(data: Path) -> None:
    judge = TraitsJudge.fit(Colours(), data)
    assert judge is not None and judge.name == "ridge on colours"
    assert judge.held_out["N"] > 10 and judge.held_out["age_error_years"] < 6 and judge.held_out["sex"] > 0.9
    young, old = judge.read(face(25, True), POINTS), judge.read(face(75, False), POINTS)
    assert young.age < 38 < 60 < old.age and young.sex > 0 > old.sex and young.descent is None


def test_without_labelled_photographs_there_is_no_judge(tmp_path: Path) -> None:
    assert TraitsJudge.fit(Colours(), tmp_path) is None


def test_what_changed_stands_beside_what_two_photographs_say(data: Path) -> None:
    judge = TraitsJudge.fit(Colours(), data)
    assert judge is not None

    def outcome(name: str, before: np.ndarray, after: np.ndarray | None, status: str = "anonymized") -> Outcome:
        return Outcome(Sample(name, "somebody", before, POINTS), status, "", after, None, None)

    found = judged(
        [
            outcome("a", face(40, True), face(42, True)), outcome("b", face(42, True), face(80, False)),
            outcome("c", face(30, True), None, "withheld"),
        ],
        judge,
    )  # fmt: skip
    assert found["age_within_8"] == {"hits": 1, "trials": 2} and found["sex_kept"] == {"hits": 1, "trials": 2}
    assert found["age_bias_years"] > 8 and found["two_photos"]["age_within_8"] == {"hits": 1, "trials": 1}
    assert judged([], judge)["age_error_years"] is None


def test_a_packaged_network_is_asked_where_it_is_there(data: Path) -> None:
    assert PackagedJudge.load(data) is None
    _install(data)
    (data / "cache").mkdir()
    judge = PackagedJudge.load(data, data / "cache")
    assert judge is not None and judge.name == "faceres" and judge.held_out["N"] > 10
    young, old = judge.read(face(25, True), POINTS), judge.read(face(75, False), POINTS)
    assert young.age + 10 < old.age and young.sex > 0 > old.sex
    assert judge.held_out["sex"] == 1.0


def test_it_tells_descent_where_every_group_is_labelled(data: Path) -> None:
    _install(data)
    (data / "cache").mkdir()
    judge = PackagedJudge.load(data, data / "cache")
    assert judge is not None and judge.held_out["descent"] > 0.5  # a fourth by chance
    kept = Outcome(Sample("a", "x", face(40, True, 3), POINTS), "anonymized", "", face(50, True, 3), None, None)
    lost = Outcome(Sample("b", "y", face(40, True, 3), POINTS), "anonymized", "", face(40, True, 0), None, None)
    assert judged([kept, lost], judge)["descent_kept"] == {"hits": 1, "trials": 2}
    again = PackagedJudge.load(data, data / "cache")  # what it read before is not read again
    assert again is not None and again.held_out == judge.held_out
    few = PackagedJudge.load(data, taught=3)
    assert few is not None and few.read(face(40, True), POINTS).descent is None
    assert judged([kept], few)["descent_kept"] == {"hits": 0, "trials": 0}


def _install(data: Path) -> None:
    (data / PACKAGED).parent.mkdir(parents=True)
    network = faceres_like(data)
    for suffix in (".json", ".bin"):
        network.with_suffix(suffix).rename((data / PACKAGED).with_suffix(suffix))
