"""What a video is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import torch


class VideoContainer(StrEnum):
    MP4 = "mp4"
    WEBM = "webm"


class VideoCodec(StrEnum):
    H264 = "h264"
    AV1 = "av1"


@dataclass
class VideoComponents:
    images: torch.Tensor
    frame_rate: Fraction
    audio: dict[str, Any] | None = None
