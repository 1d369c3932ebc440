"""`id2face demo`: the bundled public-domain picture, before and after."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..pictures import read_picture, write_picture
from .anonymize import load_pipeline
from .main import OK, WITHHELD, complain
from .quiet import quiet_stderr

PICTURE = Path(__file__).resolve().parents[1] / "demo" / "astronaut.jpg"
GAP = 8


def side_by_side(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Two pictures [H, W, 3] of one size beside each other, with a white gap."""
    gap = np.full((before.shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([before, gap, after], axis=1)


def run(args: argparse.Namespace) -> int:
    """Write astronaut_anonymized.jpg and astronaut_before_after.jpg."""
    pipeline = load_pipeline()
    before = read_picture(PICTURE)
    with quiet_stderr():
        anonymizer = pipeline.Anonymizer.from_pretrained()
    (result,) = anonymizer.anonymize([before], pipeline.AnonymizeOptions(seed=args.seed))
    if result.picture is None or result.status != "anonymized":
        reasons = ", ".join(face.reason for face in result.faces)
        return complain(f"the demo picture could not be anonymized ({result.status}: {reasons})", WITHHELD)
    args.output.mkdir(parents=True, exist_ok=True)
    for name, picture in (("anonymized", result.picture), ("before_after", side_by_side(before, result.picture))):
        path = args.output / f"astronaut_{name}.jpg"
        write_picture(picture, path)
        print(path)
    return OK
