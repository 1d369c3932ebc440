"""A large face at the size at which everything that judges it looks anyway.

Recognisers, meshes and readers see crops of 112 to 256 pixels. Attempts that are made only to be judged are therefore pasted
into a reduced copy of the face's surroundings, and the one that is chosen once more into the photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from .faces.types import Face, Mesh, SoftMask
from .photograph.warp import Box, face_width, window_around
from .reading import SourceFace

WIDTH = 208.0  # pixels; width of a face in a scene: the closest look of all is 256 px at 1.5 faces
WORTH = 1.25  # a face must be so many times wider to be reduced
AROUND = 1.2  # what of its surroundings is in the scene, in widths of the face beyond the mesh


@dataclass(frozen=True)
class Scene:
    """picture: uint8 [h, w, 3]; source, others: the face that is replaced, and all of the picture's, in its pixels.

    reduced: whether this is not the photograph itself.
    """

    picture: np.ndarray = field(repr=False)
    source: SourceFace = field(repr=False)
    others: Sequence[Face] = field(repr=False)
    reduced: bool = False


def scene_of(picture: np.ndarray, source: SourceFace, others: Sequence[Face]) -> Scene:
    """The surroundings of a face in a picture uint8 [H, W, 3]; the picture itself where the face is no larger than a scene's."""
    width = face_width(source.mesh.points)
    factor = width / WIDTH
    if factor < WORTH:
        return Scene(picture, source, others)
    box = window_around(source.mesh.points, picture.shape, AROUND)
    size = max(1, round((box.x1 - box.x0) / factor)), max(1, round((box.y1 - box.y0) / factor))
    view = _View(box, size)
    small = Image.fromarray(picture[box.y0 : box.y1, box.x0 : box.x1]).resize(size, Image.Resampling.BOX)
    # the identity of the object tells which of the others this one is
    moved = {id(face): view.face(face) for face in (*others, source.face)}
    inside = replace(
        source, face=moved[id(source.face)], mesh=view.mesh(source.mesh), occluder=view.mask(source.occluder),
        person=view.mask(source.person), hair=view.mask(source.hair),
    )  # fmt: skip
    return Scene(np.array(small), inside, [moved[id(face)] for face in others], True)


@dataclass(frozen=True)
class _View:
    """A window of the photograph at another size (width, height)."""

    box: Box
    size: tuple[int, int]

    @property
    def scale(self) -> np.ndarray:
        return np.array(self.size) / self.box.shape[::-1]

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2], with the centre of the first pixel at (0, 0)."""
        moved: np.ndarray = (points - self.box.origin + 0.5) * self.scale - 0.5
        return moved.astype(np.float32)

    def face(self, face: Face) -> Face:
        return Face(self.points(face.box.reshape(2, 2)).reshape(4), self.points(face.points), face.score)

    def mesh(self, mesh: Mesh) -> Mesh:
        points = np.hstack((self.points(mesh.points[:, :2]), mesh.points[:, 2:] * np.float32(self.scale.mean())))
        close = None if mesh.close is None else self.points(mesh.close)
        return replace(mesh, points=points, irises=self.points(mesh.irises), close=close)

    def mask(self, mask: SoftMask) -> SoftMask:
        share = Image.fromarray(mask.window(*self.box.corners)).resize(self.size, Image.Resampling.BOX)
        return SoftMask(0, 0, np.asarray(share))
