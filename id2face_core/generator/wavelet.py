"""Haar wavelet synthesis by plain arithmetic."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor


def inverse_haar(halved_bands: Tensor) -> Tensor:
    """One inverse step of the orthonormal 2-D Haar transform, of bands already multiplied by 1/2.

    The exported generator runs it as 48 grouped transposed convolutions; sums and one interleaving
    do the same. The factor is left to the caller, who has a multiplication to fold it into.

    Args:
        halved_bands: [B, 4C, H, W] in the order low, row details, column details, diagonal details.

    Returns:
        [B, C, 2H, 2W] in channels_last memory format, which the convolutions after it want.
    """
    low, row, column, diagonal = halved_bands.permute(0, 2, 3, 1).chunk(4, dim=3)
    top, bottom = low + row, low - row
    right, cross = column + diagonal, column - diagonal
    upper = torch.stack((top + right, top - right), dim=3)
    lower = torch.stack((bottom + cross, bottom - cross), dim=3)
    return rearrange(torch.stack((upper, lower), dim=2), "b h i w j c -> b c (h i) (w j)")


def group_details(channels: int) -> Tensor:
    """Index that brings bands stored as C lows then C x 3 details into the order of `inverse_haar`."""
    details = channels + torch.arange(3 * channels).view(channels, 3).T.flatten()
    return torch.cat((torch.arange(channels), details))
