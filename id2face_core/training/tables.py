"""From measured faces to rows of the training tables: attributes by our networks, labels and persons of real faces."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..attributes.networks import DESCENTS, BlendshapeNetwork, PersonNetwork
from .picture_reader import arcface_matrices, attribute_rows, five_of, points_in_crops
from .splits import is_held_out
from .table import RealTable, Table

BATCH = 256
LABELLED = "faces/utkface_adult.csv"


@torch.inference_mode()
def attributes_of(
    features: dict[str, np.ndarray], shapes: BlendshapeNetwork, person: PersonNetwork, device: torch.device | None = None
) -> Tensor:
    """The attribute vectors [N, A] of measured faces (`features.read_features`)."""
    rows, shapes, person = [], shapes.to(device), person.to(device)
    for start in range(0, len(features["names"]), BATCH):
        part = (torch.from_numpy(features[k][start : start + BATCH]).to(device) for k in ("points", "irises", "crops"))
        points, irises, crops = part
        matrix = arcface_matrices(five_of(points, irises))
        pictures = crops.permute(0, 3, 1, 2).float() / 255
        rows.append(attribute_rows(points.float(), irises.float(), pictures, matrix, shapes, person).cpu())
    return torch.cat(rows)


@torch.inference_mode()
def placed_meshes(features: dict[str, np.ndarray]) -> np.ndarray:
    """Meshes [N, 468, 2] of measured faces in the pixels of their aligned crops."""
    points, irises = (torch.from_numpy(features[k]).float() for k in ("points", "irises"))
    placed: np.ndarray = points_in_crops(points, irises).numpy()
    return placed


def build_tables(
    output: Path, data: Path | None, generated: dict[str, np.ndarray], real: dict[str, np.ndarray], shapes: BlendshapeNetwork,
    person: PersonNetwork, device: torch.device | None = None,
) -> tuple[int, int]:  # fmt: skip
    """Write table/ (generated faces, shuffled once by a fixed seed) and, where there are any, table_real/. Returns the rows."""
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(generated["names"])))
    codes, embeddings = (torch.from_numpy(generated[k]).float() for k in ("codes", "embeddings"))
    Table(codes, embeddings, attributes_of(generated, shapes, person, device)).rows(order).save(output / "table")
    if len(real["names"]):
        groups = person_numbers(real["names"], data)
        held = torch.from_numpy(held_out_mask(real["names"], data))
        embeddings = torch.from_numpy(real["embeddings"]).float()
        labels = torch.from_numpy(trait_labels(real["names"], data))
        RealTable(embeddings, attributes_of(real, shapes, person, device), groups, held, labels).save(output / "table_real")
    return len(order), len(real["names"])


@lru_cache(maxsize=4)
def _labelled_rows(data: Path | None) -> dict[str, dict[str, str]]:
    """Rows of the labelled table by picture; empty without one."""
    if data is None or not (data / LABELLED).is_file():
        return {}
    with (data / LABELLED).open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def person_labels(names: np.ndarray, data: Path | None) -> np.ndarray:
    """(age, 1 = male, glasses unknown) of pictures, NaN where there is no label. float32 [N, 3]."""
    rows = _labelled_rows(data)
    out = np.full((len(names), 3), np.nan, dtype=np.float32)
    for i, name in enumerate(map(str, names)):
        if name in rows:
            out[i, :2] = float(rows[name]["age"]), 1 - float(rows[name]["gender"])
    return out


def trait_labels(names: np.ndarray, data: Path | None) -> np.ndarray:
    """(age in years, 1 = male, descent 0 to 3) of pictures, NaN where there is no label. float32 [N, 3]."""
    rows, out = _labelled_rows(data), person_labels(names, data)
    for i, name in enumerate(map(str, names)):
        descent = rows.get(name, {}).get("race")
        out[i, 2] = float(descent) if descent and float(descent) < len(DESCENTS) else np.nan
    return out


def held_out_mask(names: np.ndarray, data: Path | None) -> np.ndarray:
    """Which real faces belong to the held-out tenth of *persons* (groups), as the evaluation holds them out. bool [N]."""
    rows = _labelled_rows(data)
    groups = (rows.get(str(name), {}).get("group_foamliu") or str(name) for name in names)
    return np.array([is_held_out(group) for group in groups], dtype=bool)


def person_numbers(names: np.ndarray, data: Path | None) -> Tensor:
    """Same-identity group of each picture, -1 where it is not known. int64 [N]."""
    rows = _labelled_rows(data)
    return torch.tensor([int(rows.get(str(name), {}).get("group_foamliu") or -1) for name in names], dtype=torch.int64)
