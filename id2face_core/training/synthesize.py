"""Stage `synthesize`: generated faces and what is measured on them.

Each face is drawn from its own seed; a shard is 64 faces, so a stopped run goes on where it was and several processes can
share the work (`--worker i/n`). Pictures are kept (about 40 kB each), so that features can be measured again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..components import NOMINAL_POINTS, WINDOW, WINDOW_ORIGIN
from ..diffusion.style_space import expand
from ..errors import FaceRejectedError
from ..faces.alignment import arcface_matrix, warp
from ..faces.landmarks import MeshNetwork
from ..faces.types import Mesh
from ..generator.protocol import FaceGenerator
from ..stages import five_points

SHARD = 64
TRUNCATION = (0.6, 1.0)


@dataclass(frozen=True)
class Mixing:
    """Shares of faces whose groups (coarse, middle, fine) come from these positions of three independent w."""

    patterns: tuple[tuple[int, int, int], ...] = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2))
    shares: tuple[float, ...] = (0.4, 0.2, 0.15, 0.25)


def draw_codes(generator: FaceGenerator, w_mean: Tensor, seed: int, mixing: Mixing) -> Tensor:
    """Style code [3, 512] of face number `seed`: truncated w (arXiv 1812.04948, section B) with style mixing."""
    rng = torch.Generator().manual_seed(seed)
    w = generator.map(torch.randn(3, 512, generator=rng))
    low, high = TRUNCATION
    w = w_mean + (low + (high - low) * torch.rand(3, 1, generator=rng)) * (w - w_mean)
    pattern = int(torch.multinomial(torch.tensor(mixing.shares), 1, generator=rng))
    return w[list(mixing.patterns[pattern])]


@torch.inference_mode()
def render_shards(
    generator: FaceGenerator, folder: Path, seconds: float, worker: int = 0, workers: int = 1, mixing: Mixing | None = None
) -> int:
    """Write shards of pictures and codes until the time is over; returns how many shards the folder then has."""
    folder.mkdir(parents=True, exist_ok=True)
    w_mean = generator.w_mean
    end, shard = time.monotonic() + seconds, worker
    while time.monotonic() < end:
        target = folder / f"shard{shard:05d}"
        if not target.with_suffix(".npz").exists():
            target.mkdir(exist_ok=True)
            codes = torch.stack([draw_codes(generator, w_mean, shard * SHARD + i, mixing or Mixing()) for i in range(SHARD)])
            for i, code in enumerate(codes):
                image = generator.synthesize(expand(code[None]), WINDOW, False)[0]
                pixels = ((image.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
                Image.fromarray(pixels).save(target / f"{i:03d}.jpg", quality=92)
            np.savez(target.with_suffix(".npz"), codes=codes.half().numpy())
        shard += workers
    return len(list(folder.glob("shard*.npz")))


Measure = Callable[[np.ndarray, np.ndarray, Mesh], np.ndarray]  # (picture, points5, mesh) -> attributes


def measure_shards(
    folder: Path, mesh: MeshNetwork, embed: Callable[[np.ndarray], np.ndarray], attributes: Measure, table: Path
) -> int:
    """Measure every picture of the shards and write `table.npz`; faces without a mesh drop out. Returns the rows.

    Args:
        embed: uint8 [112, 112, 3] aligned crop -> unit embedding.
        attributes: see `Measure`.
    """
    rows: dict[str, list[np.ndarray]] = {"codes": [], "embeddings": [], "attributes": []}
    for shard in sorted(folder.glob("shard*.npz")):
        with np.load(shard) as data:
            codes = data["codes"]
        for i, code in enumerate(codes):
            picture = np.asarray(Image.open(folder / shard.stem / f"{i:03d}.jpg").convert("RGB"))
            try:
                fitted = mesh.fit(picture, NOMINAL_POINTS - WINDOW_ORIGIN, passes=1)
                points5 = five_points(fitted)
                values = attributes(picture, points5, fitted)
            except FaceRejectedError:
                continue
            rows["codes"].append(code)
            rows["embeddings"].append(embed(warp(picture, arcface_matrix(points5), 112)).astype(np.float16))
            rows["attributes"].append(values.astype(np.float32))
    temporary = table.with_suffix(".tmp.npz")
    np.savez(temporary, **{name: np.stack(values) for name, values in rows.items()})
    temporary.replace(table)
    return len(rows["codes"])
