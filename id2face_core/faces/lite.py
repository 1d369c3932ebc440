"""TensorFlow Lite files run by LiteRT, whole or in parts: plain operators, one thread."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AssetCorruptError

FILE_IDENTIFIER = b"TFL3"


class LiteNetwork:
    """One network: a float32 picture in, a list of flat arrays out (in the network's order of outputs).

    source: a .tflite file, or the bytes of one, as `parts_of` gives them.
    """

    def __init__(self, source: Path | bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        given: dict[str, Any] = {"model_content": source} if isinstance(source, bytes) else {"model_path": str(source)}
        self._interpreter: Any = Interpreter(**given, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in self._interpreter.get_output_details()]

    def __call__(self, crop: np.ndarray) -> list[np.ndarray]:
        return self.run(crop / 255.0)

    def run(self, values: np.ndarray) -> list[np.ndarray]:
        """As a call, of values [H, W, C] that are no colours."""
        self._interpreter.set_tensor(self._input, values[None].astype(np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(i).ravel() for i in self._outputs]


def parts_of(path: Path, cuts: Sequence[tuple[str, Sequence[str]]]) -> Iterator[bytes]:
    """Networks within a .tflite file: what lies between one tensor and some others, each given by name.

    LiteRT refuses a file with operators that it does not know, but runs the parts between them.

    Raises:
        AssetCorruptError: the file is no such network, or has no tensor of a name.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        graph = model.subgraphs[0]
        places = {tensor.name.decode(): i for i, tensor in enumerate(graph.tensors)}
        whole = list(graph.operators), list(graph.tensors), list(model.buffers)
        for inlet, outlets in cuts:
            yield _part(model, whole, places[inlet], [places[name] for name in outlets])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise AssetCorruptError(f"{path.name} is not the network that was expected: {error!r}; run: id2face setup") from error


def _part(model: Any, whole: tuple[list[Any], list[Any], list[Any]], inlet: int, outlets: list[int]) -> bytes:
    """A file of the operators between two places, of their tensors and constants; `model` is the frame, and changed."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    operators, tensors, buffers = whole
    makers = {int(i): op for op in operators for i in op.outputs}
    needed, todo = set[int](), list(outlets)
    while todo:
        place = todo.pop()
        if place != inlet and place in makers and id(makers[place]) not in needed:
            needed.add(id(makers[place]))
            todo += [int(i) for i in makers[place].inputs]
    chosen = [op for op in operators if id(op) in needed]
    kept = sorted({int(i) for op in chosen for i in (*op.inputs, *op.outputs)})
    renumbered = {old: np.int32(new) for new, old in enumerate(kept)}

    def moved(places: Sequence[int]) -> np.ndarray:
        return np.array([renumbered[int(i)] for i in places], dtype=np.int32)

    graph = model.subgraphs[0]
    graph.operators, graph.tensors, model.buffers = [], [], [buffers[0]]
    for op in chosen:
        copy = schema.OperatorT()
        copy.__dict__ |= op.__dict__ | {"inputs": moved(op.inputs), "outputs": moved(op.outputs)}
        graph.operators.append(copy)
    for old in kept:
        tensor = schema.TensorT()
        tensor.__dict__ |= tensors[old].__dict__
        held = buffers[tensors[old].buffer]
        tensor.buffer = 0 if held.data is None else len(model.buffers)
        model.buffers += [] if held.data is None else [held]
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs, model.signatureDefs, model.metadata = moved([inlet]), moved(outlets), None, None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())
