"""Uniting detections: invariants of the suppression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from id2face_core.errors import AssetCorruptError
from id2face_core.faces.alignment import ARCFACE_POINTS
from id2face_core.faces.centerface import CenterFace
from id2face_core.faces.detection import SAME_FACE, UnionDetector, deduplicate, in_order, overlap, padded
from id2face_core.faces.types import Face


def face(x: float, y: float, side: float, score: float = 0.9) -> Face:
    points = ARCFACE_POINTS / 112 * side + (x, y)
    return Face(np.array([x, y, x + side, y + side], np.float32), points.astype(np.float32), score)


FACES = st.lists(
    st.builds(face, st.integers(0, 300), st.integers(0, 300), st.integers(8, 200), st.integers(1, 100).map(lambda n: n / 100)),
    max_size=12,
)


def key(found: list[Face]) -> list[tuple[float, ...]]:
    return [(*f.box.tolist(), f.score) for f in found]


@settings(deadline=None)
@given(FACES)
def test_what_is_kept_is_apart_sorted_and_was_given(faces: list[Face]) -> None:
    kept = deduplicate(faces)
    assert {id(f) for f in kept} <= {id(f) for f in faces}
    areas = [float((f.box[2:] - f.box[:2]).prod()) for f in kept]
    assert areas == sorted(areas, reverse=True)
    for i, one in enumerate(kept[:-1]):
        assert overlap(one.box, np.stack([f.box for f in kept[i + 1 :]]))[0].max() <= SAME_FACE


@settings(deadline=None)
@given(FACES)
def test_every_dropped_face_is_covered_by_a_kept_one(faces: list[Face]) -> None:
    kept = deduplicate(faces)
    for dropped in (f for f in faces if not any(f is k for k in kept)):
        union, inside = overlap(dropped.box, np.stack([k.box for k in kept]))
        assert ((union > SAME_FACE) | (inside > 0.75)).any()


@settings(deadline=None)
@given(FACES, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(faces: list[Face], shuffler) -> None:  # type: ignore[no-untyped-def]
    shuffled = faces + faces
    shuffler.shuffle(shuffled)
    once = deduplicate(faces)
    assert key(deduplicate(shuffled)) == key(once)
    assert key(deduplicate(once)) == key(once)


def test_a_child_before_a_large_face_is_kept_and_a_box_in_a_box_is_not() -> None:
    large = face(0, 0, 200)
    assert len(deduplicate([large, face(140, 130, 50)])) == 2
    assert len(deduplicate([large, face(50, 50, 100, 0.5)])) == 1


def test_the_best_score_of_twins_stays() -> None:
    assert [f.score for f in deduplicate([face(0, 0, 100, 0.4), face(4, 2, 100, 0.8)])] == [0.8]


def test_points_are_put_in_order() -> None:
    good = face(0, 0, 100)
    swapped = Face(good.box, good.points[[1, 0, 2, 4, 3]], good.score)
    np.testing.assert_array_equal(in_order(swapped).points, good.points)
    np.testing.assert_array_equal(in_order(good).points, good.points)
    upside_down = Face(good.box, 100 - good.points, good.score)
    np.testing.assert_array_equal(in_order(upside_down).points, upside_down.points)


class Fixed:
    def __init__(self, name: str, faces: list[Face]) -> None:
        self.name, self.faces = name, faces

    def detect(self, picture: np.ndarray) -> list[Face]:
        return self.faces


def test_a_union_finds_what_any_detector_finds_once() -> None:
    union = UnionDetector([Fixed("a", [face(0, 0, 50)]), Fixed("b", [face(2, 1, 50, 0.5), face(200, 0, 60)])])
    assert union.name == "a+b"
    assert [f.box[0] for f in union.detect(np.zeros((9, 9, 3), np.uint8))] == [200, 0]


def test_padding_keeps_the_picture_and_fills_with_zeros() -> None:
    picture = np.random.default_rng(0).integers(1, 256, (33, 40, 3), dtype=np.uint8)
    out = padded(picture)
    assert out.shape == (1, 3, 64, 64)
    np.testing.assert_array_equal(out[0, :, :33, :40].transpose(1, 2, 0), picture)
    assert out.sum() == picture.sum(dtype=np.float64)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "centerface.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(AssetCorruptError, match="centerface.onnx"):
        CenterFace(broken)
