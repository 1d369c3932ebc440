"""Networks of ONNX and TensorFlow Lite files as frozen torch modules: in batches, on any device, with gradients to their input.

The runtimes of these files take one face at a time on a CPU and pass no gradients; recomposition losses through the decoder
need all three. Only the operators of small convolutional networks are known; another one is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import AssetCorruptError
from ..faces.lite import parts_of

Operator = Callable[..., Tensor]


@dataclass(frozen=True)
class Step:
    """One operator: names of what it reads (constants too), and of what it writes."""

    run: Operator
    reads: tuple[str, ...]
    writes: str


class FrozenGraph(nn.Module):
    """Steps in order. x [B, C, H, W] in the file's own range -> its outputs, [B, N] each.

    Args:
        constants: weights by name; they move with the module and are never trained.
        outlets: names of the tensors that are returned.
    """

    def __init__(self, steps: list[Step], constants: dict[str, Tensor], inlet: str, outlets: list[str]) -> None:
        super().__init__()
        self._steps, self._inlet, self._outlets = steps, inlet, outlets
        self._names = {name: f"constant{i}" for i, name in enumerate(constants)}
        for name, value in constants.items():
            self.register_buffer(self._names[name], value)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [outlet.flatten(1) for outlet in self.shaped(x)]

    def shaped(self, x: Tensor) -> list[Tensor]:
        """As a call, but what is a map stays one: [B, C, H, W]."""
        known = {name: getattr(self, own) for name, own in self._names.items()} | {self._inlet: x}
        for step in self._steps:
            known[step.writes] = step.run(*(known[name] for name in step.reads))
        return [known[name] for name in self._outlets]


def load_onnx(path: Path, also: list[str] | None = None) -> FrozenGraph:
    """An .onnx file; also: more tensors to return. Raises AssetCorruptError for an operator that is not known here."""
    import onnx

    graph = onnx.load(str(path)).graph
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    steps = []
    for node in graph.node:
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = onnx.numpy_helper.to_array(given["value"])
            continue
        values = [constants.get(name) for name in node.input]
        run, used = _onnx_operator(node.op_type, given, values, path)
        steps.append(Step(run, tuple(node.input[:used]), node.output[0]))
    read = {name for step in steps for name in step.reads}
    tensors = {name: torch.from_numpy(value.copy()) for name, value in constants.items() if name in read}
    inlet = next(i.name for i in graph.input if i.name not in constants)
    return FrozenGraph(steps, tensors, inlet, [*(o.name for o in graph.output), *(also or [])])


def _onnx_operator(kind: str, given: dict[str, Any], values: list[Any], path: Path) -> tuple[Operator, int]:
    """The operator, and how many of the node's inputs it reads as tensors."""
    if kind == "Conv":
        top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
        stride, groups = tuple(given.get("strides", (1, 1))), int(given.get("group", 1))
        return partial(convolve, stride=stride, groups=groups, pad=(left, right, top, bottom)), len(values)
    if kind == "Clip":
        low, high = (-math.inf if values[1] is None else float(values[1])), (math.inf if len(values) < 3 else float(values[2]))
        return partial(torch.clamp, min=low, max=high), 1
    if kind == "PRelu":
        return _prelu, 2
    if kind == "BatchNormalization":
        return partial(_normalise, eps=float(given.get("epsilon", 1e-5))), 5
    if kind == "Gemm" and given.get("transB"):
        return F.linear, 3
    if kind in ("Reshape", "Flatten"):  # both end a network of this kind
        return partial(torch.flatten, start_dim=1), 1
    if kind in ("Add", "Relu"):
        return (torch.add, 2) if kind == "Add" else (F.relu, 1)
    raise AssetCorruptError(f"{path.name} has the operator {kind!r}, which recomposition through the decoder does not know")


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: tuple[int, int], groups: int, pad: tuple[int, int, int, int]
) -> Tensor:
    """A convolution of [B, C, H, W] padded by (left, right, top, bottom)."""
    left, right, top, bottom = pad
    if (left, top) == (right, bottom):
        return F.conv2d(x, weight, bias, stride, (top, left), groups=groups)
    return F.conv2d(F.pad(x, pad), weight, bias, stride, groups=groups)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return F.prelu(x, slope.flatten())


def _normalise(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, eps: float) -> Tensor:
    return F.batch_norm(x, mean, variance, weight, bias, eps=eps)


def load_tflite(path: Path) -> FrozenGraph:
    """A .tflite file with one input [1, H, W, C]. Raises AssetCorruptError for an operator that is not known here."""
    return _from_tflite(path.read_bytes(), path)


def load_tflite_parts(path: Path, cuts: Sequence[tuple[str, Sequence[str]]]) -> list[FrozenGraph]:
    """What lies between some tensors of a .tflite file, see `lite.parts_of`; each part's inlet is a map. Raises as both do."""
    return [_from_tflite(part, path) for part in parts_of(path, cuts)]


def _from_tflite(content: bytes, path: Path) -> FrozenGraph:
    """path: named in errors."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    formats = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16, schema.TensorType.INT32: np.int32}
    constants = {
        i: np.frombuffer(bytes(model.buffers[t.buffer].data), formats[t.type]).reshape(t.shape)
        for i, t in enumerate(graph.tensors) if t.type in formats and model.buffers[t.buffer].data is not None
    }  # fmt: skip
    steps, tensors = [], dict[str, Tensor]()
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        kind, inputs, output = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)], list(op.inputs), int(op.outputs[0])
        if kind == "DEQUANTIZE":
            constants[output] = constants[inputs[0]].astype(np.float32)
            continue
        weights = [constants[i] for i in inputs[1:] if i in constants]
        sizes = [tuple(graph.tensors[i].shape) for i in (inputs[0], output)]
        run, held = _lite_operator(kind, op.builtinOptions, weights, sizes, path)
        names = []
        for i, value in enumerate(held):
            names.append(f"{output}/{i}")
            tensors[names[-1]] = torch.from_numpy(np.array(value, dtype=np.float32))
        live = [str(i) for i in inputs if i not in constants]
        steps.append(Step(run, (*live, *names), str(output)))
    return FrozenGraph(steps, tensors, str(graph.inputs[0]), [str(i) for i in graph.outputs])


def _lite_operator(
    kind: str, options: Any, weights: list[np.ndarray], sizes: list[tuple[int, ...]], path: Path
) -> tuple[Operator, list[np.ndarray]]:
    """The operator on [B, C, H, W], and its weights in torch's order."""
    if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        deep = kind != "CONV_2D"
        kernel = weights[0].transpose((3, 0, 1, 2) if deep else (0, 3, 1, 2))  # 1 x H x W x C, or O x H x W x I
        stride = (int(options.strideH), int(options.strideW))
        pad = same_padding(sizes[0], kernel.shape[2:], stride) if options.padding == 0 else (0, 0, 0, 0)
        run = partial(convolve, stride=stride, groups=sizes[0][3] if deep else 1, pad=pad)
        return _activated(run, options, path), [kernel, *weights[1:]]
    if kind == "ADD":
        return _activated(torch.add, options, path), []
    if kind == "PRELU":
        return _prelu, weights[:1]
    if kind == "MAX_POOL_2D":
        size, stride = (int(options.filterHeight), int(options.filterWidth)), (int(options.strideH), int(options.strideW))
        pad = same_padding(sizes[0], size, stride) if options.padding == 0 else (0, 0, 0, 0)
        return partial(pool, size=size, stride=stride, pad=pad), []
    if kind == "PAD":
        (_, _), (top, bottom), (left, right), (front, back) = weights[0].tolist()
        return partial(F.pad, pad=(left, right, top, bottom, front, back)), []
    if kind == "RESHAPE":  # ends a network; flat in the file's order
        return lambda x: x.permute(0, 2, 3, 1).flatten(1), []
    raise AssetCorruptError(f"{path.name} has the operator {kind!r}, which recomposition through the decoder does not know")


def same_padding(size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, int]) -> tuple[int, int, int, int]:
    """TensorFlow's padding `SAME` of a tensor of the size [B, H, W, ...], (left, right, top, bottom)."""
    total = [
        max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(size[1:3], kernel, stride, strict=True)
    ]  # rows, columns
    return total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2


def _activated(run: Operator, options: Any, path: Path) -> Operator:
    """With the activation that the file has fused into the operator."""
    after: dict[int, Operator] = {1: F.relu, 3: F.relu6}
    fused = int(options.fusedActivationFunction)
    if fused and fused not in after:
        raise AssetCorruptError(f"{path.name} has the fused activation {fused}, which is not known here")
    return (lambda *x: after[fused](run(*x))) if fused else run


def pool(x: Tensor, *, size: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int, int, int]) -> Tensor:
    """The largest of each window; what is padded never is."""
    return F.max_pool2d(F.pad(x, pad, value=-math.inf) if any(pad) else x, size, stride)
