"""CenterFace (Xu et al., arXiv 1911.03599): an anchor-free detector with five landmarks, the packaged default."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .detection import deduplicate, onnx_session, padded
from .types import Face

STRIDE = 4


class CenterFace:
    """Detector over `centerface.onnx`. threshold: least score of a face."""

    name = "centerface"

    def __init__(self, path: Path, threshold: float = 0.35) -> None:
        self.threshold = threshold
        self._session = onnx_session(path, dynamic_input=True)
        self._input = self._session.get_inputs()[0].name

    def detect(self, picture: np.ndarray) -> list[Face]:
        """uint8 [H, W, 3] RGB -> faces, largest first."""
        heat, size, offset, marks = self._session.run(None, {self._input: padded(picture)})
        rows, columns = np.nonzero(heat[0, 0] > self.threshold)
        faces = []
        for y, x in zip(rows, columns, strict=True):
            tall, wide = np.exp(size[0, :, y, x]) * STRIDE
            top = (y + offset[0, 0, y, x] + 0.5) * STRIDE - tall / 2
            left = (x + offset[0, 1, y, x] + 0.5) * STRIDE - wide / 2
            points = marks[0, :, y, x].reshape(5, 2)[:, ::-1] * (wide, tall) + (left, top)
            box = np.array([left, top, left + wide, top + tall], dtype=np.float32)
            faces.append(Face(box, points.astype(np.float32), float(heat[0, 0, y, x])))
        return deduplicate(faces)
