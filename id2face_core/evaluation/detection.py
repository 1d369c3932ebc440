"""Detectors of the evaluation: SCRFD (arXiv 2105.04714) and YuNet, one face in a crop. Not the pipeline's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import AssetMissingError

SIDE = 320
STRIDES = (8, 16, 32)
Decoder = Callable[[list[np.ndarray]], tuple[np.ndarray, np.ndarray]]


class Detector:
    """Best face near a place: `find(picture, points)` -> (score, points [5, 2]) or None."""

    def __init__(self, name: str, path: Path) -> None:
        import onnxruntime

        if not Path(path).exists():
            raise AssetMissingError(f"{path} is not there; --data needs weights/detection")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.name = name

    def find(
        self, picture: np.ndarray, points: np.ndarray | None = None, least: float = 0.5
    ) -> tuple[float, np.ndarray] | None:
        """The face nearest to `points` (within an eye distance), or the best one when no points are given."""
        crop, scale, origin = _crop(picture, points)
        image = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
        image[: crop.shape[0], : crop.shape[1]] = crop[..., ::-1]
        scores, found = self._decode(image)
        found = found / scale + origin
        keep = scores >= least
        if points is not None:
            reach = float(np.linalg.norm(points[1] - points[0]))
            keep &= np.linalg.norm(found.mean(axis=1) - points.mean(axis=0), axis=1) < reach
        if not keep.any():
            return None
        best = int(np.argmax(np.where(keep, scores, -1)))
        return float(scores[best]), found[best].astype(np.float32)

    def _decode(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.name == "scrfd":
            blob = (image - 127.5) / 128
            outputs = self._session.run(None, {self._input: blob.transpose(2, 0, 1)[None].astype(np.float32)})
            return _scrfd(outputs)
        outputs = self._session.run(None, {self._input: image.transpose(2, 0, 1)[None].copy()})
        return _yunet(outputs)


def load_detectors(data_dir: Path) -> list[Detector]:
    """SCRFD 2.5G and YuNet of weights/detection."""
    folder = Path(data_dir) / "weights" / "detection"
    return [
        Detector("scrfd", folder / "extra" / "scrfd_2.5g.onnx"),
        Detector("yunet", folder / "yunet_n_dynamic.onnx"),
    ]


def _crop(picture: np.ndarray, points: np.ndarray | None) -> tuple[np.ndarray, float, np.ndarray]:
    """The surroundings of the face (or the whole picture), shrunk or grown to fit SIDE; scale; origin."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = 0, 0, width, height
    if points is not None:
        centre = points.mean(axis=0)
        reach = 3.2 * max(
            float(np.linalg.norm(points[1] - points[0])),
            float(np.linalg.norm(points[3:].mean(0) - points[:2].mean(0))),
        )
        x0, y0 = (int(max(0, v)) for v in centre - reach)
        x1, y1 = int(min(width, centre[0] + reach)), int(min(height, centre[1] + reach))
    region = picture[y0:y1, x0:x1]
    scale = SIDE * 0.8 / max(region.shape[:2])  # a margin: detectors dislike faces that fill the picture
    size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
    resized = np.asarray(Image.fromarray(region).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    return resized, scale, np.array([x0, y0], dtype=np.float64)


def _anchors(stride: int, copies: int) -> np.ndarray:
    y, x = np.mgrid[: SIDE // stride, : SIDE // stride]
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2) * stride, copies, axis=0).astype(np.float64)


def _scrfd(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    scores, points = [], []
    for level, stride in enumerate(STRIDES):
        score, offsets = outputs[level].reshape(-1), outputs[6 + level].reshape(-1, 5, 2)
        copies = len(score) // (SIDE // stride) ** 2
        scores.append(score)
        points.append(_anchors(stride, copies)[:, None] + offsets * stride)
    return np.concatenate(scores), np.concatenate(points)


def _yunet(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    scores, points = [], []
    for level, stride in enumerate(STRIDES):
        classes, objects = outputs[level].reshape(-1), outputs[3 + level].reshape(-1)
        scores.append(np.sqrt(classes.clip(0, 1) * objects.clip(0, 1)))
        points.append(_anchors(stride, 1)[:, None] + outputs[9 + level].reshape(-1, 5, 2) * stride)
    return np.concatenate(scores), np.concatenate(points)
