"""`Anonymize Faces`: everything in one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from id2face_core.errors import ConfigError
from id2face_core.options import MODES, PRESETS, AnonymizeOptions, Mode, Policy

from .folders import KEYS, NONE, file_stamp, key_files, read_key
from .model import SharedModel, model_or_default
from .options import keep_inputs, kept, key_input, parse_changes, parse_faces, policy_input, seed_input
from .panels import report_panel
from .pictures import Output, check_image, frames
from .report import face_row, report
from .session import Progress, interrupted
from .types import ModelType

if TYPE_CHECKING:
    from torch import Tensor


def anonymize_batch(model: SharedModel, image: Tensor, options: AnonymizeOptions) -> tuple[Tensor, Tensor, list[dict[str, Any]]]:
    """Frames one after the other: (IMAGE, MASK, a row of the report each). Memory does not grow with the batch."""
    from id2face_core.pipeline import Anonymizer

    anonymizer = Anonymizer(model.ready())
    output, rows, progress = Output(image), [], Progress(len(image))
    for i, result in enumerate(anonymizer.stream(frames(image), options, interrupted=interrupted)):
        output.write(i, result.picture, result.mask)
        rows.append({"status": result.status, "faces": [face_row(f.box, f.status, f.reason) for f in result.faces]})
        progress.step(preview=next((f.rendering for f in result.faces if f.rendering is not None), None))
    return output.image, output.mask, rows


class AnonymizeFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceAnonymize",
            display_name="Anonymize Faces",
            category="ID²Face",
            description="Replaces every face by a face of nobody and keeps pose, gaze, expression and light. A face that cannot "
            "be replaced is covered.",
            search_aliases=["face anonymization", "deidentify", "blur faces", "privacy", "replace face", "id2face"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures or the frames of a clip."),
                seed_input(),
                io.Combo.Input(
                    "preset", options=list(PRESETS), default="balanced",
                    tooltip="fast: one rendering of a face; balanced: four at most, the best stays; strict: ears, hair too.",
                ),
                io.Combo.Input(
                    "mode", options=list(MODES), default="one_sided",
                    tooltip="How the new identity is kept away: one_sided turns what comes too close; exact turns it "
                    "orthogonal to the original (one person should not get many such); keyed derives it from the original with "
                    "the key.",
                ),
                policy_input(),
                io.String.Input(
                    "faces", default="all",
                    tooltip="Which faces are replaced: all, largest, or numbers such as 0,2 (largest first). Others stay as they "
                    "are.",
                ),
                ModelType.Input("model", optional=True, tooltip="From Load ID²Face Model; not needed with its defaults."),
                key_input(
                    key_files(), "Secret key from models/id2face_keys: the same person gets the same new face, in every run "
                    "with this key.",
                ),
                io.Int.Input(
                    "steps", default=0, min=0, max=100, advanced=True, tooltip="Diffusion steps; 0 takes those of the preset.",
                ),
                *keep_inputs(),
                io.String.Input(
                    "changes", default="", multiline=True, advanced=True,
                    tooltip="Attributes to change, one name=value a line: age=+10, sex=female, smile=0.8, mouth_open=0.",
                ),
                io.Boolean.Input(
                    "consistent", default=False,
                    tooltip="One new face for each person in all frames, as a clip needs it. Off: every face is for itself, so "
                    "that pictures of one person cannot be linked. Always on with a key.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="As many frames as came in; untouched outside the mask."),
                io.Mask.Output(display_name="mask", tooltip="What was replaced or covered."),
                io.String.Output(display_name="report", tooltip="JSON: a status for each face."),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, key_file: str, **_: object) -> str:
        return file_stamp(KEYS, key_file)

    @classmethod
    def validate_inputs(
        cls, mode: str = "one_sided", key_file: str = NONE, faces: str = "all", changes: str = ""
    ) -> bool | str:
        try:
            parse_faces(faces), parse_changes(changes)
        except ConfigError as error:
            return str(error)
        return True if mode != "keyed" or key_file != NONE else "mode keyed needs a key_file (put one into models/id2face_keys)"

    @classmethod
    def execute(
        cls, image: Tensor, seed: int, preset: str, mode: Mode, policy: Policy, faces: str, consistent: bool, key_file: str,
        steps: int, keep_age: bool, keep_sex: bool, keep_skin: bool, changes: str, model: SharedModel | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        check_image(image)
        options = AnonymizeOptions(
            seed=seed, key=read_key(key_file), consistent=consistent, mode=mode, steps=steps or None, preset=preset,
            policy=policy, faces=parse_faces(faces), keep=kept(keep_age=keep_age, keep_sex=keep_sex, keep_skin=keep_skin),
            set=parse_changes(changes),
        )  # fmt: skip
        picture, mask, rows = anonymize_batch(model_or_default(model), image, options)
        public = {"mode": mode, "steps": options.steps, "preset": preset, "policy": policy, "keep": list(options.keep or ()),
                  "faces": faces, "set": dict(options.set), "consistent": consistent,
                  "keyed": options.key is not None}  # fmt: skip
        return io.NodeOutput(picture, mask, report(rows, public), ui=report_panel(rows))
