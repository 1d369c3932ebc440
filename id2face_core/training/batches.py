"""Faces rendered and measured in batches, no files between: a GPU's way, where writing pictures would take most of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..generator.protocol import FaceGenerator
from .features import Row, save_features
from .picture_reader import Measured, PictureReader, pixels
from .readers import render


@torch.inference_mode()
def measure_codes(generator: FaceGenerator, reader: PictureReader, codes: Tensor, batch: int, name: str) -> Row:
    """Features, as `features.read_features` gives them, of style codes [N, G, D]; faces without a mesh are left out."""
    parts = []
    for start in range(0, len(codes), batch):
        part = codes[start : start + batch].to(reader.device)
        parts.append(_columns(reader(render(generator, part)), part, name, start))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _columns(seen: Measured, codes: Tensor, name: str, first: int) -> Row:
    good = (seen.score > 0) & seen.points.isfinite().all(dim=(1, 2)) & seen.embeddings.isfinite().all(dim=1)
    numbers = torch.arange(first, first + len(codes), device=good.device)[good].tolist()
    row = {
        "names": np.array([f"{name}/{i}" for i in numbers], dtype="U24"),
        "points": seen.points[good].cpu().numpy(),
        "irises": seen.irises[good].cpu().numpy(),
        "crops": pixels(seen.crops[good]),
        "embeddings": seen.embeddings[good].half().cpu().numpy(),
        "codes": codes[good].half().cpu().numpy(),
    }
    return row if seen.maps is None else row | {"maps": seen.maps[good].half().cpu().numpy()}


def measured_shards(
    generator: FaceGenerator, reader: PictureReader, folder: Path, draw: Callable[[range], Tensor], seconds: float,
    faces: int, shard: int, batch: int, rank: int = 0, size: int = 1,
) -> int:  # fmt: skip
    """Write shards of features until the time is over or there are `faces`.

    Args:
        draw: numbers of faces -> their style codes [N, G, D].
        rank, size: this takes every size-th shard.

    Returns:
        How many shards the folder then has.
    """
    end, number = time.monotonic() + seconds, rank
    while time.monotonic() < end and number * shard < faces:
        target = folder / f"shard{number:05d}.npz"
        if not target.exists():
            codes = draw(range(number * shard, (number + 1) * shard))
            save_features(target, measure_codes(generator, reader, codes, batch, target.stem))
        number += size
    return len(list(folder.glob("shard*.npz")))
