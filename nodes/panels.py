"""What nodes tell their panels in the page: numbers and verdicts, never pictures of the source.

ComfyUI keeps this in its history and sends it to every browser. Pictures stay on the shelf until somebody asks for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .pictures import frames
from .shelf import SHELF

if TYPE_CHECKING:
    from torch import Tensor

    from .types import Faces

THUMBNAIL, MARGIN, MOST_FACES = 96, 0.25, 300  # px; of a box on each side; thumbnails of a run
VIEW, MOST_VIEWS = 1024, 8  # px; frames that can be compared


def faces_panel(image: Tensor, faces: Faces) -> dict[str, Any]:
    """For Detect & Align Faces: a row a face, with the number of its thumbnail on the shelf (None beyond `MOST_FACES`)."""
    rows, crops = list[dict[str, Any]](), list[np.ndarray]()
    for i, (picture, found) in enumerate(zip(_lazily(image, faces), faces.frames, strict=True)):
        for n, face in enumerate(found):
            shown = picture is not None and len(crops) < MOST_FACES and bool((face.face.box[2:] > face.face.box[:2]).all())
            rows.append({"frame": i, "face": n, "status": face.status, "reason": face.reason,
                         "picture": len(crops) if shown else None})  # fmt: skip
            if picture is not None and shown:
                crops.append(_crop(picture, face.face.box))
    return {"id2face_faces": [{"pictures": SHELF.put(crops, public=False), "frames": len(faces.frames), "faces": rows}]}


def report_panel(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For nodes that replace or cover faces: how many faces ended how, and why."""
    states = Counter((face["status"], face["reason"]) for row in rows for face in row["faces"])
    frames_of = Counter(row["status"] for row in rows)
    faces = [{"status": status, "reason": reason, "count": count} for (status, reason), count in sorted(states.items())]
    return {"id2face_report": [{"faces": faces, "frames": dict(frames_of)}]}


def check_panel(result: Mapping[str, Any], before: Tensor, after: Tensor, blocked: bool) -> dict[str, Any]:
    """For Privacy Check: the worst score of each recogniser against its threshold, and where the pictures are."""
    verdicts = result.get("recognisers") or [result]
    rows = [_verdict(verdict) for verdict in verdicts]
    views = min(len(before), MOST_VIEWS)
    return {"id2face_check": [{
        "passed": bool(result["passed"]), "blocked": blocked, "recognisers": rows, "views": views,
        "before": SHELF.put([_view(p) for p in islice(frames(before), views)], public=False),
        "after": SHELF.put([_view(p) for p in islice(frames(after), views)], public=True),
    }]}  # fmt: skip


def _verdict(result: Mapping[str, Any]) -> dict[str, Any]:
    faces = [face for image in result["images"] for face in image["faces"]]
    scores = [face["score"] for face in faces]
    failed = sum(not face["passed"] for face in faces)
    return {"name": result["recogniser"], "threshold": result["threshold"], "worst": max(scores) if scores else None,
            "faces": len(faces), "failed": failed}  # fmt: skip


def _lazily(image: Tensor, faces: Faces) -> Iterator[np.ndarray | None]:
    """Frames in which there are faces; None for the others and for those that get no thumbnails."""
    so_far = 0
    for frame, found in zip(image, faces.frames, strict=True):
        yield next(frames(frame[None])) if found and so_far < MOST_FACES else None
        so_far += len(found)


def _crop(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The face with some of its surroundings, as a square thumbnail."""
    x0, y0, x1, y1 = (float(v) for v in box)
    half = max(x1 - x0, y1 - y0) * (0.5 + MARGIN)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    image = Image.fromarray(picture).crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    return np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS))


def _view(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((VIEW, VIEW))
    return np.asarray(image)
