"""The report of a run: what was done to each face, and by which weights. It holds no picture and no key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..assets import ASSETS, weights_digest
from ..assets.folder import model_folder, read_manifest
from ..assets.hashing import write_atomically
from .main import VERSION

SCHEMA = "id2face-report/1"


def face_row(face: Any) -> dict[str, Any]:
    """A `FaceRecord` as JSON."""
    return {"box": [round(float(v), 2) for v in face.box], "status": face.status, "reason": face.reason}


def image_row(source: Path, target: Path | None, status: str, faces: Sequence[Any] = (), reason: str = "") -> dict:
    """One input. `output` is null where nothing was written; `reason` stands where no face can carry it."""
    row: dict[str, Any] = {
        "input": str(source), "output": None if target is None else str(target), "status": status,
        "faces": [face_row(face) for face in faces],
    }  # fmt: skip
    return row | ({"reason": reason} if reason else {})


def model_row() -> dict[str, Any]:
    """Name, version and hashes of the weights in use."""
    manifest = read_manifest(model_folder())
    third = {a.relative: a.sha256 or manifest.get(a.relative, {}).get("sha256") for a in ASSETS}
    return {"name": "id2face", "version": VERSION, "sha256": weights_digest(), "third_party_sha256": third}


def write_report(path: Path, rows: list[dict], options: dict[str, Any]) -> None:
    """Write the report whole or not at all. Raises OSError."""
    document = {"schema": SCHEMA, "model": model_row(), "options": options, "images": rows}
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
