"""How much of a face is not plain skin: hair on the forehead, hard shadows, strands, a beard, glasses."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ..colour import rgb_to_lab
from ..faces.alignment import ffhq_matrix, transform_points, warp
from .hair import BRIDGE, NOSE, RENDERING, above_brows, above_nose, around, between, close_up, extent, skin_distance, upright
from .mask import LIPS, features_mask, mouth_mask, soft_mask
from .stains import STAIN
from .warp import Box, face_width

ZONES = ("forehead", "jaw", "sides", "cheeks", "chin_hair", "lip_hair", "glasses")
CHIN_HAIR, GLASSES = ZONES.index("chin_hair"), ZONES.index("glasses")
BEARD = [CHIN_HAIR, ZONES.index("lip_hair")]
SIDES, PHILTRUM, CHEEK = 0.3, 0.2, 0.12  # of the face's width from the middle: where sides begin, upper lip ends, cheek begins
FADE = 0.05  # heights of the mesh below the tip of the nose, in which the jaw begins
WORK = 200  # pixels across a face: renderings have about as many, and roughness is compared with theirs
FINE = 0.012  # face widths: what is finer is texture
SMOOTH = 0.5  # of L, added to the cheek's texture: noise that every picture has
EDGE = 0.006  # face widths: what is finer is no rim
ALIGNED = 256  # pixels of the aligned face in which a rim is looked for


def coverage(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """What each of `ZONES` shows beside skin, float32 [7]; brows, eyes and lips left out.

    Of the first four the share that is far from the colour of the skin, 0..1; of a beard on the chin and on the upper lip how
    much rougher these are than the cheeks (about .5 and .8 when shaved, above 1 and 1.5 with a beard). The colour does not tell
    a beard: shadows are as dark, and grey hair is as light as skin. Of glasses the edges that cross the bridge of the nose, L
    a pixel (about .4 without, above 1.2 with them).

    picture: uint8 [H, W, 3]; mesh: [468, 2 or 3] in it. Raises FaceRejectedError "outside".
    """
    window, points, *_ = close_up(picture, mesh, WORK)
    box, (up, height), width = Box(0, 0, *window.shape[1::-1]), upright(points), face_width(points)
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1] - points[NOSE, ::-1, None, None]
    level, aside = above_nose(points, box), np.abs(y * up[0] - x * up[1]) / width
    lips = float(((points[LIPS] - points[NOSE]) @ up).mean() / height)
    high, low = above_brows(points, box), np.clip(-level / FADE, 0, 1)
    oval = soft_mask(points, box, "oval", 0.02, 0.03)
    skin = oval * (1 - features_mask(points, box, 0.02))
    middle, jaw = (1 - high) * (1 - low) * skin, low * oval * (1 - mouth_mask(points, box, 0.01, 0.02))
    distance = skin_distance(window, points, box)
    far = between(distance, STAIN)
    shares = [
        _mean(between(distance, RENDERING), high * skin), _mean(far, jaw),
        _mean(far, middle * (aside > SIDES)), _mean(far, middle * (aside <= SIDES)),
    ]  # fmt: skip
    light = rgb_to_lab(window)[..., 0]
    texture = np.abs(light - gaussian_filter(light, FINE * width))
    plain = SMOOTH + _mean(texture, oval * (1 - low) * (level < CHEEK) * (aside > CHEEK) * (aside < SIDES))
    chin, lip = jaw * (level < lips), jaw * (level >= lips) * (aside < PHILTRUM)
    rims = np.abs(np.diff(gaussian_filter(light, EDGE * width), axis=0))[extent(points[BRIDGE], box)]
    hair = [_mean(texture, zone) / plain for zone in (chin, lip)]
    return np.array([*shares, *hair, rims.mean() if rims.size else 0.0], dtype=np.float32)


def rim_line(picture: np.ndarray, points5: np.ndarray, mesh: np.ndarray) -> float:
    """How plainly a line crosses the bridge of the nose, as the rim of glasses does: L a pixel of a face aligned to 256.

    Whoever reads glasses off a face takes deep eyes and bags under them for some. Of 15 photographs of which ours was sure, ten
    with glasses have 1.9 to 8.3, five without .2 to 2.1. picture: uint8 [H, W, 3]; points5: [5, 2]; mesh: [468, 2 or 3].
    """
    matrix = ffhq_matrix(points5, ALIGNED)
    light = gaussian_filter(rgb_to_lab(warp(picture, matrix, ALIGNED))[..., 0], 1.0)
    bridge = transform_points(mesh[BRIDGE, :2].astype(np.float64), matrix)
    _, place = around(bridge, 2, Box(0, 0, ALIGNED, ALIGNED))
    rows = light[place].mean(axis=1)
    return float(np.abs(np.diff(rows)).max()) if len(rows) > 1 else 0.0


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    return float((values * weight).sum() / max(float(weight.sum()), 1.0))
