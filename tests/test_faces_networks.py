"""The detectors themselves, on pictures."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from id2face_core.components import load_detector
from id2face_core.errors import AssetCorruptError, AssetMissingError
from id2face_core.faces.centerface import CenterFace
from id2face_core.faces.detection import overlap
from id2face_core.faces.scrfd import InsightFaceDetector, ScrfdDetector
from id2face_core.faces.tiling import TiledDetector
from id2face_core.faces.types import Face, FaceDetector

ASTRONAUT_BOX = np.array([181, 57, 271, 178], dtype=np.float32)
# Read from the picture by eye: pupils, nose tip, mouth corners.
ASTRONAUT_POINTS = np.array([[203.5, 101], [246.5, 103.5], [223, 127], [203, 139.5], [244, 141.5]])


@pytest.fixture(scope="module")
def scrfd_file(data_dir: Path) -> Path:
    path = data_dir / "weights" / "detection" / "extra" / "scrfd_2.5g.onnx"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the development data")
    return path


@pytest.fixture(scope="module", params=["centerface", "scrfd"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param == "scrfd":
        return TiledDetector(ScrfdDetector(request.getfixturevalue("scrfd_file")))
    return TiledDetector(CenterFace(request.getfixturevalue("model_dir") / "detection" / "centerface.onnx"))


def is_her(face: Face, scale: float = 1.0, shift: tuple[float, float] = (0, 0)) -> None:
    box = ASTRONAUT_BOX * scale + np.tile(shift, 2)
    assert overlap(face.box, box[None])[0][0] > 0.75
    side = float(np.sqrt((box[2:] - box[:2]).prod()))
    assert np.abs(face.points - (ASTRONAUT_POINTS * scale + shift)).max() < max(0.07 * side, 2.5)  # a few pixels of a face of 20


def test_the_astronaut_and_her_points(detector: FaceDetector, astronaut: np.ndarray) -> None:
    found = detector.detect(astronaut)
    assert len(found) == 1
    is_her(found[0])


@pytest.mark.parametrize("height", [20, 28, 60, 420])
def test_small_and_large_faces_in_a_large_picture(detector: FaceDetector, astronaut: np.ndarray, height: int) -> None:
    scale = height / 121
    side = round(512 * scale)
    scene = np.full((max(1300, side), max(1600, side), 3), 120, dtype=np.uint8)
    x, y = scene.shape[1] - side, (scene.shape[0] - side) // 2
    scene[y : y + side, x : x + side] = np.asarray(Image.fromarray(astronaut).resize((side, side), Image.Resampling.LANCZOS))
    found = detector.detect(scene)
    assert len(found) == 1
    is_her(found[0], side / 512, (x, y))


@pytest.mark.parametrize("side", [72, 400, 1000])
def test_a_face_that_fills_the_picture(detector: FaceDetector, astronaut: np.ndarray, side: int) -> None:
    tight = Image.fromarray(astronaut[65:175, 170:280]).resize((side, side), Image.Resampling.BICUBIC)
    assert len(detector.detect(np.asarray(tight))) == 1


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_a_face_that_the_border_cuts(detector: FaceDetector, astronaut: np.ndarray, edge: str) -> None:
    window = {"left": (0, 512, 200, 512), "right": (0, 512, 0, 252), "top": (80, 512, 0, 512), "bottom": (0, 155, 0, 512)}
    y0, y1, x0, x1 = window[edge]
    assert len(detector.detect(np.ascontiguousarray(astronaut[y0:y1, x0:x1]))) == 1


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 700), (40, 40), (1500, 3)])
def test_tiny_and_flat_pictures_have_no_face(detector: FaceDetector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 130, dtype=np.uint8)) == []


def test_detection_repeats_exactly(detector: FaceDetector, astronaut: np.ndarray) -> None:
    one, two = detector.detect(astronaut), detector.detect(astronaut)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.points, b.points)
        assert a.score == b.score


def test_two_detectors_can_be_united_by_name(model_dir: Path, scrfd_file: Path, astronaut: np.ndarray) -> None:
    united = load_detector(("centerface", str(scrfd_file)), model_dir)
    assert united.name == "centerface+scrfd"
    found = TiledDetector(united).detect(astronaut)
    assert len(found) == 1
    is_her(found[0])


def test_a_detector_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="absent.onnx does not exist"):
        ScrfdDetector(tmp_path / "absent.onnx")


def test_a_detector_file_of_another_kind_is_refused(model_dir: Path) -> None:
    with pytest.raises(AssetCorruptError, match="key points"):
        ScrfdDetector(model_dir / "detection" / "centerface.onnx")


def test_an_insightface_pack_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="buffalo_x"):
        InsightFaceDetector("buffalo_x", tmp_path)


def test_an_insightface_pack_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mini").mkdir(parents=True)
    (tmp_path / "models" / "mini" / "det_500m.onnx").touch()
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", None)
    with pytest.raises(AssetMissingError, match="pip install insightface"):
        InsightFaceDetector("mini", tmp_path)


def test_an_insightface_pack_agrees_with_our_decoding(tmp_path: Path, scrfd_file: Path, astronaut: np.ndarray) -> None:
    pytest.importorskip("insightface.model_zoo")
    (tmp_path / "models" / "mini").mkdir(parents=True)
    shutil.copy(scrfd_file, tmp_path / "models" / "mini")
    theirs, ours = InsightFaceDetector("mini", tmp_path).detect(astronaut), ScrfdDetector(scrfd_file).detect(astronaut)
    assert len(theirs) == len(ours) == 1
    assert np.abs(theirs[0].points - ours[0].points).max() < 2  # they enlarge to 640 px first
