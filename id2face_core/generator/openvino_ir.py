"""Read the tensors of the packaged generator's OpenVINO IR v10 files into our state dicts.

Only constants are read: an XML index of (name, shape, offset) over a raw binary file. Nothing of it is
executed, and the graph itself is ours (`mobilestylegan.py`).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import AssetCorruptError
from .wavelet import group_details


@dataclass(frozen=True)
class _Layer:
    kind: str
    name: str
    shape: tuple[int, ...]
    offset: int
    inputs: tuple[str, ...]


class _Graph:
    """Layers by id, constants by id, consumers by id."""

    def __init__(self, xml: Path, binary: Path) -> None:
        try:
            root = ET.parse(xml).getroot()
            self.raw = binary.read_bytes()
            edges: dict[str, dict[int, str]] = defaultdict(dict)
            for edge in root.find("edges") or ():
                edges[edge.attrib["to-layer"]][int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
            self.layers = {el.attrib["id"]: _read_layer(el, edges) for el in root.find("layers") or ()}
        except (ET.ParseError, KeyError, ValueError) as error:
            raise AssetCorruptError(f"{xml.name} is not the OpenVINO IR that was expected: {error}") from error
        self.users: dict[str, list[str]] = defaultdict(list)
        for ident, layer in self.layers.items():
            for source in layer.inputs:
                self.users[source].append(ident)

    def constant(self, ident: str) -> Tensor:
        layer = self.layers[ident]
        count = int(np.prod(layer.shape)) if layer.shape else 1
        if layer.offset + 4 * count > len(self.raw):
            raise AssetCorruptError(f"weights end before tensor {layer.name!r}; fetch the package again")
        flat = np.frombuffer(self.raw, "<f4", count, layer.offset)
        return torch.from_numpy(flat.copy()).view(layer.shape)

    def of_kind(self, kind: str) -> list[str]:
        return [i for i, layer in self.layers.items() if layer.kind == kind]

    def constants_into(self, ident: str) -> list[str]:
        return [i for i in self.layers[ident].inputs if self.layers[i].kind == "Const"]

    def next(self, ident: str, *kinds: str) -> str:
        """The first consumer of `ident`, passing over reshapes, that is of one of `kinds`."""
        for user in self.users[ident]:
            if self.layers[user].kind in kinds:
                return user
            if self.layers[user].kind == "Reshape":
                return self.next(user, *kinds)
        raise AssetCorruptError(f"no {kinds} follows layer {self.layers[ident].name!r} in the packaged graph")


def _read_layer(element: ET.Element, edges: dict[str, dict[int, str]]) -> _Layer:
    data = element.find("data")
    attributes = {} if data is None else data.attrib
    shape = attributes.get("shape", "")
    ident = element.attrib["id"]
    return _Layer(
        kind=element.attrib["type"],
        name=element.attrib["name"],
        shape=tuple(int(s) for s in shape.split(",") if s.strip()),
        offset=int(attributes.get("offset", 0)),
        inputs=tuple(source for _, source in sorted(edges[ident].items())),
    )


def _affine(graph: _Graph, matmul: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of MatMul + Add (+ a constant gain, folded in)."""
    weight = graph.constant(graph.constants_into(matmul)[0])
    add = graph.next(matmul, "Add")
    bias = graph.constant(graph.constants_into(add)[0]).flatten()
    gain_ids = graph.constants_into(graph.next(add, "Multiply"))
    gain = float(graph.constant(gain_ids[0])) if gain_ids else 1.0
    return weight * gain, bias * gain


def mapping_state(xml: Path, binary: Path) -> dict[str, Tensor]:
    """State dict for `MappingNetwork`. Raises AssetCorruptError."""
    graph = _Graph(xml, binary)
    state: dict[str, Tensor] = {}
    for i, matmul in enumerate(graph.of_kind("MatMul")):
        state[f"layers.{i}.weight"] = graph.constant(graph.constants_into(matmul)[0])
        bias = graph.layers[graph.next(matmul, "Add")].inputs[1]
        source = graph.constants_into(bias)[0] if graph.layers[bias].kind == "Reshape" else bias
        state[f"layers.{i}.bias"] = graph.constant(source)
    return state


def _modulation_key(name: str) -> str:
    """`m.layers.3.conv1.conv.modulation.weight` -> `blocks.3.conv1.modulation`."""
    parts = name.removeprefix("m.").split(".")
    if parts[0] == "conv1":
        return "stem_modulation"
    index, role = parts[1], parts[2]
    return {"up": f"blocks.{index}.up", "to_img": "to_img_modulation"}.get(role, f"blocks.{index}.{role}.modulation")


def synthesis_state(xml: Path, binary: Path) -> dict[str, Tensor]:
    """State dict for `SynthesisNetwork`. Raises AssetCorruptError."""
    graph = _Graph(xml, binary)
    state: dict[str, Tensor] = {}
    for matmul in graph.of_kind("MatMul"):
        key = _modulation_key(graph.layers[graph.constants_into(matmul)[0]].name)
        state[f"{key}.weight"], state[f"{key}.bias"] = _affine(graph, matmul)
    for ident in graph.of_kind("Const"):
        if graph.layers[ident].name == "m.input.input":
            state["constant"] = graph.constant(ident)
    depthwise = {graph.next(i, "Convolution"): i for i in graph.of_kind("GroupConvolution")}
    for conv in graph.of_kind("Convolution"):
        weight = graph.constant(graph.constants_into(conv)[0])
        first = graph.next(conv, "Add")
        first_constant = graph.constant(graph.constants_into(first)[0])
        if weight.shape[0] == 12:
            state["to_img.weight"], state["to_img.bias"] = weight, first_constant.flatten()
            continue
        second = graph.next(first, "Add")
        bias = graph.constant(graph.constants_into(second)[0]).flatten()
        if conv not in depthwise:
            state.update({"stem.weight": weight, "stem.bias": bias, "stem_noise": first_constant})
            continue
        kernel_id = graph.constants_into(depthwise[conv])[0]
        kernel = graph.constant(kernel_id)
        parts = graph.layers[kernel_id].name.split(".")  # m.layers.3.conv1.conv.weight_dw
        key = f"blocks.{parts[2]}.{parts[3]}"
        state[f"{key}.depthwise.weight"] = kernel.reshape(kernel.shape[0], 1, 3, 3)
        state[f"{key}.pointwise.weight"], state[f"{key}.pointwise.bias"] = weight, bias
        state[f"{key}.noise"] = first_constant
    return _with_grouped_bands(state)


def _with_grouped_bands(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Permute what stands before each wavelet step, so that each band is one contiguous slice there."""
    blocks = len([key for key in state if key.endswith(".up.weight")])
    before = ["stem"] + [f"blocks.{i}.conv2.pointwise" for i in range(blocks - 1)]
    after = [f"blocks.{i}.up" for i in range(blocks)]
    for layer in ("to_img", *before, *after):
        order = group_details(state[f"{layer}.weight"].shape[0] // 4)
        for part in ("weight", "bias"):
            state[f"{layer}.{part}"] = state[f"{layer}.{part}"][order]
    return state
