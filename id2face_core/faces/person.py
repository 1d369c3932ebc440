"""Which pixels show a person: MediaPipe's selfie segmentation, made crisp along the edges of the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from ..resampling import enlarge, reduce
from .alignment import invert, transform_points, warp
from .landmarks import roi_matrix
from .lite import LiteNetwork
from .types import Mesh, SoftMask

SIDE = 256
ROI = 3.2  # side of the crop over the size of the face
RISE = 0.1  # the crop's centre lies above the mesh's by so much of its height: hair is part of a person
EDGE = 0.02  # radius of the guided filter, in sizes of the face
FINEST = 6  # pixels; a wider filter works on fewer
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class PersonNetwork:
    """Person against background around one face. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._network = LiteNetwork(path)

    @classmethod
    def from_folder(cls, folder: Path) -> PersonNetwork:
        """Load `selfie_segmentation.tflite` of a folder."""
        return cls(Path(folder) / "selfie_segmentation.tflite")

    def read(self, picture: np.ndarray, mesh: Mesh) -> SoftMask:
        """Share of the person in the square around the face; nothing is said beyond it.

        Args:
            picture: uint8 [H, W, 3] RGB; mesh: of the face around which to look.
        """
        points = mesh.points[:, :2].astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        size = float((high - low).max())
        centre = (low + high) / 2 + RISE * (points[10] - points[152])
        limit = np.array(picture.shape[1::-1], dtype=np.float64)
        side = min(ROI * size, float(limit.max()))  # mirrored people beyond the border would lead the network astray
        inside = np.minimum(np.maximum(centre, side / 2), limit - side / 2) - 0.5
        matrix = roi_matrix(np.where(limit >= side, inside, limit / 2 - 0.5), side, 0.0, SIDE)
        share = self._network(warp(picture, matrix, SIDE))[0].reshape(SIDE, SIDE)
        back = invert(matrix)
        corners = transform_points(np.array([[0, 0], [SIDE - 1, SIDE - 1]]), back)
        x0, y0 = np.maximum(np.floor(corners[0]).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(corners[1]).astype(int) + 1, picture.shape[1::-1])
        if x1 <= x0 or y1 <= y0:
            return SoftMask(0, 0, np.zeros((1, 1), dtype=np.float32))
        scale = float(matrix[0, 0])
        offset = transform_points(np.array([[x0, y0]]) - 0.5, matrix)[0] + 0.5
        window = Image.fromarray(share.astype(np.float32)).transform(
            (int(x1 - x0), int(y1 - y0)), Image.Transform.AFFINE, (scale, 0, offset[0], 0, scale, offset[1]),
            Image.Resampling.BILINEAR,
        )  # fmt: skip
        luma = picture[y0:y1, x0:x1].astype(np.float32) @ LUMA / 255
        return SoftMask(int(x0), int(y0), guided_filter(luma, np.asarray(window), max(1, round(EDGE * size))))


def guided_filter(guide: np.ndarray, share: np.ndarray, radius: int, epsilon: float = 4e-4) -> np.ndarray:
    """He et al., "Guided Image Filtering" (2013): a mask [h, w] that follows the edges of a guide [h, w] in 0..1.

    Wide ones are worked out on a reduced picture (He and Sun, "Fast Guided Filter", arXiv 1505.00996).
    """
    factor = max(1, radius // FINEST)
    side = 2 * max(1, round(radius / factor)) + 1
    g, s = (reduce(x[..., None], factor)[..., 0] for x in (guide, share))
    mean_g, mean_s = uniform_filter(g, side), uniform_filter(s, side)
    slope = (uniform_filter(g * s, side) - mean_g * mean_s) / (uniform_filter(g * g, side) - mean_g * mean_g + epsilon)
    offset = mean_s - slope * mean_g
    shape = guide.shape[0], guide.shape[1]
    slope, offset = (enlarge(uniform_filter(x, side), factor, shape) for x in (slope, offset))
    return np.clip(slope * guide + offset, 0, 1).astype(np.float32)
