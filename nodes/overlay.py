"""A picture of which face has which number, in which nobody is recognised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .types import Found

COLOURS = {"chosen": (90, 200, 110), "skipped": (150, 150, 150), "rejected": (230, 120, 60)}


def overlay(picture: np.ndarray, faces: Sequence[Found], show: bool) -> np.ndarray:
    """Boxes, numbers and reasons over a picture uint8 [H, W, 3]; unless `show`, over its coarsest colours.

    The whole picture is coarse and not only the faces: the detector may have missed one.
    """
    from id2face_core.photograph.redact import redact

    ground = picture if show else redact(picture, np.zeros(4), "blur")[0]
    image = Image.fromarray(ground)
    draw, size = ImageDraw.Draw(image), max(11, picture.shape[1] // 40)
    font = ImageFont.load_default(size)
    for n, found in enumerate(faces):
        colour = COLOURS[found.status]
        x0, y0, x1, y1 = (float(v) for v in found.face.box)
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=colour, width=max(2, size // 8))
        draw.text((x0 + size / 3, y0 + size / 4), f"{n} {found.reason}".strip(), fill=colour, font=font)
    return np.asarray(image)
