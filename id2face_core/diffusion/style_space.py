"""Style codes by groups of layers: coarse (4-16 px), middle (32-64 px), fine (128-1024 px)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ShapeError

GROUPS = (7, 6, 10)  # style inputs of the stem and two blocks, of two blocks, of the rest with the picture layer
GROUP_NAMES = ("coarse", "middle", "fine")


def expand(codes: Tensor, groups: tuple[int, ...] = GROUPS) -> Tensor:
    """One w a group [B, G, 512] -> one w a style input [B, sum(groups), 512]."""
    if codes.ndim != 3 or codes.shape[1] != len(groups):
        raise ShapeError(f"style groups have shape {tuple(codes.shape)}; expected [B, {len(groups)}, 512]")
    return codes.repeat_interleave(torch.tensor(groups, device=codes.device), dim=1)
