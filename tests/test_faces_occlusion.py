"""Hands before faces, persons before backgrounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from id2face_core.faces import occlusion
from id2face_core.faces.landmarks import MeshNetwork
from id2face_core.faces.occlusion import OcclusionReader
from id2face_core.faces.person import PersonNetwork, guided_filter
from id2face_core.faces.types import Mesh, SoftMask

ASTRONAUT_POINTS = np.array([[203.5, 101], [246.5, 103.5], [223, 127], [203, 139.5], [244, 141.5]])
FINGERS = np.array([
    [112, 200], [80, 180], [60, 160], [50, 140], [45, 120], [90, 120], [88, 90], [87, 70], [86, 50], [107, 115], [107, 85],
    [107, 60], [107, 40], [124, 120], [125, 90], [126, 70], [127, 50], [140, 130], [145, 105], [148, 90], [150, 75],
])  # fmt: skip  # an open right hand in the hand network's 224 px crop


class FakeNetwork:
    """Instead of the networks: one palm at (0.5, `height`) of its crop, upright, and an open hand."""

    score, height = 0.9, 0.8

    def __init__(self, path: Path) -> None:
        self.palm = "palm" in path.name

    def __call__(self, crop: np.ndarray) -> list[np.ndarray]:
        if not self.palm:
            return [np.pad(FINGERS, ((0, 0), (0, 1))).ravel().astype(np.float32), np.array([self.score]), np.zeros(1)]
        raw, logits = np.zeros((2016, 9, 2), np.float32), np.full(2016, -50.0)
        anchors = occlusion._anchors()
        for near in np.argsort(np.abs(anchors - (0.5, self.height)).sum(axis=1))[:3]:  # several boxes find one palm
            raw[near] = (0.5, self.height) - anchors[near]
            raw[near, 1] = 0.15
            raw[near, 2 + occlusion.WRIST, 1] += 0.07
            raw[near, 2 + occlusion.MIDDLE, 1] -= 0.07
            logits[near] = 3
        return [192 * raw.reshape(-1), logits]


@pytest.fixture
def mesh() -> Mesh:
    turn = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    flat = np.stack([200 + 50 * np.cos(turn), 150 + 60 * np.sin(turn), 0 * turn], axis=1)
    return Mesh(flat.astype(np.float32), np.zeros((2, 5, 2), np.float32), 1.0)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> OcclusionReader:
    monkeypatch.setattr(occlusion, "LiteNetwork", FakeNetwork)
    return OcclusionReader.from_folder(Path("."))


PICTURE = np.zeros((400, 400, 3), np.uint8)


def test_a_hand_is_drawn_where_its_points_lie(reader: OcclusionReader, mesh: Mesh) -> None:
    mask = reader.read(PICTURE, mesh).window(0, 0, 400, 400)
    side = occlusion.SEARCH * 120
    centre = np.array([200, 150 + 0.3 * side - 0.5 * 0.15 * side])
    points = centre + (FINGERS - 111.5) * occlusion.HAND_SCALE * 0.15 * side / 224
    x, y = np.rint(points).astype(int).T
    assert mask[y, x].min() > 0.5 and 0.01 < (mask > 0.5).mean() < 0.08
    assert mask[:90].max() == 0 and mask.max() <= 1


def test_a_hand_inside_a_face_is_a_mistake(reader: OcclusionReader, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeNetwork, "height", 0.5)
    assert not reader.read(PICTURE, mesh).share.any()


def test_an_unsure_hand_is_none(reader: OcclusionReader, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeNetwork, "score", 0.3)
    assert not reader.read(PICTURE, mesh).share.any()


def test_a_hand_beyond_the_border(reader: OcclusionReader, mesh: Mesh) -> None:
    mask = reader.read(PICTURE[:205], mesh).window(0, 0, 400, 205)
    assert mask.shape == (205, 400) and mask[200:].max() > 0.9


@pytest.mark.parametrize("corner", [(-5, -5, 3, 4), (4, 5, 20, 30), (30, 30, 40, 40), (0, 0, 6, 6)])
def test_windows_of_a_soft_mask(corner: tuple[int, int, int, int]) -> None:
    share = np.random.default_rng(0).random((7, 9), dtype=np.float32)
    full = np.zeros((80, 80), np.float32)
    full[22:29, 21:30] = share
    x0, y0, x1, y1 = corner
    expected = full[20 + y0 : 20 + y1, 20 + x0 : 20 + x1]
    assert (SoftMask(1, 2, share).window(*corner) == expected).all()


def test_a_mask_follows_the_edges_of_the_picture() -> None:
    truth = np.zeros((80, 80), np.float32)
    truth[:, 40:] = 1
    coarse = gaussian_filter(truth, 5.0)
    fine = guided_filter(0.2 + 0.6 * truth, coarse, 10)
    assert (fine[:, 40] - fine[:, 39]).min() > 5 * (coarse[:, 40] - coarse[:, 39]).max()


def test_a_mask_of_a_large_picture_is_worked_out_on_a_smaller_one(
    model_dir: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = Image.fromarray(astronaut[:256, 100:356])
    picture = np.asarray(head.resize((2055, 2055), Image.Resampling.BICUBIC))  # no multiple of anything
    points = (ASTRONAUT_POINTS - (100, 0) + 0.5) * 2055 / 256 - 0.5
    mesh = MeshNetwork.from_folder(model_dir / "landmarks").fit(picture, points)
    network = PersonNetwork.from_folder(model_dir / "landmarks")
    quick = network.read(picture, mesh)
    monkeypatch.setattr("id2face_core.faces.person.FINEST", 1000)
    exact = network.read(picture, mesh)
    assert quick.share.shape == exact.share.shape and (quick.x0, quick.y0) == (exact.x0, exact.y0)
    off = np.abs(quick.share - exact.share)
    assert 0 < off.mean() < 0.01 and np.percentile(off, 99) < 0.2 and exact.share.std() > 0.3


def test_the_astronaut_has_no_hand_before_her_face(model_dir: Path, astronaut: np.ndarray) -> None:
    folder = model_dir / "landmarks"
    mesh = MeshNetwork.from_folder(folder).fit(astronaut, ASTRONAUT_POINTS)
    assert not OcclusionReader.from_folder(folder).read(astronaut, mesh).share.any()
    person = PersonNetwork.from_folder(folder).read(astronaut, mesh).window(0, 0, 512, 512)
    x, y = np.rint(mesh.points[:, :2]).astype(int).T
    assert (person[y, x] > 0.9).mean() > 0.97  # all but some points on the outline
    assert person[20:120, 20:100].max() < 0.1  # the wall
