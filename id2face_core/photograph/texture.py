"""No grit, specks and folds on new skin where the photograph is smooth."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from .blend import smooth
from .grain import LUMA, NORMAL, noise_level

BANDS = (0.007, 0.014, 0.028, 0.056)  # face widths, an octave each: pores, grit, folds, hollows
LEFT = (0.2, 0.4, 0.6, 0.7)  # of each, at least
ENOUGH = 60  # pixels of skin from which a middle is sure


def match_texture(source: np.ndarray, rendering: np.ndarray, skin: np.ndarray, where: np.ndarray, width: float) -> np.ndarray:
    """Take texture off the rendering's skin until it has no more than the source's, octave by octave.

    Args:
        source, rendering: float [h, w, 3] 0..255, the same window; skin: [h, w] in 0..1, where both show nothing but skin; where:
            [h, w] in 0..1, where that is to change; width: of the face, in pixels.

    Returns:
        float32 [h, w, 3].

    One number an octave, the middle of how far brightness strays: it holds no feature of anybody. Noise of the source does not
    count, see `grain.match_grain`. Texture that is missing is not added: edges of lips and brows would glow, and no face looks
    older for it.
    """
    out = rendering.astype(np.float32)
    inside = skin > 0.9
    if (inside & (where > 0)).sum() < ENOUGH:
        return out
    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    own, new, inside = source[place] @ LUMA, out[place] @ LUMA, inside[place]
    noise = noise_level(own, skin[place])
    sigmas = [share * width for share in BANDS]
    aims = [
        np.sqrt(max(_middle(band, inside) ** 2 - (NORMAL * noise * _noise_share(finer, sigma)) ** 2, 0.0))
        for band, finer, sigma in zip(_octaves(own, sigmas), (0.0, *sigmas), sigmas, strict=False)
    ]
    bands = _octaves(new, sigmas)
    change = np.zeros(new.shape, dtype=np.float32)
    for aim, band, least in zip(aims, bands, LEFT, strict=True):
        change += (np.clip(aim / max(_middle(band, inside), 1e-3), least, 1.0) - 1) * band
    out[place] += (where[place] * change)[..., None]
    return out


def _octaves(light: np.ndarray, sigmas: Sequence[float]) -> list[np.ndarray]:
    """Differences of Gaussians of a plane [h, w], the finest first; sigmas in pixels."""
    softer = [light, *(smooth(light, sigma) for sigma in sigmas)]
    return [fine - coarse for fine, coarse in itertools.pairwise(softer)]


def _middle(band: np.ndarray, inside: np.ndarray) -> float:
    return float(np.median(np.abs(band[inside])))


def _noise_share(fine: float, coarse: float) -> float:
    """Deviation of white noise of unit deviation between two Gaussians (sigma in pixels)."""
    def power(first: float, second: float) -> float:
        """Of the product of both, a Gaussian of the sum of their variances, at its middle."""
        return min(1.0, 1 / (2 * np.pi * max(first**2 + second**2, 1e-9)))

    return float(np.sqrt(max(power(fine, fine) - 2 * power(fine, coarse) + power(coarse, coarse), 0.0)))
