"""Which pixels show a person: MediaPipe's selfie segmentation, made crisp along the edges of the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from ..resampling import enlarge
from .alignment import invert, transform_points, warp
from .landmarks import roi_matrix
from .lite import LiteNetwork
from .types import Mesh, SoftMask

SIDE = 256
ROI = 3.2  # side of the crop over the size of the face
RISE = 0.1  # the crop's centre lies above the mesh's by so much of its height: hair is part of a person
EDGE = 0.02  # radius of the guided filter, in sizes of the face
FINEST = 6  # pixels of that radius; a larger picture is reduced so far, which is fine enough for a mask


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
        radius = max(1, round(EDGE * size))
        factor = max(1, radius // FINEST)
        light = Image.fromarray(picture[y0:y1, x0:x1]).convert("L").reduce(factor)
        affine = (factor * scale, 0, offset[0], 0, factor * scale, offset[1])
        window = Image.fromarray(share.astype(np.float32)).transform(
            light.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        mask = guided_filter(np.asarray(light, dtype=np.float32) / 255, np.asarray(window), round(radius / factor))
        return SoftMask(int(x0), int(y0), enlarge(mask, factor, (int(y1 - y0), int(x1 - x0))))


def guided_filter(guide: np.ndarray, share: np.ndarray, radius: int, epsilon: float = 4e-4) -> np.ndarray:
    """He et al., "Guided Image Filtering" (2013): a mask [h, w] that follows the edges of a guide [h, w] in 0..1."""
    side = 2 * max(1, radius) + 1
    mean_g, mean_s = uniform_filter(guide, side), uniform_filter(share, side)
    variance = uniform_filter(guide * guide, side) - mean_g * mean_g
    slope = (uniform_filter(guide * share, side) - mean_g * mean_s) / (variance + epsilon)
    offset = mean_s - slope * mean_g
    slope, offset = (uniform_filter(x, side) for x in (slope, offset))
    return np.clip(slope * guide + offset, 0, 1).astype(np.float32)
