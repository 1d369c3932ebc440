"""SCRFD (Guo et al., arXiv 2105.04714) as InsightFace exports it: three strides, two anchors a cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import AssetCorruptError
from .detection import deduplicate, onnx_session, padded
from .types import Face

STRIDES = (8, 16, 32)
ANCHORS = 2


class ScrfdDetector:
    """Detector over an InsightFace SCRFD file with landmarks (`scrfd_*_bnkps.onnx`, `det_10g.onnx`)."""

    name = "scrfd"

    def __init__(self, path: Path, threshold: float = 0.4, max_side: int = 960) -> None:
        self.threshold, self.max_side = threshold, max_side
        self._session = onnx_session(path)
        self._input = self._session.get_inputs()[0].name
        if len(self._session.get_outputs()) != 3 * len(STRIDES):
            raise AssetCorruptError(f"{Path(path).name} has no landmark outputs; use an SCRFD file with key points (kps)")

    def detect(self, picture: np.ndarray) -> list[Face]:
        """uint8 [H, W, 3] RGB -> faces, largest first."""
        scale = min(1.0, self.max_side / max(picture.shape[:2]))
        if scale < 1:
            size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
            picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
        blob = (padded(picture) - 127.5) / 128
        outputs = self._session.run(None, {self._input: blob})
        faces: list[Face] = []
        for level, stride in enumerate(STRIDES):
            scores, boxes, marks = (outputs[level + 3 * kind].reshape(-1, n) for kind, n in enumerate((1, 4, 10)))
            columns = blob.shape[3] // stride
            for i in np.flatnonzero(scores[:, 0] > self.threshold):
                cell = i // ANCHORS
                centre = np.array([cell % columns, cell // columns]) * stride
                left, top, right, bottom = boxes[i] * stride
                box = np.array([centre[0] - left, centre[1] - top, centre[0] + right, centre[1] + bottom]) / scale
                points = (centre + marks[i].reshape(5, 2) * stride) / scale
                faces.append(Face(box.astype(np.float32), points.astype(np.float32), float(scores[i, 0])))
        return deduplicate(faces)
