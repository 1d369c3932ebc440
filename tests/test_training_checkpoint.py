"""States: whole or not at all, in files of at most 16 MiB, without pickle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from id2face_core.errors import AssetCorruptError, AssetMissingError
from id2face_core.training.checkpoint import INDEX, MAX_BYTES, has_state, load_state, save_state


def state() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {
        "large": torch.randn(2600, 2000, generator=rng),  # 20 MB
        "half": torch.randn(100, 7, generator=rng).bfloat16(),
        "number": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
        "turned": torch.randn(30, 20, generator=rng).T,
    }


def test_everything_comes_back_bit_for_bit_from_small_files(tmp_path: Path) -> None:
    save_state(tmp_path / "state", state(), {"step": 3})
    tensors, meta = load_state(tmp_path / "state")
    assert meta == {"step": 3} and list(tensors) == list(state())
    for name, wanted in state().items():
        assert tensors[name].dtype == wanted.dtype and torch.equal(tensors[name], wanted)
    files = [p for p in (tmp_path / "state").iterdir() if p.name != INDEX]
    assert len(files) == 2 and all(p.stat().st_size <= MAX_BYTES and p.suffix == ".safetensors" for p in files)


def test_a_new_state_replaces_the_old_one(tmp_path: Path) -> None:
    save_state(tmp_path / "state", state(), {"step": 1})
    save_state(tmp_path / "state", {"number": torch.tensor(9)}, {"step": 2})
    tensors, meta = load_state(tmp_path / "state")
    assert meta["step"] == 2 and list(tensors) == ["number"]
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_run_killed_while_saving_leaves_the_old_state(tmp_path: Path) -> None:
    save_state(tmp_path / "state", {"number": torch.tensor(1)}, {"step": 1})
    (tmp_path / "state.new").mkdir()
    (tmp_path / "state.new/state-0000.safetensors").write_bytes(b"half of it")
    assert load_state(tmp_path / "state")[1]["step"] == 1
    (tmp_path / "state").rename(tmp_path / "state.old")  # killed between the two renames
    assert has_state(tmp_path / "state") and load_state(tmp_path / "state")[1]["step"] == 1
    save_state(tmp_path / "state", {"number": torch.tensor(1)}, {"step": 2})
    assert load_state(tmp_path / "state")[1]["step"] == 2


def test_missing_and_damaged_states_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="--resume"):
        load_state(tmp_path / "state")
    save_state(tmp_path / "state", {"number": torch.arange(100)}, {})
    shard = tmp_path / "state/state-0000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(AssetCorruptError, match="--restart"):
        load_state(tmp_path / "state")
