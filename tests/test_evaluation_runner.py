"""The evaluation from judge to report on synthetic people, and on real ones where the data is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from id2face_core.audit.frechet import distance_with_floor, frechet_distance
from id2face_core.audit.recognisers import cosine_scores
from id2face_core.errors import ConfigError, ShapeError
from id2face_core.evaluation.outcomes import MISSED, run_product
from id2face_core.evaluation.privacy import Judge, diversity
from id2face_core.evaluation.report import markdown, share
from id2face_core.evaluation.sets import Sample, load_set
from id2face_core.evaluation.thresholds import Threshold
from id2face_core.faces.alignment import ARCFACE_POINTS
from id2face_core.options import AnonymizeOptions, FaceRecord, PictureResult

POINTS = ARCFACE_POINTS.astype(np.float32)


class ColourAuditor:
    """Knows a person by the mean colour of the face."""

    name, trained = "colour", False

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        colour = picture[50:80, 40:72].reshape(-1, 3).mean(axis=0) - 128.0
        return colour / max(float(np.linalg.norm(colour)), 1e-9)

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cosine_scores(a, b)


class Whole:
    """A detector that always finds, or never."""

    def __init__(self, finds: bool) -> None:
        self.finds = finds

    def find(self, picture: np.ndarray, points: np.ndarray | None = None) -> tuple[float, np.ndarray] | None:
        return (1.0, POINTS) if self.finds else None


class Swapper:
    """Turns colours round; misses one picture and withholds another on request."""

    def __init__(self, missed: int = -1, withheld: int = -1) -> None:
        self.missed, self.withheld, self.calls = missed, withheld, 0

    def anonymize(self, pictures: list[np.ndarray], options: AnonymizeOptions) -> list[PictureResult]:
        i, self.calls = self.calls, self.calls + 1
        mask = np.ones(pictures[0].shape[:2], dtype=np.float32)
        if i == self.missed:
            return [PictureResult(pictures[0], mask * 0, "no_face", [])]
        if i == self.withheld:
            return [
                PictureResult(None, mask, "withheld", [FaceRecord([0, 0, 112, 112], "withheld", "profile", POINTS)])
            ]
        new = 255 - pictures[0]
        far = FaceRecord([900, 900, 999, 999], "skipped", "", POINTS + 900)
        return [
            PictureResult(new, mask, "anonymized", [far, FaceRecord([0, 0, 112, 112], "anonymized", "", POINTS, new)])
        ]


@pytest.fixture
def samples() -> list[Sample]:
    colours = {"red": (220, 60, 60), "green": (60, 220, 60), "blue": (60, 60, 220)}
    return [
        Sample(f"{name}{k}", name, np.full((112, 112, 3), colour, dtype=np.uint8), POINTS)
        for name, colour in colours.items()
        for k in range(2)
    ]


@pytest.fixture
def judge(samples: list[Sample]) -> Judge:
    return Judge(ColourAuditor(), Threshold("photographs", {1e-3: 0.9, 1e-2: 0.8}, 1000, 0.0), "toy", samples)


def _cells(rows: list[dict]) -> dict[str, tuple[int, int]]:
    return {r["figure"][:3]: (r["far_0.001"]["hits"], r["far_0.001"]["trials"]) for r in rows}


def test_product_that_hides_everybody(judge: Judge, samples: list[Sample]) -> None:
    outcomes = run_product(Swapper(), samples, AnonymizeOptions(seed=0))
    assert all(o.status == "anonymized" for o in outcomes)
    assert _cells(judge.product_rows(outcomes, Whole(True))) == {"A1a": (0, 6), "A1b": (0, 6), "A1c": (0, 6)}  # type: ignore[arg-type]


def test_misses_withheld_and_undetected_count_as_found(judge: Judge, samples: list[Sample]) -> None:
    outcomes = run_product(Swapper(missed=0, withheld=3), samples, AnonymizeOptions(seed=0))
    assert [o.status for o in outcomes][:4] == [MISSED, "anonymized", "anonymized", "withheld"]
    rows = judge.product_rows(outcomes, Whole(False))  # type: ignore[arg-type]
    assert _cells(rows) == {"A1a": (2, 6), "A1b": (2, 6), "A1c": (4, 4)}


def test_controls_and_real_rows(judge: Judge) -> None:
    controls = {(r["method"], r["figure"][:3]): r["far_0.001"]["share"] for r in judge.control_rows()}
    assert controls["nothing", "A1a"] == controls["nothing", "A1b"] == 1.0
    assert controls["grey oval", "A1b"] == 0.0
    real = {r["figure"]: r["far_0.001"]["share"] for r in judge.real_rows()}
    assert real == {"genuine": 1.0, "strangers": 0.0}


def test_strangers_alike_are_of_one_descent_sex_and_age(samples: list[Sample]) -> None:
    man, woman, unknown = ("descent Asian", "sex male", "age 30-44"), ("descent Asian", "sex female", "age 30-44"), ("sex male",)
    groups = [man, woman, man, unknown, unknown, man]  # red, red, green, green, blue, blue
    labelled = [replace(s, groups=g) for s, g in zip(samples, groups, strict=True)]
    real = Judge(ColourAuditor(), Threshold("photographs", {1e-3: 0.9, 1e-2: 0.8}, 1000, 0.0), "toy", labelled).real_rows()
    assert {r["figure"]: r["far_0.001"]["trials"] for r in real} == {"genuine": 3, "strangers": 12, "strangers alike": 3}


def test_diversity_of_equal_faces_is_one(samples: list[Sample]) -> None:
    found = diversity(ColourAuditor(), [samples[0].picture] * 3, POINTS)
    assert found["mean"] == pytest.approx(1.0) and found["seeds"] == 3


def test_report_puts_the_worst_first(judge: Judge, samples: list[Sample]) -> None:
    rows = judge.product_rows(run_product(Swapper(missed=1), samples, AnonymizeOptions(seed=0)), Whole(True))  # type: ignore[arg-type]
    better = [{**r, "auditor": "blind", "far_0.001": {**r["far_0.001"], "hits": 0, "share": 0.0}} for r in rows]
    text = markdown({
        "pictures": {"toy": 6}, "states": {}, "preset": "fast", "seed": 0, "thresholds": [], "privacy": better + rows,
    })  # fmt: skip
    lines = [line for line in text.splitlines() if line.startswith("| A1a")]
    assert "colour" in lines[0] and "blind" in lines[1]
    assert "16.7 % [0.4, 64.1] of 6" in lines[0]
    assert share({"hits": 0, "trials": 0}) == "-"


def test_frechet_distance_of_gaussians() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4000, 3))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    b = rng.normal(size=(4000, 3)) * (2, 1, 1) + (0, 3, 0)
    assert frechet_distance(a, b) == pytest.approx(9 + 1, rel=0.05)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    with pytest.raises(ShapeError):
        frechet_distance(a, b[:, :2])


def test_frechet_floor_has_the_same_n() -> None:
    rng = np.random.default_rng(1)
    real = list(rng.normal(size=(61, 8)))
    same = distance_with_floor(real, real, np.random.default_rng(2), "toy")
    assert same["n"] == 30 and same["distance"] == pytest.approx(same["floor"])
    moved = distance_with_floor(real, [r + 2 for r in real], np.random.default_rng(2), "toy")
    assert moved["distance"] > same["floor"] + 20


def test_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="celeba"):
        load_set(tmp_path, "celeba")


def test_limited_set_shows_pairs_of_many_people(data_dir: Path) -> None:
    samples = load_set(data_dir, "lfw10", 20)
    people = [s.person for s in samples]
    assert len(set(people)) == 10 and all(people.count(p) == 2 for p in people)
    assert len(load_set(data_dir, "utkface", 6)) == 6
