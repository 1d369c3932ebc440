"""Covers that nobody is recognised from."""

from __future__ import annotations

import numpy as np
import pytest

from id2face_core.errors import ConfigError
from id2face_core.photograph.redact import redact

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
    assert set(np.unique(mask)) <= {0.0, 1.0}


def test_a_fill_goes_on_from_its_surroundings() -> None:
    ramp = np.broadcast_to(np.linspace(40, 200, 160).astype(np.uint8)[None, :, None], PICTURE.shape).copy()
    broken = ramp.copy()
    broken[30:80, 40:80] = PICTURE[30:80, 40:80]
    out, mask = redact(broken, np.array(BOXES[0]), "fill")
    inside = np.abs(out.astype(int) - ramp)[mask == 1]
    assert inside.max() < 25 and np.abs(np.diff(out.astype(int), axis=1)).max() < 12


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
