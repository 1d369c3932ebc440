"""Which pixels are replaced: the face's oval, the face or the whole head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt
from scipy.spatial import ConvexHull

from ..faces.types import Mesh
from .warp import EYES, OVAL, Box, face_width

RISE, GROW = 0.16, 0.12  # region `face` beyond the mesh: the forehead (of its height), all around (of the distance)
# Half widths of ellipses: what is surely head, what new hair may reach, where old hair is looked for.
ACROSS = {"skull": 0.78, "reach": 0.92, "surroundings": 1.15}
HEAD_GROW, NEIGHBOUR_FADE = 1.35, 0.1  # a head around the box of its face; the edge of what stays of it
IRIS, FINER = 0.85, 4  # of an iris's radius; how much finer its lids are drawn than pixels
WORK = 256  # masks are drawn at about this many pixels a side, then enlarged: they are smooth
BROWS = np.array([70, 63, 105, 66, 107, 336, 296, 334, 293, 300])
EYEBROWS = (  # point by point each other's mirror image
    np.array([70, 63, 105, 66, 107, 46, 53, 52, 65, 55]),
    np.array([300, 293, 334, 296, 336, 276, 283, 282, 295, 285]),
)
NOSE_MOUTH = np.array([1, 2, 4, 5, 6, 48, 278, 64, 294, 61, 291, 0, 17, 37, 267, 84, 314, 57, 287])
LIPS = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185])  # outer rim
BETWEEN_LIPS = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95])  # inner rim
CORE = np.concatenate([BROWS, *EYES, NOSE_MOUTH])  # what is always replaced, whatever covers it


def _outline(points: np.ndarray, region: str) -> np.ndarray:
    """Polygon [N, 2] of a region around the mesh points [468, 2]."""
    oval = points[OVAL]
    up = points[10] - points[152]
    height = max(float(np.linalg.norm(up)), 1e-6)
    up = up / height
    right = np.array([-up[1], up[0]])
    if region == "head":
        centre = points[152] + 0.66 * (points[10] - points[152])
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)[:, None]
        width = float(np.abs((oval - centre) @ right).max())
        return centre + np.cos(angle) * right * 1.42 * width + np.sin(angle) * up * 0.92 * height
    if region == "jaw":  # the oval from the ears down, with what lies in the jaw's shadow
        return oval + 0.05 * (oval - points[[234, 454]].mean(axis=0))
    if region in ACROSS:
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)[:, None]
        centre, unit = points[152] + 0.62 * (points[10] - points[152]), face_width(points)
        return centre + np.cos(angle) * right * ACROSS[region] * unit + np.sin(angle) * up * 1.35 * unit
    if region == "ears":
        return oval + 0.4 * np.outer((oval - oval.mean(axis=0)) @ right, right)
    if region == "face":  # the mesh ends in mid forehead: go on towards the hairline, and a little around the jaw
        above = np.clip(((oval - points[[234, 454]].mean(axis=0)) @ up) / (0.5 * height), 0, 1)[:, None]
        centre = oval.mean(axis=0)
        return oval + above * up * RISE * height + GROW * (oval - centre)
    return oval


def soft_mask(points: np.ndarray, box: Box, region: str, erode: float = 0.02, feather: float = 0.05) -> np.ndarray:
    """Mask of a region, float32 [h, w] in 0..1; erode, feather in face widths. points: [468, 2] in the picture."""
    height, width = box.shape
    place = (_outline(points, region) - box.origin).astype(np.float64).tobytes()
    small = _outline_drawn(place, face_width(points), (height, width), erode, feather)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)).copy()


@lru_cache(maxsize=48)  # attempts at one face ask for the same again and again
def _outline_drawn(outline: bytes, across: float, shape: tuple[int, int], erode: float, feather: float) -> np.ndarray:
    """A polygon [N, 2], float64, in a window at `WORK` pixels, float32. across: width of the face."""
    canvas, ratio = _canvas(shape)
    polygon = (np.frombuffer(outline).reshape(-1, 2) + 0.5) * ratio - 0.5
    ImageDraw.Draw(canvas).polygon([tuple(p) for p in polygon], fill=255)
    unit = across * float(ratio[0])
    # a border of zeros: what leaves the picture is not an edge of the face
    inside = distance_transform_edt(np.asarray(canvas) > 0)
    ramp = np.clip((inside - erode * unit) / max(feather * unit, 1.0), 0, 1)
    smooth: np.ndarray = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return smooth


def _canvas(shape: tuple[int, int]) -> tuple[Image.Image, np.ndarray]:
    """An empty picture for a window of a shape, at about `WORK` pixels a side, and its size over the window's, [2]."""
    height, width = shape
    scale = min(1.0, WORK / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return Image.new("L", size), np.array(size) / (width, height)


@dataclass(frozen=True)
class Neighbour:
    """Another face in the picture. box: [4] (x0, y0, x1, y1); in_front: seen better than the face that is replaced."""

    box: np.ndarray
    in_front: bool = False


def neighbours_mask(neighbours: Sequence[Neighbour], points: np.ndarray, box: Box) -> np.ndarray:
    """1 over the heads of other people, float32 [h, w], but 0 on this face, whose own pixels may never stay.

    A mesh goes on where its face is hidden by a head in front. There the other face's own replacement covers the pixels,
    and around it only the features of this one are replaced. A neighbour whose centre lies on this face is taken for a
    second detection of it and does not count.
    """
    out = np.zeros(box.shape, dtype=np.float32)
    near = [other for other in neighbours if _reaches(other, box)]
    if not near:
        return out
    own, core = soft_mask(points, box, "face", 0.0, NEIGHBOUR_FADE), core_mask(points, box)
    low, high = points[OVAL].min(axis=0), points[OVAL].max(axis=0)
    for other in near:
        centre, radius = middle_of(other.box), (other.box[2:] - other.box[:2]) / 2
        if bool(((centre > low) & (centre < high)).all()) or radius.min() <= 0:
            continue
        away = away_from(other.box, box)
        head = np.clip((HEAD_GROW - away) / NEIGHBOUR_FADE, 0, 1)
        stays = head * (1 - (core if other.in_front else own))
        if other.in_front:
            stays = np.maximum(stays, np.clip((1 - away) / NEIGHBOUR_FADE, 0, 1))
        out = np.maximum(out, stays)
    return out


def middle_of(face: np.ndarray) -> np.ndarray:
    """Of a face's box [4]: [2]."""
    middle: np.ndarray = (face[:2] + face[2:]) / 2
    return middle


def away_from(face: np.ndarray, box: Box) -> np.ndarray:
    """How far the pixels of a window are from the middle of a face's box [4], float32 [h, w]: 1 on the ellipse that fills it."""
    x0, y0, x1, y1 = (float(v) for v in face)
    y, x = np.ogrid[box.y0 : box.y1, box.x0 : box.x1]
    across, down = (x - (x0 + x1) / 2) / ((x1 - x0) / 2), (y - (y0 + y1) / 2) / ((y1 - y0) / 2)
    away: np.ndarray = np.hypot(across, down).astype(np.float32)
    return away


def _reaches(other: Neighbour, box: Box) -> bool:
    """Whether anything of a neighbour's head can lie in a window."""
    x0, y0, x1, y1 = (float(v) for v in other.box)
    across, down = (HEAD_GROW - 1) * (x1 - x0) / 2, (HEAD_GROW - 1) * (y1 - y0) / 2
    return x0 - across < box.x1 and x1 + across > box.x0 and y0 - down < box.y1 and y1 + down > box.y0


def core_mask(points: np.ndarray, box: Box, grow: float = 0.02, feather: float = 0.06) -> np.ndarray:
    """1 over eyes, brows, nose and mouth, falling to 0 outside them; float32 [h, w]; lengths in face widths.

    A floor under every other mask: neither a fringe nor the eroded edge of a turned head lets the source's features
    through.
    """
    return _hulls_mask(points, (CORE,), box, grow, feather)


def features_mask(
    points: np.ndarray, box: Box, grow: float = 0.025, feather: float = 0.02, brows: tuple[float, float] = (np.inf, np.inf),
    nose: bool = True,
) -> np.ndarray:  # fmt: skip
    """1 over each eye and brow, and over nose and mouth, but not between them; float32 [h, w].

    brows: how far each of `EYEBROWS` is grown at most. nose: False leaves it out.
    """
    mask = _hulls_mask(points, (*EYES, NOSE_MOUTH if nose else LIPS), box, grow, feather)
    for side, limit in enumerate(brows):
        mask = np.maximum(mask, brow_mask(points, box, side, min(grow, limit), feather))
    return mask


def shorter_brow(points: np.ndarray, side: int, share: float) -> np.ndarray:
    """The mesh with one of `EYEBROWS` shortened at its outer end, by a share of the distance to its next points. [468, 2]."""
    out, row = points.copy(), len(EYEBROWS[side]) // 2
    for outer in (0, row):
        first, second = EYEBROWS[side][outer : outer + 2]
        out[first] += share * (points[second] - points[first])
    return out


def brow_mask(points: np.ndarray, box: Box, side: int, grow: float, feather: float = 0.02) -> np.ndarray:
    """1 over one of `EYEBROWS` and so far around it; float32 [h, w]."""
    return _hulls_mask(points, (EYEBROWS[side],), box, grow, feather)


def mouth_mask(points: np.ndarray, box: Box, grow: float = 0.03, feather: float = 0.03) -> np.ndarray:
    """1 over the lips and what is between them, a little beyond too; float32 [h, w]."""
    return _hulls_mask(points, (LIPS,), box, grow, feather)


def lips_mask(points: np.ndarray, box: Box) -> np.ndarray:
    """1 over the lips alone, neither the skin around them nor what is between them; float32 [h, w]."""
    return mouth_mask(points, box, 0.0, 0.02) * (1 - _hulls_mask(points, (BETWEEN_LIPS,), box, 0.0, 0.01))


def irises_mask(mesh: Mesh, box: Box) -> np.ndarray:
    """1 over what the lids leave of both irises, their rims left out; float32 [h, w]."""
    mask = np.zeros(box.shape, dtype=np.float32)
    for (middle, *rim), lids in zip(mesh.irises.astype(np.float64) - box.origin, EYES, strict=True):
        radius = IRIS * float(np.linalg.norm(np.array(rim) - middle, axis=1).mean())
        x0, y0 = (int(max(0, v)) for v in np.floor(middle - radius))
        x1, y1 = (int(min(n, v)) for n, v in zip(box.shape[::-1], np.ceil(middle + radius) + 1, strict=True))
        if x1 <= x0 or y1 <= y0:
            continue
        y, x = np.ogrid[y0:y1, x0:x1]
        disc = np.clip(radius - np.hypot(x - middle[0], y - middle[1]) + 0.5, 0, 1)
        canvas = Image.new("L", ((x1 - x0) * FINER, (y1 - y0) * FINER))
        corners = (mesh.points[lids, :2] - box.origin - (x0, y0) + 0.5) * FINER - 0.5
        ImageDraw.Draw(canvas).polygon([tuple(p) for p in corners], fill=255)
        mask[y0:y1, x0:x1] = np.maximum(mask[y0:y1, x0:x1], disc * np.asarray(canvas.reduce(FINER)) / 255)
    return mask


def _hulls_mask(points: np.ndarray, parts: tuple[np.ndarray, ...], box: Box, grow: float, feather: float) -> np.ndarray:
    height, width = box.shape
    places = tuple((points[part] - box.origin).astype(np.float64).tobytes() for part in parts)
    small = _hulls_drawn(places, face_width(points), (height, width), grow, feather)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)).copy()


@lru_cache(maxsize=48)
def _hulls_drawn(parts: tuple[bytes, ...], across: float, shape: tuple[int, int], grow: float, feather: float) -> np.ndarray:
    """Hulls of points in a window at `WORK` pixels, float32. parts: points [N, 2] each, float64; across: width of the face."""
    canvas, ratio = _canvas(shape)
    for part in parts:
        corners = (np.frombuffer(part).reshape(-1, 2) + 0.5) * ratio - 0.5
        outline = corners[ConvexHull(corners, qhull_options="QJ").vertices]
        ImageDraw.Draw(canvas).polygon([tuple(p) for p in outline], fill=255)
    unit = across * float(ratio[0])
    inside = np.asarray(canvas) > 0
    away = distance_transform_edt(~inside) if inside.any() else np.full(inside.shape, np.inf)
    ramp = np.clip(1 - (away - max(grow * unit, 1.0)) / max(feather * unit, 1.0), 0, 1)
    smooth: np.ndarray = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return smooth
