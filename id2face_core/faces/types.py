"""What the rooms of this package say to each other about faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Face:
    """A detected face. box: float32 [4] x0 y0 x1 y1; points: float32 [5, 2]; both in pixels of the picture."""

    box: np.ndarray = field(repr=False)
    points: np.ndarray = field(repr=False)
    score: float


@dataclass(frozen=True)
class Mesh:
    """points: float32 [468, 3] (x, y in pixels, z in the same unit); irises: float32 [2, 5, 2], viewer's left first.

    close: float32 [478, 2], all of them once more by a network that looks closely at lips, lids and irises; None where nobody
        needs it.
    """

    points: np.ndarray = field(repr=False)
    irises: np.ndarray = field(repr=False)
    score: float
    close: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SoftMask:
    """A mask of a picture that is kept only where it is not 0: float32 [h, w] in 0..1, its corner at x0, y0."""

    x0: int
    y0: int
    share: np.ndarray = field(repr=False)

    def window(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """Float32 [y1 - y0, x1 - x0]: rows y0:y1 and columns x0:x1 of the picture's mask."""
        out = np.zeros((y1 - y0, x1 - x0), dtype=np.float32)
        left, top = max(x0, self.x0), max(y0, self.y0)
        right, bottom = min(x1, self.x0 + self.share.shape[1]), min(y1, self.y0 + self.share.shape[0])
        if left < right and top < bottom:
            part = self.share[top - self.y0 : bottom - self.y0, left - self.x0 : right - self.x0]
            out[top - y0 : bottom - y0, left - x0 : right - x0] = part
        return out


class FaceDetector(Protocol):
    """Anything that finds faces with five points in a uint8 RGB picture [H, W, 3]."""

    name: str

    def detect(self, picture: np.ndarray) -> list[Face]: ...
