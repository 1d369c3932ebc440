"""The limits, the embeddings' memory, openings of mouth and eyes, the identity channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from id2face_core.audit.statistics import pairs, rate
from id2face_core.evaluation.cache import CachedAuditor
from id2face_core.evaluation.channel import known_face
from id2face_core.evaluation.expression import EYE_CORNERS, LIDS, LIPS, MOUTH_CORNERS, kept_openings, openings
from id2face_core.evaluation.gates import gates
from id2face_core.evaluation.outcomes import Outcome
from id2face_core.evaluation.privacy import Judge, identity_channel
from id2face_core.evaluation.report import markdown
from id2face_core.evaluation.sets import Sample
from id2face_core.evaluation.thresholds import Threshold, fit_threshold
from id2face_core.evaluation.utility import tone_angle
from id2face_core.faces.alignment import ARCFACE_POINTS

POINTS = ARCFACE_POINTS.astype(np.float32)


class Counting:
    """Embeds by the mean colour, and counts."""

    name, trained = "counting", False

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        self.calls += 1
        colour = picture.reshape(-1, 3).mean(axis=0) - 128.0
        return colour / max(float(np.linalg.norm(colour)), 1e-9)

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.einsum("...d,...d->...", a, b)


class Finder:
    def find(self, picture: np.ndarray, points: np.ndarray | None = None) -> tuple[float, np.ndarray] | None:
        return (1.0, POINTS)


def people(count: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (count, 1, 1, 3), dtype=np.uint8)
    return [Sample(f"{i}.jpg", f"person {i // 2}", np.tile(c, (112, 112, 1)), POINTS) for i, c in enumerate(colours)]


def test_embeddings_are_remembered_over_runs_and_changed_pixels_are_not(tmp_path: Path) -> None:
    sample = people(1)[0]
    first = CachedAuditor(Counting(), tmp_path)
    known = first.embed(sample.picture, sample.points)
    first.save()
    judge = Counting()
    second = CachedAuditor(judge, tmp_path)
    np.testing.assert_array_equal(second.embed(sample.picture, sample.points), known)
    assert judge.calls == 0
    changed = sample.picture.copy()
    changed[0, 0, 0] ^= 1
    second.embed(changed, sample.points)
    second.embed(sample.picture, sample.points + 1)
    assert judge.calls == 2


def test_thresholds_row_by_row_are_those_of_all_pairs() -> None:
    samples = people(70)
    fitted = fit_threshold(Counting(), "toy", samples)
    vectors = np.stack([Counting().embed(s.picture, s.points) for s in samples])
    i, j = pairs([s.person for s in samples], same=False)
    assert fitted.impostors == len(i)
    assert fitted.mean == pytest.approx(float((vectors[i] * vectors[j]).sum(axis=1).mean()))
    assert ((vectors[i] * vectors[j]).sum(axis=1) > fitted.scores[1e-3]).mean() <= 1e-3


def test_identity_channel_counts_rejected_faces_as_not_found() -> None:
    samples = people(4)
    judge = Judge(Counting(), Threshold("toy", {1e-2: 0.9}, 1000, 0.0), "toy", samples)
    mask = np.zeros((112, 112), np.float32)
    same = [Outcome(s, "anonymized", "", s.picture, mask, s.picture) for s in samples[2:]]
    lost = Outcome(samples[0], "withheld", "profile", None, mask, None)
    row = identity_channel([*same, lost], judge, Finder())  # type: ignore[arg-type]
    for part in ("raw", "composed"):
        assert (row[part]["hits"], row[part]["trials"]) == (2, 3) and row[part]["mean"] == pytest.approx(1)


def test_a_known_face_encloses_its_points() -> None:
    face = known_face(people(1)[0])
    assert (face.box[:2] < POINTS.min(axis=0)).all() and (face.box[2:] > POINTS.max(axis=0)).all()


def mesh(mouth: float, eyes: float) -> np.ndarray:
    points = np.zeros((478, 2))
    for (a, b), (left, right), gap in [(LIPS, MOUTH_CORNERS, mouth), *zip(LIDS, EYE_CORNERS, (eyes, eyes), strict=True)]:
        points[left], points[right] = (0, 0), (10, 0)
        points[a], points[b] = (5, 5 * gap), (5, -5 * gap)
    return points


def test_openings_are_gaps_over_widths_and_their_loss_is_counted() -> None:
    assert openings(mesh(0.4, 0.3)) == pytest.approx([0.4, 0.3])
    before = [openings(mesh(*v)) for v in ((0.4, 0.3), (0.4, 0.3), (0.0, 0.05), (0.0, 0.05))]
    after = [openings(mesh(*v)) for v in ((0.3, 0.3), (0.01, 0.3), (0.0, 0.04), (0.0, 0.3))]
    assert kept_openings(before, after) == {
        "open_mouth_kept": {"hits": 1, "trials": 2}, "closed_eyes_kept": {"hits": 1, "trials": 2},
    }  # fmt: skip


def test_the_typology_angle_orders_skins() -> None:
    light, dark = np.array([[75.0, 8, 15]]), np.array([[35.0, 10, 18]])
    assert tone_angle(light) == pytest.approx(np.degrees(np.arctan2(25, 15))) and tone_angle(dark) < -30


def figures(hits: int, grey: int, preset: str = "balanced") -> dict[str, Any]:
    def row(figure: str, method: str, count: int, trained: bool = False) -> dict[str, Any]:
        cell = rate(np.r_[np.ones(count), np.zeros(100 - count)], 0.5).as_dict()
        return {"set": "toy", "auditor": "colour", "trained": trained, "method": method, "figure": figure, "far_0.001": cell}

    figure = "A1b same photo"
    utility = {
        "n": 100,
        "detected_scrfd": {"hits": 99, "trials": 100}, "pose_degrees": {"error": 5.0, "random_pair": 9.0},
        "blendshapes": {"error": 0.02, "random_pair": 0.08}, "skin_lab": {"error": 6.0, "two_photos": 12.0},
        "open_mouth_kept": {"hits": 0, "trials": 0},
    }  # fmt: skip
    return {
        "preset": preset, "privacy": [row(figure, "ours", hits), row(figure, "grey oval", grey), row(figure, "ours", 99, True)],
        "identity_channel": [{"set": "toy", "auditor": "colour", "trained": False, "raw": {"hits": 6, "trials": 10}}],
        "utility": {"toy": utility}, "diversity": [],
        "pictures": {"toy": 100}, "states": {}, "seed": 0, "thresholds": [],
    }  # fmt: skip


def test_gates_say_what_is_met_missed_and_not_measured() -> None:
    found = {row["figure"]: row for row in gates(figures(5, 30))}
    met = {name: row["met"] for name, row in found.items()}
    assert met["A1b same photo, FAR 1e-3"] is True and met["A1b: ours minus the grey oval"] is True
    assert found["A1b: ours minus the grey oval"]["value"] == "-25.0 points"
    assert met["A1a another photo, FAR 1e-3"] is None and met["open mouth stays open"] is None
    assert met["own identity put back is found, raw, FAR 1e-2"] is True
    assert met["detector finds the new face"] is True and met["pose error, degrees"] is False
    assert met["blendshape error over that of random pairs"] is True
    assert met["skin lab error over that between two photos of one person"] is True


def test_strict_has_a_stricter_limit_and_the_grey_oval_must_be_beaten() -> None:
    strict = {row["figure"]: row["met"] for row in gates(figures(5, 5, "strict"))}
    assert strict["A1b same photo, FAR 1e-3"] is False and strict["A1b: ours minus the grey oval"] is False
    nothing = {row["figure"]: row["met"] for row in gates(figures(0, 0, "strict"))}
    assert nothing["A1b same photo, FAR 1e-3"] is True and nothing["A1b: ours minus the grey oval"] is True


def test_the_report_begins_with_the_worst_cases() -> None:
    document = figures(5, 30)
    document["gates"] = gates(document)
    document["identity_channel"] = []
    text = markdown(document)
    assert text.index("## Worst cases") < text.index("## Thresholds") < text.index("## Privacy")
    assert "| pose error, degrees | <= 4 | 5 | toy | **no** |" in text
