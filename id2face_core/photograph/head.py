"""The whole head: the new one's outline, and what was there of the source's taken away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, maximum_filter

from ..colour import lab_to_rgb, rgb_to_lab
from .blend import smooth, spread
from .grain import LUMA, noise_level
from .hair import RENDERING, between, skin_distance
from .mask import soft_mask
from .warp import Box, face_width

# Heights over the chin and fades, in face widths.
CROWN = (1.35, 0.05)  # what the person wears on the head begins here
BROWS = (0.75, 0.12)  # from here upwards all of the new person is head; below only face, ears and hair are
EARS = (0.25, 0.12)
HAIR_ENDS = (-0.05, 0.15)
CLEAR = (0.22, 0.14)  # from here upwards the source's head is taken away
LONG_ENDS = (-0.8, 0.3)  # long hair is looked at from here
MOUTH, NOSE = (0.30, 0.02), (0.55, 0.02)
LONG = 0.05  # so much hair beside the mouth, in squares of the face width, is long hair
SLOPE = 1.0  # of the line above which long hair is taken away, towards the sides
JAW_FADE = 0.1
GROW = 0.035  # the source's head is taken away with its fringe of mixed pixels
DOME = 0.25  # a head that the rendering's frame cuts is rounded off, by so much of half its width


@dataclass(frozen=True)
class Hair:
    """Hair of a person in a window.

    colour: median Lab [3] of the crown, None where hardly any of it is in the window; like: float32 [h, w] 0..1, how much
    a pixel has that colour; long: [h, w], what of it hangs down beside the jaw.
    """

    colour: np.ndarray | None
    like: np.ndarray
    long: np.ndarray


def read_hair(window: np.ndarray, points: np.ndarray, box: Box, body: np.ndarray) -> Hair:
    """Look at the crown of a head. window: float [h, w, 3] 0..255; body: [h, w], the person in it."""
    nothing = np.zeros(box.shape, dtype=np.float32)
    lab = rgb_to_lab(smooth(window, 0.01 * face_width(points)))
    chosen = lab[body * _above_chin(points, box, *CROWN) > 0.8]
    if len(chosen) < 30:
        return Hair(None, nothing, nothing)
    centre, deviation = np.median(chosen, axis=0), np.clip(chosen.std(axis=0), 5, 14)
    distance = np.linalg.norm((lab - centre) / deviation, axis=-1) / np.sqrt(3)
    like = np.clip(2.5 - distance, 0, 1).astype(np.float32)
    beside = _above_chin(points, box, *MOUTH) * (1 - _above_chin(points, box, *NOSE))
    hanging = like * body * (1 - soft_mask(points, box, "jaw", 0.0, 0.02))
    hanging = hanging * between(skin_distance(window, points, box), RENDERING)  # hands are no hair
    if float((hanging * beside).sum()) < LONG * face_width(points) ** 2:
        return Hair(centre, like, nothing)
    pieces, _ = label(hanging > 0.3)
    found = np.unique(pieces[(beside > 0.5) & (hanging > 0.3)])
    return Hair(centre, like, np.where(np.isin(pieces, found[found > 0]), hanging, 0).astype(np.float32))


def head_mask(points: np.ndarray, box: Box, body: np.ndarray, hair: Hair) -> np.ndarray:
    """Mask of the new head, float32 [h, w]: hair, ears and face, but neither neck nor clothes.

    body, hair: the rendering's person in the window.
    """
    jaw = soft_mask(points, box, "jaw", 0.0, JAW_FADE)
    ears = soft_mask(points, box, "ears", 0.0, JAW_FADE) * _above_chin(points, box, *EARS)
    skull = soft_mask(points, box, "skull", 0.0, 0.1) * _above_chin(points, box, *BROWS)
    high, low = hair.like * _above_chin(points, box, *NOSE), hair.long * _above_chin(points, box, *HAIR_ENDS)
    parts = np.stack([jaw, ears, skull, high, low]).max(axis=0)
    return _one_piece(body * parts * soft_mask(points, box, "reach", 0.0, 0.15), points, box)


def tone_hair(new: np.ndarray, points: np.ndarray, box: Box, own: Hair, old: Hair) -> np.ndarray:
    """The rendering [h, w, 3] with hair no lighter than the source's long hair, which stays beside it; else as it is."""
    if old.colour is None or own.colour is None or not old.long.any():
        return new
    hair = own.like * between(skin_distance(new, points, box), RENDERING)
    pieces, _ = label(hair > 0.3)
    crown = np.unique(pieces[_above_chin(points, box, *CROWN) > 0.5])  # not a light on the forehead
    hair = smooth(np.where(np.isin(pieces, crown[crown > 0]), hair, 0).astype(np.float32), 0.01 * face_width(points))
    return _darkened(new, hair * (1 - soft_mask(points, box, "oval", 0.0, 0.05)), own.colour, old.colour)


def clear_head(
    source: np.ndarray, points: np.ndarray, box: Box, person: np.ndarray, old: Hair, own: Hair, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The photograph without the source's head, for the new head to be put onto.

    Args:
        source: float [h, w, 3] 0..255; person: [h, w] of the photograph; old, own: hair of the source and of the rendering.
            Long hair that hangs down beside the face stays, no lighter than the new head's.

    Returns:
        (canvas float32 [h, w, 3], what was changed [h, w] in 0..1): the surroundings drawn together over the head, with
        the photograph's grain.
    """
    unit = face_width(points)
    grown = maximum_filter(person, 2 * max(1, round(GROW * unit)) + 1)
    long = smooth(old.long * _above_chin(points, box, *LONG_ENDS), max(0.6, 0.012 * unit))
    long = long * (1 - _above_chin(points, box, *BROWS, SLOPE))
    high = _above_chin(points, box, *CLEAR)
    # other people stand near: only what is surely this head, and hair like its own
    hair = maximum_filter(old.like * person, 2 * max(1, round(GROW * unit)) + 1)
    hair = hair * soft_mask(points, box, "surroundings", 0.0, 0.1)
    place = grown * high * np.maximum(soft_mask(points, box, "skull", 0.0, 0.1), hair)
    gone = smooth(np.clip(place * 1.5, 0, 1) * (1 - long), max(0.6, 0.012 * unit))
    gone[gone < 1 / 255] = 0
    behind = spread(source, np.clip(1 - 4 * np.maximum(place, grown * (1 - high)), 0, 1))
    grain = rng.standard_normal(box.shape).astype(np.float32) * noise_level(source @ LUMA, 1 - grown)
    canvas = source
    if old.colour is not None and own.colour is not None and long.any():
        canvas = _darkened(source, long, old.colour, own.colour)
    canvas = canvas + gone[..., None] * (behind + grain[..., None] - canvas)
    return canvas.astype(np.float32), np.maximum(gone, long)


def _darkened(window: np.ndarray, hair: np.ndarray, colour: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Hair of one median Lab colour brought to another [3] that is no lighter; as it is where the other is lighter.

    window: float [h, w, 3] 0..255; hair: [h, w] 0..1.
    """
    if wanted[0] >= colour[0]:
        return window
    lab = rgb_to_lab(window)
    lab[..., 0] *= wanted[0] / max(float(colour[0]), 1e-3)
    lab[..., 1:] += wanted[1:] - colour[1:]
    return (window + hair[..., None] * (lab_to_rgb(lab) - window)).astype(np.float32)


def rounded(person: np.ndarray) -> np.ndarray:
    """A rendering's person [S, S'] whose crown, where the frame cuts it, is a dome instead of a line."""
    top = np.flatnonzero(person[1] > 0.5)
    if len(top) < 4:
        return person
    middle, half = (top[0] + top[-1]) / 2, max((top[-1] - top[0]) / 2, person.shape[1] / 4)
    drop = 1 + DOME * half * np.square((np.arange(person.shape[1]) - middle) / half)
    return (person * np.clip((np.arange(person.shape[0])[:, None] - drop) / 3, 0, 1)).astype(np.float32)


def _above_chin(points: np.ndarray, box: Box, start: float, fade: float, slope: float = 0.0) -> np.ndarray:
    """0 below `start` face widths over the chin, 1 above start + fade, float32 [h, w]; beside the face it starts lower."""
    up = points[10] - points[152]
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    dx, dy, unit = x - points[152, 0], y - points[152, 1], face_width(points)
    rise = (dx * up[0] + dy * up[1]) / unit
    if slope:
        rise = rise + slope * np.maximum(np.abs(dy * up[0] - dx * up[1]) / unit - 0.45, 0)
    t = np.clip((rise - start) / fade, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _one_piece(mask: np.ndarray, points: np.ndarray, box: Box) -> np.ndarray:
    """The mask without what does not hang together with the face."""
    pieces, _ = label(mask > 0.25)
    inside = np.unique(pieces[soft_mask(points, box, "oval", 0.1, 0.02) > 0.5])
    keep = np.isin(pieces, inside[inside > 0])
    near = maximum_filter(keep, 2 * max(1, round(0.02 * face_width(points))) + 1)
    return np.where(near, mask, 0).astype(np.float32)
