"""Tables, pairs, teachers and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from id2face_core.attributes.vector import ATTRIBUTES
from id2face_core.errors import AssetMissingError, ConfigError
from id2face_core.training import features
from id2face_core.training.features import SHARD, measure_pictures, read_features
from id2face_core.training.glasses import GlassesLabeller, decide, spread_glasses
from id2face_core.training.table import RealTable, Table
from id2face_core.training.tables import held_out_mask, person_labels, person_numbers
from id2face_core.training.teachers import BundledRecogniser, blendshape_targets, person_targets, recogniser_teacher, resolve


def real_table(people: list[int], held: list[bool]) -> RealTable:
    rng = torch.Generator().manual_seed(0)
    count = len(people)
    embeddings = torch.nn.functional.normalize(torch.randn(count, 8, generator=rng), dim=1)
    attributes, labels = torch.arange(count).float()[:, None].expand(-1, 3), torch.full((count, 3), torch.nan)
    return RealTable(embeddings, attributes, torch.tensor(people), torch.tensor(held), labels)


def test_table_comes_back_and_splits(tmp_path: Path) -> None:
    table = Table(torch.randn(45, 3, 512).half().float(), torch.randn(45, 128).half().float(), torch.randn(45, 71))
    table.save(tmp_path / "table")
    again = Table.load(tmp_path / "table")
    assert all(torch.equal(a, b) for a, b in zip(vars(table).values(), vars(again).values(), strict=True))
    np.savez(tmp_path / "old.npz", **{name: value.numpy() for name, value in vars(table).items()})  # type: ignore[arg-type]
    assert torch.equal(Table.load(tmp_path / "old.npz").codes, table.codes)
    train, test = again.split()
    assert (len(train.codes), len(test.codes)) == (42, 3)
    with pytest.raises(AssetMissingError, match="id2face train"):
        Table.load(tmp_path / "none")


def test_pairs_are_two_pictures_of_one_person_on_one_side(tmp_path: Path) -> None:
    people = [5, 9, 5, 7, 9, 5, -1, 3, 3, -1]
    held = [False, False, False, False, False, False, False, True, True, False]
    real_table(people, held).save(tmp_path / "real")
    real = RealTable.load(tmp_path / "real")
    assert real is not None and RealTable.load(tmp_path / "none") is None
    pairs = real.pairs(held_out=False)
    assert pairs.count.tolist() == [3, 2] and pairs.people.tolist() == [0, 0, 0, 1, 1]
    assert sorted(pairs.attributes[:3, 0].tolist()) == [0, 2, 5] and sorted(pairs.attributes[3:, 0].tolist()) == [1, 4]
    assert real.pairs(held_out=True).attributes[:, 0].tolist() == [7, 8]
    a, b = pairs.draw(500, torch.Generator().manual_seed(0))
    assert bool((a != b).all()) and bool((pairs.people[a] == pairs.people[b]).all())
    assert set(map(tuple, torch.stack((a, b), 1).tolist())) == {(i, j) for i in range(5) for j in range(5)
                                                               if i != j and (i < 3) == (j < 3)}  # fmt: skip


def test_labels_and_people_come_from_the_table_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/utkface_adult.csv").write_text("file,age,gender,group_foamliu\na.jpg,31,0,4\nb.jpg,60,1,4\n")
    names = np.array(["b.jpg", "other.jpg", "a.jpg"])
    labels = person_labels(names, tmp_path)
    assert labels[0, :2].tolist() == [60, 0] and labels[2, :2].tolist() == [31, 1]
    assert np.isnan(labels[1]).all() and np.isnan(labels[:, 2]).all()
    assert person_numbers(names, tmp_path).tolist() == [4, -1, 4]
    mask = held_out_mask(names, tmp_path)
    assert mask[0] == mask[2], "one person is on one side"
    assert np.isnan(person_labels(names, None)).all()


def test_real_faces_of_people_with_several_pictures_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = ",".join(f"lx{i},ly{i}" for i in range(5))
    rows = "".join(f"{i}.jpg,{'7' if i % 3 == 0 else i + 100}," + ",".join("12" * 5) + ",\n" for i in range(9))
    (tmp_path / "faces/utkface_adult").mkdir(parents=True)
    for i in range(9):
        (tmp_path / f"faces/utkface_adult/{i}.jpg").write_bytes(b"")
    (tmp_path / "faces/utkface_adult.csv").write_text(f"file,group_foamliu,{points},overlap_eval\n{rows}")
    seen: list[str] = []

    def measure(teacher: str, expression: str | None, faces: list[Any], target: Path) -> int:
        seen.extend(f.name for f in faces)
        return 0

    monkeypatch.setattr(features, "_measure_real", measure)
    features.measure_set(tmp_path / "out", tmp_path, "bundled")
    assert set(seen[:3]) == {"0.jpg", "3.jpg", "6.jpg"} and len(seen) == 9
    assert SHARD * (112 * 112 * 3 + 7 * 7 * 128 * 2 + 468 * 3 * 4 + 1024) <= 16 * 2**20


def test_measuring_stops_in_time_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "synth").mkdir()
    for i in range(3):
        np.savez(tmp_path / f"synth/shard{i:05d}.npz", codes=np.zeros((2, 3, 512), np.float16))
    done: list[str] = []

    def measure(teacher: str, shard: Path, target: Path) -> int:
        done.append(shard.stem)
        rows = [{"names": np.array(f"{shard.stem}/{i}"), "codes": np.zeros((3, 512), np.float16)} for i in range(2)]
        features._save(target, rows)
        return 2

    monkeypatch.setattr(features, "_measure_generated", measure)
    assert measure_pictures(tmp_path, "bundled", seconds=0.0) == 0 and done == []
    assert measure_pictures(tmp_path, "bundled", rank=1, size=2) == 2 and done == ["shard00001"]
    assert measure_pictures(tmp_path, "bundled") == 6 and sorted(done) == ["shard00000", "shard00001", "shard00002"]
    assert len(read_features(tmp_path / "features")["names"]) == 6


def test_bundled_networks_stand_in_for_teachers() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (3, 112, 112, 3)).astype(np.uint8)
    embeddings, maps = recogniser_teacher(resolve("bundled", None))(crops)
    assert isinstance(recogniser_teacher("bundled"), BundledRecogniser)
    assert embeddings.shape == (3, 128) and maps is not None and maps.shape[:3] == (3, 7, 7)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)
    shapes = blendshape_targets(np.random.default_rng(0).random((2, 468, 3)), np.ones((2, 2, 5, 2)), "bundled")
    assert shapes.shape == (2, 52) and shapes.min() >= 0 and shapes.max() <= 1
    assert person_targets(crops, np.full((3, 468, 2), 56.0), "bundled").shape == (3, 3)


def test_teachers_that_are_not_there_say_the_remedy(tmp_path: Path) -> None:
    for name, data in (("foamliu", None), ("foamliu", tmp_path), (str(tmp_path / "my.onnx"), None)):
        with pytest.raises(AssetMissingError, match="bundled"):
            resolve(name, data)
    with pytest.raises(ConfigError, match="labels or bundled"):
        person_targets(np.zeros((1, 112, 112, 3), np.uint8), np.zeros((1, 468, 2)), "labels")


def test_the_recogniser_file_shows_its_feature_maps(data_dir: Path) -> None:
    teacher = recogniser_teacher(resolve("foamliu", data_dir))
    embeddings, maps = teacher(np.zeros((2, 112, 112, 3), np.uint8))
    assert embeddings.shape == (2, teacher.dim) and maps is not None and maps.shape == (2, 7, 7, 128)


def test_glasses_labels_spread_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from id2face_core.training import glasses

    names = np.array([f"{i}.jpg" for i in range(200)])
    truth = (np.arange(200) % 4 == 0).astype(np.float32)
    crops = np.zeros((200, 112, 112, 3), np.uint8)
    crops[:, 0, 0, 0] = np.arange(200)
    noise = np.random.default_rng(0).standard_normal((200, 30))
    asked: list[int] = []

    class Features:
        def __init__(self, teacher: Path) -> None: ...

        def __call__(self, chosen: np.ndarray) -> np.ndarray:
            rows = chosen[:, 0, 0, 0].astype(int)
            asked.extend(rows)
            return noise[rows] * 0.3 + 3 * truth[rows, None]

    monkeypatch.setattr(glasses, "EyeFeatures", Features)
    monkeypatch.setattr(glasses, "read_hand_labels", lambda: dict(zip(names[:80].tolist(), truth[:80].tolist(), strict=True)))
    found = spread_glasses(crops, names, "x.onnx", tmp_path / "glasses.npz", 60.0)
    assert np.array_equal(found[:80], truth[:80])
    known = np.isfinite(found)
    assert known.mean() > 0.9 and (found[known] == truth[known]).mean() > 0.97
    asked.clear()
    assert np.array_equal(spread_glasses(crops, names, "x.onnx", tmp_path / "glasses.npz", 60.0), found, equal_nan=True)
    assert len(asked) == 80, "scores are kept: only the hand-labelled faces are read again"
    few = spread_glasses(crops[100:], names[100:], "x.onnx", tmp_path / "few.npz", 60.0)
    assert np.isnan(few).all(), "nothing is spread from no labels"


def test_undecided_scores_are_unknown() -> None:
    out = decide(np.array([0.0, 0.3, 0.9, np.nan]))
    assert out[[0, 2]].tolist() == [0, 1] and np.isnan(out[[1, 3]]).all()
    labeller = GlassesLabeller(np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0.0, 0, 1, 1]))
    assert labeller.scores(np.array([[0.05]]))[0] < 0.25 < labeller.scores(np.array([[1.05]]))[0]


def test_the_vector_has_its_length() -> None:
    assert len(ATTRIBUTES) == 71
