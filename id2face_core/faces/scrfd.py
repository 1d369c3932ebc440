"""SCRFD (Guo et al., arXiv 2105.04714) as InsightFace exports it: three strides, two anchors a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import AssetCorruptError, AssetMissingError
from .detection import deduplicate, onnx_session, padded
from .types import Face

STRIDES = (8, 16, 32)
ANCHORS = 2


class ScrfdDetector:
    """Detector over an InsightFace SCRFD file with landmarks (`scrfd_*_bnkps.onnx`, `det_10g.onnx`)."""

    name = "scrfd"

    def __init__(self, path: Path, threshold: float = 0.4, max_side: int = 960) -> None:
        self.threshold, self.max_side = threshold, max_side
        if not Path(path).is_file():
            raise AssetMissingError(f"detector {path} does not exist; give the path of an SCRFD .onnx file")
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


class InsightFaceDetector:
    """The detector of an InsightFace pack that the user has, run by the package `insightface`.

    Args:
        pack: name of a folder below `root`/models, such as "buffalo_l". Nothing is ever downloaded.
        root: InsightFace's folder; its usual one in the home folder by default.

    Raises AssetMissingError without the package or without a detector in the pack.
    """

    def __init__(self, pack: str = "buffalo_l", root: Path | None = None, threshold: float = 0.4) -> None:
        folder = (root or Path.home() / ".insightface") / "models" / pack
        files = sorted([*folder.glob("det_*.onnx"), *folder.glob("scrfd*.onnx")])
        if not files:
            raise AssetMissingError(f"no detector of the InsightFace pack {pack!r} in {folder}; put the unpacked pack there")
        try:
            from insightface.model_zoo import get_model  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError as error:
            raise AssetMissingError("the package insightface is not installed; run: pip install insightface") from error
        self._model: Any = get_model(str(files[0]), providers=["CPUExecutionProvider"])
        if self._model is None or getattr(self._model, "taskname", "") != "detection":
            raise AssetCorruptError(f"{files[0].name} of the pack {pack!r} is not a detector")
        self._model.prepare(ctx_id=-1, input_size=(640, 640), det_thresh=threshold)
        self.name = f"insightface-{pack}"

    def detect(self, picture: np.ndarray) -> list[Face]:
        """uint8 [H, W, 3] RGB -> faces, largest first."""
        boxes, marks = self._model.detect(np.ascontiguousarray(picture[..., ::-1]))
        if marks is None:
            raise AssetCorruptError(f"{self.name} finds no landmarks; use a pack whose detector has key points (kps)")
        pairs = zip(boxes.astype(np.float32), marks.astype(np.float32), strict=True)
        return deduplicate([Face(box[:4], points, float(box[4])) for box, points in pairs])
