"""Sharpness and grain of the source on the new face. A blurred photograph is never sharpened."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from .blend import smooth

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
NORMAL = 0.6745  # median of the absolute value of a unit Gaussian
MAX_BLUR = 4.0  # pixels
MAX_SHARPEN = 2.0
MAX_GRAIN = 14.0  # standard deviation, 0..255


def _detail(luma: np.ndarray, weight: np.ndarray, sigma: float) -> float:
    """Robust strength of what is finer than sigma, inside the weight."""
    band = np.abs(luma - gaussian_filter(luma, sigma))
    inside = weight > 0.9
    return float(np.percentile(band[inside], 85)) if inside.sum() > 30 else 0.0


def noise_level(luma: np.ndarray, weight: np.ndarray) -> float:
    """Standard deviation of noise from the diagonal Haar detail (Donoho & Johnstone 1994), in its quietest half."""
    h, w = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
    x, inside = luma[:h, :w], weight[:h:2, :w:2] > 0.9
    diagonal = (x[::2, ::2] - x[1::2, ::2] - x[::2, 1::2] + x[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal[inside])) / NORMAL) if inside.sum() > 30 else 0.0


def match_sharpness(source: np.ndarray, rendering: np.ndarray, mask: np.ndarray, scale: float) -> np.ndarray:
    """Blur the rendering until its fine detail is no stronger than the source's.

    An enlarged rendering is sharpened towards the source's detail, no further than enlarging took away.

    Args:
        source, rendering: float [h, w, 3] 0..255; mask: [h, w]; scale: how much the rendering was enlarged.

    Returns:
        float32 [h, w, 3].
    """
    aim, out = _detail(source @ LUMA, mask, 2.0), rendering
    have = _detail(rendering @ LUMA, mask, 2.0)
    if scale > 1 and 0 < have < 0.9 * aim:
        edges = (rendering @ LUMA) - smooth(rendering @ LUMA, 0.8 * scale)
        out = rendering + min(aim / have - 1, MAX_SHARPEN * (scale - 1) + 0.3, 1.0) * edges[..., None]
    for sigma in (0.5, 0.8, 1.2, 1.7, 2.4, 3.2, MAX_BLUR):
        if _detail(out @ LUMA, mask, 2.0) <= 1.1 * aim:
            break
        out = gaussian_filter(rendering, (sigma, sigma, 0))
    return out.astype(np.float32)


def match_grain(source: np.ndarray, rendering: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add what the rendering lacks of the source's grain: float [h, w, 3] 0..255 each, mask [h, w] -> float32 [h, w, 3]."""
    missing = noise_level(source @ LUMA, mask) ** 2 - noise_level(rendering @ LUMA, mask) ** 2
    if missing <= 0.25:
        return rendering
    return (rendering + grain(mask.shape, float(np.sqrt(missing)), rng)[..., None]).astype(np.float32)


def grain(shape: tuple[int, ...], level: float, rng: np.random.Generator) -> np.ndarray:
    """Grain of a standard deviation, 0..255, float [h, w]; never above `MAX_GRAIN`."""
    drawn: np.ndarray = gaussian_filter(rng.standard_normal(shape), 0.6)
    return drawn * (min(level, MAX_GRAIN) / max(float(drawn.std()), 1e-6))
