"""A video that writes down how it was to be saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .Types import VideoCodec, VideoComponents, VideoContainer


class VideoFromComponents:
    def __init__(self, components: VideoComponents):
        self.components = components

    def save_to(self, path: str, format: VideoContainer, codec: VideoCodec, metadata: dict[str, Any] | None = None) -> None:
        parts = self.components
        Path(path).write_text(json.dumps({
            "shape": list(parts.images.shape), "rate": str(parts.frame_rate), "audio": parts.audio is not None,
            "format": format, "codec": codec, "metadata": metadata,
        }))  # fmt: skip
