"""Fail-closed covers that nobody is recognised from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from ..errors import ConfigError
from ..faces.types import Face
from .blend import spread
from .grain import LUMA, grain, noise_level
from .mask import HEAD_GROW, away_from, middle_of
from .warp import Box

GROW = 0.45  # the box is enlarged by so much of its size on each side: hair, ears and chin go too
FADE = 0.12  # beyond the ellipse in that, a cover goes over into the picture, within so much of its radius
OWN = 0.1  # a face's own box and so much of its size around it is covered, but for who is in front
CROWN = 0.15  # above the box of who is in front lies so much of its height of head, at least
RING, GREY = 3, 127  # pixels around a cover that a fill is drawn on from, at least; what it is without any
WHOLE, EDGE = 0.99, 0.04  # share of a replacement from which a pixel is all of it; how far from its edge, in sizes of the cover
BLOCKS = 5  # a blurred face keeps at most so many blocks across


def redact(
    picture: np.ndarray, box: np.ndarray, policy: str = "fill", replaced: np.ndarray | None = None,
    in_front: Sequence[np.ndarray] = (), whole: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Cover a face: its box, and an ellipse around it that takes the head.

    Args:
        picture: uint8 [H, W, 3]; not changed.
        box: x0 y0 x1 y1 in pixels, may lie partly outside. A box that is not finite or is empty covers the whole
            picture: nothing is known about where the face is.
        policy: "fill" (what surrounds the cover, drawn on smoothly into it; grey without surroundings) or "blur" (5 blocks
            across).
        replaced: [H, W] in 0..1, where other faces have been replaced already. What lies well inside of it shows nobody, and
            stays: a hand that was taken for a face takes no forehead along. None: nowhere.
        in_front: boxes [4] of faces that are seen better, and are not covered: their heads stay. Within this one's own box only
            what of them is sure, and of those only that have been replaced and do not hold this one's middle: who of both is in
            front is not known then.
        whole: the enlarged box is covered to its corners.

    Returns:
        (picture, mask float32 [H, W]: 1 where nothing of the picture is left, 0 where it is untouched).
    """
    if policy not in ("fill", "blur"):
        raise ConfigError(f"policy is {policy!r}; choose fill or blur")
    height, width = picture.shape[:2]
    face = np.asarray(box, dtype=np.float64)
    where = _grown(face, width, height, GROW if whole else (0.5 + GROW) * (1 + FADE) - 0.5)
    cut = slice(where.y0, where.y1), slice(where.x0, where.x1)
    mask = np.zeros((height, width), dtype=np.float32)
    mask[cut] = 1
    known = where != Box(0, 0, width, height)  # else nothing is known of where the face is
    if known and not whole:
        mask[cut] = _head(face, where)
        for other in in_front:
            mask[cut][away_from(other, where) < HEAD_GROW] = 0
        own = _grown(face, width, height, OWN)
        part = mask[own.y0 : own.y1, own.x0 : own.x1]
        part[:] = 1
        for other in in_front:
            if replaced is not None and _lies_in(replaced, middle_of(other)) and not _holds(other, middle_of(face)):
                part[away_from(_with_crown(other), own) < 1] = 0
    if known and replaced is not None:
        mask[cut][_well_inside(replaced, where)] = 0
    if policy == "blur":
        image = Image.fromarray(picture[cut])
        longest = max(image.size)
        across, down = (max(1, round(BLOCKS * side / longest)) for side in image.size)
        coarse = image.resize((across, down), Image.Resampling.BOX)
        drawn = np.asarray(coarse.resize(image.size, Image.Resampling.BICUBIC))
    else:
        drawn = _drawn_on(picture, mask, where)
    out, share = picture.copy(), mask[cut][..., None]
    out[cut] = np.rint(picture[cut] + share * (drawn.astype(np.float32) - picture[cut])).astype(np.uint8)
    return out, mask


def redact_all(
    picture: np.ndarray, replaced: np.ndarray, faces: Sequence[Face], left: Sequence[Face], policy: str
) -> tuple[np.ndarray, np.ndarray]:
    """Cover the faces that are left of all in a picture, after the others: no later paste brings back what a cover hid.

    Args:
        replaced: [H, W] in 0..1, where the others have been replaced. policy: "blur"; anything else fills.

    Returns:
        (picture, `replaced` with the covers).
    """
    others = [face for face in faces if not any(face is one for one in left)]
    mask = replaced
    for face in left:
        picture, cover = redact(picture, face.box, "blur" if policy == "blur" else "fill", replaced, seen_better(face, others))
        mask = np.maximum(mask, cover)
    return picture, mask


def seen_better(face: Face, others: Sequence[Face]) -> list[np.ndarray]:
    """Boxes [4] of the other faces that the detector is surer of, as it is of who stands in front."""
    return [other.box for other in others if other.score > face.score]


def _lies_in(replaced: np.ndarray, point: np.ndarray) -> bool:
    """Whether a point [2] of the picture has been replaced; outside of the picture nothing has."""
    x, y = np.floor(point).astype(int)
    return bool(0 <= y < replaced.shape[0] and 0 <= x < replaced.shape[1] and replaced[y, x] > WHOLE)


def _holds(face: np.ndarray, point: np.ndarray) -> bool:
    """Whether a point [2] lies in a face's box [4]."""
    return bool((point >= face[:2]).all() and (point <= face[2:]).all())


def _with_crown(face: np.ndarray) -> np.ndarray:
    """A face's box [4] with the hair above it."""
    x0, y0, x1, y1 = (float(v) for v in face)
    return np.array([x0, y0 - CROWN * (y1 - y0), x1, y1])


def _head(face: np.ndarray, where: Box) -> np.ndarray:
    """1 over the ellipse around a face's box [4], falling to 0 outside of it; float32 [h, w]."""
    away = away_from(face, where) / (1 + 2 * GROW)
    return np.clip(1 - (away - 1) / FADE, 0, 1)


def _well_inside(replaced: np.ndarray, where: Box) -> np.ndarray:
    """Which pixels of a box are a replacement's own, bool: near its edges something of the picture is blended in."""
    edge = max(RING, round(EDGE * min(where.shape)))
    around, place = _around(where, edge)
    inside: np.ndarray = distance_transform_edt(replaced[around] > WHOLE) > edge
    return inside[place]


def _drawn_on(picture: np.ndarray, mask: np.ndarray, where: Box) -> np.ndarray:
    """A window as the surroundings of what is covered in it would go on: of that nothing is looked at."""
    around, place = _around(where, max(RING, round(0.1 * min(where.shape))))
    outside = (mask[around] == 0).astype(np.float32)
    if not outside.any():
        return np.full((*where.shape, 3), GREY, dtype=np.uint8)
    filled = spread(picture[around], outside)
    level = noise_level(picture[around] @ LUMA, outside)
    filled = filled + grain(outside.shape, level, np.random.default_rng(0))[..., None]  # smooth, it would lie on the picture
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)[place]


def _around(where: Box, ring: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """A window with a ring around it, as far as the picture goes, and where the window lies in that."""
    top, left = max(0, where.y0 - ring), max(0, where.x0 - ring)
    place = slice(where.y0 - top, where.y1 - top), slice(where.x0 - left, where.x1 - left)
    return (slice(top, where.y1 + ring), slice(left, where.x1 + ring)), place


def _grown(box: np.ndarray, width: int, height: int, grow: float) -> Box:
    """The window of a box [4] that is enlarged by so much of its size on each side; all of the picture where it says nothing."""
    everything = Box(0, 0, width, height)
    if box.shape != (4,) or not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        return everything
    grow_x, grow_y = grow * (box[2] - box[0]), grow * (box[3] - box[1])
    x0, y0 = max(0, int(box[0] - grow_x)), max(0, int(box[1] - grow_y))
    x1, y1 = min(width, int(np.ceil(box[2] + grow_x))), min(height, int(np.ceil(box[3] + grow_y)))
    return everything if x1 <= x0 or y1 <= y0 else Box(x0, y0, x1, y1)
