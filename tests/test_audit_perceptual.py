"""LPIPS with small random weights: its formula, its files, its place in an audit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.signal import correlate

from id2face_core.errors import AssetMissingError, ConfigError, ShapeError
from id2face_core.perceptual import SCALE, SHIFT, PerceptualDistance, jpeg, load_perceptual

from .test_audit_run import anonymize, audit, material  # noqa: F401

WIDTHS = (4, 6, 8, 5, 5)


def weights(**changed: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {name: tensor.clone() for name, tensor in PerceptualDistance(WIDTHS).state_dict().items()}
    for name, tensor in made.items():
        made[name] = tensor.abs() if name.startswith("lin") else 3 * tensor
    return made | changed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lpips.safetensors"
    save_file(weights(), path)
    return path


def picture(seed: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def by_hand(a: np.ndarray, b: np.ndarray, parts: dict[str, np.ndarray]) -> float:
    """The paper's equation 1 in numpy."""
    layers = []
    for image in (a, b):
        x = (image.transpose(2, 0, 1) / 127.5 - 1 - np.array(SHIFT)[:, None, None]) / np.array(SCALE)[:, None, None]
        found = []
        for k, (pad, stride) in enumerate(((2, 4), (2, 1), (1, 1), (1, 1), (1, 1))):
            if k in (1, 2):
                views = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
                x = views[:, ::2, ::2].max(axis=(-2, -1))
            padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
            kernels, bias = parts[f"features.{k}.weight"], parts[f"features.{k}.bias"]
            x = np.stack([correlate(padded, kernel, "valid")[0] + c for kernel, c in zip(kernels, bias, strict=True)])
            x = np.maximum(x[:, ::stride, ::stride], 0)
            found.append(x / (np.sqrt((x**2).sum(axis=0)) + 1e-10))
        layers.append(found)
    heads = [parts[f"lin.{k}.weight"][0] for k in range(5)]
    return float(sum((h * (p - q) ** 2).sum(axis=0).mean() for h, p, q in zip(heads, *layers, strict=True)))


@pytest.mark.parametrize("side", [64, 75])
def test_the_distance_is_the_papers(file: Path, side: int) -> None:
    parts = {name: tensor.double().numpy() for name, tensor in weights().items()}
    expected = by_hand(picture(0, side), picture(1, side), parts)
    assert expected > 0.01
    assert load_perceptual(file).distance(picture(0, side), picture(1, side)) == pytest.approx(expected, rel=1e-4)


def test_equal_pictures_have_none_and_order_does_not_matter(file: Path) -> None:
    network = load_perceptual(file)
    assert network.distance(picture(0), picture(0)) == 0
    assert network.distance(picture(0), picture(1)) == pytest.approx(network.distance(picture(1), picture(0)), rel=1e-5)


def test_pictures_must_have_one_shape_that_is_not_tiny(file: Path) -> None:
    network = load_perceptual(file)
    for other in (picture(1, 65), picture(1)[..., :1]):
        with pytest.raises(ShapeError):
            network.distance(picture(0), other)
    with pytest.raises(ShapeError, match="34"):
        network.distance(picture(0, 34), picture(1, 34))
    network.distance(picture(0, 35), picture(1, 35))


@pytest.mark.parametrize(("changed", "word"), [
    ({"lin.2.weight": torch.full((1, WIDTHS[2], 1, 1), -0.1)}, "below 0"),
    ({"features.1.bias": torch.full((WIDTHS[1],), torch.nan)}, "finite"),
    ({"lin.1.weight": torch.ones(1, 3, 1, 1)}, "does not hold"),
    ({"more": torch.ones(1)}, "does not hold"),
])  # fmt: skip
def test_other_weights_are_refused(tmp_path: Path, changed: dict[str, torch.Tensor], word: str) -> None:
    save_file(weights(**changed), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=word):
        load_perceptual(tmp_path / "w.safetensors")


def test_a_missing_file_and_one_of_another_kind_are_errors(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="features.K.weight"):
        load_perceptual(tmp_path / "no.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="does not hold"):
        load_perceptual(tmp_path / "w.safetensors")


def test_a_jpeg_of_low_quality_is_farther(file: Path) -> None:
    network, smooth = load_perceptual(file), np.asarray(np.add.outer(np.arange(64), np.arange(64)) * 2, dtype=np.uint8)
    image = np.stack([smooth, smooth.T // 2, 255 - smooth], axis=-1)
    assert network.distance(image, jpeg(image, 5)) > network.distance(image, jpeg(image, 95)) > 0


def test_an_audit_reports_it_only_where_it_is_given(material: Path, file: Path) -> None:  # noqa: F811
    anonymize(material, "nothing")
    audit(material, "--attacks", "A13")
    assert json.loads((material / "out" / "audit.json").read_text())["utility"]["lpips"] is None
    assert "How different it looks" not in (material / "out" / "audit.html").read_text()
    audit(material, "--attacks", "A13", "--lpips", str(file))
    found = json.loads((material / "out" / "audit.json").read_text())["utility"]["lpips"]
    around, whole = found["rows"]
    assert around["mean"] == whole["mean"] == 0 and around["trials"] == 24 == around["yardsticks"]
    assert whole["random_pair"] > whole["jpeg_50"] > 0 and found["network"].startswith("LPIPS (AlexNet, weights ")
    assert "How different it looks" in (material / "out" / "audit.html").read_text()


def test_a_new_face_does_not_count_as_a_change_around_it(material: Path, file: Path) -> None:  # noqa: F811
    from PIL import Image

    from id2face_core.audit.controls import grey_oval
    from id2face_core.faces.alignment import ARCFACE_POINTS

    (material / "after").mkdir()
    for path in (material / "before").iterdir():
        hidden = grey_oval(np.asarray(Image.open(path)), ARCFACE_POINTS.astype(np.float32))
        Image.fromarray(hidden).save(material / "after" / path.name)
    audit(material, "--attacks", "A13", "--lpips", str(file))
    around, whole = json.loads((material / "out" / "audit.json").read_text())["utility"]["lpips"]["rows"]
    assert around["mean"] == 0 and whole["mean"] > 0.005


def test_wrong_lpips_weights_end_with_status_2(material: Path, tmp_path: Path) -> None:  # noqa: F811
    anonymize(material, "nothing")
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    assert audit(material, "--lpips", str(tmp_path / "w.safetensors")) == 2
