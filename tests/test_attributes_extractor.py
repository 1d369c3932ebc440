"""The extractor with tiny networks, and the weights that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import id2face_core
from id2face_core.attributes.extractor import MOST, AttributeExtractor, skin_colours
from id2face_core.attributes.geometry import CLOSE_INPUTS, close_points
from id2face_core.attributes.networks import (
    DESCENTS,
    BlendshapeNetwork,
    ExpressionNetwork,
    PersonNetwork,
    WitnessNetwork,
    inner_face,
)
from id2face_core.attributes.vector import ATTRIBUTES, BLENDSHAPES, MIRRORED, group_slice, index
from id2face_core.errors import FaceRejectedError, ShapeError
from id2face_core.faces.landmarks import OVAL
from id2face_core.faces.types import Mesh

POINTS5 = np.array([[60, 70], [140, 70], [100, 110], [70, 150], [130, 150]], dtype=np.float32)


def _mesh() -> Mesh:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(50, 150, (468, 2)), rng.normal(size=(468, 1)) * 20], axis=1)
    irises, close = (rng.uniform(60, 140, shape).astype(np.float32) for shape in ((2, 5, 2), (478, 2)))
    return Mesh(points.astype(np.float32), irises, 1.0, close)


def _tiny() -> AttributeExtractor:
    torch.manual_seed(0)
    shapes = BlendshapeNetwork(width=8)
    shapes.canonical.copy_(torch.randn(468, 3))
    close = ExpressionNetwork(width=8)
    close.basis.copy_(torch.randn(52, 468, 3))
    return AttributeExtractor(shapes, PersonNetwork(widths=(4, 4, 8, 8)), close, WitnessNetwork((4, 4, 8), (0, 1, 1)))


def test_vector_is_finite_and_within_its_units() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    values, descent = _tiny().read(picture, POINTS5, _mesh())
    assert values.shape == (len(ATTRIBUTES),) and values.dtype == np.float32
    assert descent.shape == (len(DESCENTS),) and descent.sum() == pytest.approx(1) and descent.min() >= 0
    assert 0 <= values[index("age")] <= 100
    shapes = values[group_slice("blendshapes")]
    assert 0 <= shapes.min() and shapes.max() <= 1
    assert 0 <= values[index("sex")] <= 1 and 0 <= values[index("glasses")] <= 1


def test_a_mesh_that_is_not_finite_is_rejected() -> None:
    extractor, mesh = _tiny(), _mesh()
    irises = mesh.irises.copy()
    irises[0] = np.nan
    with pytest.raises(FaceRejectedError):
        extractor.read(np.zeros((200, 200, 3), np.uint8), POINTS5, Mesh(mesh.points, irises, 1.0))


def test_a_closer_look_gives_blendshapes_and_needs_its_points() -> None:
    extractor, mesh = _tiny(), _mesh()
    seen = extractor.expression(mesh)
    assert seen.shape == (52,) and 0 <= seen.min() and seen.max() <= 1
    with pytest.raises(ShapeError):
        extractor.expression(Mesh(mesh.points, mesh.irises, 1.0))


def test_the_closer_look_does_not_hang_on_place_size_and_roll() -> None:
    mesh, turn = _mesh(), np.array([[0.0, -1.0], [1.0, 0.0]])
    assert mesh.close is not None
    seen = close_points(mesh.close)
    assert seen.shape == (CLOSE_INPUTS,)
    np.testing.assert_allclose(close_points(3 * mesh.close @ turn.T + 7), seen, atol=1e-4)


def test_a_mirror_exchanges_left_and_right() -> None:
    assert [MIRRORED[i] for i in MIRRORED] == list(range(len(BLENDSHAPES)))
    assert BLENDSHAPES[MIRRORED[BLENDSHAPES.index("mouthSmileLeft")]] == "mouthSmileRight"
    assert BLENDSHAPES[MIRRORED[BLENDSHAPES.index("jawOpen")]] == "jawOpen"


def test_a_bend_is_linear_turns_with_the_head_and_grows_with_the_face() -> None:
    extractor, mesh = _tiny(), _mesh()
    change = np.zeros(52)
    change[[3, 7]] = 0.2, -0.1
    bend = extractor.bend(mesh, change)
    np.testing.assert_allclose(extractor.bend(mesh, 2 * change), 2 * bend, rtol=1e-5)
    np.testing.assert_allclose(extractor.bend(mesh, 1000 * change), extractor.bend(mesh, np.sign(change) * MOST), rtol=1e-5)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    points = mesh.points.copy()
    points[:, :2] = 3 * points[:, :2] @ turn.T
    points[:, 2] *= 3
    np.testing.assert_allclose(extractor.bend(Mesh(points, mesh.irises, 1.0), change), 3 * bend @ turn.T, rtol=1e-3, atol=1e-2)


def test_skin_of_an_even_picture_is_its_colour() -> None:
    white = skin_colours(np.full((112, 112, 3), 255, np.uint8), np.random.default_rng(0).uniform(20, 90, (468, 2)))
    np.testing.assert_allclose(white.reshape(4, 3), [[100, 0, 0]] * 4, atol=0.1)


def test_networks_do_not_depend_on_the_batch() -> None:
    crops, points = torch.rand(3, 3, 112, 112), _oval((56.0, 60.0), (30.0, 40.0)).expand(3, -1, -1)
    for network in (_tiny().person, _tiny().witness):
        with torch.inference_mode():
            torch.testing.assert_close(network(crops, points)[1:2], network(crops[1:2], points[1:2]), atol=1e-4, rtol=1e-4)


def test_the_witness_and_nobody_that_was_trained_through_says_how_old_somebody_is() -> None:
    picture, extractor = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8), _tiny()
    before, _ = extractor.read(picture, POINTS5, _mesh())
    for network, changed in ((extractor.person, ["glasses"]), (extractor.witness, ["age", "sex"])):
        last = [m for m in network.head if isinstance(m, torch.nn.Linear)][-1]
        with torch.no_grad():
            last.bias += torch.linspace(1, 2, len(last.bias))
        network.register_to_config(reads_glasses=True)
        after, _ = extractor.read(picture, POINTS5, _mesh())
        assert [name for name in ATTRIBUTES if before[index(name)] != after[index(name)]] == changed
        before = after


def test_shipped_weights_load_and_hold_a_canonical_face() -> None:
    folder = Path(id2face_core.__file__).parent / "weights/attributes"
    if not folder.is_dir():
        pytest.skip("no trained weights in this checkout")
    canonical = AttributeExtractor.from_folder(folder).canonical
    assert canonical[33, 0] < canonical[1, 0] < canonical[263, 0]  # viewer's left eye, nose, other eye
    assert canonical[10, 1] < canonical[1, 1] < canonical[152, 1]  # forehead above nose above chin
    assert canonical[1, 2] < canonical[234, 2]  # the nose is nearer to the camera than the ear
    assert abs(canonical[33, 0] + canonical[263, 0]) < 0.05


def _oval(centre: tuple[float, float], radii: tuple[float, float]) -> torch.Tensor:
    angle = torch.linspace(0, 2 * torch.pi, len(OVAL) + 1)[:-1]
    points = torch.zeros(1, 468, 2)
    points[0, OVAL.tolist()] = torch.stack((centre[0] + radii[0] * angle.sin(), centre[1] - radii[1] * angle.cos()), dim=1)
    return points


def test_the_inner_face_is_the_area_of_the_oval() -> None:
    inside = inner_face(_oval((50.0, 60.0), (30.0, 40.0)))
    assert inside.shape == (1, 1, 112, 112) and 0 <= float(inside.min()) and float(inside.max()) == 1
    assert float(inside.sum()) == pytest.approx(torch.pi * 30 * 40, rel=0.02)
    assert float(inside[0, 0, 60, 50]) == 1 and float(inside[0, 0, 60, 85]) == 0 and float(inside[0, 0, 105, 50]) == 0


def test_the_inner_face_of_an_oval_beyond_the_crop_is_cut_off() -> None:
    inside = inner_face(_oval((0.0, 56.0), (30.0, 40.0)))
    assert float(inside.sum()) == pytest.approx(torch.pi * 30 * 40 / 2, rel=0.05)


@pytest.mark.parametrize("name", ["person", "witness"])
def test_age_and_sex_do_not_depend_on_what_lies_around_the_face(name: str) -> None:
    torch.manual_seed(0)
    network, points = getattr(_tiny(), name), _oval((56.0, 60.0), (30.0, 40.0))
    crop = torch.rand(1, 3, 112, 112)
    outside = inner_face(points) == 0
    other = torch.where(outside, torch.rand(1, 3, 112, 112), crop)
    with torch.no_grad():
        assert torch.equal(network(crop, points), network(other, points))
        assert not torch.equal(network(crop, points), network(torch.where(outside, crop, 1 - crop), points))
