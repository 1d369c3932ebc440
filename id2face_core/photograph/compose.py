"""Paste a rendered face into a photograph so that an onlooker sees one photograph."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import ConfigError, FaceRejectedError
from ..faces.types import Mesh
from .colour import transport
from .grain import match
from .mask import HAIR_RENDERING, core_mask, hair_share, soft_mask
from .warp import Box, face_width, warp_rendering

REGIONS = ("oval", "face", "head")


@dataclass(frozen=True)
class ComposeOptions:
    """region: `oval` (the mesh's hull), `face` (with forehead and jaw line), `head` (hair and ears too).

    erode, feather: in face widths. move_gaze: turn the new eyes to where the source's look. grain, colour: match them.
    keep_fringe: hair over the forehead stays the source's, and the rendering's own is not pasted.
    """

    region: str = "face"
    erode: float = 0.01
    feather: float = 0.06
    move_gaze: bool = True
    colour: bool = True
    grain: bool = True
    keep_fringe: bool = True

    def __post_init__(self) -> None:
        if self.region not in REGIONS:
            raise ConfigError(f"region is {self.region!r}; choose one of {', '.join(REGIONS)}")


@dataclass(frozen=True)
class Composite:
    """picture: uint8 [H, W, 3]; mask: float32 [H, W], what was replaced (0 = untouched, bit for bit)."""

    picture: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)


def _window(mesh: Mesh, shape: tuple[int, ...], region: str) -> Box:
    points = mesh.points[:, :2]
    margin = face_width(mesh.points) * (0.95 if region == "head" else 0.3)
    low, high = np.floor(points.min(axis=0) - margin), np.ceil(points.max(axis=0) + margin)
    x0, y0 = (int(max(0, v)) for v in low)
    x1, y1 = int(min(shape[1], high[0] + 1)), int(min(shape[0], high[1] + 1))
    if x1 - x0 < 8 or y1 - y0 < 8:
        raise FaceRejectedError("outside", "the face lies outside the picture")
    return Box(x0, y0, x1, y1)


def compose(
    picture: np.ndarray,
    source_mesh: Mesh,
    rendering: np.ndarray,
    rendering_mesh: Mesh,
    options: ComposeOptions,
    rng: np.random.Generator,
) -> Composite:
    """Replace one face.

    Args:
        picture: uint8 [H, W, 3]; it is not changed. source_mesh: of the face in it.
        rendering: uint8 [S, S', 3], the new face; rendering_mesh: its mesh.
        rng: for the grain.

    Raises:
        FaceRejectedError: "outside" when the face has no pixels in the picture.
    """
    box = _window(source_mesh, picture.shape, options.region)
    points, width = source_mesh.points[:, :2].astype(np.float64), face_width(source_mesh.points)
    source = picture[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32)
    new = warp_rendering(rendering, rendering_mesh, source_mesh, box, options.move_gaze)
    wide = options.region == "head"
    mask = soft_mask(points, box, options.region, options.erode, 2.5 * options.feather if wide else options.feather)
    if options.keep_fringe and not wide:
        fringe = np.maximum(hair_share(source, points, box), hair_share(new, points, box, HAIR_RENDERING))
        mask = mask * (1 - fringe)
    mask = np.maximum(mask, core_mask(points, box))
    if options.colour:
        face = np.minimum(mask, soft_mask(points, box, "face")) if wide else mask
        new = transport(source, new, face, width)
    if options.grain:
        new = match(source, new, soft_mask(points, box, "oval", 0.05, 0.05), rng)
    blended = source + mask[..., None] * (new - source)
    out, full = picture.copy(), np.zeros(picture.shape[:2], dtype=np.float32)
    touched = mask > 1 / 512
    window = out[box.y0 : box.y1, box.x0 : box.x1]
    window[touched] = np.clip(np.rint(blended[touched]), 0, 255).astype(np.uint8)
    full[box.y0 : box.y1, box.x0 : box.x1] = np.where(touched, mask, 0)
    return Composite(out, full)
