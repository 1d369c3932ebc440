"""Pose, gaze and normalised points from a mesh, in closed form."""

from __future__ import annotations

import math

import numpy as np

from ..faces.types import Mesh

# The points that MediaPipe's blendshape network looks at (irises from 468 on).
BLENDSHAPE_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82,
    84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157,
    158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270,
    276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334,
    336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398,
    400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
])  # fmt: skip
EYE_CORNERS = ((33, 133), (362, 263))


def head_pose(points: np.ndarray, canonical: np.ndarray) -> tuple[float, float, float]:
    """Rotation of a mesh against the canonical frontal one (orthogonal Procrustes, Kabsch 1976).

    Args:
        points, canonical: [468, 3], z growing away from the camera, y down.

    Returns:
        yaw (positive: looks to the viewer's right), pitch (positive: up), roll (positive: clockwise), degrees.
    """
    p, c = points - points.mean(axis=0), canonical - canonical.mean(axis=0)
    u, _, vt = np.linalg.svd(c.T @ p)
    sign = np.sign(np.linalg.det(u @ vt))
    rotation = vt.T @ np.diag((1, 1, sign)) @ u.T  # canonical -> observed
    forward, right = rotation @ (0, 0, -1), rotation @ (1, 0, 0)
    yaw = math.degrees(math.atan2(forward[0], -forward[2]))
    pitch = math.degrees(math.atan2(-forward[1], math.hypot(forward[0], forward[2])))
    return yaw, pitch, math.degrees(math.atan2(right[1], right[0]))


def gaze_offset(mesh: Mesh) -> np.ndarray:
    """Iris centre against the middle of the eye corners, over the eye's width, in the eye's own axes. [2]."""
    offsets = []
    for eye, (first, second) in enumerate(EYE_CORNERS):
        a, b = mesh.points[first, :2], mesh.points[second, :2]
        axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
        shift = (mesh.irises[eye, 0] - (a + b) / 2) / max(float(np.linalg.norm(b - a)), 1e-6)
        offsets.append((shift @ axis, shift @ np.array([-axis[1], axis[0]])))
    return np.mean(offsets, axis=0)


def normalised_points(points: np.ndarray, irises: np.ndarray) -> np.ndarray:
    """The 146 points of the blendshape network without place, size and roll.

    Args:
        points: [..., 468, 3]; irises: [..., 2, 5, 2].

    Returns:
        float32 [..., 292].
    """
    flat = np.concatenate([points[..., :2], irises.reshape(*irises.shape[:-3], 10, 2)], axis=-2)
    across = flat[..., 263, :] - flat[..., 33, :]
    chosen = flat[..., BLENDSHAPE_POINTS, :]
    chosen = chosen - chosen.mean(axis=-2, keepdims=True)
    size = np.sqrt(np.square(chosen).sum(axis=-1).mean(axis=-1))[..., None, None].clip(1e-6)
    angle = np.arctan2(across[..., 1], across[..., 0])
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    x, y = chosen[..., 0] * cos + chosen[..., 1] * sin, -chosen[..., 0] * sin + chosen[..., 1] * cos
    turned = np.stack((x, y), axis=-1) / size
    return turned.reshape(*turned.shape[:-2], -1).astype(np.float32)
