"""`Load ID²Face Model` and `Unload ID²Face Model`."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .model import CENTERFACE, DEVICES, SharedModel, detectors, release
from .types import ModelType


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceLoadModel",
            display_name="Load ID²Face Model",
            category="ID²Face",
            description="The networks of ID²Face. All nodes and graphs share one copy, so several loaders cost nothing.",
            search_aliases=["face anonymization model", "load face model", "id2face"],
            inputs=[
                io.Combo.Input(
                    "detector", options=detectors(), default=CENTERFACE,
                    tooltip="Finds the faces. SCRFD files in models/id2face/detection or models/insightface join in: "
                    "a face that either finds counts.",
                ),
                io.Combo.Input(
                    "device", options=list(DEVICES), default=DEVICES[0], advanced=True,
                    tooltip="automatic: where ComfyUI computes; cpu: leaves the GPU to other models.",
                ),
            ],
            outputs=[ModelType.Output(display_name="model", tooltip="For every other ID²Face node.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, detector: str, device: str) -> io.NodeOutput:
        model = SharedModel(detector, device)
        model.ready()  # what is missing is said here, before any picture is read
        return io.NodeOutput(model)


class UnloadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceUnloadModel",
            display_name="Unload ID²Face Model",
            category="ID²Face",
            description="Frees the networks of ID²Face, in RAM too, when what is connected is done. They are loaded again when "
            "they are needed.",
            search_aliases=["free memory", "unload model", "clear vram", "purge"],
            is_output_node=True,
            inputs=[io.AnyType.Input("anything", tooltip="What has to be done first, for instance the anonymized image.")],
            outputs=[io.AnyType.Output(display_name="anything", tooltip="What came in, unchanged.")],
        )

    @classmethod
    def execute(cls, anything: Any) -> io.NodeOutput:
        release()
        return io.NodeOutput(anything)
