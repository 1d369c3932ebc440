"""What other nodes know about faces: core FACE_LANDMARKS, BOUNDING_BOX and MASK, as lists over the frames of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from id2face_core.errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor

    from id2face_core.faces.types import Face

# Five points on MediaPipe's mesh: with irises (478 points) their centres, without (468) the middle of the eye's corners.
_IRISES, _CORNERS, _REST = (468, 473), ((33, 133), (362, 263)), (1, 61, 291)
CLAIM = 0.3  # share of the smaller of two boxes above which a detected face is the one that a box means


def landmark_faces(landmarks: Mapping[str, Any], count: int, size: tuple[int, int]) -> list[list[Face]]:
    """FACE_LANDMARKS of ComfyUI's MediaPipe nodes -> faces. Raises ShapeError when they are of another image."""
    from id2face_core.faces.detection import in_order
    from id2face_core.faces.types import Face

    frames = landmarks.get("frames") if isinstance(landmarks, Mapping) else None
    if frames is None or len(frames) != count or tuple(landmarks.get("image_size", size)) != size:
        raise ShapeError(f"face_landmarks are not of this image ({count} frames of {size[1]}x{size[0]}); use the same image")

    def face(row: Mapping[str, Any]) -> Face:
        points = np.asarray(row["landmarks_xy"], dtype=np.float32)[:, :2]
        if len(points) < 468:
            raise ShapeError(f"face_landmarks have {len(points)} points; 468 or 478 are needed")
        eyes = [points[i] for i in _IRISES] if len(points) >= 478 else [points[list(pair)].mean(axis=0) for pair in _CORNERS]
        five = np.stack([*eyes, *points[list(_REST)]]).astype(np.float32)
        box = np.asarray(row["bbox_xyxy"], dtype=np.float32)
        return in_order(Face(box, five, float(row.get("score", 1.0))))

    return [[face(row) for row in rows] for rows in frames]


def boxes_by_frame(bboxes: Any, count: int) -> list[list[np.ndarray]]:
    """BOUNDING_BOX: one dict, a list for one frame or all, or a list of lists -> x0 y0 x1 y1 boxes. Raises ShapeError."""
    if isinstance(bboxes, Mapping):
        bboxes = [bboxes]
    if not isinstance(bboxes, Sequence) or isinstance(bboxes, str):
        raise ShapeError(f"bboxes is {type(bboxes).__name__}; connect a BOUNDING_BOX")
    rows: list[Any] = list(bboxes)
    if all(isinstance(row, Mapping) for row in rows):
        rows = [rows] * count
    if len(rows) != count:
        raise ShapeError(f"bboxes are of {len(rows)} frames and the image has {count}; use the same image")
    return [[_box(box) for box in row] for row in rows]


def _box(box: Mapping[str, Any]) -> np.ndarray:
    try:
        x, y, width, height = (float(box[name]) for name in ("x", "y", "width", "height"))
    except (KeyError, TypeError, ValueError):
        raise ShapeError("a bounding box needs the numbers x, y, width and height") from None
    return np.array([x, y, x + width, y + height], dtype=np.float32)


def masks_by_frame(mask: Tensor, count: int, size: tuple[int, int]) -> list[np.ndarray] | None:
    """MASK [B, H, W] or [H, W] -> one a frame, in the image's size. An empty mask (LoadImage's default) is no mask."""
    import torch.nn.functional as F

    mask = mask[None] if mask.ndim == 2 else mask
    if mask.ndim != 3 or len(mask) not in (1, count):
        raise ShapeError(f"mask is {tuple(mask.shape)}; expected [{count}, {size[0]}, {size[1]}]")
    if not bool((mask > 0.5).any()):
        return None
    scaled = F.interpolate(mask[:, None].float(), size, mode="nearest")[:, 0].cpu().numpy()
    return [scaled[i if len(scaled) > 1 else 0] for i in range(count)]


def claimed(faces: Sequence[Face], boxes: Sequence[np.ndarray]) -> tuple[list[Face], list[Face]]:
    """Faces that some box means, and the boxes in which none was found (as faces without points: to be covered)."""
    from id2face_core.faces.detection import overlap
    from id2face_core.faces.types import Face

    found = np.stack([f.box for f in faces]) if faces else np.zeros((0, 4), np.float32)
    shares = [overlap(box, found)[1] for box in boxes]
    wanted = [face for i, face in enumerate(faces) if any(share[i] > CLAIM for share in shares)]
    lost = [box for box, share in zip(boxes, shares, strict=True) if not (share > CLAIM).any()]
    return wanted, [Face(box, np.zeros((5, 2), np.float32), 0.0) for box in lost]
