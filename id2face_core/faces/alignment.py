"""Similarity alignment of faces and the sampling of crops.

Matrices are [2, 3], picture pixels -> crop pixels, with the centre of the first pixel at (0, 0).
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ..errors import ShapeError

ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)  # five points in the 112 px crop of ArcFace (arXiv 1801.07698)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity source -> target (Umeyama 1991, no reflection). Points [N, 2] -> [2, 3]."""
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
        raise ShapeError(f"points have shapes {source.shape} and {target.shape}; expected two of [N, 2]")
    s0, t0 = source.mean(axis=0), target.mean(axis=0)
    s, t = (source - s0) @ (1, 1j), (target - t0) @ (1, 1j)
    turn = np.vdot(s, t) / max(np.vdot(s, s).real, 1e-12)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([linear, (t0 - linear @ s0)[:, None]], axis=1)


def arcface_matrix(points5: np.ndarray, size: int = 112) -> np.ndarray:
    """Alignment to ArcFace's template."""
    scale = size / 112
    return similarity(points5, (ARCFACE_POINTS + 0.5) * scale - 0.5)


def ffhq_matrix(points5: np.ndarray, size: int = 512) -> np.ndarray:
    """Alignment as FFHQ's pictures were (Karras et al., arXiv 1812.04948): a square on the eyes and the mouth."""
    points5 = np.asarray(points5, dtype=np.float64)
    eyes, mouth = points5[:2].mean(axis=0), points5[3:].mean(axis=0)
    across, down = points5[1] - points5[0], mouth - eyes
    axis = across + np.array([down[1], -down[0]])
    length = math.hypot(*axis)
    if length < 1e-6:
        raise ShapeError("the five points coincide; no alignment can be made of them")
    axis = axis / length * max(2.0 * math.hypot(*across), 1.8 * math.hypot(*down))
    ortho, centre = np.array([-axis[1], axis[0]]), eyes + 0.1 * down
    corners = np.stack([centre - axis - ortho, centre + axis - ortho, centre - axis + ortho])
    edge = size - 0.5
    return similarity(corners, np.array([[-0.5, -0.5], [edge, -0.5], [-0.5, edge]]))


def invert(matrix: np.ndarray) -> np.ndarray:
    """Inverse of an affine [2, 3]. Raises ShapeError when it has none (the points it came from coincide)."""
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
        raise ShapeError("the alignment is degenerate; the five points must not coincide")
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -(linear @ matrix[:, 2:])], axis=1)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply an affine [2, 3] to points [..., 2]."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def warp(picture: np.ndarray, matrix: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Sample a crop.

    Args:
        picture: uint8 [H, W, 3].
        matrix: picture -> crop.
        size: side, or (width, height), of the crop.

    Bilinear; when the crop is smaller than what it shows, pixels are averaged first. Outside the picture it is mirrored.
    """
    width, height = (size, size) if isinstance(size, int) else size
    back = invert(matrix)
    corners = transform_points(np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]), back)
    shrink = max(1, int(math.sqrt(abs(np.linalg.det(back[:, :2]))) + 0.25))
    margin = 2 * shrink
    x0, y0 = (int(v) - margin for v in np.floor(corners.min(axis=0)))
    x1, y1 = (int(v) + margin + 1 for v in np.ceil(corners.max(axis=0)))
    x1 += -(x1 - x0) % shrink
    y1 += -(y1 - y0) % shrink
    region = _mirrored(picture, x0, y0, x1, y1)
    image = Image.fromarray(region)
    if shrink > 1:
        image = image.reduce(shrink)
    linear = back[:, :2] / shrink
    # PIL counts from pixel corners: output centre (i + .5), input centre (j + .5)
    offset = (back[:, 2] - (x0, y0) + 0.5) / shrink - linear @ (0.5, 0.5)
    data = (*linear[0], offset[0], *linear[1], offset[1])
    return np.asarray(image.transform((width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))


def _mirrored(picture: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """Rows y0:y1, columns x0:x1 of a picture that goes on mirrored outside its borders."""
    height, width = picture.shape[:2]
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return np.ascontiguousarray(picture[y0:y1, x0:x1])
    rows, columns = _mirror_index(y0, y1, height), _mirror_index(x0, x1, width)
    return picture.take(rows, axis=0).take(columns, axis=1)  # a fifth of the time of picture[rows[:, None], columns]


def _mirror_index(start: int, stop: int, length: int) -> np.ndarray:
    index = np.arange(start, stop) % (2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)
