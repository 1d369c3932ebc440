"""A rendering goes into the photograph, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from id2face_core.errors import ConfigError, FaceRejectedError
from id2face_core.faces.types import Mesh, SoftMask
from id2face_core.photograph import hair as hair_module
from id2face_core.photograph.compose import REGIONS, ComposeOptions, Composite, compose
from id2face_core.photograph.hair import FINE_ENOUGH, hair_share, without_hair
from id2face_core.photograph.mask import (
    BETWEEN_LIPS,
    BROWS,
    CORE,
    EYEBROWS,
    LIPS,
    NOSE_MOUTH,
    Neighbour,
    irises_mask,
    lips_mask,
    soft_mask,
)
from id2face_core.photograph.warp import EYES, OVAL, Box, face_width

SIDE = 200


def make_mesh(centre: tuple[float, float] = (100.0, 105.0), radius: float = 55.0) -> Mesh:
    """A face-shaped arrangement of 468 points: what compose needs to know is the oval, the features and the irises."""
    rng = np.random.default_rng(0)
    angle, reach = rng.uniform(0, 2 * np.pi, 468), np.sqrt(rng.uniform(0, 0.8, 468))
    flat = np.stack([np.cos(angle), np.sin(angle)], axis=1) * reach[:, None]
    turn = np.linspace(-np.pi / 2, 1.5 * np.pi, len(OVAL), endpoint=False)
    flat[OVAL] = np.stack([np.cos(turn), 1.2 * np.sin(turn)], axis=1)
    irises = np.zeros((2, 5, 2))
    for eye, x in enumerate((-0.4, 0.4)):
        turn = np.linspace(np.pi, 3 * np.pi, 16, endpoint=False)
        flat[EYES[eye]] = np.stack([x + 0.18 * np.cos(turn), -0.2 + 0.07 * np.sin(turn)], axis=1)
        irises[eye] = (x, -0.2)
        irises[eye, 1:] += 0.07 * np.array([[1, 0], [0, -1], [-1, 0], [0, 1]])
    flat[BROWS, 0], flat[BROWS, 1] = np.linspace(-0.6, 0.6, len(BROWS)), -0.4
    for brow, x in zip(EYEBROWS, (-0.4, 0.4), strict=True):
        flat[brow] = np.stack([x + np.linspace(-0.2, 0.2, 10), np.resize([-0.4, -0.36], 10)], axis=1)
    flat[[13, 14]] = [[0, 0.4], [0, 0.45]]
    flat[NOSE_MOUTH] = np.random.default_rng(2).uniform((-0.3, 0.0), (0.3, 0.55), (len(NOSE_MOUTH), 2))
    flat[[50, 280, 205, 425, 9, 151]] = [[-0.5, 0.1], [0.5, 0.1], [-0.4, 0.3], [0.4, 0.3], [0, -0.45], [0, -0.7]]
    points = np.concatenate([flat * radius + centre, np.zeros((468, 1))], axis=1)
    return Mesh(points.astype(np.float32), (irises * radius + centre).astype(np.float32), 1.0)


def make_picture(seed: int, tone: tuple[int, int, int] = (190, 150, 130)) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE, 3)), (3, 3, 0))
    return np.clip(np.array(tone) + 60 * noise, 0, 255).astype(np.uint8)


def run(
    picture: np.ndarray,
    mesh: Mesh,
    rendering: np.ndarray | None = None,
    seed: int = 0,
    occluder: np.ndarray | None = None,
    **options: object,
) -> Composite:
    """With an occluder [H, W]; the rendering's person fills the middle of its picture."""
    new = make_picture(9, (170, 140, 120)) if rendering is None else rendering
    settings = ComposeOptions(**options)  # type: ignore[arg-type]
    return compose(
        picture, mesh, new, make_mesh(), settings, np.random.default_rng(seed),
        occluder=None if occluder is None else SoftMask(0, 0, occluder),
        person=SoftMask(0, 0, disc(picture.shape, mesh, 1.9)), rendering_person=SoftMask(0, 0, disc(new.shape, make_mesh(), 1.5)),
    )  # fmt: skip


def disc(shape: tuple[int, ...], mesh: Mesh, reach: float) -> np.ndarray:
    """A soft disc around a face: float32 [H, W]."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre, radius = mesh.points[OVAL, :2].mean(axis=0), np.ptp(mesh.points[OVAL, 0]) / 2
    return np.clip((reach * radius - np.hypot(x - centre[0], y - centre[1])) / 4, 0, 1).astype(np.float32)


def seen_core(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of the features' points inside the picture."""
    x, y = np.rint(mesh.points[CORE, :2]).astype(int).T
    seen = (x >= 0) & (y >= 0) & (x < SIDE) & (y < SIDE)
    return x[seen], y[seen]


@pytest.mark.parametrize("region", REGIONS)
def test_outside_the_mask_nothing_changes_and_the_input_is_left_alone(region: str) -> None:
    picture = make_picture(1)
    before = picture.copy()
    result = run(picture, make_mesh(radius=40), region=region)
    assert (picture == before).all()
    assert (result.picture[result.mask == 0] == picture[result.mask == 0]).all()
    assert (result.picture != picture).any(axis=2).mean() > 0.1
    assert result.mask.min() == 0 and 0.99 < result.mask.max() <= 1 and result.mask.dtype == np.float32


@pytest.mark.parametrize("region", REGIONS)
def test_the_features_are_always_replaced(region: str) -> None:
    picture, mesh = make_picture(1), make_mesh()
    picture[:112] = (20, 15, 10)  # a fringe, or a hand, down to the nose
    mask = run(picture, mesh, region=region).mask
    x, y = np.rint(mesh.points[CORE, :2]).astype(int).T
    assert mask[y, x].min() > 0.99


def test_a_fringe_is_kept_over_the_forehead() -> None:
    picture, mesh = make_picture(1), make_mesh()
    picture[:66] = (20, 15, 10)
    assert run(picture, mesh).mask[56, 100] < 0.1
    assert run(picture, mesh, keep_fringe=False).mask[56, 100] > 0.9


def test_hair_of_a_face_that_the_picture_cuts_is_kept_too() -> None:
    """It comes from outside of the picture, so that none of it is seen outside of the face."""
    picture, mesh = make_picture(1), make_mesh((100.0, 60.0), 55.0)
    picture[:18, 60:140] = (20, 15, 10)
    box = Box(0, 0, SIDE, SIDE)
    share = hair_share(picture.astype(np.float32), mesh.points[:, :2].astype(np.float64), box)
    assert soft_mask(mesh.points[:, :2].astype(np.float64), box, "face", 0.0, 0.02)[2, 90:110].min() > 0.9
    assert share[2:12, 80:120].min() > 0.9 and share[40:70, 80:120].max() < 0.1


def test_a_plain_forehead_is_not_hair() -> None:
    plain = np.full((SIDE, SIDE, 3), (190.0, 150.0, 130.0))
    assert hair_share(plain, make_mesh().points[:, :2], Box(0, 0, SIDE, SIDE)).max() == 0


def test_the_same_face_comes_back_as_it_was() -> None:
    picture = make_picture(1)
    result = run(picture, make_mesh(), picture, grain=False)
    error = np.square(result.picture.astype(float) - picture)[result.mask > 0.5].mean()
    assert 10 * np.log10(255**2 / max(error, 1e-9)) > 38


def test_where_the_face_lies_in_a_larger_picture_does_not_matter() -> None:
    small = make_picture(1)
    large = np.zeros((700, 900, 3), np.uint8)
    large[300 : 300 + SIDE, 400 : 400 + SIDE] = small
    one = run(small, make_mesh((100.3, 105.2), 40), region="face")  # no vertex on a tie of rounding
    two = run(large, make_mesh((500.3, 405.2), 40), region="face")
    cut = slice(300, 300 + SIDE), slice(400, 400 + SIDE)
    # the outline is drawn to whole pixels, so that a vertex may fall one pixel aside
    assert np.abs(two.mask[cut] - one.mask).mean() < 1e-3
    changed = np.abs(two.picture[cut].astype(int) - one.picture).max(axis=2) > 3
    assert changed.mean() < 0.01


@pytest.mark.parametrize("centre", [(0.0, 0.0), (199.0, 100.0), (100.0, 195.0)])
@pytest.mark.parametrize("region", REGIONS)
def test_faces_that_leave_the_picture(centre: tuple[float, float], region: str) -> None:
    picture, mesh = make_picture(1), make_mesh(centre)
    result = run(picture, mesh, region=region)
    x, y = seen_core(mesh)
    assert result.picture.shape == picture.shape and result.mask[y, x].min() > 0.99
    assert (result.picture[result.mask == 0] == picture[result.mask == 0]).all()


@pytest.mark.parametrize("radius", [5.0, 9.0, 400.0])
@pytest.mark.parametrize("region", REGIONS)
def test_tiny_and_huge_faces(radius: float, region: str) -> None:
    picture, mesh = make_picture(1), make_mesh(radius=radius)
    result = run(picture, mesh, region=region)
    x, y = seen_core(mesh)
    assert np.isfinite(result.mask).all() and result.mask[y, x].min() > 0.99


@pytest.mark.parametrize("tone", [0, 255])
def test_flat_pictures(tone: int) -> None:
    picture = np.full((SIDE, SIDE, 3), tone, np.uint8)
    result = run(picture, make_mesh(), region="head")
    assert np.isfinite(result.mask).all() and (result.picture[result.mask == 0] == tone).all()


def hand(left: int) -> np.ndarray:
    """Something over the face from a column to the right, below the eyes."""
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[105:160, left:] = 1
    return gaussian_filter(cover, 0.8)


@pytest.mark.parametrize("region", REGIONS)
def test_a_hand_at_the_cheek_stays(region: str) -> None:
    picture, cover = make_picture(1), hand(132)
    result, plain = run(picture, make_mesh(), occluder=cover, region=region), run(picture, make_mesh(), region=region)
    assert (result.picture[cover > 0.999] == picture[cover > 0.999]).all()
    assert (plain.picture[cover > 0.999] != picture[cover > 0.999]).any()
    assert result.mask[cover > 0.999].max() == 0
    assert (result.picture[cover == 0] == plain.picture[cover == 0]).all()


def test_a_hand_over_the_features_is_refused() -> None:
    with pytest.raises(FaceRejectedError) as caught:
        run(make_picture(1), make_mesh(), occluder=hand(70))
    assert caught.value.reason == "occluded"


def run_beside(
    neighbour: tuple[float, float, float, float], region: str, in_front: bool = False
) -> tuple[np.ndarray, Composite]:
    picture, mesh = make_picture(1), make_mesh((90, 110), 30)
    new = make_picture(9, (170, 140, 120))
    options = ComposeOptions(region=region)
    others = [Neighbour(np.array(neighbour, np.float32), in_front)]
    return picture, compose(picture, mesh, new, mesh, options, np.random.default_rng(0), neighbours=others)


def test_the_head_of_somebody_else_stays() -> None:
    head = slice(46, 60), slice(110, 126)
    picture, result = run_beside((103, 35, 133, 75), "head")
    alone = run_beside((0, 0, 4, 4), "head")[1]
    assert alone.mask[head].mean() > 0.2 and result.mask[head].max() == 0
    assert (result.picture[head] == picture[head]).all()


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("box", [(62, 72, 118, 148), (92, 90, 150, 160)])  # the face once more; one that overlaps with it
def test_no_neighbour_keeps_the_features_of_the_face(box: tuple[float, float, float, float], region: str) -> None:
    x, y = seen_core(make_mesh((90, 110), 30))
    assert run_beside(box, region)[1].mask[y, x].min() > 0.99


@pytest.mark.parametrize("region", REGIONS)
def test_a_head_in_front_is_not_painted_over_but_the_features_beside_it_are(region: str) -> None:
    x, y = seen_core(make_mesh((90, 110), 30))
    behind, front = (run_beside((60, 118, 120, 200), region, in_front)[1].mask for in_front in (False, True))
    inside = np.hypot((x - 90) / 30, (y - 159) / 41) < 0.85
    assert inside.any() and (~inside).any()
    assert behind[y, x].min() > 0.99 and front[y[inside], x[inside]].max() == 0
    beyond = np.hypot((x - 90) / 30, (y - 159) / 41) > 1
    assert front[y[beyond], x[beyond]].min() > 0.99


@pytest.mark.parametrize("region", ["oval", "face"])
def test_what_is_behind_a_turned_head_stays(region: str) -> None:
    picture, mesh = make_picture(1), make_mesh()
    mesh.points[EYEBROWS[1][:5], 0] += 34  # the far brow, beyond the oval, as the mesh of a turned head has it
    x, y = np.rint(mesh.points[EYEBROWS[1][4], :2]).astype(int)
    cut, oval = np.ones((SIDE, SIDE), np.float32), disc(picture.shape, mesh, 0.9)
    cut[:, x - 4 :] = 0
    seen, blind = (
        compose(
            picture, mesh, make_picture(9), make_mesh(), ComposeOptions(region=region), np.random.default_rng(0),
            person=SoftMask(0, 0, person),
        )
        for person in (cut, 0.2 * cut)
    )  # fmt: skip
    assert seen.mask[y, x] == 0 and (seen.picture[y, x] == picture[y, x]).all()
    assert blind.mask[y, x] > 0.9, "where nobody was seen, nothing is known of what is behind"
    assert np.abs(seen.mask - blind.mask)[oval > 0.99].max() == 0, "the face itself is replaced in any case"


def test_lips_are_told_from_the_mouth_between_them() -> None:
    points = make_mesh().points[:, :2].astype(np.float64)
    for part, (across, down) in ((LIPS, (20, 10)), (BETWEEN_LIPS, (14, 5))):
        turn = np.linspace(0, 2 * np.pi, len(part), endpoint=False)
        points[part] = np.stack((100 + across * np.cos(turn), 130 + down * np.sin(turn)), axis=1)
    mask = lips_mask(points, Box(0, 0, SIDE, SIDE))
    assert mask[130, 100] == 0 and mask[137, 100] > 0.9 and mask[123, 100] > 0.9 and mask[146, 100] == 0


def test_the_background_of_the_rendering_stays_out() -> None:
    mesh, picture = make_mesh(), make_picture(1)
    new = make_picture(9, (170, 140, 120))
    body = disc(new.shape, mesh, 0.8)  # narrower than the face: as on the far side of a turned head
    new[body == 0] = (0, 255, 0)
    options = ComposeOptions(grain=False)
    result = compose(
        picture, mesh, new, mesh, options, np.random.default_rng(0), rendering_person=SoftMask(0, 0, body)
    ).picture.astype(int)
    assert (result[..., 1] - np.maximum(result[..., 0], result[..., 2])).max() < 25


def test_hair_of_the_rendering_is_not_drawn_on_a_forehead() -> None:
    new = make_picture(9, (170, 140, 120))
    new[:72] = (20, 15, 10)  # down to the brows
    result = run(make_picture(1), make_mesh(), new, keep_fringe=True)
    assert 0.02 < result.drawn < 0.5, "and how much was drawn is told"
    assert run(make_picture(1), make_mesh(), make_picture(2), keep_fringe=False).drawn == 0
    assert result.mask[58, 100] > 0.9 and result.picture[50:66, 85:115].min() > 60


def test_hair_beyond_the_far_side_of_a_head_is_not_drawn() -> None:
    mesh = make_mesh()
    points = mesh.points[:, :2].astype(np.float64)
    points[EYEBROWS[1][:5], 0] += 34  # the far brow goes on beyond the face
    new = np.full((SIDE, SIDE, 3), (190, 150, 130), np.float32)
    end = np.rint(points[EYEBROWS[1][4]]).astype(int)
    jaw, throat = (151, 125), (100, 172)  # beside the face, and under the chin
    for x, y in (end, jaw, throat):
        new[y - 3 : y + 4, x - 3 : x + 30] = (30, 25, 20)
    bare, _ = without_hair(new, points, Box(0, 0, SIDE, SIDE))
    assert bare[end[1], end[0]].min() > 100 and bare[jaw[1], jaw[0] + 4].min() > 100
    assert (bare[throat[1], throat[0]] == new[throat[1], throat[0]]).all(), "a shadow under the chin stays"


def test_a_large_face_is_toned_and_bared_at_a_size_that_is_fine_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def large(picture: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(picture).resize((5 * SIDE, 5 * SIDE), Image.Resampling.BICUBIC))

    mesh, new, rng = make_mesh((500, 520), 270), make_picture(9, (170, 140, 120)), np.random.default_rng(5)
    new[:72] = (20, 15, 10)
    picture = np.clip(large(make_picture(1)) + rng.normal(0, 6, (5 * SIDE, 5 * SIDE, 1)), 0, 255).astype(np.uint8)
    quick = compose(picture, mesh, new, make_mesh(), ComposeOptions(), np.random.default_rng(0))
    assert face_width(mesh.points) > 2 * FINE_ENOUGH
    monkeypatch.setattr(hair_module, "FINE_ENOUGH", 10_000)
    exact = compose(picture, mesh, new, make_mesh(), ComposeOptions(), np.random.default_rng(0))
    off = np.abs(quick.picture.astype(int) - exact.picture)[exact.mask > 0.5]
    assert 0 < off.mean() < 1.5 and np.percentile(off, 99) < 12 and abs(quick.drawn - exact.drawn) < 0.01
    assert quick.picture[exact.mask > 0.9].std() > 0.97 * exact.picture[exact.mask > 0.9].std(), "grain and detail stay"


def test_the_whole_head_takes_the_old_one_away() -> None:
    picture, mesh = np.full((SIDE, SIDE, 3), (60, 90, 160), np.uint8), make_mesh((100, 115), 35)
    head = disc(picture.shape, mesh, 1.9) > 0.5
    picture[head & (np.arange(SIDE)[:, None] < 115)] = (200, 40, 40)  # red hair beyond the new head's outline
    result = run(picture, mesh, region="head").picture.astype(int)
    ring = (disc(picture.shape, mesh, 1.85) > 0.5) & (disc(picture.shape, mesh, 1.65) == 0)
    ring &= np.arange(SIDE)[:, None] < 80
    assert ring.any() and (result[ring][:, 2] > result[ring][:, 0]).all()


def test_a_face_outside_the_picture_is_refused() -> None:
    with pytest.raises(FaceRejectedError):
        run(make_picture(1), make_mesh((900.0, 900.0)))


def test_irises_end_at_the_lids() -> None:
    mesh, box = make_mesh(), Box(30, 30, 171, 181)
    mask = irises_mask(mesh, box)
    for eye in range(2):
        middle, radius = mesh.irises[eye, 0] - box.origin, float(np.linalg.norm(mesh.irises[eye, 1] - mesh.irises[eye, 0]))
        x, y = (round(float(v)) for v in middle)
        assert mask[y, x] == 1 and mask[y, x + round(1.5 * radius)] == 0 and mask[y + round(1.5 * radius), x] == 0
    shut = mesh.points.copy()
    shut[EYES[0], 1] = mesh.irises[0, 0, 1]
    left = irises_mask(replace(mesh, points=shut), box)
    assert left[:, : box.shape[1] // 2].max() < 0.5 < left[:, box.shape[1] // 2 :].max(), "a closed eye shows none"
    outside = replace(mesh, irises=mesh.irises + 500)
    assert irises_mask(outside, box).max() == 0


def test_the_generator_decides_the_grain() -> None:
    picture = np.clip(make_picture(1) + np.random.default_rng(3).normal(0, 8, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
    one, again, other = (run(picture, make_mesh(), seed=s).picture for s in (1, 1, 2))
    assert (one == again).all() and (one != other).any()


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ConfigError):
        ComposeOptions(region="ears")
