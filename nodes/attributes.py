"""`Extract Attributes` and `Edit Attributes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from comfy_api.latest import io

from id2face_core.errors import ConfigError

from .options import parse_changes, parse_positions
from .types import AttributesType, AttributeVectors, Faces, FacesType, guarded

if TYPE_CHECKING:
    from torch import Tensor


def extract(faces: Faces) -> AttributeVectors:
    """Everything but identity, as it was read when the faces were aligned."""
    return AttributeVectors(faces.each(lambda source: source.attributes), faces.origin)


def edit(attributes: AttributeVectors, changes: Mapping[str, float | str], positions: tuple[int, ...] | None) -> AttributeVectors:
    """A changed copy; positions: which faces of each frame, None for all. Raises ConfigError for names and ranges."""
    import torch

    from id2face_core.attributes.edit import PERSON_TRAITS, edit_attributes
    from id2face_core.attributes.vector import ATTRIBUTES

    edit_attributes(torch.zeros(len(ATTRIBUTES)).numpy(), changes)  # a wrong wish is an error also where there is no face

    def one(values: Tensor) -> Tensor:
        return torch.from_numpy(edit_attributes(values.numpy(), changes))

    rows = [
        [guarded(one, v) if positions is None or j in positions else v for j, v in enumerate(frame)]
        for frame in attributes.frames
    ]
    return AttributeVectors(rows, attributes.origin, attributes.edited | (PERSON_TRAITS.keys() & changes.keys()))


class ExtractAttributes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceExtractAttributes", display_name="Extract Attributes", category="ID²Face/steps",
            description="Everything but identity: pose, gaze, expression, age, sex, skin and light, as readable numbers.",
            search_aliases=["face attributes", "expression", "blendshapes", "head pose"],
            inputs=[FacesType.Input("faces", tooltip="From Detect & Align Faces.")],
            outputs=[AttributesType.Output(display_name="attributes", tooltip="For Edit Attributes and Harmonized Diffusion.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, faces: Faces) -> io.NodeOutput:
        return io.NodeOutput(extract(faces))


class EditAttributes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def offset(name: str, limit: float, step: float, tooltip: str) -> io.Float.Input:
            return io.Float.Input(name, default=0.0, min=-limit, max=limit, step=step, tooltip=tooltip)

        return io.Schema(
            node_id="ID2FaceEditAttributes", display_name="Edit Attributes", category="ID²Face/steps",
            description="Older, of the other sex, smiling: the new face gets it, the rest stays.",
            search_aliases=["age", "smile", "face editing", "expression editing"],
            inputs=[
                AttributesType.Input("attributes", tooltip="From Extract Attributes."),
                offset("age", 60, 1, "Years older (or younger, below 0)."),
                io.Combo.Input("sex", options=["keep", "female", "male"], default="keep", tooltip="Of the new face."),
                offset("smile", 1, 0.05, "More of a smile (or less, below 0)."),
                offset("mouth_open", 1, 0.05, "Mouth further open (or closed, below 0)."),
                offset("eyes_closed", 1, 0.05, "Eyes further closed (or open, below 0)."),
                io.String.Input(
                    "faces", default="all", advanced=True, tooltip="Which faces of each frame: all, or numbers such as 0,2.",
                ),
                io.String.Input(
                    "more", default="", multiline=True, advanced=True,
                    tooltip="Any attribute by name, one name=value a line; +0.2 changes a value, 0.2 sets it.",
                ),
            ],
            outputs=[AttributesType.Output(display_name="attributes", tooltip="The changed copy.")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, faces: str = "all", more: str = "") -> bool | str:
        try:
            parse_positions(faces, "faces"), parse_changes(more)
        except ConfigError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, attributes: AttributeVectors, age: float, sex: str, smile: float, mouth_open: float, eyes_closed: float,
        faces: str, more: str,
    ) -> io.NodeOutput:  # fmt: skip
        offsets = {"age": age, "smile": smile, "mouth_open": mouth_open, "eyes_closed": eyes_closed}
        changes: dict[str, float | str] = {name: f"{value:+g}" for name, value in offsets.items() if value}
        if sex != "keep":
            changes["sex"] = sex
        return io.NodeOutput(edit(attributes, changes | parse_changes(more), parse_positions(faces, "faces")))
