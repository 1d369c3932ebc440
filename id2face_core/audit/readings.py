"""What is read off a face's pixels without a network."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import laplace

from ..faces.alignment import arcface_matrix, warp


def sharpness(picture: np.ndarray, points: np.ndarray) -> float:
    """Variance of the Laplacian of the aligned grey face (112 px)."""
    crop = warp(picture, arcface_matrix(points), 112)
    return float(laplace(np.asarray(Image.fromarray(crop).convert("L"), dtype=np.float64)).var())
