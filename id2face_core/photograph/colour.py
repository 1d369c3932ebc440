"""Tone and direction of the source's light on the new face."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..colour import lab_to_rgb, rgb_to_lab

WORK = 128  # the light is fitted at this many pixels a side
ROUNDS = 4
OUTLIER = 14.0  # Lab difference at which a pixel (brow, glasses, hair) counts half
CONTRAST = (0.8, 1.5)  # of how far the rendering's L strays: hard light makes more of it, haze less
RELIEF = 15.0  # L from the plane of its light that skin strays; eyes and mouths are further off, and as they are
DULLEST = 0.4  # share of its distance from the skin that a colour keeps at least
REDDEST = 75  # percent of a mouth's pixels that are less red than its lips are sure to be
REDDER = 3.0  # a* by which new lips may be redder, beside the skin, than the source's
PALER = 6.0  # a* from which paler ones are made up as the source's are
HOLLOW = (-35.0, -20.0)  # L beside the skin: what is darker lies in the mouth, what is lighter may be a lip
MADE_UP = ((-12.0, 0.0, -12.0), (8.0, 35.0, 15.0))  # how far, at most, Lab
IRIS_PIXELS = 6  # from which the colour of irises is known
PALER_EYES, BLUER_EYES, OTHER = 4.0, 6.0, 8.0  # Lab by which they may be, beside the skin; beyond so much it is another colour
OTHER_HUE = ((-8.0, -16.0), (5.0, 16.0))  # a and b, by how much at most: lids where none is open would turn red
DARK_PART = 15  # percent of the pixels around a brow that a thin one covers at least
DARKER = 10.0  # L by which a new brow may be darker, beside the skin, than the source's
CALMED = 0.85  # of what is beyond
MAX_SHIFT = np.array([45.0, 25.0, 25.0], dtype=np.float32)  # Lab


def _reduced(*windows: np.ndarray) -> list[np.ndarray]:
    """Windows [h, w] or [h, w, C] at `WORK` pixels a side, [h', w', C] each."""
    height, width = windows[0].shape[:2]
    scale = min(1.0, WORK / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))

    def one(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BOX))

    return [np.stack([one(plane) for plane in np.moveaxis(np.atleast_3d(x), 2, 0)], axis=-1) for x in windows]


def relight(source: np.ndarray, rendering: np.ndarray, mask: np.ndarray, width: float) -> np.ndarray:
    """Give the rendering the source's tone and contrast, and the side that its light comes from, in Lab.

    Args:
        source, rendering: float [h, w, 3] 0..255, the same window; mask: [h, w], where both show skin; width: of the
            face, in pixels.

    Returns:
        float32 [h, w, 3].

    A plane a channel, fitted robustly, and how far L strays from its own: ten numbers carry light but no features. The source's
    low frequencies at 0.22 face widths in their place carry identity: lfw10, w600k_mbf, N = 100, mean cosine with the same photo
    .237 instead of .207.
    """
    height, columns = mask.shape
    small_s, small_r, small_m = _reduced(source, rendering, mask)
    size = small_m.shape[1], small_m.shape[0]
    weight = np.clip(small_m[..., 0], 0, 1).ravel().astype(np.float64)
    if weight.sum() < 4:
        return rendering.astype(np.float32)
    own, tones = rgb_to_lab(small_s), rgb_to_lab(small_r)
    difference = (own - tones).reshape(-1, 3).astype(np.float64)
    basis = _planes(size, (columns, height), width).reshape(-1, 3).astype(np.float64)
    fit, trust = np.zeros((3, 3)), weight
    for _ in range(ROUNDS):
        lhs = basis.T @ (basis * trust[:, None]) + 1e-3 * weight.sum() * np.diag([0.0, 1, 1])
        fit = np.linalg.solve(lhs, basis.T @ (difference * trust[:, None]))
        trust = weight / (1 + np.square(np.linalg.norm(difference - basis @ fit, axis=1) / OUTLIER))
    planes = _planes((columns, height), (columns, height), width)
    shift = np.clip(planes @ fit.astype(np.float32), -MAX_SHIFT, MAX_SHIFT)
    skin = np.average(tones.reshape(-1, 3), axis=0, weights=trust)[1:].astype(np.float32)
    plane, contrast = _relief(tones[..., 0].ravel(), basis, weight)
    gain = np.clip(_relief(own[..., 0].ravel(), basis, weight)[1] / max(contrast, 1.0), *CONTRAST)
    lab = rgb_to_lab(rendering)
    lab[..., 0] += (gain - 1) * (lab[..., 0] - planes @ plane).clip(-RELIEF, RELIEF)
    share = _dulling(skin, skin + fit[0, 1:])
    lab[..., 1:] *= share
    shift[..., 1:] += (1 - share) * skin
    return lab_to_rgb(lab + shift)


def _relief(light: np.ndarray, basis: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """The plane [3] through light [N] over a basis [N, 3], and how far the skin strays from it; weight: [N]."""
    plane = np.linalg.lstsq(basis * np.sqrt(weight)[:, None], light * np.sqrt(weight), rcond=None)[0]
    off = (light - basis @ plane).clip(-RELIEF, RELIEF)
    return plane.astype(np.float32), float(np.sqrt(np.average(np.square(off), weights=weight)))


def _dulling(before: np.ndarray, after: np.ndarray) -> float:
    """How much nearer colours (a, b) come to that of the skin where the skin's own becomes less vivid; never above 1.

    In the source's dim or pale light lips are dull like all else; moved alongside the skin they would glow.
    """
    return float(np.clip(np.hypot(*after) / max(float(np.hypot(*before)), 1.0), DULLEST, 1.0))


def match_lips(
    source: np.ndarray, rendering: np.ndarray, mouth: np.ndarray, lips: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """Lips of the source's colour beside the skin: no redder, which a generator paints many men's, and made up as they were.

    Args:
        source, rendering: float [h, w, 3] 0..255, the same window; mouth, lips, skin: [h, w] in 0..1, `lips` without the skin
            around them.

    Returns:
        float32 [h, w, 3]; outside `mouth` as it was.
    """
    if not (mouth > 0.5).any() or skin.sum() < 4:
        return rendering.astype(np.float32)
    own, new = _tone(source, skin), _tone(rendering, skin)
    rows, columns = (np.flatnonzero(mouth.any(axis=axis)) for axis in (1, 0))
    place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    near, before, lab = mouth[place], rgb_to_lab(source[place]) - own, rgb_to_lab(rendering[place]) - new
    inside = near > 0.5
    redder = np.clip(lab[..., 1] - np.percentile(before[..., 1][inside], REDDEST) - REDDER, 0, None)
    lab[..., 1] -= CALMED * near * redder
    change = np.clip(_reddest(before[inside]) - _reddest(lab[inside]), *MADE_UP)
    if change[1] > PALER:
        share = CALMED * lips[place] * np.clip(lab[..., 1] / PALER, 0, 1)  # no teeth, which move with the mouth
        share = share * np.clip((lab[..., 0] - HOLLOW[0]) / (HOLLOW[1] - HOLLOW[0]), 0, 1)
        lab += share[..., None] * change
    out = rendering.astype(np.float32)
    out[place] = np.where(near[..., None] > 0, lab_to_rgb(lab + new), out[place])
    return out


def _reddest(colours: np.ndarray) -> np.ndarray:
    """The mean [3] of a mouth's colours [N, 3] beside the skin, Lab, that are redder than most and lie not within it."""
    outer = colours[:, 0] > HOLLOW[1]
    colours = colours[outer] if outer.any() else colours
    red = colours[:, 1]
    mean: np.ndarray = colours[red >= np.percentile(red, REDDEST)].mean(axis=0)
    return mean


def match_irises(
    source: np.ndarray, rendering: np.ndarray, before: np.ndarray, irises: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """Irises hardly paler and bluer, beside the skin, than the source's: blue eyes do not go with dark hair and skin, which stay.

    Args:
        source, rendering: float [h, w, 3] 0..255, the same window; before, irises: [h, w] in 0..1, where the irises of each are;
            skin: [h, w] in 0..1.

    Returns:
        float32 [h, w, 3]; outside `irises` as it was.
    """
    out = rendering.astype(np.float32)
    seen, inner = before > 0.5, irises > 0.5
    if min(seen.sum(), inner.sum()) < IRIS_PIXELS or skin.sum() < 4:
        return out
    tones = [
        np.median(rgb_to_lab(picture[where]), axis=0) - _tone(picture, skin)
        for picture, where in ((source, seen), (out, inner))
    ]
    light, _, yellow = tones[0] - tones[1]
    paler, bluer = max(-light - PALER_EYES, 0.0), max(yellow - BLUER_EYES, 0.0)
    if paler == bluer == 0:
        return out
    hue = np.clip((tones[0] - tones[1])[1:], *OTHER_HUE) * min(1.0, max(paler, bluer) / OTHER)
    change = np.array([-paler, *hue], dtype=np.float32)
    some = irises > 0
    out[some] = lab_to_rgb(rgb_to_lab(out[some]) + CALMED * irises[some][:, None] * change)
    return out


def _tone(picture: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The mean Lab [3] of a picture [h, w, 3] where it shows skin [h, w]."""
    small, weight = _reduced(picture, skin)
    mean: np.ndarray = np.average(rgb_to_lab(small).reshape(-1, 3), axis=0, weights=weight.ravel()).astype(np.float32)
    return mean


def calm_brows(source: np.ndarray, rendering: np.ndarray, brow: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """A brow hardly darker, beside the skin around it, than the source's: black ones do not go with grey hair, which stays.

    Args:
        source, rendering: float [h, w, 3] 0..255, the same window; brow, beside: [h, w] in 0..1, one brow and the skin around it.

    Returns:
        float32 [h, w, 3]; outside `brow` as it was.
    """
    out, inner, ring = rendering.astype(np.float32), brow > 0.5, beside > 0.5
    if not inner.any() or not ring.any():
        return out
    own, lab = rgb_to_lab(source), rgb_to_lab(out)
    skin = np.median(lab[ring], axis=0)
    limit = _darker(own[..., 0], inner, ring) + DARKER
    contrast = _darker(lab[..., 0], inner, ring)
    if contrast <= limit:
        return out
    share = CALMED * (1 - limit / contrast) * brow * (lab[..., 0] < skin[0])
    return np.where(share[..., None] > 0, lab_to_rgb(lab + share[..., None] * (skin - lab)), out)


def _darker(light: np.ndarray, inner: np.ndarray, ring: np.ndarray) -> float:
    """By how much the darkest of a part of a picture's L [h, w] is darker than the middle of what is around it."""
    return float(np.median(light[ring]) - np.percentile(light[inner], DARK_PART))


def _planes(size: tuple[int, int], full: tuple[int, int], width: float) -> np.ndarray:
    """1, x, y over a window of `full` (w, h) pixels at `size` samples; x, y in face widths from the middle, within +-0.5."""
    x, y = (np.clip(((np.arange(n) + 0.5) / n - 0.5) * whole / width, -0.5, 0.5) for n, whole in zip(size, full, strict=True))
    out = np.ones((size[1], size[0], 3), dtype=np.float32)
    out[..., 1], out[..., 2] = x, y[:, None]
    return out
