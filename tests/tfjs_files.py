"""Small networks as npm packages hold them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np


def words(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def graph_model(folder: Path, nodes: list[dict[str, Any]], weights: dict[str, np.ndarray], outputs: list[str]) -> Path:
    """A graph-model's .json and .bin."""
    consts = [{"name": name, "op": "Const"} for name in weights]
    entries = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in weights.items()]
    model = {
        "signature": {"outputs": {f"{name}:0": {} for name in outputs}},
        "modelTopology": {"node": [*consts, {"name": "x", "op": "Placeholder"}, *nodes]},
        "weightsManifest": [{"weights": entries}],
    }
    path = folder / "net.json"
    path.write_text(json.dumps(model))
    path.with_suffix(".bin").write_bytes(b"".join(value.astype(np.float32).tobytes() for value in weights.values()))
    return path


def convolution(name: str, kind: str, reads: list[str], stride: int = 1, padding: str = "SAME") -> dict[str, Any]:
    sizes = {"list": {"i": ["1", str(stride), str(stride), "1"]}}
    return {"name": name, "op": kind, "input": reads, "attr": {"strides": sizes, "padding": {"s": words(padding)}}}


def dense(name: str, reads: list[str], *fused: str) -> dict[str, Any]:
    return {"name": name, "op": "_FusedMatMul", "input": reads, "attr": {"fused_ops": {"list": {"s": [*map(words, fused)]}}}}


def plain(name: str, kind: str, *reads: str) -> dict[str, Any]:
    return {"name": name, "op": kind, "input": list(reads)}


def faceres_like(folder: Path) -> Path:
    """Brightness is the age (of 100 years), red over blue the sex."""
    years = np.arange(1, 101)
    weights = {
        "axes": np.zeros(2), "zero": np.zeros(1), "tint": np.array([[0.05], [0.0], [-0.05]]),
        "kernel": np.tile(0.04 * years * 100 / 255 / 3, (3, 1)), "bias": -0.02 * years.astype(float) ** 2,
    }  # fmt: skip
    nodes = [
        plain("pool", "Mean", "x", "axes"), dense("a", ["pool", "kernel", "bias"], "BiasAdd"), plain("age", "Softmax", "a"),
        dense("s", ["pool", "tint", "zero"], "BiasAdd"), plain("sex", "Sigmoid", "s"),
    ]  # fmt: skip
    return graph_model(folder, nodes, weights, ["sex", "pool", "age"])
