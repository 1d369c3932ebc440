"""Hair over foreheads: what hangs over the source's stays, what the rendering wears is not drawn onto it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, label, map_coordinates, maximum_filter

from ..colour import rgb_to_lab
from ..faces.types import SoftMask
from ..resampling import enlarge, reduce
from .blend import smooth, spread
from .mask import BROWS, EYEBROWS, brow_mask, features_mask, shorter_brow, soft_mask
from .warp import Box, face_width, window_around

WORK = 120  # pixels across a face in which hair is told from skin
FINE_ENOUGH = 240  # and in which its edge is drawn
CHEEKS = [50, 280, 205, 425, 9, 151]  # skin in almost every picture
FOREHEAD, SAME_SKIN = [9, 151, 108, 337], 14.0  # its middle; Lab distance from the cheeks up to which that is skin, too
WEIGHTS = np.array([0.8, 1.0, 1.0], dtype=np.float32)  # of L, a, b in a distance
SOURCE = (15.0, 28.0)  # Lab distance from the skin where hair begins and is certain
HAIRLINE = (9.0, 17.0)  # the same at the top of the mesh, where grey and fair hair is likelier than a shadow
RENDERING = (6.0, 12.0)  # a strand too many taken out costs little there
SHINE = 0.35  # of L: what is lighter than the skin is a shining forehead; white and fair hair is told by its colour
STRANDS = (16.0, 26.0)  # below the brows, where shadows are darker
JAW = (-0.3, -0.2)  # heights above the nose from which strands beside the face are no shadow under the chin
UNCHANGED = 3.0  # of 255, up to which a difference is none
NOSE = 1  # point of its tip
BRIDGE = [193, 417, 122, 351]  # of the nose, where glasses sit
GLASSES = 0.08
# share of hair around a brow that is under a fringe, how much more that is, and how much darker it is there, than at the other
COVERED, MORE, DARKER = 0.45, 0.1, 0.1
TOUCHED = 0.3  # share of hair around a brow, or off its outer end, from which it is told from that hair more narrowly
NARROW, SHORT = 0.0, 0.9  # how far such a brow is grown, in face widths, and how much of its outer part is left to the hair


def upright(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vector towards the forehead, and the height of the mesh."""
    up = points[10] - points[152]
    height = max(float(np.linalg.norm(up)), 1e-6)
    return up / height, height


def above_nose(points: np.ndarray, box: Box) -> np.ndarray:
    """How far above the tip of the nose the pixels of a window are, in heights of the mesh, float64 [h, w]."""
    up, height = upright(points)
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    level: np.ndarray = ((x - points[NOSE, 0]) * up[0] + (y - points[NOSE, 1]) * up[1]) / height
    return level


def _over_brows(points: np.ndarray, box: Box) -> np.ndarray:
    """How far above the brows the pixels of a window are, in pixels, float64 [h, w]."""
    up, _ = upright(points)
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    rise: np.ndarray = x * up[0] + y * up[1] - float((points[BROWS] @ up).mean())
    return rise


def above_brows(points: np.ndarray, box: Box) -> np.ndarray:
    """0..1 weight of the forehead above the brows, float32 [h, w]."""
    return np.clip((_over_brows(points, box) / upright(points)[1] - 0.05) / 0.05, 0, 1).astype(np.float32)


def skin_distance(window: np.ndarray, points: np.ndarray, box: Box, lighter: float = 1.0) -> np.ndarray:
    """Lab distance from the colour of the skin, float32 [h, w]: that of cheeks and brow ridge, or the forehead's own.

    A forehead is often paler, or lit from above. window: [h, w, 3] 0..255; lighter: how much L counts where it is above the
    skin's.
    """
    unit = face_width(points)
    factor = max(1, min(int(unit / WORK), min(box.shape) // 4))  # large faces need no finer look
    small = reduce(window, factor)
    height, width = small.shape[:2]
    lab = rgb_to_lab(smooth(small, max(0.6, 0.008 * unit / factor)))

    def colour(where: list[int]) -> np.ndarray:
        x, y = np.clip(np.rint(in_window(points[where], box, factor)), 0, (width - 1, height - 1)).astype(int).T
        middle: np.ndarray = np.median(lab[y, x], axis=0)
        return middle

    def length(off: np.ndarray) -> np.ndarray:
        weighted = off * WEIGHTS
        weighted[..., 0] *= np.where(weighted[..., 0] > 0, lighter, 1.0)
        distance: np.ndarray = np.linalg.norm(weighted, axis=-1)
        return distance

    skin, forehead = colour(CHEEKS), colour(FOREHEAD)
    distance = length(lab - skin)
    if length(forehead - skin) < SAME_SKIN:  # else a fringe hangs over it
        distance = np.minimum(distance, length(lab - forehead))
    return enlarge(distance, factor, box.shape)


def between(distance: np.ndarray, limits: tuple[float, float] | tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """0..1: where a distance lies between two limits."""
    return np.clip((distance - limits[0]) / (limits[1] - limits[0]), 0, 1).astype(np.float32)


def hair_share(window: np.ndarray, points: np.ndarray, box: Box) -> np.ndarray:
    """Where the source shows hair instead of skin, float32 [h, w] in 0..1.

    Only above the brows and around the mesh: eyes, nose and mouth are always replaced, whatever covers them. `window` is
    float [h, w, 3] 0..255.
    """
    unit = face_width(points)
    place = np.maximum(above_brows(points, box), 1 - soft_mask(points, box, "oval", 0.0, 0.04))
    forehead = max(float((points[10] - points[BROWS].mean(axis=0)) @ upright(points)[0]), 1e-6)
    high = np.clip(2 * _over_brows(points, box) / forehead - 1, 0, 1)
    begin, sure = (low + high * (top - low) for low, top in zip(SOURCE, HAIRLINE, strict=True))
    share = between(skin_distance(window, points, box), (begin, sure)) * place
    certain, _ = label(share > 0.4)
    outside = soft_mask(points, box, "face", 0.0, 0.02) < 0.6
    outside[[0, -1]] = outside[:, [0, -1]] = True  # a face that the picture cuts has none else
    reaching = np.unique(certain[outside])  # a fringe comes from there
    share = share * np.isin(certain, reaching[reaching > 0])
    grown = maximum_filter(share, max(1, round(0.03 * unit)))
    return np.clip(gaussian_filter(grown, max(0.6, 0.015 * unit)), 0, 1).astype(np.float32)


def hair_of(picture: np.ndarray, mesh: np.ndarray) -> SoftMask:
    """`hair_share` around a face in a picture uint8 [H, W, 3], with a mesh [468, 2 or 3]. Raises FaceRejectedError "outside"."""
    small, points, box, factor = close_up(picture, mesh, FINE_ENOUGH)
    share = hair_share(small, points, Box(0, 0, *small.shape[1::-1]))
    return SoftMask(box.x0, box.y0, enlarge(share, factor, box.shape))


def close_up(picture: np.ndarray, mesh: np.ndarray, across: int) -> tuple[np.ndarray, np.ndarray, Box, int]:
    """The window around a face in a picture uint8 [H, W, 3], reduced so far that `across` pixels of its width are left.

    Returns:
        The window float32 [h, w, 3] 0..255, the mesh in it [468, 2], where it lies in the picture, and by what it was reduced.

    Raises:
        FaceRejectedError: "outside".
    """
    box, factor = window_around(mesh, picture.shape), max(1, int(face_width(mesh) / across))
    small = reduce(picture[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32), factor)
    return small, in_window(mesh[:, :2].astype(np.float64), box, factor), box, factor


def fine_enough(points: np.ndarray, box: Box, *planes: np.ndarray) -> tuple[int, np.ndarray, Box, list[np.ndarray]]:
    """A window of a large face, reduced to `FINE_ENOUGH` pixels across it: what is worked out there needs no more.

    Returns:
        By what it is reduced, where the points [N, 2] of the picture lie in it, itself, and the planes [h, w, C], reduced.
    """
    factor = max(1, int(face_width(points) / FINE_ENOUGH))
    small = [reduce(plane, factor) for plane in planes]
    return factor, in_window(points, box, factor), Box(0, 0, *small[0].shape[1::-1]), small


def in_window(points: np.ndarray, box: Box, factor: int = 1) -> np.ndarray:
    """Where points [N, 2] of the picture lie in a window that is reduced by a factor, in its pixels."""
    places: np.ndarray = (points - box.origin + 0.5) / factor - 0.5
    return places


def extent(points: np.ndarray, box: Box) -> tuple[slice, slice]:
    """Bounding box of points in a window, as slices; never empty."""
    low = np.clip(np.floor(points.min(axis=0) - box.origin).astype(int), 0, np.array(box.shape[::-1]) - 1)
    high = np.ceil(points.max(axis=0) - box.origin).astype(int)
    high = np.minimum(np.maximum(high, low + 1), box.shape[::-1])
    return slice(low[1], high[1]), slice(low[0], high[0])


def without_hair(new: np.ndarray, points: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Skin drawn over the hair that the rendering wears on its forehead, and over strands that reach in from outside.

    Eyes, brows, nose and mouth are left alone, and so is everything below the nose.

    Args:
        new: the warped rendering, float [h, w, 3] 0..255.

    Returns:
        (float32 [h, w, 3], share that was drawn over [h, w] in 0..1).
    """
    factor, near, inside, (small,) = fine_enough(points, box, new)
    bare, drawn = _without_hair(small, near, inside)
    if factor == 1:
        return bare, drawn
    # what was drawn is as smooth as it is at this size; all else keeps its detail
    changed = np.clip(maximum_filter(np.abs(bare - small).max(axis=-1), 3) / UNCHANGED, 0, 1)
    share = enlarge(changed, factor, box.shape)[..., None]
    return new + share * (enlarge(bare, factor, box.shape) - new), enlarge(drawn, factor, box.shape)


def _without_hair(new: np.ndarray, points: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """As `without_hair`, at this very size."""
    unit = face_width(points)
    level = above_nose(points, box)
    distance = skin_distance(new, points, box, SHINE)
    drawn, brows = _brows_in_hair(distance, points, box)
    face = soft_mask(points, box, "oval", 0.0, 0.02)  # brows of a mesh go on beyond the far side of a turned head
    high, free = above_brows(points, box), 1 - features_mask(drawn, box, brows=brows) * face
    hair, strands = between(distance, RENDERING) * high * free > 0.3, between(distance, STRANDS)
    if float(strands[extent(points[BRIDGE], box)].mean()) < GLASSES:  # the arms of glasses come from outside, too
        beside = np.maximum(np.clip(level / 0.1, 0, 1), (1 - face) * between(level, JAW))
        pieces, _ = label(hair | (strands * beside * (1 - high) * free > 0.3))
        reaching = np.unique(pieces[face < 0.5])
        hair |= np.isin(pieces, reaching[reaching > 0])
    hair = maximum_filter(hair, 2 * max(1, round(0.035 * unit)) + 1)
    inside = soft_mask(points, box, "oval", 0.02, 0.02) > 0.5
    skin = spread(new, (~hair & inside).astype(np.float32))
    share = smooth(hair.astype(np.float32), max(0.6, 0.015 * unit)) * (1 - features_mask(drawn, box, 0.01, brows=brows) * face)
    bare = new + share[..., None] * (skin - new)
    return _uncovered_brow(new, bare, hair, distance, inside, (points, drawn), box), (share * high).astype(np.float32)


def _brows_in_hair(distance: np.ndarray, points: np.ndarray, box: Box) -> tuple[np.ndarray, tuple[float, float]]:
    """The mesh [468, 2] and the growths for `features_mask` that leave hair which touches a brow to the hair.

    distance: see `skin_distance`. A brow's own hull, grown a little, would keep the ends of a fringe and of strands at the
    temple as blots on the skin that is drawn around them.
    """
    unit, mesh, brows = face_width(points), points, []
    for side, brow in enumerate(EYEBROWS):
        near, place = around(points[brow], 0.15 * unit, box)
        dark, own = between(distance[place], STRANDS) > 0.3, brow_mask(points, near, side, 0.01) > 0.5
        y, x = np.mgrid[near.y0 : near.y1, near.x0 : near.x1]
        row = len(brow) // 2
        over = (brow_mask(points, near, side, 0.05) > 0.5) & ~own & _above(points, x, y, points[brow[:row]])
        brows.append(NARROW if over.any() and dark[over].mean() > TOUCHED else np.inf)
        end, inner = points[brow[[0, row]]].mean(axis=0), points[brow[[row - 1, -1]]].mean(axis=0)
        away = (end - inner) / max(float(np.linalg.norm(end - inner)), 1e-6)
        spot = end + 0.05 * unit * away
        off = (np.hypot(x - spot[0], y - spot[1]) < 0.06 * unit) & ~own
        if off.any() and dark[off].mean() > TOUCHED:
            mesh = shorter_brow(mesh, side, SHORT)
    return mesh, (brows[0], brows[1])


def around(points: np.ndarray, margin: float, box: Box) -> tuple[Box, tuple[slice, slice]]:
    """The part of a window around points [N, 2], and where it lies in it; never empty."""
    rows, columns = extent(np.concatenate((points - margin, points + margin)), box)
    return Box(box.x0 + columns.start, box.y0 + rows.start, box.x0 + columns.stop, box.y0 + rows.stop), (rows, columns)


def _above(points: np.ndarray, x: np.ndarray, y: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Which pixels lie nearer to the forehead than the middle of a line [N, 2] does, bool [h, w]."""
    up, _ = upright(points)
    return x * up[0] + y * up[1] > float((line @ up).mean())


def _uncovered_brow(
    new: np.ndarray, bare: np.ndarray, hair: np.ndarray, distance: np.ndarray, inside: np.ndarray,
    meshes: tuple[np.ndarray, np.ndarray], box: Box,
) -> np.ndarray:  # fmt: skip
    """A brow that a fringe hangs over, while the other one shows, becomes that one's mirror image.

    Args:
        new: [h, w, 3] as rendered; bare: after skin was drawn over the hair; hair, inside: bool [h, w], where hair was found,
            and the face; distance: see `skin_distance`.
        meshes: [468, 2] as they are, and with brows shortened where hair touches them, see `_brows_in_hair`.

    Returns:
        float32 [h, w, 3].
    """
    points = meshes[1]
    hairy, dark = np.zeros(2), np.zeros(2)
    for side in (0, 1):
        zone = (brow_mask(points, box, side, 0.05) > 0.5) & inside
        ring = zone & (brow_mask(points, box, side, 0.015) < 0.5)
        if not ring.any():
            return bare.astype(np.float32)
        hairy[side], dark[side] = hair[ring].mean(), (distance[zone] > STRANDS[0]).mean()
    worse = int(hairy.argmax())
    more, darker = (values[worse] - values[1 - worse] for values in (hairy, dark))
    if hairy[worse] < COVERED or more < MORE or darker < DARKER:
        return bare.astype(np.float32)
    if np.array_equal(*(mesh[EYEBROWS[1 - worse]] for mesh in meshes)):
        points = meshes[0]  # the other one is whole
    zones = [brow_mask(points, box, side, 0.03, 0.04) for side in (0, 1)]
    # both brows are skin here, so that what is left of the other one when this is taken away is the brow alone
    skin = spread(new, (~hair & inside & (zones[0] < 0.05) & (zones[1] < 0.05)).astype(np.float32))
    here, there = (points[EYEBROWS[side]] - box.origin for side in (worse, 1 - worse))
    turn = np.linalg.lstsq(np.column_stack((here, np.ones(len(here)))), there, rcond=None)[0]
    seen = np.nonzero(zones[worse])
    place = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in seen)
    y, x = np.mgrid[place]
    places = np.stack((x, y, np.ones_like(x)), axis=-1) @ turn
    alone = np.moveaxis(bare - skin, 2, 0)  # not the hair that hangs at the other one's end
    brow = np.stack([map_coordinates(c, [places[..., 1], places[..., 0]], order=1, mode="nearest") for c in alone], axis=-1)
    out = bare.astype(np.float32)
    out[place] += zones[worse][place][..., None] * (skin[place] + brow - bare[place])
    return out
