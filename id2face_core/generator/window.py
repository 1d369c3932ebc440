"""The part of the picture that is rendered at high resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

PAD = 6  # pixels at the 512 px level and below that a convolution stack may have spoilt at a cut edge


@dataclass(frozen=True)
class PixelWindow:
    """Rows y0:y1 and columns x0:x1 of a square level of `size` pixels."""

    size: int
    y0: int
    y1: int
    x0: int
    x1: int

    def cut(self, x: Tensor) -> Tensor:
        """Crop [..., H, W]."""
        return x[..., self.y0 : self.y1, self.x0 : self.x1]

    def doubled(self) -> PixelWindow:
        """The same place at twice the resolution."""
        return PixelWindow(2 * self.size, 2 * self.y0, 2 * self.y1, 2 * self.x0, 2 * self.x1)

    def relative_to(self, outer: PixelWindow) -> PixelWindow:
        """The same place counted from the corner of `outer`, a window of the same level."""
        return PixelWindow(
            self.size, self.y0 - outer.y0, self.y1 - outer.y0, self.x0 - outer.x0, self.x1 - outer.x0
        )


@dataclass(frozen=True)
class Window:
    """A rectangle in fractions of the picture (0..1)."""

    top: float
    bottom: float
    left: float
    right: float

    def exact_pixels(self, size: int) -> PixelWindow:
        """Nearest pixels at a level of `size`, on an even grid."""

        def low(v: float) -> int:
            return max(0, math.floor(v * size / 4) * 4)

        def high(v: float) -> int:
            return min(size, math.ceil(v * size / 4) * 4)

        return PixelWindow(size, low(self.top), high(self.bottom), low(self.left), high(self.right))

    def pixels(self, size: int) -> PixelWindow:
        """`exact_pixels` with the margin that the convolutions above this level need."""
        p = self.exact_pixels(size)
        return PixelWindow(
            size, max(0, p.y0 - PAD), min(size, p.y1 + PAD), max(0, p.x0 - PAD), min(size, p.x1 + PAD)
        )
