"""The closer look in batches is what the pipeline sees face by face, with gradients to the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import id2face_core
from id2face_core.attributes.extractor import AttributeExtractor
from id2face_core.errors import AssetCorruptError
from id2face_core.faces import attention as one
from id2face_core.faces.alignment import warp
from id2face_core.faces.landmarks import MESH_SIDE, MeshNetwork, mesh_square, roi_matrix
from id2face_core.training import attention as many
from id2face_core.training.frozen import load_tflite_parts
from id2face_core.training.teachers import bundled_expression, bundled_networks, bundled_witness

RNG = np.random.default_rng(7)
ENLARGED = 3  # the demo's face is 93 px wide, a generated one some 250
POINTS5 = np.array([[203.5, 101], [246.5, 103.5], [223, 127], [203, 139.5], [244, 141.5]])


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    demo = Image.open(Path(id2face_core.__file__).parent / "demo" / "astronaut.jpg").convert("RGB")
    return np.asarray(demo.resize((ENLARGED * demo.width, ENLARGED * demo.height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def landmarks(model_dir: Path) -> MeshNetwork:
    return MeshNetwork.from_folder(model_dir / "landmarks")


@pytest.fixture(scope="module")
def reader(model_dir: Path) -> many.AttentionReader:
    return many.AttentionReader.load()


def _batch(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def test_crops_of_features_are_those_of_one_face() -> None:
    size = one.SIDE // one.STRIDE
    features = RNG.normal(size=(3, 5, size, size))
    points, level = RNG.uniform(-20, 160, size=(3, 9, 2)), RNG.uniform(0, 192, size=(3, 2, 2))  # partly outside
    matrix = many.crop_matrices(torch.from_numpy(points), torch.from_numpy(level))
    expected = np.stack([one.crop_matrix(*face) for face in zip(points, level, strict=True)])
    np.testing.assert_allclose(matrix.numpy(), expected, atol=1e-9)
    crops = many.cut_features(torch.from_numpy(features), matrix).numpy()
    for crop, own, place in zip(crops, features, expected, strict=True):
        there = one.cut(own.transpose(1, 2, 0), place).transpose(2, 0, 1)
        np.testing.assert_allclose(crop, there, atol=1e-9)
        assert (there == 0).any() and (there != 0).any()


def test_points_are_those_of_one_face(
    picture: np.ndarray, landmarks: MeshNetwork, reader: many.AttentionReader, model_dir: Path
) -> None:
    centre, side, roll = mesh_square(landmarks.fit(picture, ENLARGED * POINTS5).points)
    places = [(centre, side, roll), (centre + 9, 1.1 * side, roll + 0.3), (centre + (0, 0.4 * side), side, roll)]
    crops = [warp(picture, roi_matrix(*place, MESH_SIDE), MESH_SIDE) for place in places]
    network = one.AttentionNetwork(model_dir / "landmarks" / "face_landmark_with_attention.tflite")
    with torch.no_grad():
        points = reader(_batch(crops))
    assert points.shape == (3, 478, 2) and points.dtype == torch.float32
    assert np.abs(points.numpy() - np.stack([network(crop) for crop in crops])).max() < 0.02


def test_the_expression_is_that_of_one_face_and_has_gradients(
    picture: np.ndarray, landmarks: MeshNetwork, reader: many.AttentionReader
) -> None:
    pictures = [np.ascontiguousarray(own) for own in (picture[:-30, :-60], picture[30:, 60:])]
    meshes = [landmarks.fit(own, ENLARGED * POINTS5 - shift) for own, shift in zip(pictures, ((0, 0), (60, 30)), strict=True)]
    extractor = AttributeExtractor(*bundled_networks(), bundled_expression(), bundled_witness())
    expressions = many.ExpressionReader(reader, bundled_expression())
    half = F.avg_pool2d(_batch(pictures), 2).requires_grad_()
    points = torch.from_numpy(np.stack([mesh.points for mesh in meshes]))
    close, shapes = expressions.look_closely(half, points), expressions(half, points)
    assert shapes.shape == (2, 52)
    for mesh, own_close, own_shapes in zip(meshes, close.detach().numpy(), shapes.detach().numpy(), strict=True):
        assert mesh.close is not None
        assert np.abs(own_close - mesh.close).max() < 1.5, "pixels of a face 280 px wide"
        assert np.abs(own_shapes - extractor.expression(mesh)).max() < 0.03
    for seen in (close, shapes):
        (gradient,) = torch.autograd.grad(seen.sum(), half, retain_graph=True)
        assert bool(gradient.isfinite().all()) and bool((gradient.abs().sum(dim=(1, 2, 3)) > 0).all())
    assert not any(p.requires_grad for p in expressions.parameters())


def test_another_file_is_refused(model_dir: Path) -> None:
    with pytest.raises(AssetCorruptError, match=r"face_landmark\.tflite.*id2face setup"):
        many.AttentionReader.load(model_dir / "landmarks" / "face_landmark.tflite")
    with pytest.raises(AssetCorruptError, match="attention.*has the operator"):
        load_tflite_parts(model_dir / "landmarks" / "face_landmark_with_attention.tflite", [("input_1", ("output_lips",))])
