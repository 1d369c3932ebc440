"""The rendering's geometry brought onto the source's.

A similarity over all mesh points, then the rendering's *oval* is pulled onto the source's; points inside keep the new
face's own shape. The map is linear on a Delaunay mesh and runs backwards (photograph -> rendering), so that each
pixel is sampled once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.spatial import Delaunay

from ..errors import FaceRejectedError
from ..faces.alignment import similarity, transform_points
from ..faces.landmarks import OVAL
from ..faces.types import Mesh

EYES = (
    np.array([33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]),
    np.array([362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398]),
)
REACH = 0.18  # how far inwards the oval's pull is felt, in face widths
RINGS = (1.25, 1.8, 3.0)  # copies of the oval further out carry the map beyond the mesh
NODES = 56  # the map is evaluated on so many nodes a side; between them it is bilinear
MAX_GAZE_SHIFT = 0.14  # in widths of the eye
AROUND_FACE = 0.3  # what of the surroundings is looked at, in face widths beyond the mesh


@dataclass(frozen=True)
class Box:
    """Integer window x0:x1, y0:y1 of the photograph."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def origin(self) -> np.ndarray:
        return np.array([self.x0, self.y0], dtype=np.float64)

    @property
    def corners(self) -> tuple[int, int, int, int]:
        return self.x0, self.y0, self.x1, self.y1

    @property
    def shape(self) -> tuple[int, int]:
        return self.y1 - self.y0, self.x1 - self.x0


def face_width(points: np.ndarray) -> float:
    """Greatest extent of the oval over its two axes' geometric mean: stable when the head turns. Pixels."""
    oval = points[OVAL, :2]
    area = 0.5 * abs(float(np.dot(oval[:, 0], np.roll(oval[:, 1], 1)) - np.dot(oval[:, 1], np.roll(oval[:, 0], 1))))
    return float(np.sqrt(area) * 1.05)


def window_around(points: np.ndarray, shape: tuple[int, ...], margin: float = AROUND_FACE) -> Box:
    """Window around mesh points [468, 2 or 3] and `margin` face widths beyond, within a picture of a shape (H, W, ...).

    Raises FaceRejectedError "outside" when less than 8 pixels a side are left.
    """
    reach = face_width(points) * margin
    low, high = np.floor(points[:, :2].min(axis=0) - reach), np.ceil(points[:, :2].max(axis=0) + reach)
    x0, y0 = (int(max(0, v)) for v in low)
    x1, y1 = int(min(shape[1], high[0] + 1)), int(min(shape[0], high[1] + 1))
    if x1 - x0 < 8 or y1 - y0 < 8:
        raise FaceRejectedError("outside", "the face lies outside the picture")
    return Box(x0, y0, x1, y1)


def target_points(source: np.ndarray, rendering: np.ndarray) -> np.ndarray:
    """Where the rendering's mesh points go in the photograph. [468, 2] each."""
    moved = transform_points(rendering, similarity(rendering, source))
    width = face_width(source)
    pull = source[OVAL] - moved[OVAL]
    distance = np.linalg.norm(moved[:, None] - moved[OVAL][None], axis=2)
    near = np.exp(-np.square(distance / (0.12 * width))) + 1e-12
    field = (near / near.sum(axis=1, keepdims=True)) @ pull
    weight = np.exp(-np.square(distance.min(axis=1) / (REACH * width)))
    return moved + weight[:, None] * field


def _with_rings(points: np.ndarray) -> np.ndarray:
    centre = points.mean(axis=0)
    return np.concatenate([points, *(centre + r * (points[OVAL] - centre) for r in RINGS)])


def piecewise_affine(corners: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values [N, 2] at corners [N, 2], linear on their Delaunay mesh, read at points [M, 2]; NaN outside the hull.

    LinearNDInterpolator does the same through one LAPACK call a triangle, which took 9 s instead of 0.1 s where
    BLAS threads compete for the cores.
    """
    simplices = Delaunay(corners).simplices
    a, b, c = (corners[simplices[:, i]] for i in range(3))
    u, v = b - a, c - a
    det = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    sound = np.abs(det) > 1e-9
    simplices, a, u, v, det = simplices[sound], a[sound], u[sound], v[sound], det[sound]
    height = corners[simplices, 1]
    low, high = height.min(axis=1) - 1e-6, height.max(axis=1) + 1e-6
    out = np.full((len(at), 2), np.nan)
    for start in range(0, len(at), NODES):  # a row of a grid: few triangles reach it
        part = at[start : start + NODES]
        near = np.flatnonzero((low <= part[:, 1].max()) & (high >= part[:, 1].min()))
        if not len(near):
            continue
        x, y = part[:, None, 0] - a[near, 0], part[:, None, 1] - a[near, 1]
        second, third = (x * v[near, 1] - y * v[near, 0]) / det[near], (y * u[near, 0] - x * u[near, 1]) / det[near]
        least = np.minimum(np.minimum(second, third), 1 - second - third)
        best, rows = least.argmax(axis=1), np.arange(len(x))
        p, q = second[rows, best][:, None], third[rows, best][:, None]
        first, other, last = (values[simplices[near[best], i]] for i in range(3))
        inside = least[rows, best] > -1e-9
        out[start : start + NODES] = np.where(inside[:, None], (1 - p - q) * first + p * other + q * last, np.nan)
    return out


def _gaze_shift(source: Mesh, rendering: Mesh) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """(iris centre, shift, radius) an eye, in pixels of the rendering: the source's gaze for the new eye."""
    out = []
    for eye, (first, second) in enumerate(((33, 133), (362, 263))):
        offsets = []
        for mesh in (source, rendering):
            a, b = mesh.points[first, :2], mesh.points[second, :2]
            axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
            frame = np.stack([axis, (-axis[1], axis[0])])
            offsets.append(frame @ (mesh.irises[eye, 0] - (a + b) / 2) / max(float(np.linalg.norm(b - a)), 1e-6))
        change = np.clip(offsets[0] - offsets[1], -MAX_GAZE_SHIFT, MAX_GAZE_SHIFT)
        a, b = rendering.points[first, :2], rendering.points[second, :2]
        radius = float(np.linalg.norm(rendering.irises[eye, 1:] - rendering.irises[eye, 0], axis=1).mean())
        out.append((rendering.irises[eye, 0], np.linalg.norm(b - a) * (change @ frame), radius))
    return out


@dataclass(frozen=True)
class BackwardMap:
    """Where each pixel of a window comes from. at: float32 [h, w, 2], (x, y) in the rendering; scale: its enlargement."""

    at: torch.Tensor
    scale: float

    def sample(self, planes: np.ndarray, padding: str = "reflection") -> np.ndarray:
        """Rendering [S, S', C] uint8 or float -> float32 [h, w, C] in the same range; bicubic."""
        images = [Image.fromarray(planes[..., i]) for i in range(planes.shape[2])]
        full = images[0].size
        if self.scale < 0.8:  # shrink with a proper filter first; the warp only interpolates
            small = (max(8, round(full[0] * self.scale)), max(8, round(full[1] * self.scale)))
            images = [image.resize(small, Image.Resampling.LANCZOS) for image in images]
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).float()[None]
        grid = (self.at + 0.5) * 2 / torch.tensor(full) - 1
        out = F.grid_sample(pixels, grid[None], mode="bicubic", padding_mode=padding, align_corners=False)
        return out[0].permute(1, 2, 0).numpy()


def backward_map(
    mesh: Mesh, source: Mesh, box: Box, move_gaze: bool = True, bend: np.ndarray | None = None
) -> BackwardMap:
    """The map from a window of the photograph to the rendering.

    Args:
        mesh: of the rendering; source: of the photograph. move_gaze: the eyes look to where the source's do.
        bend: [468, 2], how the points of the rendering move before they are brought onto the source, in its pixels.
    """
    shape = mesh.points[:, :2].astype(np.float64)
    targets = _with_rings(target_points(source.points[:, :2].astype(np.float64), shape if bend is None else shape + bend))
    origins = _with_rings(mesh.points[:, :2].astype(np.float64))
    height, width = box.shape
    xs, ys = (np.linspace(0, n - 1, NODES) for n in (width, height))
    nodes = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2) + box.origin
    where = piecewise_affine(targets, origins, nodes)
    fallback = transform_points(nodes, similarity(targets, origins))
    where = np.where(np.isfinite(where), where, fallback)
    coarse = torch.from_numpy(where.reshape(NODES, NODES, 2)).permute(2, 0, 1)[None].float()
    dense = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)[0].permute(1, 2, 0)
    if move_gaze:
        for centre, shift, radius in _gaze_shift(source, mesh):
            distance = (dense - torch.from_numpy(centre + shift).float()).square().sum(dim=2)
            fade = torch.exp(-0.5 * (distance / (1.1 * radius) ** 2) ** 2)[..., None]
            dense = dense - fade * torch.from_numpy(shift).float()
    return BackwardMap(dense, face_width(source.points) / face_width(mesh.points))
