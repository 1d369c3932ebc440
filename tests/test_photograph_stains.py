"""What an onlooker takes offence at: skin that was bare and is not; and how much of a face is covered to begin with."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageDraw

from id2face_core.errors import FaceRejectedError
from id2face_core.photograph.coverage import CHIN_HAIR, GLASSES, ZONES, coverage, rim_line
from id2face_core.photograph.hair import hair_of
from id2face_core.photograph.stains import BareSkin

from .test_photograph_compose import make_mesh

SIZE, SKIN, HAIR = 240, (200, 160, 140), (45, 35, 30)
MESH = make_mesh((120.0, 120.0), 80.0).points
MESH[1] = (120, 136, 0)  # the tip of the nose, which that mesh puts anywhere
BOXES = {  # in the mesh's units of 80 pixels around its middle
    "forehead": (-0.7, -1.4, 0.7, -0.6),
    "jaw": (-0.6, 0.6, 0.6, 1.2),
    "sides": (0.66, -0.2, 1.0, 0.15),
    "cheeks": (0.3, -0.05, 0.55, 0.15),
}


def face(*covered: str, tone: tuple[int, int, int] = SKIN, hair: tuple[int, int, int] = HAIR) -> np.ndarray:
    """A face of plain skin with hair over some of `ZONES`."""
    image = Image.new("RGB", (SIZE, SIZE), tone)
    draw = ImageDraw.Draw(image)
    for zone in covered:
        draw.rectangle(tuple(120 + 80 * v for v in BOXES[zone]), fill=hair)
    return np.asarray(image)


def skin(*covered: str) -> BareSkin:
    picture = face(*covered)
    return BareSkin.of(picture, MESH, hair_of(picture, MESH))


def test_a_clean_face_of_another_tone_has_no_stain() -> None:
    assert skin().stained(face()) == 0
    assert skin().stained(face(tone=(120, 85, 70))) == 0


@pytest.mark.parametrize("zone", ["jaw", "sides"])
def test_hair_on_skin_that_was_bare_is_a_stain(zone: str) -> None:
    assert skin().stained(face(zone)) > 0.02


def test_more_of_it_is_worse() -> None:
    assert skin().stained(face("jaw", "sides")) > skin().stained(face("jaw")) + 0.02


def test_a_beard_that_the_source_has_too_is_none() -> None:
    bearded = skin("jaw")
    assert bearded.stained(face("jaw")) < 0.1 * skin().stained(face("jaw"))
    assert bearded.stained(face("jaw", "sides")) > 0.02, "elsewhere it still is"
    assert bearded.stained(face()) == 0, "nobody takes offence at its loss"


def test_a_fringe_that_the_source_keeps_does_not_count() -> None:
    fringed = skin("forehead")
    assert fringed.stained(face("forehead")) < 0.05 * skin().stained(face("forehead"))


def test_each_zone_is_told_from_the_others() -> None:
    clean = coverage(face(), MESH)
    assert clean.shape == (len(ZONES),) and clean.max() < 0.01
    for i, zone in enumerate(BOXES):
        seen = coverage(face(zone), MESH)[:CHIN_HAIR]
        assert zone == ZONES[i] and seen.argmax() == i
        assert seen[i] > 0.05 > np.delete(seen, i).max(), zone


def test_a_beard_is_told_by_its_roughness_and_a_shadow_is_none() -> None:
    rng, level = np.random.default_rng(0), np.arange(SIZE)[:, None, None]
    grain = face() + 3 * rng.standard_normal((SIZE, SIZE, 1))
    stubble = 25 * rng.standard_normal((SIZE, SIZE, 1))

    def read(picture: np.ndarray) -> float:
        return float(coverage(np.clip(picture, 0, 255).astype(np.uint8), MESH)[CHIN_HAIR])

    shaved, shadow = read(grain), read(grain * np.where(level > 150, 0.7, 1.0))
    assert max(shaved, shadow) < 1 and read(grain + stubble * (level > 150)) > 2


def test_glasses_are_told_by_their_rims_across_the_nose() -> None:
    points5 = np.array([[88, 104], [152, 104], [120, 136], [96, 160], [144, 160]])  # of that mesh
    x, y = MESH[[193, 417, 122, 351], :2].mean(axis=0)
    lines = {"rim": (x - 40, y, x + 40, y), "crease": (x, y - 60, x, y + 60)}  # frowns are as dark, and upright
    seen = {}
    for name, line in lines.items():
        image = Image.fromarray(face())
        ImageDraw.Draw(image).line(line, fill=(40, 40, 40), width=4)
        seen[name] = coverage(np.asarray(image), MESH)[GLASSES], rim_line(np.asarray(image), points5, MESH)
    assert seen["rim"][0] > 1.0 > 0.2 > coverage(face(), MESH)[GLASSES]
    assert seen["rim"][1] > 4 > 1.85 > seen["crease"][1] and rim_line(face(), points5, MESH) < 0.1


def test_a_face_outside_of_the_picture_is_refused() -> None:
    away, hair = MESH + np.array([1000, 0, 0]), hair_of(face(), MESH)
    for read in (coverage, hair_of, partial(BareSkin.of, hair=hair)):
        with pytest.raises(FaceRejectedError, match="outside"):
            read(face(), away)
