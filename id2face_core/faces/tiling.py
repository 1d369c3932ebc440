"""Large pictures and small faces: the whole picture at reduced sizes, then overlapping tiles at full size."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ..errors import ShapeError
from .detection import INSIDE, deduplicate, in_order, overlap
from .types import Face, FaceDetector

TILE = 1280
OVERLAP = 128  # a face smaller than this lies whole in at least one tile; larger ones are found in the reduced picture
LARGEST_IN_TILE = 384  # larger boxes in a tile are parts of something that the reduced picture shows whole
SMALL = 480  # faces that fill a large picture are missed at full size: it is also looked at this small
LAST_RESORT = 160  # longest side of a picture that is put into a grey frame when nothing was found in it


class TiledDetector:
    """Runs a detector over a pyramid and unites what it finds.

    Levels: about 480 px (faces that fill the picture), 1280 px, and, beyond that, tiles of the full picture.
    A picture without any face is looked at once more, small and in a grey frame: a face may fill it to the border.
    """

    def __init__(self, detector: FaceDetector, tile: int = TILE, overlap: int = OVERLAP) -> None:
        self.detector, self.tile, self.overlap = detector, tile, overlap
        self.name = detector.name

    def detect(self, picture: np.ndarray) -> list[Face]:
        """uint8 [H, W, 3] RGB -> faces, largest first. Raises ShapeError for any other array."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ShapeError(f"picture is {picture.dtype} {picture.shape}; expected uint8 [H, W, 3]")
        longest = max(picture.shape[:2])
        scales = [side / longest for side in (SMALL, self.tile) if longest > side]
        faces = [face for scale in scales for face in self._scaled(picture, scale)]
        if longest <= self.tile:
            faces += self._scaled(picture, 1.0)
        else:
            whole, cut = self._tiles(picture)
            faces += whole
            faces += [face for face in cut if not _lies_inside(face, faces)]
        faces = deduplicate([in_order(face) for face in faces if _finite(face)])
        return faces or deduplicate([in_order(face) for face in self._framed(picture) if _finite(face)])

    def _scaled(self, picture: np.ndarray, scale: float) -> list[Face]:
        image, ratio = _resized(picture, scale)
        return [_mapped(face, ratio, np.zeros(2, dtype=np.float32)) for face in self.detector.detect(image)]

    def _framed(self, picture: np.ndarray) -> list[Face]:
        image, ratio = _resized(picture, min(1.0, LAST_RESORT / max(picture.shape[:2])))
        edge = max(image.shape[:2]) // 2
        framed = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), constant_values=127)
        return [_mapped(face, ratio, -edge * ratio) for face in self.detector.detect(framed)]

    def _tiles(self, picture: np.ndarray) -> tuple[list[Face], list[Face]]:
        """Faces of all tiles: those that lie whole in a tile, and those that an inner border may have cut."""
        limit = np.array(picture.shape[1::-1])
        one = np.ones(2, dtype=np.float32)
        whole: list[Face] = []
        cut: list[Face] = []
        for y0, y1 in spans(picture.shape[0], self.tile, self.overlap):
            for x0, x1 in spans(picture.shape[1], self.tile, self.overlap):
                low, high = np.array([x0, y0]), np.array([x1, y1])
                for found in self.detector.detect(picture[y0:y1, x0:x1]):
                    face = _mapped(found, one, low.astype(np.float32))
                    over = ((face.box[:2] < low + 2) & (low > 0)) | ((face.box[2:] > high - 2) & (high < limit))
                    if float((face.box[2:] - face.box[:2]).max()) <= LARGEST_IN_TILE:
                        (cut if over.any() else whole).append(face)
        return whole, cut


def _finite(face: Face) -> bool:
    return bool(np.isfinite(face.box).all() and np.isfinite(face.points).all())


def _lies_inside(face: Face, others: list[Face]) -> bool:
    return bool(others) and bool((overlap(face.box, np.stack([other.box for other in others]))[1] > INSIDE).any())


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """(start, stop) of equal tiles that cover a length and overlap by at least `overlap`; none is longer than `tile`."""
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    side = min(tile, -(-math.ceil((length + (count - 1) * overlap) / count) // 32) * 32)
    starts = [(i * (length - side)) // (count - 1) for i in range(count)]
    return [(start, start + side) for start in starts]


def _resized(picture: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture at a scale, and the ratios (x, y) that lead back."""
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    return image, np.array([width / size[0], height / size[1]], dtype=np.float32)


def _mapped(face: Face, ratio: np.ndarray, offset: np.ndarray) -> Face:
    return Face(face.box * np.tile(ratio, 2) + np.tile(offset, 2), face.points * ratio + offset, face.score)
