"""The attention mesh, and the expression that is read off it, in batches, on any device and with gradients to the picture.

The same numbers as `faces.attention` and `AttributeExtractor.expression`. Where a face's crop lies is taken as given, where the
heads' lie within its feature map is not: with both taken as given the gradients of blendshapes have a cosine of .83 with the
true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..assets import require
from ..attributes.geometry import close_rows
from ..attributes.networks import ExpressionNetwork
from ..faces.attention import CROP, FEATURES, HEADS, IRISES, REACH, STRIDE
from ..faces.landmarks import FILES, MESH_SIDE
from .frozen import FrozenGraph, load_tflite_parts
from .picture_reader import ROI_SHRINK, apply, cut, inverse, mesh_squares, roi_matrices


class AttentionReader(nn.Module):
    """Crops [B, 3, 192, 192] in 0..1 of faces, half as large again as their meshes -> points [B, 478, 2] in their pixels."""

    order: Tensor

    def __init__(self, trunk: FrozenGraph, heads: Sequence[FrozenGraph]) -> None:
        super().__init__()
        self.trunk, self.heads = trunk, nn.ModuleList(heads)
        found = np.concatenate([points for head in HEADS for points in head.finds])
        order = np.arange(468 + IRISES.size)
        order[found] = 468 + np.arange(found.size)  # of the trunk's points and then the heads'
        self.register_buffer("order", torch.from_numpy(order), persistent=False)

    @classmethod
    def load(cls, path: Path | None = None) -> AttentionReader:
        """The network of a file, or of the model folder. Raises AssetMissingError, AssetCorruptError."""
        cuts = [("input_1", ("output_mesh", FEATURES)), *((head.inlet, head.outlets) for head in HEADS)]
        trunk, *heads = load_tflite_parts(path or require("landmarks", FILES[2]), cuts)
        return cls(trunk, heads)

    def forward(self, crops: Tensor) -> Tensor:
        mesh, features = self.trunk.shaped(crops)
        coarse = mesh.reshape(-1, 468, 3)[..., :2]
        points = [coarse]
        for network, head in zip(self.heads, HEADS, strict=True):
            box = torch.from_numpy(head.finds[0]).to(coarse.device)
            matrix = crop_matrices(coarse[:, box], coarse[:, list(head.level)])
            points += [apply(matrix, found.unflatten(1, (-1, 2))) for found in network(cut_features(features, matrix))]
        return torch.cat(points, dim=1)[:, self.order]


class ExpressionReader(nn.Module):
    """Blendshapes of pictures whose meshes are known, as `AttributeExtractor.expression` reads them."""

    def __init__(self, attention: AttentionReader, network: ExpressionNetwork) -> None:
        super().__init__()
        self.attention, self.network = attention, network.eval().requires_grad_(False)

    def forward(self, half: Tensor, points: Tensor) -> Tensor:
        """[B, 52] in 0..1, with the gradients of what is beyond that too; see `look_closely`."""
        raw = self.network.raw(close_rows(self.look_closely(half, points)))
        return raw + (raw.clamp(0, 1) - raw).detach()

    def look_closely(self, half: Tensor, points: Tensor) -> Tensor:
        """Attention meshes [B, 478, 2] in pixels of the picture, as `MeshNetwork.look_closely`.

        Args:
            half: [B, 3, H/2, W/2] in 0..1, pictures of half the size.
            points: meshes [B, 468, 2 or more] in pixels of the picture; only tell where to look.
        """
        matrix = roi_matrices(*mesh_squares(points), MESH_SIDE)
        return apply(inverse(matrix), self.attention(cut(half, matrix, MESH_SIDE, ROI_SHRINK)))


def crop_matrices(points: Tensor, level: Tensor) -> Tensor:
    """Maps [B, 2, 3] from a head's crops to the pictures, see `attention.crop_matrix`. points: [B, N, 2]; level: [B, 2, 2]."""
    across = level[:, 1] - level[:, 0]
    cos, sin = (across / across.norm(dim=1, keepdim=True).clamp_min(1e-6)).unbind(dim=1)
    turn = torch.stack((cos, -sin, sin, cos), dim=1).view(-1, 2, 2)
    upright = points @ turn
    low, high = upright.amin(dim=1), upright.amax(dim=1)
    side = STRIDE * CROP
    linear = turn * (REACH * (high - low) / side)[:, None]
    offset = turn @ ((low + high) / 2)[..., None] - linear.sum(dim=2, keepdim=True) * (side / 2)
    return torch.cat((linear, offset), dim=2)


def cut_features(features: Tensor, matrix: Tensor) -> Tensor:
    """Crops [B, C, 16, 16] of feature maps [B, C, H, W] by `crop_matrices`, see `attention.cut`: bilinear, 0 outside."""
    line = (torch.arange(CROP, device=matrix.device, dtype=matrix.dtype) + 0.5) * STRIDE
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(1, -1, 2)
    where = apply(matrix, places.expand(len(matrix), -1, -1)).view(-1, CROP, CROP, 2) / STRIDE
    size = matrix.new_tensor(features.shape[:1:-1])
    inside = ((where >= 0.5) & (where <= size - 0.5)).all(dim=-1)[:, None]  # a border is not blended with what lies beyond it
    return F.grid_sample(features, 2 * where / size - 1, padding_mode="border", align_corners=False) * inside
