"""What every table of figures is compared with: nothing, blur, pixels and a grey oval in place of the face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from ..faces.alignment import arcface_matrix, invert

Control = Callable[[np.ndarray, np.ndarray], np.ndarray]
OVAL_CENTRE, OVAL_RADII = (56.0, 66.0), (33.0, 46.0)  # brow to chin, ear to ear, in ArcFace's 112 px crop
HEAD_CENTRE, HEAD_RADII = (56.0, 46.0), (62.0, 84.0)  # the whole head with most hair, as preset `strict` replaces it
BLUR = 0.07  # sigma over the side of the crop
BLOCKS = 10  # squares across the crop


def oval_mask(
    shape: tuple[int, ...],
    points: np.ndarray,
    centre: tuple[float, float] = OVAL_CENTRE,
    radii: tuple[float, float] = OVAL_RADII,
) -> np.ndarray:
    """Boolean [H, W]: the oval of the face with five points [5, 2]; centre and radii in ArcFace's 112 px crop."""
    matrix = arcface_matrix(points)
    y, x = np.ogrid[: shape[0], : shape[1]]
    u, v = ((a * x + b * y + (c - middle)) / radius for (a, b, c), middle, radius in zip(matrix, centre, radii, strict=True))
    inside: np.ndarray = u**2 + v**2 <= 1
    return inside


def crop_side(points: np.ndarray) -> float:
    """Side of ArcFace's crop in pixels of the picture."""
    return float(112 * np.sqrt(np.linalg.det(invert(arcface_matrix(points))[:, :2])))


def nothing(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The picture as it is."""
    return picture.copy()


def blur(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Gaussian blur of the oval, sigma 7 % of the crop."""
    sigma = BLUR * crop_side(points)
    soft = gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0), mode="reflect")
    return _inside(picture, soft.round().clip(0, 255).astype(np.uint8), points)


def pixelate(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Means of squares, ten across the crop, in the oval."""
    size = max(1, round(crop_side(points) / BLOCKS))
    height, width = picture.shape[:2]
    rows, columns = np.arange(0, height, size), np.arange(0, width, size)
    sums = np.add.reduceat(np.add.reduceat(picture.astype(np.float64), rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))[..., None]
    coarse = (sums / counts).round().astype(np.uint8)
    return _inside(picture, coarse[np.arange(height)[:, None] // size, np.arange(width)[None] // size], points)


def grey_oval(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Middle grey in the oval: what still identifies then is what the mask kept."""
    return _inside(picture, np.full_like(picture, 128), points)


def grey_head(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Middle grey over the whole head: what then identifies is clothes, shoulders and the place."""
    head = oval_mask(picture.shape, points, HEAD_CENTRE, HEAD_RADII)
    return np.where(head[..., None], np.uint8(128), picture)


def _inside(picture: np.ndarray, other: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.where(oval_mask(picture.shape, points)[..., None], other, picture)


CONTROLS: dict[str, Control] = {"nothing": nothing, "blur": blur, "pixelate": pixelate, "grey oval": grey_oval}
