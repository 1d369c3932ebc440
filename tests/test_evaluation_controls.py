"""Controls and what is read off pictures."""

from __future__ import annotations

import numpy as np
import pytest

from id2face_core.audit.contact_sheet import LABEL_HEIGHT, contact_sheet, face_window
from id2face_core.audit.controls import CONTROLS, OVAL_RADII, crop_side, oval_mask
from id2face_core.audit.utility import derangement
from id2face_core.evaluation.utility import EYES, background_untouched, gaze_degrees, rgb_to_lab
from id2face_core.faces.alignment import ARCFACE_POINTS
from id2face_core.training.splits import is_held_out

POINTS = (ARCFACE_POINTS * 1.5 + 20).astype(np.float32)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (220, 230, 3), dtype=np.uint8)


def test_oval_has_its_area_and_place() -> None:
    mask = oval_mask((220, 230, 3), POINTS)
    assert crop_side(POINTS) == pytest.approx(112 * 1.5, rel=1e-4)
    assert mask.sum() == pytest.approx(np.pi * OVAL_RADII[0] * OVAL_RADII[1] * 1.5**2, rel=0.02)
    assert all(mask[round(float(y)), round(float(x))] for x, y in POINTS)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_change_the_oval_only(name: str, picture: np.ndarray) -> None:
    before = picture.copy()
    after = CONTROLS[name](picture, POINTS)
    mask = oval_mask(picture.shape, POINTS)
    assert (picture == before).all()
    assert (after[~mask] == picture[~mask]).all()
    changed = (after[mask] != picture[mask]).any(axis=-1).mean()
    assert changed == 0 if name == "nothing" else changed > 0.95


def test_pixelate_keeps_block_means(picture: np.ndarray) -> None:
    after = CONTROLS["pixelate"](picture, POINTS)
    size = round(crop_side(POINTS) / 10)
    row, column = 100 // size * size, 110 // size * size
    block = picture[row : row + size, column : column + size].reshape(-1, 3).mean(axis=0)
    assert np.abs(after[100, 110] - block).max() <= 0.51


def test_background_check_sees_one_pixel(picture: np.ndarray) -> None:
    mask = oval_mask(picture.shape, POINTS).astype(np.float32)
    after = CONTROLS["grey oval"](picture, POINTS)
    assert background_untouched(picture, after, mask)
    after[0, 0, 0] ^= 1
    assert not background_untouched(picture, after, mask)


def test_derangement_moves_everybody() -> None:
    for n in (2, 3, 17):
        other = derangement(n, np.random.default_rng(n))
        assert sorted(other) == list(range(n)) and (other != np.arange(n)).all()


def test_lab_of_known_colours() -> None:
    lab = rgb_to_lab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 0]]))
    assert lab == pytest.approx(np.array([[100, 0, 0], [53.24, 80.09, 67.2], [0, 0, 0]]), abs=0.05)


def test_gaze_follows_the_iris() -> None:
    mesh = np.zeros((478, 2))
    for outer, inner, centre, rim_a, rim_b, x in ((33, 133, 468, 469, 471, 0), (362, 263, 473, 474, 476, 100)):
        mesh[outer], mesh[inner] = (x, 0), (x + 40, 0)
        mesh[centre], mesh[rim_a], mesh[rim_b] = (x + 20, 0), (x + 10, 0), (x + 30, 0)
    assert gaze_degrees(mesh) == pytest.approx([0, 0])
    mesh[[468, 473], 0] += 20 * 12 / 11.7 / 2
    assert gaze_degrees(mesh) == pytest.approx([30, 0], abs=1e-6)


def test_an_iris_off_its_eyeball_is_no_gaze() -> None:
    mesh = np.zeros((478, 2))
    for outer, inner, centre, rim_a, rim_b in EYES:
        mesh[outer], mesh[inner] = (0, 0), (30, 0)
        mesh[rim_a], mesh[rim_b] = (9, 0), (21, 0)
        mesh[centre] = 15, -14
    assert np.isnan(gaze_degrees(mesh)).all()
    mesh[EYES[0][2]] = 15, 0  # one eye that can be read is enough
    assert gaze_degrees(mesh) == pytest.approx([0, 0])


def test_sheet_shows_the_cells(picture: np.ndarray) -> None:
    cell = np.full((16, 16, 3), 7, dtype=np.uint8)
    sheet = contact_sheet([("a", [cell, cell])] * 9, columns=8, side=16)
    assert sheet.shape == (2 * (16 + LABEL_HEIGHT), 8 * 38, 3)
    assert (sheet[LABEL_HEIGHT : LABEL_HEIGHT + 16, :32] == 7).all()
    assert (sheet[-16:, 38:] == 255).all()
    assert face_window(picture, POINTS, 48).shape == (48, 48, 3)


def test_held_out_is_a_fixed_tenth() -> None:
    share = np.mean([is_held_out(str(i)) for i in range(5000)])
    assert 0.085 < share < 0.115
    assert [i for i in range(30) if is_held_out(str(i))] == [i for i in range(30) if is_held_out(str(i))]
