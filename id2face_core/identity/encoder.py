"""Identity encoders: an aligned crop becomes a unit vector.

Ours is a student in plain torch, distilled from the recogniser that defines the system's identity space. A recogniser
that took part in training never judges the result.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from ..errors import ShapeError


class FaceEncoder(Protocol):
    """crops [B, 3, 112, 112] RGB in 0..1, ArcFace-aligned -> unit embeddings [B, dim]."""

    name: str
    dim: int

    def embed(self, crops: Tensor) -> Tensor: ...


class _Residual(nn.Module):
    """Two dense 3x3 convolutions (ResNet, arXiv 1512.03385). On CPUs they run at several times the FLOP/s of the
    depthwise ones that mobile recognisers are made of."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(),
            nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x))


class IdentityEncoder(ModelMixin, ConfigMixin):
    """The student: patches of 4x4 pixels, then residual stages at 28, 14 and 7 px.

    Args:
        dim: of the embedding.
        widths, blocks: channels and residual blocks of each stage.
    """

    name = "id2face-student"

    @register_to_config
    def __init__(
        self, dim: int = 128, widths: tuple[int, ...] = (64, 128, 256), blocks: tuple[int, ...] = (2, 2, 2)
    ) -> None:
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = []
        cin, patch = 3, 4
        for width, count in zip(widths, blocks, strict=True):
            layers += [nn.Conv2d(cin, width, patch, patch), nn.ReLU(), *(_Residual(width) for _ in range(count))]
            cin, patch = width, 2
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(cin * 49, dim)  # each place of the aligned face has its own weights

    def features(self, crops: Tensor) -> Tensor:
        """Crops [B, 3, 112, 112] -> last feature map [B, C, 7, 7]."""
        if crops.ndim != 4 or tuple(crops.shape[1:]) != (3, 112, 112):
            raise ShapeError(f"crops have shape {tuple(crops.shape)}; expected [B, 3, 112, 112]")
        return self.body(2 * crops - 1)

    def head(self, features: Tensor) -> Tensor:
        """Feature map -> unit embedding [B, dim]."""
        return F.normalize(self.out(features.flatten(1)), dim=1)

    def forward(self, crops: Tensor) -> Tensor:
        return self.head(self.features(crops))

    @torch.inference_mode()
    def embed(self, crops: Tensor) -> Tensor:
        return self(crops)
