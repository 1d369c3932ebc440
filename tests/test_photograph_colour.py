"""Tone of the new face: the source's light, and lips that do not glow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from id2face_core.colour import lab_to_rgb, rgb_to_lab
from id2face_core.photograph.colour import (
    BLUER_EYES,
    CALMED,
    CONTRAST,
    DARKER,
    DULLEST,
    MADE_UP,
    OTHER_HUE,
    PALER,
    PALER_EYES,
    REDDER,
    RELIEF,
    calm_brows,
    match_irises,
    match_lips,
    relight,
)

SIZE = 64
SKIN, MOUTH = (slice(4, 60), slice(4, 60)), (slice(40, 50), slice(22, 42))


def _face(skin: tuple[float, float, float], lips_a: float) -> np.ndarray:
    """A plain face in Lab with lips of so much more a*, as RGB 0..255."""
    lab = np.zeros((SIZE, SIZE, 3), dtype=np.float32)
    lab[...] = skin
    lab[MOUTH][..., 1] += lips_a
    return lab_to_rgb(lab)


def _masks() -> tuple[np.ndarray, np.ndarray]:
    mouth, skin = np.zeros((2, SIZE, SIZE), dtype=np.float32)
    mouth[MOUTH], skin[SKIN] = 1, 1
    return mouth, skin - mouth


def _redness(picture: np.ndarray) -> float:
    """a* of the lips less that of the skin."""
    mouth, skin = _masks()
    a = rgb_to_lab(picture)[..., 1]
    return float(np.average(a, weights=mouth) - np.average(a, weights=skin))


@pytest.mark.parametrize(("source", "new"), [(4, 22), (4, 5), (20, 22), (4, 0), (4, -6)])
def test_lips_are_hardly_redder_than_the_source_s(source: float, new: float) -> None:
    before, rendering = _face((60, 14, 18), source), _face((65, 16, 20), new)
    mouth, skin = _masks()
    out = match_lips(before, rendering, mouth, mouth, skin)
    limit = source + REDDER
    expected = new if new <= limit else limit + (1 - CALMED) * (new - limit)
    assert _redness(out) == pytest.approx(expected, abs=0.6)
    assert np.array_equal(out[mouth == 0], rendering[mouth == 0].astype(np.float32)), "the skin is as it was"


@pytest.mark.parametrize(("source", "new"), [(30, 8), (30, 26), (12, 7), (60, 8)])
def test_made_up_lips_stay_made_up(source: float, new: float) -> None:
    before, rendering = _face((60, 14, 18), source), _face((65, 16, 20), new)
    teeth = slice(44, 46), slice(26, 38)
    throat = slice(46, 48), slice(26, 38)
    rendering[teeth] = lab_to_rgb(np.broadcast_to(np.float32((80, 2, 10)), (2, 12, 3)))
    rendering[throat] = lab_to_rgb(np.broadcast_to(np.float32((25, 26, 10)), (2, 12, 3)))
    mouth, skin = _masks()
    out = match_lips(before, rendering, mouth, mouth, skin)
    paler = source - new
    expected = new + (CALMED * min(paler, MADE_UP[1][1]) if paler > PALER else 0)
    lips = np.ma.masked_where(mouth == 0, rgb_to_lab(out)[..., 1] - 16)
    lips[teeth] = lips[throat] = np.ma.masked
    assert float(lips.mean()) == pytest.approx(expected, abs=0.8)
    for inside in (teeth, throat):
        assert np.abs(out[inside] - rendering[inside]).max() < 3, "teeth and throat are left alone"
    assert np.array_equal(out[mouth == 0], rendering[mouth == 0].astype(np.float32))


def test_no_mouth_and_no_skin_change_nothing() -> None:
    rendering = _face((65, 16, 20), 22)
    mouth, skin = _masks()
    nothing = np.zeros_like(mouth)
    for m, s in ((nothing, skin), (mouth, nothing)):
        assert np.array_equal(match_lips(rendering, rendering, m, m, s), rendering.astype(np.float32))


def _eyes(skin: tuple[float, float, float], iris: tuple[float, float, float]) -> np.ndarray:
    """A plain face in Lab with irises of so much more of it than the skin, as RGB 0..255."""
    lab = np.broadcast_to(np.float32(skin), (SIZE, SIZE, 3)).copy()
    lab[MOUTH] += np.float32(iris)
    return lab_to_rgb(lab)


@pytest.mark.parametrize(
    ("source", "new", "expected"),
    [
        ((-40, 0, 0), (-38, 0, 0), (-38, 0, 0)),  # as dark
        ((-20, 0, 0), (-40, 0, 0), (-40, 0, 0)),  # darker ones may be anybody's
        ((-40, 0, 0), (-10, 0, 0), (-10 - CALMED * (30 - PALER_EYES), 0, 0)),
        (  # blue ones
            (-40, 2, 4), (-10, -6, -12),
            (-10 - CALMED * (30 - PALER_EYES), -6 + CALMED * OTHER_HUE[1][0], -12 + CALMED * OTHER_HUE[1][1]),
        ),
        ((-40, 0, 4), (-40, 0, 4 - BLUER_EYES), (-40, 0, 4 - BLUER_EYES)),
        ((-40, 0, 4), (-40, 0, -12), (-40, 0, -12 + CALMED * 16)),
        ((-40, 0, -12), (-40, 0, 4), (-40, 0, 4)),  # brown ones in place of blue ones are seen everywhere
    ],
)
def test_irises_are_hardly_paler_and_bluer_than_the_source_s(
    source: tuple[float, float, float], new: tuple[float, float, float], expected: tuple[float, float, float]
) -> None:
    before, rendering = _eyes((62, 10, 16), source), _eyes((70, 12, 18), new)
    irises, skin = _masks()
    out = match_irises(before, rendering, irises, irises, skin)
    shown = rgb_to_lab(out)[MOUTH].reshape(-1, 3).mean(axis=0) - (70, 12, 18)
    assert shown == pytest.approx(expected, abs=1.2)
    assert np.array_equal(out[irises == 0], rendering[irises == 0].astype(np.float32)), "the rest is as it was"


def test_irises_that_are_not_seen_change_nothing() -> None:
    before, rendering = _eyes((62, 10, 16), (-40, 0, 0)), _eyes((70, 12, 18), (0, 0, -20))
    irises, skin = _masks()
    nothing, few = np.zeros_like(irises), np.zeros_like(irises)
    few[30:32, 30:32] = 1
    for theirs, own, bare in ((nothing, irises, skin), (irises, few, skin), (irises, irises, nothing)):
        assert np.array_equal(match_irises(before, rendering, theirs, own, bare), rendering.astype(np.float32))


@pytest.mark.parametrize(("vivid", "share"), [(1.0, 1.0), (0.6, 0.6), (0.1, DULLEST), (1.5, 1.0)])
def test_lips_grow_dull_with_the_skin_and_never_vivid(vivid: float, share: float) -> None:
    skin = np.array([16.0, 20.0])
    source, rendering = _face((50, *(vivid * skin)), 0), _face((65, *skin), 12)
    out = relight(source, rendering, _masks()[1], 50)
    assert _redness(out) == pytest.approx(12 * share, abs=1.0)
    tone = rgb_to_lab(out)[SKIN].reshape(-1, 3)
    assert np.median(tone, axis=0) == pytest.approx((50, *(vivid * skin)), abs=1.5), "the skin takes the source's tone"


def _brow(skin: float, contrast: float) -> np.ndarray:
    """Skin of an L with a darker bar."""
    lab = np.full((40, 60, 3), (skin, 14.0, 18.0), dtype=np.float32)
    lab[15:25, 10:50, 0] -= contrast
    return lab_to_rgb(lab)


@pytest.mark.parametrize(("source", "new"), [(5, 40), (12, 30), (30, 20), (20, 28), (-5, 40)])
def test_a_brow_is_hardly_darker_than_the_source_s(source: float, new: float) -> None:
    brow = np.zeros((40, 60), dtype=np.float32)
    brow[15:25, 10:50] = 1
    rendering = _brow(65, new)
    out = calm_brows(_brow(55, source), rendering, brow, 1 - brow)
    light = rgb_to_lab(out)[..., 0]
    limit = source + DARKER
    expected = new if new <= limit else limit + (1 - CALMED) * (new - limit)
    assert np.median(light[brow == 0]) - np.median(light[brow == 1]) == pytest.approx(expected, abs=0.6)
    assert np.array_equal(out[brow == 0], rendering[brow == 0].astype(np.float32)), "the skin is as it was"


def test_a_brow_keeps_its_lighter_hairs_and_without_any_nothing_changes() -> None:
    brow = np.zeros((40, 60), dtype=np.float32)
    brow[15:25, 10:50] = 1
    rendering = _brow(60, 40)
    rendering[18, 10:50] = lab_to_rgb(np.full((1, 1, 3), (75.0, 14.0, 18.0), dtype=np.float32))[0, 0]
    out = calm_brows(_brow(60, 5), rendering, brow, 1 - brow)
    assert np.array_equal(out[18], rendering[18].astype(np.float32)) and out[20, 30, 0] > rendering[20, 30, 0]
    for mask, ring in ((0 * brow, 1 - brow), (brow, 0 * brow)):
        assert np.array_equal(calm_brows(_brow(60, 5), rendering, mask, ring), rendering.astype(np.float32))


def _rough(amount: float, seed: int = 0) -> np.ndarray:
    """Skin whose L strays from a slope by so much, as RGB 0..255, with dark eyes."""
    lab = np.zeros((SIZE, SIZE, 3), dtype=np.float32)
    waves = gaussian_filter(np.random.default_rng(seed).standard_normal((SIZE, SIZE)), 2)
    lab[...] = (60, 14, 18)
    lab[..., 0] += 10 * np.linspace(-1, 1, SIZE) + amount * waves / waves.std()
    lab[20:26, 14:26, 0] = lab[20:26, 38:50, 0] = 15
    return lab_to_rgb(lab)


@pytest.mark.parametrize(
    ("source", "new", "gain"), [(6.0, 4.0, 1.5), (9.0, 3.0, CONTRAST[1]), (4.5, 5.0, 0.9), (2.0, 6.0, CONTRAST[0])]
)
def test_hard_light_and_haze_are_on_the_new_face_too(source: float, new: float, gain: float) -> None:
    rendering = _rough(new, seed=1)
    eyes, skin = np.zeros((2, SIZE, SIZE), dtype=bool)
    eyes[20:26, 14:26] = eyes[20:26, 38:50] = True
    skin[SKIN] = True
    skin &= ~eyes
    out = relight(_rough(source), rendering, skin.astype(np.float32), 50)
    slope = 10 * np.linspace(-1, 1, SIZE)
    before, after = (rgb_to_lab(x)[..., 0] - slope for x in (rendering, out))
    assert after[skin].std() / before[skin].std() == pytest.approx(gain, rel=0.08)
    darker = before[eyes].mean() - before[skin].mean() - (after[eyes].mean() - after[skin].mean())
    assert abs(darker) <= abs(gain - 1) * RELIEF + 1, "eyes do not become holes"
