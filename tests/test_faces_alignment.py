"""Alignment: exact similarities, the inverse, and sub-pixel sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from id2face_core.errors import ShapeError
from id2face_core.faces.alignment import (
    ARCFACE_POINTS,
    arcface_matrix,
    ffhq_matrix,
    invert,
    similarity,
    transform_points,
    warp,
)

POINTS = ARCFACE_POINTS * 3 + 40
SCALES, ANGLES, SHIFTS = st.floats(0.05, 20), st.floats(-math.pi, math.pi), st.floats(-500, 500)


def motion(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


@given(SCALES, ANGLES, SHIFTS, SHIFTS)
def test_a_similarity_is_found_exactly(scale: float, angle: float, x: float, y: float) -> None:
    truth = motion(scale, angle, x, y)
    found = similarity(POINTS, transform_points(POINTS, truth))
    np.testing.assert_allclose(found, truth, atol=1e-6)


@given(st.integers(0, 2**31))
def test_no_small_change_of_a_fitted_similarity_fits_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    found = similarity(source, target)
    best = ((transform_points(source, found) - target) ** 2).sum()
    assert found[0, 0] == pytest.approx(found[1, 1]) and found[0, 1] == pytest.approx(-found[1, 0])
    for change in 0.01 * rng.normal(size=(8, 4)):
        a, b, x, y = change
        other = found + np.array([[a, -b, x], [b, a, y]])
        assert ((transform_points(source, other) - target) ** 2).sum() >= best - 1e-12


@given(SCALES, ANGLES, SHIFTS, SHIFTS)
def test_the_crop_frame_does_not_depend_on_where_the_face_lies(scale: float, angle: float, x: float, y: float) -> None:
    truth = motion(scale, angle, x, y)
    moved = transform_points(POINTS, truth)
    for make in (arcface_matrix, ffhq_matrix):
        expected, found = transform_points(POINTS, make(POINTS)), transform_points(moved, make(moved))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@given(SCALES, ANGLES, SHIFTS, SHIFTS)
def test_inverse_leads_back(scale: float, angle: float, x: float, y: float) -> None:
    matrix = motion(scale, angle, x, y)
    np.testing.assert_allclose(transform_points(transform_points(POINTS, matrix), invert(matrix)), POINTS, atol=1e-6)


def test_arcface_points_land_on_the_template() -> None:
    np.testing.assert_allclose(transform_points(ARCFACE_POINTS, arcface_matrix(ARCFACE_POINTS)), ARCFACE_POINTS, atol=1e-9)


def test_ffhq_square_is_four_eye_distances_wide_and_upright() -> None:
    points = np.array([[200.0, 240], [312, 240], [256, 300], [220, 340], [292, 340]])
    matrix = ffhq_matrix(points, 512)
    width = 2 * max(2.0 * 112, 1.8 * 100)  # FFHQ's recipe for these points
    assert matrix[0, 0] == pytest.approx(512 / width)
    assert matrix[0, 1] == pytest.approx(0, abs=1e-9)
    centre = transform_points(np.array([256.0, 240 + 0.1 * 100]), matrix)
    np.testing.assert_allclose(centre, [255.5, 255.5], atol=1e-6)


def test_identity_warp_is_bit_exact() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    same = warp(picture, np.array([[1.0, 0, 0], [0, 1, 0]]), (50, 37))
    np.testing.assert_array_equal(same, picture)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.15, 2.5), st.floats(-0.6, 0.6), st.floats(-3, 3), st.floats(-3, 3))
def test_sampling_is_exact_below_a_pixel(scale: float, angle: float, x: float, y: float) -> None:
    """A ramp of 4 levels a pixel shows at each crop pixel from where it was sampled, also behind the area filter."""
    ramp = np.zeros((64, 64, 3), dtype=np.uint8)
    ramp[..., 0], ramp[..., 1] = 4 * np.arange(64)[None], 4 * np.arange(64)[:, None]
    matrix, size = motion(scale, angle, x, y), 32
    matrix[:, 2] += (size - 1) / 2 - transform_points(np.array([31.5, 31.5]), matrix)
    crop = warp(ramp, matrix, size).astype(float)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).astype(float)
    truth = transform_points(grid, invert(matrix))
    edge = 1 + 1.5 / scale  # nearer to the border the mirrored ramp is mixed in
    inside = ((truth > edge) & (truth < 63 - edge)).all(axis=2)
    assert inside.any()
    assert np.abs(crop[..., :2] / 4 - truth)[inside].max() <= 0.38  # rounded when averaged, cut off when interpolated


def test_round_trip_of_a_smooth_picture() -> None:
    y, x = np.mgrid[:200, :200]
    smooth = np.stack([128 + 100 * np.sin(x / 15 + p) * np.cos(y / 19) for p in (0, 1, 2)], axis=2)
    picture = smooth.round().astype(np.uint8)
    matrix = motion(1.3, 0.4, 20.3, -31.7)
    there = warp(picture, matrix, 400)
    back = warp(there, invert(matrix), 200).astype(float)
    assert np.abs(back - picture)[60:140, 60:140].max() <= 3


def test_shrinking_averages_instead_of_skipping() -> None:
    board = np.zeros((256, 256, 3), dtype=np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    small = warp(board, np.array([[0.125, 0, 0], [0, 0.125, 0]]), 32)
    assert np.abs(small[2:-2, 2:-2].astype(float) - 127.5).max() <= 2


def test_outside_is_mirrored() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    crop = warp(picture, np.array([[1.0, 0, 5], [0, 1, 0]]), (25, 20))
    np.testing.assert_array_equal(crop[:, 5:], picture)
    np.testing.assert_array_equal(crop[:, :5], picture[:, :5][:, ::-1])


def test_a_picture_of_one_pixel_can_be_sampled() -> None:
    assert (warp(np.full((1, 1, 3), 77, dtype=np.uint8), np.array([[1.0, 0, 3], [0, 1, 3]]), 8) == 77).all()


def test_useless_points_are_refused() -> None:
    with pytest.raises(ShapeError):
        similarity(POINTS, POINTS[:4])
    with pytest.raises(ShapeError):
        ffhq_matrix(np.ones((5, 2)))
    with pytest.raises(ShapeError):
        invert(arcface_matrix(np.ones((5, 2))))
