"""What the pipeline asks of a face generator."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

from .window import Window


class FaceGenerator(Protocol):
    """A style-based generator of aligned faces."""

    @property
    def num_styles(self) -> int:
        """Number of styles of a W+ code."""
        ...

    @property
    def w_dim(self) -> int:
        """Length of one style."""
        ...

    @property
    def w_mean(self) -> Tensor:
        """Mean style [512] of random faces."""
        ...

    def map(self, z: Tensor) -> Tensor:
        """z [B, 512] of a standard normal -> w [B, 512]."""
        ...

    def synthesize(self, w: Tensor, window: Window | None = None, full_size: bool = True) -> Tensor:
        """w [B, 512] or W+ [B, num_styles, 512] -> RGB [B, 3, S, S], about -1..1, or the window of it."""
        ...


def pixels(images: Tensor) -> np.ndarray:
    """What `synthesize` gives [B, 3, H, W] as pictures, uint8 [B, H, W, 3]."""
    pictures: np.ndarray = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return pictures
