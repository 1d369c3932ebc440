"""MobileStyleGAN as a readable torch module (Belousov, arXiv 2104.04767).

A learned 4x4 constant is doubled seven times by inverse Haar wavelets. Between the doublings stand
depthwise-separable convolutions whose input channels are scaled by a *style*: an affine map of a
512-d vector w. 23 such maps exist, so a face is given by one w ([512]) or by one w for each
of them (W+, [23, 512]). The last layer gives the wavelet bands of a 1024 px picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ShapeError
from .wavelet import inverse_haar
from .window import PAD, PixelWindow, Window

W_DIM = 512
CHANNELS = (512, 512, 512, 512, 256, 128, 64)  # at 8, 16, 32, 64, 128, 256, 512 px
NUM_STYLES = 2 + 3 * len(CHANNELS)
SLOPE = 0.2


class MappingNetwork(nn.Module):
    """z -> w: pixel-norm, then eight equalised linear layers with leaky ReLU."""

    def __init__(self, dim: int = W_DIM, depth: int = 8) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))

    def forward(self, z: Tensor) -> Tensor:
        """Map z [B, 512] of a standard normal to w [B, 512]."""
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * 2**0.5
        return x


class StyledConv(nn.Module):
    """Scale the input channels by a style, depthwise 3x3, pointwise 1x1, fixed noise, bias, leaky ReLU."""

    noise: Tensor

    def __init__(self, cin: int, cout: int, size: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(W_DIM, cin)
        self.depthwise = nn.Conv2d(cin, cin, 3, groups=cin, bias=False)
        self.pointwise = nn.Conv2d(cin, cout, 1)
        self.register_buffer("noise", torch.zeros(1, 1, size, size))

    def forward(self, x: Tensor, w: Tensor, window: PixelWindow | None) -> Tensor:
        batch, cin, height, width = x.shape
        style = self.modulation(w)
        if batch == 1:  # scaling the 3x3 kernel is cheaper than scaling the picture
            kernel = self.depthwise.weight * style.view(cin, 1, 1, 1)
            x = F.conv2d(x, kernel, padding=1, groups=cin)
        else:
            x = F.conv2d(x * style[..., None, None], self.depthwise.weight, padding=1, groups=cin)
        noise = self.noise if window is None else window.cut(self.noise)
        return F.leaky_relu(self.pointwise(x).add_(noise), SLOPE, inplace=not x.requires_grad)


class Block(nn.Module):
    """Double the resolution by an inverse Haar step, then two styled convolutions."""

    def __init__(self, cin: int, cout: int, size: int) -> None:
        super().__init__()
        self.up = nn.Linear(W_DIM, cin)
        self.conv1 = StyledConv(cin // 4, cout, size)
        self.conv2 = StyledConv(cout, cout, size)

    def forward(self, x: Tensor, w: Tensor, window: PixelWindow | None) -> Tensor:
        x = inverse_haar(x * (0.5 * self.up(w[:, 0]))[..., None, None])
        return self.conv2(self.conv1(x, w[:, 1], window), w[:, 2], window)


class SynthesisNetwork(nn.Module):
    """w or W+ -> picture. See the module docstring for the structure."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS, base: int = 512) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(1, base, 4, 4))
        self.stem_modulation = nn.Linear(W_DIM, base)
        self.stem = nn.Conv2d(base, base, 3, padding=1)
        self.register_buffer("stem_noise", torch.zeros(1, 1, 4, 4))
        widths = (base, *channels)
        self.blocks = nn.ModuleList(
            Block(cin, cout, 8 << i) for i, (cin, cout) in enumerate(zip(widths, widths[1:], strict=False))
        )
        self.to_img_modulation = nn.Linear(W_DIM, channels[-1])
        self.to_img = nn.Conv2d(channels[-1], 12, 1)

    @property
    def num_styles(self) -> int:
        return 2 + 3 * len(self.blocks)

    def forward(self, w: Tensor, window: Window | None = None, full_size: bool = True) -> Tensor:
        """Render faces.

        Args:
            w: [B, 512], or W+ [B, 23, 512].
            window: the part to compute, in fractions of the picture; None renders all of it. Only the
                levels from 64 px on are cut (each 3x3 convolution looks one pixel around it, so
                the window carries a margin that is dropped at the end).
            full_size: 1024 px; otherwise the 512 px low band, at no further cost.

        Returns:
            [B, 3, S, S] RGB, about -1..1 (not clamped).
        """
        w = self._expand(w)
        x = self.constant * self.stem_modulation(w[:, 0])[..., None, None]
        x = F.leaky_relu(self.stem(x) + self.stem_noise, SLOPE)
        view: PixelWindow | None = None
        for i, block in enumerate(self.blocks):
            size = 8 << i
            if window is not None and size >= 64:
                inner = window.pixels(size // 2)
                x = (inner if view is None else inner.relative_to(view)).cut(x)
                view = inner.doubled()
            x = block(x, w[:, 1 + 3 * i : 4 + 3 * i], view)
        bands = self.to_img(x * self.to_img_modulation(w[:, -1])[..., None, None])
        if view is not None and window is not None:
            bands = window.exact_pixels(view.size).relative_to(view).cut(bands)
        return inverse_haar(0.5 * bands) if full_size else 0.5 * bands[:, :3]

    def _expand(self, w: Tensor) -> Tensor:
        styles = self.num_styles
        if w.ndim == 2 and w.shape[1] == W_DIM:
            return w[:, None].expand(-1, styles, -1)
        if w.ndim == 3 and tuple(w.shape[1:]) == (styles, W_DIM):
            return w
        raise ShapeError(f"style code has shape {tuple(w.shape)}; give w [B, {W_DIM}] or W+ [B, {styles}, {W_DIM}]")


__all__ = ["MappingNetwork", "NUM_STYLES", "PAD", "SynthesisNetwork", "W_DIM"]
