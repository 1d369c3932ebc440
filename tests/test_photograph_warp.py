"""The rendering's geometry on the source's."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator

from id2face_core.faces.types import Mesh
from id2face_core.photograph.warp import Box, backward_map, piecewise_affine
from id2face_core.training.teachers import bundled_networks


def test_the_map_is_linear_on_the_delaunay_mesh() -> None:
    rng = np.random.default_rng(0)
    corners, values, at = rng.uniform(0, 50, (80, 2)), rng.uniform(0, 9, (80, 2)), rng.uniform(-5, 55, (700, 2))
    expected = LinearNDInterpolator(corners, values)(at)
    assert np.isnan(expected).any()
    np.testing.assert_allclose(piecewise_affine(corners, values, at), expected, atol=1e-8)


def test_a_bend_moves_what_it_says_and_leaves_the_outline() -> None:
    points = bundled_networks()[0].canonical.numpy() * 60 + 128
    mesh = Mesh(points.astype(np.float32), points[[468 - 10 + i for i in range(10)], :2].reshape(2, 5, 2), 1.0)
    box, bend = Box(0, 0, 256, 256), np.zeros((468, 2))
    chin, lip = 152, 14
    bend[:, 1] = 6 * np.exp(-np.square(points[:, :2] - points[lip, :2]).sum(axis=1) / 800)
    bend[chin, 1] = 6
    plain, bent = (backward_map(mesh, mesh, box, False, b).at.numpy() for b in (None, bend))

    def source_of(where: np.ndarray, at: np.ndarray, point: int) -> np.ndarray:
        x, y = at[point].round().astype(int)
        return where[y, x]

    moved = points[:, :2] + bend
    assert np.abs(source_of(bent, moved, lip) - points[lip, :2]).max() < 2, "the lip lies 6 pixels lower"
    assert np.abs(source_of(plain, moved, lip) - points[lip, :2])[1] > 4
    assert np.abs(source_of(bent, points[:, :2], chin) - points[chin, :2]).max() < 2, "the chin is the source's"
