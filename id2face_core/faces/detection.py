"""Face detection: what detectors share, and uniting several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AssetCorruptError
from .types import Face, FaceDetector

SAME_FACE = 0.4  # intersection over union above which two boxes are one face
INSIDE = 0.75  # or the share of the smaller box that lies inside the larger one, when their middles are also close:
CLOSE = 0.35  # in sides of the kept box. A child's face at the edge of a large one is a face of its own


def overlap(box: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(intersection over union, intersection over the smaller area) of a box [4] with boxes [N, 4]."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / np.maximum(area + areas - shared, 1e-9), shared / np.maximum(np.minimum(area, areas), 1e-9)


def deduplicate(faces: Sequence[Face]) -> list[Face]:
    """Non-maximum suppression by overlap and containment; the higher score stays. Largest face first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: (-f.score, *f.box.tolist())):
        if kept:
            union, inside = overlap(face.box, np.stack([k.box for k in kept]))
            near = [np.linalg.norm(face.points.mean(axis=0) - k.points.mean(axis=0)) for k in kept]
            size = [CLOSE * float(np.sqrt((k.box[2:] - k.box[:2]).prod())) for k in kept]
            twin = (inside > INSIDE) & (np.array(near) < np.array(size))
            if bool(((union > SAME_FACE) | twin).any()):
                continue
        kept.append(face)
    return sorted(kept, key=lambda f: (-float((f.box[2:] - f.box[:2]).prod()), *f.box.tolist()))


def in_order(face: Face) -> Face:
    """The face with the viewer's left eye and mouth corner first, whatever order its detector uses.

    Left is meant in the upright face: with the mouth below the eyes, the first eye lies left. An upside-down face is kept.
    """
    across, down = face.points[1] - face.points[0], face.points[3:].mean(axis=0) - face.points[:2].mean(axis=0)
    if across[0] * down[1] - across[1] * down[0] >= 0:
        return face
    return Face(face.box, face.points[[1, 0, 2, 4, 3]], face.score)


class UnionDetector:
    """Every face that at least one detector finds."""

    def __init__(self, detectors: Sequence[FaceDetector]) -> None:
        self.detectors = list(detectors)
        self.name = "+".join(d.name for d in self.detectors)

    def detect(self, picture: np.ndarray) -> list[Face]:
        return deduplicate([face for detector in self.detectors for face in detector.detect(picture)])


def onnx_session(path: Path, dynamic_input: bool = False) -> Any:
    """An onnxruntime CPU session. `dynamic_input` frees the sizes that a file was exported with.

    Raises AssetCorruptError when the file is not a usable network.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    try:
        if not dynamic_input:
            return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        import onnx

        model = onnx.load(str(path))
        weights = {tensor.name for tensor in model.graph.initializer}
        for value in [i for i in model.graph.input if i.name not in weights] + list(model.graph.output):
            for axis in (0, 2, 3):
                value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
        del model.graph.value_info[:]
        return onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnx and onnxruntime raise many kinds
        raise AssetCorruptError(f"{Path(path).name} is not a usable detector: {type(error).__name__}") from error


def padded(picture: np.ndarray, multiple: int = 32) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [1, 3, H', W'] 0..255 with sides a multiple, zeros right and below."""
    height, width = picture.shape[:2]
    out = np.zeros((1, 3, -(-height // multiple) * multiple, -(-width // multiple) * multiple), dtype=np.float32)
    out[0, :, :height, :width] = picture.transpose(2, 0, 1)
    return out
