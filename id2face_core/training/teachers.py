"""Teachers by name or file: what a network is taught by is a choice of the run, not of the code.

- recogniser: `foamliu` (weights/recognition/mobilefacenet_ms1m_foamliu.onnx below --data), another .onnx file with ArcFace's
  input, or `bundled`: the package's own encoder, so that the chain runs where there is no teacher (nothing new is learnt then).
- blendshapes: `mediapipe` (weights/landmarks/face_blendshapes.tflite below --data), another .tflite file, or `bundled`.
- expression: `mediapipe` (478 points with attention to lids and lips, and their blendshapes: face_landmarks_detector.tflite and
  face_blendshapes.tflite of weights/landmarks below --data), or `bundled`: what `blendshapes` teaches.
- person: `labels` (age and sex of --data), or `bundled`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..assets import our_weights
from ..attributes.geometry import BLENDSHAPE_POINTS, normalised_points
from ..attributes.networks import BlendshapeNetwork, ExpressionNetwork, PersonNetwork, WitnessNetwork
from ..errors import AssetMissingError, ConfigError
from ..faces.alignment import invert, transform_points, warp
from ..faces.landmarks import face_square, roi_matrix
from ..faces.lite import LiteNetwork
from ..identity.encoder import IdentityEncoder
from ..identity.recognisers import IMAGENET_MEAN, IMAGENET_STD
from .frozen import load_onnx

FILES = {
    "foamliu": "weights/recognition/mobilefacenet_ms1m_foamliu.onnx",
    "mediapipe": "weights/landmarks/face_blendshapes.tflite",
    "age_gender": "weights/traits/age_gender_model-weights_manifest.json",
    "alexnet": "weights/quality/lpips_alex.safetensors",
}
CLOSE_SIDE = 256  # pixels that `CloseReader` looks at
MAP_SIDE, MAX_MAP_CHANNELS = 7, 256


class RecogniserTeacher(Protocol):
    """Aligned crops uint8 [N, 112, 112, 3] -> unit embeddings [N, dim] and feature maps [N, 7, 7, C] (None: has none)."""

    dim: int

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]: ...


def resolve(name: str, data: Path | None) -> str:
    """A teacher's file, or `bundled`. Raises AssetMissingError with the remedy."""
    if name == "bundled":
        return name
    path = Path(FILES[name]) if name in FILES else Path(name)
    if name in FILES:
        if data is None:
            raise AssetMissingError(f"the teacher {name!r} is {path} below --data DIR; give it, or set its key to bundled")
        path = data / path
    if not path.is_file():
        raise AssetMissingError(f"no teacher at {path}; give a file, or set its key to bundled")
    return str(path)


def recogniser_teacher(file: str) -> RecogniserTeacher:
    """Load what `resolve` found."""
    return BundledRecogniser() if file == "bundled" else OnnxTeacher(Path(file))


class BatchTeacher(nn.Module):
    """A teacher in torch, with gradients: crops [B, 3, 112, 112] in 0..1 -> unit embeddings [B, E], maps [B, 7, 7, C] or None.

    file: an .onnx file with ArcFace's input and ImageNet's normalisation, or `bundled`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, file: str) -> None:
        super().__init__()
        self._own = self._graph = None
        if file == "bundled":
            own = IdentityEncoder.from_pretrained(our_weights("identity_encoder"), torch_dtype=torch.float32)
            self._own = own.eval().requires_grad_(False)
            return
        import onnx

        shown = _last_map(onnx.shape_inference.infer_shapes(onnx.load(file)))
        self._graph = load_onnx(Path(file), [] if shown is None else [shown])
        for name, value in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor | None]:
        if self._own is not None:
            features = self._own.features(crops)
            return self._own.head(features), features.permute(0, 2, 3, 1)
        assert self._graph is not None
        embeddings, *maps = self._graph((crops - self.mean) / self.std)
        shown = maps[0].view(len(crops), -1, MAP_SIDE, MAP_SIDE).permute(0, 2, 3, 1) if maps else None
        return F.normalize(embeddings, dim=1), shown


class BundledRecogniser:
    """Our own encoder in a teacher's place."""

    def __init__(self) -> None:
        self._teacher = BatchTeacher("bundled")
        self.dim = self(np.zeros((1, 112, 112, 3), dtype=np.uint8))[0].shape[1]

    @torch.inference_mode()
    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        embeddings, maps = self._teacher(torch.from_numpy(crops.copy()).permute(0, 3, 1, 2).float() / 255)
        return embeddings.numpy(), None if maps is None else maps.numpy()


class OnnxTeacher:
    """A recogniser with ArcFace's input and ImageNet's normalisation; its last 7x7 map of at most 256 channels is shown too."""

    def __init__(self, path: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(str(path))
        self._map = _last_map(onnx.shape_inference.infer_shapes(model))
        if self._map is not None:
            model.graph.output.append(onnx.helper.make_tensor_value_info(self._map, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session: Any = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.dim = self(np.zeros((1, 112, 112, 3), dtype=np.uint8))[0].shape[1]

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        normal = (crops / np.float32(255) - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
        pictures = np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
        rows = [self._session.run(None, {self._input: pictures[i : i + 1]}) for i in range(len(pictures))]
        embeddings = F.normalize(torch.from_numpy(np.concatenate([row[0].reshape(1, -1) for row in rows])), dim=1).numpy()
        if self._map is None:
            return embeddings, None
        return embeddings, np.concatenate([row[-1] for row in rows]).transpose(0, 2, 3, 1)


def _last_map(model: Any) -> str | None:
    """Name of the last tensor [1 or N, C <= 256, 7, 7] of an ONNX graph."""
    found = None
    for value in model.graph.value_info:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(shape) == 4 and shape[2:] == [MAP_SIDE, MAP_SIDE] and 0 < shape[1] <= MAX_MAP_CHANNELS:
            found = str(value.name)
    return found


def blendshape_targets(points: np.ndarray, irises: np.ndarray, teacher: Path | str) -> np.ndarray:
    """The teacher's 52 blendshapes of meshes in pixels: points [N, 468, 3], irises [N, 2, 5, 2] -> [N, 52]."""
    if str(teacher) == "bundled":
        return _bundled_blendshapes(points, irises)
    read = _ShapeTeacher(Path(teacher))
    flat = np.concatenate([points[..., :2], irises.reshape(len(irises), 10, 2)], axis=1)
    return np.stack([read(mesh) for mesh in flat]) if len(flat) else np.zeros((0, 52), dtype=np.float32)


class _ShapeTeacher:
    """MediaPipe's blendshape network: a mesh with irises [478, 2] in pixels -> float32 [52]."""

    def __init__(self, file: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._network: Any = Interpreter(model_path=str(file), num_threads=1)
        self._network.allocate_tensors()
        details = self._network.get_input_details(), self._network.get_output_details()
        self._inlet, self._outlet = (d[0]["index"] for d in details)

    def __call__(self, mesh: np.ndarray) -> np.ndarray:
        self._network.set_tensor(self._inlet, mesh[BLENDSHAPE_POINTS][None].astype(np.float32))
        self._network.invoke()
        values: np.ndarray = self._network.get_tensor(self._outlet).ravel().copy()
        return values


class CloseReader:
    """MediaPipe's 478 points, which follow lids, irises and lips more closely than the 468 of `faces.landmarks`, and blendshapes.

    Raises AssetMissingError.
    """

    def __init__(self, folder: Path) -> None:
        mesh, shapes = (Path(folder) / f"face_{name}.tflite" for name in ("landmarks_detector", "blendshapes"))
        if not (mesh.is_file() and shapes.is_file()):
            raise AssetMissingError(f"{folder} lacks face_landmarks_detector.tflite or face_blendshapes.tflite")
        self._points, self.shapes = LiteNetwork(mesh), _ShapeTeacher(shapes)

    def fit(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The mesh [478, 2] of the face at five points [5, 2] of a uint8 RGB picture; `shapes` reads it."""
        matrix = roi_matrix(*face_square(points), CLOSE_SIDE)
        outputs = self._points(warp(picture, matrix, CLOSE_SIDE))
        flat = next(o for o in outputs if o.size == 478 * 3).reshape(478, 3)[:, :2]
        return transform_points(flat.astype(np.float64), invert(matrix))


def resolve_expression(name: str, data: Path | None) -> str | None:
    """The folder of `CloseReader`'s networks, or None for `bundled`. Raises AssetMissingError, ConfigError."""
    if name == "bundled":
        return None
    if name != "mediapipe":
        raise ConfigError(f"teachers.expression is {name!r}; choose mediapipe or bundled")
    return str(Path(resolve("mediapipe", data)).parent)


def bundled_networks() -> tuple[BlendshapeNetwork, PersonNetwork]:
    """The package's networks of the attribute vector, in float32."""
    shapes = BlendshapeNetwork.from_pretrained(our_weights("attributes") / "blendshapes").float().eval()
    return shapes, PersonNetwork.from_pretrained(our_weights("attributes") / "person").float().eval()


def bundled_expression() -> ExpressionNetwork:
    """The package's expression network, in float32."""
    return ExpressionNetwork.from_pretrained(our_weights("attributes") / "expression").float().eval()


def bundled_witness() -> WitnessNetwork:
    """The package's witness, in float32."""
    return WitnessNetwork.from_pretrained(our_weights("attributes") / "witness").float().eval()


@torch.inference_mode()
def _bundled_blendshapes(points: np.ndarray, irises: np.ndarray) -> np.ndarray:
    network, _ = bundled_networks()
    values: np.ndarray = network(torch.from_numpy(normalised_points(points, irises))).numpy()
    return values


@torch.inference_mode()
def person_targets(crops: np.ndarray, points: np.ndarray, teacher: str, batch: int = 256) -> np.ndarray:
    """Age, sex and glasses [N, 3] of crops, with meshes [N, 468, 2] in them, by a network of ours.

    Raises ConfigError for another teacher than `bundled`.
    """
    if teacher != "bundled":
        raise ConfigError(f"teachers.person is {teacher!r}; choose labels or bundled")
    _, network = bundled_networks()
    parts = [
        network(torch.from_numpy(c.copy()).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(p).float())
        for c, p in zip(_chunks(crops, batch), _chunks(points, batch), strict=True)
    ]
    return torch.cat(parts).numpy() if parts else np.zeros((0, 3), dtype=np.float32)


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]
