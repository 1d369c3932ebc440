"""What InsightFace's PrivateFrame does to faces, on pictures and with given boxes.

    PYTHON benchmarks/privateframe_redaction.py gaussian|mosaic BOXES.json INPUT OUTPUT

Run by `bench_privacy_peers.py` in an environment with `insightface[privateframe]`. PrivateFrame takes videos and finds
faces by a model package that only it itself downloads; its own redaction, with the settings that it comes with, needs
neither. BOXES.json: {file name: [[x0, y0, x1, y1], ...]}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import yaml
from insightface.app import privateframe
from insightface.app.privateframe.artifact_render import _blur


def main(method: str, boxes: str, source: str, output: str) -> None:
    base = Path(privateframe.__file__).parent / "configs/base.yaml"
    settings = yaml.safe_load(base.read_text(encoding="utf-8"))["render"]
    settings["redaction"]["method"] = method
    for name, faces in json.loads(Path(boxes).read_text(encoding="utf-8")).items():
        picture = cv2.imread(str(Path(source) / name))
        for box in faces:
            _blur(picture, box, settings)
        cv2.imwrite(str(Path(output) / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])


if __name__ == "__main__":
    main(*sys.argv[1:])
