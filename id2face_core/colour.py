"""sRGB <-> CIE Lab (D65), in NumPy."""

from __future__ import annotations

import numpy as np

RGB_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
LAB_WHITE = np.array([0.95047, 1.0, 1.08883])


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """uint8 or 0..255 float [..., 3] -> float32 Lab (L 0..100). Floats may lie outside, as filtered pictures do."""
    x = np.asarray(rgb, dtype=np.float32) / 255
    linear = np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0) + 0.055) / 1.055) ** 2.4)
    t = (linear @ RGB_TO_XYZ.T.astype(np.float32)) / LAB_WHITE.astype(np.float32)
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    lab = (116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2]))
    return np.stack(lab, axis=-1).astype(np.float32)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """float Lab [..., 3] -> float32 0..255, clipped to the sRGB gamut."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack((fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200), axis=-1)
    xyz = np.where(f > 0.206893, f * f * f, (f - 16 / 116) / 7.787) * LAB_WHITE.astype(f.dtype)
    linear = np.clip(xyz @ XYZ_TO_RGB.T.astype(f.dtype), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (255 * srgb).astype(np.float32)
