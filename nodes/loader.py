"""`Load ID²Face Model`."""

from __future__ import annotations

from comfy_api.latest import io

from .model import CENTERFACE, DEVICES, detectors, shared_model
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
        return io.NodeOutput(shared_model(detector, device))
