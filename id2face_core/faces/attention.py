"""478 points of a face, which follow lips, lids and irises closely: MediaPipe's attention mesh.

Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", arXiv 2006.10962. A trunk gives the coarse
mesh and a feature map; what the map shows of the lips and of each eye is cut out, upright, by where the mesh has them; a head
each finds their points again within it. LiteRT runs trunk and heads, but has no operator for what lies between: that is here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .lite import LiteNetwork, parts_of

SIDE = 192  # pixels of the picture that the trunk takes
STRIDE = 4  # pixels of it for one of the feature map
CROP = 16  # pixels of the map that a head takes
REACH = 1.5  # a crop over the box of its points
FEATURES = "p_re_lu_3"

# Points of the mesh in the order of the heads' outputs.
LIPS = np.array([
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88, 178, 87, 14, 317,
    402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415, 76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74,
    73, 72, 11, 302, 303, 304, 408, 62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407,
])  # fmt: skip
EYES = np.array([
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110, 24, 23, 22, 26, 112, 243, 247,
     30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189, 35, 124, 46, 53,
     52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255, 339, 254, 253, 252, 256, 341,
     463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
     265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336, 285, 417],
])  # fmt: skip
IRISES = np.arange(468, 478).reshape(2, 5)  # viewer's left first; centre, then 4 rim points


@dataclass(frozen=True)
class _Head:
    """inlet, outlets: names of tensors. finds: points of the mesh, a list for each outlet; the first one's box is cut out.

    level: the points whose line is horizontal in the crop.
    """

    inlet: str
    outlets: tuple[str, ...]
    finds: tuple[np.ndarray, ...]
    level: tuple[int, int]


HEADS = (
    _Head("transform_tensor_bilinear_v2", ("conv_lips",), (LIPS,), (61, 291)),
    _Head("transform_tensor_bilinear_v2_1", ("conv_left_eye", "conv_left_iris"), (EYES[0], IRISES[0]), (33, 133)),
    _Head("transform_tensor_bilinear_v2_2", ("conv_right_eye", "conv_right_iris"), (EYES[1], IRISES[1]), (362, 263)),
)


class AttentionNetwork:
    """uint8 crop [192, 192, 3] of a face, half as large again as its mesh -> its points [478, 2] in pixels of the crop.

    Not thread-safe: LiteRT's interpreters hold their tensors. Raises AssetCorruptError for another file.
    """

    def __init__(self, path: Path) -> None:
        cuts = [("input_1", ("output_mesh", FEATURES)), *((head.inlet, head.outlets) for head in HEADS)]
        self._trunk, *self._heads = (LiteNetwork(part) for part in parts_of(path, cuts))

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        mesh, features = self._trunk(crop)
        coarse = mesh.reshape(468, 3)[:, :2].astype(np.float64)
        points = np.concatenate([coarse, np.zeros((IRISES.size, 2))])
        features = features.reshape(SIDE // STRIDE, SIDE // STRIDE, -1)
        for network, head in zip(self._heads, HEADS, strict=True):
            matrix = crop_matrix(coarse[head.finds[0]], coarse[list(head.level)])
            for found, where in zip(network.run(cut(features, matrix)), head.finds, strict=True):
                points[where] = found.reshape(-1, 2) @ matrix[:, :2].T + matrix[:, 2]
        return points


def crop_matrix(points: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Map [2, 3] from a head's crop to the picture, both in pixels of the picture's size and from the edge of the first one.

    Args:
        points: [N, 2]; their box, upright with the line between level [2, 2], is enlarged and stretched to the crop.
    """
    across = level[1] - level[0]
    roll = math.atan2(across[1], across[0])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    upright = points @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    side = STRIDE * CROP
    linear = turn * (REACH * (high - low) / side)
    offset = turn @ ((low + high) / 2) - linear @ np.full(2, side / 2)
    return np.concatenate([linear, offset[:, None]], axis=1)


def cut(features: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The crop [16, 16, C] of a feature map [H, W, C] by a `crop_matrix`: bilinear, 0 outside."""
    line = (np.arange(CROP) + 0.5) * STRIDE
    places = np.stack(np.meshgrid(line, line), axis=-1)
    where = (places @ matrix[:, :2].T + matrix[:, 2]) / STRIDE - 0.5
    last = np.array(features.shape[1::-1]) - 1
    inside = ((where >= 0) & (where <= last)).all(axis=-1)
    where = np.clip(where, 0, last)
    first = np.minimum(where.astype(int), last - 1)
    (x, y), (u, v) = np.moveaxis(first, -1, 0), np.moveaxis(where - first, -1, 0)[..., None]
    above = (1 - u) * features[y, x] + u * features[y, x + 1]
    below = (1 - u) * features[y + 1, x] + u * features[y + 1, x + 1]
    crop: np.ndarray = ((1 - v) * above + v * below) * inside[..., None]
    return crop
