"""The rendering's geometry on the source's."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator

from id2face_core.photograph.warp import piecewise_affine


def test_the_map_is_linear_on_the_delaunay_mesh() -> None:
    rng = np.random.default_rng(0)
    corners, values, at = rng.uniform(0, 50, (80, 2)), rng.uniform(0, 9, (80, 2)), rng.uniform(-5, 55, (700, 2))
    expected = LinearNDInterpolator(corners, values)(at)
    assert np.isnan(expected).any()
    np.testing.assert_allclose(piecewise_affine(corners, values, at), expected, atol=1e-8)
