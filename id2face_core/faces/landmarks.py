"""468 mesh points and both irises of a face, and lips and lids once more and closely, by MediaPipe's packaged networks.

Kartynnik et al., arXiv 1907.06724 (mesh), Ablavatski et al., arXiv 2006.11341 (iris), and `attention`. The networks are
TensorFlow Lite files run by LiteRT: one thread, a few milliseconds a face.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import FaceRejectedError
from .alignment import invert, transform_points, warp
from .attention import AttentionNetwork
from .lite import LiteNetwork
from .types import Mesh

FILES = ("face_landmark.tflite", "iris_landmark.tflite", "face_landmark_with_attention.tflite")
MESH_SIDE = 192
IRIS_SIDE = 64
ROI_SCALE = 1.5  # the network saw boxes half as large again as the mesh
EYE_SCALE = 2.3  # eye crop over the distance of the eye corners
EYE_CORNERS = ((33, 133), (362, 263))  # viewer's left eye, the other
OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])  # fmt: skip
MIN_SCORE = 0.5
MIN_FACE_SIDE = 12.0


class LandmarkModel(Protocol):
    """Anything that fits a mesh to a detected face."""

    def fit(self, picture: np.ndarray, points5: np.ndarray) -> Mesh: ...


def roi_matrix(centre: np.ndarray, side: float, roll: float, size: int, mirror: bool = False) -> np.ndarray:
    """Matrix [2, 3] picture -> crop of `size` px for a square of `side` px, turned by `roll` radians, perhaps mirrored."""
    scale = size / side
    cos, sin = scale * math.cos(roll), scale * math.sin(roll)
    linear = np.array([[cos, sin], [-sin, cos]])
    offset = (size - 1) / 2 - linear @ centre
    matrix = np.concatenate([linear, offset[:, None]], axis=1)
    if mirror:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size - 1
    return matrix


def _roll(left: np.ndarray, right: np.ndarray) -> float:
    return math.atan2(float(right[1] - left[1]), float(right[0] - left[0]))


def face_square(points5: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre [2], side in pixels and roll in radians of the square that a mesh is first looked for in. points5: [5, 2]."""
    eyes, mouth = points5[:2].mean(axis=0), points5[3:].mean(axis=0)
    reach = max(float(np.linalg.norm(mouth - eyes)), float(np.linalg.norm(points5[1] - points5[0])))
    return eyes + 0.45 * (mouth - eyes), 4.0 * reach, _roll(points5[0], points5[1])


def mesh_square(points: np.ndarray) -> tuple[np.ndarray, float, float]:
    """`face_square` from a mesh [N, 2 or more] that is known."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return (low + high) / 2, ROI_SCALE * float((high - low).max()), _roll(points[33, :2], points[263, :2])


class MeshNetwork:
    """Mesh and irises of one face. Not thread-safe: LiteRT's interpreters hold their tensors."""

    def __init__(self, mesh_path: Path, iris_path: Path, attention_path: Path) -> None:
        self._mesh = LiteNetwork(mesh_path)
        self._iris = LiteNetwork(iris_path)
        self._attention = AttentionNetwork(attention_path)

    @classmethod
    def from_folder(cls, folder: Path) -> MeshNetwork:
        """Load the `FILES` of a folder."""
        return cls(*(Path(folder) / name for name in FILES))

    def fit(self, picture: np.ndarray, points5: np.ndarray, passes: int = 2) -> Mesh:
        """Fit the mesh.

        Args:
            picture: uint8 [H, W, 3] RGB.
            points5: float [5, 2], the detector's points in pixels.
            passes: the second pass starts from the first one's mesh, which matters on turned heads.

        Raises:
            FaceRejectedError: "no_mesh" when the network sees no face there or the face is below 12 px.
        """
        points5 = np.asarray(points5, dtype=np.float64)
        if not np.isfinite(points5).all():
            raise FaceRejectedError("no_mesh", "the detector's points are not finite")
        centre, side, roll = face_square(points5)
        points, score = np.zeros((468, 3)), 0.0
        for _ in range(passes):
            if side < MIN_FACE_SIDE or not math.isfinite(side):
                raise FaceRejectedError("no_mesh", f"the face is only {side / ROI_SCALE:.0f} px wide")
            points, score = self._fit_once(picture, centre, side, roll)
            centre, side, roll = mesh_square(points)
        if score < MIN_SCORE:
            raise FaceRejectedError("no_mesh", f"face score {score:.2f} is below {MIN_SCORE}")
        irises = np.stack([self._fit_eye(picture, points, eye) for eye in (0, 1)])
        close = self.look_closely(picture, centre, side, roll)
        return Mesh(points.astype(np.float32), irises.astype(np.float32), score, close.astype(np.float32))

    def _fit_once(self, picture: np.ndarray, centre: np.ndarray, side: float, roll: float) -> tuple[np.ndarray, float]:
        matrix = roi_matrix(centre, side, roll, MESH_SIDE)
        outputs = self._mesh(warp(picture, matrix, MESH_SIDE))
        landmarks = next(o for o in outputs if o.size == 468 * 3).reshape(468, 3).astype(np.float64)
        logit = float(next(o for o in outputs if o.size == 1)[0])
        flat = transform_points(landmarks[:, :2], invert(matrix))
        depth = landmarks[:, 2:] * (side / MESH_SIDE)
        return np.concatenate([flat, depth], axis=1), 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))

    def look_closely(self, picture: np.ndarray, centre: np.ndarray, side: float, roll: float) -> np.ndarray:
        """The attention mesh [478, 2] of a face whose `mesh_square` is known."""
        matrix = roi_matrix(centre, side, roll, MESH_SIDE)
        return transform_points(self._attention(warp(picture, matrix, MESH_SIDE)), invert(matrix))

    def _fit_eye(self, picture: np.ndarray, points: np.ndarray, eye: int) -> np.ndarray:
        first, second = (points[i, :2] for i in EYE_CORNERS[eye])
        side = EYE_SCALE * float(np.linalg.norm(second - first))
        mirror = eye == 1  # the network knows one side only
        matrix = roi_matrix((first + second) / 2, max(side, 4.0), _roll(first, second), IRIS_SIDE, mirror)
        outputs = self._iris(warp(picture, matrix, IRIS_SIDE))
        iris = next(o for o in outputs if o.size == 15).reshape(5, 3)[:, :2]
        return transform_points(iris.astype(np.float64), invert(matrix))
