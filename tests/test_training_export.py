"""Export: every network or none, half precision, small files, and nothing about the machine in the configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from id2face_core.assets.weights import WEIGHTS, weights_status
from id2face_core.errors import AssetMissingError
from id2face_core.training.checkpoint import MAX_BYTES
from id2face_core.training.export import NETWORKS, export


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("somebody") / "runs"
    for name, kind in NETWORKS.items():
        model = kind.from_pretrained(WEIGHTS / name, torch_dtype=torch.float32)
        model.save_pretrained(folder / name)
        config = json.loads((folder / name / "config.json").read_text())
        (folder / name / "config.json").write_text(json.dumps(config | {"_name_or_path": str(folder / name)}))
    return folder


def test_no_path_of_the_machine_is_written(runs: Path, tmp_path: Path) -> None:
    files = export(runs, tmp_path / "weights")
    assert len(files) == 2 * len(NETWORKS)
    for path in (tmp_path / "weights").rglob("*.json"):
        text = path.read_text()
        for part in ("_name_or_path", str(runs), runs.parent.name, str(Path.home())):
            assert part not in text, path
    assert {health for _, health in weights_status(tmp_path / "weights").values()} == {"ok"}


def test_weights_are_half_precision_in_small_files_and_load(runs: Path, tmp_path: Path) -> None:
    export(runs, tmp_path / "weights")
    for path in (tmp_path / "weights").rglob("*.safetensors"):
        assert path.stat().st_size <= MAX_BYTES
        kinds = {tensor.dtype for tensor in load_file(path).values()}
        assert torch.float16 in kinds and kinds <= {torch.float16, torch.int64}
    for name, kind in NETWORKS.items():
        first, second = (kind.from_pretrained(folder / name).state_dict() for folder in (WEIGHTS, tmp_path / "weights"))
        assert all(torch.equal(first[key].float(), second[key].float()) for key in first)


def test_bundled_configurations_hold_no_path() -> None:
    for path in WEIGHTS.rglob("config.json"):
        assert not [v for v in json.loads(path.read_text()).values() if isinstance(v, str) and "/" in v], path


def test_nothing_is_changed_when_a_network_is_missing(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/kept.json").write_text("{}")
    with pytest.raises(AssetMissingError, match="denoiser"):
        export(tmp_path / "runs", tmp_path / "weights")
    assert [p.name for p in (tmp_path / "weights").iterdir()] == ["kept.json"]
