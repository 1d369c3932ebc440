"""How much of a face is not plain skin: hair on the forehead, a beard, strands, hard shadows."""

from __future__ import annotations

import numpy as np

from .hair import RENDERING, above_brows, between, skin_distance, upright
from .mask import features_mask, mouth_mask, soft_mask
from .stains import STAIN
from .warp import face_width, window_around

ZONES = ("forehead", "jaw", "sides", "cheeks")
SIDES = 0.3  # of the face's width from the middle, where the sides begin
NOSE, FADE = 1, 0.05  # point of its tip, below which the jaw begins; in heights of the mesh


def coverage(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Share of each of `ZONES` that is far from the colour of the skin, float32 [4] in 0..1; brows, eyes, lips left out.

    picture: uint8 [H, W, 3]; mesh: [468, 2 or 3] in it. Raises FaceRejectedError "outside".
    """
    points = mesh[:, :2].astype(np.float64)
    box, (up, height) = window_around(points, picture.shape), upright(points)
    distance = skin_distance(picture[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32), points, box)
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    x, y = x - points[NOSE, 0], y - points[NOSE, 1]
    low = np.clip(-(x * up[0] + y * up[1]) / (FADE * height), 0, 1)
    aside = np.abs(y * up[0] - x * up[1]) > SIDES * face_width(points)
    high, oval = above_brows(points, box), soft_mask(points, box, "oval", 0.02, 0.03)
    skin = oval * (1 - features_mask(points, box, 0.02))
    middle, covered = (1 - high) * (1 - low) * skin, between(distance, STAIN)
    zones = (
        (high * skin, between(distance, RENDERING)), (low * oval * (1 - mouth_mask(points, box, 0.0, 0.02)), covered),
        (middle * aside, covered), (middle * ~aside, covered),
    )  # fmt: skip
    return np.array([(share * zone).sum() / max(float(zone.sum()), 1.0) for zone, share in zones], dtype=np.float32)
