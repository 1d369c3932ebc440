"""What was done to each face, as JSON: no file names, no numbers that describe a face but its box."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

SCHEMA = "id2face-report/1"


def report(images: Sequence[dict[str, Any]], options: dict[str, Any]) -> str:
    """The document of the command line's report, with frame numbers in place of file names."""
    from id2face_core.cli.report import model_row

    rows = [{"frame": i, **row} for i, row in enumerate(images)]
    return json.dumps({"schema": SCHEMA, "model": model_row(), "options": options, "images": rows}, indent=1)


def face_row(box: Iterable[float], status: str, reason: str) -> dict[str, Any]:
    """One face."""
    return {"box": [round(float(v), 1) for v in box], "status": status, "reason": reason}


def frame_status(states: set[str]) -> str:
    """A frame's status from those of its faces."""
    for status in ("withheld", "anonymized"):
        if status in states:
            return status
    return "skipped" if states else "no_face"
