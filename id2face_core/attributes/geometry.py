"""Pose, gaze and normalised points from meshes, in closed form: of one face in NumPy, of a batch in torch with gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..faces.attention import EYES, IRISES, LIPS
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
EYE_CORNERS, MOUTH_CORNERS = ((33, 133), (362, 263)), (61, 291)
CLOSE_INPUTS = 2 * (len(BLENDSHAPE_POINTS) + LIPS.size + EYES.size + IRISES.size)  # numbers of `close_points`


def head_pose(points: np.ndarray, canonical: np.ndarray) -> tuple[float, float, float]:
    """`head_poses` of one mesh [468, 3] of float64: yaw, pitch, roll in degrees."""
    yaw, pitch, roll = head_poses(torch.from_numpy(points)[None], torch.from_numpy(canonical))[0].tolist()
    return yaw, pitch, roll


def head_poses(points: Tensor, canonical: Tensor) -> Tensor:
    """Rotation of meshes against the canonical frontal one (orthogonal Procrustes, Kabsch 1976).

    Args:
        points: [B, 468, 3]; canonical: [468, 3]; z growing away from the camera, y down.

    Returns:
        [B, 3]: yaw (positive: looks to the viewer's right), pitch (positive: up), roll (positive: clockwise), degrees.
    """
    rotation = head_rotations(points, canonical)
    forward, right = -rotation[..., 2], rotation[..., 0]
    yaw = torch.atan2(forward[:, 0], -forward[:, 2])
    pitch = torch.atan2(-forward[:, 1], torch.hypot(forward[:, 0], forward[:, 2]))
    return torch.rad2deg(torch.stack((yaw, pitch, torch.atan2(right[:, 1], right[:, 0])), dim=1))


def head_rotations(points: Tensor, canonical: Tensor) -> Tensor:
    """Rotations [B, 3, 3] that take the canonical mesh [468, 3] onto meshes [B, 468, 3], see `head_poses`."""
    p, c = points - points.mean(dim=1, keepdim=True), (canonical - canonical.mean(dim=0)).to(points)
    u, _, vt = torch.linalg.svd(c.T @ p)
    sign = torch.ones_like(u[:, 0])
    sign[:, 2] = torch.det(u @ vt).detach().sign()
    return vt.mT @ (sign[..., None] * u.mT)


def mesh_sizes(points: Tensor) -> Tensor:
    """Root mean square distance of the points of meshes [B, 468, 3] from their middle. [B]."""
    return (points - points.mean(dim=1, keepdim=True)).square().sum(dim=2).mean(dim=1).sqrt()


def gaze_offset(mesh: Mesh) -> np.ndarray:
    """`gaze_offsets` of one face. [2]."""
    points, irises = torch.from_numpy(mesh.points)[None], torch.from_numpy(mesh.irises)[None]
    return gaze_offsets(points, irises)[0].numpy()


def gaze_offsets(points: Tensor, irises: Tensor) -> Tensor:
    """Iris centre against the middle of the eye corners, over the eye's width, in the eye's own axes, mean of both eyes.

    points: [B, 468, 3]; irises: [B, 2, 5, 2]. Returns [B, 2], right and down positive.
    """
    first, second = (points[:, [pair[i] for pair in EYE_CORNERS], :2] for i in (0, 1))  # [B, 2 eyes, 2]
    width = (second - first).norm(dim=2, keepdim=True).clamp_min(1e-6)
    axis, shift = (second - first) / width, (irises[:, :, 0] - (first + second) / 2) / width
    across = torch.stack((-axis[..., 1], axis[..., 0]), dim=2)
    return torch.stack(((shift * axis).sum(dim=2), (shift * across).sum(dim=2)), dim=2).mean(dim=1)


def normalised_points(points: np.ndarray, irises: np.ndarray) -> np.ndarray:
    """`blendshape_points` of one face or several: [..., 468, 3] and [..., 2, 5, 2] -> float32 [..., 292]."""
    return blendshape_points(torch.from_numpy(points), torch.from_numpy(irises)).float().numpy()


def blendshape_points(points: Tensor, irises: Tensor) -> Tensor:
    """The 146 points of the blendshape network without place, size and roll.

    Args:
        points: [..., 468, 3]; irises: [..., 2, 5, 2].

    Returns:
        [..., 292].
    """
    flat = torch.cat((points[..., :2], irises.flatten(-3, -2)), dim=-2)
    across = flat[..., 263, :] - flat[..., 33, :]
    chosen = flat[..., torch.from_numpy(BLENDSHAPE_POINTS), :]
    chosen = chosen - chosen.mean(dim=-2, keepdim=True)
    size = chosen.square().sum(dim=-1).mean(dim=-1).sqrt()[..., None, None].clamp_min(1e-6)
    turn = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    cos, sin = turn[..., None, 0], turn[..., None, 1]
    x, y = chosen[..., 0] * cos + chosen[..., 1] * sin, -chosen[..., 0] * sin + chosen[..., 1] * cos
    return (torch.stack((x, y), dim=-1) / size).flatten(-2)


def close_points(close: np.ndarray) -> np.ndarray:
    """`close_rows` of one face or several: [..., 478, 2] -> float32 [..., CLOSE_INPUTS]."""
    return close_rows(torch.from_numpy(close.astype(np.float64))).float().numpy()


def close_rows(close: Tensor) -> Tensor:
    """`blendshape_points` of meshes [..., 478, 2], and the points of mouth and eyes in their own axes and widths.

    Returns:
        [..., CLOSE_INPUTS].
    """
    irises = close[..., 468:, :].unflatten(-2, IRISES.shape)
    parts = [blendshape_points(close[..., :468, :], irises), _within(close, LIPS, MOUTH_CORNERS)]
    for eye, corners in enumerate(EYE_CORNERS):
        parts.append(_within(close, np.concatenate([EYES[eye], IRISES[eye]]), corners))
    return torch.cat(parts, dim=-1)


def _within(close: Tensor, chosen: np.ndarray, corners: tuple[int, int]) -> Tensor:
    """Chosen points off the middle between two corners, along and across their line, over its length: [..., 2 N]."""
    first, second = (close[..., corner, :] for corner in corners)
    width = (second - first).norm(dim=-1)[..., None, None].clamp_min(1e-6)
    along = (second - first)[..., None, :] / width
    across = torch.stack((-along[..., 1], along[..., 0]), dim=-1)
    away = (close[..., torch.from_numpy(chosen).to(close.device), :] - (first + second)[..., None, :] / 2) / width
    return torch.stack(((away * along).sum(dim=-1), (away * across).sum(dim=-1)), dim=-1).flatten(-2)
