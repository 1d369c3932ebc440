"""What stayed of the moment: detection, pose, expression, gaze, skin, sharpness, background, age and sex."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..audit.readings import sharpness
from ..audit.utility import derangement
from ..errors import AssetMissingError
from ..faces.alignment import arcface_matrix, warp
from ..faces.landmarks import roi_matrix
from ..training.teachers import CloseReader
from .expression import kept_openings, openings
from .outcomes import Outcome

PATCHES = {"left cheek": (50, 205, 187), "right cheek": (280, 425, 411), "forehead": (151, 108, 337)}  # mesh points
EYES = ((33, 133, 468, 469, 471), (362, 263, 473, 474, 476))  # corners, iris centre, two opposite rim points
EYEBALL_OVER_IRIS = 12.0 / 11.7  # radius of the eyeball over the diameter of the iris, both in mm
BACKGROUND_TOLERANCE = 0


@dataclass(frozen=True)
class Reading:
    """pose: yaw, pitch, roll in degrees; blendshapes [52]; gaze [2] in degrees in the head; skin Lab [P, 3].

    openings [2]: of mouth and eyes, see `expression.openings`.
    """

    pose: np.ndarray = field(repr=False)
    blendshapes: np.ndarray = field(repr=False)
    gaze: np.ndarray = field(repr=False)
    skin: np.ndarray = field(repr=False)
    sharpness: float
    openings: np.ndarray = field(repr=False)


class FaceReader:
    """Reads a face with networks that are no part of the product: FSA-Net, MediaPipe's 478 points and blendshapes.

    The product's expression network learnt from the latter two, so its blendshapes are judged by its teacher.
    """

    def __init__(self, data_dir: Path) -> None:
        import onnxruntime

        folder = Path(data_dir) / "weights"
        pose = sorted((folder / "pose").glob("fsanet-*.onnx"))
        if not pose:
            raise AssetMissingError(f"{folder} lacks pose/fsanet-*.onnx")
        self._close = CloseReader(folder / "landmarks")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._pose = [onnxruntime.InferenceSession(str(p), options, providers=["CPUExecutionProvider"]) for p in pose]
        self._known: dict[bytes, Reading] = {}

    def read(self, picture: np.ndarray, points: np.ndarray) -> Reading:
        """Read the face at five points of a uint8 RGB picture; the same face is read once."""
        key = hashlib.sha256(picture.tobytes() + points.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._read(picture, points)
        return self._known[key]

    def _read(self, picture: np.ndarray, points: np.ndarray) -> Reading:
        mesh = self._close.fit(picture, points)
        return Reading(
            self._read_pose(picture, points), self._close.shapes(mesh), gaze_degrees(mesh),
            skin_lab(picture, mesh), sharpness(picture, points), openings(mesh),
        )  # fmt: skip

    def _read_pose(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        scale = float(np.sqrt(np.linalg.det(arcface_matrix(points)[:, :2])))
        crop = warp(picture, roi_matrix(points.mean(axis=0), 112 / scale * 1.15, 0.0, 64), 64)
        blob = ((crop[..., ::-1].astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        blob = np.ascontiguousarray(blob)
        pose: np.ndarray = np.mean([n.run(None, {n.get_inputs()[0].name: blob})[0][0] for n in self._pose], axis=0)
        return pose


def gaze_degrees(mesh: np.ndarray) -> np.ndarray:
    """Horizontal and vertical gaze in the head from 478 points: iris centre off the middle of the eye corners.

    NaN where neither iris lies on its eyeball: the network that places them was wrong, whatever the eyes do.
    """
    angles = [np.full(2, np.nan)]
    for outer, inner, centre, rim_a, rim_b in EYES:
        axis = mesh[inner] - mesh[outer]
        axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
        offset = mesh[centre] - (mesh[outer] + mesh[inner]) / 2
        radius = max(float(np.linalg.norm(mesh[rim_a] - mesh[rim_b])), 1e-6) * EYEBALL_OVER_IRIS
        across, down = offset @ axis, offset @ np.array([-axis[1], axis[0]])
        turned = np.array([across, down]) / radius
        if np.abs(turned).max() < 1:
            angles.append(np.degrees(np.arcsin(turned)))
    gaze: np.ndarray = np.mean(angles[1:] or angles, axis=0)
    return gaze


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) of sRGB 0..255 [..., 3]."""
    c = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ matrix.T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def skin_lab(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Lab of the median colour of three patches [3, 3]."""
    radius = max(1, int(0.12 * np.linalg.norm(mesh[33] - mesh[263])))
    height, width = picture.shape[:2]
    colours = []
    for members in PATCHES.values():
        x, y = mesh[list(members)].mean(axis=0).round().astype(int)
        x, y = int(np.clip(x, radius, width - 1)), int(np.clip(y, radius, height - 1))
        colours.append(np.median(picture[y - radius : y + radius, x - radius : x + radius].reshape(-1, 3), axis=0))
    return rgb_to_lab(np.array(colours))


def tone_angle(skin: np.ndarray) -> float:
    """Individual typology angle of patches Lab [P, 3], in degrees (Chardon et al. 1991): light above 41, dark below 10."""
    lightness, _, yellow = skin.mean(axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def background_untouched(source: np.ndarray, new: np.ndarray, mask: np.ndarray) -> bool:
    """Every pixel where the mask is zero is bit for bit the source's."""
    outside = mask <= BACKGROUND_TOLERANCE
    return source.shape == new.shape and bool((source[outside] == new[outside]).all())


def utility_figures(
    outcomes: Sequence[Outcome], reader: FaceReader, detectors: Sequence[Any], rng: np.random.Generator
) -> dict[str, Any]:
    """All figures of a set. A product that gave no picture counts as an undetected face."""
    figures: dict[str, Any] = {"n": len(outcomes)}
    for detector in detectors:
        hits = [o.picture is not None and detector.find(o.picture, o.sample.points) is not None for o in outcomes]
        figures[f"detected_{detector.name}"] = {"hits": int(sum(hits)), "trials": len(hits)}
    figures["background_untouched"] = {
        "hits": sum(
            o.picture is not None and background_untouched(o.sample.picture, o.picture, o.mask) for o in outcomes
        ),
        "trials": len(outcomes),
    }
    done = [o for o in outcomes if o.status == "anonymized" and o.picture is not None]
    if not done:
        return figures
    before = [reader.read(o.sample.picture, o.sample.points) for o in done]
    after = [reader.read(o.picture, o.sample.points) for o in done if o.picture is not None]
    shuffled = [before[i] for i in derangement(len(before), rng)]
    figures["anonymized"] = len(done)
    for name, error in ERRORS.items():
        figures[name] = {"error": _mean(error, before, after), "random_pair": _mean(error, before, shuffled)}
    read = [np.isfinite(pair[0].gaze).all() and np.isfinite(pair[1].gaze).all() for pair in zip(before, after, strict=True)]
    figures["gaze_read"] = {"hits": int(sum(read)), "trials": len(read)}
    for name in ("skin_lab", "skin_ita_degrees"):
        figures[name]["two_photos"] = _two_photos(ERRORS[name], [o.sample.person for o in done], before)
    figures |= kept_openings([r.openings for r in before], [r.openings for r in after])
    ratio = [a.sharpness / max(b.sharpness, 1e-6) for a, b in zip(after, before, strict=True)]
    figures["sharpness_ratio"] = {"median": float(np.median(ratio)), "random_pair": None}
    return figures


ERRORS: dict[str, Callable[[Reading, Reading], float]] = {
    "pose_degrees": lambda a, b: float(np.abs(a.pose - b.pose).mean()),
    "blendshapes": lambda a, b: float(np.abs(a.blendshapes - b.blendshapes).mean()),
    "gaze_degrees": lambda a, b: float(np.linalg.norm(a.gaze - b.gaze)),
    "skin_lab": lambda a, b: float(np.linalg.norm(a.skin - b.skin, axis=-1).mean()),
    "skin_ita_degrees": lambda a, b: abs(tone_angle(a.skin) - tone_angle(b.skin)),
}


def _mean(error: Callable[[Reading, Reading], float], a: Sequence[Reading], b: Sequence[Reading]) -> float:
    errors = np.array([error(x, y) for x, y in zip(a, b, strict=True)])
    return float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan")


def _two_photos(
    error: Callable[[Reading, Reading], float], people: Sequence[str], readings: Sequence[Reading]
) -> float | None:
    """Error between two photographs of one person; None where nobody has two."""
    pairs = [(i, j) for i in range(len(people)) for j in range(i) if people[i] == people[j]]
    return float(np.mean([error(readings[i], readings[j]) for i, j in pairs])) if pairs else None
