"""Tiles: faces of every size, anywhere, exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from id2face_core.errors import ShapeError
from id2face_core.faces.alignment import ARCFACE_POINTS
from id2face_core.faces.tiling import TiledDetector, spans
from id2face_core.faces.types import Face


class RedSquares:
    """Finds pure red squares of 12 to 300 px; what a tile border cuts is found as the part that is seen."""

    name = "red"

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def detect(self, picture: np.ndarray) -> list[Face]:
        from scipy import ndimage

        self.sizes.append(picture.shape[:2])
        labels, _ = ndimage.label((picture[..., 0] > 200) & (picture[..., 1] < 60))
        faces = []
        for rows, columns in ndimage.find_objects(labels):
            box = np.array([columns.start, rows.start, columns.stop, rows.stop], dtype=np.float32)
            sides = box[2:] - box[:2]
            if 12 <= sides.min() and sides.max() <= 300:
                faces.append(Face(box, (ARCFACE_POINTS / 112 * sides + box[:2]).astype(np.float32), 0.9))
        return faces


def painted(height: int, width: int, squares: list[tuple[int, int, int]]) -> np.ndarray:
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    for x, y, side in squares:
        picture[y : y + side, x : x + side] = (255, 0, 0)
    return picture


@given(st.integers(1, 20000), st.integers(160, 1500), st.integers(0, 128))
def test_spans_cover_everything_and_overlap(length: int, tile: int, overlap: int) -> None:
    found = spans(length, tile, overlap)
    assert found[0][0] == 0 and found[-1][1] == length
    assert all(stop - start <= tile for start, stop in found)
    assert all(a[1] - b[0] >= overlap for a, b in zip(found, found[1:], strict=False))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1800), st.integers(0, 1300), st.sampled_from([16, 40, 90, 200, 450, 900]))
def test_a_face_is_found_once_wherever_it_lies(x: int, y: int, side: int) -> None:
    picture = painted(1500, 2100, [(min(x, 2100 - side), min(y, 1500 - side), side)])
    found = TiledDetector(RedSquares(), tile=640, overlap=128).detect(picture)
    assert len(found) == 1
    truth = np.array([min(x, 2100 - side), min(y, 1500 - side)] * 2) + (0, 0, side, side)
    assert np.abs(found[0].box - truth).max() <= max(2, 0.05 * side)
    middle = truth[:2] + side * ARCFACE_POINTS.mean(axis=0) / 112
    np.testing.assert_allclose(found[0].points.mean(axis=0), middle, atol=0.05 * side + 2)


def test_two_hundred_faces_are_all_found_largest_first() -> None:
    squares = [(20 + 100 * (i % 20), 20 + 140 * (i // 20), 20 + i // 4) for i in range(200)]
    found = TiledDetector(RedSquares()).detect(painted(1500, 2100, squares))
    assert len(found) == 200
    areas = [float((f.box[2:] - f.box[:2]).prod()) for f in found]
    assert areas == sorted(areas, reverse=True)


def test_no_tile_is_larger_than_asked_and_the_waste_is_small() -> None:
    detector = RedSquares()
    TiledDetector(detector).detect(painted(3000, 4000, [(5, 5, 40)]))
    assert max(max(size) for size in detector.sizes) <= 1280
    assert sum(h * w for h, w in detector.sizes) <= 1.4 * 12e6


def test_a_face_that_fills_a_small_picture_is_sought_in_a_frame() -> None:
    class OnlyFramed(RedSquares):
        def detect(self, picture: np.ndarray) -> list[Face]:
            return [] if picture[0, 0, 0] == 255 else super().detect(picture)

    found = TiledDetector(OnlyFramed()).detect(painted(400, 400, [(0, 0, 400)]))
    assert len(found) == 1
    np.testing.assert_allclose(found[0].box, [0, 0, 400, 400], atol=3)


def test_what_is_not_finite_is_dropped() -> None:
    class Broken:
        name = "broken"

        def detect(self, picture: np.ndarray) -> list[Face]:
            return [Face(np.array([0, 0, np.inf, 5], np.float32), np.zeros((5, 2), np.float32), 0.9)]

    assert TiledDetector(Broken()).detect(np.zeros((30, 30, 3), np.uint8)) == []


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected uint8"):
        TiledDetector(RedSquares()).detect(np.zeros(shape, np.uint8))
