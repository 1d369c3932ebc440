"""The attention mesh: what lies between its parts, and the whole of it against MediaPipe's own runtime."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from id2face_core.assets import require
from id2face_core.components import Components
from id2face_core.errors import AssetCorruptError, AssetMissingError
from id2face_core.faces.attention import CROP, EYES, HEADS, IRISES, LIPS, REACH, SIDE, STRIDE, AttentionNetwork, crop_matrix, cut
from id2face_core.faces.landmarks import FILES, MeshNetwork
from id2face_core.faces.lite import parts_of

POINTS5 = np.array([[203.5, 101], [246.5, 103.5], [223, 127], [203, 139.5], [244, 141.5]])
# The astronaut's face by MediaPipe 0.10.21's FaceMesh (refine_landmarks, eighth pass over the picture): point, x, y.
REFERENCE = np.array([
    (1, 223.2, 131.7), (10, 226.7, 67.7), (152, 221.1, 178.1), (234, 178.3, 109.3), (454, 271.0, 115.5), (0, 223.6, 140.6),
    (13, 223.4, 143.6), (14, 222.8, 150.5), (17, 222.3, 156.1), (61, 202.0, 139.1), (291, 245.4, 140.6), (78, 203.6, 139.7),
    (308, 243.7, 141.1), (33, 194.6, 100.6), (133, 213.3, 103.6), (159, 202.6, 97.6), (145, 202.8, 104.2), (362, 236.2, 104.7),
    (263, 255.6, 104.1), (386, 248.3, 99.9), (374, 246.5, 106.5), (70, 188.1, 90.8), (105, 198.9, 86.7), (300, 263.3, 95.3),
    (334, 254.1, 89.8), (468, 203.4, 101.0), (469, 207.7, 101.3), (473, 246.8, 103.5), (474, 251.0, 103.6),
])  # fmt: skip


@pytest.fixture(scope="module")
def network(model_dir: Path) -> MeshNetwork:
    return MeshNetwork.from_folder(model_dir / "landmarks")


def test_each_point_is_found_by_one_head() -> None:
    found = np.concatenate([points for head in HEADS for points in head.finds])
    assert len(np.unique(found)) == len(found) == LIPS.size + EYES.size + IRISES.size
    assert set(range(468, 478)) <= set(found.tolist()) <= set(range(478))


@pytest.mark.parametrize("roll", [0.0, 0.4, -2.0])
def test_a_crop_holds_the_enlarged_box_of_its_points(roll: float) -> None:
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    box = np.array([[-20.0, -5], [20, -5], [20, 5], [-20, 5]])
    points = box @ turn.T + (90, 70)
    matrix = crop_matrix(points, points[:2])
    side = STRIDE * CROP
    inner = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * side / (2 * REACH) + side / 2
    np.testing.assert_allclose(inner @ matrix[:, :2].T + matrix[:, 2], points, atol=1e-9)


def test_what_is_cut_out_is_where_the_matrix_says() -> None:
    size = SIDE // STRIDE
    rows, columns = np.mgrid[:size, :size].astype(float)
    features = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    matrix = crop_matrix(np.array([[60.0, 80], [120, 80], [120, 110], [60, 110]]), np.array([[60.0, 80], [120, 80]]))
    crop = cut(features, matrix)
    line = (np.arange(CROP) + 0.5) * STRIDE
    x, y = (matrix[:, :2] @ np.stack([line, line]) + matrix[:, 2:]) / STRIDE - 0.5
    np.testing.assert_allclose(crop[0, :, 0], x)
    np.testing.assert_allclose(crop[:, 0, 1], y)
    assert (crop[..., 2] == 1).all()
    outside = cut(features, matrix - np.array([[0, 0, 96.0], [0, 0, 0]]))[..., 2]
    assert set(np.unique(outside)) == {0.0, 1.0} and outside[0, 0] == 0 and outside[0, -1] == 1


def test_the_points_are_those_of_mediapipe(network: MeshNetwork, astronaut: np.ndarray) -> None:
    close = network.fit(astronaut, POINTS5).close
    assert close is not None and close.shape == (478, 2) and close.dtype == np.float32
    distance = np.linalg.norm(close[REFERENCE[:, 0].astype(int)] - REFERENCE[:, 1:], axis=1)
    assert distance.mean() < 0.7 and distance.max() < 2, distance  # pixels of a face of 93; theirs moves by .2 from pass to pass


def test_looking_closely_repeats_exactly(network: MeshNetwork, astronaut: np.ndarray) -> None:
    first, second = (network.fit(astronaut, POINTS5).close for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_another_file_is_refused(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(AssetCorruptError, match=r"face_landmark\.tflite.*id2face setup"):
        AttentionNetwork(model_dir / "landmarks" / "face_landmark.tflite")
    (tmp_path / "net.tflite").write_bytes(b"no network at all")
    with pytest.raises(AssetCorruptError, match=r"net\.tflite"):
        list(parts_of(tmp_path / "net.tflite", [("input_1", ("output_mesh",))]))


def test_without_the_file_setup_is_named(model_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(model_dir, tmp_path / "home")
    (tmp_path / "home" / "landmarks" / FILES[2]).unlink()
    for attempt in (lambda: require("landmarks", FILES[2], tmp_path / "home"),
                    lambda: Components.load(tmp_path / "home", "cpu", ("centerface",))):  # fmt: skip
        with pytest.raises(AssetMissingError, match=r"face_landmark_with_attention\.tflite.*run: id2face setup"):
            attempt()
