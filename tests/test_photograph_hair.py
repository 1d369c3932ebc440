"""A fringe that the new face wears is not drawn onto a forehead, and leaves no piece behind on a brow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from id2face_core.photograph.hair import without_hair
from id2face_core.photograph.mask import EYEBROWS, brow_mask
from id2face_core.photograph.warp import Box

from .test_photograph_compose import make_mesh

SIZE, SKIN, DARK = 240, (200, 160, 140), (40, 30, 30)
POINTS = make_mesh((120.0, 120.0), 80.0).points[:, :2]
BOX = Box(0, 0, SIZE, SIZE)


def face(fringe: str) -> np.ndarray:
    """Skin with two thin brows, and hair over the forehead that hangs over the brow on the left, both or none."""
    image = Image.new("RGB", (SIZE, SIZE), SKIN)
    draw = ImageDraw.Draw(image)
    for brow in EYEBROWS:
        (x0, y0), (x1, y1) = POINTS[brow].min(axis=0), POINTS[brow].max(axis=0)
        draw.rectangle((x0, y0, x1, y1), fill=DARK)
    if fringe:
        left, right = (60, 118) if fringe == "left" else (60, 180)
        draw.rectangle((left, 0, right, float(POINTS[EYEBROWS[0]][:, 1].max()) + 2), fill=DARK)
    return np.asarray(image).astype(np.float32)


def darkness(picture: np.ndarray, side: int) -> float:
    """Mean lack of light around a brow."""
    zone = brow_mask(POINTS, BOX, side, 0.03) > 0.5
    return float((np.mean(SKIN) - picture.mean(axis=2))[zone].mean())


def test_a_brow_under_a_fringe_becomes_the_mirror_image_of_the_other() -> None:
    new = face("left")
    bare, drawn = without_hair(new, POINTS, BOX)
    assert darkness(new, 0) > 1.5 * darkness(new, 1) > 0
    assert darkness(bare, 0) == pytest.approx(darkness(bare, 1), rel=0.15)
    assert darkness(bare, 1) == pytest.approx(darkness(new, 1), rel=0.15), "the other brow stays"
    assert drawn.max() > 0.9


@pytest.mark.parametrize("fringe", ["", "both"])
def test_brows_that_are_alike_stay_as_they_are(fringe: str) -> None:
    new = face(fringe)
    bare, _ = without_hair(new, POINTS, BOX)
    core = [brow_mask(POINTS, BOX, side, 0.0, 0.001) > 0.9 for side in (0, 1)]
    for zone in core:
        np.testing.assert_allclose(bare[zone], new[zone], atol=1)
