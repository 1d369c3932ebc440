"""What is read off faces: of a photograph's, whether it can be replaced at all; of a new one alone and in its place."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .components import Components
from .errors import FaceRejectedError
from .faces.alignment import arcface_matrix, warp
from .faces.types import Face, Mesh, SoftMask
from .looks import WEARS
from .photograph.coverage import coverage, rim_line
from .photograph.hair import hair_of
from .photograph.warp import face_width

if TYPE_CHECKING:
    from .stages import NewFace

MIN_FACE = 16.0  # pixels between the sides of a box; below, neither mesh nor detector can be trusted
MISPLACED = 0.13  # see `apart`: up to .08 on 560 real faces, .18 and more on heads half behind others, on which no face sits
HALF_OFF = 0.4  # see `half_off`: up to .32 on 1,306 real faces, .53 on a profile that the border cuts
MAX_YAW, MAX_PITCH = 50.0, 40.0  # degrees; the packaged generator has seen little beyond
GLASSES_SURE, RIM_LINE = 0.95, 1.85  # see `rim_line`


@dataclass(frozen=True)
class SourceFace:
    """A face of the source on its way: everything here is about the original and never leaves (repr tells nothing)."""

    face: Face = field(repr=False)
    mesh: Mesh = field(repr=False)
    attributes: Tensor = field(repr=False)  # [A], see attributes.vector
    expression: Tensor = field(repr=False)  # [52] blendshapes, see AttributeExtractor.expression
    embedding: Tensor = field(repr=False)  # [E], unit norm
    occluder: SoftMask = field(repr=False)  # hands in front of the face
    person: SoftMask = field(repr=False)
    hair: SoftMask = field(repr=False)  # in place of skin, see photograph.hair
    digest: bytes = field(repr=False)  # of the aligned crop: seeds the face's generator in a run without a key
    cover: Tensor = field(repr=False)  # [Z], what each zone shows beside skin, see photograph.coverage
    descent: Tensor = field(repr=False)  # [4], see AttributeExtractor.read


def five_points(mesh: Mesh) -> np.ndarray:
    """The detector's five points read off a mesh: irises, nose tip, mouth corners. [5, 2]."""
    return np.concatenate([mesh.irises[:, 0], mesh.points[[1, 61, 291], :2]])


def apart(mesh: Mesh, points5: np.ndarray, shape: tuple[int, ...]) -> float:
    """Mean distance of a mesh's five points from the detector's [5, 2], in face widths; infinite when all lie outside.

    Points outside of the picture, of the given shape, do not count: detectors put them inside.
    """
    own = five_points(mesh)
    inside = ((own >= 0) & (own <= np.array(shape[1::-1]) - 1)).all(axis=1)
    away = np.linalg.norm(own - points5, axis=1)[inside]
    return float(away.mean()) / max(face_width(mesh.points), 1e-6) if inside.any() else math.inf


def half_off(mesh: Mesh, person: SoftMask, shape: tuple[int, ...]) -> float:
    """By how much more of one half of a mesh lies beside the person than of the other, 0..1.

    A frontal mesh on a profile has one half in the air. Points outside of the picture, of the given shape, do not count.
    """
    height, width = shape[:2]
    points, (top, chin) = mesh.points[:, :2], mesh.points[[10, 152], :2]
    at = np.floor(points).astype(int)
    inside = ((at >= 0) & (at < [width, height])).all(axis=1)
    if not inside.any():
        return 0.0
    (x0, y0), (x1, y1) = at[inside].min(axis=0), at[inside].max(axis=0) + 1
    away = np.zeros(len(at), dtype=bool)
    away[inside] = person.window(x0, y0, x1, y1)[at[inside, 1] - y0, at[inside, 0] - x0] < 0.5
    (across, down), (x, y) = chin - top, (points - top).T
    left = x * down > y * across
    shares = [float(away[half].mean()) if half.any() else 0.0 for half in (inside & left, inside & ~left)]
    return max(shares) - min(shares)


def embed(parts: Components, picture: np.ndarray, points5: np.ndarray) -> Tensor:
    """Unit embedding [E] of the face at points5 [5, 2] by the bundled encoder."""
    crop = warp(picture, arcface_matrix(points5), 112)
    tensor = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255
    return parts.encoder.embed(tensor.to(parts.device))[0].float().cpu()


def read_face(parts: Components, picture: np.ndarray, face: Face) -> SourceFace:
    """Mesh, attributes and embedding of a face in a picture uint8 [H, W, 3].

    Raises:
        FaceRejectedError: "too_small", "no_mesh", "profile" or "attributes".
    """
    side = float(min(face.box[2] - face.box[0], face.box[3] - face.box[1]))
    if not np.isfinite(side) or side < MIN_FACE:
        raise FaceRejectedError("too_small", f"the face is {side:.0f} px wide, at least {MIN_FACE:.0f} are needed")
    mesh = parts.mesh.fit(picture, face.points)
    if apart(mesh, face.points, picture.shape) > MISPLACED:
        raise FaceRejectedError("no_mesh", "detector and mesh do not agree about where eyes, nose and mouth are")
    attributes, descent = map(torch.from_numpy, parts.extractor.read(picture, face.points, mesh))
    yaw, pitch = float(attributes[0]), float(attributes[1])
    if abs(yaw) > MAX_YAW or abs(pitch) > MAX_PITCH:
        raise FaceRejectedError("profile", f"yaw {yaw:.0f}, pitch {pitch:.0f} degrees are beyond the generator's range")
    # a pair invented is seen by everybody, a pair lost by few: two readings must be sure
    sure = float(attributes[WEARS]) > GLASSES_SURE and rim_line(picture, face.points, mesh.points) > RIM_LINE
    attributes[WEARS] = float(sure)
    crop = warp(picture, arcface_matrix(face.points), 112)
    digest = hashlib.sha256(crop.tobytes()).digest()
    occluder, person = parts.occlusion.read(picture, mesh), parts.person.read(picture, mesh)
    if half_off(mesh, person, picture.shape) > HALF_OFF:
        raise FaceRejectedError("profile", "half of a frontal face would lie on the background")
    expression = torch.from_numpy(parts.extractor.expression(mesh))
    cover = torch.from_numpy(coverage(picture, mesh.points))
    return SourceFace(
        face, mesh, attributes, expression, embed(parts, picture, face.points), occluder, person, hair_of(picture, mesh.points),
        digest, cover, descent,
    )  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What is read off a face: attributes [A], blendshapes [52], embedding [E] (unit norm), share of each descent [4]."""

    attributes: Tensor
    expression: Tensor
    embedding: Tensor
    descent: Tensor


@dataclass(frozen=True)
class Reading(Seen):
    """Of a new face alone besides: coverage [Z]."""

    cover: Tensor


def read_rendering(parts: Components, new: NewFace) -> Reading:
    """What is read off a new face alone. Raises FaceRejectedError "attributes"."""
    seen = _read(parts, new.rendering, five_points(new.mesh), new.mesh)
    cover = torch.from_numpy(coverage(new.rendering, new.mesh.points))
    return Reading(seen.attributes, seen.expression, seen.embedding, seen.descent, cover)


def read_result(parts: Components, source: SourceFace, picture: np.ndarray) -> Seen:
    """What is read off a new face once it is pasted in the source's place. Raises FaceRejectedError "no_mesh" or "attributes"."""
    return _read(parts, picture, source.face.points, parts.mesh.fit(picture, source.face.points))


def _read(parts: Components, picture: np.ndarray, points5: np.ndarray, mesh: Mesh) -> Seen:
    attributes, descent = map(torch.from_numpy, parts.extractor.read(picture, points5, mesh))
    expression = torch.from_numpy(parts.extractor.expression(mesh))
    return Seen(attributes, expression, embed(parts, picture, points5), descent)
