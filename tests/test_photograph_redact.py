"""Covers that nobody is recognised from."""

from __future__ import annotations

import numpy as np
import pytest

from id2face_core.errors import ConfigError
from id2face_core.faces.types import Face
from id2face_core.photograph.redact import redact, seen_better

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BOXES = [(40, 30, 80, 80), (-20, -20, 10, 10), (150, 110, 400, 400), (60, 60, 61, 61), (60.2, 60.2, 60.4, 60.4)]
UNKNOWN = [(500, 500, 600, 600), (-90, -90, -50, -50), (np.nan, 0, 5, 5), (9, 9, 5, 5)]


@pytest.mark.parametrize("policy", ["fill", "blur"])
@pytest.mark.parametrize("box", BOXES)
def test_the_box_is_covered_and_the_rest_is_left(policy: str, box: tuple[float, ...]) -> None:
    before = PICTURE.copy()
    out, mask = redact(PICTURE, np.array(box), policy)
    assert (PICTURE == before).all() and (out[mask == 0] == PICTURE[mask == 0]).all()
    x0, y0, x1, y1 = (int(v) for v in np.clip(np.array(box), 0, (160, 120, 160, 120)))
    assert mask[y0 : y1 + 1, x0 : x1 + 1].min() == 1
    assert 0 <= mask.min() and mask.max() == 1


def test_a_cover_takes_the_head_and_fades_into_the_picture() -> None:
    out, mask = redact(PICTURE, np.array(BOXES[0]), "fill")
    middle, edges = mask[55], np.nonzero(mask[55])[0]
    assert middle[60 - 37 : 60 + 38].min() == 1, "ears are covered"
    assert mask[55 - 47 : 55 + 48, 60].min() == 1, "and hair and chin"
    assert mask[55 - 45, 60 - 36] == 0, "but the corners are not"
    assert (np.diff(middle[edges[0] : 60]) >= 0).all() and ((middle > 0) & (middle < 1)).any()
    assert redact(PICTURE, np.array(BOXES[0]), "fill", whole=True)[1][55 - 45, 60 - 36] == 1


def test_the_head_of_who_is_in_front_stays() -> None:
    front = np.array((70, 60, 130, 118))  # his hair reaches over the box of the other one
    alone = redact(PICTURE, np.array(BOXES[0]), "fill")[1]
    replaced = np.zeros(PICTURE.shape[:2], dtype=np.float32)
    replaced[88:91, 98:103] = 1  # his new face's middle
    out, mask = redact(PICTURE, np.array(BOXES[0]), "fill", replaced, [front])
    stays = (alone == 1) & (mask == 0)
    assert stays[85, 85] and (out[stays] == PICTURE[stays]).all()
    assert stays[78, 79] and not stays[30:80, 40:70].any(), "within a face's own box what is sure of the other one stays"
    assert not stays[62, 72], "which the corners of a box are not"
    left = redact(PICTURE, np.array(BOXES[0]), "fill", np.zeros_like(replaced), [front])[1]
    assert left[30:80, 40:80].min() == 1, "of a face that is nobody's new one nothing is sure"
    far = np.array((150, 100, 158, 110))
    assert np.array_equal(redact(PICTURE, np.array(BOXES[0]), "fill", in_front=[far])[1], alone)


def test_a_box_is_covered_whole_when_its_middle_lies_in_the_other_one() -> None:
    """A child before its mother: whose face it is that lies in both boxes is not known."""
    mother = np.array((30, 10, 120, 118))
    replaced = np.zeros(PICTURE.shape[:2], dtype=np.float32)
    replaced[62:67, 73:78] = 1
    assert redact(PICTURE, np.array(BOXES[0]), "fill", in_front=[mother])[1][30:80, 40:80].min() == 1
    covered = redact(PICTURE, np.array(BOXES[0]), "fill", replaced, [mother])[1]
    assert covered[30:62, 40:73].min() == covered[67:80, 40:80].min() == 1


def test_the_detector_is_surer_of_who_stands_in_front() -> None:
    faces = [Face(np.full(4, i, np.float32), np.zeros((5, 2), np.float32), score) for i, score in enumerate((0.9, 0.5, 0.7))]
    assert [int(box[0]) for box in seen_better(faces[2], faces)] == [0]


def test_a_fill_goes_on_from_its_surroundings() -> None:
    ramp = np.broadcast_to(np.linspace(40, 200, 160).astype(np.uint8)[None, :, None], PICTURE.shape).copy()
    broken = ramp.copy()
    broken[30:80, 40:80] = PICTURE[30:80, 40:80]
    out, mask = redact(broken, np.array(BOXES[0]), "fill")
    inside = np.abs(out.astype(int) - ramp)[mask == 1]
    assert inside.max() < 25 and np.abs(np.diff(out.astype(int), axis=1)).max() < 12


def test_a_fill_has_the_grain_of_its_surroundings() -> None:
    noise = np.random.default_rng(1).normal(0, 7, PICTURE.shape[:2])[..., None]
    out, mask = redact(np.clip(120 + noise, 0, 255).repeat(3, axis=2).astype(np.uint8), np.array(BOXES[0]), "fill")
    assert 5 < out[..., 0][mask == 1].std() < 10


def test_a_fill_without_surroundings_is_grey() -> None:
    assert (redact(PICTURE, np.array(UNKNOWN[0]), "fill")[0] == 127).all()


def test_a_fill_says_nothing_about_the_face() -> None:
    other = PICTURE.copy()
    other[30:80, 40:80] = 255 - other[30:80, 40:80]
    one, two = (redact(p, np.array(BOXES[0]), "fill")[0] for p in (PICTURE, other))
    assert (one == two).all()


def test_a_blur_leaves_no_fine_detail() -> None:
    checks = np.zeros((120, 160, 3), np.uint8)
    checks[::4], checks[1::4] = 255, 255
    out, mask = redact(checks, np.array(BOXES[0]), "blur")
    assert out[mask == 1].std() < 12


@pytest.mark.parametrize("box", UNKNOWN)
def test_a_box_that_says_nothing_covers_everything(box: tuple[float, ...]) -> None:
    assert redact(PICTURE, np.array(box), "fill")[1].all()


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError):
        redact(PICTURE, np.array(BOXES[0]), "wink")


@pytest.mark.parametrize("policy", ["fill", "blur"])
def test_what_lies_well_inside_another_replacement_stays(policy: str) -> None:
    replaced = np.zeros(PICTURE.shape[:2], dtype=np.float32)
    replaced[50:, 60:] = 1
    replaced[90:, :] = 0.5  # something of the picture is in there
    out, mask = redact(PICTURE, np.array(BOXES[0]), policy, replaced)
    alone = redact(PICTURE, np.array(BOXES[0]), policy)[1]
    stays = (alone == 1) & (mask == 0)
    assert stays.any() and (out[stays] == PICTURE[stays]).all()
    ys, xs = np.nonzero(stays)
    assert ys.min() > 50 and xs.min() > 60 and ys.max() < 89, "edges are covered"
    assert not (alone - mask)[replaced < 1].any()
    other = PICTURE.copy()
    other[mask == 1] = 255 - other[mask == 1]
    if policy == "fill":
        assert np.array_equal(redact(other, np.array(BOXES[0]), policy, replaced)[0], out), "what it hides is not looked at"


@pytest.mark.parametrize("box", UNKNOWN)
def test_where_nothing_is_known_nothing_stays(box: tuple[float, ...]) -> None:
    assert redact(PICTURE, np.array(box), "fill", np.ones(PICTURE.shape[:2], dtype=np.float32))[1].all()
