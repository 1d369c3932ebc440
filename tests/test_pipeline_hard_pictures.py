"""Pictures on which faces are hard: the original face never comes through, whatever is made of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from id2face_core import components, pipeline
from id2face_core.assets import weights
from id2face_core.cli.main import main
from id2face_core.faces.alignment import ARCFACE_POINTS
from id2face_core.faces.types import Face
from id2face_core.options import AnonymizeOptions
from id2face_core.pictures import read_picture
from id2face_core.pipeline import Anonymizer

PHOTO = Path(pipeline.__file__).parent / "demo/astronaut.jpg"
FAST = AnonymizeOptions(seed=1, preset="fast")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_picture(PHOTO)


def hidden(before: np.ndarray, after: np.ndarray | None, box: list[float]) -> bool:
    """The middle of the face is no longer the original's."""
    x0, y0, x1, y1 = np.clip(box, 0, [before.shape[1], before.shape[0]] * 2)
    across, down = (x1 - x0) / 4, (y1 - y0) / 4
    core = np.s_[int(y0 + down) : int(y1 - down), int(x0 + across) : int(x1 - across)]
    return after is not None and float(np.abs(before[core].astype(float) - after[core]).mean()) > 3


@pytest.mark.parametrize("window", [(0, 512, 225, 512), (0, 155, 0, 512), (80, 512, 0, 512)], ids=["left", "below", "above"])
def test_a_face_at_the_border(anonymizer: Anonymizer, photo: np.ndarray, window: tuple[int, int, int, int]) -> None:
    y0, y1, x0, x1 = window
    cut = np.ascontiguousarray(photo[y0:y1, x0:x1])
    result = anonymizer.anonymize([cut], FAST)[0]
    assert result.faces and result.status in ("anonymized", "withheld")
    assert hidden(cut, result.picture, result.faces[0].box)


def test_a_covered_face_is_replaced_or_filled(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    covered = photo.copy()
    covered[118:190, 170:290] = (200, 160, 140)
    result = anonymizer.anonymize([covered], FAST)[0]
    assert len(result.faces) == 1 and result.faces[0].status in ("anonymized", "withheld")
    x0, y0, x1, _ = (int(v) for v in result.faces[0].box)
    eyes = np.s_[y0 + 20 : 115, x0 + 10 : x1 - 10]
    assert result.picture is not None and np.abs(covered[eyes].astype(float) - result.picture[eyes]).mean() > 3


def test_a_profile_is_withheld(anonymizer: Anonymizer, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    read = anonymizer.parts.extractor.read

    def turned(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        values, descent = read(*arguments)  # type: ignore[arg-type]
        values[0] = 70
        return values, descent

    monkeypatch.setattr(anonymizer.parts.extractor, "read", turned)
    result = anonymizer.anonymize([photo], FAST)[0]
    assert [(f.status, f.reason) for f in result.faces] == [("withheld", "profile")]
    assert hidden(photo, result.picture, result.faces[0].box)


class Crowd:
    """Two hundred boxes, each too small to be replaced."""

    name = "crowd"

    def detect(self, picture: np.ndarray) -> list[Face]:
        corners = [(30 * (i % 20) + 5, 30 * (i // 20) + 5) for i in range(200)]
        return [
            Face(np.array([x, y, x + 12, y + 12], np.float32), (ARCFACE_POINTS / 112 * 12 + (x, y)).astype(np.float32), 0.9)
            for x, y in corners
        ]


def test_two_hundred_faces_are_each_answered_for(anonymizer: Anonymizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anonymizer.parts, "detector", Crowd())
    noise = np.random.default_rng(0).integers(0, 256, (320, 620, 3), dtype=np.uint8)
    result = anonymizer.anonymize([noise], FAST)[0]
    assert len(result.faces) == 200 and {(f.status, f.reason) for f in result.faces} == {("withheld", "too_small")}
    assert all(hidden(noise, result.picture, f.box) for f in result.faces)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_photo_that_lies_on_its_side_by_exif(
    anonymizer: Anonymizer, photo: np.ndarray, tmp_path: Path, turn: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = {1: 6, 2: 3, 3: 8}[turn]  # how to turn the stored picture back
    Image.fromarray(np.ascontiguousarray(np.rot90(photo, turn))).save(tmp_path / "a.png", exif=exif.tobytes())
    upright = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(upright, photo)
    (result,) = anonymizer.anonymize([upright], FAST)
    assert result.status == "anonymized" and len(result.faces) == 1


def test_nothing_is_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ID2FACE_HOME", str(tmp_path / "nothing"))
    assert main(["anonymize", str(PHOTO), "--output", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].endswith("run: id2face setup") and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("damage", ["missing", "corrupt", "unlisted"])
def test_weights_that_are_not_what_they_should_be(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights.WEIGHTS / "identity_vae", folder / "identity_vae")
    shutil.copy(weights.WEIGHTS / weights.REGISTRY, folder)
    file = next((folder / "identity_vae").glob("*.safetensors"))
    if damage == "missing":
        file.unlink()
    elif damage == "corrupt":
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    else:
        (folder / weights.REGISTRY).unlink()
    monkeypatch.setattr(components, "our_weights", lambda name, _: weights.our_weights(name, folder))
    assert main(["anonymize", str(PHOTO), "--output", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and weights.REMEDY in lines[0] and "Traceback" not in lines[0]
    assert not list((tmp_path / "out").iterdir())


def test_an_unknown_detector_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anonymize", str(PHOTO), "--output", str(tmp_path / "out"), "--detector", "haar"]) == 2
    assert "insightface:PACK" in capsys.readouterr().err
    assert main(["anonymize", str(PHOTO), "--output", str(tmp_path / "out"), "--detector", "absent.onnx"]) == 1
    assert "absent.onnx does not exist" in capsys.readouterr().err
