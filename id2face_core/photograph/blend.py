"""Joining a rendering and a photograph: light blends over a wide band, detail over a narrow one.

Burt & Adelson, "A multiresolution spline with application to image mosaics" (1983), as a Laplacian stack: every band of
the difference has its own edge width, so that neither a step of tone nor a double image shows. Nothing leaves the mask.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ..resampling import enlarge, reduce

BANDS = ((0.012, 3.2), (0.035, 1.8))  # (Gaussian in face widths, steepness of the mask for what is finer than it)


def _steep(mask: np.ndarray, factor: float) -> np.ndarray:
    """The mask's edge made `factor` times narrower around its middle; 0 stays 0 and 1 stays 1."""
    t = np.clip((mask - 0.5) * factor + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def join(source: np.ndarray, new: np.ndarray, mask: np.ndarray, light: np.ndarray, width: float) -> np.ndarray:
    """Multi-band blend.

    Args:
        source, new: float [h, w, 3] 0..255; mask: [h, w] 0..1, with the wide edge; light: [h, w], the mask of the
            coarsest band, not above `mask`; width: of the face in pixels.

    Returns:
        float32 [h, w, 3]; equal to the source where the mask is 0, to `new` where the mask and its surroundings are 1.
    """
    rest = (new - source).astype(np.float32)
    out = source.astype(np.float32).copy()
    for sigma, steepness in BANDS:
        low = smooth(rest, sigma * width)
        out += _steep(mask, steepness)[..., None] * (rest - low)
        rest = low
    return out + light[..., None] * rest


def smooth(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian of [h, w, C] or [h, w]; wide ones are worked out on a reduced picture."""
    factor = max(1, min(int(sigma / 1.5), min(x.shape[:2]) // 4))
    small = torch.from_numpy(reduce(np.atleast_3d(x), factor)).permute(2, 0, 1)[None]
    radius = max(1, round(3 * sigma / factor))
    t = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (t / max(sigma / factor, 1e-3)) ** 2)
    kernel = (kernel / kernel.sum()).expand(small.shape[1], 1, -1)
    padded = F.pad(small, (radius, radius, radius, radius), mode="replicate")
    small = F.conv2d(F.conv2d(padded, kernel[..., None], groups=small.shape[1]), kernel[:, :, None], groups=small.shape[1])
    out = small[0].permute(1, 2, 0).numpy()
    return enlarge(out if x.ndim == 3 else out[..., 0], factor, (x.shape[0], x.shape[1]))


def spread(colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fill what has no weight from what has, smoothly (push-pull, Gortler et al. 1996).

    colours: float [h, w, 3]; weight: [h, w] 0..1. Returns float32 [h, w, 3]: `colours` where the weight is 1. Without any
    weight the colours' mean comes back.
    """
    c = torch.from_numpy(np.ascontiguousarray(colours, dtype=np.float32)).permute(2, 0, 1)[None]
    w = torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32))[None, None]
    if float(w.max()) <= 1e-3:
        return np.broadcast_to(c.mean(dim=(2, 3)).numpy()[0], colours.shape).astype(np.float32)
    return _pull(c * w, w)[0].permute(1, 2, 0).numpy()


def _pull(weighted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    high, wide = weight.shape[2:]
    if min(high, wide) < 2:
        return weighted.sum(dim=(2, 3), keepdim=True) / weight.sum().clamp(min=1e-6) * torch.ones_like(weight)
    total, sums = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (weight, weighted))
    gain = (4 * total).clamp(max=1) / total.clamp(min=1e-6)
    coarse = _pull(sums * gain, total * gain)
    size = (2 * coarse.shape[2], 2 * coarse.shape[3])
    return weighted + (1 - weight) * F.interpolate(coarse, size, mode="bilinear", align_corners=False)[..., :high, :wide]
