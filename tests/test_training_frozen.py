"""Networks of other formats as torch modules: the same numbers as their own runtimes, with gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from id2face_core.assets import require
from id2face_core.errors import AssetCorruptError
from id2face_core.faces.lite import LiteNetwork
from id2face_core.training.frozen import load_onnx, load_tflite

RNG = np.random.default_rng(0)


def _save_onnx(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], outputs: dict[str, list[int]]) -> Path:
    inlet = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])
    outlets = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", [inlet], outlets, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def test_an_onnx_network_gives_the_same_numbers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["low"], value=numpy_helper.from_array(np.array(0, np.float32))),
        helper.make_node("Constant", [], ["high"], value=numpy_helper.from_array(np.array(6, np.float32))),
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], strides=[2, 2], pads=[0, 1, 1, 2]),
        helper.make_node("BatchNormalization", ["a", "s", "t", "m", "v"], ["b"], epsilon=1e-3),
        helper.make_node("PRelu", ["b", "slope"], ["c"]),
        helper.make_node("Conv", ["c", "w2"], ["d"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["d", "low", "high"], ["e"]),
        helper.make_node("Add", ["e", "c"], ["f"]),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Flatten", ["g"], ["h"]),
        helper.make_node("Gemm", ["h", "w3", "b3"], ["y"], transB=1),
    ]
    weights = {
        "w1": RNG.normal(size=(4, 3, 3, 3)), "b1": RNG.normal(size=4), "s": RNG.normal(size=4), "t": RNG.normal(size=4),
        "m": RNG.normal(size=4), "v": RNG.uniform(0.5, 2, size=4), "slope": RNG.uniform(size=(4, 1, 1)),
        "w2": RNG.normal(size=(4, 1, 3, 3)), "w3": RNG.normal(size=(5, 4 * 6 * 7)), "b3": RNG.normal(size=5),
    }  # fmt: skip
    path = _save_onnx(tmp_path / "net.onnx", nodes, weights, {"y": [1, 5]})
    x = RNG.normal(size=(3, 3, 12, 12)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path))
    expected = np.concatenate([session.run(["y"], {"x": row[None]})[0] for row in x])
    tensor = torch.from_numpy(x).requires_grad_()
    (y,), shown = load_onnx(path)(tensor), load_onnx(path, ["g"])(tensor)[1]
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-4, atol=1e-4)
    assert shown.shape == (3, 4 * 6 * 7), "a tensor in between is given on demand"
    (gradient,) = torch.autograd.grad(y.sum(), tensor)
    assert float(gradient.abs().sum()) > 0


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    path = _save_onnx(tmp_path / "net.onnx", [helper.make_node("Sin", ["x"], ["y"])], {}, {"y": [1, 3, 12, 12]})
    with pytest.raises(AssetCorruptError, match="net.onnx.*'Sin'"):
        load_onnx(path)


@pytest.mark.usefixtures("model_dir")
@pytest.mark.parametrize(("name", "side"), [("face_landmark", 192), ("iris_landmark", 64)])
def test_a_tflite_network_gives_the_same_numbers_in_a_batch(name: str, side: int) -> None:
    path = require("landmarks", f"{name}.tflite")
    pictures = RNG.uniform(0, 255, size=(2, side, side, 3)).astype(np.float32)
    ours = load_tflite(path)(torch.from_numpy(pictures / 255).permute(0, 3, 1, 2))
    theirs = LiteNetwork(path)
    for i, picture in enumerate(pictures):
        for mine, other in zip(ours, theirs(picture), strict=True):
            np.testing.assert_allclose(mine[i].numpy(), other, rtol=1e-3, atol=2e-3)
