"""Where a finished picture shows something else on skin that was bare: what an onlooker takes offence at first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from ..faces.types import SoftMask
from .hair import between, skin_distance
from .mask import features_mask, soft_mask
from .warp import Box, face_width, window_around

STAIN = (8.0, 24.0)  # Lab distance from the skin, beyond the source's there, where a stain begins and is certain
BLUR = 0.03  # of that distance, in face widths: shadows, a beard, glasses come back, but not to the pixel


@dataclass(frozen=True)
class BareSkin:
    """The bare skin of a source in its photograph.

    points: [468, 2] of its mesh; place: float32 [h, w] in 0..1, where in the window `box` it is; before: its distance from
    the colour of the skin, see `hair.skin_distance`.
    """

    points: np.ndarray = field(repr=False)
    box: Box
    place: np.ndarray = field(repr=False)
    before: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, picture: np.ndarray, mesh: np.ndarray, hair: SoftMask) -> BareSkin:
        """That of a face in a picture uint8 [H, W, 3], with a mesh [468, 2 or 3].

        hair: see `hair.hair_share`. Raises FaceRejectedError "outside".
        """
        points = mesh[:, :2].astype(np.float64)
        box = window_around(points, picture.shape)
        source = _cut(picture, box)
        place = soft_mask(points, box, "face", 0.02, 0.05) * (1 - features_mask(points, box, 0.03))
        before = gaussian_filter(skin_distance(source, points, box), BLUR * face_width(points))
        return cls(points, box, place * (1 - hair.window(*box.corners)), before)

    def stained(self, picture: np.ndarray) -> float:
        """Share of it, 0..1, that is far from the skin of the new face in a picture uint8 [H, W, 3].

        Beards that nobody had, strands, shadows, light from another side, the edge of the new face's hair.
        """
        beyond = skin_distance(_cut(picture, self.box), self.points, self.box) - self.before
        return float((between(beyond, STAIN) * self.place).sum() / max(float(self.place.sum()), 1.0))


def _cut(picture: np.ndarray, box: Box) -> np.ndarray:
    return picture[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32)
