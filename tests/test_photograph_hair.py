"""A fringe that the new face wears is not drawn onto a forehead, and leaves no piece behind on a brow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from id2face_core.colour import lab_to_rgb, rgb_to_lab
from id2face_core.photograph.hair import BROWS, HAIRLINE, SOURCE, hair_share, skin_distance, without_hair
from id2face_core.photograph.mask import EYEBROWS, brow_mask, shorter_brow
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
    for side in (0, 1):  # a fringe that hangs over the outer end takes that with it
        mesh = shorter_brow(POINTS, side, 1.0) if fringe else POINTS
        zone = brow_mask(mesh, BOX, side, 0.0, 0.001) > 0.9
        np.testing.assert_allclose(bare[zone], new[zone], atol=1)


@pytest.mark.parametrize("side", [0, 1])
def test_a_strand_at_the_temple_that_touches_a_brow_leaves_no_blot(side: int) -> None:
    points, outwards = POINTS.copy(), (-1, 1)
    for sign, brow in zip(outwards, EYEBROWS, strict=True):  # each row from the outer end to the inner one
        line = 120 + sign * np.linspace(48, 16, 5)
        points[brow] = np.stack((np.tile(line, 2), np.repeat((88.0, 91.2), 5)), axis=1)
    image, end = Image.fromarray(face("").astype(np.uint8)), 120 + outwards[side] * 48
    across = sorted((end - outwards[side] * 2, end + outwards[side] * 40))
    ImageDraw.Draw(image).rectangle((across[0], 0, across[1], 96), fill=DARK)
    new = np.asarray(image).astype(np.float32)
    bare, _ = without_hair(new, points, BOX)
    spot = np.s_[87:93, slice(*sorted((end + outwards[side], end + outwards[side] * 12)))]
    assert new[spot].mean() < 60
    assert bare[spot].mean() > 0.8 * np.mean(SKIN), "skin where the strand was"
    inner = brow_mask(shorter_brow(points, side, 1.2), BOX, side, 0.0, 0.001) > 0.9
    assert inner.sum() > 50
    np.testing.assert_allclose(bare[inner], new[inner], atol=1)


def test_hair_next_to_the_colour_of_skin_is_some_at_the_hairline_and_a_shadow_at_the_brows() -> None:
    top, brow = int(POINTS[10, 1]), int(POINTS[BROWS, 1].mean())

    def seen(first: int, last: int) -> tuple[float, float]:
        """Distance from the skin and share of hair in the middle of a band of fair hair between two rows."""
        image = Image.new("RGB", (SIZE, SIZE), SKIN)
        ImageDraw.Draw(image).rectangle((0, first, SIZE, last), fill=(176, 151, 107))
        window, place = np.asarray(image).astype(np.float32), (slice(last - 8, last - 3), slice(110, 130))
        return float(skin_distance(window, POINTS, BOX)[place].mean()), float(hair_share(window, POINTS, BOX)[place].mean())

    distance, share = seen(0, top + 8)
    assert HAIRLINE[0] < distance < SOURCE[0] and share > 0.4
    assert seen(brow - 14, brow - 2)[1] < 0.1


@pytest.mark.parametrize(("light", "colour", "hair"), [(22.0, 1.0, False), (22.0, 0.1, True), (-22.0, 1.0, True)])
def test_a_shining_forehead_is_not_hair_and_white_or_dark_hair_is(light: float, colour: float, hair: bool) -> None:
    new = face("")
    line = int(POINTS[BROWS, 1].min()) - 8
    lab = rgb_to_lab(new[:line])
    lab[..., 0] += light
    lab[..., 1:] *= colour
    new[:line] = lab_to_rgb(lab)
    bare, drawn = without_hair(new, POINTS, BOX)
    forehead = np.s_[line - 20 : line - 10, 100:140]
    assert (drawn[forehead].mean() > 0.9) == hair
    assert (np.abs(bare[forehead] - new[forehead]).mean() > 10) == hair
