"""Which pixels are replaced: the face's oval or the whole head, and what of a fringe stays."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from ..colour import rgb_to_lab
from .warp import OVAL, Box, face_width

WORK = 256  # masks are drawn at about this many pixels a side, then enlarged: they are smooth
BROWS = np.array([70, 63, 105, 66, 107, 336, 296, 334, 293, 300])
HAIR_LOW, HAIR_HIGH = 18.0, 32.0  # Lab distance from the skin where hair begins and is certain


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
    """Mask of a region, float32 [h, w] in 0..1; erode and feather in face widths. points: [468, 2] in the photograph."""
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
    return np.asarray(Image.fromarray(smooth.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)).copy()


def _above_brows(points: np.ndarray, box: Box) -> np.ndarray:
    """0..1 weight of the forehead above the brows, float32 [h, w]."""
    up = points[10] - points[152]
    height = max(float(np.linalg.norm(up)), 1e-6)
    up = up / height
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    level = float((points[BROWS] @ up).mean())
    rise = x * up[0] + y * up[1] - level
    return np.clip((rise / height - 0.05) / 0.05, 0, 1).astype(np.float32)


def hair_share(window: np.ndarray, points: np.ndarray, box: Box) -> np.ndarray:
    """Where a picture shows hair instead of forehead, float32 [h, w] in 0..1.

    Only above the brows: eyes, nose and mouth are always replaced, whatever covers them. `window` is float [h, w, 3] 0..255.
    """
    height, width = box.shape
    cheeks = np.clip(np.rint(points[[50, 280, 205, 425, 9, 151]] - box.origin), 0, (width - 1, height - 1)).astype(int)
    smooth = gaussian_filter(window, (max(0.6, 0.008 * width), max(0.6, 0.008 * width), 0))
    lab = rgb_to_lab(smooth)
    skin = np.median(lab[cheeks[:, 1], cheeks[:, 0]], axis=0)
    distance = np.sqrt(np.square((lab - skin) * (0.8, 1.0, 1.0)).sum(axis=-1))
    share = np.clip((distance - HAIR_LOW) / (HAIR_HIGH - HAIR_LOW), 0, 1) * _above_brows(points, box)
    certain, _ = label(share > 0.5)
    reaching = np.unique(certain[soft_mask(points, box, "face", 0.0, 0.02) < 0.6])  # a fringe comes from outside
    return (share * np.isin(certain, reaching[reaching > 0])).astype(np.float32)
