"""Light and tone of the source on the new face."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ..colour import lab_to_rgb, rgb_to_lab

WORK = 160  # low frequencies are worked out at this many pixels a side
TRANSPORT = 0.9
MAX_SHIFT = np.array([45.0, 25.0, 25.0])  # Lab


def _resize(x: np.ndarray, size: tuple[int, int], method: Image.Resampling) -> np.ndarray:
    planes = np.atleast_3d(x)
    images = (Image.fromarray(planes[..., i].astype(np.float32)) for i in range(planes.shape[2]))
    out = [np.asarray(image.resize(size, method)) for image in images]
    return np.stack(out, axis=-1)


def _masked_blur(x: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of x [h, w, c] over the pixels with weight [h, w]."""
    total = gaussian_filter(weight, sigma, mode="constant")[..., None]
    return gaussian_filter(x * weight[..., None], (sigma, sigma, 0), mode="constant") / np.maximum(total, 1e-4)


def transport(source: np.ndarray, rendering: np.ndarray, mask: np.ndarray, width: float) -> np.ndarray:
    """Give the rendering the source's low frequencies, in Lab.

    Args:
        source, rendering: float [h, w, 3] 0..255, the same window; mask: [h, w]; width: of the face, in pixels.

    Returns:
        float32 [h, w, 3].

    Two scales: 0.22 face widths for light and tone; near the mask's edge 0.07, so that the seam has nothing to show.
    """
    height, columns = mask.shape
    scale = min(1.0, WORK / max(height, columns))
    size = (max(2, round(columns * scale)), max(2, round(height * scale)))
    small_s, small_r, small_m = (_resize(x, size, Image.Resampling.BOX) for x in (source, rendering, mask))
    weight = np.clip(small_m[..., 0], 0, 1)
    lab_s, lab_r = rgb_to_lab(small_s), rgb_to_lab(small_r)
    difference = lab_s - lab_r
    unit = width * scale
    tone = _masked_blur(difference, weight + 1e-6, 0.22 * unit) * TRANSPORT
    tone = np.clip(tone, -MAX_SHIFT, MAX_SHIFT)
    edge = 4 * weight * (1 - weight)
    near = np.clip(_masked_blur(difference - tone, edge + 1e-6, 0.07 * unit), -MAX_SHIFT / 2, MAX_SHIFT / 2)
    closeness = np.clip(gaussian_filter(edge, 0.05 * unit) / 0.35, 0, 1)[..., None]
    shift = _resize(tone + near * closeness, (columns, height), Image.Resampling.BICUBIC)
    return lab_to_rgb(rgb_to_lab(rendering) + shift)
