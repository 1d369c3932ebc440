"""Schemas of V3 nodes, and their description as the server publishes it (GET_NODE_INFO_V1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FolderType(StrEnum):
    input = "input"
    output = "output"
    temp = "temp"


def _pruned(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class _Input:
    io_type = ""

    def __init__(self, id: str, optional: bool = False, tooltip: str | None = None, advanced: bool | None = None, **rest: Any):
        self.id, self.optional = id, optional
        self.rest = _pruned(tooltip=tooltip, advanced=advanced, **rest)

    def as_dict(self) -> dict[str, Any]:
        return self.rest


class _Output:
    io_type = ""

    def __init__(self, id: str | None = None, display_name: str | None = None, tooltip: str | None = None):
        self.id, self.display_name, self.tooltip = id, display_name or id, tooltip


def Custom(io_type: str) -> Any:
    kinds = {"Input": type("Input", (_Input,), {"io_type": io_type}), "Output": type("Output", (_Output,), {"io_type": io_type})}
    return type(io_type, (), {"io_type": io_type, **kinds})


Image, Mask, Int, Float, Boolean = Custom("IMAGE"), Custom("MASK"), Custom("INT"), Custom("FLOAT"), Custom("BOOLEAN")
String, Combo, BoundingBox = Custom("STRING"), Custom("COMBO"), Custom("BOUNDING_BOX")
Audio, AnyType = Custom("AUDIO"), Custom("*")


class _StringInput(String.Input):
    def __init__(self, id: str, multiline: bool = False, **rest: Any):
        super().__init__(id, multiline=multiline, **rest)


class _ComboInput(Combo.Input):
    def __init__(self, id: str, options: list[str], **rest: Any):
        super().__init__(id, options=options, multiselect=False, **rest)


class _BoxInput(BoundingBox.Input):
    def __init__(self, id: str, force_input: bool | None = None, **rest: Any):
        default = {"x": 0, "y": 0, "width": 512, "height": 512}
        super().__init__(id, default=default, socketless=True, forceInput=force_input, **rest)


String.Input, Combo.Input, BoundingBox.Input = _StringInput, _ComboInput, _BoxInput


@dataclass
class Schema:
    node_id: str
    display_name: str
    category: str
    inputs: list[Any]
    outputs: list[Any]
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_output_node: bool = False

    def info(self) -> dict[str, Any]:
        inputs: dict[str, Any] = {"required": {}}
        for i in self.inputs:
            inputs.setdefault("optional" if i.optional else "required", {})[i.id] = (i.io_type, i.as_dict())
        if self.is_output_node:
            inputs["hidden"] = {"prompt": ("PROMPT",), "extra_pnginfo": ("EXTRA_PNGINFO",)}
        return {
            "input": inputs, "input_order": {k: list(v) for k, v in inputs.items()}, "output": [o.io_type for o in self.outputs],
            "output_name": [o.display_name or o.io_type for o in self.outputs],
            "output_tooltips": [o.tooltip for o in self.outputs], "name": self.node_id, "display_name": self.display_name,
            "description": self.description, "category": self.category, "output_node": self.is_output_node,
            "search_aliases": self.search_aliases,
        }  # fmt: skip


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None):
        self.args, self.ui = args, ui


class ComfyNode:
    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def GET_NODE_INFO_V1(cls) -> dict[str, Any]:
        return cls.define_schema().info()
