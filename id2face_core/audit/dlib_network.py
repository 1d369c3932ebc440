"""dlib's face recogniser (King 2017, dlib.net) read from its own file and run by torch, eight times as fast as dlib's wheels.

The wheels on PyPI are built without BLAS. Only the published file is read so (its SHA-256 is known); any other one runs in dlib.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
SIDE = 150  # px
MEAN = (122.782, 117.001, 104.298)
STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))  # (channels, blocks); the first block of all but the first halves
VECTOR = 128


class Residual(nn.Module):
    """Two convolutions beside the identity, or beside a mean over 2 x 2. What is smaller is padded with zeros."""

    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2 if halves else 1, padding=0 if halves else 1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        return F.relu(_sum(y, F.avg_pool2d(x, 2) if self.halves else x))


class DlibResNet(nn.Module):
    """uint8 faces of 150 px, as `dlib.get_face_chip` cuts them -> vectors [B, 128]."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, STAGES[0][0], 7, stride=2)
        blocks, inputs = [], STAGES[0][0]
        for k, (width, count) in enumerate(STAGES):
            blocks += [Residual(inputs if i == 0 else width, width, k > 0 and i == 0) for i in range(count)]
            inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.leave = nn.Linear(inputs, VECTOR, bias=False)

    @torch.inference_mode()
    def forward(self, faces: Tensor) -> Tensor:
        """uint8 [B, 150, 150, 3] RGB -> [B, 128]."""
        x = (faces.permute(0, 3, 1, 2).float() - torch.tensor(MEAN).view(1, 3, 1, 1)) / 256
        x = F.max_pool2d(F.relu(self.enter(x)), 3, 2)
        vectors: Tensor = self.leave(self.blocks(x).mean(dim=(2, 3)))
        return vectors

    @classmethod
    def from_file(cls, path: Path) -> DlibResNet:
        """The published weights. Each convolution takes in the affine layer behind it. Raises ValueError for another file."""
        tensors, network = _Tensors(path.read_bytes()), cls().eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                weight, bias = tensors.next(layer.weight.shape, layer.bias.shape)  # type: ignore[union-attr]
                gamma, beta = tensors.next(bias.shape, bias.shape)
                layer.load_state_dict({"weight": weight * gamma.view(-1, 1, 1, 1), "bias": bias * gamma + beta})
        (last,) = tensors.next(network.leave.weight.T.shape, rows=network.leave.in_features)
        network.leave.load_state_dict({"weight": last.T.contiguous()})
        return network


class _Tensors:
    """Tensors of dlib's serialisation: version 2, four sizes as integers of variable length, then little-endian floats."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def next(self, *shapes: torch.Size, rows: int = 0) -> list[Tensor]:
        """The next tensor that holds as many numbers as the shapes need, cut into them. rows: its first size, 0: all."""
        counts = [shape.numel() for shape in shapes]
        total = sum(counts)
        sizes = (rows, total // rows, 1, 1) if rows else (total, 1, 1, 1)
        header = b"\x01\x02" + b"".join(_integer(size) for size in sizes)
        start = self._data.index(header, self._at) + len(header)
        self._at = start + 4 * total
        numbers = torch.from_numpy(np.frombuffer(self._data, "<f4", total, start).copy())
        return [part.view(shape) for part, shape in zip(numbers.split(counts), shapes, strict=True)]


def _integer(value: int) -> bytes:
    length = (value.bit_length() + 7) // 8
    return bytes([length]) + value.to_bytes(length, "little")


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """a + b; each is padded with zeros to the larger number of channels, rows and columns."""
    sizes = [max(p, q) for p, q in zip(a.shape[1:], b.shape[1:], strict=True)]

    def padded(x: Tensor) -> Tensor:
        c, h, w = (size - own for size, own in zip(sizes, x.shape[1:], strict=True))
        return F.pad(x, (0, w, 0, h, 0, c)) if c or h or w else x

    return padded(a) + padded(b)
