"""Stage `synthesize`, first half: generated faces.

Each face is drawn from its own seed and each picture is written whole or not at all, so a stopped run goes on where it was and
several processes share the work. Pictures are kept (about 40 kB each), so that features can be measured again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..components import WINDOW
from ..diffusion.style_space import expand
from ..generator.protocol import FaceGenerator, pixels

SHARD = 64
TRUNCATION = (0.6, 1.0)


@dataclass(frozen=True)
class Mixing:
    """Shares of faces whose groups (coarse, middle, fine) come from these positions of three independent w."""

    patterns: tuple[tuple[int, int, int], ...] = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2))
    shares: tuple[float, ...] = (0.4, 0.2, 0.15, 0.25)


@torch.inference_mode()
def draw_codes(generator: FaceGenerator, w_mean: Tensor, seeds: Sequence[int], mixing: Mixing | None = None) -> Tensor:
    """Style codes [N, 3, 512] of faces by number: truncated w (arXiv 1812.04948, section B) with style mixing."""
    mixing, (low, high) = mixing or Mixing(), TRUNCATION
    noise, truncation, chosen = [], [], []
    for seed in seeds:
        rng = torch.Generator().manual_seed(seed)
        noise.append(torch.randn(3, 512, generator=rng))
        truncation.append(low + (high - low) * torch.rand(3, 1, generator=rng))
        chosen.append(mixing.patterns[int(torch.multinomial(torch.tensor(mixing.shares), 1, generator=rng))])
    w = generator.map(torch.cat(noise)).float().cpu().view(-1, 3, 512)
    w = w_mean + torch.stack(truncation) * (w - w_mean)
    return w.gather(1, torch.tensor(chosen)[..., None].expand(-1, -1, 512))


@torch.inference_mode()
def render_shards(
    generator: FaceGenerator, folder: Path, seconds: float, worker: int = 0, workers: int = 1, mixing: Mixing | None = None,
    shard_size: int = SHARD, faces: int | None = None, batch: int = 1, draw: Callable[[range], Tensor] | None = None,
) -> int:  # fmt: skip
    """Write shards of pictures and codes until the time is over or there are enough.

    Args:
        worker, workers: this process takes shards worker, worker + workers, ...
        faces: at most so many in the whole folder, rounded up to shards.
        batch: rendered at once.
        draw: numbers of faces -> their style codes [N, 3, 512]; without it `draw_codes` of each.

    Returns:
        How many whole shards the folder then has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    w_mean = generator.w_mean.float().cpu()
    end, shard = time.monotonic() + seconds, worker
    while time.monotonic() < end and (faces is None or shard * shard_size < faces):
        target = folder / f"shard{shard:05d}"
        if not target.with_suffix(".npz").exists():
            seeds = range(shard * shard_size, (shard + 1) * shard_size)
            if draw is None:
                codes = draw_codes(generator, w_mean, seeds, mixing)
            else:
                codes = draw(seeds)
            if _render(generator, codes, target, end, batch):
                np.savez(target.with_suffix(".npz"), codes=codes.half().numpy())
        shard += workers
    return len(list(folder.glob("shard*.npz")))


def _render(generator: FaceGenerator, codes: Tensor, folder: Path, end: float, batch: int) -> bool:
    """Pictures 000.jpg ... of style codes [N, 3, 512] that are not there yet; False when the time was over before all were."""
    folder.mkdir(exist_ok=True)
    missing = [i for i in range(len(codes)) if not (folder / f"{i:03d}.jpg").exists()]
    for start in range(0, len(missing), batch):
        if time.monotonic() >= end:
            return False
        chosen = missing[start : start + batch]
        pictures = pixels(generator.synthesize(expand(codes[chosen]), WINDOW, False))
        for i, picture in zip(chosen, pictures, strict=True):
            temporary = folder / f"{i:03d}.tmp"
            Image.fromarray(picture).save(temporary, format="JPEG", quality=92)
            temporary.replace(folder / f"{i:03d}.jpg")
    return True
