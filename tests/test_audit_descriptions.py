"""Descriptions of recognisers, and the refusal of those that trained the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from id2face_core.assets.weights import read_registry
from id2face_core.audit import judges
from id2face_core.audit.descriptions import packaged, parse, read
from id2face_core.audit.judges import TEACHERS, find_judges, refuse_trained
from id2face_core.errors import AssetCorruptError, AssetMissingError, ConfigError

PLAIN = 'name = "mine"\nfile = "mine.onnx"\n'


def test_a_description_says_how_the_crop_is_made() -> None:
    text = PLAIN + 'mean = [1, 2.5, 3]\nstd = 128\nside = 128\ncrop_columns = 8\norder = "BGR"\nlayout = "NHWC"\n'
    recipe = parse(text, "x.toml").recipe
    assert recipe.mean.tolist() == [1, 2.5, 3] and recipe.std.tolist() == [128] * 3
    assert (recipe.side, recipe.crop_columns, recipe.bgr, recipe.channels_last) == (128, 8, True, True)


@pytest.mark.parametrize(("text", "word"), [
    ('file = "a.onnx"', "name"), ('name = "a"', "file"), (PLAIN + "size = 3", "size"), (PLAIN + "std = 0", "std"),
    (PLAIN + "mean = [1, 2]", "mean"), (PLAIN + "mean = true", "mean"), (PLAIN + 'order = "GBR"', "order"),
    (PLAIN + "side = 1.5", "side"), (PLAIN + "crop_columns = 56", "crop_columns"), ("name = ", "TOML"),
    ('name = "a"\nfile = "../a.onnx"', "path"), (PLAIN + "[thresholds]\n\"0.001\" = 0.2", "impostor_pairs"),
    (PLAIN + "[thresholds]\n\"0.001\" = 0.2\nimpostor_pairs = 500", "500"),
])  # fmt: skip
def test_a_wrong_description_is_an_error_that_names_it(text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse(text, "x.toml")


def test_another_file_than_the_described_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"other")
    path = tmp_path / "mine.toml"
    path.write_text(PLAIN + f'sha256 = "{"0" * 64}"\n')
    with pytest.raises(AssetCorruptError, match="mine.onnx"):
        read(path)


def test_the_packaged_descriptions_are_measured_and_no_teachers() -> None:
    found = packaged()
    assert {d.recipe.name for d in found.values()} == {"dlib", "w600k_mbf", "casia_112x96"}
    for digest, description in found.items():
        assert description.thresholds is not None and description.thresholds.impostor_pairs > 100_000
        scores = [description.thresholds.scores[far] for far in (1e-2, 1e-3, 1e-4)]
        assert scores == sorted(scores)
        refuse_trained(digest, description.recipe.name)


def test_what_trained_the_model_cannot_judge_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for digest in [*TEACHERS, read_registry()["identity_encoder/diffusion_pytorch_model.safetensors"]["sha256"]]:
        with pytest.raises(ConfigError, match="took part in the training"):
            refuse_trained(digest, "it")
    (tmp_path / "mine.onnx").write_bytes(b"a network")
    (tmp_path / "mine.toml").write_text(PLAIN)
    assert find_judges([str(tmp_path / "mine.toml")])[0].name == "mine"
    monkeypatch.setitem(judges.TEACHERS, find_judges([str(tmp_path / "mine.toml")])[0].sha256, "a teacher")
    for name in ("mine.toml", "mine.onnx"):
        with pytest.raises(ConfigError, match="took part in the training"):
            find_judges([str(tmp_path / name)])


def test_a_description_that_admits_it_is_refused_and_so_is_a_judge_given_twice(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"a network")
    path = tmp_path / "mine.toml"
    path.write_text(PLAIN)
    with pytest.raises(ConfigError, match="twice"):
        find_judges([str(path), str(path)])
    path.write_text(PLAIN + "trained = true\n")
    with pytest.raises(ConfigError, match="says of itself"):
        find_judges([str(path)])


def test_a_missing_recogniser_is_no_silent_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "_present", list)
    with pytest.raises(AssetMissingError, match="recogniser"):
        find_judges()
    with pytest.raises(AssetMissingError):
        find_judges([str(tmp_path / "no.toml")])
    with pytest.raises(ConfigError, match="unknown"):
        find_judges(["facenet"])


def test_dlib_sees_one_person_in_one_picture(model_dir: Path) -> None:
    pytest.importorskip("dlib", reason="the extra [audit] is not installed")
    from id2face_core.audit.examine import Examiner
    from id2face_core.pictures import read_picture

    demo = Path(__file__).resolve().parents[1] / "id2face_core" / "demo" / "astronaut.jpg"
    picture, (judge,) = read_picture(demo), find_judges(["dlib"])
    examiner = Examiner([judge])
    face = examiner.detector.detect(picture)[0]
    auditor = examiner.auditors[0]
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    points = examiner.detector.detect(mirrored)[0].points
    score = float(auditor.scores(auditor.embed(picture, face.points), auditor.embed(mirrored, points)))
    assert judge.thresholds is not None and score > judge.thresholds.scores[1e-3]
