from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from id2face_core.photograph.grain import LUMA, match_grain
from id2face_core.photograph.texture import BANDS, match_texture

SIZE, WIDTH = 160, 110.0
EVERYWHERE = np.ones((SIZE, SIZE), dtype=np.float32)


def skin(roughness: float, sigma: float, seed: int = 0, noise: float = 0.0) -> np.ndarray:
    """A shaded plane [h, w, 3] that strays by so much at one size, with white noise on it."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.standard_normal((SIZE, SIZE)), sigma)
    shade = 120 + 0.3 * np.arange(SIZE)[None] + roughness * texture / texture.std() + noise * rng.standard_normal((SIZE, SIZE))
    return np.repeat(shade[..., None], 3, axis=2).astype(np.float32)


def strays(picture: np.ndarray, sigma: float) -> float:
    light = picture @ LUMA
    return float(np.median(np.abs(gaussian_filter(light, 0.7 * sigma) - gaussian_filter(light, 2 * sigma))))


@pytest.mark.parametrize("share", BANDS[:3])
def test_grit_that_the_photograph_has_not_is_taken_off(share: float) -> None:
    sigma = share * WIDTH
    source, new = skin(1.0, sigma), skin(2.0, sigma, seed=1)
    out = match_texture(source, new, EVERYWHERE, EVERYWHERE, WIDTH)
    before, after, aim = (strays(x, sigma) for x in (new, out, source))
    assert before > 1.8 * aim and after < 1.6 * aim
    assert abs(float((out - new).mean())) < 0.1, "nothing becomes lighter or darker"


def test_what_is_missing_is_not_added_and_what_is_marked_stays() -> None:
    source, new, where = skin(3.0, 1.5), skin(1.0, 1.5, seed=1), EVERYWHERE.copy()
    assert np.allclose(match_texture(source, new, EVERYWHERE, where, WIDTH), new, atol=1e-3)
    where[:, :80] = 0
    out = match_texture(new, source, EVERYWHERE, where, WIDTH)
    assert np.array_equal(out[:, :80], source[:, :80]) and strays(out[:, 90:], 1.5) < 0.8 * strays(source[:, 90:], 1.5)


def test_grain_of_the_photograph_is_no_texture_and_comes_back_as_grain() -> None:
    source, new = skin(1.0, 3.0, noise=4.0), skin(3.0, 0.7, seed=1)
    out = match_texture(source, new, EVERYWHERE, EVERYWHERE, WIDTH)
    assert strays(out, 0.7) < 0.5 * strays(new, 0.7), "it would hide the grit"
    grained = match_grain(source, out, EVERYWHERE, np.random.default_rng(0))
    assert 0.6 < strays(grained, 0.7) / strays(source, 0.7) < 1.6


def test_without_enough_bare_skin_nothing_is_known() -> None:
    source, new = skin(1.0, 1.0), skin(5.0, 1.0, seed=1)
    few = np.zeros((SIZE, SIZE), dtype=np.float32)
    few[:5, :5] = 1
    assert np.array_equal(match_texture(source, new, few, EVERYWHERE, WIDTH), new)
