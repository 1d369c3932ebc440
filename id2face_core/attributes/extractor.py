"""A face -> the explicit attribute vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..colour import rgb_to_lab
from ..errors import FaceRejectedError, ShapeError
from ..faces.alignment import arcface_matrix, transform_points, warp
from ..faces.types import Mesh
from .geometry import close_points, gaze_offset, head_pose, head_rotations, mesh_sizes, normalised_points
from .networks import BlendshapeNetwork, ExpressionNetwork, PersonNetwork, WitnessNetwork
from .vector import ATTRIBUTES

# Corners of the skin patches on the mesh, in the order of `vector.PATCHES`.
PATCH_POINTS = ((151, 108, 337, 9), (50, 101, 205, 36), (280, 330, 425, 266), (200, 208, 428, 199))
PATCH_GRID = np.stack(np.meshgrid(np.linspace(0.15, 0.85, 6), np.linspace(0.15, 0.85, 6)), axis=-1).reshape(-1, 2)
CROP = 112
MOST = 0.5  # further than this no blendshape is bent: a shut mouth has no teeth to show


class AttributeExtractor:
    """Reads pose, gaze, expression, age, sex, descent, glasses, skin and light.

    Age, sex and descent are the witness's, glasses the person network's, which new faces were trained through.
    """

    def __init__(
        self, blendshapes: BlendshapeNetwork, person: PersonNetwork, expression: ExpressionNetwork, witness: WitnessNetwork
    ) -> None:
        self.blendshapes, self.person, self.close = blendshapes.eval(), person.eval(), expression.eval()
        self.witness = witness.eval()
        self.canonical = blendshapes.canonical.double().numpy()

    @classmethod
    def from_folder(cls, folder: Path) -> AttributeExtractor:
        """Load `blendshapes/`, `person/`, `expression/` and `witness/` of the folder of attribute networks."""
        folder = Path(folder)
        return cls(
            BlendshapeNetwork.from_pretrained(folder / "blendshapes").float(),
            PersonNetwork.from_pretrained(folder / "person").float(),
            ExpressionNetwork.from_pretrained(folder / "expression").float(),
            WitnessNetwork.from_pretrained(folder / "witness").float(),
        )

    @torch.inference_mode()
    def read(self, picture: np.ndarray, points5: np.ndarray, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
        """Measure one face.

        Args:
            picture: uint8 [H, W, 3]; points5: [5, 2]; mesh: fitted to this face.

        Returns:
            float32 [71] in the order and units of `vector.ATTRIBUTES`, and [4], how likely it is of each of `networks.DESCENTS`.

        Raises:
            FaceRejectedError: "attributes" when a number is not finite.
        """
        matrix = arcface_matrix(points5, CROP)
        crop = warp(picture, matrix, CROP)
        yaw, pitch, _ = head_pose(mesh.points.astype(np.float64), self.canonical)
        points = torch.from_numpy(normalised_points(mesh.points, mesh.irises))[None]
        tensor = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255
        placed = transform_points(mesh.points[:, :2], matrix)
        person, kind = (network(tensor, torch.from_numpy(placed)[None].float())[0] for network in (self.person, self.witness))
        values = np.concatenate([
            (yaw, pitch), gaze_offset(mesh), self.blendshapes(points)[0].numpy(), kind[:2].numpy(), person[2:].numpy(),
            skin_colours(crop, placed),
        ]).astype(np.float32)  # fmt: skip
        descent: np.ndarray = kind[2:].numpy()
        if values.shape != (len(ATTRIBUTES),) or not np.isfinite(values).all() or not np.isfinite(descent).all():
            raise FaceRejectedError("attributes", "an attribute could not be measured")
        return values, descent

    @torch.inference_mode()
    def expression(self, mesh: Mesh) -> np.ndarray:
        """Blendshapes float32 [52], seen more closely than by `read`, whose values are what the recomposer has learnt from.

        Raises:
            ShapeError: a mesh without the closer points.
        """
        if mesh.close is None:
            raise ShapeError("the mesh lacks its closer points; take one that MeshNetwork.fit gave")
        values: np.ndarray = self.close(torch.from_numpy(close_points(mesh.close))[None])[0].numpy()
        return values

    def bend(self, mesh: Mesh, change: np.ndarray) -> np.ndarray:
        """How the points of a mesh would have to move for its expression to become another.

        Args:
            change: of the blendshapes, [52]. A linear map: it knows how people on average move between two expressions, and
                leaves what makes the face somebody's where it is.

        Returns:
            [468, 2] in pixels of the mesh's picture.
        """
        shapes = torch.from_numpy(np.clip(change, -MOST, MOST)).float()
        points = torch.from_numpy(mesh.points).double()[None]
        rotation = head_rotations(points, torch.from_numpy(self.canonical))[0]
        moved = torch.einsum("k,kpd->pd", shapes, self.close.basis).double() @ rotation.T
        return (mesh_sizes(points) * moved[:, :2]).numpy()


def skin_colours(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Median Lab of four patches. crop: uint8 [112, 112, 3], points: [468, 2] in it. Returns [12]."""
    out = []
    for corners in PATCH_POINTS:
        a, b, c, d = points[list(corners)]
        u, v = PATCH_GRID[:, :1], PATCH_GRID[:, 1:]
        where = (1 - u) * (1 - v) * a + u * (1 - v) * b + (1 - u) * v * c + u * v * d
        x, y = np.clip(np.rint(where), 0, crop.shape[0] - 1).astype(int).T
        out.append(np.median(rgb_to_lab(crop[y, x]), axis=0))
    return np.concatenate(out)
