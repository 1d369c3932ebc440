"""`Paste Faces Back` and `Redact`: the last steps, where it is decided that no original face comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from comfy_api.latest import io

from id2face_core.errors import ShapeError
from id2face_core.options import PRESETS

from .detect import Hints, Wish, find_faces, mark
from .identity import FACES_TOOLTIP, MODEL_TOOLTIP
from .model import SharedModel, model_or_default
from .options import policy_input
from .panels import report_panel
from .pictures import Output, check_image, frames
from .report import face_row, frame_status, report
from .session import Progress
from .types import Faces, FacesType, Found, ModelType, NewFaces, NewFacesType, Recomposed, Rejected, guarded

if TYPE_CHECKING:
    from torch import Tensor

    from id2face_core.components import Components
    from id2face_core.photograph.compose import ComposeOptions
    from id2face_core.reading import SourceFace

REGIONS = ("oval", "face", "head")
LIMIT = PRESETS["balanced"].limit  # greatest cosine of a finished face with the source by the bundled encoder
Frame = tuple["np.ndarray | None", np.ndarray, dict[str, Any]]  # picture, mask, row of the report


def paste_frame(
    parts: Components, picture: np.ndarray, faces: Sequence[Found], new: Sequence[Recomposed | Rejected],
    options: ComposeOptions, policy: str,
) -> Frame:  # fmt: skip
    """One frame. Faces without a new one are covered last, so that no paste brings back what a cover had hidden."""
    from id2face_core.faults import keep_unlike
    from id2face_core.photograph.compose import Composite
    from id2face_core.photograph.redact import redact_all
    from id2face_core.stages import paste

    def one(made: Recomposed, source: SourceFace, under: np.ndarray) -> Composite:
        done = paste(parts, under, source, made.new, options, np.random.default_rng(made.grain_seed), heads)
        keep_unlike(parts, source, made.new, done.picture, LIMIT)
        return done

    heads = [found.face for found in faces]
    output, mask, rows, covered = picture, np.zeros(picture.shape[:2], np.float32), [], []
    for found, made in zip(faces, new, strict=True):
        if found.status == "skipped":
            rows.append(face_row(found.face.box, "skipped", found.reason))
            continue

        done = guarded(one, made, found.source or Rejected(found.reason or found.status), output)
        if isinstance(done, Rejected):
            covered.append(found.face)
            rows.append(face_row(found.face.box, "withheld", done.reason))
        else:
            output, mask = done.picture, np.maximum(mask, done.mask)
            rows.append(face_row(found.face.box, "anonymized", ""))
    output, mask = redact_all(output, mask, heads, covered, policy)
    row = {"status": frame_status({r["status"] for r in rows}), "faces": rows}
    return None if covered and policy == "withhold" else output, mask, row


def over_frames(image: Tensor, work: Callable[[int, np.ndarray], Frame]) -> tuple[Tensor, Tensor, list[dict[str, Any]]]:
    """work(i, picture) for each frame: (IMAGE, MASK, rows). A frame in which it fails is withheld, the others go on."""
    output, rows = Output(image), []
    for i, picture in enumerate(Progress(len(image)).over(frames(image))):
        done = guarded(work, i, picture)
        if isinstance(done, Rejected):
            done = None, np.ones(picture.shape[:2], np.float32), {"status": "withheld", "faces": [], "reason": done.reason}
        output.write(i, done[0], done[1])
        rows.append(done[2])
    return output.image, output.mask, rows


def check_same(image: Tensor, faces: Faces) -> None:
    """Raise ShapeError unless the faces were found in exactly this image: elsewhere a paste would hide nothing."""
    if len(image) != len(faces.frames) or tuple(image.shape[1:3]) != faces.size:
        raise ShapeError(
            f"image has {len(image)} frames of {image.shape[2]}x{image.shape[1]}, but the faces were found in "
            f"{len(faces.frames)} frames of {faces.size[1]}x{faces.size[0]}; connect the image they were found in"
        )
    for i, picture in enumerate(frames(image)):
        if mark(picture) != faces.marks[i]:
            raise ShapeError(f"frame {i} of image is not the one in which the faces were found; connect the image that went into "
                             "Detect & Align Faces, or detect again in the changed one")  # fmt: skip


def redact_frame(parts: Any, picture: np.ndarray, faces: Sequence[Found] | None, mask: np.ndarray | None, policy: str) -> Frame:
    """Cover faces (found here when `faces` is None and there is no mask), or what a mask covers."""
    from id2face_core.photograph.redact import redact

    if mask is not None:
        where = mask > 0
        if not where.any():
            return picture, np.zeros(mask.shape, np.float32), {"status": "no_face", "faces": []}
        ys, xs = np.nonzero(where)
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float64)
        hidden = redact(picture, box, policy, whole=True)[0]
        output = np.where(where[..., None], hidden, picture)
        return output, where.astype(np.float32), {"status": "withheld", "faces": [face_row(box, "withheld", "mask")]}
    if faces is None:
        faces = find_faces(parts, picture, Wish(), Hints(), 0)
    output, total, rows = picture, np.zeros(picture.shape[:2], np.float32), []
    for found in faces:
        if found.status != "skipped":
            output, cover = redact(output, found.face.box, policy)
            total = np.maximum(total, cover)
        state = ("skipped", found.reason) if found.status == "skipped" else ("withheld", "redacted")
        rows.append(face_row(found.face.box, *state))
    return output, total, {"status": frame_status({r["status"] for r in rows}), "faces": rows}


class PasteFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FacePasteFaces", display_name="Paste Faces Back", category="ID²Face/steps",
            description="Puts the new faces into the picture: warped onto the old outline, with its colours and grain. A face "
            "without a new one, or with one like the original's, is covered.",
            search_aliases=["uncrop", "composite face", "blend face"],
            inputs=[
                io.Image.Input("image", tooltip="The same image that went into Detect & Align Faces."),
                FacesType.Input("faces", tooltip=FACES_TOOLTIP),
                NewFacesType.Input("new_faces", tooltip="From Harmonized Diffusion."),
                io.Combo.Input(
                    "region", options=list(REGIONS), default="face",
                    tooltip="What is replaced: the inner face (oval), with forehead and jaw (face), hair and ears too (head).",
                ),
                policy_input(),
                io.Float.Input(
                    "feather", default=0.1, min=0.01, max=0.3, step=0.01, advanced=True, tooltip="Soft edge, in face widths.",
                ),
                io.Float.Input(
                    "erode", default=0.0, min=0.0, max=0.1, step=0.01, advanced=True,
                    tooltip="How far the edge stays inside, in face widths.",
                ),
                io.Boolean.Input("colour_match", default=True, advanced=True, tooltip="Light and tone of the picture."),
                io.Boolean.Input("grain", default=True, advanced=True, tooltip="Noise and sharpness of the picture."),
                io.Boolean.Input("keep_fringe", default=True, advanced=True, tooltip="Hair over the forehead stays in front."),
                io.Boolean.Input("gaze", default=True, advanced=True, tooltip="Turn the new eyes to where the old ones looked."),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="As many frames as came in; untouched outside the mask."),
                io.Mask.Output(display_name="mask", tooltip="What was replaced or covered."),
                io.String.Output(display_name="report", tooltip="JSON: a status for each face."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: Tensor, faces: Faces, new_faces: NewFaces, region: str, policy: str, feather: float, erode: float,
        colour_match: bool, grain: bool, keep_fringe: bool, gaze: bool,
    ) -> io.NodeOutput:  # fmt: skip
        from id2face_core.photograph.compose import ComposeOptions

        check_image(image)
        faces.check("new_faces", new_faces)
        check_same(image, faces)
        options = ComposeOptions(region, erode, feather, gaze, colour_match, grain, keep_fringe)
        parts = model_or_default(new_faces.model).ready()
        picture, mask, rows = over_frames(
            image, lambda i, frame: paste_frame(parts, frame, faces.frames[i], new_faces.frames[i], options, policy)
        )
        return io.NodeOutput(picture, mask, report(rows, {"region": region, "policy": policy}), ui=report_panel(rows))


class Redact(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceRedact", display_name="Redact Faces", category="ID²Face",
            description="Fills or blurs faces beyond recognition, without a new face: the plain way, and the fallback.",
            search_aliases=["blur faces", "censor", "pixelate", "black box", "hide face"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures or the frames of a clip."),
                io.Combo.Input(
                    "policy", options=["fill", "blur"], default="fill",
                    tooltip="Drawn on from what surrounds it, or five blocks across.",
                ),
                FacesType.Input("faces", optional=True, tooltip="From Detect & Align Faces; without, all faces are found here."),
                io.Mask.Input("mask", optional=True, tooltip="Cover what is masked instead of faces."),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="As many frames as came in."),
                io.Mask.Output(display_name="mask", tooltip="What was covered."),
                io.String.Output(display_name="report", tooltip="JSON: a status for each face."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: Tensor, policy: str, faces: Faces | None = None, mask: Tensor | None = None, model: SharedModel | None = None
    ) -> io.NodeOutput:
        from .hints import masks_by_frame

        check_image(image)
        if faces is not None:
            check_same(image, faces)
        masks = None if mask is None else masks_by_frame(mask, len(image), (image.shape[1], image.shape[2]))
        parts = model_or_default(model).ready() if faces is None and masks is None else None
        picture, cover, rows = over_frames(image, lambda i, frame: redact_frame(
            parts, frame, None if faces is None else faces.frames[i], None if masks is None else masks[i], policy,
        ))  # fmt: skip
        return io.NodeOutput(picture, cover, report(rows, {"policy": policy}), ui=report_panel(rows))
