"""Which pixels are replaced: the face's oval or the whole head, and what of a fringe stays."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
from scipy.spatial import ConvexHull

from ..colour import rgb_to_lab
from .warp import EYES, OVAL, Box, face_width

WORK = 256  # masks are drawn at about this many pixels a side, then enlarged: they are smooth
BROWS = np.array([70, 63, 105, 66, 107, 336, 296, 334, 293, 300])
NOSE_MOUTH = np.array([1, 2, 4, 5, 6, 48, 278, 64, 294, 61, 291, 0, 17, 37, 267, 84, 314, 57, 287])
CORE = np.concatenate([BROWS, *EYES, NOSE_MOUTH])  # what is always replaced, whatever covers it
HAIR_SOURCE = (15.0, 28.0)  # Lab distance from the skin where hair begins and is certain
HAIR_RENDERING = (9.0, 17.0)  # a strand too many taken out costs nothing there: the source's own forehead stays


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
    if region == "face":  # the mesh ends in mid forehead: go on towards the hairline, and a little around the jaw
        above = np.clip(((oval - points[[234, 454]].mean(axis=0)) @ up) / (0.5 * height), 0, 1)[:, None]
        centre = oval.mean(axis=0)
        return oval + above * up * 0.07 * height + 0.015 * (oval - centre)
    return oval


def soft_mask(points: np.ndarray, box: Box, region: str, erode: float = 0.02, feather: float = 0.05) -> np.ndarray:
    """Mask of a region, float32 [h, w] in 0..1; erode, feather in face widths. points: [468, 2] in the picture."""
    height, width = box.shape
    scale = min(1.0, WORK / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    ratio = np.array(size) / (width, height)
    canvas = Image.new("L", size)
    polygon = (_outline(points, region) - box.origin + 0.5) * ratio - 0.5
    ImageDraw.Draw(canvas).polygon([tuple(p) for p in polygon], fill=255)
    unit = face_width(points) * float(ratio[0])
    # a border of zeros: what leaves the picture is not an edge of the face
    inside = distance_transform_edt(np.asarray(canvas) > 0)
    ramp = np.clip((inside - erode * unit) / max(feather * unit, 1.0), 0, 1)
    smooth = ramp * ramp * (3 - 2 * ramp)
    soft = Image.fromarray(smooth.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(soft).copy()


def core_mask(points: np.ndarray, box: Box, grow: float = 0.02, feather: float = 0.06) -> np.ndarray:
    """1 over eyes, brows, nose and mouth, falling to 0 outside them; float32 [h, w]; lengths in face widths.

    A floor under every other mask: neither a fringe nor the eroded edge of a turned head lets the source's features
    through.
    """
    height, width = box.shape
    scale = min(1.0, WORK / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    ratio = np.array(size) / (width, height)
    corners = (points[CORE] - box.origin + 0.5) * ratio - 0.5
    canvas = Image.new("L", size)
    outline = corners[ConvexHull(corners, qhull_options="QJ").vertices]
    ImageDraw.Draw(canvas).polygon([tuple(p) for p in outline], fill=255)
    unit = face_width(points) * float(ratio[0])
    inside = np.asarray(canvas) > 0
    away = distance_transform_edt(~inside) if inside.any() else np.full(inside.shape, np.inf)
    ramp = np.clip(1 - (away - max(grow * unit, 1.0)) / max(feather * unit, 1.0), 0, 1)
    smooth = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return np.asarray(Image.fromarray(smooth).resize((width, height), Image.Resampling.BILINEAR)).copy()


def _above_brows(points: np.ndarray, box: Box) -> np.ndarray:
    """0..1 weight of the forehead above the brows, float32 [h, w]."""
    up = points[10] - points[152]
    height = max(float(np.linalg.norm(up)), 1e-6)
    up = up / height
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    level = float((points[BROWS] @ up).mean())
    rise = x * up[0] + y * up[1] - level
    return np.clip((rise / height - 0.05) / 0.05, 0, 1).astype(np.float32)


def hair_share(
    window: np.ndarray, points: np.ndarray, box: Box, limits: tuple[float, float] = HAIR_SOURCE
) -> np.ndarray:
    """Where a picture shows hair instead of forehead, float32 [h, w] in 0..1.

    Only above the brows: eyes, nose and mouth are always replaced, whatever covers them. `window` is float [h, w, 3]
    0..255; limits: Lab distances from the skin where hair begins and is certain.
    """
    height, width = box.shape
    unit = face_width(points)
    cheeks = np.clip(np.rint(points[[50, 280, 205, 425, 9, 151]] - box.origin), 0, (width - 1, height - 1)).astype(int)
    soft = max(0.6, 0.008 * unit)
    lab = rgb_to_lab(gaussian_filter(window, (soft, soft, 0)))
    skin = np.median(lab[cheeks[:, 1], cheeks[:, 0]], axis=0)
    distance = np.sqrt(np.square((lab - skin) * (0.8, 1.0, 1.0)).sum(axis=-1))
    share = np.clip((distance - limits[0]) / (limits[1] - limits[0]), 0, 1) * _above_brows(points, box)
    certain, _ = label(share > 0.4)
    reaching = np.unique(certain[soft_mask(points, box, "face", 0.0, 0.02) < 0.6])  # a fringe comes from outside
    share = share * np.isin(certain, reaching[reaching > 0])
    grown = maximum_filter(share, max(1, round(0.03 * unit)))
    return np.clip(gaussian_filter(grown, max(0.6, 0.015 * unit)), 0, 1).astype(np.float32)
