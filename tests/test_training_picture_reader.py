"""What is measured in batches is what the pipeline measures face by face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from id2face_core.attributes.extractor import AttributeExtractor, skin_colours
from id2face_core.attributes.vector import group_slice
from id2face_core.colour import rgb_to_lab
from id2face_core.components import NOMINAL_POINTS, WINDOW_ORIGIN
from id2face_core.faces.alignment import arcface_matrix, transform_points, warp
from id2face_core.faces.landmarks import MeshNetwork, roi_matrix
from id2face_core.faces.types import Mesh
from id2face_core.generator.loader import MobileStyleGAN, load_generator
from id2face_core.reading import five_points
from id2face_core.training import picture_reader as reader
from id2face_core.training.batches import measured_shards
from id2face_core.training.features import read_features
from id2face_core.training.readers import render
from id2face_core.training.synthesize import draw_codes
from id2face_core.training.tables import attributes_of
from id2face_core.training.teachers import BatchTeacher, BundledRecogniser, bundled_expression, bundled_networks, bundled_witness

RNG = np.random.default_rng(5)


def test_alignments_are_those_of_one_face() -> None:
    five = NOMINAL_POINTS + RNG.normal(0, 9, size=(4, 5, 2))
    batch = reader.arcface_matrices(torch.from_numpy(five)).numpy()
    np.testing.assert_allclose(batch, [arcface_matrix(points) for points in five], atol=1e-9)


@pytest.mark.parametrize("mirror", [False, True])
def test_regions_are_those_of_one_face(mirror: bool) -> None:
    centre, side, roll = RNG.uniform(100, 300, (3, 2)), RNG.uniform(80, 200, 3), RNG.uniform(-1, 1, 3)
    axis = torch.from_numpy(np.stack((np.cos(roll), np.sin(roll)), axis=1) * 7)
    batch = reader.roi_matrices(torch.from_numpy(centre), torch.from_numpy(side), axis, 64, mirror)
    one_by_one = [roi_matrix(c, float(s), float(r), 64, mirror) for c, s, r in zip(centre, side, roll, strict=True)]
    np.testing.assert_allclose(batch.numpy(), one_by_one, atol=1e-9)
    there_and_back = reader.apply(reader.inverse(batch), reader.apply(batch, torch.from_numpy(centre)[:, None]))
    np.testing.assert_allclose(there_and_back[:, 0].numpy(), centre, atol=1e-9)


def test_jitter_keeps_the_middle_and_mirrors_half() -> None:
    straight = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(2000, -1, -1)
    moved = reader.jittered(straight, Generator().manual_seed(0))
    middle = torch.full((2000, 1, 2), (reader.CROP - 1) / 2)
    apart = reader.apply(moved, middle)[:, 0] - middle[:, 0]
    assert float(apart.std()) == pytest.approx(reader.JITTER[0], rel=0.1) and float(apart.mean().abs()) < 0.1
    mirrored = moved[:, 0, 0] < 0
    assert 0.4 < float(mirrored.float().mean()) < 0.6
    assert float(torch.linalg.det(moved[:, :, :2]).abs().sqrt().std()) == pytest.approx(reader.JITTER[1], rel=0.1)


def test_colours_and_skin_are_those_of_one_face() -> None:
    crops = RNG.integers(0, 256, size=(3, 112, 112, 3), dtype=np.uint8)
    points = RNG.uniform(10, 100, size=(3, 468, 2))
    tensor = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    lab = reader.lab_of(torch.from_numpy(crops[0]).float() / 255)
    np.testing.assert_allclose(lab.numpy(), rgb_to_lab(crops[0]), atol=0.02)
    skin = reader.skin_rows(tensor, torch.from_numpy(points))
    expected = [skin_colours(crop, own) for crop, own in zip(crops, points, strict=True)]
    np.testing.assert_allclose(skin.numpy(), expected, atol=0.02)


@pytest.fixture(scope="module")
def generator(model_dir: Path) -> MobileStyleGAN:
    return load_generator()


@pytest.fixture(scope="module")
def codes(generator: MobileStyleGAN) -> Tensor:
    return draw_codes(generator, generator.w_mean, range(2))


@pytest.fixture(scope="module")
def pictures(model_dir: Path) -> reader.PictureReader:
    return reader.PictureReader.load(BatchTeacher("bundled"), *bundled_networks())


def test_a_face_is_measured_as_the_pipeline_does(
    generator: MobileStyleGAN, codes: Tensor, pictures: reader.PictureReader, model_dir: Path
) -> None:
    with torch.no_grad():
        rendered = render(generator, codes)
        seen = pictures(rendered)
        attributes = pictures.attributes(seen)
    assert (seen.score > 0).all()
    networks, teacher = bundled_networks(), BundledRecogniser()
    extractor = AttributeExtractor(*networks, bundled_expression(), bundled_witness())
    network = MeshNetwork.from_folder(model_dir / "landmarks")
    for i, pixels in enumerate(reader.pixels(rendered)):
        mesh: Mesh = network.fit(pixels, NOMINAL_POINTS - WINDOW_ORIGIN)
        assert np.abs(mesh.points - seen.points[i].numpy())[:, :2].max() < 1.5, "pixels of a face 250 px wide"
        assert np.abs(mesh.irises - seen.irises[i].numpy()).max() < 1.5
        five = five_points(mesh)
        embedding, _ = teacher(warp(pixels, arcface_matrix(five), 112)[None])
        assert float(embedding[0] @ seen.embeddings[i].numpy()) > 0.97
        apart = np.abs(extractor.read(pixels, five, mesh)[0] - attributes[i].numpy())
        assert apart[group_slice("pose")].max() < 1 and apart[group_slice("gaze")].max() < 0.03
        assert apart[group_slice("blendshapes")].mean() < 0.01 and apart[group_slice("skin")].max() < 2
        crop = torch.from_numpy(warp(pixels, arcface_matrix(five), 112).copy()).permute(2, 0, 1)[None] / 255
        placed = torch.from_numpy(transform_points(mesh.points[:, :2], arcface_matrix(five)))[None].float()
        with torch.no_grad():
            person = networks[1](crop, placed)
        off = (person[0] - attributes[i][group_slice("person")]).abs()
        assert off[0] < 2 and off[1] < 0.1


def test_shards_hold_what_was_drawn_and_resume(
    generator: MobileStyleGAN, pictures: reader.PictureReader, tmp_path: Path
) -> None:
    drawn: list[range] = []

    def draw(faces: range) -> Tensor:
        drawn.append(faces)
        return draw_codes(generator, generator.w_mean, faces)

    assert measured_shards(generator, pictures, tmp_path, draw, 600, faces=2, shard=2, batch=1) == 1
    assert measured_shards(generator, pictures, tmp_path, draw, 600, faces=2, shard=2, batch=1) == 1
    assert drawn == [range(0, 2)], "a shard that is there is not drawn again"
    features = read_features(tmp_path, maps=True)
    assert features["crops"].shape == (2, 112, 112, 3) and features["maps"].shape[:3] == (2, 7, 7)
    np.testing.assert_allclose(features["codes"], draw_codes(generator, generator.w_mean, range(2)), atol=5e-3)
    attributes = attributes_of(features, *bundled_networks())
    with torch.no_grad():
        codes = draw_codes(generator, generator.w_mean, range(2)).half().float()
        expected = pictures.attributes(pictures(render(generator, codes)))
    assert float((attributes - expected)[:, :58].abs().max()) < 1.5, "by the stored mesh and crop as off the picture"


def test_no_face_leaves_no_row(generator: MobileStyleGAN, pictures: reader.PictureReader, tmp_path: Path) -> None:
    noise = 40 * torch.randn(1, 3, 512, generator=Generator().manual_seed(0))
    measured_shards(generator, pictures, tmp_path, lambda _: noise, 600, faces=1, shard=1, batch=1)
    assert len(read_features(tmp_path)["names"]) == 0
