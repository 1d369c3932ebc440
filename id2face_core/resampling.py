"""Planes at a fraction of their size, and back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def reduce(x: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of [h, w, C]; those at the right and lower border may be smaller."""
    planes = torch.from_numpy(np.require(x, np.float32, ["C", "W"])).permute(2, 0, 1)[None]
    return F.avg_pool2d(planes, factor, ceil_mode=True, count_include_pad=False)[0].permute(1, 2, 0).numpy()


def enlarge(x: np.ndarray, factor: int, shape: tuple[int, int]) -> np.ndarray:
    """What `reduce` made, back at its shape (h, w), bilinear. x: [h', w'] or [h', w', C]."""
    planes = torch.from_numpy(np.require(np.atleast_3d(x), np.float32, ["C", "W"])).permute(2, 0, 1)[None]
    size = (planes.shape[2] * factor, planes.shape[3] * factor)
    out = F.interpolate(planes, size, mode="bilinear", align_corners=False)[0, :, : shape[0], : shape[1]]
    return out.permute(1, 2, 0).numpy() if x.ndim == 3 else out[0].numpy()
