"""`Save Anonymized Image` and `Preview Without Metadata`: files that hold a picture and nothing else."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import numpy as np
from comfy_api.latest import io, ui
from PIL import Image

from .pictures import check_image, frames
from .session import Progress

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
# The only note that may go along, on the user's wish: nothing about the source, the graph or the seed.
NOTES = {0x0131: "ID2Face", 0x010E: "Faces in this picture were replaced by synthetic ones."}


def write_clean(picture: np.ndarray, path: Path, quality: int, provenance: bool) -> None:
    """Write uint8 [H, W, 3] without metadata, or with `NOTES` alone (EXIF Software and ImageDescription)."""
    from id2face_core.pictures import write_picture

    if not provenance:
        return write_picture(picture, path, quality)
    exif = Image.Exif()
    for tag, text in NOTES.items():
        exif[tag] = text
    options: dict[str, Any] = {} if path.suffix == ".png" else {"quality": quality}
    Image.fromarray(picture).save(path, exif=exif.tobytes(), **options)


def save_frames(
    image: Tensor, prefix: str, folder: io.FolderType, kind: str, quality: int, provenance: bool
) -> list[ui.SavedResult]:
    """One file a frame in ComfyUI's output or temp folder, which a prefix cannot leave."""
    temporary = folder == io.FolderType.temp
    root = folder_paths.get_temp_directory() if temporary else folder_paths.get_output_directory()
    where, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, root, image.shape[2], image.shape[1])
    saved = []
    for i, picture in enumerate(Progress(len(image)).over(frames(image))):
        file = f"{name}_{counter + i:05}_{FORMATS[kind]}"
        write_clean(picture, Path(os.path.join(where, file)), quality, provenance)
        saved.append(ui.SavedResult(file, subfolder, folder))
    return saved


class SaveAnonymized(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceSaveImage", display_name="Save Anonymized Image", category="ID²Face",
            description="Saves without metadata: no workflow, no seed, no name or hash of the source. (Save Image writes all of "
            "these into the file.)",
            search_aliases=["save image", "save without metadata", "strip metadata", "no exif"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip="What is saved, one file a frame."),
                io.String.Input(
                    "filename_prefix", default="anonymous", tooltip="File name in the output folder; no person's name.",
                ),
                io.Combo.Input("format", options=list(FORMATS), default="png", tooltip="png is lossless."),
                io.Int.Input("quality", default=95, min=1, max=100, advanced=True, tooltip="For jpeg and webp."),
                io.Boolean.Input(
                    "provenance", default=False, advanced=True,
                    tooltip="Say in the file that its faces are synthetic (EXIF Software and ImageDescription), nothing else.",
                ),
            ],
            outputs=[],
        )  # fmt: skip

    @classmethod
    def execute(cls, images: Tensor, filename_prefix: str, format: str, quality: int, provenance: bool) -> io.NodeOutput:
        check_image(images, "images")
        saved = save_frames(images, filename_prefix, io.FolderType.output, format, quality, provenance)
        return io.NodeOutput(ui=ui.SavedImages(saved))


class PreviewClean(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FacePreview", display_name="Preview Without Metadata", category="ID²Face",
            description="Shows pictures. The temporary files hold no workflow, unlike those of Preview Image.",
            search_aliases=["preview image", "show image"],
            is_output_node=True,
            inputs=[io.Image.Input("images", tooltip="What is shown.")],
            outputs=[],
        )  # fmt: skip

    @classmethod
    def execute(cls, images: Tensor) -> io.NodeOutput:
        check_image(images, "images")
        prefix = f"id2face_{secrets.token_hex(4)}"
        return io.NodeOutput(ui=ui.SavedImages(save_frames(images, prefix, io.FolderType.temp, "png", 95, False)))
