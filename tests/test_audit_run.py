"""A whole audit by the command line: pictures drawn here, a recogniser made here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from id2face_core.cli.main import main
from id2face_core.faces.types import Face

GRID = 7  # cells of the recogniser's picture


def write_recogniser(folder: Path) -> Path:
    """A network that averages the crop to 7 x 7 colours, with its description."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["small"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "colours", [helper.make_tensor_value_info("x", kind, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("y", kind, [1, 3 * GRID * GRID])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (folder / "colours.onnx").write_bytes(model.SerializeToString())
    path = folder / "colours.toml"
    path.write_text(
        'name = "colours"\nfile = "colours.onnx"\n[thresholds]\n"0.001" = 0.8\n"0.01" = 0.7\nimpostor_pairs = 10000\n'
        'pool = "made up"\n'
    )
    return path


class Middle:
    """Finds one face in the middle of every picture that is not grey."""

    name = "middle"

    def detect(self, picture: np.ndarray) -> list[Face]:
        from id2face_core.faces.alignment import ARCFACE_POINTS

        if picture.std() < 5:
            return []
        return [Face(np.array([16, 16, 96, 96], np.float32), (ARCFACE_POINTS).astype(np.float32), 1.0)]


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_dir: Path) -> Path:
    """12 people with two photographs of coarse colours each."""
    from id2face_core.audit import examine

    monkeypatch.setattr(examine, "load_detector", lambda names, folder: Middle())
    monkeypatch.setattr(examine, "TiledDetector", lambda detector: detector)
    rng = np.random.default_rng(0)
    before = tmp_path / "before"
    before.mkdir()
    lines = ["original,anonymized,person,who"]
    for person in range(12):
        colours = rng.integers(0, 256, (GRID, GRID, 3))
        for photo in range(2):
            noisy = (colours + rng.normal(0, 12, colours.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((112, 112), Image.Resampling.BICUBIC).save(before / f"{person}-{photo}.png")
            lines.append(f"{person}-{photo}.png,{person}-{photo}.png,p{person},{'ab'[person % 2]}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    write_recogniser(tmp_path)
    return tmp_path


def anonymize(folder: Path, how: str) -> None:
    after, rng = folder / "after", np.random.default_rng(1)
    after.mkdir()
    for path in sorted((folder / "before").iterdir()):
        if how == "nothing":
            (after / path.name).write_bytes(path.read_bytes())
            continue
        other = rng.integers(0, 256, (GRID, GRID, 3), dtype=np.uint8)
        Image.fromarray(other).resize((112, 112), Image.Resampling.BICUBIC).save(after / path.name)


def audit(folder: Path, *more: str, table: bool = True) -> int:
    pairs = ["--pairs", str(folder / "pairs.csv")] if table else []
    return main([
        "audit", str(folder / "before"), str(folder / "after"), "--output", str(folder / "out"), "--no-progress",
        "--recognizer", str(folder / "colours.toml"), *pairs, *more,
    ])  # fmt: skip


def test_copies_miss_the_gates_with_status_5(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anonymize(material, "nothing")
    assert audit(material) == 5
    found = json.loads((material / "out" / "audit.json").read_text())
    assert found["schema"] == "id2face-audit/1" and found["verdict"] == "missed"
    gates = {f["attack"]: f["gate"]["met"] for f in found["findings"] if f["gate"]}
    assert not any(gates[name] for name in ("A1a", "A1b", "A1b-", "A2", "A3", "A13"))
    said = capsys.readouterr().err
    assert "A1a: 100.0 %" in said and all(line.startswith("id2face: ") for line in said.splitlines())


def test_other_faces_hold_and_the_page_stands_alone(material: Path) -> None:
    anonymize(material, "others")
    assert audit(material, "--attacks", "A1,A2,A3,A12,A13") == 0
    found = json.loads((material / "out" / "audit.json").read_text())
    assert found["verdict"] == "held" and found["material"]["people"] == 12
    assert found["judges"][0]["source"] == "measured before: made up"
    text = (material / "out" / "audit.html").read_text()
    assert not re.search(r"(?:src|href)\s*=\s*(?!'data:image/jpeg)", text) and "url(" not in text and "<script" not in text
    assert text.count("<svg") >= 3 and "prefers-color-scheme: dark" in text and "@media print" in text
    assert "@page { size: A4;" in text and "<h2>Words</h2>" in text and "Positive control</dt>" in text
    assert "Every limit that could be measured holds" in text and "not recognised" in text.lower()


def test_an_unreadable_file_is_4_and_the_rest_is_audited(material: Path) -> None:
    anonymize(material, "others")
    (material / "after" / "3-1.png").write_bytes(b"no picture")
    assert audit(material, "--attacks", "A12", table=False) == 4
    found = json.loads((material / "out" / "audit.json").read_text())
    assert found["material"]["states"] == {"read": 23, "unreadable": 1}


def test_wrong_usage_is_2(material: Path, tmp_path: Path) -> None:
    anonymize(material, "others")
    assert audit(material, "--attacks", "A99") == 2
    assert audit(material, "--minutes", "0") == 2
    assert main(["audit", str(material / "before"), str(material / "no"), "--output", str(tmp_path / "o")]) == 2
    assert main(["audit", str(material / "before"), str(material / "after"), "--output", str(material / "after" / "o")]) == 2


def test_names_are_escaped(material: Path) -> None:
    (material / "before" / "<b>x.png").write_bytes((material / "before" / "0-0.png").read_bytes())
    anonymize(material, "nothing")
    audit(material, "--attacks", "A13", table=False)
    text = (material / "out" / "audit.html").read_text()
    assert "<b>x.png" not in text and "&lt;b&gt;x.png" in text


def test_two_workers_find_what_one_does(material: Path, model_dir: Path) -> None:
    from id2face_core.audit.material import find_pairs
    from id2face_core.audit.runner import Plan, audit

    anonymize(material, "others")
    plan = Plan((str(material / "colours.toml"),), ("A12",), workers=2)
    # other processes know nothing of the detector above: they use the real one
    found = audit(find_pairs(material / "before", material / "after"), plan)
    assert [e.pair for e in found.evidence.examined] == list(range(24))
