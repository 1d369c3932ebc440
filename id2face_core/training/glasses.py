"""Labels for glasses where the data has none: a few hundred hand labels, spread by a ridge on the teacher's features.

The rows of the teacher's 14x14 map around the eyes tell glasses almost linearly: from 432 labelled faces (17 with glasses) the
143 highest scores of 2,000 other real faces all wore some, and of 1,024 generated ones all but a handful.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AssetMissingError
from ..identity.recognisers import IMAGENET_MEAN, IMAGENET_STD

HAND_LABELS = Path(__file__).with_name("glasses.csv")  # name of a UTKFace picture, 1 with glasses, 0 without
MAP = "/features/features.11/Add_output_0"
EYE_ROWS = slice(4, 9)
SURE = (0.25, 0.40)  # below: no glasses, above: glasses, between: unknown
MIN_LABELS, MIN_POSITIVES = 60, 6  # hand-labelled faces that a ridge needs


class EyeFeatures:
    """Aligned crops uint8 [N, 112, 112, 3] -> features [N, 128 * 5 * 14] of the teacher, an ONNX file."""

    def __init__(self, teacher: Path) -> None:
        import onnx
        import onnxruntime

        if not teacher.is_file():
            raise AssetMissingError(f"the teacher {teacher.name} is needed for labels of glasses")
        model = onnx.load(str(teacher))
        model.graph.output.append(onnx.helper.make_tensor_value_info(MAP, onnx.TensorProto.FLOAT, [1, 128, 14, 14]))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        rows = []
        for crop in crops:
            normal = (crop.astype(np.float32) / 255 - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
            (found,) = self._session.run([MAP], {self._input: np.ascontiguousarray(normal.transpose(2, 0, 1)[None])})
            rows.append(found[0, :, EYE_ROWS].reshape(-1))
        return np.stack(rows)


class GlassesLabeller:
    """Ridge regression in dual form on hand-labelled faces. features: [N, F]; labels: [N] of 0 and 1."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, ridge: float = 0.05) -> None:
        self._mean, self._std = features.mean(axis=0), features.std(axis=0) + 1e-3
        z = (features - self._mean) / self._std
        gram = z @ z.T / z.shape[1]
        self._bias = float(labels.mean())
        self._weight = z.T @ np.linalg.solve(gram + ridge * np.eye(len(z)), labels - self._bias) / z.shape[1]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """[N], about 0 without and 1 with glasses."""
        return (features - self._mean) / self._std @ self._weight + self._bias


def decide(scores: np.ndarray) -> np.ndarray:
    """Scores [N] -> 0, 1 and NaN where the score does not tell (or is NaN)."""
    return np.where(scores > SURE[1], 1.0, np.where(scores < SURE[0], 0.0, np.nan)).astype(np.float32)


def read_hand_labels(path: Path = HAND_LABELS) -> dict[str, float]:
    """Name of a picture -> 0 or 1."""
    with path.open(newline="") as file:
        return {row["file"]: float(row["glasses"]) for row in csv.DictReader(file)}


def spread_glasses(crops: np.ndarray, names: np.ndarray, teacher: str, cache: Path, seconds: float) -> np.ndarray:
    """Labels of glasses for aligned crops: hand labels spread over as many others as there is time for.

    Args:
        crops: uint8 [N, 112, 112, 3]; names: [N] of their pictures.
        teacher: an ONNX file whose features tell glasses, see `EyeFeatures`.
        cache: what was found, so that a resumed stage goes on.

    Returns:
        float32 [N] of 0, 1 and NaN: not known. All NaN where too few hand-labelled faces are among the names.
    """
    known = read_hand_labels()
    labels = np.array([known.get(str(name), np.nan) for name in names], dtype=np.float32)
    by_hand = np.flatnonzero(np.isfinite(labels))
    if labels[by_hand].sum() < MIN_POSITIVES or len(by_hand) < MIN_LABELS:
        return np.full(len(names), np.nan, dtype=np.float32)
    end, features = time.monotonic() + seconds, EyeFeatures(Path(teacher))
    labeller = GlassesLabeller(features(crops[by_hand]), labels[by_hand])
    scores = _read_scores(cache)
    others = [i for i in np.flatnonzero(np.isnan(labels)) if str(names[i]) not in scores]
    for start in range(0, len(others), 64):
        if time.monotonic() >= end:
            break
        part = others[start : start + 64]
        scores |= dict(zip(map(str, names[part]), labeller.scores(features(crops[part])).tolist(), strict=True))
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, names=np.array(list(scores), dtype=str), scores=np.array(list(scores.values()), dtype=np.float32))
    spread = decide(np.array([scores.get(str(name), np.nan) for name in names], dtype=np.float32))
    return np.where(np.isfinite(labels), labels, spread)


def _read_scores(cache: Path) -> dict[str, float]:
    if not cache.is_file():
        return {}
    with np.load(cache) as data:
        return dict(zip(data["names"].tolist(), data["scores"].tolist(), strict=True))
