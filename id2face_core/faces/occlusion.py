"""Hands in front of a face, by MediaPipe's palm and hand networks (Zhang et al., arXiv 2006.10214)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import Delaunay

from .alignment import invert, transform_points, warp
from .landmarks import roi_matrix
from .lite import LiteNetwork
from .types import Mesh, SoftMask

PALM_SIDE, HAND_SIDE = 192, 224
SEARCH = 2.4  # side of the square in which hands are looked for, over the size of the face
PALM_SCORE, HAND_SCORE = 0.5, 0.6
OVERLAP = 0.3  # two palms that overlap more are one
HAND_SCALE, HAND_SHIFT = 2.6, 0.5  # the hand's square over the palm's box, and its way towards the fingers
WRIST, MIDDLE = 0, 2  # among the palm's seven points; the wrist is the first of the hand's 21 too
PALM = (0, 1, 2, 5, 9, 13, 17)
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
FINGER_WIDTH = 0.30  # over the distance of the knuckles of first and last finger
SOFT = 0.012  # of the mask's edge, in sizes of the face


def _anchors() -> np.ndarray:
    """Centres [2016, 2] in 0..1: two on each cell of a grid of 24, six on each of a grid of 12."""
    out = []
    for cells, each in ((24, 2), (12, 6)):
        line = (np.arange(cells) + 0.5) / cells
        out.append(np.repeat(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), each, axis=0))
    return np.concatenate(out)


class OcclusionReader:
    """What is in front of a face. Not thread-safe."""

    def __init__(self, palm: Path, hand: Path) -> None:
        self._palm, self._hand = LiteNetwork(palm), LiteNetwork(hand)
        self._anchors = _anchors()

    @classmethod
    def from_folder(cls, folder: Path) -> OcclusionReader:
        """Load `palm_detection_lite.tflite` and `hand_landmark_lite.tflite` of a folder."""
        return cls(Path(folder) / "palm_detection_lite.tflite", Path(folder) / "hand_landmark_lite.tflite")

    def read(self, picture: np.ndarray, mesh: Mesh) -> SoftMask:
        """Hands near a face, with a soft edge. picture: uint8 [H, W, 3]; mesh: of the face."""
        points = mesh.points[:, :2].astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        size = float((high - low).max())
        hull = Delaunay(points)
        corner = np.maximum(np.floor((low + high - SEARCH * size) / 2).astype(int), 0)
        edge = np.minimum(np.ceil((low + high + SEARCH * size) / 2).astype(int), picture.shape[1::-1])
        out = np.zeros(np.maximum(edge - corner, 1)[::-1], dtype=np.float32)
        for palm in self._palms(picture, (low + high) / 2, SEARCH * size):
            hand = self._landmarks(picture, *palm)
            # the networks take some faces for hands: a hand comes from outside the face
            if hand is not None and hull.find_simplex(hand[WRIST]) < 0:
                _draw(out, hand - corner, max(0.7, SOFT * size))
        return SoftMask(int(corner[0]), int(corner[1]), out)

    def _palms(self, picture: np.ndarray, centre: np.ndarray, side: float) -> list[tuple[np.ndarray, float, float]]:
        """(centre, side, roll) of the square around each hand, in the picture."""
        matrix = roi_matrix(centre, side, 0.0, PALM_SIDE)
        outputs = self._palm(warp(picture, matrix, PALM_SIDE))
        raw = next(o for o in outputs if o.size == 2016 * 18).reshape(2016, 9, 2) / PALM_SIDE
        logits = next(o for o in outputs if o.size == 2016)
        order = [i for i in np.argsort(-logits) if logits[i] > math.log(PALM_SCORE / (1 - PALM_SCORE))]
        found: list[tuple[np.ndarray, float, float]] = []
        boxes: list[np.ndarray] = []
        for i in order:
            middle, extent = raw[i, 0] + self._anchors[i], raw[i, 1]
            box = np.concatenate([middle - extent / 2, middle + extent / 2])
            if any(_overlap(box, other) > OVERLAP for other in boxes):
                continue
            boxes.append(box)
            marks = raw[i, 2:] + self._anchors[i]
            ahead = marks[MIDDLE] - marks[WRIST]
            length = float(extent.max())
            place = middle + HAND_SHIFT * length * ahead / max(float(np.linalg.norm(ahead)), 1e-6)
            spot = transform_points((place * PALM_SIDE - 0.5)[None], invert(matrix))[0]
            found.append((spot, HAND_SCALE * length * side, math.atan2(ahead[0], -ahead[1])))
        return found

    def _landmarks(self, picture: np.ndarray, centre: np.ndarray, side: float, roll: float) -> np.ndarray | None:
        """21 points of a hand [21, 2] in the picture; None where the network sees none."""
        if not side > 8:
            return None
        matrix = roi_matrix(centre, side, roll, HAND_SIDE)
        outputs = self._hand(warp(picture, matrix, HAND_SIDE))
        if float(outputs[1][0]) < HAND_SCORE:
            return None
        marks = outputs[0].reshape(21, 3)[:, :2].astype(np.float64)
        return transform_points(marks, invert(matrix))


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(common / max((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common, 1e-12))


def _draw(mask: np.ndarray, hand: np.ndarray, soft: float) -> None:
    """A hand of 21 points [21, 2] into a mask [H, W], as limbs of its own thickness."""
    thick = FINGER_WIDTH * max(float(np.linalg.norm(hand[5] - hand[17])), 0.35 * float(np.linalg.norm(hand[0] - hand[9])))
    margin = 2 * thick + 4 * soft
    x0, y0 = np.maximum(np.floor(hand.min(axis=0) - margin).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(hand.max(axis=0) + margin).astype(int) + 1, mask.shape[::-1])
    if x1 <= x0 or y1 <= y0:
        return
    canvas = Image.new("L", (int(x1 - x0), int(y1 - y0)))
    pen = ImageDraw.Draw(canvas)
    local = [(float(x - x0), float(y - y0)) for x, y in hand]
    pen.polygon([local[i] for i in PALM], fill=255)
    pen.line([local[i] for i in (*PALM, PALM[0])], fill=255, width=max(1, round(thick)), joint="curve")
    for finger in FINGERS:
        pen.line([local[i] for i in finger], fill=255, width=max(1, round(thick)), joint="curve")
        for x, y in (local[finger[0]], local[finger[-1]]):
            pen.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], fill=255)
    share = gaussian_filter(np.asarray(canvas, dtype=np.float32) / 255, soft)
    mask[y0:y1, x0:x1] = np.maximum(mask[y0:y1, x0:x1], share)
