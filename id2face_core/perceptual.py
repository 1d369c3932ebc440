"""LPIPS: how different two pictures look, by a file that the user gives (no such weights come with this package)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .assets.hashing import sha256_of
from .errors import AssetMissingError, ConfigError, ShapeError

KERNELS, STRIDES, PADDINGS = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)  # AlexNet's convolutions
POOLED = (1, 2)  # a maximum over 3 x 3, every other pixel, goes before these
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of RGB in -1..1
WINDOW = 224  # px; side of the square around a face that is compared
TINY = 1e-12  # beside a square; keeps the slope of a root finite where nothing is seen
LEAST_SIDE = 35  # px; below, nothing is left behind the second maximum
FILE = "a safetensors file with features.K.weight, features.K.bias (AlexNet's five convolutions) and lin.K.weight"


class PerceptualDistance(nn.Module):
    """LPIPS v0.1 on AlexNet (Zhang et al. 2018, arXiv 1801.03924): uint8 RGB pictures of one size -> distance, 0 if equal.

    widths: channels of the five convolutions, (64, 192, 384, 256, 256) in the published weights.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        layers = zip((3, *widths[:-1]), widths, KERNELS, STRIDES, PADDINGS, strict=True)
        self.features = nn.ModuleList(nn.Conv2d(i, o, kernel, stride, pad) for i, o, kernel, stride, pad in layers)
        self.lin = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in widths)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances [B] of pictures [B, 3, H, W] in -1..1."""
        total = a.new_zeros(len(a))
        for unit, head in zip(self.maps(torch.cat([a, b])), self.lin, strict=True):
            first, second = unit.chunk(2)
            total = total + head((first - second).pow(2)).mean(dim=(1, 2, 3))
        return total

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """What the five convolutions see in pictures [B, 3, H, W] in -1..1: unit vectors [B, C, H', W'] each."""
        x, seen = (pictures - self.shift) / self.scale, []
        for k, convolution in enumerate(self.features):
            x = F.relu(convolution(F.max_pool2d(x, 3, 2) if k in POOLED else x))
            seen.append(x / (x.square().sum(dim=1, keepdim=True) + TINY).sqrt())
        return seen

    @torch.inference_mode()
    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """Distance of two uint8 pictures [H, W, 3]. Raises ShapeError."""
        if a.shape != b.shape or a.ndim != 3 or min(a.shape[:2]) < LEAST_SIDE:
            raise ShapeError(f"pictures have shapes {a.shape} and {b.shape}; LPIPS needs one shape of {LEAST_SIDE} px or more")
        both = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (a, b)]
        return float(self(*both))


def load_perceptual(path: Path) -> PerceptualDistance:
    """The network in a file. Raises AssetMissingError, ConfigError (not such a file, or not a distance)."""
    if not path.is_file():
        raise AssetMissingError(f"there are no LPIPS weights at {path}; give {FILE}")
    try:
        tensors = load_file(path)
        widths = [len(tensors[f"features.{k}.bias"]) for k in range(len(KERNELS))]
        network = PerceptualDistance(widths).eval()
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{path.name} does not hold LPIPS weights: give {FILE}") from error
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ConfigError(f"{path.name} holds numbers that are not finite")
    if any(bool((head < 0).any()) for head in network.lin.parameters()):
        raise ConfigError(f"{path.name} has heads with weights below 0, so that it measures no distance")
    return network


def perceptual_name(path: Path) -> str:
    """What stands beside every figure."""
    return f"LPIPS (AlexNet, weights {sha256_of(path)[:16]}…)"


def jpeg(picture: np.ndarray, quality: int = 50) -> np.ndarray:
    """The picture after a loss that everybody knows: a yardstick."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))
