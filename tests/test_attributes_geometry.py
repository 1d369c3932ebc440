"""Pose, gaze and normalised points: invariances and signs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from id2face_core.attributes.geometry import BLENDSHAPE_POINTS, gaze_offset, head_pose, normalised_points
from id2face_core.faces.types import Mesh


def _mesh(seed: int = 0) -> Mesh:
    """A random cloud with eye corners and irises where a face has them."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(468, 3)) * 40 + 200
    points[[33, 133, 362, 263], :2] = ((120, 150), (160, 151), (240, 149), (280, 150))
    irises = np.array([[140, 150], [260, 150]])[:, None] + rng.normal(size=(2, 5, 2)) * 6
    return Mesh(points.astype(np.float32), irises.astype(np.float32), 1.0)


def _moved(mesh: Mesh, degrees: float, scale: float, shift: tuple[float, float]) -> Mesh:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = scale * np.array([[c, -s], [s, c]])
    points = np.concatenate([mesh.points[:, :2] @ turn.T + shift, scale * mesh.points[:, 2:]], axis=1)
    return Mesh(points.astype(np.float32), (mesh.irises @ turn.T + shift).astype(np.float32), mesh.score)


def _rotation(yaw: float, pitch: float) -> np.ndarray:
    """Turn a frontal face (y down, z away from the camera) first up by pitch, then to the viewer's right by yaw."""
    p, y = np.radians(pitch), np.radians(yaw)
    up = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    right = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    return right @ up


def test_blendshape_points_are_146_different_ones() -> None:
    assert BLENDSHAPE_POINTS.shape == (146,) and len(set(BLENDSHAPE_POINTS.tolist())) == 146
    assert BLENDSHAPE_POINTS[-10:].tolist() == list(range(468, 478))


@settings(max_examples=20, deadline=None)
@given(st.floats(-60, 60), st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
def test_gaze_and_points_ignore_roll_size_and_place(degrees: float, scale: float, x: float, y: float) -> None:
    mesh = _mesh()
    moved = _moved(mesh, degrees, scale, (x, y))
    np.testing.assert_allclose(gaze_offset(moved), gaze_offset(mesh), atol=1e-3)
    a, b = normalised_points(moved.points, moved.irises), normalised_points(mesh.points, mesh.irises)
    np.testing.assert_allclose(a, b, atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(-45, 45), st.floats(-30, 30), st.floats(0.2, 5))
def test_pose_is_recovered_with_its_signs(yaw: float, pitch: float, scale: float) -> None:
    canonical = np.random.default_rng(1).normal(size=(468, 3))
    observed = scale * canonical @ _rotation(yaw, pitch).T + (50, -20, 7)
    assert head_pose(observed, canonical)[:2] == pytest.approx((yaw, pitch), abs=1e-6)


def test_yaw_of_a_mirrored_face_changes_its_sign() -> None:
    half = np.random.default_rng(2).normal(size=(234, 3))
    canonical = np.concatenate([half, half * (-1, 1, 1)])
    observed = canonical @ _rotation(20, 8).T
    mirrored = np.roll(observed * (-1, 1, 1), 234, axis=0)
    assert head_pose(mirrored, canonical)[:2] == pytest.approx((-20, 8), abs=1e-6)


def test_roll_changes_only_roll() -> None:
    canonical = np.random.default_rng(3).normal(size=(468, 3))
    c, s = np.cos(np.radians(25)), np.sin(np.radians(25))
    observed = canonical @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
    assert head_pose(observed, canonical) == pytest.approx((0, 0, 25), abs=1e-6)


def test_gaze_moves_with_the_irises_and_mirrors() -> None:
    mesh = _mesh()
    right = Mesh(mesh.points, mesh.irises + np.array([4, 0], dtype=np.float32), 1.0)
    down = Mesh(mesh.points, mesh.irises + np.array([0, 4], dtype=np.float32), 1.0)
    assert gaze_offset(right)[0] > gaze_offset(mesh)[0] + 0.05
    assert gaze_offset(down)[1] > gaze_offset(mesh)[1] + 0.05
    points = mesh.points * np.array([-1, 1, 1], dtype=np.float32)
    points[[33, 133, 263, 362]] = points[[263, 362, 33, 133]]
    flipped = Mesh(points, mesh.irises[::-1] * np.array([-1, 1], dtype=np.float32), 1.0)
    np.testing.assert_allclose(gaze_offset(flipped), gaze_offset(mesh) * (-1, 1), atol=1e-5)
