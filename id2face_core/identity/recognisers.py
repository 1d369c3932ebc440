"""Third-party recognisers behind the `FaceEncoder` protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import AssetMissingError, ConfigError, ShapeError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class OnnxRecognizer:
    """An ONNX recogniser, input [B or 1, 3, h, w] normalised by (x - mean) / std of 0..1 values, output [B, dim].

    Args:
        path: the model. Raises AssetMissingError when it is not there.
        size: (height, width) of the input; crops of another size are resized (bilinear, antialiased).
        bgr: the model wants blue first; mean and std are then in that order too.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int] = (112, 112),
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        bgr: bool = False,
        threads: int = 2,
    ) -> None:
        if not path.is_file():
            raise AssetMissingError(f"no recogniser at {path.name!r}")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.name, self.size, self._bgr = path.stem, size, bgr
        self._mean, self._std = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
        entry = self._session.get_inputs()[0]
        self._input, batch = entry.name, entry.shape[0]
        self._one = isinstance(batch, int)  # a fixed batch is fed face by face
        if self._one and batch != 1:
            raise ConfigError(f"{path.name} has a fixed batch of {batch}; only 1 or a free batch is supported")
        self.dim = int(self._run(np.zeros((1, 3, *size), np.float32)).shape[1])

    def _run(self, x: np.ndarray) -> np.ndarray:
        rows = [x[i : i + 1] for i in range(len(x))] if self._one else [x]
        out = [np.asarray(self._session.run(None, {self._input: r})[0]).reshape(len(r), -1) for r in rows]
        return np.concatenate(out)

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [B, 3, H, W] RGB in 0..1 -> unit embeddings [B, dim]. Raises ShapeError."""
        if crops.ndim != 4 or crops.shape[1] != 3:
            raise ShapeError(f"crops have shape {tuple(crops.shape)}; expected [B, 3, H, W]")
        if not len(crops):
            return torch.zeros(0, self.dim)
        x = crops.detach().float().cpu()
        if tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", antialias=True, align_corners=False)
        x = ((x.flip(1) if self._bgr else x) - self._mean) / self._std
        return F.normalize(torch.from_numpy(self._run(np.ascontiguousarray(x.numpy()))).float(), dim=1)


class InsightFaceRecognizer:
    """The recognition model of an InsightFace pack already on this machine (e.g. `buffalo_l`).

    Raises AssetMissingError when the package is not installed. The packs' licence is non-commercial research.
    """

    def __init__(self, pack: str, root: Path | None = None) -> None:
        try:
            from insightface.model_zoo import get_model  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError as error:
            raise AssetMissingError("the package insightface is not installed") from error
        folder = (root or Path.home() / ".insightface") / "models" / pack
        for path in sorted(folder.glob("*.onnx")):
            model = get_model(str(path), providers=["CPUExecutionProvider"])
            if getattr(model, "taskname", "") == "recognition":
                break
        else:
            raise AssetMissingError(f"the InsightFace pack {pack!r} has no recognition model here")
        self._model: Any = model
        self.name, self.dim = f"insightface-{pack}", int(model.output_shape[-1])

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [B, 3, 112, 112] RGB in 0..1 -> unit embeddings [B, dim]. Raises ShapeError."""
        if crops.ndim != 4 or tuple(crops.shape[1:]) != (3, 112, 112):
            raise ShapeError(f"crops have shape {tuple(crops.shape)}; expected [B, 3, 112, 112]")
        if not len(crops):
            return torch.zeros(0, self.dim)
        pictures = (crops.detach().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()[..., ::-1]
        return F.normalize(torch.from_numpy(self._model.get_feat([np.ascontiguousarray(p) for p in pictures])), dim=1)
