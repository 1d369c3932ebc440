"""Our weights are checked against their registry at every load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from id2face_core.assets import load_weights, our_weights, update_registry, weights_digest
from id2face_core.assets.weights import REGISTRY, WEIGHTS, weights_status
from id2face_core.errors import AssetCorruptError, AssetMissingError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("vae", "vae_other"):
        (tmp_path / name).mkdir()
        save_file({"a": torch.arange(4.0)}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text("{}")
    save_file({"b": torch.ones(2)}, tmp_path / "vae" / "more.safetensors")
    update_registry(tmp_path)
    return tmp_path


def test_weights_round_trip(folder: Path) -> None:
    assert our_weights("vae", folder) == folder / "vae"
    assert set(load_weights("vae", folder)) == {"a", "b"}
    assert set(load_weights("vae_other", folder)) == {"a"}
    assert set(update_registry(folder)) == {
        "vae/config.json", "vae/model.safetensors", "vae/more.safetensors", "vae_other/config.json",
        "vae_other/model.safetensors",
    }  # fmt: skip


def test_one_changed_byte_is_refused(folder: Path) -> None:
    path = folder / "vae" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for load in (load_weights, our_weights):
        with pytest.raises(AssetCorruptError, match="model.safetensors"):
            load("vae", folder)
    assert weights_status(folder)["vae/model.safetensors"][1] == "corrupt"
    load_weights("vae_other", folder)


def test_a_changed_configuration_and_a_missing_file_are_refused(folder: Path) -> None:
    (folder / "vae" / "config.json").write_text('{"size": 2}')
    with pytest.raises(AssetCorruptError, match="config.json"):
        our_weights("vae", folder)
    (folder / "vae_other" / "config.json").unlink()
    with pytest.raises(AssetMissingError, match="config.json"):
        our_weights("vae_other", folder)
    with pytest.raises(AssetMissingError, match="'nothing'"):
        our_weights("nothing", folder)


def test_a_damaged_or_absent_registry_is_named(folder: Path) -> None:
    (folder / REGISTRY).write_text("[1")
    with pytest.raises(AssetCorruptError, match=REGISTRY):
        our_weights("vae", folder)
    (folder / REGISTRY).unlink()
    with pytest.raises(AssetMissingError, match=REGISTRY):
        weights_digest(folder)


def test_the_digest_follows_the_content(folder: Path) -> None:
    before = weights_digest(folder)
    update_registry(folder)
    assert weights_digest(folder) == before
    (folder / "vae" / "config.json").write_text('{"size": 2}')
    update_registry(folder)
    assert weights_digest(folder) != before


@pytest.mark.skipif(not (WEIGHTS / REGISTRY).exists(), reason="no trained weights in this checkout")
def test_bundled_weights_are_what_the_registry_says_and_small() -> None:
    rows = weights_status()
    assert rows and all(health == "ok" for _, health in rows.values())
    sizes = [(WEIGHTS / file).stat().st_size for file in rows]
    assert max(sizes) <= 16 * 2**20 and sum(sizes) <= 60 * 2**20
