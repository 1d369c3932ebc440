"""`Save Anonymized Image`, `Save Anonymized Video`, `Preview Without Metadata`: files that hold pictures and nothing else."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import numpy as np
from comfy_api.latest import io, ui
from PIL import Image

from id2face_core.errors import ShapeError

from .pictures import check_image, frames
from .session import Progress

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
CONTAINERS = {"h264": ".mp4", "av1": ".webm"}
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


def write_video(images: Tensor, path: Path, fps: float, audio: dict[str, Any] | None, codec: str) -> None:
    """Encode frames [B, H, W, C] by ComfyUI's own writer, which is given no metadata. An odd last row or column is cut."""
    from fractions import Fraction

    from comfy_api.latest import InputImpl, Types

    even = images[:, : images.shape[1] // 2 * 2, : images.shape[2] // 2 * 2, :3]  # 4:2:0 halves both sides
    parts = Types.VideoComponents(images=even, audio=audio, frame_rate=Fraction(fps).limit_denominator(1001))
    video = InputImpl.VideoFromComponents(parts)
    container = Types.VideoContainer(CONTAINERS[codec].removeprefix("."))
    video.save_to(str(path), format=container, codec=Types.VideoCodec(codec), metadata=None)


class SaveAnonymizedVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceSaveVideo", display_name="Save Anonymized Video", category="ID²Face",
            description="Saves frames as a video without metadata: no workflow, no seed, nothing of the source's file. (Save "
            "Video writes the workflow into the file.)",
            search_aliases=["save video", "export video", "mp4", "video without metadata"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip="The frames. Set consistent in Anonymize Faces, so that faces do not flicker."),
                io.Float.Input("fps", default=24.0, min=1.0, max=240.0, step=0.01, tooltip="Frames a second."),
                io.String.Input(
                    "filename_prefix", default="anonymous", tooltip="File name in the output folder; no person's name.",
                ),
                io.Combo.Input("codec", options=list(CONTAINERS), default="h264", tooltip="h264: mp4. av1: webm, smaller."),
                io.Audio.Input("audio", optional=True, tooltip="Sound. A voice tells who speaks: leave it out when in doubt."),
            ],
            outputs=[],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, images: Tensor, fps: float, filename_prefix: str, codec: str, audio: dict[str, Any] | None = None
    ) -> io.NodeOutput:
        check_image(images, "images")
        if min(images.shape[1:3]) < 2:
            raise ShapeError(f"images are {images.shape[2]}x{images.shape[1]}; a video needs 2x2 pixels at least")
        where, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), images.shape[2], images.shape[1]
        )
        file = f"{name}_{counter:05}_{CONTAINERS[codec]}"
        write_video(images, Path(where) / file, fps, audio, codec)
        return io.NodeOutput(ui=ui.PreviewVideo([ui.SavedResult(file, subfolder, io.FolderType.output)]))


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
