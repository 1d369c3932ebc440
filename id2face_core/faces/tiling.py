"""Large pictures and small faces: the whole picture at reduced sizes, then overlapping tiles at full size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .detection import deduplicate
from .types import Face, FaceDetector

TILE = 1280
OVERLAP = 192  # a face smaller than this lies whole in at least one tile; larger ones are found in the reduced picture
SMALL = 480  # faces that fill a large picture are missed at full size: it is also looked at this small


class TiledDetector:
    """Runs a detector over a pyramid and unites what it finds.

    Levels: about 480 px (faces that fill the picture), 1280 px, and, beyond that, tiles of the full picture.
    """

    def __init__(self, detector: FaceDetector, tile: int = TILE, overlap: int = OVERLAP) -> None:
        self.detector, self.tile, self.overlap = detector, tile, overlap
        self.name = detector.name

    def detect(self, picture: np.ndarray) -> list[Face]:
        """uint8 [H, W, 3] RGB -> faces, largest first."""
        longest = max(picture.shape[:2])
        faces: list[Face] = []
        for side in (SMALL, self.tile):
            if longest > side:
                faces += self._scaled(picture, side / longest)
        if longest <= self.tile:
            faces += self._scaled(picture, 1.0)
        else:
            faces += self._tiles(picture)
        return deduplicate([f for f in faces if np.isfinite(f.box).all() and np.isfinite(f.points).all()])

    def _scaled(self, picture: np.ndarray, scale: float) -> list[Face]:
        height, width = picture.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
        ratio = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return [_mapped(face, ratio, np.zeros(2, dtype=np.float32)) for face in self.detector.detect(image)]

    def _tiles(self, picture: np.ndarray) -> list[Face]:
        height, width = picture.shape[:2]
        one = np.ones(2, dtype=np.float32)
        faces = []
        for y in _starts(height, self.tile, self.overlap):
            for x in _starts(width, self.tile, self.overlap):
                tile = picture[y : y + self.tile, x : x + self.tile]
                found = [_mapped(f, one, np.array([x, y], dtype=np.float32)) for f in self.detector.detect(tile)]
                faces += [f for f in found if float((f.box[2:] - f.box[:2]).max()) <= 2 * self.overlap]
        return faces


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _mapped(face: Face, ratio: np.ndarray, offset: np.ndarray) -> Face:
    return Face(face.box * np.tile(ratio, 2) + np.tile(offset, 2), face.points * ratio + offset, face.score)
