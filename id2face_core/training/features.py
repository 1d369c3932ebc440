"""Meshes, aligned crops and the teacher's answers for generated and real faces, in shards of at most 16 MiB that resume."""

from __future__ import annotations

import csv
import math
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from ..assets import require_folder
from ..components import NOMINAL_POINTS, WINDOW_ORIGIN
from ..devices import share_processors
from ..errors import FaceRejectedError
from ..faces.alignment import arcface_matrix, warp
from ..faces.landmarks import FILES, MeshNetwork, mesh_square
from ..faces.types import Mesh
from ..reading import five_points
from .teachers import CloseReader, blendshape_targets, recogniser_teacher

SHARD = 256  # real faces
JITTER = (0.02, 0.04, 0.03)  # shares of the square, radians: how far squares of the attention mesh lie apart
REAL_SETS = ("utkface_adult", "congress_256")
COLUMNS = ("names", "points", "irises", "crops", "embeddings")
Row = dict[str, np.ndarray]

__all__ = ["COLUMNS", "SHARD", "blendshape_targets", "count_features", "measure_pictures", "measure_set", "read_features"]


class _Meter:
    """Mesh, crop, embedding and feature map of one face."""

    def __init__(self, teacher: str) -> None:
        self.mesh = MeshNetwork.from_folder(require_folder("landmarks", FILES))
        self.teacher = recogniser_teacher(teacher)

    def __call__(self, name: str, picture: np.ndarray, points5: np.ndarray, passes: int) -> Row | None:
        try:
            mesh = self.mesh.fit(picture, points5, passes)
        except FaceRejectedError:
            return None
        crop = warp(picture, arcface_matrix(five_points(mesh) if passes == 1 else points5), 112)
        embeddings, maps = self.teacher(crop[None])
        row = dict(zip(COLUMNS, (np.array(name), mesh.points, mesh.irises, crop, embeddings[0].astype(np.float16)), strict=True))
        row["close"] = self._look_closely(picture, mesh, np.random.default_rng(zlib.crc32(name.encode())))
        return row if maps is None else row | {"maps": maps[0].astype(np.float16)}

    def _look_closely(self, picture: np.ndarray, mesh: Mesh, rng: np.random.Generator) -> np.ndarray:
        """Closer points [3, 478, 2]: as in use, from a square a little elsewhere, and from another in the mirrored picture."""

        def elsewhere(middle: np.ndarray, side: float, roll: float) -> tuple[np.ndarray, float, float]:
            shift, size, turn = JITTER
            return middle + shift * side * rng.normal(size=2), side * math.exp(size * rng.normal()), roll + turn * rng.normal()

        square = mesh_square(mesh.points.astype(np.float64))
        (x, y), side, roll = elsewhere(*square)
        mirrored = np.ascontiguousarray(picture[:, ::-1]), np.array([picture.shape[1] - 1 - x, y]), side, -roll
        rows = [np.asarray(mesh.close), self.mesh.look_closely(picture, *elsewhere(*square)), self.mesh.look_closely(*mirrored)]
        return np.stack(rows).astype(np.float32)


_meter = lru_cache(maxsize=1)(_Meter)  # one for each process
_close_reader = lru_cache(maxsize=1)(CloseReader)


@dataclass(frozen=True)
class _RealFace:
    """A row of a table of real faces: picture file, whose it is, and five points [5, 2]."""

    name: str
    person: str
    path: Path
    points: np.ndarray


def save_features(path: Path, columns: Row) -> None:
    """Write a shard whole or not at all; what an interruption leaves is no .npz file, so that nobody reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
    temporary.replace(path)


def _save(path: Path, rows: list[Row]) -> None:
    columns = {key: np.stack([row[key] for row in rows]) for key in rows[0]} if rows else {"names": np.zeros(0, dtype="U1")}
    save_features(path, columns)


def _measure_generated(teacher: str, shard: Path, target: Path) -> int:
    """Features of one shard of renderings; returns how many faces showed a mesh."""
    with np.load(shard) as data:
        codes = data["codes"]
    rows = []
    for i, code in enumerate(codes):
        picture = np.asarray(Image.open(shard.with_suffix("") / f"{i:03d}.jpg").convert("RGB"))
        row = _meter(teacher)(f"{shard.stem}/{i}", picture, NOMINAL_POINTS - WINDOW_ORIGIN, 1)
        if row is not None:
            rows.append(row | {"codes": code})
    _save(target, rows)
    return len(rows)


def _measure_real(teacher: str, expression: str | None, faces: Sequence[_RealFace], target: Path) -> int:
    rows = []
    for face in faces:
        picture = np.asarray(Image.open(face.path).convert("RGB"))
        row = _meter(teacher)(face.name, picture, face.points, 2)
        if row is not None and expression is not None:
            close = _close_reader(expression)
            row["shapes"] = close.shapes(close.fit(picture, face.points))
        rows += [] if row is None else [row]
    _save(target, rows)
    return len(rows)


def measure_pictures(
    output: Path, teacher: Path | str, seconds: float = math.inf, workers: int = 1, rank: int = 0, size: int = 1
) -> int:
    """Features of generated shards, with their style codes, until the time is over.

    Args:
        output: holds synth/; features/ is written. teacher: a file, or `bundled`.
        workers: processes of this machine; rank, size: this takes every size-th shard.

    Returns:
        How many faces there are.
    """
    jobs = [
        (_measure_generated, (str(teacher), shard, output / "features" / shard.name))
        for shard in sorted((output / "synth").glob("shard*.npz"))[rank::size]
    ]
    return _work(jobs, seconds, workers)


def measure_set(
    output: Path, data: Path | None, teacher: Path | str, seconds: float = math.inf, workers: int = 1, limit: int | None = None,
    rank: int = 0, size: int = 1, expression: str | None = None,
) -> int:  # fmt: skip
    """Features of real faces (unpacked below data/faces/<set>/), see `measure_pictures`.

    expression: folder of `teachers.CloseReader`'s networks; what they see becomes a further column, `shapes` [N, 52].

    The order is fixed and shuffled (the tables are sorted by age); people of whom there are several pictures come first, since
    a short run needs the pairs most.
    """
    if data is None:
        return 0
    rows = list(_real_faces(data))
    pictures = Counter(face.person for face in rows)
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    faces = sorted(shuffled, key=lambda face: pictures[face.person] < 2)
    batches = [faces[i : i + SHARD] for i in range(0, len(faces) if limit is None else min(limit, len(faces)), SHARD)]
    folder = output / "features_real"
    jobs = [(_measure_real, (str(teacher), expression, part, folder / f"real{i:04d}.npz")) for i, part in enumerate(batches)]
    return _work(jobs[rank::size], seconds, workers)


def _real_faces(data: Path) -> Iterator[_RealFace]:
    """Faces of the training sets of a data folder; overlaps with evaluation sets are dropped."""
    for name in REAL_SETS:
        table = data / f"faces/{name}.csv"
        if not table.is_file():
            continue
        with table.open(newline="") as file:
            for row in csv.DictReader(file):
                path = data / "faces" / name / row["file"]
                if not row.get("overlap_eval") and path.is_file():
                    points = np.array([[float(row[f"lx{i}"]), float(row[f"ly{i}"])] for i in range(5)])
                    yield _RealFace(row["file"], row.get("group_foamliu") or row["file"], path, points)


Job = tuple[Callable[..., int], tuple]


def _work(jobs: list[Job], seconds: float, workers: int) -> int:
    """Run jobs whose target (the last argument) is not there yet until the time is over; returns the faces of all targets."""
    end = time.monotonic() + seconds
    todo = (job for job in jobs if not job[1][-1].exists())
    if workers <= 1:
        for run, arguments in todo:
            if time.monotonic() >= end:
                break
            run(*arguments)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn"), share_processors, (workers,)) as pool:
            running = {pool.submit(run, *arguments) for run, arguments in islice(todo, workers)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if time.monotonic() < end:
                    running |= {pool.submit(run, *arguments) for run, arguments in islice(todo, len(done))}
    return sum(_count(job[1][-1]) for job in jobs)


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    with np.load(path) as data:
        return len(data["names"])


def count_features(folder: Path) -> int:
    """How many faces the shards of a folder hold."""
    return sum(_count(path) for path in folder.glob("*.npz"))


def read_features(folder: Path, maps: bool = False) -> Row:
    """All shards of a folder, concatenated; feature maps only on demand, and where every shard has them."""
    shards = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            if len(data["names"]):
                shards.append({key: data[key] for key in data.files if maps or key != "maps"})
    if not shards:
        empty = {"names": (0,), "points": (0, 468, 3), "irises": (0, 2, 5, 2), "crops": (0, 112, 112, 3), "embeddings": (0, 128)}
        return {key: np.zeros(shape, dtype=np.uint8 if key == "crops" else np.float32) for key, shape in empty.items()}
    common = set.intersection(*(set(shard) for shard in shards))
    return {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0] if key in common}
