"""sRGB <-> CIE Lab (D65), in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

RGB_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
LAB_WHITE = np.array([0.95047, 1.0, 1.08883])


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """uint8 or 0..255 float [..., 3] -> float32 Lab (L 0..100). Floats may lie outside, as filtered pictures do."""
    planes = []
    for plane in np.moveaxis(np.asarray(rgb), -1, 0):  # one channel after the other: its neighbours lie beside each other
        x = plane.astype(np.float32) / 255
        planes.append(np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0) + 0.055) / 1.055) ** 2.4))
    t = _mixed(planes, (RGB_TO_XYZ / LAB_WHITE[:, None]).astype(np.float32))
    x, y, z = (np.where(plane > 0.008856, np.cbrt(plane), 7.787 * plane + 16 / 116) for plane in t)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """float Lab [..., 3] -> float32 0..255, clipped to the sRGB gamut."""
    light, a, b = (plane.astype(np.float32) for plane in np.moveaxis(lab, -1, 0))
    fy = (light + 16) / 116
    planes = [np.where(f > 0.206893, f * f * f, (f - 16 / 116) / 7.787) for f in (fy + a / 500, fy, fy - b / 200)]
    out = np.empty(lab.shape, dtype=np.float32)
    for i, plane in enumerate(_mixed(planes, (XYZ_TO_RGB * LAB_WHITE).astype(np.float32))):
        linear = np.clip(plane, 0, 1)
        out[..., i] = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return out


def _mixed(planes: Sequence[np.ndarray], matrix: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of a matrix [3, 3] times three planes."""
    return (row[0] * planes[0] + row[1] * planes[1] + row[2] * planes[2] for row in matrix)
