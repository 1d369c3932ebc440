"""Frechet distance between sets of crops with MobileNetV2 features. Not FID: other features, other numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import linalg

from ..errors import AssetMissingError, ShapeError

POOLED_TENSOR = 176  # 1280 pooled features of the quantised network
FEATURES = "MobileNetV2 (ImageNet, int8), 1280 pooled features"


class FeatureNetwork:
    """Pooled ImageNet features of one crop at a time."""

    def __init__(self, data_dir: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        path = Path(data_dir) / "weights" / "quality" / "keras_mobilenet_v2_imagenet_int8.tflite"
        if not path.exists():
            raise AssetMissingError(f"{path} is not there; --data needs weights/quality")
        self._net: Any = Interpreter(model_path=str(path), num_threads=1, experimental_preserve_all_tensors=True)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        detail = next(d for d in self._net.get_tensor_details() if d["index"] == POOLED_TENSOR)
        self._scale, self._zero = detail["quantization"]

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Features [1280] of a uint8 RGB crop."""
        image = np.asarray(Image.fromarray(crop).resize((224, 224), Image.Resampling.BILINEAR))
        self._net.set_tensor(self._input, image[None])
        self._net.invoke()
        raw = self._net.get_tensor(POOLED_TENSOR).astype(np.float64).reshape(-1)
        return (raw - self._zero) * self._scale if self._scale else raw


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean difference|² + tr(A + B - 2 (A B)^(1/2)) of features [N, D], [M, D] (Dowson and Landau 1982)."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ShapeError(
            f"features have shapes {a.shape} and {b.shape}; expected [N, D] and [M, D] with two rows or more"
        )
    # tr (A B)^(1/2) is the sum of the singular values of Xa Xb^T, with X the centred rows over sqrt(N - 1)
    xa, xb = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    ra, rb = (np.asarray(np.linalg.qr(x, mode="r")) for x in (xa, xb))  # same singular values, never larger than D x D
    cross = linalg.svdvals(ra @ rb.T).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (xa**2).sum() + (xb**2).sum() - 2 * cross)


def distance_with_floor(
    real: Sequence[np.ndarray], new: Sequence[np.ndarray], rng: np.random.Generator
) -> dict[str, Any]:
    """Distance of new crops to *other* real ones, and of real to real, both of N / 2 against N / 2 (same bias)."""
    order = rng.permutation(len(real))
    half = len(real) // 2
    first, second = order[:half], order[half : 2 * half]
    if half < 2:
        return {"n": half, "features": FEATURES, "distance": None, "floor": None}
    r, f = np.stack(real), np.stack(new)
    both = [frechet_distance(f[x], r[y]) for x, y in ((first, second), (second, first))]
    floor = frechet_distance(r[first], r[second])
    return {"n": half, "features": FEATURES, "distance": float(np.mean(both)), "floor": floor}
