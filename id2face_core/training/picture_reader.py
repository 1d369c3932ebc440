"""Everything that is measured on a rendering, in batches, on any device and with gradients to the picture.

The same networks and formulas as `faces.landmarks`, `attributes.extractor` and the teacher's: mesh, irises, aligned crop,
attribute vector and embedding. Where a crop lies is taken as given; what is in it has gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..assets import require
from ..attributes.extractor import PATCH_GRID, PATCH_POINTS
from ..attributes.geometry import blendshape_points, gaze_offsets, head_poses
from ..attributes.networks import BlendshapeNetwork, PersonNetwork
from ..colour import LAB_WHITE, RGB_TO_XYZ
from ..components import NOMINAL_POINTS, WINDOW_ORIGIN
from ..faces.alignment import ARCFACE_POINTS
from ..faces.landmarks import EYE_CORNERS, EYE_SCALE, IRIS_SIDE, MESH_SIDE, ROI_SCALE
from .frozen import FrozenGraph, load_tflite
from .teachers import BatchTeacher

CROP = 112
JITTER = (1.5, 0.03, 0.03)  # pixels of the crop, share of its size, radians: how far alignments of one face lie apart
CROP_SHRINK, ROI_SHRINK = 3, 2  # a generated face is so many times larger than what is cut out of it
FIVE_OF_MESH = (1, 61, 291)  # nose tip and mouth corners; the eyes are the irises


@dataclass(frozen=True)
class Measured:
    """B faces. points [B, 468, 3] and irises [B, 2, 5, 2] in pixels of the picture; score: [B] logit of "this is a face".

    crops: [B, 3, 112, 112] in 0..1; matrix: [B, 2, 3], picture -> crop; embeddings: [B, E], unit norm, by the teacher; maps:
    [B, 7, 7, C] of it, or None; shapes: [B, 52], blendshapes seen closely, or None.
    """

    points: Tensor
    irises: Tensor
    score: Tensor
    crops: Tensor
    embeddings: Tensor
    maps: Tensor | None
    matrix: Tensor
    shapes: Tensor | None = None


class PictureReader(nn.Module):
    """Measures renderings of the window around an FFHQ-aligned face at 512 px a frame.

    close: what sees blendshapes closely, `attention.ExpressionReader`; None: they are not.
    """

    nominal: Tensor

    def __init__(
        self, mesh: FrozenGraph, iris: FrozenGraph, teacher: BatchTeacher, shapes: BlendshapeNetwork, person: PersonNetwork,
        close: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mesh, self.iris, self.teacher, self.close = mesh, iris, teacher, close
        self.shapes, self.person = shapes.eval().requires_grad_(False), person.eval().requires_grad_(False)
        self.register_buffer("nominal", torch.from_numpy(NOMINAL_POINTS - WINDOW_ORIGIN).float())

    @classmethod
    def load(
        cls, teacher: BatchTeacher, shapes: BlendshapeNetwork, person: PersonNetwork, close: nn.Module | None = None
    ) -> PictureReader:
        """With the landmark networks of the model folder. Raises AssetMissingError, AssetCorruptError."""
        mesh, iris = (load_tflite(require("landmarks", f"{name}_landmark.tflite")) for name in ("face", "iris"))
        return cls(mesh, iris, teacher, shapes, person, close)

    @property
    def device(self) -> torch.device:
        return self.nominal.device

    def forward(self, pictures: Tensor, jitter: Generator | None = None) -> Measured:
        """Measure pictures [B, 3, H, W] in 0..1.

        Args:
            jitter: draws small changes of the teacher's crop, so that what is trained through it does not hang on one alignment.
        """
        half = F.avg_pool2d(pictures, ROI_SHRINK)
        points, irises, score = self._fit(half)
        five = five_of(points, irises).detach()
        small, matrix = F.avg_pool2d(pictures, CROP_SHRINK), arcface_matrices(five)
        crops = cut(small, matrix, CROP, CROP_SHRINK)
        seen = crops if jitter is None else cut(small, jittered(matrix, jitter), CROP, CROP_SHRINK)
        embeddings, maps = self.teacher(seen)
        shapes = None if self.close is None else self.close(half, points)
        return Measured(points, irises, score, crops, embeddings, maps, matrix, shapes)

    def attributes(self, seen: Measured) -> Tensor:
        """Attribute vectors [B, A] of what was measured."""
        return attribute_rows(seen.points, seen.irises, seen.crops, seen.matrix, self.shapes, self.person)

    def _fit(self, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mesh, irises and score from pictures of half the size; as `MeshNetwork.fit` with two passes."""
        five = self.nominal.expand(len(half), -1, -1)
        eyes, mouth = five[:, :2].mean(dim=1), five[:, 3:].mean(dim=1)
        reach = torch.maximum((mouth - eyes).norm(dim=1), (five[:, 1] - five[:, 0]).norm(dim=1))
        centre, side, axis = eyes + 0.45 * (mouth - eyes), 4.0 * reach, five[:, 1] - five[:, 0]
        with torch.no_grad():  # only tells where the second pass has to look
            points, _ = self._mesh_in(half, centre, side, axis)
        centre, side, axis = mesh_squares(points)
        points, score = self._mesh_in(half, centre, side, axis)
        return points, torch.stack([self._iris_in(half, points.detach(), eye) for eye in (0, 1)], dim=1), score

    def _mesh_in(self, half: Tensor, centre: Tensor, side: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
        matrix = roi_matrices(centre, side, axis, MESH_SIDE)
        outputs = self.mesh(cut(half, matrix, MESH_SIDE, ROI_SHRINK))
        landmarks = next(o for o in outputs if o.shape[1] == 468 * 3).view(-1, 468, 3)
        score = next(o for o in outputs if o.shape[1] == 1)[:, 0]
        depth = landmarks[..., 2:] * (side / MESH_SIDE)[:, None, None]
        return torch.cat((apply(inverse(matrix), landmarks[..., :2]), depth), dim=2), score

    def _iris_in(self, half: Tensor, points: Tensor, eye: int) -> Tensor:
        first, second = (points[:, i, :2] for i in EYE_CORNERS[eye])
        side = (EYE_SCALE * (second - first).norm(dim=1)).clamp_min(4.0)
        matrix = roi_matrices((first + second) / 2, side, second - first, IRIS_SIDE, mirror=eye == 1)
        outputs = self.iris(cut(half, matrix, IRIS_SIDE, ROI_SHRINK))
        iris = next(o for o in outputs if o.shape[1] == 15).view(-1, 5, 3)
        return apply(inverse(matrix), iris[..., :2])


def attribute_rows(
    points: Tensor, irises: Tensor, crops: Tensor, matrix: Tensor, shapes: BlendshapeNetwork, person: PersonNetwork
) -> Tensor:
    """Attribute vectors [B, A], as `AttributeExtractor.extract` gives them.

    points, irises: in pixels of the picture; crops: [B, 3, 112, 112] in 0..1; matrix: [B, 2, 3], picture -> crop.
    """
    pose = head_poses(points.double(), shapes.canonical.double())[:, :2].to(points)
    expression = shapes(blendshape_points(points, irises))
    placed = apply(matrix, points[..., :2])
    person_rows = person(crops, placed).to(points)
    return torch.cat((pose, gaze_offsets(points, irises), expression, person_rows, skin_rows(crops, placed)), dim=1)


def skin_rows(crops: Tensor, points: Tensor) -> Tensor:
    """Median Lab of four patches, see `extractor.skin_colours`. crops: [B, 3, 112, 112]; points: [B, 468, 2] in them. [B, 12]."""
    a, b, c, d = (points[:, list(corner), None] for corner in zip(*PATCH_POINTS, strict=True))  # [B, 4 patches, 1, 2]
    grid = torch.from_numpy(PATCH_GRID).to(points)
    u, v = grid[:, :1], grid[:, 1:]
    where = (1 - u) * (1 - v) * a + u * (1 - v) * b + (1 - u) * v * c + u * v * d
    x, y = where.detach().round().long().clamp(0, CROP - 1).unbind(dim=-1)  # [B, 4, 36]
    colours = crops.flatten(2).gather(2, (y * CROP + x).flatten(1)[:, None].expand(-1, 3, -1))
    lab = lab_of(colours.unflatten(2, (len(PATCH_POINTS), -1)).permute(0, 2, 3, 1))
    ordered = lab.sort(dim=2).values
    middle = ordered.shape[2] // 2
    return ordered[:, :, middle - 1 : middle + 1].mean(dim=2).flatten(1)


def lab_of(rgb: Tensor) -> Tensor:
    """sRGB [..., 3] in 0..1 -> CIE Lab, see `colour.rgb_to_lab`."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04) + 0.055) / 1.055) ** 2.4)
    t = linear @ torch.from_numpy(RGB_TO_XYZ.T.copy()).to(rgb) / torch.from_numpy(LAB_WHITE).to(rgb)
    f = torch.where(t > 0.008856, t.clamp_min(0.008) ** (1 / 3), 7.787 * t + 16 / 116)
    x, y, z = f.unbind(dim=-1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-1)


def points_in_crops(points: Tensor, irises: Tensor) -> Tensor:
    """Meshes [B, 468, 3] with irises [B, 2, 5, 2], of a picture, in the pixels of its aligned crop: [B, 468, 2]."""
    return apply(arcface_matrices(five_of(points, irises)), points[..., :2])


def five_of(points: Tensor, irises: Tensor) -> Tensor:
    """The detector's five points, see `reading.five_points`. [B, 5, 2]."""
    return torch.cat((irises[:, :, 0], points[:, list(FIVE_OF_MESH), :2]), dim=1)


def arcface_matrices(five: Tensor) -> Tensor:
    """Least-squares similarities [B, 2, 3] from five points [B, 5, 2] to ArcFace's template (`alignment.arcface_matrix`)."""
    return similarities(five, torch.from_numpy(ARCFACE_POINTS).to(five).expand_as(five))


def similarities(start: Tensor, end: Tensor) -> Tensor:
    """Least-squares similarities [B, 2, 3] from points [B, N, 2] to points [B, N, 2]."""
    s0, t0 = start.mean(dim=1, keepdim=True), end.mean(dim=1, keepdim=True)
    s, t = start - s0, end - t0
    power = s.square().sum(dim=(1, 2)).clamp_min(1e-12)
    cos = (s * t).sum(dim=(1, 2)) / power
    sin = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(dim=1) / power
    linear = torch.stack((cos, -sin, sin, cos), dim=1).view(-1, 2, 2)
    return torch.cat((linear, t0.mT - linear @ s0.mT), dim=2)


@torch.no_grad()
def mesh_squares(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centres [B, 2], sides [B] and axes [B, 2] of the squares that meshes are looked for in, see `landmarks.mesh_square`."""
    low, high = points[..., :2].amin(dim=1), points[..., :2].amax(dim=1)
    return (low + high) / 2, ROI_SCALE * (high - low).amax(dim=1), points[:, 263, :2] - points[:, 33, :2]


def roi_matrices(centre: Tensor, side: Tensor, axis: Tensor, size: int, mirror: bool = False) -> Tensor:
    """Picture -> crop [B, 2, 3], see `landmarks.roi_matrix`; the roll is that of axis [B, 2]."""
    turn = axis / axis.norm(dim=1, keepdim=True).clamp_min(1e-6) * (size / side)[:, None]
    cos, sin = turn.unbind(dim=1)
    linear = torch.stack((cos, sin, -sin, cos), dim=1).view(-1, 2, 2)
    matrix = torch.cat((linear, (size - 1) / 2 - linear @ centre[..., None]), dim=2)
    if mirror:
        matrix = matrix * matrix.new_tensor([[-1.0], [1.0]]) + matrix.new_tensor([[0, 0, size - 1.0], [0, 0, 0]])
    return matrix


def jittered(matrix: Tensor, rng: Generator) -> Tensor:
    """Crops a little elsewhere; half of them mirrored."""
    shift, size, turn = JITTER
    draw = torch.randn((4, len(matrix)), generator=rng, device=matrix.device)
    scale, angle = 1 + size * draw[2], turn * draw[3]
    flip = torch.where(torch.rand(len(matrix), generator=rng, device=matrix.device) < 0.5, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    change = torch.stack((flip * cos, -flip * sin, sin, cos), dim=1).view(-1, 2, 2)
    middle = (CROP - 1) / 2
    moved = matrix[:, :, 2] - middle
    offset = (change @ moved[..., None])[..., 0] + middle + shift * draw[:2].T
    return torch.cat((change @ matrix[:, :, :2], offset[..., None]), dim=2)


def inverse(matrix: Tensor) -> Tensor:
    """Inverse of affine maps [B, 2, 3] (2x2 in closed form, which GPUs do at once)."""
    a, b, c, d = matrix[:, :, :2].flatten(1).unbind(dim=1)
    linear = torch.stack((d, -b, -c, a), dim=1).view(-1, 2, 2) / (a * d - b * c)[:, None, None]
    return torch.cat((linear, -(linear @ matrix[:, :, 2:])), dim=2)


def apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Affine maps [B, 2, 3] on points [B, N, 2]."""
    return points @ matrix[:, :, :2].mT + matrix[:, None, :, 2]


def cut(pictures: Tensor, matrix: Tensor, size: int, shrunk: int) -> Tensor:
    """Crops [B, 3, size, size] of pictures that were shrunk so many times, bilinear, mirrored outside (`alignment.warp`).

    matrix: [B, 2, 3], from pixels of the picture *before* it was shrunk to pixels of the crop.
    """
    height, width = pictures.shape[2:]
    line = torch.arange(size, device=pictures.device, dtype=pictures.dtype)
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(1, -1, 2)
    back = apply(inverse(matrix), places.expand(len(pictures), -1, -1))
    scale = pictures.new_tensor([2 / (shrunk * width), 2 / (shrunk * height)])
    grid = ((back + 0.5) * scale - 1).view(-1, size, size, 2)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def pixels(pictures: Tensor) -> np.ndarray:
    """[B, 3, H, W] in 0..1 -> uint8 [B, H, W, 3]."""
    return (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
