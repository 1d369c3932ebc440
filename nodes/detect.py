"""`Detect & Align Faces`: which faces there are, and which of them are replaced."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from comfy_api.latest import io

from id2face_core.errors import ShapeError

from .hints import boxes_by_frame, claimed, landmark_faces, masks_by_frame
from .model import SharedModel, model_or_default
from .options import parse_positions
from .overlay import overlay
from .panels import faces_panel
from .pictures import check_image, frames, to_image
from .session import Progress
from .types import Faces, FacesType, Found, LandmarksType, ModelType, Rejected, guarded

if TYPE_CHECKING:
    from torch import Tensor

    from id2face_core.components import Components
    from id2face_core.faces.types import Face

ORDERS = ("largest", "left to right", "top to bottom", "most certain")
_MARK_SECRET = secrets.token_bytes(32)


@dataclass(frozen=True)
class Wish:
    """Which faces are replaced. include: None for all. max_faces: 0 for all."""

    threshold: float = 0.35
    min_size: int = 16
    max_faces: int = 0
    order: str = ORDERS[0]
    include: tuple[int, ...] | None = None
    exclude: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hints:
    """What other nodes know, a list over the frames each, or None. See `hints`."""

    landmarks: list[list[Face]] | None = field(default=None, repr=False)
    boxes: list[list[np.ndarray]] | None = field(default=None, repr=False)
    masks: list[np.ndarray] | None = field(default=None, repr=False)


def mark(picture: np.ndarray) -> bytes:
    """What a frame looks like, so that Paste can tell whether it got the same one. Worthless outside this process."""
    return hmac.digest(_MARK_SECRET, picture.tobytes(), hashlib.sha256)


def ordered(faces: Sequence[Face], order: str) -> list[Face]:
    """Faces in the order in which they are counted."""

    def area(face: Face) -> float:
        return float((face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))

    keys = {
        "largest": lambda f: -area(f), "left to right": lambda f: float(f.box[0]),
        "top to bottom": lambda f: float(f.box[1]), "most certain": lambda f: -f.score,
    }  # fmt: skip
    return sorted(faces, key=keys[order])


def find_faces(parts: Components, picture: np.ndarray, wish: Wish, hints: Hints, i: int) -> list[Found]:
    """All faces of frame i with what is to happen to each; those to be replaced are aligned and read."""
    from id2face_core.faces.detection import deduplicate
    from id2face_core.reading import read_face

    orphans: list[Face] = []
    faces = [f for f in parts.detector.detect(picture) if f.score >= wish.threshold]
    if hints.landmarks is not None:
        faces = deduplicate([*hints.landmarks[i], *faces])
    if hints.boxes is not None:
        faces, orphans = claimed(faces, hints.boxes[i])
    found: list[Found] = []
    for n, face in enumerate(ordered(faces, wish.order)):
        why = _why_not(n, face, wish, hints.masks[i] if hints.masks is not None else None)
        if why:
            found.append(Found(face, "skipped", why))
        elif min(face.box[2] - face.box[0], face.box[3] - face.box[1]) < wish.min_size:
            found.append(Found(face, "rejected", "too_small"))
        else:
            source = guarded(lambda f: read_face(parts, picture, f), face)
            if isinstance(source, Rejected):
                found.append(Found(face, "rejected", source.reason))
            else:
                found.append(Found(face, "chosen", source=source))
    return found + [Found(face, "rejected", "no_face_in_box") for face in orphans]


def _why_not(n: int, face: Face, wish: Wish, mask: np.ndarray | None) -> str:
    if (wish.include is not None and n not in wish.include) or n in wish.exclude:
        return "not selected"
    if wish.max_faces and n >= wish.max_faces:
        return "beyond max_faces"
    if mask is not None:
        x, y = (int(np.clip((face.box[k] + face.box[k + 2]) / 2, 0, mask.shape[1 - k] - 1)) for k in (0, 1))
        if mask[y, x] <= 0.5:
            return "outside the mask"
    return ""


def detect_batch(model: SharedModel, image: Tensor, wish: Wish, hints: Hints, show: bool) -> tuple[Faces, Tensor]:
    """(faces, overlay IMAGE). A frame whose detection fails gets one face without a place: Paste covers all of it."""
    from id2face_core.faces.types import Face

    parts = model.ready()
    found, marks, shown = [], [], []
    for i, picture in enumerate(Progress(len(image)).over(frames(image))):
        faces = guarded(find_faces, parts, picture, wish, hints, i)
        if isinstance(faces, Rejected):
            nowhere = Face(np.zeros(4, np.float32), np.zeros((5, 2), np.float32), 0.0)
            faces = [Found(nowhere, "rejected", faces.reason)]
        found.append(faces)
        marks.append(mark(picture))
        shown.append(overlay(picture, faces, show))
    return Faces(found, (image.shape[1], image.shape[2]), marks), to_image(shown)


def read_hints(
    image: Tensor, landmarks: dict[str, Any] | None, bboxes: Any, mask: Tensor | None
) -> Hints:
    """What is connected, by frame. Raises ShapeError where it does not fit the image."""
    count, size = len(image), (image.shape[1], image.shape[2])
    if landmarks is not None and bboxes is not None:
        raise ShapeError("connect face_landmarks or bboxes, not both")
    return Hints(
        None if landmarks is None else landmark_faces(landmarks, count, size),
        None if bboxes is None else boxes_by_frame(bboxes, count),
        None if mask is None else masks_by_frame(mask, count, size),
    )


class DetectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceDetectFaces",
            display_name="Detect & Align Faces",
            category="ID²Face/steps",
            description="Finds faces, aligns them and reads their mesh. Faces that cannot be read are covered later, not kept.",
            search_aliases=["face detection", "find faces", "face landmarks", "align faces"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures or the frames of a clip."),
                ModelType.Input("model", optional=True, tooltip="From Load ID²Face Model; not needed with its defaults."),
                io.String.Input("include", default="all", tooltip="Which faces are replaced: all, or numbers such as 0,2."),
                io.String.Input("exclude", default="", tooltip="Which faces stay as they are: numbers such as 1. Empty: none."),
                io.Combo.Input("order", options=list(ORDERS), default=ORDERS[0], tooltip="How faces are counted, from 0."),
                io.Int.Input(
                    "max_faces", default=0, min=0, max=1000, tooltip="The first so many are replaced, others stay; 0: all.",
                ),
                io.Float.Input(
                    "threshold", default=0.35, min=0.35, max=1.0, step=0.01, advanced=True,
                    tooltip="How certain the detector has to be. What it misses stays as it is: raise with care.",
                ),
                io.Int.Input(
                    "min_size", default=16, min=16, max=4096, advanced=True,
                    tooltip="Faces narrower than so many pixels are covered instead of replaced.",
                ),
                io.Boolean.Input(
                    "show_originals", default=False, advanced=True,
                    tooltip="Show the picture itself in the overlay. Off: only colours without detail.",
                ),
                LandmarksType.Input(
                    "face_landmarks", optional=True,
                    tooltip="From Detect Face Landmarks (MediaPipe): a face that either finds counts.",
                ),
                io.BoundingBox.Input(
                    "bboxes", optional=True, force_input=True,
                    tooltip="Only faces in these boxes; a box without a readable face is covered.",
                ),
                io.Mask.Input("mask", optional=True, tooltip="Only faces whose middle is masked. An empty mask is no mask."),
            ],
            outputs=[
                FacesType.Output(display_name="faces", tooltip="For the other steps, together with the same image."),
                io.Image.Output(display_name="overlay", tooltip="Boxes and numbers over colours without detail."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: Tensor, include: str, exclude: str, order: str, max_faces: int, threshold: float, min_size: int,
        show_originals: bool, model: SharedModel | None = None, face_landmarks: dict[str, Any] | None = None,
        bboxes: Any = None, mask: Tensor | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        check_image(image)
        wish = Wish(
            threshold, min_size, max_faces, order, parse_positions(include, "include"), parse_positions(exclude, "exclude") or (),
        )  # fmt: skip
        hints = read_hints(image, face_landmarks, bboxes, mask)
        faces, shown = detect_batch(model_or_default(model), image, wish, hints, show_originals)
        return io.NodeOutput(faces, shown, ui=faces_panel(image, faces))
