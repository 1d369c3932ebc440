"""Meshes, aligned crops and the teacher's embeddings of generated and real faces, in shards that resume."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..assets import require
from ..attributes.geometry import BLENDSHAPE_POINTS
from ..components import NOMINAL_POINTS, WINDOW_ORIGIN
from ..errors import FaceRejectedError
from ..faces.alignment import arcface_matrix, warp
from ..faces.landmarks import MeshNetwork
from ..identity.recognisers import OnnxRecognizer
from ..stages import five_points

SHARD = 512
COLUMNS = ("names", "points", "irises", "crops", "embeddings")


class _Meter:
    """Mesh, crop and embedding of one face."""

    def __init__(self, teacher: Path) -> None:
        import torch

        self._torch = torch
        self.mesh = MeshNetwork.from_folder(require("landmarks", "face_landmark.tflite").parent)
        self.teacher = OnnxRecognizer(teacher)

    def __call__(self, name: str, picture: np.ndarray, points5: np.ndarray, passes: int) -> dict[str, np.ndarray] | None:
        try:
            mesh = self.mesh.fit(picture, points5, passes)
        except FaceRejectedError:
            return None
        crop = warp(picture, arcface_matrix(five_points(mesh) if passes == 1 else points5), 112)
        tensor = self._torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255
        embedding = self.teacher.embed(tensor)[0].numpy().astype(np.float16)
        return dict(zip(COLUMNS, (np.array(name), mesh.points, mesh.irises, crop, embedding), strict=True))


def _save(path: Path, rows: list[dict[str, np.ndarray]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
    temporary.replace(path)


def measure_pictures(output: Path, teacher: Path) -> int:
    """Features of all generated shards, with their style codes; returns how many faces there are."""
    meter, total = _Meter(teacher), 0
    for shard in sorted((output / "synth").glob("shard*.npz")):
        target = output / "features" / shard.name
        if not target.exists():
            with np.load(shard) as data:
                codes = data["codes"]
            rows = []
            for i, code in enumerate(codes):
                picture = np.asarray(Image.open(shard.with_suffix("") / f"{i:03d}.jpg").convert("RGB"))
                row = meter(f"{shard.stem}/{i}", picture, NOMINAL_POINTS - WINDOW_ORIGIN, 1)
                if row is not None:
                    rows.append(row | {"codes": code})
            if rows:
                _save(target, rows)
        if target.exists():  # a shard without any usable face leaves none
            total += len(np.load(target)["names"])
    return total


def _real_rows(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, picture, five points) of the training sets of a data folder; overlaps with evaluation sets are dropped."""
    for name in ("utkface_adult", "congress_256"):
        with (data / f"faces/{name}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                path = data / "faces" / name / row["file"]
                if not row.get("overlap_eval") and path.is_file():
                    points = np.array([[float(row[f"lx{i}"]), float(row[f"ly{i}"])] for i in range(5)])
                    yield row["file"], np.asarray(Image.open(path).convert("RGB")), points


def measure_set(output: Path, data: Path | None, teacher: Path) -> int:
    """Features of real faces (unpacked below data/faces/<set>/); returns how many."""
    if data is None:
        return 0
    meter, rows, total, shard = _Meter(teacher), [], 0, 0
    if any((output / "features_real").glob("*.npz")):
        return len(read_features(output / "features_real")["names"])
    for name, picture, points5 in _real_rows(data):
        row = meter(name, picture, points5, 2)
        if row is not None:
            rows.append(row)
            total += 1
        if len(rows) == SHARD:
            _save(output / "features_real" / f"real{shard:04d}.npz", rows)
            rows, shard = [], shard + 1
    if rows:
        _save(output / "features_real" / f"real{shard:04d}.npz", rows)
    return total


def read_features(folder: Path) -> dict[str, np.ndarray]:
    """All shards of a folder, concatenated."""
    shards = [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]
    if not shards:
        empty = {"names": (0,), "points": (0, 468, 3), "irises": (0, 2, 5, 2), "crops": (0, 112, 112, 3), "embeddings": (0, 128)}
        return {key: np.zeros(shape, dtype=np.uint8 if key == "crops" else np.float32) for key, shape in empty.items()}
    return {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}


def blendshape_targets(points: np.ndarray, irises: np.ndarray, teacher: Path) -> np.ndarray:
    """The teacher's 52 blendshapes of meshes in pixels: [N, 52]."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_path=str(teacher), num_threads=1)
    network.allocate_tensors()
    inlet, outlet = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]
    flat = np.concatenate([points[..., :2], irises.reshape(len(irises), 10, 2)], axis=1)[:, BLENDSHAPE_POINTS]
    out = np.zeros((len(points), 52), dtype=np.float32)
    for i, row in enumerate(flat):
        network.set_tensor(inlet, row[None].astype(np.float32))
        network.invoke()
        out[i] = network.get_tensor(outlet).ravel()
    return out
