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
    """points: float32 [468, 3] (x, y in pixels, z in the same unit); irises: float32 [2, 5, 2], viewer's left first."""

    points: np.ndarray = field(repr=False)
    irises: np.ndarray = field(repr=False)
    score: float


class FaceDetector(Protocol):
    """Anything that finds faces with five points in a uint8 RGB picture [H, W, 3]."""

    name: str

    def detect(self, picture: np.ndarray) -> list[Face]: ...
