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


def face(age: float, male: bool) -> np.ndarray:
    picture = np.full((64, 64, 3), 40 + 2 * age)
    picture[..., 0 if male else 2] += 30
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "faces/utkface_adult"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    with (tmp_path / "faces/utkface_adult.csv").open("w", newline="") as file:
        columns = ["file", "age", "gender", "group_foamliu", "overlap_eval", *(f"l{c}{i}" for i in range(5) for c in "xy")]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for i in range(300):
            age, male = float(rng.integers(18, 90)), bool(rng.integers(2))
            name = f"{i}.png"
            Image.fromarray(face(age, male)).save(folder / name)
            row = {"file": name, "age": age, "gender": 0 if male else 1, "group_foamliu": str(i), "overlap_eval": ""}
            writer.writerow(row | {f"l{c}{k}": POINTS[k][j] for k in range(5) for j, c in enumerate("xy")})
    return tmp_path


def test_it_learns_age_and_sex_and_says_how_well(data: Path) -> None:
    judge = TraitsJudge.fit(Colours(), data)
    assert judge is not None and judge.name == "ridge on colours"
    assert judge.held_out["N"] > 10 and judge.held_out["age_error_years"] < 6 and judge.held_out["sex"] > 0.9
    young, old = judge.read(face(25, True), POINTS), judge.read(face(75, False), POINTS)
    assert young[0] < 38 < 60 < old[0] and young[1] > 0 > old[1]


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
    (data / PACKAGED).parent.mkdir(parents=True)
    network = faceres_like(data)
    for suffix in (".json", ".bin"):
        network.with_suffix(suffix).rename((data / PACKAGED).with_suffix(suffix))
    judge = PackagedJudge.load(data)
    assert judge is not None and judge.name == "faceres" and judge.held_out["N"] > 10
    young, old = judge.read(face(25, True), POINTS), judge.read(face(75, False), POINTS)
    assert young[0] + 10 < old[0] and young[1] > 0 > old[1]
    assert judge.held_out["sex"] == 1.0
