"""The node `Anonymity Audit` on drawn pictures, a recogniser made here and a detector that finds the middle."""

from __future__ import annotations

import base64
import io
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from id2face_core.errors import AssetMissingError, ConfigError, ShapeError

from .test_audit_run import GRID, Middle, write_recogniser

PEOPLE, PHOTOS = 12, 2
WHO = ", ".join(str(person) for person in range(PEOPLE) for _ in range(PHOTOS))
QUICK = "A1, A2, A13"


@pytest.fixture
def node(pack: ModuleType, model_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module of the node, writing into tmp_path/output, with one recogniser."""
    from id2face_core.audit import examine

    module = import_module("id2face_pack.nodes.audit")
    monkeypatch.setattr(examine, "load_detector", lambda names, folder: Middle())
    monkeypatch.setattr(examine, "TiledDetector", lambda detector: detector)
    monkeypatch.setattr(module.folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))
    write_recogniser(tmp_path)
    monkeypatch.setattr(module, "recogniser_files", lambda: ["id2face/recognition/colours.onnx"])
    monkeypatch.setattr(module, "onnx_path", lambda label: tmp_path / Path(label).name)
    (tmp_path / "output").mkdir()
    return module


def batch(seed: int, alike: bool) -> torch.Tensor:
    """Coarse colours, [24, 112, 112, 3]; alike: two frames each show one person."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(PEOPLE):
        colours = rng.integers(0, 256, (GRID, GRID, 3))
        for _ in range(PHOTOS):
            seen = colours if alike else rng.integers(0, 256, (GRID, GRID, 3))
            noisy = (seen + rng.normal(0, 12, seen.shape)).clip(0, 255).astype(np.uint8)
            frames.append(np.asarray(Image.fromarray(noisy).resize((112, 112), Image.Resampling.BICUBIC)))
    return torch.from_numpy(np.stack(frames)).float() / 255


def run(node: ModuleType, image: torch.Tensor, original: torch.Tensor, **changes: Any) -> Any:
    values = {
        "recogniser": "id2face/recognition/colours.onnx", "people": WHO, "attacks": QUICK, "minutes": 0.02,
        "filename_prefix": "audit",
    } | changes  # fmt: skip
    return node.AnonymityAudit.execute(image, original, **values)


def test_other_faces_pass_and_copies_do_not(node: ModuleType, tmp_path: Path) -> None:
    before = batch(0, alike=True)
    report, passed = run(node, batch(1, alike=False), before, filename_prefix="holiday/audit").args
    assert passed is True and report.startswith("Every limit") and "24 pairs of pictures, 24 faces; judged by colours" in report
    folder = tmp_path / "output/holiday"
    assert sorted(p.name for p in folder.iterdir()) == ["audit_00001_.html", "audit_00001_.json"]
    assert report.splitlines()[-1] == "holiday/audit_00001_.html"
    assert json.loads((folder / "audit_00001_.json").read_text())["material"]["people"] == PEOPLE
    report, passed = run(node, before, before).args
    assert passed is False and "MISSED: A1a" in report and "MISSED: A13" in report


def test_nothing_of_the_faces_is_sent_to_pages_and_the_page_shows_no_original(node: ModuleType, tmp_path: Path) -> None:
    before = torch.full((24, 112, 112, 3), 0.0)
    before[..., 0] = batch(0, alike=True)[..., 0]  # reds only, so that originals could be told in the sheet
    after = torch.zeros_like(before)
    after[..., 2] = batch(1, alike=False)[..., 2]
    result = run(node, after, before)
    assert result.ui is None and "frame 3" not in result.args[0] and str(tmp_path) not in result.args[0]
    text = (tmp_path / "output/audit_00001_.html").read_text()
    (sheet,) = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", text)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet)))).astype(int)
    reds = (pixels[..., 0] > 100) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60)
    blues = (pixels[..., 2] > 100) & (pixels[..., 1] < 60) & (pixels[..., 0] < 60)
    assert blues.mean() > 0.1 and reds.mean() < 0.001


def test_batches_must_be_of_equal_length_and_size(node: ModuleType) -> None:
    image = batch(0, alike=True)
    for other in (image[:3], image[:, :100]):
        with pytest.raises(ShapeError, match="same frames"):
            run(node, image, other)


@pytest.mark.parametrize(("people", "word"), [("Ada, Bob", "numbers only"), ("0, 1", "24 frames"), ("0 1", "numbers only")])
def test_people_are_numbers_one_a_frame(node: ModuleType, people: str, word: str) -> None:
    image = batch(0, alike=True)
    with pytest.raises(ConfigError, match=word):
        run(node, image, image, people=people)
    if "only" in word:
        assert "Ada" not in str(node.AnonymityAudit.validate_inputs(people, "all"))
        assert word in str(node.AnonymityAudit.validate_inputs(people, "all"))


def test_attacks_are_named_as_in_the_core(node: ModuleType) -> None:
    from id2face_core.audit.attacks.registry import ATTACKS

    assert tuple(ATTACKS) == node.ATTACKS
    assert node.parse_attacks("all") == () and node.parse_attacks("A1,A13") == ("A1", "A13")
    assert "A99" in str(node.AnonymityAudit.validate_inputs("", "A1, A99"))
    assert node.AnonymityAudit.validate_inputs("0, 1", "A1") is True


def test_frames_have_no_metadata_to_search_and_that_is_no_pass(node: ModuleType) -> None:
    report, passed = run(node, batch(1, alike=False), batch(0, alike=True), attacks="A12, A13").args
    assert passed is False and "the pictures are no files" in report
    report, passed = run(node, batch(1, alike=False)[:2], batch(0, alike=True)[:2], people="", attacks="all").args
    assert passed is True and "not measured: A12" in report


def test_a_batch_without_faces_does_not_pass(node: ModuleType) -> None:
    grey = torch.full((2, 112, 112, 3), 0.5)
    report, passed = run(node, grey, grey, people="", attacks="all").args
    assert passed is False and "0 faces" in report


def test_a_prefix_cannot_leave_the_output_folder(node: ModuleType, tmp_path: Path) -> None:
    image = batch(0, alike=True)[:2]
    with pytest.raises(Exception, match="outside"):
        run(node, image, image, people="", attacks="A13", filename_prefix="../../audit")
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize("when", ["pictures", "training"])
def test_an_interrupt_ends_the_audit_and_nothing_is_written(
    node: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    import comfy.model_management as management

    from id2face_core.audit.attacks import parrot

    seen: list[int] = []
    to_array, classify = node.to_array, parrot.classify

    def interrupt(*args: Any, **more: Any) -> Any:
        seen.append(1)
        management.interrupt_current_processing(True)
        return (to_array if when == "pictures" else classify)(*args, **more)

    if when == "pictures":
        monkeypatch.setattr(node, "to_array", interrupt)
    else:
        monkeypatch.setattr(parrot, "classify", interrupt)
    with pytest.raises(management.InterruptProcessingException):
        run(node, batch(1, alike=False), batch(0, alike=True), attacks="A4")
    assert len(seen) <= 2 and not list((tmp_path / "output").rglob("*"))


def test_all_takes_who_may_judge_and_leaves_out_the_rest(
    node: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from id2face_core.audit import judges

    (tmp_path / "unknown.onnx").write_bytes(b"not described")
    (tmp_path / "copy.onnx").write_bytes((tmp_path / "colours.onnx").read_bytes())
    (tmp_path / "copy.toml").write_text((tmp_path / "colours.toml").read_text().replace("colours.onnx", "copy.onnx"))
    labels = [f"id2face/recognition/{name}.onnx" for name in ("colours", "copy", "unknown")]
    monkeypatch.setattr(node, "recogniser_files", lambda: labels)
    assert [Path(spec).name for spec in node.recognisers("all") if spec != "dlib"] == ["colours.toml"]
    digest = judges.find_judges([str(tmp_path / "colours.toml")])[0].sha256
    monkeypatch.setitem(judges.TEACHERS, digest, "a teacher")
    monkeypatch.setattr(judges, "dlib_file", lambda: (_ for _ in ()).throw(AssetMissingError("no dlib")))
    with pytest.raises(AssetMissingError, match="models/id2face/recognition"):
        node.recognisers("all")


def test_a_recogniser_that_trained_the_model_cannot_be_chosen(node: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from id2face_core.audit import judges

    (spec,) = node.recognisers("id2face/recognition/colours.onnx")
    monkeypatch.setitem(judges.TEACHERS, judges.find_judges([spec])[0].sha256, "a teacher")
    image = batch(0, alike=True)
    with pytest.raises(ConfigError, match="took part in the training"):
        run(node, image, image)


def test_a_frame_is_a_file_without_loss_that_shows_nothing(node: ModuleType) -> None:
    image = batch(0, alike=True)
    frame = node.Frame(image, 3)
    picture = Image.open(io.BytesIO(frame.read_bytes()))
    assert picture.info == {} and np.array_equal(np.asarray(picture), (image[3] * 255).round().byte().numpy())
    assert "tensor" not in repr(frame)
