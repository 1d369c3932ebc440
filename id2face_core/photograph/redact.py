"""Fail-closed covers that nobody is recognised from."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from ..errors import ConfigError
from .blend import spread

GROW = 0.45  # the box is enlarged by so much of its size on each side: hair, ears and chin go too
RING, GREY = 3, 127  # pixels around a cover that a fill is drawn on from, at least; what it is without any
WHOLE, EDGE = 0.99, 0.04  # share of a replacement from which a pixel is all of it; how far from its edge, in sizes of the cover
BLOCKS = 5  # a blurred face keeps at most so many blocks across


def redact(
    picture: np.ndarray, box: np.ndarray, policy: str = "fill", replaced: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cover a face.

    Args:
        picture: uint8 [H, W, 3]; not changed.
        box: x0 y0 x1 y1 in pixels, may lie partly outside. A box that is not finite or is empty covers the whole
            picture: nothing is known about where the face is.
        policy: "fill" (what surrounds the cover, drawn on smoothly into it; grey without surroundings) or "blur" (5 blocks
            across).
        replaced: [H, W] in 0..1, where other faces have been replaced already. What lies well inside of it shows nobody, and
            stays: a hand that was taken for a face takes no forehead along. None: nowhere.

    Returns:
        (picture, mask float32 [H, W] of 0 and 1).
    """
    if policy not in ("fill", "blur"):
        raise ConfigError(f"policy is {policy!r}; choose fill or blur")
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = _grown(np.asarray(box, dtype=np.float64), width, height)
    out, mask = picture.copy(), np.zeros((height, width), dtype=np.float32)
    mask[y0:y1, x0:x1] = 1
    if replaced is not None and (x0, y0, x1, y1) != (0, 0, width, height):  # else nothing is known of where the face is
        mask[y0:y1, x0:x1] -= _well_inside(replaced, x0, y0, x1, y1)
    covered = mask[y0:y1, x0:x1, None] > 0
    if policy == "blur":
        image = Image.fromarray(picture[y0:y1, x0:x1])
        longest = max(image.size)
        across, down = (max(1, round(BLOCKS * side / longest)) for side in image.size)
        coarse = image.resize((across, down), Image.Resampling.BOX)
        drawn = np.asarray(coarse.resize(image.size, Image.Resampling.BICUBIC))
    else:
        drawn = _drawn_on(picture, mask, x0, y0, x1, y1)
    out[y0:y1, x0:x1] = np.where(covered, drawn, out[y0:y1, x0:x1])
    return out, mask


def _well_inside(replaced: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """Which pixels of a box are a replacement's own, bool: near its edges something of the picture is blended in."""
    edge = max(RING, round(EDGE * min(x1 - x0, y1 - y0)))
    top, left = max(0, y0 - edge), max(0, x0 - edge)
    whole = replaced[top : y1 + edge, left : x1 + edge] > WHOLE
    inside: np.ndarray = distance_transform_edt(whole) > edge
    return inside[y0 - top : y1 - top, x0 - left : x1 - left]


def _drawn_on(picture: np.ndarray, mask: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """The box as its surroundings would go on: of what it holds nothing is looked at."""
    ring = max(RING, round(0.1 * min(x1 - x0, y1 - y0)))
    top, left = max(0, y0 - ring), max(0, x0 - ring)
    around = slice(top, y1 + ring), slice(left, x1 + ring)
    outside = 1 - mask[around]
    if not outside.any():
        return np.full((y1 - y0, x1 - x0, 3), GREY, dtype=np.uint8)
    filled = spread(picture[around], outside)
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)[y0 - top : y1 - top, x0 - left : x1 - left]


def _grown(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    if box.shape != (4,) or not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        return 0, 0, width, height
    grow_x, grow_y = GROW * (box[2] - box[0]), GROW * (box[3] - box[1])
    x0, y0 = max(0, int(box[0] - grow_x)), max(0, int(box[1] - grow_y))
    x1, y1 = min(width, int(np.ceil(box[2] + grow_x))), min(height, int(np.ceil(box[3] + grow_y)))
    if x1 <= x0 or y1 <= y0:
        return 0, 0, width, height
    return x0, y0, x1, y1
