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


class _Bottleneck(nn.Module):
    """Inverted residual (MobileNetV2, arXiv 1801.04381) with PReLU, as MobileFaceNet (arXiv 1804.07573) has it."""

    def __init__(self, cin: int, cout: int, stride: int, expand: int = 2) -> None:
        super().__init__()
        wide = expand * cin
        self.skip = stride == 1 and cin == cout
        self.layers = nn.Sequential(
            nn.Conv2d(cin, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide),
            nn.Conv2d(wide, cout, 1, bias=False), nn.BatchNorm2d(cout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class IdentityEncoder(ModelMixin, ConfigMixin):
    """The student. stages: (channels, blocks) at 28, 14 and 7 px."""

    name = "id2face-student"

    @register_to_config
    def __init__(self, dim: int = 128, stages: tuple[tuple[int, int], ...] = ((48, 2), (96, 4), (128, 2))) -> None:
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.PReLU(32)]
        cin = 32
        for channels, blocks in stages:
            layers += [_Bottleneck(cin, channels, 2)] + [_Bottleneck(channels, channels, 1) for _ in range(blocks)]
            cin = channels
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Conv2d(cin, 256, 1, bias=False), nn.BatchNorm2d(256), nn.PReLU(256))
        self.pool = nn.Conv2d(256, 256, 7, groups=256, bias=False)  # global depthwise: each place has its own weight
        self.out = nn.Linear(256, dim)

    def forward(self, crops: Tensor) -> Tensor:
        if crops.ndim != 4 or tuple(crops.shape[1:]) != (3, 112, 112):
            raise ShapeError(f"crops have shape {tuple(crops.shape)}; expected [B, 3, 112, 112]")
        x = self.pool(self.head(self.body(2 * crops - 1))).flatten(1)
        return F.normalize(self.out(x), dim=1)

    @torch.inference_mode()
    def embed(self, crops: Tensor) -> Tensor:
        return self(crops)
